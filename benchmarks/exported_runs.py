"""Packs a run that `tfcyclegan train` began, so that JAX can go on with it, and takes the result
back into its directory.

Needs TensorFlow; `exported_training` trains in between. What of a run's options is not exported is
refused by `require_exportable`.
"""

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks import exported_step
from benchmarks.exported_training import (
    ALL,
    HALF,
    OPTIMIZERS,
    POOLS,
    WEIGHTS,
    WINDOW,
    drawn,
    joined,
)
from tfcyclegan import flags
from tfcyclegan.config import Size, TrainConfig
from tfcyclegan.config.methods import default_of
from tfcyclegan.config.networks import NetworkOptions
from tfcyclegan.config.training import ObjectiveOptions
from tfcyclegan.data.batches import Batches
from tfcyclegan.data.domains import open_domains
from tfcyclegan.data.pixels import Pixels
from tfcyclegan.errors import UserError
from tfcyclegan.methods.base import Method
from tfcyclegan.methods.factory import build_model
from tfcyclegan.system import files
from tfcyclegan.system.progress import log
from tfcyclegan.training.batches import open_batches
from tfcyclegan.training.checkpoint_files import DIRECTORY, CheckpointFiles
from tfcyclegan.training.checkpoints import Checkpoints, variables
from tfcyclegan.training.history import HISTORY, History, Window
from tfcyclegan.training.run_page import write_report
from tfcyclegan.training.runs import (
    FLAG_FILE,
    Run,
    check_resumable,
    config_from_dict,
    config_to_dict,
    read_run,
    write_run,
)
from tfcyclegan.training.trainer import make_optimizer

_SAME_IN_PYTORCH = {
    *("generator", "residual_blocks", "base_filters", "discriminator_filters"),
    *("pool_size", "channels_a", "channels_b"),
}


def values_of(model: Method, values: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """What `model.train_step` returned as one tensor, in the order of `model.reported`."""
    return tf.stack([values[name] for name in model.reported])


def lowered_step(
    model: Method, batch: int, size: Size, channels: Sequence[int]
) -> tuple[exported_step.Program, list[str]]:
    """A model's step, and the names of its state in the order of the program.

    It is given pictures of a and b and, with pools, their draws: XLA makes other floats of the same
    random bits than TensorFlow's own kernels (findings/tf_stateless_floats_under_xla.sh).
    """
    sides, kind = [batch, size.height, size.width], model._kind
    given = [tf.zeros([*sides, count], kind) for count in channels]
    if model.pool_size:
        given += [tf.zeros([2, batch]), tf.zeros([2, batch], tf.int64)]

    def step(real_a: tf.Tensor, real_b: tf.Tensor, *draws: tf.Tensor) -> tf.Tensor:
        model._pool_draws = lambda _, domain, *__: (draws[0][domain], draws[1][domain])
        return values_of(model, model.train_step((real_a, real_b)))

    usual = model._pool_draws
    program, handles = exported_step.lower(step, *given)
    model._pool_draws = usual
    names = {id(variable.handle): name for name, variable in state_of(model).items()}
    return program, [names[id(handle)] for handle in handles]


def draws_of(model: Method, batch: int, first_step: int, end_step: int) -> dict[str, np.ndarray]:
    """The pools' draws from `first_step` to `end_step` - 1: chances [steps, 2, B] and slots
    [steps, 2, B]; none without pools.
    """
    if not model.pool_size:
        return {}

    @tf.function(autograph=False)
    def both(step: tf.Tensor) -> list[tf.Tensor]:
        drawn = [model._pool_draws(step, domain, tf.constant(0), batch) for domain in range(2)]
        return [tf.stack(each) for each in zip(*drawn, strict=True)]

    made = [both(tf.constant(step, tf.int64)) for step in range(first_step, end_step)]
    chances, slots = (np.stack(each) for each in zip(*made, strict=True))
    return {"chances": chances, "slots": slots}


def state_of(model: Method) -> dict[str, tf.Variable]:
    """All variables of a training by name, such as "gen_ab/0" and "pools_a/images"."""
    averages = {f"average_{name}": average for name, average in model.averages.items()}
    optimizers = dict(
        zip(OPTIMIZERS, (model.generator_optimizer, model.discriminator_optimizer), strict=True)
    )
    state = {
        f"{name}/{number}": variable
        for name, owner in (model.networks | averages | optimizers).items()
        for number, variable in enumerate(variables(owner))
    }
    for name, (pool,) in zip(POOLS, model.pools.values(), strict=True) if model.pool_size else ():
        state |= {f"{name}/images": pool.images, f"{name}/count": pool.count}
    return {**state, "step": model.step.value}


def require_exportable(run: Run, batches: Batches) -> None:
    """Raises UserError for options whose batches or steps are not exported."""
    config, one_size = run.config, batches.size_a and batches.size_a == batches.size_b
    for flag, given in (
        (f"--method={config.method}", config.method != "cyclegan"),
        (f"--generator={config.generator}", not config.is_resnet),
        (f"--precision={run.precision}", run.precision == "mixed_float16"),
        (f"--segmenter={config.segmenter}", config.segmenter),
        (f"--lambda_paired={config.lambda_paired:g}", config.lambda_paired),
        (f"--cycle_noise={config.cycle_noise:g}", config.cycle_noise),
        ("--dropout", config.dropout),
        (f"--colour_jitter={config.colour_jitter:g}", config.colour_jitter),
        (f"--decay_load_size={config.decay_load_size}", batches.decaying),
        (f"--labels_{min(config.onehot, default='a')}=onehot", config.onehot),
        (f"--data_dir={config.data_dir}", batches.pixels_a.values or batches.pixels_b.values),
        (f"--preprocess={config.preprocess}", not one_size),
    ):
        if given:
            raise UserError(
                f"{flag}: is not exported; only CycleGAN on unpaired 8-bit pictures is, with crops "
                "and mirroring, in float32 or mixed_bfloat16"
            )


def built(run: Run, size: Size, epoch_images: int) -> tuple[Method, Checkpoints, Window]:
    """The model of a run as its training builds it, with initial weights."""
    config = run.config
    model, length = build_model(config, run.precision), config.length(epoch_images)
    model.compile(
        *(make_optimizer(config, length, epoch_images, dynamic_scale=False) for _ in OPTIMIZERS),
        accumulate_steps=config.accumulate_steps,
    )
    shapes = [(size.height, size.width, config.channels_of(domain)) for domain in "ab"]
    model.make_pools(*shapes)
    window = Window(len(model.reported))
    place, kept = run.directory / DIRECTORY, config.keep_checkpoints
    return model, Checkpoints(place, model, window, keep=kept), window


class _Places:
    """Stands in for pictures: each pixel is its own row and column.

    Attributes:
        index: the picture that was asked for last.
    """

    def __init__(self, sizes: np.ndarray):
        self._sizes, self.index = sizes, 0

    def __getitem__(self, index: int) -> np.ndarray:
        self.index = index
        return _positions(*map(int, self._sizes[index]))


@functools.lru_cache(maxsize=4)
def _positions(height: int, width: int) -> np.ndarray:
    return np.stack(np.mgrid[:height, :width], axis=-1).astype(np.int32)


def windows_of(batches: Batches, first_step: int, end_step: int) -> list[np.ndarray]:
    """What a training sees from `first_step` to `end_step` - 1, as windows of its pictures.

    Returns:
        int32 [steps, B, 7] for domains a and b, see `exported_training.cut`.
    """
    places = [_Places(pixels.sizes) for pixels in (batches.pixels_a, batches.pixels_b)]
    count = (end_step - first_step) * batches.batch_size
    tables = [np.empty((count, WINDOW), np.int32) for _ in places]
    for row in range(count):
        shown = batches.sample(first_step * batches.batch_size + row, *places)
        for table, place, window in zip(tables, places, shown, strict=True):
            corner = window[0, 0]
            table[row] = place.index, *corner, *(window[1, 0] - corner), *(window[0, 1] - corner)
    return [table.reshape(-1, batches.batch_size, WINDOW) for table in tables]


def pictures_of(pixels: Pixels, windows: np.ndarray) -> np.ndarray:
    """The pictures that windows refer to, which are renumbered in place.

    Returns:
        uint8 [N, H, W, C]; smaller ones are filled up with zeros.
    """
    used, windows[..., 0] = np.unique(windows[..., 0], return_inverse=True)
    pictures = np.zeros((len(used), *pixels.sizes[used].max(axis=0), pixels.channels), np.uint8)
    for picture, index in zip(pictures, used, strict=True):
        height, width = pixels.sizes[index]
        picture[:height, :width] = pixels[int(index)]
    return pictures


def redraw(model: Method, seed: int) -> dict[str, Any]:
    """Draws the initial weights anew by NumPy, whose draws need not travel.

    Returns:
        By name, the arguments of `exported_training.drawn`.
    """
    draws: dict[str, Any] = {}
    for number, (name, variable) in enumerate(state_of(model).items()):
        values, source = variable.numpy(), name.removeprefix("average_")
        if name.split("/")[0] in (*OPTIMIZERS, *POOLS, "step") or not np.ptp(values):
            continue
        own = seed % 2**20 * 4096 + number, values.shape, float(values.mean()), float(values.std())
        draws[name] = draws.get(source, own)  # a running mean starts as its weight
        variable.assign(drawn(*draws[name]))
    return draws


def unlike_pytorch(config: TrainConfig) -> list[str]:
    """The options of a run that the PyTorch step which it is compared with does not have."""
    fields = [*dataclasses.fields(NetworkOptions), *dataclasses.fields(ObjectiveOptions)]
    others = {f.name for f in fields if getattr(config, f.name) != default_of(f, config.method)}
    unlike = sorted(others - _SAME_IN_PYTORCH)
    also = ("diffaugment", "discriminator_blur", "ema_decay")
    unlike += [name for name in also if getattr(config, name)]
    if config.discriminator_filters != config.base_filters:
        unlike.append("discriminator_filters")
    return unlike


def pack(
    run_dir: Path, output: Path, *, max_steps: int | None, precision: str, fresh: bool
) -> None:
    """Writes all that JAX needs to train a run from its latest checkpoint to its end.

    Args:
        run_dir: a run of CycleGAN with its data at hand.
        output: the .npz to write.
        max_steps, precision: replace those of the run, as when it is resumed.
        fresh: start over at step 0 from weights that NumPy draws, which need not travel.

    Raises:
        UserError: the run is finished, cannot be resumed so, or has options that are not exported.
    """
    before = read_run(run_dir)
    given = {"max_steps": max_steps, "precision": precision}
    config = dataclasses.replace(before.config, **{k: v for k, v in given.items() if v})
    domains = open_domains(config.data_dir, recipe=config.data_recipe)
    run = dataclasses.replace(
        before,
        config=config,
        precision=precision or before.precision,
        data_fingerprint=domains.fingerprint,
    )
    for line in check_resumable(before, run):
        log(line)
    batches, _ = open_batches(config, domains)
    require_exportable(run, batches)
    assert batches.size_a
    model, checkpoints, _ = built(run, batches.size_a, batches.epoch_images)
    told = [] if fresh else checkpoints.restore_latest()
    for line in told:
        log(line)
    redrawn = redraw(model, config.seed) if fresh else {}
    first, end = int(model.step.numpy()), config.length(batches.epoch_images).steps
    if first >= end:
        raise UserError(f"--run_dir={run_dir}: at step {first} of {end}; give a larger --max_steps")
    settings = exported_step.Settings(
        *(batches.size_a.height, batches.size_a.width, config.batch_size),
        *(config.block_count, config.base_filters, run.precision, config.pool_size),
    )
    channels = [config.channels_of(domain) for domain in "ab"]
    program, order = lowered_step(model, config.batch_size, batches.size_a, channels)
    draws = draws_of(model, config.batch_size, first, end)
    state = state_of(model)
    tables = windows_of(batches, first, end)
    pictures = [
        pictures_of(pixels, table)
        for pixels, table in zip((batches.pixels_a, batches.pixels_b), tables, strict=True)
    ]
    about = {
        "state": order,
        "drawn": redrawn,
        "draws": list(draws),
        "first_step": first,
        "fresh": fresh,
        "reported": model.reported,
        "epoch_images": batches.epoch_images,
        "options": config_to_dict(config),
        "precision": run.precision,
        "unlike_pytorch": unlike_pytorch(config),
    }
    arrays = {f"state/{name}": state[name].numpy() for name in order if name not in redrawn}
    for domain, shown, table in zip("ab", pictures, tables, strict=True):
        arrays |= {f"pictures_{domain}": shown, f"windows_{domain}": table}
    exported_step.write(output, settings, program, about=about, **arrays, **draws)
    size = output.stat().st_size / 2**20
    log(
        f"{output}: {size:.1f} MiB; steps {first} to {end} of {settings}, "
        f"{len(pictures[0])} and {len(pictures[1])} pictures, {len(order)} variables"
    )


def unpack(run_dir: Path, trained_dir: Path) -> None:
    """Takes what JAX trained into the run that was packed: its checkpoint, history and page.

    Raises:
        UserError: the run is not as it was when it was packed.
        RunError: the checkpoint cannot be written.
    """
    trained = joined(trained_dir)
    about = json.loads(str(trained["about"]))
    settings, first, bring = about["settings"], about["first_step"], about["bring"]
    config = config_from_dict(TrainConfig, {**about["options"], "run_dir": str(run_dir)})
    before = read_run(run_dir)
    run = dataclasses.replace(before, config=config, precision=about["precision"])
    with files.exclusive_lock(run_dir):
        check_resumable(before, run)
        size = Size(settings["height"], settings["width"])
        model, checkpoints, window = built(run, size, about["epoch_images"])
        if not about["fresh"]:
            checkpoints.restore_latest()
            if (here := int(model.step.numpy())) != first:
                raise UserError(f"--run_dir={run_dir}: at step {here}, but packed at step {first}")
        for name, variable in state_of(model).items():
            if name.split("/")[0] in POOLS and bring != ALL:
                variable.assign(tf.zeros_like(variable))
            if (value := trained.get(f"state/{name}")) is not None:
                variable.assign(value.astype(variable.dtype.as_numpy_dtype))
        write_run(run)
        files.write_text(run_dir / FLAG_FILE, flags.to_flag_file(config))
        _write_history(run, model, window, trained, about)
        last = int(model.step.numpy())
        if bring in (WEIGHTS, HALF):
            averages = {f"average_{name}": each for name, each in model.averages.items()}
            networks = (model.networks | averages).items()
            parts = {name: variables(network) for name, network in networks}
            checkpoint = tf.train.Checkpoint(**parts, step=model.step.value)
            place = CheckpointFiles(checkpoint, run_dir / DIRECTORY, keep=config.keep_checkpoints)
            place.save(last)
            log(
                f"--bring={bring}: step {last} has no optimizers and pools: translate, evaluate, "
                "export and train --init_from take it, but this run cannot be resumed from it"
            )
        else:
            checkpoints.save()
            checkpoints.wait()
            if bring != ALL:
                log(f"--bring={bring}: the image pools of step {last} are empty")
        log(f"{run_dir}: step {last}; report: {write_report(run_dir)}")


def _write_history(
    run: Run, model: Method, window: Window, trained: Mapping[str, Any], about: Mapping[str, Any]
) -> None:
    """The lines that the training would have written."""
    config, history = run.config, History(run.directory / HISTORY, resumed_step=about["first_step"])
    rows, seconds = trained["values"].astype(np.float64), trained["seconds"]
    last = about["first_step"] + len(rows)
    busy: list[float] = []
    for step, (row, spent) in enumerate(zip(rows, seconds, strict=True), about["first_step"] + 1):
        window.add(row)
        busy.append(spent)
        if step % config.log_every_steps and step != last:
            continue
        means = dict(zip(about["reported"], map(float, window.mean_and_reset()), strict=True))
        del means["skipped"]
        line = {
            "step": step,
            "epoch": step * config.batch_size / about["epoch_images"],
            "learning_rate": float(model.generator_optimizer._learning_rate(step - 1)),
        }
        rate = config.batch_size * len(busy) / sum(busy)
        history.append({**line, **means, "images_per_second": round(rate, 3)})
        busy.clear()
    history.sync()
    history.close()
