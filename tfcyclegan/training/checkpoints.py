"""Checkpoints: the whole state of a training, restored completely or not at all."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from tfcyclegan.errors import RunError, UserError
from tfcyclegan.methods.base import Method
from tfcyclegan.methods.factory import make_network
from tfcyclegan.methods.image_pool import ImagePool
from tfcyclegan.networks import Discriminator, Generator, PatchSampler
from tfcyclegan.optimization.adam import SCALE_VARIABLES, Adam
from tfcyclegan.system import files
from tfcyclegan.system.progress import log
from tfcyclegan.training.checkpoint_files import (
    BEST,
    DIRECTORY,
    NOT_RESTORED,
    CheckpointFiles,
    lost,
    newest,
    path_of,
    step_of,
    steps,
)
from tfcyclegan.training.checkpoint_writer import CheckpointWriter, copied
from tfcyclegan.training.history import Window
from tfcyclegan.training.runs import IMPORTED, Run
from tfcyclegan.training.workers import Workers


def variables(owner: keras.Model | keras.optimizers.Optimizer) -> list[tf.Variable]:
    """All variables of a network or optimizer, in the order in which they were made, for
    `tf.train.Checkpoint`.

    Not the object itself: TensorFlow does not look into the lists that Keras 3 keeps layers in, and
    would silently save and restore parts of a network.
    """
    return [variable.value for variable in owner.variables]


def unscaled(optimizer: Adam) -> list[tf.Variable]:
    """An optimizer's variables without those of the loss scale of float16."""
    own = variables(optimizer)
    return own[:-SCALE_VARIABLES] if optimizer.dynamic_scale else own


def holds_scale(path: str, name: str, optimizer: Adam) -> bool:
    """Whether the optimizer that a checkpoint holds as `name` was saved with a loss scale."""
    stored = [key for key, _ in tf.train.list_variables(path) if key.startswith(f"{name}/")]
    return len(stored) == len(unscaled(optimizer)) + SCALE_VARIABLES


def weights_hash(network: keras.Model) -> str:
    """A hash of the weights' values, SHA-256 in hexadecimal."""
    return files.sha256_of_bytes(
        b"".join(np.ascontiguousarray(weight).tobytes() for weight in network.get_weights())
    )


class Checkpoints:
    """Saves and restores the state of a training. As a context manager it waits at the end for what
    is still being written.

    Args:
        directory: the directory of the checkpoints.
        model: the compiled model with its pools.
        window: the values since the last history line.
        keep: number of latest checkpoints to keep.
        workers: None for a single process. Of several workers the chief saves and all restore; each
            other worker keeps its pools in its own folder, `worker-1` and so on.

    Attributes:
        latest_step: step of the newest checkpoint, which is intact or being written, the same on
            all workers; None before the first.
        has_best: whether the best checkpoint is there or being written; only known to the chief.
    """

    def __init__(
        self,
        directory: Path,
        model: Method,
        window: Window,
        *,
        keep: int,
        workers: Workers | None = None,
    ):
        self._directory, self._model, self._window = directory, model, window
        self._workers = workers or Workers(model.distribute_strategy)
        self._writer = CheckpointWriter()
        if self._workers.is_chief:
            self._checkpoint = tf.train.Checkpoint(**self._parts(self._pools_here))
            self._files = CheckpointFiles(self._checkpoint, directory, keep=keep)
            self._best = CheckpointFiles(self._checkpoint, directory / BEST, keep=1, needed=False)
            self._told = self._files.told + self._best.told
        else:
            self._checkpoint = tf.train.Checkpoint(**self._pools(self._pools_here))
            # Two more than the chief keeps: its newest may still be in the writing, and could fail,
            # while the next one is saved here.
            own = directory / f"worker-{self._workers.index}"
            # They hold pools alone, which may start empty.
            self._files = CheckpointFiles(self._checkpoint, own, keep=keep + 2, needed=False)
            self._told = self._files.told
        self.has_best = self._workers.is_chief and self._best.latest is not None
        newest_path = self._files.latest
        step = self._workers.from_chief(step_of(newest_path) if newest_path else -1)
        self.latest_step: int | None = step if step >= 0 else None

    def _state(self, pools: int, *, scaled: bool) -> tf.train.Checkpoint:
        """What is restored where `pools` pools of each domain are stored, and not always a loss
        scale.
        """
        model, parts = self._model, self._parts(pools)
        if not scaled:
            parts["generator_optimizer"] = unscaled(model.generator_optimizer)
            parts["discriminator_optimizer"] = unscaled(model.discriminator_optimizer)
        return tf.train.Checkpoint(**parts)

    def _holds_scale(self, path: str) -> bool:
        return holds_scale(path, "generator_optimizer", self._model.generator_optimizer)

    def _parts(self, pools: int) -> dict[str, Any]:
        """All that is saved, by name, with `pools` pools of each domain."""
        model = self._model
        averages = {f"average_{name}": average for name, average in model.averages.items()}
        return {
            **{name: variables(network) for name, network in (model.networks | averages).items()},
            "generator_optimizer": variables(model.generator_optimizer),
            "discriminator_optimizer": variables(model.discriminator_optimizer),
            "step": model.step.value,
            **self._pools(pools),
            "window": self._window,
        }

    def _pools(self, count: int) -> dict[str, list[ImagePool]]:
        return {f"pools_{domain}": pools[:count] for domain, pools in self._model.pools.items()}

    @property
    def _pools_here(self) -> int:
        """Pools of each domain on this worker."""
        return max(map(len, self._model.pools.values()))

    def save(self) -> None:
        """Has the current state written, while the training goes on: a state is copied, and waits
        until the one before is written.

        Raises:
            RunError: one could not be written; see also `check` and `wait`.
        """
        step = int(self._model.step.numpy())
        if not self._workers.is_chief:
            self._files.save(step)
        # the chief saves last, so that its checkpoint never exists without the others' pools
        self._workers.wait()
        if self._workers.is_chief:
            self._submit(self._files)
        self.latest_step = step

    def save_best(self) -> None:
        """Has the current state written as the best checkpoint, replacing the previous best."""
        self._submit(self._best)
        self.has_best = True

    def _submit(self, place: CheckpointFiles) -> None:
        def copy() -> Any:
            self._window.store()
            return copied(self._parts(self._pools_here))

        step = int(self._model.step.numpy())
        self._writer.submit(step, copy, lambda state: place.save(step, state))

    def check(self) -> None:
        """Raises RunError if a checkpoint could not be written; does not wait."""
        self._writer.check()

    def wait(self) -> None:
        """Waits until all are written; RunError if one could not be."""
        self._writer.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.wait()
        except Exception as failed:
            if error is None:
                raise
            log(str(failed))  # beside the error that ended the training

    def restore_latest(self) -> list[str]:
        """Restores the latest checkpoint, if there is one.

        Returns:
            Messages for the user: damaged checkpoints that were set aside, pools that a changed
            number of devices left empty.

        Raises:
            RunError: it belongs to another model.
        """
        if self.latest_step is None:
            return self._told
        path = path_of(self._directory, self.latest_step)
        if not self._workers.is_chief:
            return self._told + self._restore_beside_chief(path)
        counts = [
            name.split("/")[0]
            for name, _ in tf.train.list_variables(path)
            if name.startswith("pools_") and "/count/" in name
        ]
        stored = max(map(counts.count, counts), default=0)
        here = self._pools_here
        scaled = self._holds_scale(path)
        try:
            if stored == here and scaled == self._model.generator_optimizer.dynamic_scale:
                self._checkpoint.restore(path).assert_consumed()
            else:
                self._state(min(stored, here), scaled=scaled).restore(
                    path
                ).assert_existing_objects_matched().expect_partial()
        except NOT_RESTORED as error:
            raise RunError(
                f"{path}: of another model ({str(error).splitlines()[0]}); choose another --run_dir"
            ) from error
        self._window.load()
        what = (
            "those of new devices start empty"
            if here > stored
            else "those of missing devices are left out"
        )
        changed = (
            [f"{here} devices now, {stored} before: of the image pools, {what}"]
            if stored != here
            else []
        )
        return self._told + changed

    def _restore_beside_chief(self, path: str) -> list[str]:
        """Restores the pools from this worker's own checkpoint and everything else from the
        chief's, of the same step.
        """
        index = self._workers.index
        if not Path(f"{path}.index").exists():
            raise RunError(
                f"{path}: worker {index} cannot find it; --run_dir must be on a file system that "
                "all workers share"
            )
        try:
            self._state(0, scaled=self._holds_scale(path)).restore(
                path
            ).assert_existing_objects_matched().expect_partial()
            own = path_of(self._directory / f"worker-{index}", step_of(path))
            if not Path(f"{own}.index").exists():
                return (
                    [f"worker {index} has no image pools of step {step_of(path)}: they start empty"]
                    if self._pools_here
                    else []
                )
            self._checkpoint.restore(own).assert_existing_objects_matched().expect_partial()
        except NOT_RESTORED as error:
            raise RunError(
                f"{path}: of another model ({str(error).splitlines()[0]}); choose another --run_dir"
            ) from error
        return []


KID_NETWORK = "kid_network"
"""In a line of the history: the value of --eval_features that its KID was measured with."""


def chosen_by(line: Mapping[str, Any]) -> tuple[str, float]:
    """What chooses the best checkpoint: "kid" if it is measured, otherwise "appearance", and its
    sum over all directions, which is smallest for the best; "" if there is no measurement.
    """
    for name in ("kid", "appearance"):
        values = [line[key] for way in ("ab", "ba") if (key := f"{name}_{way}") in line]
        if values:
            return name, sum(values)
    return "", np.inf


def is_best(measured: Mapping[str, Any], before: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a measurement is better than all before it that were chosen by the same: a run goes
    on with another --eval_features, whose distances are others. Older lines do not name it.
    """
    name, distance = chosen_by(measured)
    network = measured.get(KID_NETWORK)
    alike = (line for line in before if line.get(KID_NETWORK, network) == network)
    others = (other for known, other in map(chosen_by, alike) if known == name)
    return distance < min(others, default=np.inf)


def find_checkpoint(run_dir: Path, which: str) -> str:
    """The path of a run's checkpoint in TensorFlow's form: without an ending.

    Args:
        run_dir: the run directory.
        which: "latest", "best" or a step.

    Raises:
        UserError: there is no such checkpoint; those that exist are named.
        RunError: the latest one is missing.
    """
    directory = run_dir / DIRECTORY
    if which == "best":
        best = newest(directory / BEST)
        if best is None:
            raise UserError(
                "--checkpoint=best: this run has not measured any yet; use --checkpoint=latest"
            )
        return best
    if which == "latest":
        latest = newest(directory)
        if latest is None:
            raise UserError(f"--run_dir={run_dir}: no checkpoint yet")
        if (gone := lost(directory)) is not None:
            raise RunError(
                f"{gone}: missing; restore it, or choose another --checkpoint: "
                f"{', '.join(map(str, steps(directory)))}"
            )
        return latest
    there = steps(directory)
    if not which.isdigit() or int(which) not in there:
        raise UserError(
            f"--checkpoint={which}: not there; valid are latest, best and the steps "
            f"{', '.join(map(str, there)) or '(none)'}"
        )
    return path_of(directory, int(which))


def tell_untrained(run: Run, checkpoint: str) -> None:
    """Warns if the checkpoint holds random weights: that of step 0 of a training from scratch."""
    if (
        run.config.data_dir
        and run.data_fingerprint != IMPORTED
        and not run.config.init_from
        and not step_of(find_checkpoint(run.directory, checkpoint))
    ):
        log(
            f"{run.directory}: its checkpoint is of step 0, with random, untrained weights; "
            "tfcyclegan train continues the run"
        )


def told_choice(run_dir: Path, which: str, path: str = "") -> str:
    """Describes the checkpoint that "latest", "best" or a step selects, or that it selected before,
    at `path`; names the best one too if the latest is not the best.

    Raises:
        UserError, RunError: see `find_checkpoint`.
    """
    name = Path(path or find_checkpoint(run_dir, which)).name
    if which != "latest":
        return name
    best = newest(run_dir / DIRECTORY / BEST)
    other = (
        f"; {Path(best).name} measured best; --checkpoint=best uses it"
        if best and Path(best).name != name
        else ""
    )
    return f"{name}, the latest{other}"


def load_networks(
    run: Run, which: str, names: tuple[str, ...], *, dtype: str = "float32"
) -> dict[str, Generator | Discriminator | PatchSampler]:
    """Networks of a run in float32 with the weights of a checkpoint; for generators the running
    mean, if the run has one.

    Raises:
        UserError: no such checkpoint, or the run has no such network.
        RunError: the checkpoint is damaged.
    """
    missing = [name for name in names if name not in run.networks]
    if missing:
        raise UserError(
            f"--run_dir={run.directory}: has no weights of {', '.join(missing)}, only of "
            f"{', '.join(run.networks)}"
        )
    return restore_networks(run, find_checkpoint(run.directory, which), names, dtype=dtype)


def restore_networks(
    run: Run, path: str, names: tuple[str, ...], *, dtype: str = "float32"
) -> dict[str, Generator | Discriminator | PatchSampler]:
    """`load_networks` from the checkpoint at `path`, in TensorFlow's form.

    Raises:
        RunError: the checkpoint is damaged.
    """
    networks = {
        name: make_network(run.config, name, dtype=dtype, classes=run.classes) for name in names
    }
    averaged = run.config.ema_decay > 0
    stored = {
        f"average_{name}" if averaged and name.startswith("gen") else name: network
        for name, network in networks.items()
    }
    holder = tf.train.Checkpoint(**{key: variables(network) for key, network in stored.items()})
    try:
        holder.restore(path).assert_existing_objects_matched().expect_partial()
    except NOT_RESTORED as error:
        others = ", ".join(
            str(step)
            for step in steps(run.directory / DIRECTORY)
            if path != path_of(run.directory / DIRECTORY, step)
        )
        raise RunError(
            f"{path}: damaged ({str(error).splitlines()[0]}); choose another --checkpoint: "
            f"{others or 'none is left'}"
        ) from error
    return networks


def load_generator(run: Run, which: str, direction: str) -> Generator:
    """The generator of one direction; see `load_networks`."""
    network = load_networks(run, which, (f"gen_{direction}",))[f"gen_{direction}"]
    assert isinstance(network, Generator)
    return network
