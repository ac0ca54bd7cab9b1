"""Runs programs in separate processes, so that each has its own peak of memory and start time."""

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
    """The last line printed by `python -m module ARGUMENT FLAGS`; argument and result are JSON.
    `launcher` is put before the command.

    Raises:
        SystemExit: it failed; the message is the end of its output.
    """
    command = [*launcher.split(), sys.executable, "-m", module, json.dumps(argument), *flags]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{argument}: exit code {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


@dataclass(frozen=True)
class Finished:
    """A command that succeeded: its output, run time, processor time and peak memory."""

    output: str
    seconds: float
    processor_seconds: float
    peak_bytes: int


class Command:
    """A running command; `finish` waits for it, `kill` does not."""

    def __init__(self, words: Sequence[str]):
        self._words, self._started = words, time.perf_counter()
        self._process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    @property
    def seconds(self) -> float:
        """Seconds since its start."""
        return time.perf_counter() - self._started

    def runs(self) -> bool:
        # not by waiting, which would take the memory's peak away
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def kill(self) -> int:
        """Ends it by SIGKILL; returns its peak memory in bytes."""
        self._process.kill()
        _, status, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        return usage.ru_maxrss * 1024

    def finish(self) -> Finished:
        """Waits for the end; raises SystemExit with the end of its output if it failed."""
        assert self._process.stdout is not None
        output = self._process.stdout.read()
        _, status, usage = os.wait4(self._process.pid, 0)
        seconds = self.seconds
        self._process.returncode = os.waitstatus_to_exitcode(status)
        if self._process.returncode:
            raise SystemExit(
                f"{' '.join(self._words)}: exit code {self._process.returncode}: {output[-2000:]}"
            )
        processor_seconds = usage.ru_utime + usage.ru_stime
        return Finished(output, seconds, processor_seconds, usage.ru_maxrss * 1024)


def memory(name: str) -> int:
    """Bytes of this process from /proc/self/status: VmRSS is what it holds now, VmHWM its peak,
    RssAnon what it holds without files.

    `ru_maxrss` is not used, because a process inherits it from its parent.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def seconds_since_start() -> float:
    """Age of this process."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return float(Path("/proc/uptime").read_text().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")
