"""The training loop: opens or resumes a run directory and drives its method's `train_step` until
its length is reached.
"""

import contextlib
import dataclasses
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfcyclegan.config import TrainConfig, TrainingLength
from tfcyclegan.data.batches import Batches
from tfcyclegan.data.domains import Domains, open_domains
from tfcyclegan.data.labelled import identity_of
from tfcyclegan.data.pairs import pairs_identity
from tfcyclegan.errors import RunError, Stopped, UserError
from tfcyclegan.methods.base import Method
from tfcyclegan.methods.cyclegan import Segment
from tfcyclegan.methods.factory import build_model, check_own_generators, method_of
from tfcyclegan.optimization.adam import Adam
from tfcyclegan.optimization.schedules import EpochRates, rate_factor
from tfcyclegan.system import files, places
from tfcyclegan.system.progress import Progress, log
from tfcyclegan.training import assumptions
from tfcyclegan.training.batches import label_classes, open_batches, with_channels
from tfcyclegan.training.board import Board
from tfcyclegan.training.checkpoint_files import DIRECTORY, newest, require_none_gone
from tfcyclegan.training.checkpoints import KID_NETWORK, Checkpoints, chosen_by, is_best
from tfcyclegan.training.history import HISTORY, History, Window, read_history
from tfcyclegan.training.observer import Observer
from tfcyclegan.training.resuming import check_directory
from tfcyclegan.training.run_page import REPORT, SAMPLES, write_report
from tfcyclegan.training.runs import OtherWeights, Run, config_to_dict, write_run
from tfcyclegan.training.starting_weights import (
    Teaching,
    begin_as_teacher,
    load_teachers,
    of_ranges,
    start_from,
    teaching_of,
)
from tfcyclegan.training.stopping import StopRequest, stop_signals
from tfcyclegan.training.strategy import (
    choose_precision,
    cost_of,
    keep_freed_memory,
    make_deterministic,
)
from tfcyclegan.training.trackers import Tracker, open_tracker
from tfcyclegan.training.tracking import Tracking
from tfcyclegan.training.workers import Workers, join_workers

_REPORT_EVERY_SECONDS = 60.0
# between workers, since the fingerprint identifies the data
_MAY_DIFFER = ("data_dir", "run_dir", "cache", "cache_dir", "devices", "pairs", "labelled")
_DIVERGED = 100.0  # for an adversarial loss; balanced ones are of the order of 1
_OVERFLOWS_ALLOWED = 30  # float16 steps in a row without a finite gradient: the scale fell by 2^30


def train(
    config: TrainConfig,
    flag_file: str = "",
    load_segment: Callable[[], tuple[Segment, dict[str, Any]]] | None = None,
) -> Path:
    """Trains, or resumes, the run in `config.run_dir`; as one of several workers if TF_CONFIG names
    them.

    Args:
        config: all options.
        flag_file: the same as the text of a flag file, kept in the run directory.
        load_segment: loads the segmenter that `config.segmenter` names, for the semantic losses,
            and which step and weights it has. Called once the devices are configured.

    Returns:
        The path of the run's report.

    Raises:
        UserError: the request does not fit the data, the run directory or the machine.
        RunError: a loss became non-finite, data or a checkpoint is damaged, or another worker is
            lost.
        Stopped: SIGINT or SIGTERM, here or at another worker, after a checkpoint.
    """
    keep_freed_memory()
    if config.deterministic:
        make_deterministic(config.seed)
    workers = join_workers(config.devices)
    with workers.loss_told():
        segment, identity = load_segment() if load_segment else (None, {})
        return _train(config, flag_file, segment, identity, workers)


def _train(
    config: TrainConfig,
    flag_file: str,
    segment: Segment | None,
    segmenter: dict[str, Any],
    workers: Workers,
) -> Path:
    directory, replicas = Path(config.run_dir), workers.strategy.num_replicas_in_sync
    if workers.several and places.on_store(directory):
        raise UserError(
            f"--run_dir={directory}: is on a store, but several workers train; give a directory "
            "on a file system that all workers share"
        )
    domains = open_domains(config.data_dir, recipe=config.data_recipe)
    for domain in "ab":
        domains.require("train", domain)
    config = with_channels(config, domains)
    check_own_generators(config)  # before anything is written
    tracker = open_tracker(config.track, directory) if workers.is_chief else None
    if config.batch_size % (replicas * config.accumulate_steps):
        small = f" times --accumulate_steps={config.accumulate_steps}"
        raise UserError(
            f"--batch_size={config.batch_size}: must be a multiple of the {replicas} devices"
            f"{small if config.accumulate_steps > 1 else ''}"
        )
    teaching = teaching_of(config)
    run = Run(
        directory,
        config,
        choose_precision(config.precision),
        domains.fingerprint,
        networks=method_of(config).network_names_of(config),
        data_title=domains.title,
        label_maps=domains.label_maps,
        pairs=identity_of(config.labelled) if config.labelled else pairs_identity(config.pairs),
        values=domains.values,
        classes=label_classes(config, domains),
        teacher=teaching.identity if teaching else None,
        segmenter=OtherWeights(**segmenter) if segmenter else None,
        reading={domain: domains.reading(domain) for domain in "ab"},
    )
    warnings = check_directory(run) if workers.is_chief else []
    warnings += of_ranges(config, run.values, begins=newest(directory / DIRECTORY) is None)
    batches, pairs = open_batches(config, domains, paired=method_of(config).takes_pairs)
    lines = (
        assumptions.of_options(config)
        + assumptions.of_length(config, batches.epoch_images)
        + assumptions.of_data(config, domains, batches, replicas)
        + assumptions.of_values(domains, batches)
        + assumptions.of_batches(config, domains, batches, pairs)
    )
    run = dataclasses.replace(run, told=(*lines, *assumptions.of_files(domains, batches)))
    decides = {
        name: value for name, value in config_to_dict(config).items() if name not in _MAY_DIFFER
    }
    workers.require_same(
        data=domains.fingerprint,
        pairs=run.pairs,
        precision=run.precision,
        flags=decides,
        teacher=dataclasses.asdict(run.teacher) if run.teacher else {},
        segmenter=segmenter,
    )
    with files.exclusive_lock(directory) if workers.is_chief else contextlib.nullcontext():
        for line in (*lines, *warnings) if workers.is_chief else ():
            log(line)
        place = f" on {len(workers.tasks)} workers" if workers.several else ""
        log(
            f"precision {run.precision}{' (auto)' if config.precision == 'auto' else ''}, "
            f"{replicas} device(s){place}"
        )
        if cost := cost_of(run.precision):
            log(f"--precision={run.precision}: {cost}; leave it out, or give --precision=float32")
        if workers.is_chief:
            write_run(run)
        if workers.is_chief and flag_file:
            files.write_text(directory / "flags.cfg", flag_file)
        session = _Session(run, workers, batches, domains, segment, teaching, flag_file, tracker)
        with session.tracking:
            report = session.run_to_end()
        workers.wait()  # a worker that ends before the others would count as lost
        return report


def make_optimizer(
    config: TrainConfig, length: TrainingLength, epoch_images: int, *, dynamic_scale: bool
) -> Adam:
    """Adam with the config's learning rates, one per epoch; constant if only steps count."""
    kind = "constant" if length.epochs is None else config.schedule
    epochs = length.epochs or 0
    rates = [
        config.learning_rate
        * rate_factor(
            kind,
            epoch,
            epochs=epochs,
            decay_epochs=length.decay_epochs,
            step_epochs=config.step_epochs,
        )
        for epoch in range(max(1, epochs + length.decay_epochs))
    ]
    schedule = EpochRates(rates, epoch_images=epoch_images, batch_size=config.batch_size)
    return Adam(schedule, config.beta_1, config.beta_2, dynamic_scale=dynamic_scale)


def step_function(
    model: Method, strategy: tf.distribute.Strategy
) -> Callable[[Any, tf.Tensor], tf.Tensor]:
    """The compiled step of a training over all replicas.

    Returns:
        (a batch distributed by `strategy`, whether this process was asked to stop) -> the means
        over replicas of the values named by `model.reported` and of the stop flag, [values + 1].
    """

    def replica_step(batch: tuple[tf.Tensor, ...], stops: tf.Tensor) -> tf.Tensor:
        values = model.train_step(batch)
        kind = values["skipped"].dtype
        return tf.stack([*(values[name] for name in model.reported), tf.cast(stops, kind)])

    @tf.function(autograph=False, reduce_retracing=True)
    def train_step(batch: tuple[tf.Tensor, ...], stops: tf.Tensor) -> tf.Tensor:
        return strategy.reduce(
            tf.distribute.ReduceOp.MEAN, strategy.run(replica_step, args=(batch, stops)), axis=None
        )

    return train_step


class _Session:
    """One process's share of a run, from the latest checkpoint to the end or a signal. With several
    workers only the chief writes.
    """

    def __init__(
        self,
        run: Run,
        workers: Workers,
        batches: Batches,
        domains: Domains,
        segment: Segment | None,
        teaching: Teaching | None,
        flag_file: str,
        tracker: Tracker | None,
    ):
        self.run, self.config, self.workers, self.batches = run, run.config, workers, batches
        self.length = self.config.length(batches.epoch_images)
        half = run.precision == "mixed_float16"
        with workers.strategy.scope():
            teachers = load_teachers(teaching, run.precision)
            self.model = build_model(
                self.config,
                run.precision,
                segment,
                teachers,
                gaps=batches.gaps,
                classes=run.classes,
            )
            optimizers = [
                make_optimizer(self.config, self.length, batches.epoch_images, dynamic_scale=half)
                for _ in range(2)
            ]
            self.model.compile(
                *optimizers,
                jit_compile=self.config.xla,
                accumulate_steps=self.config.accumulate_steps,
            )
        sizes = [
            (size.height, size.width) if size else (None, None)
            for size in (batches.size_a, batches.size_b)
        ]
        self.model.make_pools(
            (*sizes[0], self.config.channels_of("a")), (*sizes[1], self.config.channels_of("b"))
        )
        self.window = Window(len(self.model.reported))
        kept = self.config.keep_checkpoints
        self.checkpoints = Checkpoints(
            run.directory / DIRECTORY, self.model, self.window, keep=kept, workers=workers
        )
        for warning in self.checkpoints.restore_latest():
            log(warning)
        self.first_step = int(self.model.step.numpy())
        begins = self.checkpoints.latest_step is None
        if begins and workers.is_chief and read_history(run.directory / HISTORY):
            require_none_gone(run.directory, trained=True)  # all were found damaged just now
        if begins and self.config.init_from:
            start_from(self.model, self.config, keeps_history=workers.is_chief)
        elif begins and teaching:
            begin_as_teacher(self.model, teaching)
        self.overflows = 0
        self.diverged = False
        self.stop_asked = False  # by a signal, here or at another worker
        if workers.is_chief:
            self.history = History(run.directory / HISTORY, resumed_step=self.first_step)
            self.board = Board(
                run.directory / "tensorboard", self.config, flag_file, self.first_step
            )
            self.observer = Observer(
                self.model, self.config, domains, run.directory / SAMPLES, self.board
            )
        lines = self.history.lines if workers.is_chief else []
        self.tracking = Tracking(tracker, run, lines, self.first_step)

    def run_to_end(self) -> Path:
        with self.checkpoints:
            return self._run_to_end()

    def _run_to_end(self) -> Path:
        step, end = self.first_step, self.length.steps
        if step >= end:
            log(
                f"already finished: step {step} of {end}; raise --epochs or --max_steps to continue"
            )
            return self._report()
        every = self.config.measured_every(self.batches.epoch_images)
        if self.workers.is_chief and every and step // every < end // every:
            self.observer.open_measured()
        if step:
            log(f"resuming at step {step} of {end}")
        elif self.checkpoints.latest_step is None:
            # before the checkpoint, as everywhere: a run killed in between resumes from it
            self._draw_samples(0)
            self.checkpoints.save()
            self.checkpoints.wait()
            self._report()
        if self.workers.is_chief:
            self.board.tell_of_profile(end)
            log(f"report: {self.run.directory / REPORT}; the first step builds graphs and is slow")
        with (
            stop_signals() as stop,
            Progress(end, unit="step", label="training", done=step) as progress,
        ):
            step = self._loop(step, end, stop, progress)
        self._finish_step(step)
        if step < end:
            number = stop.signal_number or signal.SIGTERM
            raise Stopped(
                f"stopped at step {step} of {end}; the same command continues from there", number
            )
        if self.workers.is_chief:
            self.history.close()
        log(f"finished: {end} steps")
        return self._report()

    def _loop(self, step: int, end: int, stop: StopRequest, progress: Progress) -> int:
        strategy, own = self.workers.strategy, self.workers.replicas
        shares = self.batches.dataset(step, end, parts=strategy.num_replicas_in_sync, own=own)
        batches = iter(strategy.distribute_datasets_from_function(lambda _: shares))
        train_step = step_function(self.model, strategy)
        reported_at, busy_seconds, busy_steps = time.monotonic(), 0.0, 0
        # values are read one step late, so that the device never waits for them
        pending: tuple[int, Any] | None = None
        # Several workers stop at the same step, about which each learns from the values of that
        # step.
        while step < end and not (self.stop_asked if self.workers.several else stop.signal_number):
            if self.workers.is_chief:
                self.board.before_step(step)
            started = time.monotonic()
            with self.batches.failures_told():
                batch = next(batches)
            values = train_step(batch, tf.constant(bool(stop.signal_number)))
            step += 1
            self._take(pending)
            self.checkpoints.check()
            pending = step, values
            due = self._due(step, end)
            if due:
                self._take(pending)
                pending = None
            busy_seconds, busy_steps = busy_seconds + time.monotonic() - started, busy_steps + 1
            if "log" in due and self.workers.is_chief:
                measured = self.observer.measure() if "measure" in due else {}
                note = self._log(step, busy_steps * self.config.batch_size / busy_seconds, measured)
                busy_seconds, busy_steps = 0.0, 0
                progress.advance(0, note)
            if "sample" in due:
                self._draw_samples(step)
            if "checkpoint" in due:
                self._save()
            if due and time.monotonic() - reported_at > _REPORT_EVERY_SECONDS:
                self._report(with_figures=False)
                reported_at = time.monotonic()
            progress.advance()
        self._take(pending)
        if self.workers.is_chief:
            self.board.close()
        return step

    def _due(self, step: int, end: int) -> set[str]:
        config = self.config
        every = {
            "log": config.log_every_steps,
            "sample": config.sample_every_steps,
            "checkpoint": config.checkpoint_every_steps,
            "measure": config.measured_every(self.batches.epoch_images),
        }
        due = {
            action
            for action, steps in every.items()
            if steps and (step % steps == 0 or (action in ("log", "sample") and step == end))
        }
        # measures are written as part of a line of the history
        return due | {"log"} if "measure" in due else due

    def _take(self, pending: tuple[int, Any] | None) -> None:
        """Reads a step's values; stops the run if its update was skipped because something was not
        finite.
        """
        if pending is None:
            return
        step, tensor = pending
        *reported, stops = tensor.numpy().astype(np.float64)
        values, names = np.array(reported), self.model.reported
        self.stop_asked |= bool(stops)
        if values[names.index("skipped")]:
            self.overflows += 1
            bad = [
                name
                for name, value in zip(names, values, strict=True)
                if name in self.model.loss_names and not np.isfinite(value)
            ]
            what = (
                f"loss {bad[0]} is {values[names.index(bad[0])]}"
                if bad
                else "a gradient is not finite"
            )
            if self.run.precision != "mixed_float16" or self.overflows > _OVERFLOWS_ALLOWED:
                self.checkpoints.wait()
                latest = self.checkpoints.latest_step
                raise RunError(
                    f"step {step}: {what}; the weights were not changed and the checkpoint of step "
                    f"{latest} is intact; lower --learning_rate or check the data, and start in "
                    "another --run_dir"
                )
            values = np.where(np.isfinite(values), values, 0.0)
        else:
            self.overflows = 0
        self.window.add(values)

    def _log(self, step: int, images_per_second: float, measured: dict[str, float]) -> str:
        names = self.model.reported
        means = dict(zip(names, map(float, self.window.mean_and_reset()), strict=True))
        if self.run.precision != "mixed_float16":
            del means["skipped"]
        self._tell_of_divergence(step, means)
        # The rate of the step just done: the optimizer has counted it already.
        applied = max(int(self.model.generator_optimizer.iterations.numpy()) - 1, 0)
        rate = float(self.model.generator_optimizer._learning_rate(applied))
        line = {
            "step": step,
            "epoch": step * self.config.batch_size / self.batches.epoch_images,
            "learning_rate": rate,
        }
        line |= means | measured | {"images_per_second": round(images_per_second, 3)}
        before = self.history.lines if self.checkpoints.has_best else []
        by_kid = chosen_by(measured)[0] == "kid"
        network = {KID_NETWORK: self.config.eval_features} if by_kid else {}
        best = is_best({**measured, **network}, before)
        self.history.append({**line, **network})
        if best:
            self.history.sync()
            self.checkpoints.save_best()
        self.board.scalars(step, line)
        self.tracking.wake()
        return self.model.note(means)

    def _tell_of_divergence(self, step: int, means: Mapping[str, float]) -> None:
        """Warns once if the losses have diverged: the weights are finite, but nothing is learned
        any more.
        """
        adversarial = [n for n in self.model.loss_names if n.startswith(("gan_", "disc_"))]
        worst = max(adversarial, key=lambda name: abs(means[name]))
        if not self.diverged and abs(means[worst]) > _DIVERGED * max(1.0, self.config.lambda_gan):
            self.diverged = True
            mend = "lower --learning_rate and start in another --run_dir"
            log(f"step {step}: loss {worst} is {means[worst]:.3g}, so training diverges; {mend}")

    def _draw_samples(self, step: int) -> None:
        if self.workers.is_chief:
            self.observer.draw_samples(step)
            self.tracking.wake(drawn=step)

    def _report(self, *, with_figures: bool = True) -> Path:
        return (
            write_report(self.run.directory, with_figures=with_figures)
            if self.workers.is_chief
            else self.run.directory / REPORT
        )

    def _save(self) -> None:
        if self.workers.is_chief:
            self.history.sync()
        self.checkpoints.save()

    def _finish_step(self, step: int) -> None:
        if self.checkpoints.latest_step != step:
            self._save()
        self.checkpoints.wait()
