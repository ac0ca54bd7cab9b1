"""Checkpoints: all training state in one, restored whole or not at all."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcyclegan.errors import RunError, UserError
from tfcyclegan.methods.cyclegan import CycleGAN
from tfcyclegan.networks import Discriminator, Generator, make_generator
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
from tfcyclegan.training.history import Window
from tfcyclegan.training.runs import Run
from tfcyclegan.training.workers import Workers

NETWORKS = ("gen_ab", "gen_ba", "disc_a", "disc_b")


def variables(owner: keras.Model | keras.optimizers.Optimizer) -> list[tf.Variable]:
    """All variables of a network or optimizer, in the order in which they were made, for
    `tf.train.Checkpoint`.

    Not the object itself: TensorFlow does not look into the lists that Keras 3 keeps layers in, and
    would save and restore
    a network by halves without a word.
    """
    return [variable.value for variable in owner.variables]


def weights_hash(network: keras.Model) -> str:
    """A hash of the weights' values, SHA-256 in hexadecimal."""
    return files.sha256_of_bytes(
        b"".join(np.ascontiguousarray(weight).tobytes() for weight in network.get_weights())
    )


class Checkpoints:
    """Saves and restores the state of a training.

    Args:
        directory: of the checkpoints.
        model: the compiled model with its pools.
        window: the values since the last history line.
        keep: latest checkpoints kept.
        workers: None for one process by itself. Of several the chief saves and all restore; the
            pools of each of the others are in a folder of its own, `worker-1` and so on.

    Attributes:
        latest_step: of the newest whole checkpoint, the same on all workers; None before the first.
    """

    def __init__(
        self,
        directory: Path,
        model: CycleGAN,
        window: Window,
        *,
        keep: int,
        workers: Workers | None = None,
    ):
        self._directory, self._model, self._window = directory, model, window
        self._workers = workers or Workers(model.distribute_strategy)
        if self._workers.is_chief:
            self._checkpoint = self._state(len(model.pools_a))
            self._files = CheckpointFiles(self._checkpoint, directory, keep=keep)
            self._best = CheckpointFiles(self._checkpoint, directory / BEST, keep=1)
        else:
            self._checkpoint = tf.train.Checkpoint(
                pools_a=list(model.pools_a), pools_b=list(model.pools_b)
            )
            # One more than the chief keeps: a step whose checkpoint the chief could not finish any
            #     more.
            own = directory / f"worker-{self._workers.index}"
            self._files = CheckpointFiles(self._checkpoint, own, keep=keep + 1)
        newest_path = self._files.latest
        step = self._workers.from_chief(step_of(newest_path) if newest_path else -1)
        self.latest_step: int | None = step if step >= 0 else None

    def _state(self, pools: int) -> tf.train.Checkpoint:
        model = self._model
        networks = {name: getattr(model, name) for name in NETWORKS}
        averages = {f"average_{name}": average for name, average in vars(model.averages).items()}
        return tf.train.Checkpoint(
            **{name: variables(network) for name, network in (networks | averages).items()},
            generator_optimizer=variables(model.generator_optimizer),
            discriminator_optimizer=variables(model.discriminator_optimizer),
            step=model.step.value,
            pools_a=model.pools_a[:pools],
            pools_b=model.pools_b[:pools],
            window=self._window,
        )

    def save(self) -> None:
        step = int(self._model.step.numpy())
        if not self._workers.is_chief:
            self._files.save(step)
        # the chief's comes last, so that it is never there without the others' pools
        self._workers.wait()
        if self._workers.is_chief:
            self._window.store()
            self._files.save(step)
        self.latest_step = step

    def save_best(self) -> None:
        """Keeps the present state beside the latest ones, in place of the best before."""
        self._window.store()
        self._best.save(int(self._model.step.numpy()))

    def restore_latest(self) -> list[str]:
        """Restores the latest checkpoint, if there is one.

        Returns:
            Lines to tell the user: damaged checkpoints that were passed over, pools that a changed
                number of devices left empty.

        Raises:
            RunError: it is not this model's.
        """
        if self.latest_step is None:
            return self._files.told
        path = path_of(self._directory, self.latest_step)
        if not self._workers.is_chief:
            return self._files.told + self._restore_beside_chief(path)
        stored = len(
            {
                name
                for name, _ in tf.train.list_variables(path)
                if name.startswith("pools_a/") and "/count/" in name
            }
        )
        here = len(self._model.pools_a)
        try:
            if stored == here:
                self._checkpoint.restore(path).assert_consumed()
            else:
                self._state(min(stored, here)).restore(
                    path
                ).assert_existing_objects_matched().expect_partial()
        except NOT_RESTORED as error:
            raise RunError(
                f"{path}: of another model ({str(error).splitlines()[0]}); choose another --run_dir"
            ) from error
        self._window.load()
        what = "new devices start empty" if here > stored else "devices that are gone are left out"
        changed = (
            [f"{here} devices now, {stored} before: the image pools of {what}"]
            if stored != here
            else []
        )
        return self._files.told + changed

    def _restore_beside_chief(self, path: str) -> list[str]:
        """Takes all but the pools from the chief's checkpoint, and the pools of the same step from
        this worker's own.
        """
        index = self._workers.index
        if not Path(f"{path}.index").exists():
            raise RunError(
                f"{path}: worker {index} does not see it; --run_dir must be on a file system that "
                "all workers share"
            )
        try:
            self._state(0).restore(path).assert_existing_objects_matched().expect_partial()
            own = path_of(self._directory / f"worker-{index}", step_of(path))
            if not Path(f"{own}.index").exists():
                return (
                    [f"worker {index} has no image pools of step {step_of(path)}: they start empty"]
                    if self._model.pools_a
                    else []
                )
            self._checkpoint.restore(own).assert_existing_objects_matched().expect_partial()
        except NOT_RESTORED as error:
            raise RunError(
                f"{path}: of another model ({str(error).splitlines()[0]}); choose another --run_dir"
            ) from error
        return []


def find_checkpoint(run_dir: Path, which: str) -> str:
    """The path of a run's checkpoint, as TensorFlow wants it.

    Args:
        run_dir: the run directory.
        which: "latest", "best" or a step.

    Raises:
        UserError: there is no such checkpoint; those that exist are named.
        RunError: the latest one is gone.
    """
    directory = run_dir / DIRECTORY
    if which == "best":
        best = newest(directory / BEST)
        if best is None:
            raise UserError(
                "--checkpoint=best: this run measured none yet; use --checkpoint=latest"
            )
        return best
    if which == "latest":
        latest = newest(directory)
        if latest is None:
            raise UserError(f"--run_dir={run_dir}: no checkpoint yet")
        if (gone := lost(directory)) is not None:
            raise RunError(
                f"{gone}: gone; restore it, or choose another --checkpoint: "
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
    """Says so where the checkpoint is from before the first step of a training that began with
    random weights.
    """
    if (
        run.config.data_dir
        and not run.config.init_from
        and not step_of(find_checkpoint(run.directory, checkpoint))
    ):
        log(
            f"{run.directory}: its checkpoint is of step 0: these are random weights, which were "
            "not trained; train goes on with the run"
        )


def told_choice(run_dir: Path, which: str) -> str:
    """Which checkpoint "latest", "best" or a step is, in words; with the one that measured best
    where the latest is another.

    Raises:
        UserError, RunError: see `find_checkpoint`.
    """
    name = Path(find_checkpoint(run_dir, which)).name
    if which != "latest":
        return name
    best = newest(run_dir / DIRECTORY / BEST)
    other = (
        f"; {Path(best).name} measured best, --checkpoint=best takes it"
        if best and Path(best).name != name
        else ""
    )
    return f"{name}, the latest{other}"


def generator_settings(config: Any, direction: str) -> dict[str, Any]:
    """Arguments of `make_generator` for one direction of a run."""
    if config.generator.endswith(".json"):
        return {}  # the graph says it all
    channels = config.channels_a, config.channels_b
    settings = {
        "base_filters": config.base_filters,
        "in_channels": channels[0] if direction == "ab" else channels[1],
        "out_channels": channels[1] if direction == "ab" else channels[0],
        "norm": config.norm,
        "dropout": config.dropout,
        "init": config.init,
        "init_gain": config.init_gain,
    }
    resnet_only = {"upsampling": config.upsampling, "padding_mode": config.generator_padding}
    return settings | (resnet_only if config.generator.startswith("resnet") else {})


def discriminator_settings(config: Any, domain: str) -> dict[str, Any]:
    """Arguments of `Discriminator` for the images of one domain of a run."""
    return {
        "architecture": config.discriminator,
        "layers": config.discriminator_layers,
        "base_filters": config.discriminator_filters,
        "in_channels": config.channels_a if domain == "a" else config.channels_b,
        "norm": config.norm,
        "padding_mode": config.discriminator_padding,
        "init": config.init,
        "init_gain": config.init_gain,
    }


def load_networks(
    run: Run, which: str, names: tuple[str, ...]
) -> dict[str, Generator | Discriminator]:
    """Networks of a run in float32 with the weights of a checkpoint; the running mean of generators
    where the run has one.

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
    path = find_checkpoint(run.directory, which)
    networks: dict[str, Generator | Discriminator] = {}
    for name in names:
        direction = name.partition("_")[2]
        if name.startswith("gen"):
            networks[name] = make_generator(
                run.config.architecture,
                **generator_settings(run.config, direction),
                dtype="float32",
            )
        else:
            networks[name] = Discriminator(
                **discriminator_settings(run.config, direction), dtype="float32"
            )
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
