"""Devices, memory and arithmetic: the replicas that train, memory allocation, and precision."""

import ctypes
import os
import platform

import keras
import tensorflow as tf

from tfcyclegan.errors import UserError
from tfcyclegan.system import hardware

# Options of glibc's mallopt (malloc.h): return nothing to the kernel, grow by 64 MB, map only
# blocks above 1 GB separately.
_MALLOC_OPTIONS = {
    "M_TRIM_THRESHOLD": (-1, -1),
    "M_TOP_PAD": (-2, 64 * 2**20),
    "M_MMAP_THRESHOLD": (-3, 2**30),
}
_MALLOC_VARIABLES = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")


def keep_freed_memory() -> bool:
    """Makes this process keep freed memory for the next step; returns whether it does.

    By default glibc returns the memory of large tensors to the kernel and maps it again, zeroed
    page by page, hundreds of thousands of times a second: a tenth of the time of a training step on
    one machine, half of it on another (docs/performance.md). Does nothing if the user has chosen an
    allocator or its settings, or without glibc.
    """
    if platform.libc_ver()[0] != "glibc" or any(
        name.startswith(_MALLOC_VARIABLES) for name in os.environ
    ):
        return False
    libc = ctypes.CDLL(None)
    return all(libc.mallopt(option, value) for option, value in _MALLOC_OPTIONS.values())


def make_strategy(devices: int | None) -> tf.distribute.MirroredStrategy:
    """A MirroredStrategy over all GPUs, `devices` of them, or the CPU.

    Args:
        devices: number of GPUs or, if there is no GPU, of logical CPUs into which to split the CPU.
            None means all GPUs, or one CPU.

    Raises:
        UserError: there are fewer GPUs, or TensorFlow has already been used with another number of
            CPUs.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        if devices is not None and devices > len(gpus):
            raise UserError(f"--devices={devices}: this machine has {len(gpus)} GPUs")
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
        return tf.distribute.MirroredStrategy(
            [f"GPU:{index}" for index in range(devices or len(gpus))]
        )
    if devices is not None and devices > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        try:
            tf.config.set_logical_device_configuration(
                cpu, [tf.config.LogicalDeviceConfiguration()] * devices
            )
        except RuntimeError as error:
            if len(tf.config.list_logical_devices("CPU")) < devices:
                raise UserError(
                    f"--devices={devices}: TensorFlow is already running with fewer CPU devices"
                ) from error
    return tf.distribute.MirroredStrategy([f"CPU:{index}" for index in range(devices or 1)])


def choose_precision(precision: str) -> str:
    """Resolves "auto": bfloat16 if all devices multiply it fast (AVX-512 BF16 or AMX; GPUs from
    Ampere on), otherwise float32.
    """
    if precision != "auto":
        return precision
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        capabilities = [
            tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0))
            for gpu in gpus
        ]
        return "mixed_bfloat16" if min(capabilities) >= (8, 0) else "float32"
    return "mixed_bfloat16" if hardware.cpu_flags() & {"avx512_bf16", "amx_bf16"} else "float32"


def cost_of(precision: str) -> str | None:
    """How much slower `precision` is on this machine, in words; None if no slowdown is known."""
    flags = hardware.cpu_flags()
    slow = (
        flags
        and not any(flag.startswith(("avx512", "amx")) for flag in flags)
        and not tf.config.list_physical_devices("GPU")
    )
    if precision != "mixed_bfloat16" or not slow:
        return None
    return (
        "without AVX-512 gradients of convolutions take 7 to 16 times as long as in float32, "
        "of transposed ones 19 times"
    )


def make_deterministic(seed: int) -> None:
    """Makes every TensorFlow operation of this process reproducible bit by bit."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
