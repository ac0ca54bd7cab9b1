"""Every command, asked wrongly as a user does: a process, exit code 2, one line that names file or
flag, and nothing finished written.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.bad_input_cases import CASES, is_slow
from tests.conftest import ROOT
from tfcyclegan import cli


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A working directory with all that the cases name."""
    root = tmp_path_factory.mktemp("bad_input")
    picture = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    )
    for folder in (
        "pictures",
        *(f"{name}/train{domain}" for name in ("pairs", "html", "cut", "zero") for domain in "AB"),
    ):
        (root / folder).mkdir(parents=True)
        picture.save(root / folder / "b.jpg")
    (root / "html/trainA/a.jpg").write_text("<!DOCTYPE html><html><body>404</body></html>")
    (root / "cut/trainA/a.jpg").write_bytes((root / "pictures/b.jpg").read_bytes()[:700])
    (root / "zero/trainA/a.jpg").touch()
    for folder in ("empty", "damaged", "other", "pretend"):
        (root / folder).mkdir()
    (root / "damaged/config.json").write_text('{"options": {"run')
    (root / "damaged/segmenter.json").write_text('{"options": {"run')
    (root / "broken").mkdir()
    (root / "broken/saved_model.pb").write_text("words")
    for name in ("loop", "loop.cfg"):
        (root / name).symlink_to(name)
    (root / "other/config.json").write_text('["of", "something", "else"]')
    (root / "pretend/dataset_info.json").write_text("{}")
    (root / "words.txt").write_text("words")
    (root / "circle.cfg").write_text("--flagfile=circle.cfg\n")
    (root / "stray.cfg").write_text("--seed=1\nbatch_size=4\n")
    (root / "bom.cfg").write_bytes(b"\xef\xbb\xbf--seed=1\n")
    (root / "comment.cfg").write_text("--seed=1 # the usual\n")
    (root / "crlf.cfg").write_bytes(b"# made on Windows\r\n--seed=1\r\n--run_dir=run\r\n")
    return root


@pytest.mark.parametrize(
    ("command", "case"),
    [
        pytest.param(
            command, case, id=name, marks=[pytest.mark.slow] if is_slow(command, case.cause) else []
        )
        for name, (command, case) in CASES.items()
    ],
)
def test_one_line_and_nothing_written(place, command, case):
    program = [command] if command.startswith("data_prep.") else ["tfcyclegan.cli", command]
    before = set(place.rglob("*"))
    result = subprocess.run(
        [sys.executable, "-m", *program, *case.arguments.split()],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = result.stderr.strip().splitlines()
    assert result.returncode == 2, result.stderr
    assert len(lines) == 1 and case.expected in lines[0], result.stderr
    # finished shards and the lock stay for the next try, but nothing that makes a data set, a run
    # or a model of them
    assert not list(place.rglob("manifest.json")) and not [
        path for path in place.rglob("saved_model.pb") if path.parent.name != "broken"
    ]
    made = {path for path in set(place.rglob("*")) - before if path.name != ".lock"}
    assert all((place / "out") in (path, *path.parents) for path in made), made


def test_every_command_has_six_causes():
    causes: dict[str, set[str]] = {}
    for command, case in CASES.values():
        causes.setdefault(command, set()).add(case.cause)
    assert causes.keys() >= set(cli.COMMANDS)
    assert min(map(len, causes.values())) >= 6 and len(CASES) >= 60
