"""What do kills, signals, damaged files and a failing machine cost? Disturbs the real commands and compares with undisturbed ones.

    python -m benchmarks.faults --directory=/tmp/faults
    python -m benchmarks.faults --directory=/tmp/faults --plan
    python -m benchmarks.faults --directory=/tmp/faults --only=SIGKILL/train --rounds=4 --seed=1

Each case injects a fault, looks for files that lie corrupt under a final name, gives the same command again without the fault until
it ends, and compares what it made with what the undisturbed command makes: checkpoints tensor by tensor, TFRecords, PNGs and TFLite
files byte by byte, JSON but for times. Work that was finished before the fault must not be done again. A job that fails must end with
its exit code and one line.

A SIGKILL counts only if it met a process that was alive and had not finished its work. Cases that are done are kept in results.json
below --directory, so that the same command goes on. Full and read-only disks need root, for `mount`; the clock needs libfaketime.
"""

import argparse
import dataclasses
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

from rich.console import Console
from rich.table import Table

from benchmarks import fault_injection as inject
from benchmarks import fault_jobs as jobs
from benchmarks.fault_jobs import JOBS, TRAIN, TRANSLATE, Job
from benchmarks.machine import machine
from tfcyclegan import files
from tfcyclegan.progress import say, track
from tfcyclegan.training.checkpoint_files import newest, step_of

KILLED = 5  # times in one chain before the job may end
MOUNT = "needs root"


@dataclass
class Row:
    """One fault and what became of it.

    Attributes:
        fault: what was injected.
        job: into which job.
        counted: whether it met what it was meant for.
        note: more of it, such as the moment.
        code: the exit code.
        line: what the job said last.
        corrupt: files that lie under a final name and are not whole.
        lost: finished work that is gone, was done again, or came out otherwise.
        unsaid: in what the end was not one line with the right exit code.
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


@dataclass(frozen=True)
class Straight:
    """An undisturbed run: seconds from its first file to its end, files, bytes on disk and bytes of address space at most."""

    seconds: float
    files: int
    size: int
    memory: int


class Campaign:
    """Cases on the material in a directory."""

    def __init__(self, directory: Path, seed: int):
        self.directory, self.seed = directory.resolve(), seed
        self.material = self.directory / "material"
        self.path = self.directory / "results.json"
        self.results: dict[str, Any] = files.read_json(self.path) if self.path.exists() else {}

    def run(self, cases: dict[str, Callable[[random.Random, str], list[Row]]]) -> None:
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
            place = self.directory / name.replace("/", "-").replace(" ", "_")
            shutil.rmtree(place, ignore_errors=True)
            rows = case(random.Random(f"{self.seed} {name}"), name)
            self.results[name] = {"seconds": round(time.monotonic() - started, 1), "rows": [dataclasses.asdict(row) for row in rows]}
            files.write_json(self.path, self.results)
            for row in rows:
                say(f"{name}: {row.note or row.fault}; exit {row.code}; {'; '.join(row.corrupt + row.lost + row.unsaid) or 'nothing lost'}")
            shutil.rmtree(place, ignore_errors=True)

    def _train_half(self) -> None:
        """A training killed between two checkpoints, for the cases that go on from one."""
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
            memory = max(memory, inject.peak_memory(process))
            seen = max(seen, inject.count_files(process))
            began = began or (time.monotonic() if seen > first else 0.0)
            time.sleep(0.005)
        seconds, end = time.monotonic() - began, process.wait()
        if end.code:
            raise SystemExit(f"benchmarks.faults: {job.name} fails undisturbed: {end.errors}")
        return Straight(seconds, seen, inject.size_of(place) - before, memory)

    def _straight(self, job: Job) -> Path:
        return self.directory / f"straight-{job.name}"

    def _place(self, name: str, job: Job, *, half: bool = False) -> Path:
        place = self.directory / name.replace("/", "-").replace(" ", "_")
        jobs.new_place(self.material, place, job)
        if half:
            for part in job.writes:
                shutil.copytree(self.material / "half" / part, place / part)
        return place

    def _finish(self, row: Row, job: Job, place: Path, kept: dict[str, int] | None = None) -> inject.End:
        """Gives the command again, and holds what it made against the undisturbed."""
        end = inject.run(job, place)
        row.lost += jobs.lost_work(job, place, kept or {}, end.printed)
        row.lost += [f"goes not on: {told}"] if (told := end.complaint((0,))) else jobs.differences(job, self._straight(job), place)
        return end

    # The cases. Each takes its own random numbers and its name.

    def nothing(self, job: Job) -> Callable[[random.Random, str], list[Row]]:
        def case(_: random.Random, name: str) -> list[Row]:
            row, place = Row("nothing", job.name), self._place(name, job)
            self._finish(row, job, place)
            row.corrupt = jobs.corrupt_files(job, place)
            return [row]

        return case

    def kills(self, job: Job, kinds: Sequence[str]) -> Callable[[random.Random, str], list[Row]]:
        """A chain: the same command killed again and again, then left alone."""

        def case(generator: random.Random, name: str) -> list[Row]:
            place, straight, rows = self._place(name, job), Straight(**self.results[f"straight/{job.name}"]), []
            kept: dict[str, int] = {}
            for kind in kinds:
                process, moment = inject.Process(job, place), inject.draw_moment(generator, job, kind)
                inject.await_moment(process, moment, straight.seconds, straight.files)
                alive = process.alive()
                process.process.kill()
                end = process.wait()
                inside = job is TRAIN and inject.unfinished_checkpoint(place / jobs.CHECKPOINTS)
                row = Row("SIGKILL", job.name, alive and end.code == -signal.SIGKILL and not end.finished, code=end.code)
                row.note = "inside a checkpoint write" if inside else f"{moment.kind} {moment.share:.2f}"
                row.corrupt, row.lost = jobs.corrupt_files(job, place), jobs.lost_work(job, place, kept, end.printed)
                rows.append(row)
                kept = jobs.finished_work(job, place)
                if not row.counted:
                    break
            self._finish(rows[-1], job, place, kept)
            return rows

        return case

    def signals(self, job: Job, named: str) -> Callable[[random.Random, str], list[Row]]:
        def case(generator: random.Random, name: str) -> list[Row]:
            place, straight = self._place(name, job), Straight(**self.results[f"straight/{job.name}"])
            process, moment = inject.Process(job, place), inject.draw_moment(generator, job, "moment")
            inject.await_moment(process, moment, straight.seconds, straight.files)
            alive, number = process.alive(), inject.SIGNALS[named]
            process.process.send_signal(number)
            end = process.wait()
            row = Row(named, job.name, alive and not (end.code == 0 and end.finished), note=f"{moment.kind} {moment.share:.2f}")
            row.end(end, (128 + number,) if row.counted else (0,))
            row.corrupt = jobs.corrupt_files(job, place)
            self._finish(row, job, place, jobs.finished_work(job, place))
            return [row]

        return case

    def full_disk(self, job: Job) -> Callable[[random.Random, str], list[Row]]:
        def case(generator: random.Random, name: str) -> list[Row]:
            place, share = self.directory / name.replace("/", "-").replace(" ", "_"), generator.uniform(0.05, 0.85)
            row = Row("full disk", job.name, note=f"after {share:.0%} of its bytes")
            with inject.small_disk(place) as resize:
                jobs.new_place(self.material, place, job)
                resize(inject.size_of(place) + int(share * self.results[f"straight/{job.name}"]["size"]))
                end = inject.run(job, place)
                row.counted = end.code != 0
                row.end(end, (1,))
                row.corrupt, kept = jobs.corrupt_files(job, place), jobs.finished_work(job, place)
                resize(2**30)
                self._finish(row, job, place, kept)
            return [row]

        return case

    def read_only(self, job: Job, *, half: bool) -> Callable[[random.Random, str], list[Row]]:
        def case(_: random.Random, name: str) -> list[Row]:
            place = self._place(name, job, half=half)
            row = Row("read-only directory", job.name, note="of a run begun" if half else "")
            with inject.read_only(place):
                row.end(inject.run(job, place), (1, 2))
            row.corrupt = jobs.corrupt_files(job, place)
            self._finish(row, job, place, jobs.finished_work(job, place))
            return [row]

        return case

    def memory(self, job: Job) -> Callable[[random.Random, str], list[Row]]:
        def case(generator: random.Random, name: str) -> list[Row]:
            place, share = self._place(name, job), generator.uniform(0.75, 0.98)
            limit = int(share * self.results[f"straight/{job.name}"]["memory"])
            row = Row("memory limit", job.name, note=f"{share:.0%} of its address space")
            end = inject.run(job, place, under=("prlimit", f"--as={limit}"))
            row.counted = end.code != 0
            row.end(end, (1,) if row.counted else (0,))
            row.corrupt = jobs.corrupt_files(job, place)
            self._finish(row, job, place, jobs.finished_work(job, place))
            return [row]

        return case

    def clock(self, job: Job) -> Callable[[random.Random, str], list[Row]]:
        def case(generator: random.Random, name: str) -> list[Row]:
            place, straight = self._place(name, job, half=job is TRAIN), Straight(**self.results[f"straight/{job.name}"])
            if job is not TRAIN:
                process = inject.Process(job, place)
                inject.await_moment(process, inject.Moment("time", generator.random()), straight.seconds, straight.files)
                process.process.kill()
                process.wait()
            row, kept = Row("clock set back", job.name, note="by 3 days, before it went on"), jobs.finished_work(job, place)
            end = inject.run(job, place, environment=inject.clock_set_back(3))
            row.end(end, (0,))
            row.corrupt = jobs.corrupt_files(job, place)
            self._finish(row, job, place, kept)
            return [row]

        return case

    def damaged_checkpoint(self, job: Job, damage: str) -> Callable[[random.Random, str], list[Row]]:
        def case(generator: random.Random, name: str) -> list[Row]:
            place = self._place(name, job, half=job is TRAIN)
            directory = place / jobs.CHECKPOINTS
            latest = newest(directory)
            assert latest is not None
            part = generator.choice((".index", ".data-00000-of-00001"))
            victim, original = Path(latest + part), Path(latest + part).read_bytes()
            inject.DAMAGES[damage](victim)
            row = Row(f"checkpoint {damage}", job.name, note=victim.name)
            if job is TRAIN:
                end = self._finish(row, job, place, {"step": step_of(latest) - 2})
                row.line = next((line for line in end.printed.splitlines() if "going on from" in line), "")
                row.unsaid = [] if row.line else ["does not say that it goes on from the one before"]
            else:
                row.end(inject.run(job, place), (1,))
                row.corrupt = [told for told in jobs.corrupt_files(job, place) if jobs.CHECKPOINTS.name not in told]
                victim.write_bytes(original)
                self._finish(row, job, place)
            return [row]

        return case

    def damaged_shard(self, job: Job, damage: str) -> Callable[[random.Random, str], list[Row]]:
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

    def two_at_once(self, job: Job) -> Callable[[random.Random, str], list[Row]]:
        """The second starts while the first is held in the midst of its work."""

        def case(generator: random.Random, name: str) -> list[Row]:
            place, straight = self._place(name, job), Straight(**self.results[f"straight/{job.name}"])
            first, row = inject.Process(job, place), Row("two in one directory", job.name)
            inject.await_moment(first, inject.Moment("time", generator.uniform(0, 0.7)), straight.seconds, straight.files)
            row.counted = first.alive()
            first.process.send_signal(signal.SIGSTOP)
            row.end(inject.run(job, place, log="second"), (2,))
            first.process.send_signal(signal.SIGCONT)
            end = first.wait()
            row.lost += [f"the first: {told}"] if (told := end.complaint((0,))) else []
            row.corrupt = jobs.corrupt_files(job, place)
            self._finish(row, job, place, jobs.finished_work(job, place))
            return [row]

        return case

    def moved(self, job: Job) -> Callable[[random.Random, str], list[Row]]:
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


def plan(campaign: Campaign, rounds: int) -> dict[str, Callable[[random.Random, str], list[Row]]]:
    """All cases by name."""
    cases = {f"nothing/{job.name}": campaign.nothing(job) for job in JOBS.values()}
    for number in range(rounds):
        for job in JOBS.values():
            for chain in range(4 if job is TRAIN else 2):
                kinds = ["checkpoint write", "moment"] * KILLED if job is TRAIN else ["moment"] * KILLED
                cases[f"SIGKILL/{job.name}/{number}{chain}"] = campaign.kills(job, kinds[:KILLED])
            for named in inject.SIGNALS:
                cases[f"{named}/{job.name}/{number}"] = campaign.signals(job, named)
            if inject.can_mount():
                for half in {False, job is TRAIN}:
                    cases[f"read-only/{job.name}/{number}{half:d}"] = campaign.read_only(job, half=half)
                for chain in range(2):
                    cases[f"full disk/{job.name}/{number}{chain}"] = campaign.full_disk(job)
            cases[f"two/{job.name}/{number}"] = campaign.two_at_once(job)
            if inject.FAKETIME:
                cases[f"clock/{job.name}/{number}"] = campaign.clock(job)
            cases[f"memory/{job.name}/{number}"] = campaign.memory(job)
            if job.needs_run or job is TRAIN:
                cases[f"moved/{job.name}/{number}"] = campaign.moved(job)
                for damage in ("truncated", "a bit flipped", "deleted"):
                    cases[f"checkpoint/{job.name}/{damage}/{number}"] = campaign.damaged_checkpoint(job, damage)
        for job in (TRAIN, TRANSLATE):
            for damage in (*inject.DAMAGES, "another set's"):
                cases[f"shard/{job.name}/{damage}/{number}"] = campaign.damaged_shard(job, damage)
    return cases


def show(results: dict[str, Any], about: dict[str, Any]) -> bool:
    """Prints the table; returns whether nothing was lost, every end was told, and enough kills counted."""
    rows = [Row(**row) for name, result in results.items() if not name.startswith("straight/") for row in result["rows"]]
    table = Table(title=f"{about['cpu']}, {about['date']}")
    for heading in ("fault", "job", "injected", "corrupt", "lost", "not told"):
        table.add_column(heading, justify="left" if heading in ("fault", "job") else "right")
    for fault, job in dict.fromkeys((row.fault, row.job) for row in rows):
        those = [row for row in rows if (row.fault, row.job) == (fault, job) and row.counted]
        table.add_row(fault, job, str(len(those)), *(str(sum(bool(getattr(row, what)) for row in those)) for what in _FAILURES))
    Console(width=120).print(table)
    kills = [row for row in rows if row.fault == "SIGKILL" and row.counted]
    inside = sum(row.note == "inside a checkpoint write" for row in kills)
    bad = sum(any(getattr(row, what) for what in _FAILURES) for row in rows)
    counted = sum(row.counted for row in rows)
    say(f"{counted} faults, {len(kills)} of them SIGKILLs, {inside} inside a checkpoint write; {bad} not as promised")
    return bad == 0 and len(kills) >= 50 and inside >= 10


_FAILURES = ("corrupt", "lost", "unsaid")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", required=True, help="for the material, the places and results.json")
    parser.add_argument("--seed", type=int, default=0, help="draws the moments")
    parser.add_argument("--rounds", type=int, default=1, help="how often each case is drawn anew")
    parser.add_argument("--only", default="", help="cases whose name begins so")
    parser.add_argument("--plan", action="store_true", help="names the cases and does nothing")
    given = parser.parse_args()
    campaign = Campaign(Path(given.directory), given.seed)
    cases = {name: case for name, case in plan(campaign, given.rounds).items() if name.startswith(given.only)}
    if given.plan:
        print("\n".join(cases))
        return 0
    campaign.run(cases)
    return 0 if show(campaign.results, machine(("tensorflow", "keras"))) else 1


if __name__ == "__main__":
    sys.exit(main())
