"""Commands in processes of their own that find TensorFlow imported already: they are forked from a
process that has done it, once a test worker. What a fresh interpreter does is tested without it.
"""

import contextlib
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.conftest import ROOT


class Process:
    """A running command: what the tests need of `subprocess.Popen`, whose methods these are."""

    def __init__(self, process: BaseProcess, directory: Path):
        self._process, self._directory = process, directory

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def send_signal(self, number: int) -> None:
        os.kill(self._process.pid, number)

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("forked command", timeout or 0.0)
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        self.wait(timeout)
        out, err = ((self._directory / name).read_text() for name in ("out", "err"))
        return out, err


@contextlib.contextmanager
def started(
    arguments: Sequence[str], *, cwd: Path = ROOT, env: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """A command while the block lasts, after which it is killed.

    Args:
        arguments: as of `subprocess.Popen`: this Python, then "-m" and a module or "-c" and code,
            then the program's own arguments.
        cwd: its working directory.
        env: its environment; None: this process's.
    """
    assert arguments[0] == sys.executable
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.preloaded"])
    with tempfile.TemporaryDirectory() as directory:
        environment = dict(os.environ if env is None else env)
        process = context.Process(
            target=_become, args=(list(arguments[1:]), str(cwd), environment, directory)
        )
        process.start()
        try:
            yield Process(process, Path(directory))
        finally:
            process.kill()
            process.join()


def run(
    arguments: Sequence[str], *, cwd: Path = ROOT, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run` with captured text."""
    with started(arguments, cwd=cwd, env=env) as process:
        out, err = process.communicate()
        return subprocess.CompletedProcess(list(arguments), process.wait(), out, err)


def _become(arguments: list[str], cwd: str, environment: dict[str, str], directory: str) -> None:
    """What a forked process does: it runs a command as a fresh Python would."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    for number, name in ((1, "out"), (2, "err")):
        descriptor = os.open(f"{directory}/{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, number)
        os.close(descriptor)
    kind, what, *rest = arguments
    sys.argv = [what if kind == "-m" else kind, *rest]
    if kind == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
