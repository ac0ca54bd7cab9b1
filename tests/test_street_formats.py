"""How a set's labels are read, and what of a street data set is not used: decided for the whole
set, told, and in the manifest.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep import cityscapes, gta5
from data_prep.street_labels import MOSTLY_VOID, OTHER_CHANNELS, READ_AS, WITHOUT_CLASS
from tests.conftest import ROOT
from tests.street_folders import (
    city_config,
    gta_config,
    id_map,
    made,
    out_of,
    photo,
    read,
    save,
)
from tests.test_street_labels import deep_png, gta5_label
from tfcyclegan.cli import run_command
from tfcyclegan.config import Size
from tfcyclegan.data import labels
from tfcyclegan.errors import UserError


def synthia_classes(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 23, (32, 64)).astype(np.uint16)


@pytest.fixture
def synthia(tmp_path) -> Path:
    """Two frames whose labels have the class in the red and the instance in the green channel, of
    16 bit.
    """
    root = tmp_path / "synthia"
    for number in range(2):
        save(root / f"images/{number:07d}.png", photo(number))
        classes = synthia_classes(number)
        save(root / f"labels/{number:07d}.png", Image.new("L", (1, 1)))
        (root / f"labels/{number:07d}.png").write_bytes(
            deep_png(np.dstack([classes, classes * 40, 0 * classes]))
        )
    return root


def fill(root: Path, *maps: np.ndarray) -> None:
    """Makes the maps the labels, as gray pictures, and leaves no other frame."""
    shutil.rmtree(root / "images")
    shutil.rmtree(root / "labels")
    for number, ids in enumerate(maps):
        save(root / f"images/{number:05d}.png", photo(number))
        save(root / f"labels/{number:05d}.png", Image.fromarray(ids))


def stored_ids(root: Path, split: str = "train") -> list[np.ndarray]:
    return [record["label"]["encoded"][..., 0] for record in read(out_of(root))[split]]


def test_labels_of_16_bit_colour_are_decoded_by_choice(synthia, capfd):
    arguments = [f"--input_dir={synthia}", f"--output_dir={out_of(synthia)}"]
    assert (
        run_command("data_prep.gta5", gta5.SUMMARY, gta5.EXAMPLES, gta5.Config, gta5.run, arguments)
        == 2
    )
    (line,) = capfd.readouterr().err.splitlines()
    assert (
        "labels/0000000.png: 16-bit colours outside the Cityscapes table" in line
        and "--label_format=synthia" in line
    )
    assert not out_of(synthia).exists()
    assert (
        run_command(
            "data_prep.gta5",
            gta5.SUMMARY,
            gta5.EXAMPLES,
            gta5.Config,
            gta5.run,
            [*arguments, "--label_format=synthia"],
        )
        == 0
    )
    ids = [0, 23, 11, 7, 8, 13, 21, 17, 26, 20, 24, 33, 32, 9, 0, 19, 22, 25, 27, 28, 31, 12, 0]
    for number, found in enumerate(stored_ids(synthia)):
        np.testing.assert_array_equal(found, np.array(ids)[synthia_classes(number)])
    assert made(out_of(synthia))["conversions"] == {READ_AS["synthia"]: 2, WITHOUT_CLASS: 2}
    assert made(out_of(synthia))["left_out"] == {OTHER_CHANNELS: 2}
    seen = made(out_of(synthia))["labels"]
    assert (seen["looked_at"], seen["of"], seen["read_as"]) == (2, 2, {READ_AS["synthia"]: 2})
    void = np.mean([np.isin(synthia_classes(number), (0, 13, 14, 22)) for number in range(2)])
    assert seen["of_no_class_that_counts"] == pytest.approx(void, abs=1e-4)
    assert seen["shares"]["road"] == pytest.approx(
        np.mean([synthia_classes(number) == 3 for number in range(2)]), abs=1e-4
    )
    said = capfd.readouterr().out
    assert (
        "2 of 2 labels looked at: label made from SYNTHIA's classes: 2;" in said
        and f"not used, {OTHER_CHANNELS}: 2" in said
    )
    assert "published GTA5" not in said


@pytest.mark.parametrize(
    "values, choices",
    [
        ((7, 8, 11), "ids, train_ids, synthia"),
        ((7, 8, 255), "ids, train_ids"),
        ((7, 8, 21), "ids, synthia"),
        ((0, 2, 255), "ids, train_ids"),
    ],
)
def test_numbers_that_can_be_read_in_several_ways_need_a_choice(gta, values, choices):
    maps = [
        np.random.default_rng(number).choice(np.array(values, np.uint8), (32, 64))
        for number in range(3)
    ]
    fill(gta, *maps)
    words = (
        f"00000.png: its values, and those of all 3 labels looked at, can be read as {choices}; "
        "choose one with --label_format=ids"
    )
    if values == (0, 2, 255):
        words = "look like train ids"
    with pytest.raises(UserError, match=words):
        gta5.run(gta_config(gta))
    assert not out_of(gta).exists()
    name = choices.split(", ")[1]
    gta5.run(gta_config(gta, label_format=name))
    table = {
        "train_ids": {7: 20, 8: 21, 11: 24, 255: 0, 0: 7, 2: 11},
        "synthia": {7: 17, 8: 26, 21: 12},
    }[name]
    for found, values_there in zip(stored_ids(gta), maps, strict=True):
        np.testing.assert_array_equal(found, np.vectorize(table.get)(values_there))


def test_one_label_with_sky_or_people_tells_that_numbers_are_ids(gta, capsys):
    fill(gta, np.full((32, 64), 7, np.uint8), np.full((32, 64), 23, np.uint8))
    gta5.run(gta_config(gta))
    assert (
        "2 of 2 labels looked at: label read as class ids: 2; road 50.0%, sky 50.0%, of no scored "
        "class 0.0%" in capsys.readouterr().out
    )


def test_a_set_of_unlabeled_pixels_is_refused_and_a_mostly_unlabeled_one_is_told(gta, capsys):
    fill(gta, np.zeros((32, 64), np.uint8), np.full((32, 64), 4, np.uint8))
    with pytest.raises(
        UserError,
        match=r"00000.png: all of its pixels, and of 2 labels looked at, are of no scored class",
    ):
        gta5.run(gta_config(gta))
    half = np.zeros((32, 64), np.uint8)
    half[:8] = 26
    fill(gta, half, half)
    gta5.run(gta_config(gta))
    said = capsys.readouterr().out
    assert (
        "car 25.0%, of no scored class 75.0%" in said
        and "warning: most of the labels' pixels are of no scored class" in said
    )
    assert made(out_of(gta))["conversions"][MOSTLY_VOID] == 2


def test_a_black_colour_label_does_not_make_a_set_unlabeled(gta):
    save(gta / "labels/00005.png", Image.new("RGB", (64, 32)))
    gta5.run(gta_config(gta))
    assert made(out_of(gta))["conversions"] == {
        READ_AS["ids"]: 11,
        READ_AS["colours"]: 1,
        MOSTLY_VOID: 1,
    }


def test_blended_colours_are_refused_with_their_share(gta):
    for number in range(1, 13):
        colored = Image.fromarray(labels.colorize(id_map(number))).resize(
            (48, 24), Image.Resampling.BILINEAR
        )
        save(gta / f"labels/{number:05d}.png", colored)
    with pytest.raises(
        UserError,
        match=(
            r"colours outside the Cityscapes table, in \d+.\d% of the pixels: .*none of the 12 "
            r"labels"
        ),
    ):
        gta5.run(gta_config(gta))


def test_a_label_of_another_shape_is_another_frames(gta):
    save(gta / "labels/00002.png", gta5_label(id_map(2)[:16]))
    with pytest.raises(
        UserError,
        match=r"label labels/00002.png: 64x16 pixels, another aspect ratio than the image, 64x32",
    ):
        gta5.run(gta_config(gta, size=Size(16, 32)))


def test_what_is_not_read_of_gta5_is_told_and_counted(gta, capsys):
    (gta / "depth").mkdir()
    (gta / "labels/readme.txt").write_text("words")
    save(gta / "labels/00001_labelTrainIds.png", Image.new("L", (64, 32)))
    gta5.run(gta_config(gta, sample=4, test_sample=3))
    left_out = {
        "not read by this command": 1,
        "label files that are not PNG": 1,
        "labels without an image": 1,
        "not drawn by --sample": 5,
    }
    assert made(out_of(gta))["left_out"] == left_out
    said = capsys.readouterr().out
    for what in (
        "not read by this command: depth",
        "not PNG: labels/readme.txt",
        "an image: labels/00001_labelTrainIds.png",
        "--sample: 0000",
    ):
        assert f"skipped, {what}" in said or what in said
    save(gta / "labels/more/00001.png", gta5_label(id_map(1)))
    with pytest.raises(UserError, match=r"has the same base name as labels/"):
        gta5.run(gta_config(gta, output_dir=str(out_of(gta, "second"))))


def test_labels_numbered_otherwise_than_their_images(gta):
    for number in range(1, 13):
        (gta / f"labels/{number:05d}.png").rename(gta / f"labels/{number - 1:05d}.png")
    with pytest.raises(
        UserError,
        match=(
            r"00012.png: no such file; 1 image lacks its label, and 1 label lacks its image: "
            r"are they named alike"
        ),
    ):
        gta5.run(gta_config(gta))


def test_the_format_says_which_of_cityscapes_files_is_read(city, capsys):
    for path in (city / "gtFine").rglob("*_labelIds.png"):
        path.write_bytes(b"damaged")
    cityscapes.run(city_config(city, content="label_maps", label_format="colours"))
    assert made(out_of(city))["conversions"] == {READ_AS["colours"]: 9}
    np.testing.assert_array_equal(stored_ids(city, "val")[2], id_map(2))
    assert made(out_of(city))["left_out"] == {
        "not read by this command": 1,
        "splits that are not read": 1,
        "files beside the label that is read": 18,
    }
    said = capsys.readouterr().out
    assert (
        "not read by this command: leftImg8bit" in said
        and "splits that are not read: gtFine/test" in said
    )
    assert (
        "aachen_000000_000019_gtFine_labelIds.png, "
        "gtFine/train/aachen/aachen_000000_000019_gtFine_polygons.json" in said
    )


def test_a_name_of_cityscapes_tells_what_its_numbers_are(city):
    """Road, sidewalk and building alone could be anything, but for the name."""
    for path in (city / "gtFine").rglob("*_labelIds.png"):
        Image.fromarray(
            np.random.default_rng(1).choice(np.array([7, 8, 11], np.uint8), (32, 64))
        ).save(path)
    cityscapes.run(city_config(city, content="label_maps"))
    assert set(np.unique(stored_ids(city))) == {7, 8, 11}


@pytest.mark.parametrize(
    "request_it, message",
    [
        (
            lambda gta, city: gta5.run(gta_config(gta, labels=False, label_format="ids")),
            "--label_format=ids: --labels=false reads no labels",
        ),
        (
            lambda gta, city: cityscapes.run(city_config(city, label_format="ids")),
            "--label_format=ids: --content=photos reads no labels",
        ),
        (
            lambda gta, city: gta5.run(gta_config(gta, label_format="colors")),
            "--label_format=colors: unknown choice; valid are auto, ids",
        ),
        (
            lambda gta, city: gta5.run(gta_config(gta, label_format="synthia")),
            r"not classes of SYNTHIA \(0..22\): .*none of the 12 labels",
        ),
        (
            lambda gta, city: gta5.run(gta_config(ROOT / "tests" / "golden")),
            "expects images/ and labels/",
        ),
    ],
)
def test_choices_that_do_not_fit(gta, city, request_it, message):
    with pytest.raises(UserError, match=message):
        request_it(gta, city)
    assert not out_of(gta).exists()


def test_twin_photos_of_cityscapes_are_refused(city):
    photos = city / "leftImg8bit/train/aachen"
    shutil.copy(
        photos / "aachen_000000_000019_leftImg8bit.png",
        photos / "aachen_000000_000019_leftImg8bit.jpg",
    )
    with pytest.raises(
        UserError,
        match=r"aachen_000000_000019_leftImg8bit\.(jpg|png): is the same frame as .*; keep one",
    ):
        cityscapes.run(city_config(city))
