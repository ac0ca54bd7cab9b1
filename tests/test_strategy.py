"""What a process does with its memory. Each case is a process of its own, since an allocator's
settings cannot be taken back.
"""

import os
import platform
import sys

import pytest

from tests import processes

# Pages that 30 rounds of taking, filling and freeing 40 MB make the kernel map anew.
_COUNT = """
import ctypes, resource
from tfcyclegan.training.strategy import keep_freed_memory
kept = keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.memset.restype = ctypes.c_void_p
libc.malloc.argtypes, libc.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(30):
    place = libc.malloc(40 << 20)
    libc.memset(place, 1, 40 << 20)
    libc.free(place)
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
_ROUND = (40 << 20) // os.sysconf("SC_PAGE_SIZE")


def _count(**environment: str) -> tuple[bool, int]:
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD"))
    }
    done = processes.run([sys.executable, "-c", _COUNT], env={**own, **environment})
    assert done.returncode == 0, done.stderr
    kept, faults = done.stdout.split()
    return kept == "True", int(faults)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator than glibc's")
def test_freed_memory_is_mapped_once():
    kept, faults = _count()
    assert kept
    assert faults < 3 * _ROUND


def test_an_allocator_that_the_user_has_set_is_left_alone():
    assert _count(MALLOC_ARENA_MAX="8") == (False, pytest.approx(30 * _ROUND, rel=0.1))
