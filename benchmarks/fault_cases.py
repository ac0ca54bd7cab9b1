"""The cases of `benchmarks.faults`: each disturbs a job, inspects its files, continues without the
fault, and compares.
"""

import dataclasses
import random
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks import fault_injection as inject
from benchmarks import fault_jobs as jobs
from benchmarks.fault_jobs import EVALUATE, JOBS, TRAIN, TRANSLATE, Job
from tfcyclegan.system import files
from tfcyclegan.system.progress import log, track
from tfcyclegan.training.checkpoint_files import newest, step_of


@dataclass
class Row:
    """One fault and its consequences.

    Attributes:
        fault: what was injected.
        job: the job that was disturbed.
        counted: whether the fault hit what it was meant to hit.
        note: details, such as the moment.
        code: the exit code.
        line: the job's last line.
        corrupt: incomplete files under a final name.
        lost: finished work that is gone, was repeated, or came out differently.
        unsaid: how the end was not a single line with the right exit code.
    """

    fault: str
    job: str
    counted: bool = True
    note: str = ""
    code: int = 0
    line: str = ""
    corrupt: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    unsaid: list[str] = field(default_factory=list)

    def end(self, end: inject.End, codes: Sequence[int]) -> None:
        self.code, self.line = end.code, end.errors[-1] if end.errors else ""
        self.unsaid += [told] if (told := end.complaint(codes)) else []


Case: TypeAlias = Callable[[random.Random, str], list[Row]]
"""Takes its own random numbers and its name."""


@dataclass(frozen=True)
class Straight:
    """An undisturbed run: seconds from its first file to its end, files, bytes on disk and peak
    memory in bytes.
    """

    seconds: float
    files: int
    size: int
    memory: int


class Campaign:
    """Runs cases on the material in a directory."""

    def __init__(self, directory: Path, seed: int):
        self.directory, self.seed = directory.resolve(), seed
        self.material = self.directory / "material"
        self.path = self.directory / "results.json"
        self.results: dict[str, Any] = files.read_json(self.path) if self.path.exists() else {}

    def run(self, cases: dict[str, Case]) -> None:
        if not (self.material / "half").exists():
            shutil.rmtree(self.material, ignore_errors=True)
            self.material.mkdir(parents=True)
            jobs.prepare_material(self.material)
            self._train_half()
        for job in JOBS.values():
            if f"straight/{job.name}" not in self.results:
                self.results[f"straight/{job.name}"] = dataclasses.asdict(self._measure(job))
                files.write_json(self.path, self.results)
        todo = {name: case for name, case in cases.items() if name not in self.results}
        for name, case in track(todo.items(), total=len(todo), unit="case", label="faults"):
            started = time.monotonic()
            place = self._path(name)
            inject.clear(place)
            rows = case(random.Random(f"{self.seed} {name}"), name)
            self.results[name] = {
                "seconds": round(time.monotonic() - started, 1),
                "rows": [dataclasses.asdict(row) for row in rows],
            }
            files.write_json(self.path, self.results)
            for row in rows:
                log(
                    f"{name}: {row.note or row.fault}; exit {row.code}; "
                    f"{'; '.join(row.corrupt + row.lost + row.unsaid) or 'nothing lost'}"
                )
            inject.clear(place)

    def _train_half(self) -> None:
        """A training that was killed between two checkpoints, for the cases that continue one."""
        place = jobs.new_place(self.material, self.material / "half", TRAIN)
        process = inject.Process(TRAIN, place)
        while process.alive() and not (place / jobs.CHECKPOINTS / "step-20.index").exists():
            time.sleep(0.001)
        process.process.kill()
        process.wait()

    def _measure(self, job: Job) -> Straight:
        place = self._straight(job)
        shutil.rmtree(place, ignore_errors=True)
        before = inject.size_of(jobs.new_place(self.material, place, job))
        process, memory, began, seen = inject.Process(job, place), 0, 0.0, 0
        first = inject.count_files(process)
        while process.alive():
            memory = max(memory, inject.own_memory(process))
            seen = max(seen, inject.count_files(process))
            began = began or (time.monotonic() if seen > first else 0.0)
            time.sleep(0.005)
        seconds, end = time.monotonic() - began, process.wait()
        if end.code:
            raise SystemExit(f"benchmarks.faults: {job.name} fails undisturbed: {end.errors}")
        return Straight(seconds, seen, inject.size_of(place) - before, memory)

    def _straight(self, job: Job) -> Path:
        return self.directory / f"straight-{job.name}"

    def _path(self, name: str) -> Path:
        return self.directory / name.replace("/", "-").replace(" ", "_")

    def _place(self, name: str, job: Job, *, half: bool = False) -> Path:
        place = self._path(name)
        jobs.new_place(self.material, place, job)
        if half:
            for part in job.writes:
                shutil.copytree(self.material / "half" / part, place / part)
        return place

    def _finish(
        self, row: Row, job: Job, place: Path, kept: dict[str, int] | None = None
    ) -> inject.End:
        """Runs the command again and compares its results with the undisturbed ones."""
        end = inject.run(job, place)
        row.lost += jobs.lost_work(job, place, kept or {}, end.printed)
        row.lost += (
            [f"goes not on: {told}"]
            if (told := end.complaint((0,)))
            else jobs.differences(job, self._straight(job), place)
        )
        return end

    def nothing(self, job: Job) -> Case:
        def case(_: random.Random, name: str) -> list[Row]:
            row, place = Row("nothing", job.name), self._place(name, job)
            self._finish(row, job, place)
            row.corrupt = jobs.corrupt_files(job, place)
            return [row]

        return case

    def kills(self, job: Job, kinds: Sequence[str]) -> Case:
        """A chain: the same command is killed again and again, and then left to finish."""

        def case(generator: random.Random, name: str) -> list[Row]:
            place, straight, rows = (
                self._place(name, job),
                Straight(**self.results[f"straight/{job.name}"]),
                [],
            )
            kept: dict[str, int] = {}
            while sum(row.counted for row in rows) < len(kinds) and len(rows) < 2 * len(kinds):
                moment = inject.draw_moment(generator, job, kinds[len(rows) % len(kinds)])
                process = inject.Process(job, place)
                inject.await_moment(process, moment, straight.seconds, straight.files)
                alive = process.alive()
                process.process.kill()
                end = process.wait()
                inside = job is TRAIN and inject.unfinished_checkpoint(place / jobs.CHECKPOINTS)
                row = Row(
                    "SIGKILL",
                    job.name,
                    alive and end.code == -signal.SIGKILL and not end.finished,
                    code=end.code,
                )
                row.note = (
                    "inside a checkpoint write" if inside else f"{moment.kind} {moment.share:.2f}"
                )
                row.corrupt, row.lost = (
                    jobs.corrupt_files(job, place),
                    jobs.lost_work(job, place, kept, end.printed),
                )
                rows.append(row)
                if row.counted:
                    kept = jobs.finished_work(job, place)
                else:  # too late: begins anew
                    shutil.rmtree(place)
                    kept = jobs.finished_work(job, self._place(name, job))
            self._finish(rows[-1], job, place, kept)
            return rows

        return case

    def signals(self, job: Job, named: str) -> Case:
        def case(generator: random.Random, name: str) -> list[Row]:
            straight, number, in_time, tries = (
                Straight(**self.results[f"straight/{job.name}"]),
                inject.SIGNALS[named],
                False,
                0,
            )
            while not in_time and tries < 4:
                inject.clear(self._path(name))
                place, tries = self._place(name, job), tries + 1
                process, moment = (
                    inject.Process(job, place),
                    inject.draw_moment(generator, job, "moment"),
                )
                inject.await_moment(process, moment, straight.seconds, straight.files)
                # Asked before the signal: one that is swallowed must not pass for one that came too
                # late.
                in_time = process.alive() and not process.finished()
                # A training looks before each step whether to stop; asked in its last one it
                # finishes.
                in_time &= job is not TRAIN or jobs.steps_begun(place) < jobs.MAX_STEPS - 1
                process.process.send_signal(number)
                end = process.wait()
            row = Row(named, job.name, in_time, note=f"{moment.kind} {moment.share:.2f}")
            if in_time:
                row.end(end, (128 + number,))
            else:
                row.code = end.code
            row.corrupt = jobs.corrupt_files(job, place)
            self._finish(row, job, place, jobs.finished_work(job, place))
            return [row]

        return case

    def full_disk(self, job: Job) -> Case:
        def case(generator: random.Random, name: str) -> list[Row]:
            place, share = self._path(name), generator.uniform(0.05, 0.85)
            row = Row("full disk", job.name, note=f"after {share:.0%} of its bytes")
            with inject.small_disk(place) as resize:
                jobs.new_place(self.material, place, job)
                resize(
                    inject.size_of(place)
                    + int(share * self.results[f"straight/{job.name}"]["size"])
                )
                end = inject.run(job, place)
                row.counted = end.code != 0
                row.end(end, (1,))
                row.corrupt, kept = jobs.corrupt_files(job, place), jobs.finished_work(job, place)
                resize(2**30)
                self._finish(row, job, place, kept)
            return [row]

        return case

    def read_only(self, job: Job, *, half: bool) -> Case:
        def case(_: random.Random, name: str) -> list[Row]:
            place = self._place(name, job, half=half)
            row = Row("read-only directory", job.name, note="of a run begun" if half else "")
            with inject.read_only(place):
                row.end(inject.run(job, place), (1, 2))
            row.corrupt = jobs.corrupt_files(job, place)
            self._finish(row, job, place, jobs.finished_work(job, place))
            return [row]

        return case

    def memory(self, job: Job) -> Case:
        """The kernel kills a process that exceeds its memory; the process cannot report this, so
        the shell prints "Killed".
        """

        def case(generator: random.Random, name: str) -> list[Row]:
            place, share = self._place(name, job), generator.uniform(0.5, 0.9)
            row = Row("memory limit", job.name, note=f"{share:.0%} of what it takes")
            with inject.little_memory(
                int(share * self.results[f"straight/{job.name}"]["memory"])
            ) as limited:
                end = inject.run(job, place, under=limited)
            row.code, row.counted = end.code, end.code != 0
            row.unsaid = (
                [end.complaint((-signal.SIGKILL,))] if end.code not in (0, -signal.SIGKILL) else []
            )
            row.corrupt = jobs.corrupt_files(job, place)
            self._finish(row, job, place, jobs.finished_work(job, place))
            return [row]

        return case

    def clock(self, job: Job) -> Case:
        def case(generator: random.Random, name: str) -> list[Row]:
            place, straight = (
                self._place(name, job, half=job is TRAIN),
                Straight(**self.results[f"straight/{job.name}"]),
            )
            if job is not TRAIN:
                process = inject.Process(job, place)
                inject.await_moment(
                    process,
                    inject.Moment("time", generator.random()),
                    straight.seconds,
                    straight.files,
                )
                process.process.kill()
                process.wait()
            row, kept = (
                Row("clock set back", job.name, note="by 3 days, before it went on"),
                jobs.finished_work(job, place),
            )
            end = inject.run(job, place, environment=inject.clock_set_back(3))
            row.end(end, (0,))
            row.corrupt = jobs.corrupt_files(job, place)
            self._finish(row, job, place, kept)
            return [row]

        return case

    def damaged_checkpoint(self, job: Job, damage: str) -> Case:
        def case(generator: random.Random, name: str) -> list[Row]:
            place = self._place(name, job, half=job is TRAIN)
            directory = place / jobs.CHECKPOINTS
            latest = newest(directory)
            assert latest is not None
            part = generator.choice((".index", ".data-00000-of-00001"))
            victim, original = Path(latest + part), Path(latest + part).read_bytes()
            inject.DAMAGES[damage](victim)
            row = Row(f"checkpoint {damage}", job.name, note=victim.name)
            end = inject.run(job, place)
            if job is TRAIN:
                row.end(end, (0,))
                row.line = next(
                    (line for line in end.printed.splitlines() if "continuing from" in line), ""
                )
                row.unsaid += (
                    [] if row.line else ["does not say that it goes on from the one before"]
                )
                row.lost = jobs.lost_work(job, place, {"step": step_of(latest) - 2}, end.printed)
                # is to stay there, but the undisturbed run has none
                for aside in directory.glob("damaged-*"):
                    aside.unlink()
            else:
                row.end(end, (0, 1))
                # then its results must be right
                row.note += ", in what the job does not read" if end.code == 0 else ""
                row.corrupt = [
                    told
                    for told in jobs.corrupt_files(job, place)
                    if jobs.CHECKPOINTS.name not in told
                ]
                victim.write_bytes(original)
            self._finish(row, job, place)
            return [row]

        return case

    def damaged_shard(self, job: Job, damage: str) -> Case:
        def case(generator: random.Random, name: str) -> list[Row]:
            place = self._place(name, job)
            (place / "tiles").unlink()
            shutil.copytree(self.material / "tiles", place / "tiles")
            split = "trainA" if job is TRANSLATE else generator.choice(("trainA", "trainB"))
            victim = next((place / "tiles").glob(f"*-{split}.tfrecord-*"))
            original = victim.read_bytes()
            if damage == "another set's":
                victim.write_bytes(jobs.records_of_another(victim))
            else:
                inject.DAMAGES[damage](victim)
            row = Row(f"shard {damage}", job.name, note=split)
            row.end(inject.run(job, place), (1,))
            row.corrupt = jobs.corrupt_files(job, place)
            victim.write_bytes(original)
            self._finish(row, job, place, jobs.finished_work(job, place))
            return [row]

        return case

    def two_at_once(self, job: Job) -> Case:
        """The second process starts while the first is paused in the middle of its work."""

        def case(generator: random.Random, name: str) -> list[Row]:
            place, straight = (
                self._place(name, job),
                Straight(**self.results[f"straight/{job.name}"]),
            )
            first, row = inject.Process(job, place), Row("two in one directory", job.name)
            inject.await_moment(
                first,
                inject.Moment("time", generator.uniform(0, 0.7)),
                straight.seconds,
                straight.files,
            )
            row.counted = first.alive() and not first.finished()
            first.process.send_signal(signal.SIGSTOP)
            # A second evaluate that finds all pictures translated only computes, and both write the
            # same.
            end = inject.run(job, place, log="second")
            if row.counted:
                row.end(end, (0, 2) if job is EVALUATE else (2,))
            first.process.send_signal(signal.SIGCONT)
            end = first.wait()
            row.lost += [f"the first: {told}"] if (told := end.complaint((0,))) else []
            row.corrupt = jobs.corrupt_files(job, place)
            self._finish(row, job, place, jobs.finished_work(job, place))
            return [row]

        return case

    def moved(self, job: Job) -> Case:
        def case(_: random.Random, name: str) -> list[Row]:
            place = self._place(name, job, half=job is TRAIN)
            kept = jobs.finished_work(job, place)
            (place / "run").rename(place / "elsewhere")
            row = Row("run directory moved", job.name)
            end = inject.run(job, place, run_dir="elsewhere")
            row.end(end, (0,))
            (place / "elsewhere").rename(place / "run")
            row.corrupt = jobs.corrupt_files(job, place)
            row.lost += jobs.lost_work(job, place, kept, end.printed) if job is TRAIN else []
            self._finish(row, job, place)
            return [row]

        return case
