"""This machine's hardware, read from the system; imports no TensorFlow. If the system does not
provide an answer, it is empty or None.
"""

import os
import platform
import shutil
from pathlib import Path
from typing import NamedTuple

_CPUINFO = Path("/proc/cpuinfo")
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


class Room(NamedTuple):
    """Free and total bytes of memory or of a disk."""

    free: int
    total: int


def processor() -> str:
    """The processor's name."""
    return _of_cpuinfo("model name") or platform.processor() or platform.machine()


def cpu_flags() -> set[str]:
    """Instruction sets by Linux's names, such as "avx512_bf16"."""
    return set(_of_cpuinfo("flags").split())


def cores() -> int:
    """Number of cores that this process may use, which TensorFlow also uses."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> Room | None:
    """Memory available without swapping, and total memory, within the limits of a container."""
    sizes = {
        name: int(value.split()[0]) * 1024
        for name, _, value in (line.partition(":") for line in _lines(_MEMINFO))
    }
    if "MemAvailable" not in sizes:
        return None
    free, total = sizes["MemAvailable"], sizes["MemTotal"]
    limit, used = ("".join(_lines(_CGROUP / name)) for name in ("memory.max", "memory.current"))
    if limit.isdigit() and used.isdigit():
        needed = max(int(used) - _cached_files(), 0)
        free, total = min(free, int(limit) - needed), min(total, int(limit))
    return Room(free, total)


def disk(path: Path) -> Room:
    """The disk that holds `path`, or would hold it."""
    there = next(place for place in (path.resolve(), *path.resolve().parents) if place.exists())
    usage = shutil.disk_usage(there)
    return Room(usage.free, usage.total)


def _cached_files() -> int:
    """Bytes of a container's used memory that only hold files not read lately: the kernel frees
    them on demand, so `docker stats` and Kubernetes subtract them, too.
    """
    fields = (line.split() for line in _lines(_CGROUP / "memory.stat"))
    return next((int(value) for name, value in fields if name == "inactive_file"), 0)


def _of_cpuinfo(name: str) -> str:
    return next(
        (line.partition(":")[2].strip() for line in _lines(_CPUINFO) if line.startswith(name)), ""
    )


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
