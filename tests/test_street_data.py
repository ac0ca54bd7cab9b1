"""GTA5 and Cityscapes on disk -> TFRecords: splits, samples, every kind of label file, and what is
refused.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from data_prep import cityscapes, gta5
from data_prep.street_labels import READ_AS
from tests.conftest import ROOT
from tests.street_folders import (
    HEIGHT,
    WIDTH,
    city_config,
    gta_config,
    id_map,
    made,
    out_of,
    photo,
    read,
    save,
)
from tests.test_street_labels import gta5_label
from tfcyclegan.config import Size
from tfcyclegan.data import labels
from tfcyclegan.errors import UserError


def names(output_dir: Path) -> dict[str, list[str]]:
    return {
        split: [record["image"]["filename"].decode() for record in found]
        for split, found in read(output_dir).items()
    }


# --- GTA5
# --------------------------------------------------------------------------------------------------


def test_gta5_as_tfds_reads_it(gta, capsys):
    gta5.run(gta_config(gta))
    found = read(out_of(gta))
    assert list(found) == ["train"] and len(found["train"]) == 12
    for number, record in enumerate(found["train"], start=1):
        assert record["image"]["filename"] == f"{number:05d}.png".encode()
        assert record["label"]["filename"] == f"labels/{number:05d}.png".encode()
        np.testing.assert_array_equal(record["image"]["encoded"], np.asarray(photo(number)))
        np.testing.assert_array_equal(record["label"]["encoded"][..., 0], id_map(number))
    assert made(out_of(gta))["classes"] == labels.table()
    command = made(out_of(gta))["command"]
    assert command.startswith("python -m data_prep.gta5 ") and f" --input_dir={gta}" in command
    assert "frames 12; the published GTA5 has frames 24,966" in capsys.readouterr().out


def test_sizes_are_bicubic_for_photos_and_nearest_for_ids(gta):
    gta5.run(gta_config(gta, size=Size(16, 24)))
    for number, record in enumerate(read(out_of(gta))["train"], start=1):
        expected = photo(number).resize((24, 16), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(record["image"]["encoded"], np.asarray(expected))
        assert (record["image"]["height"], record["image"]["width"]) == (16, 24)
        centres = (np.arange(24) + 0.5) * WIDTH / 24
        before, after = (
            id_map(number)[1::2][:, np.floor(centres + shift).astype(int)] for shift in (-1e-6, 0)
        )
        ids = record["label"]["encoded"][..., 0]
        assert ((ids == before) | (ids == after)).all(), (
            "a centre may lie between two pixels; nothing else may be stored"
        )


@pytest.mark.parametrize("given", [".", "link"])
def test_drawn_frames_are_known_however_their_folder_is_given(gta, tmp_path, monkeypatch, given):
    (tmp_path / "about.json").write_text('{"synthetic": true}')
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "link").symlink_to(gta)
    monkeypatch.chdir(gta if given == "." else elsewhere)
    gta5.run(gta_config(gta, input_dir=given))
    assert made(out_of(gta))["request"]["settings"]["synthetic"] is True


def test_gta5_images_alone_need_no_labels(gta):
    shutil.rmtree(gta / "labels")
    with pytest.raises(
        UserError,
        match=r"expects images/ and labels/; found: images: --labels=false uses only the images",
    ):
        gta5.run(gta_config(gta))
    gta5.run(gta_config(gta, labels=False))
    assert set(read(out_of(gta))["train"][0]) == {"image"}
    assert "classes" not in made(out_of(gta))


def test_a_jpeg_keeps_its_bytes_and_its_label_is_png(gta):
    save(gta / "images/00099.jpg", photo(99))
    save(gta / "labels/00099.png", gta5_label(id_map(99)))
    gta5.run(gta_config(gta))
    assert read(out_of(gta))["train"][-1]["image"]["format"] == b"jpeg"
    assert (gta / "images/00099.jpg").read_bytes() in (
        out_of(gta) / "gta5-train.tfrecord-00000-of-00001"
    ).read_bytes()
    np.testing.assert_array_equal(
        read(out_of(gta))["train"][-1]["label"]["encoded"][..., 0], id_map(99)
    )


def test_split_mat(gta, capsys):
    scipy.io.savemat(
        gta / "split.mat",
        {
            "trainIds": np.array([[3], [1], [40]]),
            "valIds": np.array([[2]]),
            "testIds": np.arange(4, 12),
        },
    )
    gta5.run(gta_config(gta))
    assert names(out_of(gta)) == {
        "train": ["00001.png", "00003.png"],
        "val": ["00002.png"],
        "test": [f"{number:05d}.png" for number in range(4, 12)],
    }
    said = capsys.readouterr().out
    assert (
        "1 frames of split.mat are not in images/" in said
        and "not in split.mat: images/00012.png" in said
    )
    assert (
        "train 2, val 1, test 8; the published GTA5 has frames 24,966, train 12,403, val 6,382, "
        "test 6,181" in said
    )


def test_samples_are_disjoint_and_follow_the_seed(gta):
    def drawn(seed: int, test_sample: int, directory: str) -> dict[str, list[str]]:
        gta5.run(
            gta_config(
                gta,
                sample=5,
                test_sample=test_sample,
                seed=seed,
                output_dir=str(out_of(gta, directory)),
                labels=False,
            )
        )
        return names(out_of(gta, directory))

    first = drawn(1, 4, "first")
    assert (len(first["train"]), len(first["test"])) == (5, 4)
    assert not set(first["train"]) & set(first["test"])
    assert first["train"] == sorted(first["train"])
    assert drawn(1, 4, "again") == first
    assert drawn(1, 2, "fewer")["train"] == first["train"]
    assert drawn(2, 4, "other")["train"] != first["train"]


def test_missing_pairs_in_gta5(gta, capsys):
    (gta / "labels/00003.png").unlink()
    (gta / "labels/00007.png").unlink()
    (gta / "images/00009.png").unlink()
    with pytest.raises(
        UserError,
        match=r"labels/00003.png: no such file; 2 images lack their labels, and 1 label lacks its "
        r"image: .*; --max_bad=2 leaves them out, --labels=false uses all",
    ):
        gta5.run(gta_config(gta))
    assert not out_of(gta).exists()
    gta5.run(gta_config(gta, max_bad=2))
    assert len(read(out_of(gta))["train"]) == 9
    lines = [
        json.loads(line) for line in (out_of(gta) / "quarantine.jsonl").read_text().splitlines()
    ]
    assert lines == [
        {"file": f"0000{n}.png", "reason": f"no label labels/0000{n}.png"} for n in (3, 7)
    ]
    assert "labels without an image: labels/00009.png" in capsys.readouterr().out


def test_a_label_of_another_size_is_resized_and_counted(gta, capsys):
    small = id_map(2)[::2, ::2]
    save(gta / "labels/00002.png", gta5_label(small))
    gta5.run(gta_config(gta))
    np.testing.assert_array_equal(
        read(out_of(gta))["train"][1]["label"]["encoded"][..., 0], id_map(2)
    )
    assert made(out_of(gta))["conversions"] == {
        READ_AS["ids"]: 12,
        "label resized to its image's size": 1,
    }
    assert "label resized to its image's size: 1 picture" in capsys.readouterr().out


def test_resume_by_the_same_command(gta, capsys):
    """A run stopped by a damaged label goes on, with the finished shards untouched, once that may
    be left out.
    """
    good = (gta / "labels/00012.png").read_bytes()
    (gta / "labels/00012.png").write_bytes(good[: len(good) // 2])
    with pytest.raises(
        UserError, match=r"00012.png: label labels/00012.png: damaged: .*but 0 allowed"
    ):
        gta5.run(gta_config(gta, shards=3))
    assert not (out_of(gta) / "manifest.json").exists()
    first = out_of(gta) / "gta5-train.tfrecord-00000-of-00003"
    inode = first.stat().st_ino
    gta5.run(gta_config(gta, shards=3, max_bad=1))
    assert first.stat().st_ino == inode and len(read(out_of(gta))["train"]) == 11
    capsys.readouterr()
    gta5.run(gta_config(gta, shards=3, max_bad=1))
    done, following = capsys.readouterr().out.splitlines()[-2:]
    assert (
        done == f"{out_of(gta)}: already complete: train 11 pictures"
        and f"train --data_dir={out_of(gta)},OTHER" in following
    )
    with pytest.raises(
        UserError, match=r"--labels: True there, False here; --size: None there, 16x32 here"
    ):
        gta5.run(gta_config(gta, shards=3, max_bad=1, size=Size(16, 32), labels=False))


def test_data_made_before_there_was_a_choice_are_of_the_same_request(gta, city, capsys):
    """Manifests of 0.1.0 lack the label format and the interpolation: the usual ones are no part of
    a request.
    """
    for script, options in ((gta5, gta_config), (cityscapes, city_config)):
        root = {gta5: gta, cityscapes: city}[script]
        script.run(options(root, output_dir=str(root) + "_out"))
        settings = json.loads(Path(str(root) + "_out", "manifest.json").read_text())["request"][
            "settings"
        ]
        assert not {"label_format", "interpolation"} & settings.keys() and settings["size"] is None
        for named in ({}, {"interpolation": "bicubic", "label_format": "auto"}):
            path = Path(str(root) + "_out", "manifest.json")
            manifest = json.loads(path.read_text())
            manifest["request"]["settings"] |= named
            path.write_text(json.dumps(manifest))
            capsys.readouterr()
            script.run(options(root, output_dir=str(root) + "_out"))
            assert "already complete" in capsys.readouterr().out
    with pytest.raises(UserError, match="--label_format: auto there, ids here"):
        gta5.run(gta_config(gta, output_dir=f"{gta}_out", label_format="ids"))


# --- Cityscapes
# --------------------------------------------------------------------------------------------------


def test_photos_have_all_three_splits(city, capsys):
    shutil.rmtree(city / "gtFine")
    cityscapes.run(city_config(city))
    found = names(out_of(city))
    assert {split: len(some) for split, some in found.items()} == {"test": 3, "train": 6, "val": 3}
    assert found["val"] == [f"val/lindau/lindau_{number:06d}_000019.png" for number in range(3)]
    assert (
        "train 6, val 3, test 3; the published Cityscapes has train 2,975, val 500, test 1,525"
        in capsys.readouterr().out
    )


def test_a_photo_and_its_label_map_have_the_same_name(city):
    for content in ("photos_and_labels", "label_maps"):
        cityscapes.run(
            city_config(
                city, content=content, size=Size(16, 32), output_dir=str(out_of(city, content))
            )
        )
    photos, maps = read(out_of(city, "photos_and_labels")), read(out_of(city, "label_maps"))
    assert list(photos) == list(maps) == ["train", "val"], "the labels of test are dummies"
    for split in photos:
        for with_photo, with_map in zip(photos[split], maps[split], strict=True):
            number = int(with_photo["image"]["filename"].decode().split("_")[1])
            assert with_photo["image"]["filename"] == with_map["image"]["filename"]
            assert with_photo["label"]["filename"] == with_map["label"]["filename"]
            ids = with_photo["label"]["encoded"]
            np.testing.assert_array_equal(ids[..., 0], id_map(number)[1::2, 1::2])
            np.testing.assert_array_equal(ids, with_map["label"]["encoded"])
            expected = photo(number).resize((32, 16), Image.Resampling.BICUBIC)
            np.testing.assert_array_equal(with_photo["image"]["encoded"], np.asarray(expected))
            np.testing.assert_array_equal(
                with_map["image"]["encoded"], labels.colorize(ids[..., 0])
            )


def test_label_maps_need_no_photos_and_keep_their_size(city):
    shutil.rmtree(city / "leftImg8bit")
    cityscapes.run(city_config(city, content="label_maps"))
    record = read(out_of(city))["val"][1]
    np.testing.assert_array_equal(record["image"]["encoded"], labels.colorize(id_map(1)))
    assert (
        record["label"]["filename"] == b"gtFine/val/lindau/lindau_000001_000019_gtFine_labelIds.png"
    )


@pytest.mark.parametrize(
    "kind, note", [("color", READ_AS["colours"]), ("labelTrainIds", READ_AS["train_ids"])]
)
def test_where_label_ids_are_missing_the_next_best_file_is_read(city, kind, note):
    for path in (city / "gtFine").rglob("*_labelIds.png"):
        if kind == "labelTrainIds":
            Image.fromarray(labels.to_train_ids(np.asarray(Image.open(path)))).save(
                str(path).replace("labelIds", kind)
            )
            path.with_name(path.name.replace("labelIds", "color")).unlink()
        path.unlink()
    cityscapes.run(city_config(city, content="label_maps"))
    record = read(out_of(city))["val"][2]
    np.testing.assert_array_equal(record["label"]["encoded"][..., 0], id_map(2))
    np.testing.assert_array_equal(record["image"]["encoded"], labels.colorize(id_map(2)))
    assert made(out_of(city))["conversions"] == {note: 9}


def test_samples_of_a_pool_are_named_by_the_split_they_are_stored_in(city):
    with pytest.raises(
        UserError,
        match=r"--sample=7: needs 7 frames, found 6 in train; --pool=train,val,test draws "
        r".*adaptation.*train only",
    ):
        cityscapes.run(city_config(city, sample=7))
    cityscapes.run(city_config(city, sample=9, test_sample=3, pool="train,val,test"))
    found = names(out_of(city))
    assert {split: len(some) for split, some in found.items()} == {"test": 3, "train": 9}
    cities = {name.split("/")[1] for name in found["train"]}
    assert cities & {"lindau", "berlin"}, "drawn from val and test too"
    for split, some in found.items():
        assert all(name.startswith(f"{split}/") and name.count("/") == 2 for name in some)
    assert len({name.split("/", 1)[1] for some in found.values() for name in some}) == 12


def test_missing_labels_in_cityscapes(city):
    for path in (city / "gtFine/val/lindau").glob("lindau_000001*.png"):
        path.unlink()
    with pytest.raises(
        UserError,
        match=r"lindau_000001_000019_gtFine_labelIds.png: no such file; 1 image lacks its label; "
        r"--max_bad=1",
    ):
        cityscapes.run(city_config(city, content="photos_and_labels"))
    cityscapes.run(city_config(city, content="photos_and_labels", max_bad=1))
    assert {split: len(some) for split, some in read(out_of(city)).items()} == {
        "train": 6,
        "val": 2,
    }


# --- wrong requests
# --------------------------------------------------------------------------------------------------


def gta_of(**changes) -> Callable[[Path, Path], None]:
    return lambda gta, city: gta5.run(gta_config(gta, **changes))


def city_of(**changes) -> Callable[[Path, Path], None]:
    return lambda gta, city: cityscapes.run(city_config(city, **changes))


def broken_split_file(gta: Path, city: Path) -> None:
    (gta / "split.mat").write_text("words")
    gta5.run(gta_config(gta))


def foreign_split_file(gta: Path, city: Path) -> None:
    scipy.io.savemat(gta / "split.mat", {"trainIds": [100], "valIds": [], "testIds": []})
    gta5.run(gta_config(gta))


def no_images(gta: Path, city: Path) -> None:
    shutil.rmtree(gta / "images")
    (gta / "images").mkdir()
    gta5.run(gta_config(gta))


def twins(gta: Path, city: Path) -> None:
    save(gta / "images/00003.jpg", photo(3))
    gta5.run(gta_config(gta))


def empty_city(gta: Path, city: Path) -> None:
    shutil.rmtree(city / "leftImg8bit")
    (city / "leftImg8bit/train/aachen").mkdir(parents=True)
    cityscapes.run(city_config(city))


def no_val(gta: Path, city: Path) -> None:
    shutil.rmtree(city / "leftImg8bit/val")
    cityscapes.run(city_config(city, sample=2, pool="train,val"))


def wrong_ids(gta: Path, city: Path) -> None:
    save(gta / "labels/00004.png", gta5_label(np.full((HEIGHT, WIDTH), 40)))
    gta5.run(gta_config(gta))


def no_photos(gta: Path, city: Path) -> None:
    shutil.rmtree(city / "leftImg8bit")
    cityscapes.run(city_config(city))


@pytest.mark.parametrize(
    "request_it, message",
    [
        (
            lambda gta, city: gta5.run(gta_config(city)),
            "images/ and labels/; found: gtFine, leftImg8bit: that is Cityscapes; use data_prep",
        ),
        (
            lambda gta, city: cityscapes.run(city_config(gta)),
            "expects leftImg8bit/; found: images, labels: that looks like GTA5; use data_pr",
        ),
        (lambda gta, city: gta5.run(gta_config(gta / "labels")), "found: 00001.png, .* and 7 more"),
        (
            lambda gta, city: cityscapes.run(city_config(city / "leftImg8bit")),
            "one level too deep; give the directory above",
        ),
        (gta_of(input_dir="/no/where"), "--input_dir=/no/where: no such directory"),
        (no_photos, "found: gtFine: --content=label_maps uses only the label maps"),
        (
            gta_of(sample=11, test_sample=2),
            "--sample=11 --test_sample=2: needs 13 frames, found 12 in .*images; lower it",
        ),
        (gta_of(test_sample=2), "--test_sample=2: draws from the frames that --sample leaves"),
        (
            broken_split_file,
            "split.mat: not readable as GTA5's split.mat with trainIds, valIds, testIds",
        ),
        (foreign_split_file, "split.mat: lists none of the frames"),
        (no_images, "images: holds no picture"),
        (twins, "images/00003.png: has the same base name as images/00003.jpg"),
        (
            wrong_ids,
            "00004.png: label labels/00004.png: ids outside the Cityscapes table: 40; "
            "1 bad picture",
        ),
        (
            city_of(sample=3, pool="train,extra"),
            "--pool=train,extra: 'extra' is not a split; valid are train, val, test",
        ),
        (city_of(sample=3, pool="val,val"), "--pool=val,val: names a split twice"),
        (city_of(pool="train,val"), "--pool=train,val: --sample draws from it"),
        (
            city_of(sample=3, pool="test", content="label_maps"),
            "--pool=test: the labels of test are withheld",
        ),
        (
            city_of(sample=13, pool="train,val,test"),
            "needs 13 frames, found 12 in train,val,test; lower it",
        ),
        (
            city_of(content="labels"),
            "--content=labels: unknown choice; valid are photos, photos_and_labels, label_maps",
        ),
        (
            empty_city,
            "leftImg8bit: no frame such as train/CITY/CITY_000000_000019_leftImg8bit.png in train, "
            "val, test",
        ),
        (no_val, "--pool=train,val: no frame in .*leftImg8bit/val; remove val"),
    ],
)
def test_wrong_requests(gta, city, request_it, message):
    with pytest.raises(UserError, match=message) as caught:
        request_it(gta, city)
    assert "\n" not in str(caught.value)
    finished = [path.name for path in out_of(gta).iterdir()] if out_of(gta).exists() else []
    assert not {"manifest.json", "dataset_info.json", "features.json"} & set(finished)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (
            ["data_prep.gta5", "--input_dir=CITY", "--output_dir=OUT"],
            "data_prep.gta5: --input_dir=CITY: expects images/ and labels/",
        ),
        (
            ["data_prep.cityscapes", "--input_dir=GTA", "--output_dir=OUT", "--size=0x7"],
            "'0x7' is not a size",
        ),
    ],
)
def test_scripts_end_in_one_line(gta, city, arguments, words):
    places = {"CITY": str(city), "GTA": str(gta), "OUT": str(out_of(gta))}
    for word, place in places.items():
        arguments = [argument.replace(word, place) for argument in arguments]
        words = words.replace(word, place)
    result = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1), result.stderr
    assert words in result.stderr
    assert not out_of(gta).exists()
