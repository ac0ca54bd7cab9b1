"""What do kills, signals, damaged files and a failing machine cost? Disturbs the real commands and
compares with undisturbed ones.

    python -m benchmarks.faults --directory=/tmp/faults
    python -m benchmarks.faults --directory=/tmp/faults --plan
    python -m benchmarks.faults --directory=/tmp/faults --only=SIGKILL/train --rounds=4 --seed=1

Each case injects a fault, looks for corrupt files under a final name, runs the same command again
without the fault until it ends, and compares its results with those of the undisturbed command:
checkpoints tensor by tensor, TFRecords, PNGs and TFLite files byte for byte, JSON except for times
and paths. Work that was finished before the fault must not be repeated. A job that fails must end
with its exit code and one line.

A SIGKILL counts only if it hit a process that was alive and had not finished its work. Finished
cases are kept in results.json below --directory, so that the same command continues. Full and
read-only disks need root, for `mount`; the clock needs libfaketime, limited memory a control group
(cgroup v1).
"""

import argparse
import signal
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import fault_injection as inject
from benchmarks.fault_cases import Campaign, Case, Row
from benchmarks.fault_jobs import EVALUATE, EXPORT, JOBS, TRAIN, TRANSLATE
from benchmarks.hardware import machine
from tfcyclegan.system.progress import log

KILLED = 5  # times in one chain before the job may end
_FAILURES = ("corrupt", "lost", "unsaid")


def plan(campaign: Campaign, rounds: int) -> dict[str, Case]:
    """All cases by name."""
    cases = {f"nothing/{job.name}": campaign.nothing(job) for job in JOBS.values()}
    for number in range(rounds):
        for job in JOBS.values():
            for chain in range(4 if job is TRAIN else 2):
                kinds = ["checkpoint write", "moment"] * 3 if job is TRAIN else ["moment"] * KILLED
                cases[f"SIGKILL/{job.name}/{number}{chain}"] = campaign.kills(job, kinds)
            for named in inject.SIGNALS:
                cases[f"{named}/{job.name}/{number}"] = campaign.signals(job, named)
            if inject.can_mount():
                cases[f"full disk/{job.name}/{number}"] = campaign.full_disk(job)
                cases[f"read-only/{job.name}/{number}"] = campaign.read_only(job, half=job is TRAIN)
            cases[f"two/{job.name}/{number}"] = campaign.two_at_once(job)
            if inject.FAKETIME:
                cases[f"clock/{job.name}/{number}"] = campaign.clock(job)
            if inject.can_limit_memory():
                cases[f"memory/{job.name}/{number}"] = campaign.memory(job)
            if job.needs_run or job is TRAIN:
                cases[f"moved/{job.name}/{number}"] = campaign.moved(job)
        for damage, reader in zip(
            ("truncated", "a bit flipped", "deleted"), (EVALUATE, EXPORT, TRANSLATE), strict=True
        ):
            for job in (TRAIN, reader):
                cases[f"checkpoint/{job.name}/{damage}/{number}"] = campaign.damaged_checkpoint(
                    job, damage
                )
        for damage in (*inject.DAMAGES, "another set's"):
            cases[f"shard/train/{damage}/{number}"] = campaign.damaged_shard(TRAIN, damage)
        for damage in ("truncated", "another set's"):
            cases[f"shard/translate/{damage}/{number}"] = campaign.damaged_shard(TRANSLATE, damage)
    return cases


def show(results: dict[str, Any], about: dict[str, Any]) -> bool:
    """Prints the table; returns whether nothing was lost, every end was reported, and enough kills
    counted.
    """
    rows = [
        Row(**row)
        for name, result in results.items()
        if not name.startswith("straight/")
        for row in result["rows"]
    ]
    table = Table(title=f"{about['cpu']}, {about['date']}")
    for heading in ("fault", "job", "injected", "corrupt", "lost", "not told"):
        table.add_column(heading, justify="left" if heading in ("fault", "job") else "right")
    for fault, job in dict.fromkeys((row.fault, row.job) for row in rows):
        those = [row for row in rows if (row.fault, row.job) == (fault, job) and row.counted]
        table.add_row(
            fault,
            job,
            str(len(those)),
            *(str(sum(bool(getattr(row, what)) for row in those)) for what in _FAILURES),
        )
    Console(width=120).print(table)
    kills = [row for row in rows if row.fault == "SIGKILL" and row.counted]
    inside = sum(row.note == "inside a checkpoint write" for row in kills)
    bad = sum(any(getattr(row, what) for what in _FAILURES) for row in rows)
    counted = sum(row.counted for row in rows)
    minutes = (
        sum(
            result.get("seconds", 0)
            for name, result in results.items()
            if not name.startswith("straight/")
        )
        / 60
    )
    log(
        f"{counted} faults in {minutes:.0f} min, {len(kills)} of them SIGKILLs, {inside} inside a "
        f"checkpoint write; {bad} not as promised"
    )
    return bad == 0 and len(kills) >= 50 and inside >= 10


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--directory", required=True, help="directory for the data, the runs and results.json"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed of the moments")
    parser.add_argument("--rounds", type=int, default=1, help="draws of each case")
    parser.add_argument(
        "--only",
        default="",
        help="cases whose names start with this; several, separated by commas, run in this order",
    )
    parser.add_argument("--plan", action="store_true", help="only list the cases")
    given = parser.parse_args()
    campaign = Campaign(Path(given.directory), given.seed)
    planned = plan(campaign, given.rounds)
    cases = {
        name: case
        for beginning in given.only.split(",")
        for name, case in planned.items()
        if name.startswith(beginning)
    }
    if given.plan:
        print("\n".join(cases))
        return 0
    # a shell's background jobs are started with it ignored, and hand that on
    signal.signal(signal.SIGINT, signal.default_int_handler)
    campaign.run(cases)
    return 0 if show(campaign.results, machine(("tensorflow", "keras"))) else 1


if __name__ == "__main__":
    sys.exit(main())
