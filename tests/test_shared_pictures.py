"""Pictures that two splits share byte by byte: told when data are prepared, and beside scores."""

import json

from PIL import Image

from tests.test_unpaired import picture, prepare
from tfcyclegan.data.domains import open_domains
from tfcyclegan.evaluation.gathering import gather_folder
from tfcyclegan.evaluation.task import Task


def make(root):
    """testA shares one picture with trainA and two with valA, testB one with testA."""
    numbers = {
        "trainA": (1, 4),
        "trainB": (11, 14),
        "valA": (1, 2),
        "valB": (12,),
        "testA": (2, 3, 1),
        "testB": (3, 13),
    }
    return prepare(
        root,
        {split: [picture(number, 16, 16) for number in those] for split, those in numbers.items()},
    )


def test_pictures_that_any_two_splits_share_are_told_and_counted(tmp_path, capsys):
    data = make(tmp_path)
    warnings = [
        line.removeprefix(f"{data}: warning: ")
        for line in capsys.readouterr().out.splitlines()
        if "warning" in line
    ]
    assert warnings == [
        "val or test pictures are also in training, byte for byte: testA/002.png is trainA/000.png,"
        " valA/000.png is trainA/000.png; scores would be too good",
        "test pictures are also in val, byte for byte: testA/000.png is valA/001.png, "
        "testA/002.png is valA/000.png; the best checkpoint is chosen on pictures that are scored",
        "pictures are in both domains, byte for byte: testB/000.png is testA/001.png; is one of "
        "them a copy of the other?",
    ]
    assert json.loads((data / "manifest.json").read_text())["twins"] == {
        "testA in trainA": 1,
        "testA in valA": 2,
        "testB in testA": 1,
        "valA in trainA": 1,
    }


def test_scores_say_with_which_split_their_pictures_are_shared(tmp_path):
    data = make(tmp_path)
    (tmp_path / "own").mkdir()
    for number in range(3):
        Image.fromarray(picture(number, 16, 16)).save(tmp_path / f"own/{number:03d}.png")
    scored = gather_folder(tmp_path / "own", Task(open_domains(str(data)), "test", "ab"))
    assert [line for line in scored.assumed if line.startswith("held out: ")] == [
        "held out: 1 of the 3 pictures of testA are also in training (testA in trainA), so their "
        "scores are too good",
        "held out: 2 of the 3 pictures of testA are also in val (testA in valA), where the best "
        "checkpoint is chosen, so their scores may be too good",
        "held out: 1 of the 2 pictures of testB are also in the other domain (testB in testA), "
        "where a translation that changes nothing looks right",
    ]
