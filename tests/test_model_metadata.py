"""What is said of exported models: also of those whose metadata.json is of an earlier version, or
missing.
"""

import json

import pytest

from tfcyclegan.errors import UserError
from tfcyclegan.exporting import model_card
from tfcyclegan.exporting.versions import new_version
from tfcyclegan.exports import model_metadata
from tfcyclegan.training.runs import read_run

TRANSLATOR = {
    "direction": "ab",
    "tflite_size": "64",
    "data": "satellite2map",
    "interface": {"height": 64, "width": 64, "channels_in": 3, "channels_out": 1, "range": [-1, 1]},
    "domains": {"from": "satellite", "to": "map"},
}
SEGMENTER = {"tflite_size": "64", "classes": [{"name": "road", "id": 7}, {"name": "sky", "id": 23}]}


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        (TRANSLATOR, "satellite to map (direction ab of satellite2map)"),
        (
            TRANSLATOR | {"domains": {"from": "b", "to": "a"}, "direction": "ba", "data": "mine"},
            "b to a of mine (direction ba)",
        ),
        (TRANSLATOR | {"domains": {"from": "a", "to": "b"}, "data": ""}, "a to b (direction ab)"),
        ({"direction": "ba", "weights": "0"}, "b to a (direction ba)"),
        ({"weights": "0"}, model_metadata.UNKNOWN),
        ({"direction": 5, "domains": "x"}, model_metadata.UNKNOWN),
        ({}, model_metadata.UNKNOWN),
        (SEGMENTER, "pictures to class ids"),
    ],
)
def test_from_what_to_what(metadata, said):
    assert model_metadata.translates(metadata) == said


def test_the_metadata_of_a_file(tmp_path):
    (tmp_path / "1" / "rejected").mkdir(parents=True)
    assert (
        model_metadata.read(tmp_path / "1") == model_metadata.read(tmp_path / "alone.tflite") == {}
    )
    (tmp_path / "1" / "metadata.json").write_text(json.dumps(TRANSLATOR))
    for place in ("", "int8.tflite", "rejected/int8.tflite"):
        assert model_metadata.read(tmp_path / "1" / place) == TRANSLATOR
    (tmp_path / "1" / "metadata.json").write_text("{")
    with pytest.raises(UserError, match="not readable as JSON"):
        model_metadata.read(tmp_path / "1")


def make(output, metadata) -> str:
    with new_version(output, metadata) as (directory, temporary):
        (temporary / "metadata.json").write_text(json.dumps(metadata))
    return directory.name


@pytest.mark.parametrize(
    ("there", "here", "differs"),
    [
        (TRANSLATOR, TRANSLATOR | {"direction": "ba"}, "direction ab there, ba here"),
        (
            TRANSLATOR,
            TRANSLATOR | {"domains": {"from": "horse", "to": "zebra"}},
            "domains satellite to map there, horse to zebra here",
        ),
        (
            TRANSLATOR | {"domains": {"from": "a", "to": "b"}, "data": "one"},
            TRANSLATOR | {"domains": {"from": "a", "to": "b"}, "data": "other"},
            "domains a of one to b of one there, a of other to b of other here",
        ),
        (
            TRANSLATOR,
            TRANSLATOR | {"interface": {"channels_in": 1, "channels_out": 1}},
            "channels 3 to 1 there, 1 to 1 here",
        ),
        (TRANSLATOR, TRANSLATOR | {"tflite_size": "32x64"}, "TFLite size 64 there, 32x64 here"),
        (TRANSLATOR, SEGMENTER, "kind translator there, segmenter here"),
        (SEGMENTER, TRANSLATOR, "kind segmenter there, translator here"),
        (
            SEGMENTER,
            SEGMENTER | {"classes": SEGMENTER["classes"][:1]},
            r"classes 2 \(\w+\) there, 1 \(\w+\) here",
        ),
    ],
)
def test_a_version_of_another_purpose_is_refused(tmp_path, there, here, differs):
    assert make(tmp_path / "mine", there) == "1"
    assert make(tmp_path / "mine", there | {"weights": "others"}) == "2"
    with pytest.raises(
        UserError,
        match=(
            rf"--output={tmp_path}/mine: its version 2 is another model \({differs}\).*choose "
            rf"another --output"
        ),
    ):
        make(tmp_path / "mine", here)
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {"1", "2", ".lock"}


def test_what_an_earlier_version_does_not_say_is_not_compared(tmp_path, capsys):
    assert make(tmp_path, {"direction": "ab", "weights": "0"}) == "1", (
        "before exports had an interface and domains"
    )
    assert make(tmp_path, TRANSLATOR) == "2"
    (tmp_path / "3").mkdir()
    with pytest.raises(UserError, match="its version 2 is another model"):
        make(tmp_path, TRANSLATOR | {"direction": "ba"})
    assert make(tmp_path, TRANSLATOR | {"weights": "1"}) == "4"
    assert f"{tmp_path / '3'}: domains unknown: no metadata.json" in capsys.readouterr().out


def test_how_the_training_read():
    stored = {"reading": {"alpha": "drop", "max_value": 4095, "pages": "first"}}
    assert model_metadata.reading_of(stored) == {"alpha": "drop", "max_value": 4095}
    assert (
        model_metadata.told_reading(model_metadata.reading_of(stored))
        == "--alpha=drop --max_value=4095"
    )
    assert (
        model_metadata.reading_of({})
        == model_metadata.reading_of({"reading": {"max_value": "4095"}})
        == {}
    )


def test_imported_weights_claim_no_training(imported, tmp_path):
    metadata = {
        "checkpoint": "step-0",
        "direction": "ab",
        "weights": "0" * 64,
        "tfcyclegan": "1",
        "parameters": 1,
        "data": "",
    }
    measured = {
        "interface": {"height": 16, "width": 16, "channels_in": 3, "channels_out": 3},
        "domains": {"from": "a", "to": "b"},
    }
    table = {"compared": "on noise", "threads": 1, "min_psnr": 30.0, "variants": {}}
    card = model_card.render(
        read_run(imported), None, tmp_path / "model" / "1", metadata | measured | table
    )
    assert (
        "the weights were imported" in card
        and "learning rate" not in card
        and "Trained at" not in card
    )
