"""Measures programs in separate processes, so that each has its own peak of memory and start."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def run_apart(module: str, argument: Any, *, launcher: str = "", flags: Sequence[str] = ()) -> Any:
    """What `python -m module ARGUMENT FLAGS` prints last, both as JSON, with the words of
    `launcher` before the command.

    Raises:
        SystemExit: it failed, with the end of what it said.
    """
    command = [*launcher.split(), sys.executable, "-m", module, json.dumps(argument), *flags]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{argument}: exit code {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


@dataclass(frozen=True)
class Finished:
    """A command that has ended well: its output, how long it took and the most memory that it
    held.
    """

    output: str
    seconds: float
    peak_bytes: int


class Command:
    """A command that runs; `finish` waits for it."""

    def __init__(self, words: Sequence[str]):
        self._words, self._started = words, time.perf_counter()
        self._process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    @property
    def seconds(self) -> float:
        """Since its start."""
        return time.perf_counter() - self._started

    def runs(self) -> bool:
        # not by waiting, which would take the memory's peak away
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def finish(self) -> Finished:
        """Raises SystemExit where it failed, with the end of what it said."""
        assert self._process.stdout is not None
        output = self._process.stdout.read()
        _, status, usage = os.wait4(self._process.pid, 0)
        seconds = self.seconds
        self._process.returncode = os.waitstatus_to_exitcode(status)
        if self._process.returncode:
            raise SystemExit(
                f"{' '.join(self._words)}: exit code {self._process.returncode}: {output[-2000:]}"
            )
        return Finished(output, seconds, usage.ru_maxrss * 1024)


def memory(name: str) -> int:
    """Bytes of this process by /proc/self/status: VmRSS is what it holds, VmHWM the most that it
    ever held, RssAnon without files.

    Not `ru_maxrss`, which a process inherits from the one that started it.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def seconds_since_start() -> float:
    """How old this process is."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return float(Path("/proc/uptime").read_text().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")
