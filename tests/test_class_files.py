"""Tables of classes as files: what is read, by hand; what is wrong ends in one line; what is
written is read back.
"""

import json

import numpy as np
import pytest

from tfcyclegan.data import class_files, labels
from tfcyclegan.data.labels import CITYSCAPES, IGNORED, ClassTable, LabelClass
from tfcyclegan.errors import UserError

GOOD = 'name,color,id,ignored\nwater,#0000ff,10,\nvoid,"0, 0,0",255,yes\nland,"(0,128,0)",20,no\n'


def test_by_hand(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text("\ufeff" + GOOD, encoding="utf-8")
    table = class_files.read_classes(str(path))
    assert table.classes == (
        LabelClass("water", 10, 0, (0, 0, 255)),
        LabelClass("void", 255, IGNORED, (0, 0, 0)),
        LabelClass("land", 20, 1, (0, 128, 0)),
    )
    assert (table.names, table.count, table.void_id) == (("water", "land"), 2, 255)
    ids = np.array([[10, 20], [255, 10]], np.uint8)
    assert (
        table.to_train_ids(ids).tolist() == [[0, 1], [255, 0]]
        and table.to_ids(table.to_train_ids(ids)).tolist() == ids.tolist()
    )
    assert table.colorize(ids)[0].tolist() == [[0, 0, 255], [0, 128, 0]]
    assert table.nearest_class(np.array([[9, 9, 200], [9, 99, 9]], np.uint8)).tolist() == [0, 1]
    assert table.unknown_ids(np.array([10, 11], np.uint8)) == {11}
    class_files.write_classes(tmp_path / "again.csv", table)
    assert class_files.read_classes(str(tmp_path / "again.csv")) == table
    assert ClassTable.from_json(json.loads(json.dumps(table.to_json())), path) == table


def test_without_ids_and_cityscapes(tmp_path):
    (tmp_path / "c.csv").write_text("Color,Name\nff0000,a\n#00FF00,b\n\n")
    table = class_files.read_classes(str(tmp_path / "c.csv"))
    assert [(entry.id, entry.train_id, entry.name) for entry in table.classes] == [
        (0, 0, "a"),
        (1, 1, "b"),
    ]
    assert table.void_id == 255, "nothing is ignored, so a free id stands for what does not count"
    assert class_files.read_classes("cityscapes") is CITYSCAPES


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its first line must name the columns name,color and optionally id,ignored; it is ''"),
        ("water,#0000ff\n", "its first line must name the columns name,color"),
        ("name,color,size\na,#000000,1\n", "its first line must name the columns name,color"),
        (
            "name,color\n",
            "the train ids of classes that are not ignored must be 0, 1, 2, ..., not none",
        ),
        (
            "name,color\na,255,0,0\n",
            "line 2 has 4 cells, not 2; a colour such as 255,0,0 needs quotation marks",
        ),
        ('name,color\na,"256,0,0"\n', "line 2 has the colour '256,0,0'"),
        ("name,color\na,red\n", "line 2 has the colour 'red'; write #rrggbb"),
        ("name,color\n,#000000\n", "line 2 has no name"),
        ("name,color\na,#000000\na,#000001\n", "line 3 (a) has the same name as a"),
        ("name,color\na,#000001\nb,#000001\n", "line 3 (b) has the same colour as a"),
        ("name,color,id\na,#000001,3\nb,#000002,3\n", "line 3 (b) has the same id as a"),
        (
            "name,color,id\na,#000001,256\n",
            "line 2 has the id '256'; ids are whole numbers from 0 to 255",
        ),
        ("name,color,id\na,#000001,-1\n", "line 2 has the id '-1'"),
        (
            "name,color,ignored\na,#000001,perhaps\n",
            "line 2 has 'perhaps' under ignored; write yes or no",
        ),
        ("name,color,ignored\na,#000001,yes\n", "the train ids of classes that are not ignored"),
        ('name,color\n"a,#000001\n', "cannot be read (unexpected end of data)"),
    ],
)
def test_what_is_wrong_ends_in_one_line(tmp_path, text, message):
    (tmp_path / "c.csv").write_text(text)
    with pytest.raises(UserError) as caught:
        class_files.read_classes(str(tmp_path / "c.csv"))
    assert (
        message in str(caught.value)
        and str(caught.value).startswith("--classes=")
        and "\n" not in str(caught.value)
    )


def test_as_many_classes_as_there_is_room_for(tmp_path):
    """The train id 255 says that a pixel does not count."""
    lines = [f"{number},#0000{number:02x}" for number in range(256)]
    (tmp_path / "most.csv").write_text("\n".join(["name,color", *lines[:255]]))
    table = class_files.read_classes(str(tmp_path / "most.csv"))
    assert (
        table.count == 255
        and table.to_train_ids(np.array([254], np.uint8)) == [254]
        and table.void_id == 255
    )
    (tmp_path / "more.csv").write_text("\n".join(["name,color", *lines]))
    with pytest.raises(
        UserError, match=r"line 257 is the 256th class that is not ignored; a table has at most 255"
    ):
        class_files.read_classes(str(tmp_path / "more.csv"))


def test_no_text_and_no_file(tmp_path):
    (tmp_path / "c.csv").write_bytes(b"\x89PNG\xff\xfe\x00")
    for place in (tmp_path / "c.csv", tmp_path / "none.csv", tmp_path):
        with pytest.raises(UserError, match="cannot be read"):
            class_files.read_classes(str(place))


def test_differences_in_words():
    other = ClassTable(
        tuple(
            LabelClass(
                "street" if entry.name == "road" else entry.name,
                entry.id,
                entry.train_id,
                (1, 2, 3),
            )
            for entry in CITYSCAPES.classes
        )
    )
    assert (
        CITYSCAPES.difference(CITYSCAPES) == ""
        and CITYSCAPES.difference(other) == "id 7 is street, not road"
    )
    fewer = ClassTable(CITYSCAPES.classes[:8])
    assert CITYSCAPES.difference(fewer) == "id 8 is nothing, not sidewalk"
    recoloured = ClassTable(
        tuple(
            LabelClass(entry.name, entry.id, entry.train_id, (9, 9, 9)) for entry in fewer.classes
        )
    )
    assert fewer.difference(recoloured) == "", "ids mean the same, whatever they are drawn in"


def test_damaged_tables_name_their_file(tmp_path):
    whole = CITYSCAPES.to_json()
    for damaged in (
        7,
        [7],
        [{}],
        [{**whole[7], "color": [1]}],
        [{**whole[7], "id": "x"}],
        [whole[7], whole[7]],
        [{**whole[7], "id": 300}],
    ):
        with pytest.raises(UserError, match=r"manifest\.json: .*restore the file"):
            ClassTable.from_json(damaged, tmp_path / "manifest.json")


def test_the_package_takes_no_table_for_granted():
    """Cityscapes' own constants are for the scripts that prepare it."""
    from tests.conftest import ROOT

    constants = (
        "CLASSES",
        "TRAIN_CLASSES",
        "NAMES",
        "COUNT",
        "PALETTE",
        "to_train_ids",
        "to_ids",
        "colorize",
        "nearest_class",
        "unknown_ids",
    )
    used = [
        f"{path.name}: {name}"
        for path in sorted((ROOT / "tfcyclegan").rglob("*.py"))
        for name in constants
        if path.name != "labels.py" and f"labels.{name}" in path.read_text()
    ]
    assert used == [] and set(constants) <= set(dir(labels))
