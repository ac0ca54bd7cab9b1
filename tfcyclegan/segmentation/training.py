"""Trains a segmenter: opens or resumes a run directory and drives `Learner.train_step` for a fixed
number of steps.
"""

import dataclasses
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfcyclegan.config import SegmenterOptions
from tfcyclegan.data.labels import ClassTable
from tfcyclegan.errors import RunError, Stopped, UserError
from tfcyclegan.measures.confusion import Confusion
from tfcyclegan.optimization.adam import Adam
from tfcyclegan.optimization.schedules import EpochRates, step_factor
from tfcyclegan.segmentation.batches import LabelledBatches
from tfcyclegan.segmentation.labelled_pictures import LabelledPictures
from tfcyclegan.segmentation.learner import REPORTED, Learner, class_weights
from tfcyclegan.segmentation.network import logits_of, make_network
from tfcyclegan.segmentation.runs import SETTINGS, SegmenterRun, read_segmenter_run
from tfcyclegan.segmentation.segmenter import Segmenter, load_segmenter
from tfcyclegan.system import files
from tfcyclegan.system.progress import Progress, log
from tfcyclegan.training.checkpoint_files import (
    DIRECTORY,
    CheckpointFiles,
    newest,
    require_none_gone,
    step_of,
)
from tfcyclegan.training.checkpoints import holds_scale, unscaled, variables
from tfcyclegan.training.history import HISTORY, History, Window, read_history
from tfcyclegan.training.runs import changed_options
from tfcyclegan.training.stopping import StopRequest, stop_signals
from tfcyclegan.training.strategy import (
    choose_precision,
    cost_of,
    keep_freed_memory,
    make_deterministic,
    make_strategy,
)

_KEPT_CHECKPOINTS = 2
_OVERFLOWS_ALLOWED = 30  # successive float16 steps without a finite gradient


def train_segmenter(
    options: SegmenterOptions,
    parts: Sequence[LabelledPictures],
    run_dir: Path,
    *,
    val: LabelledPictures | None = None,
    flag_file: str = "",
    interpolation: str = "bicubic",
) -> Segmenter:
    """Trains, or resumes, a segmenter in `run_dir`; a finished one is only loaded.

    The options and the parts determine the weights. `val` has no influence: its scores are plotted
    but do not choose a checkpoint.

    Args:
        options: how to train.
        parts: the training data, drawn according to their shares.
        run_dir: the run's directory.
        val: labelled pictures for a curve of mean IoU, in the size of the training's `load_size`.
        flag_file: the options as the text of a flag file, kept in the run directory.
        interpolation: the filter with which `parts` and `val` were resized, which is also used for
            pictures to label.

    Returns:
        The segmenter of the last step.

    Raises:
        UserError: the request does not fit the pictures, the run directory or the machine.
        RunError: the loss became non-finite, or data or a checkpoint is damaged.
        Stopped: SIGINT or SIGTERM, after a checkpoint.
    """
    options = SegmenterOptions(
        **{
            field.name: getattr(options, field.name)
            for field in dataclasses.fields(SegmenterOptions)
        }
    )
    keep_freed_memory()
    if options.deterministic:
        make_deterministic(options.seed)
    strategy = make_strategy(options.devices)
    if options.batch_size % strategy.num_replicas_in_sync:
        raise UserError(
            f"--batch_size={options.batch_size}: must be a multiple of the "
            f"{strategy.num_replicas_in_sync} devices"
        )
    classes = _common_classes([*parts, *([val] if val is not None else [])])
    batches = LabelledBatches(parts, options)
    identities = [[part.identity, part.share] for part in parts]
    run = SegmenterRun(
        run_dir,
        options,
        choose_precision(options.precision),
        identities,
        batches.augmentation.crop_size,
        classes,
        interpolation,
    )
    _check_directory(run)
    with files.exclusive_lock(run_dir):
        if cost := cost_of(run.precision):
            log(f"--precision={run.precision}: {cost}; leave it out, or give --precision=float32")
        run.write()
        if flag_file:
            files.write_text(run_dir / "flags.cfg", flag_file)
        _Session(run, strategy, batches, val).run_to_end()
    return load_segmenter(run_dir)


def _common_classes(parts: Sequence[LabelledPictures]) -> ClassTable:
    """The table of all parts' labels; UserError if there are several."""
    first = parts[0]
    for part in parts:
        if difference := first.classes.difference(part.classes):
            raise UserError(
                f"{part.identity}: its classes are not those of {first.identity}: {difference}; "
                "prepare both with one --classes"
            )
    return first.classes


def _check_directory(run: SegmenterRun) -> None:
    """Raises UserError if the directory holds something else or a run with other settings."""
    directory = run.directory
    if not (directory / SETTINGS).exists():
        if directory.exists() and any(path.name != ".lock" for path in directory.iterdir()):
            raise UserError(
                f"--run_dir={directory}: is not empty but holds no segmenter; choose another "
                "directory"
            )
        return
    if newest(directory / DIRECTORY) is None:
        # its first checkpoint is written after that many steps
        first = read_segmenter_run(directory).options.checkpoint_every_steps
        lines = read_history(directory / HISTORY)
        require_none_gone(directory, trained=any(line["step"] > first for line in lines))
        return  # before its first checkpoint a run has nothing that other settings could spoil
    before = read_segmenter_run(directory)
    refused, warnings = changed_options(before.options, run.options)
    if before.parts != run.parts:
        refused.append("the pictures are not those that it was started with")
    if refused:
        raise UserError(
            f"--run_dir={directory}: holds a segmenter with other settings: {'; '.join(refused)}; "
            "choose another --run_dir"
        )
    if before.precision != run.precision:
        warnings.append(f"precision changes from {before.precision} to {run.precision}")
    for warning in warnings:
        log(warning)


class _Session:
    """One process's share of a run: from the latest checkpoint to the end or a signal."""

    def __init__(
        self,
        run: SegmenterRun,
        strategy: tf.distribute.Strategy,
        batches: LabelledBatches,
        val: LabelledPictures | None,
    ):
        self.run, self.options, self.strategy, self.batches, self.val = (
            run,
            run.options,
            strategy,
            batches,
            val,
        )
        options = self.options
        classes = run.classes.count
        counts = sum(
            (part.class_counts.sum(axis=0) for part in batches.parts), np.zeros(classes, np.int64)
        )
        rates = [
            options.learning_rate
            * step_factor(
                options.schedule, step, steps=options.steps, warmup_steps=options.warmup_steps
            )
            for step in range(options.steps)
        ]
        with strategy.scope():
            network = make_network(
                width=options.width, classes=classes, seed=options.seed, dtype=run.precision
            )
            average = (
                make_network(
                    width=options.width, classes=classes, seed=options.seed, dtype=run.precision
                )
                if options.ema_decay
                else None
            )
            rate = EpochRates(rates, epoch_images=1, batch_size=1)  # the rate of each step
            optimizer = Adam(rate, 0.9, dynamic_scale=run.precision == "mixed_float16")
            self.learner = Learner(
                network,
                average,
                optimizer,
                class_weights(options.class_weights, counts),
                options.ema_decay,
            )
        self.window = Window(len(REPORTED))
        parts = {
            "network": variables(network),
            "optimizer": variables(optimizer),
            "step": self.learner.step,
            "window": self.window,
            **({"average": variables(average)} if average is not None else {}),
        }
        checkpoint = tf.train.Checkpoint(**parts)
        self.checkpoints = CheckpointFiles(
            checkpoint, run.directory / DIRECTORY, keep=_KEPT_CHECKPOINTS
        )
        for line in self.checkpoints.told:
            log(line)
        if latest := self.checkpoints.latest:
            if holds_scale(latest, "optimizer", optimizer) == optimizer.dynamic_scale:
                checkpoint.restore(latest).assert_consumed()
            else:  # to or from float16
                checkpoint = tf.train.Checkpoint(**parts | {"optimizer": unscaled(optimizer)})
                checkpoint.restore(latest).assert_existing_objects_matched().expect_partial()
            self.window.load()
        self.first_step = int(self.learner.step.numpy())
        self.history = History(run.directory / HISTORY, resumed_step=self.first_step)
        self.overflows = 0
        self._predict: Callable[[Any], Any] = tf.function(
            lambda pictures: tf.argmax(
                logits_of(self.learner.predictor, tf.cast(pictures, tf.float32) / 127.5 - 1),
                -1,
                tf.int32,
            ),
            autograph=False,
            reduce_retracing=True,
        )

    def run_to_end(self) -> None:
        step, end = self.first_step, self.options.steps
        if step >= end:
            return
        name = self.run.directory.name
        if step:
            log(f"segmenter {name}: resuming at step {step} of {end}")
        with (
            stop_signals() as stop,
            Progress(end, unit="step", label=f"segmenter {name}", done=step) as progress,
        ):
            step = self._loop(step, end, stop, progress)
        if self._latest_step != step:
            self._save()
        self.history.close()
        if step < end:
            raise Stopped(
                f"stopped at step {step} of {end}; the same command continues from there",
                stop.signal_number,
            )

    @property
    def _latest_step(self) -> int | None:
        return step_of(self.checkpoints.latest) if self.checkpoints.latest else None

    def _loop(self, step: int, end: int, stop: StopRequest, progress: Progress) -> int:
        options, note = self.options, ""
        batches = iter(
            self.strategy.experimental_distribute_dataset(self.batches.dataset(step, end))
        )
        train_step = self._step_function()
        # values are read one step late, so that the device never waits for them
        pending: Any = None
        busy_seconds, busy_steps = 0.0, 0
        while step < end and not stop.signal_number:
            started = time.monotonic()
            values = train_step(self._next(batches, step))
            self._take(step, pending)
            step, pending = step + 1, values
            logs = step % options.log_every_steps == 0 or step == end
            saves = step % options.checkpoint_every_steps == 0
            scores = (
                self.val is not None
                and options.val_every_steps
                and (step % options.val_every_steps == 0 or step == end)
            )
            if logs or saves or scores:
                self._take(step, pending)
                pending = None
            busy_seconds, busy_steps = busy_seconds + time.monotonic() - started, busy_steps + 1
            if logs or scores:
                note = self._log(
                    step, busy_steps * options.batch_size / busy_seconds, scored=bool(scores)
                )
                busy_seconds, busy_steps = 0.0, 0
            if saves:
                self._save()
            progress.advance(note=note)
        self._take(step, pending)
        return step

    def _next(self, batches: Any, step: int) -> Any:
        try:
            return next(batches)
        except (
            tf.errors.OpError
        ) as error:  # an exception of a part, after TensorFlow's own traceback
            reasons = re.findall(r"^[\w.]*(?:Error|Exception): (.+)$", error.message, re.MULTILINE)
            raise RunError(
                f"step {step + 1}: a picture cannot be read "
                f"({reasons[-1] if reasons else error.message})"
            ) from error

    def _step_function(self) -> Any:
        strategy, learner = self.strategy, self.learner

        @tf.function(autograph=False, reduce_retracing=True)
        def train_step(batch: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            values = strategy.run(learner.train_step, args=batch)
            return tf.stack(
                [
                    strategy.reduce(tf.distribute.ReduceOp.SUM, values[name], axis=None)
                    for name in REPORTED
                ]
            )

        return train_step

    def _take(self, step: int, tensor: Any) -> None:
        """Reads the values of a step; stops the run if its update was skipped because something was
        not finite.
        """
        if tensor is None:
            return
        values = tensor.numpy().astype(np.float64)
        if values[REPORTED.index("skipped")] > 0:
            self.overflows += 1
            if self.run.precision != "mixed_float16" or self.overflows > _OVERFLOWS_ALLOWED:
                what = (
                    f"the loss is {values[0]}"
                    if not np.isfinite(values[0])
                    else "a gradient is not finite"
                )
                raise RunError(
                    f"step {step}: {what}; lower --learning_rate or check the data, and start in "
                    "another --run_dir"
                )
            values = np.where(np.isfinite(values), values, 0.0)
        else:
            self.overflows = 0
        self.window.add(values)

    def _log(self, step: int, images_per_second: float, *, scored: bool) -> str:
        means = dict(zip(REPORTED, map(float, self.window.mean_and_reset()), strict=True))
        if self.run.precision != "mixed_float16":
            del means["skipped"]
        line: dict[str, Any] = {"step": step} | means
        if scored and self.val is not None:
            line["val_mean_iou"] = self._score(self.val).class_iou
        self.history.append(line | {"images_per_second": round(images_per_second, 1)})
        latest = next(
            (
                entry["val_mean_iou"]
                for entry in reversed(self.history.lines)
                if "val_mean_iou" in entry
            ),
            None,
        )
        return f"loss {means['loss']:.3f}" + (
            f", val mIoU {latest:.3f} (for information)" if latest is not None else ""
        )

    def _score(self, val: LabelledPictures) -> Confusion:
        confusion = Confusion(classes=self.run.classes.count)
        for index in range(len(val)):
            confusion.add(
                self._predict(val.pictures[index][np.newaxis]).numpy()[0], val.label(index)
            )
        return confusion

    def _save(self) -> None:
        self.history.sync()
        self.window.store()
        self.checkpoints.save(int(self.learner.step.numpy()))
