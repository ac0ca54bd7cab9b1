"""Do the tests notice when a number, a sign or a comparison is changed?

    python -m venv /tmp/mutation && /tmp/mutation/bin/pip install cosmic-ray==8.7.0
    python -m benchmarks.mutation --bin=/tmp/mutation/bin --output=/tmp/mutants \\
        losses methods/image_pool

Cosmic Ray makes one change at a time in a clone of the last commit and runs the module's tests. A
change that they do not notice is a survivor, shown as a diff. Up to `--most` of a module's possible
changes are drawn at random, the same ones for the same seed.
"""

import argparse
import random
import re
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).parents[1]
# The tests that hold a module, as arguments of pytest.
TESTS = {
    "losses": "tests/test_losses.py",
    "methods/image_pool": "tests/test_image_pool.py",
    "optimization/schedules": "tests/test_schedules.py",
    "optimization/adam": (
        "tests/test_adam.py "
        "tests/test_distribution.py::test_an_infinity_on_the_second_replica_skips_the_step_everywhere"
    ),
    "measures/appearance": "tests/test_appearance.py",
    "measures/blur": "tests/test_blur.py tests/test_findings.py",
    "measures/checkerboard": "tests/test_checkerboard.py tests/test_findings.py",
    "measures/colour": "tests/test_colour.py tests/test_findings.py",
    "measures/confusion": "tests/test_confusion.py",
    "measures/controls": "tests/test_controls.py",
    "measures/cycle_consistency": "tests/test_cycle_consistency.py",
    "measures/discriminator": "tests/test_discriminator.py",
    "measures/fcn_score": "tests/test_fcn_score.py",
    "measures/flat_areas": "tests/test_flat_areas.py",
    "measures/kid_fid": "tests/test_kid_fid.py",
    "measures/label_maps": "tests/test_label_maps.py",
    "measures/luminance": "tests/test_luminance.py",
    "measures/mode_collapse": "tests/test_mode_collapse.py tests/test_findings.py",
    "measures/paired": "tests/test_paired_scores.py",
    "measures/partners": "tests/test_partners.py",
    "measures/tables": "tests/test_tables.py tests/test_confusion.py tests/test_kid_fid.py",
}
# What can hardly live: arithmetic by bits, and bits of types ("int | None") by arithmetic. Identity
# of numbers is Python's affair.
_HOPELESS = re.compile(
    r"core/ReplaceBinaryOperator_((?!Bit)\w+?_(RShift|LShift|Bit\w+|FloorDiv|Mod|Pow)|BitOr_(?!BitAnd)\w+)"
    r"|core/ReplaceComparisonOperator_(?!Is)\w+_Is(Not)?"
)


def keep_a_sample(session: Path, most: int, seed: int) -> None:
    """Keeps at most `most` of the changes in Cosmic Ray's database."""
    with closing(sqlite3.connect(session)) as database:
        rows = database.execute(
            "SELECT operator_name, occurrence, job_id FROM mutation_specs ORDER BY 1, 2"
        ).fetchall()
        hopeful = [job for operator, _, job in rows if not _HOPELESS.fullmatch(operator)]
        kept = set(random.Random(seed).sample(hopeful, min(most, len(hopeful))))
        dropped = [(job,) for *_, job in rows if job not in kept]
        for table in ("mutation_specs", "work_items"):
            database.executemany(f"DELETE FROM {table} WHERE job_id = ?", dropped)
        database.commit()


def survivors(session: Path) -> tuple[int, list[str]]:
    """Number of changes tried, and the diffs of those that passed the tests."""
    with closing(sqlite3.connect(session)) as database:
        rows = database.execute(
            "SELECT test_outcome, diff FROM work_results ORDER BY diff"
        ).fetchall()
    return len(rows), [diff for outcome, diff in rows if outcome != "KILLED"]


def mutate(module: str, given: argparse.Namespace) -> tuple[int, list[str]]:
    """Tries the changes of one module; continues an interrupted call."""
    name = module.replace("/", "_")
    settings, session, clone = (
        given.output / f"{name}.toml",
        given.output / f"{name}.sqlite",
        given.output / "clone",
    )
    command = f"{given.pytest} -x -n 0 -p no:cacheprovider {TESTS[module]}"
    settings.write_text(
        f'[cosmic-ray]\nmodule-path = "tfcyclegan/{module}.py"\n'
        f"timeout = {given.timeout_seconds}\nexcluded-modules = []\n"
        f'test-command = "{command}"\n[cosmic-ray.distributor]\nname = "local"\n'
    )
    if not session.exists():
        subprocess.run([*shlex.split(command)], cwd=clone, check=True)
        subprocess.run([given.bin / "cosmic-ray", "init", settings, session], cwd=clone, check=True)
        keep_a_sample(session, given.most, given.seed)
    subprocess.run([given.bin / "cosmic-ray", "exec", settings, session], cwd=clone, check=True)
    return survivors(session)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.mutation", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "modules",
        nargs="*",
        metavar="module",
        help=f"some of: {', '.join(TESTS)}; all if none is named",
    )
    parser.add_argument(
        "--bin", type=Path, required=True, help="directory with the command cosmic-ray"
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        help="directory for the clone and the results; existing results are kept",
    )
    parser.add_argument("--most", type=int, default=60, help="largest number of changes per module")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the draw")
    parser.add_argument(
        "--timeout_seconds",
        type=int,
        default=300,
        help="time after which a change that never ends counts as noticed",
    )
    parser.add_argument(
        "--pytest", default=f"{sys.executable} -m pytest", help="command that runs pytest"
    )
    given = parser.parse_args()
    if unknown := set(given.modules) - TESTS.keys():
        parser.error(f"{', '.join(sorted(unknown))}: unknown module; valid are {', '.join(TESTS)}")
    given.output = given.output.absolute()
    given.bin = given.bin.absolute()
    given.output.mkdir(parents=True, exist_ok=True)
    if not (given.output / "clone").exists():
        subprocess.run(["git", "clone", "--quiet", ROOT, given.output / "clone"], check=True)
    for module in given.modules or TESTS:
        count, alive = mutate(module, given)
        print(f"{module}: {count} changes, {len(alive)} survivors")
        for diff in alive:
            print(diff)
    return 0


if __name__ == "__main__":
    sys.exit(main())
