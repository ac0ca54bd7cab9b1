"""Steps of N replicas, each number of them in a process of its own: what `several_gpus` compares.

`noise` is the function that gives them pictures when no data are named.
"""

import json
import math
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.processes import memory
from tfcyclegan.errors import RunError, UserError

NOISE = "benchmarks.replica_steps:noise"
_NOISE_PICTURES, _NOISE_SIDE = 16, 256
_WARM_STEPS = 3  # of which the first traces the step
_EXCHANGES = 20
# of `compared_step`
_SIDE, _BLOCKS, _FILTERS = 64, 1, 8


@dataclass(frozen=True)
class Job:
    """The steps of one number of replicas.

    Attributes:
        replicas: number of devices, each with a replica.
        logical: whether these are logical devices of the CPU, whatever GPUs there are.
        height: height of the crops.
        width: width of the crops.
        batch: pictures of each domain per step and **replica**.
        blocks: residual blocks.
        filters: filters of the first convolutions.
        steps: number of timed steps.
        precision: as of `tfcyclegan train`.
        data_dir: as of `tfcyclegan train`.
        cache_dir: folder of the resized pixels, for all numbers of replicas.
        compared: pictures of `compared_step`, a multiple of `replicas`.
        kept: the .npz file into which that step goes.
    """

    replicas: int
    logical: bool
    height: int
    width: int
    batch: int
    blocks: int
    filters: int
    steps: int
    precision: str
    data_dir: str
    cache_dir: str
    compared: int
    kept: str


def noise(split: str) -> np.ndarray | None:
    """Training pictures of two domains, uint8 [16, 256, 256, 3]; nothing for other splits."""
    if split not in ("trainA", "trainB"):
        return None
    random = np.random.default_rng(split == "trainB")
    return random.integers(0, 256, (_NOISE_PICTURES, _NOISE_SIDE, _NOISE_SIDE, 3), np.uint8)


def measure(job: Job) -> dict[str, Any]:
    """Trains for some steps as `tfcyclegan train` does, and compares one of small networks.

    Returns:
        The seconds of each step and those of it that the step's pictures were waited for; the
        seconds in which all gradients are exchanged and nothing else is done, for several replicas;
        peak bytes of each device, as far as TensorFlow knows it, and of the process; whether all
        devices have the same weights, to the bit; and the devices' names and the precision.

    Raises:
        UserError: the data or devices are not there.
    """
    if job.logical:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    from tfcyclegan.system import tensorflow_setup

    tensorflow_setup.import_tensorflow()
    import tensorflow as tf

    from tfcyclegan.data.domains import open_domains
    from tfcyclegan.training.batches import open_batches, with_channels
    from tfcyclegan.training.strategy import choose_precision, keep_freed_memory, make_strategy

    keep_freed_memory()
    strategy = make_strategy(job.replicas)
    domains = open_domains(job.data_dir)
    config = with_channels(_config(job), domains)
    batches, _ = open_batches(config, domains)
    precision = choose_precision(config.precision)
    model = _model(config, precision, strategy, batches.gaps)
    seconds, waited = _train(job, model, strategy, batches)
    gpus = [] if job.logical else tf.config.list_physical_devices("GPU")[: job.replicas]
    return {  # in this order, so that the peaks are those of training alone
        "seconds": seconds,
        "waited_seconds": waited,
        "device_peak_bytes": [
            tf.config.experimental.get_memory_info(f"GPU:{number}")["peak"]
            for number in range(len(gpus))
        ],
        "peak_bytes": memory("VmHWM"),
        "exchange_seconds": _exchange(model, strategy) if job.replicas > 1 else None,
        "exchanged_bytes": 4 * sum(math.prod(each.shape) for each in _variables(model)),
        "same_weights": _same_weights(model, strategy),
        "devices": [
            tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus
        ],
        "precision": precision,
        "skipped": _keep_compared_step(job, strategy),
    }


def _config(job: Job, **changes: Any) -> Any:
    from tfcyclegan.config import Size, TrainConfig

    options = {
        "data_dir": job.data_dir,
        "run_dir": "none",
        "cache_dir": job.cache_dir,
        "crop_size": Size(job.height, job.width),
        # by which the official program enlarges 256 to 286
        "load_size": Size(*(round(side * 286 / 256) for side in (job.height, job.width))),
        "residual_blocks": job.blocks,
        "base_filters": job.filters,
        "discriminator_filters": job.filters,
        "batch_size": job.batch * job.replicas,
        "max_steps": _WARM_STEPS + job.steps,
        "precision": job.precision,
    }
    return TrainConfig(**options | changes)


def _model(config: Any, precision: str, strategy: Any, gaps: bool = False) -> Any:
    from tfcyclegan.methods.factory import build_model
    from tfcyclegan.training.trainer import make_optimizer

    half = precision == "mixed_float16"
    length = config.length(1000)
    with strategy.scope():
        model = build_model(config, precision, gaps=gaps)
        model.compile(*(make_optimizer(config, length, 1000, dynamic_scale=half) for _ in "ab"))
    side = (config.crop_size.height, config.crop_size.width)
    model.make_pools((*side, config.channels_of("a")), (*side, config.channels_of("b")))
    return model


def _train(job: Job, model: Any, strategy: Any, batches: Any) -> tuple[list[float], list[float]]:
    """The seconds of each step, and of waiting for its pictures."""
    import tensorflow as tf

    from tfcyclegan.training.trainer import step_function

    total, parts = _WARM_STEPS + job.steps, job.replicas
    shares = batches.dataset(0, total, parts=parts, own=range(parts))
    stream = iter(strategy.distribute_datasets_from_function(lambda _: shares))
    step, goes_on, pending = step_function(model, strategy), tf.constant(False), None
    seconds, waited = [], []
    for _ in range(total):
        started = time.perf_counter()
        with batches.failures_told():
            batch = next(stream)
        waited.append(time.perf_counter() - started)
        values = step(batch, goes_on)
        # one step late, as training reads them
        if pending is not None:
            pending.numpy()
        pending = values
        seconds.append(time.perf_counter() - started)
    pending.numpy()
    return seconds[_WARM_STEPS:], waited[_WARM_STEPS:]


def _variables(model: Any) -> list[Any]:
    return [*model.generator_variables, *model.discriminator_variables]


def _exchange(model: Any, strategy: Any) -> list[float]:
    """The seconds in which replicas sum tensors of the gradients' shapes, in the two groups of a
    step.
    """
    import tensorflow as tf

    groups = model.generator_variables, model.discriminator_variables

    def replica_sums() -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        summed = [
            each
            for group in groups
            for each in context.all_reduce(
                tf.distribute.ReduceOp.SUM, [tf.identity(variable.value) for variable in group]
            )
        ]
        return tf.add_n([tf.reshape(each, [-1])[0] for each in summed])

    @tf.function(autograph=False)
    def exchange() -> tf.Tensor:
        return strategy.reduce(
            tf.distribute.ReduceOp.SUM, strategy.run(replica_sums, args=()), axis=None
        )

    seconds = []
    for _ in range(_WARM_STEPS + _EXCHANGES):
        started = time.perf_counter()
        exchange().numpy()
        seconds.append(time.perf_counter() - started)
    return seconds[_WARM_STEPS:]


def _same_weights(model: Any, strategy: Any) -> bool:
    copies = [
        [copy.numpy() for copy in strategy.experimental_local_results(weight.value)]
        for network in model.networks.values()
        for weight in network.trainable_variables
    ]
    return all(np.array_equal(first, other) for first, *others in copies for other in others)


def _keep_compared_step(job: Job, strategy: Any) -> bool:
    """Does one step of small networks on the same batch whatever the number of replicas, without
    pools, whose draws follow from the replica, and keeps its losses and the gradients of all
    kernels; returns whether the step was skipped. Biases are left out: instance norm removes those
    before it, so their gradients are rounding errors.
    """
    import tensorflow as tf

    from tfcyclegan.config import Size
    from tfcyclegan.training.trainer import step_function

    tf.config.experimental.enable_tensor_float_32_execution(False)
    config = _config(
        job,
        crop_size=Size(_SIDE, _SIDE),
        load_size=Size(_SIDE, _SIDE),
        residual_blocks=_BLOCKS,
        base_filters=_FILTERS,
        discriminator_filters=_FILTERS,
        batch_size=job.compared,
        pool_size=0,
    )
    model = _model(config, "float32", strategy)
    random = np.random.default_rng(0)
    shape = (job.compared, _SIDE, _SIDE, 3)
    shares = [np.split(random.uniform(-1, 1, shape).astype(np.float32), job.replicas) for _ in "ab"]
    batch = strategy.experimental_distribute_values_from_function(
        lambda context: tuple(
            tf.constant(share[context.replica_id_in_sync_group]) for share in shares
        )
    )
    *values, _ = step_function(model, strategy)(batch, tf.constant(False)).numpy()
    losses = dict(zip(model.reported, map(float, values), strict=True))
    # after one step the first moment is the gradient times 1 - beta_1
    optimizers = model.generator_optimizer, model.discriminator_optimizer
    moments = [moment.numpy() for each in optimizers for moment in each._momentums]
    kernels = {f"{number}": moment for number, moment in enumerate(moments) if moment.ndim == 4}
    kept = [losses[name] for name in model.loss_names]
    np.savez(Path(job.kept), losses=np.array(kept), **kernels)
    return bool(losses["skipped"])


def main(words: list[str]) -> None:
    """Prints what `measure` returns as the last line, or {"refused": why it cannot be done}."""
    job = Job(**json.loads(words[0]))
    try:
        found = measure(job)
    except (UserError, RunError) as error:
        found = {"refused": str(error)}
    except Exception as error:
        if type(error).__name__ != "ResourceExhaustedError":  # of TensorFlow, if it is there yet
            raise
        told = "memory is exhausted; lower --batch, --size or --filters"
        found = {"refused": f"{job.replicas} replicas: {told}"}
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
