"""The ways in which `benchmarks.faults` disturbs a job: kills and signals at a random moment,
damaged files, a machine that refuses.
"""

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fault_jobs import CHECKPOINTS, ENVIRONMENT, TRAIN, Job

LONGEST_SECONDS = 1800  # the machine may stop everything for a while
FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
_GROUPS = Path("/sys/fs/cgroup/memory")
_PROGRESS = re.compile(r"\d+%|^\s*$")


@dataclass(frozen=True)
class End:
    """How a process ended.

    Attributes:
        code: its exit code, or minus the signal's number.
        printed: stdout.
        errors: the lines of stderr without the progress.
        finished: whether it had finished its work, even if it was killed afterwards.
    """

    code: int
    printed: str
    errors: tuple[str, ...]
    finished: bool

    def complaint(self, codes: Sequence[int]) -> str:
        """How the end differs from a single line with one of `codes`; empty if it does not."""
        if self.code not in codes:
            return f"exit code {self.code}: {self.errors[-1] if self.errors else 'not a word'}"
        if self.code and len(self.errors) != 1:
            return f"{len(self.errors)} lines: {self.errors[-1] if self.errors else ''}"
        return ""


class Process:
    """A running job in a place. Its output goes to files there, so that no full pipe can block
    it.
    """

    def __init__(
        self,
        job: Job,
        place: Path,
        *,
        under: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        log: str = "log",
        **changes: object,
    ):
        self.job, self.place = job, place
        logs = [place.with_name(f"{log}.{name}") for name in ("stdout", "stderr")]
        self._files = [open(path, "w+", encoding="utf-8") for path in logs]  # noqa: SIM115 - open as long as the process
        self.process = subprocess.Popen(
            [*under, *job.command(**changes)],
            cwd=place,
            env=ENVIRONMENT | dict(environment or {}),
            stdout=self._files[0],
            stderr=self._files[1],
        )

    def alive(self) -> bool:
        return self.process.poll() is None

    def finished(self) -> bool:
        """Whether it has printed its last words."""
        return self.job.last_words in Path(self._files[0].name).read_text(encoding="utf-8")

    def wait(self) -> End:
        try:
            code = self.process.wait(LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        texts = [
            Path(stream.name).read_text(encoding="utf-8", errors="replace")
            for stream in self._files
        ]
        for stream in self._files:
            stream.close()
        errors = tuple(line for line in texts[1].splitlines() if not _PROGRESS.search(line))
        return End(code, texts[0], errors, self.job.last_words in texts[0])


def run(job: Job, place: Path, **options: object) -> End:
    """Runs the job to its end."""
    return Process(job, place, **options).wait()  # type: ignore[arg-type]


@dataclass(frozen=True)
class Moment:
    """When to inject a fault: after a share of an undisturbed run's time or files, or during the
    `count`-th checkpoint write.
    """

    kind: str
    share: float = 0.0
    count: int = 0


def draw_moment(generator: random.Random, job: Job, kind: str) -> Moment:
    if kind == "checkpoint write":
        return Moment(kind, generator.random(), generator.randint(1, 3))
    # A job's time varies with what else the machine does, so that a moment near its end may come
    # too late.
    return Moment(
        "time" if job is TRAIN else generator.choice(("time", "files", "files")),
        generator.uniform(0, 0.9),
    )


def await_moment(process: Process, moment: Moment, seconds: float, files: int) -> None:
    """Waits for the moment, or for the end of the process.

    Args:
        process: the running job.
        moment: when to return.
        seconds: time of an undisturbed run from its first file to its end.
        files: number of files of an undisturbed run.
    """
    if moment.kind == "checkpoint write":
        _await_checkpoint_write(process, moment)
        return
    before = count_files(process)
    while process.alive() and count_files(process) == before:
        time.sleep(0.001)
    if moment.kind == "time":
        _sleep(process, moment.share * seconds)
        return
    wanted = before + moment.share * (files - before)
    while process.alive() and count_files(process) < wanted:
        time.sleep(0.001)
    _sleep(process, moment.share * 0.01)


def _sleep(process: Process, seconds: float) -> None:
    until = time.monotonic() + seconds
    while process.alive() and time.monotonic() < until:
        time.sleep(0.001)


def count_files(process: Process) -> int:
    """Number of files and folders that the job has written."""
    # Not Path.rglob, which raises where a folder goes away meanwhile.
    found = (
        entry
        for name in process.job.writes
        for _, *entries in os.walk(process.place / name)
        for part in entries
        for entry in part
    )
    return sum(entry not in (".lock", "flags.cfg") for entry in found)


def _await_checkpoint_write(process: Process, moment: Moment) -> None:
    directory, seen = process.place / CHECKPOINTS, 0
    while process.alive():
        if unfinished_checkpoint(directory):
            seen += 1
            if seen == moment.count:
                _sleep(process, moment.share * 0.002)
                return
            while process.alive() and unfinished_checkpoint(directory):
                pass


def unfinished_checkpoint(directory: Path) -> bool:
    """Whether there are files of an unfinished checkpoint."""
    with contextlib.suppress(FileNotFoundError):
        return any(entry.name.endswith(("_temp", ".partial")) for entry in os.scandir(directory))
    return False


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def delete(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "truncated": truncate,
    "a bit flipped": flip_a_bit,
    "deleted": delete,
    "emptied": empty,
}


def can_mount() -> bool:
    return os.geteuid() == 0 and shutil.which("mount") is not None


@contextlib.contextmanager
def small_disk(place: Path) -> Iterator[Callable[[int], None]]:
    """Makes `place` a file system in memory; yields a function that sets its size in bytes."""
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", place], check=True)

    def resize(size: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", place], check=True)

    try:
        yield resize
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@contextlib.contextmanager
def read_only(place: Path) -> Iterator[None]:
    """Makes `place` read-only, even for root."""
    subprocess.run(["mount", "--bind", place, place], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def clear(place: Path) -> None:
    """Removes a place, even if it is still mounted because its campaign was killed."""
    if can_mount():
        subprocess.run(["umount", "--lazy", place], stderr=subprocess.DEVNULL, check=False)
    shutil.rmtree(place, ignore_errors=True)


def size_of(place: Path) -> int:
    """Bytes that the files of `place` occupy on a file system, in whole pages."""
    return sum(
        -(-path.stat().st_size // 4096) * 4096
        for path in place.rglob("*")
        if path.is_file() and not path.is_symlink()
    )


def own_memory(process: Process) -> int:
    """Bytes that the process holds in memory, without mapped files, which can be dropped."""
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{process.process.pid}/status").read_text(encoding="utf-8")
        return sum(int(size) * 1024 for size in re.findall(r"RssAnon:\s+(\d+) kB", status))
    return 0


def can_limit_memory() -> bool:
    return os.access(_GROUPS, os.W_OK) and not (_GROUPS / "cgroup.controllers").exists()


@contextlib.contextmanager
def little_memory(size: int) -> Iterator[tuple[str, ...]]:
    """Yields a prefix for a command that limits its memory to `size` bytes by a control group, as
    containers do.
    """
    group = _GROUPS / f"tfcyclegan-faults-{os.getpid()}"
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(size))
        yield "sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"
    finally:
        group.rmdir()


def clock_set_back(days: int) -> dict[str, str]:
    """Environment of a process whose clock is `days` behind; its monotonic clock is not changed."""
    return {
        "LD_PRELOAD": str(FAKETIME[0]),
        "FAKETIME": f"-{days}d",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


SIGNALS = {"SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT}
