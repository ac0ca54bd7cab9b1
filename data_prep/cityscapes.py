"""Cityscapes -> TFRecords of photos, of photos with their class ids, or of label maps as a domain
of their own.

Source: Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016;
leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip from https://www.cityscapes-dataset.com.
This script downloads nothing. Licence: after registration, for non-commercial use; neither the data
nor what this script makes of it may be redistributed.

Reads:

    ROOT/
        leftImg8bit/{train,val,test}/CITY/CITY_000000_000019_leftImg8bit.png
            2975, 500 and 1525 photos of 2048x1024
        gtFine/{train,val}/CITY/CITY_000000_000019_gtFine_labelIds.png
            or, if that is missing, _color.png or _labelTrainIds.png

The labels of the official test split are withheld: its files are dummies and are never used as
labels.

--content selects what a record holds:

    photos              a photo (only leftImg8bit is read); train, val and test
    photos_and_labels   a photo and its class ids; train and val
    label_maps          the label map in its colours, and its class ids (only gtFine is read);
                        train and val

Splits: the official ones that are present; with --sample, "train" and, with --test_sample, "test",
drawn from the official splits in --pool. Adaptation to Cityscapes should draw from train only,
since it is scored on val; the 3000 frames of Rao et al. 2023 exceed train and need
--pool=train,val,test.

Makes:

    OUT/
        cityscapes-SPLIT.tfrecord-00000-of-00004  features.json  dataset_info.json  manifest.json
        quarantine.jsonl    only if bad frames were left out

A photo and its label map are stored under the same name SPLIT/CITY/CITY_000000_000019.png, where
SPLIT is the split that holds them. After any interruption the same command continues.
"""

import dataclasses
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from data_prep import street_frames as frames
from data_prep.street_frames import File, Frame, PassedOver
from data_prep.street_labels import AUTO, COLOURS, IDS, TRAIN_IDS
from tfcyclegan.cli import run_command
from tfcyclegan.config import option
from tfcyclegan.errors import UserError

SUMMARY = "prepare Cityscapes (photos, class ids, label maps) for training and domain adaptation"
EXAMPLES = """
    python -m data_prep.cityscapes --input_dir=~/cityscapes --output_dir=data/photos \\
        --content=photos --size=128
    python -m data_prep.cityscapes --input_dir=~/cityscapes --output_dir=data/label_maps \\
        --content=label_maps --size=128
    python -m data_prep.cityscapes --input_dir=~/cityscapes --output_dir=data/labelled \\
        --content=photos_and_labels --size=256x512
    python -m data_prep.cityscapes --input_dir=~/cityscapes --output_dir=data/report \\
        --size=180x360 --sample=3000 --pool=train,val,test
"""

PHOTOS, GROUND_TRUTH = "leftImg8bit", "gtFine"
PUBLISHED = {"train": 2975, "val": 500, "test": 1525}
WITH_LABELS = ("train", "val")
KINDS = {"labelIds": AUTO, "color": COLOURS, "labelTrainIds": TRAIN_IDS}
"""What a label file's name says it holds, and how to read it; the first one present is used."""
PREFERRED = {IDS: "labelIds", COLOURS: "color", TRAIN_IDS: "labelTrainIds"}
"""The name that is tried first with a given --label_format."""

_PHOTO = re.compile(r"(.+)_leftImg8bit\.(png|jpg|jpeg)", re.IGNORECASE)
_LABEL = re.compile(rf"(.+)_gtFine_({'|'.join(KINDS)})\.png")


@dataclass(frozen=True, kw_only=True)
class Config(frames.FrameOptions):
    """The options that only Cityscapes has."""

    input_dir: str = option("", "directory that holds leftImg8bit/ and gtFine/", required=True)
    name: str = option("cityscapes", "the data set's name: lower-case letters, digits and _")
    content: str = option(
        "photos", "what a record holds", choices=("photos", "photos_and_labels", "label_maps")
    )
    pool: str = option("train", "official splits that --sample draws from, separated by commas")

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = [split for split in self.pool.split(",") if split not in PUBLISHED]
        if unknown:
            raise UserError(
                f"--pool={self.pool}: {unknown[0]!r} is not a split; valid are "
                f"{', '.join(PUBLISHED)}, separated by commas"
            )
        if len(set(self.pool.split(","))) < len(self.pool.split(",")):
            raise UserError(f"--pool={self.pool}: names a split twice")
        if self.pool != "train" and not self.sample:
            raise UserError(f"--pool={self.pool}: --sample draws from it; give --sample too")
        if self.content == "photos" and self.label_format != AUTO:
            raise UserError(
                f"--label_format={self.label_format}: --content=photos reads no labels; choose "
                "another --content"
            )
        if self.sample and self.content != "photos" and "test" in self.pool.split(","):
            raise UserError(
                f"--pool={self.pool}: the labels of test are withheld; remove test, or choose "
                "--content=photos"
            )


def find_photos(root: Path, split: str, passed: PassedOver) -> dict[str, File]:
    """The photos of an official split by CITY/FRAME, in the order of their names."""
    found: dict[str, File] = {}
    others = []
    for file in frames.find_files(root, f"{PHOTOS}/{split}", passed):
        match = _PHOTO.fullmatch(file.name)
        if not match:
            others.append(file.path)
            continue
        key = _key(file, match[1])
        if key in found:
            raise UserError(
                f"{root / file.path}: is the same frame as {found[key].path}; keep one of them"
            )
        found[key] = file
    passed.add(others, "not named ..._leftImg8bit.png")
    return dict(sorted(found.items()))


def find_labels(
    root: Path, split: str, label_format: str, passed: PassedOver
) -> dict[str, tuple[File, str]]:
    """The label map of each frame of an official split, with its kind, by CITY/FRAME, in the order
    of their names.
    """
    kinds = sorted(KINDS, key=lambda kind: kind != PREFERRED.get(label_format))
    found: dict[str, tuple[File, str]] = {}
    others = []
    for file in frames.find_files(root, f"{GROUND_TRUTH}/{split}", passed):
        match = _LABEL.fullmatch(file.name)
        if not match:
            others.append(file.path)  # polygons and instance ids
            continue
        key, kind = _key(file, match[1]), match[2]
        there = found.get(key)
        if there is None or kinds.index(kind) < kinds.index(there[1]):
            found[key] = file, kind
        others += [] if there is None else [(there[0] if found[key][1] == kind else file).path]
    passed.add(sorted(others), "files beside the label that is read")
    return dict(sorted(found.items()))


def _key(file: File, frame: str) -> str:
    return "/".join([*file.path.split("/")[2:-1], frame])


def find_frames(root: Path, split: str, config: Config, passed: PassedOver) -> list[Frame]:
    """The frames of an official split, named CITY/FRAME.png."""
    photos = find_photos(root, split, passed) if config.content != "label_maps" else {}
    if config.content == "photos":
        return [Frame(f"{key}.png", photo) for key, photo in photos.items()]
    label_maps = find_labels(root, split, config.label_format, passed)

    def read_as(kind: str) -> str:
        return KINDS[kind] if config.label_format == AUTO else config.label_format

    if config.content == "label_maps":
        return [
            Frame(f"{key}.png", None, file, "", read_as(kind), named=True)
            for key, (file, kind) in label_maps.items()
        ]
    passed.add(
        [file.path for key, (file, _) in label_maps.items() if key not in photos],
        frames.WITHOUT_IMAGE,
    )
    found = []
    for key, photo in photos.items():
        if key in label_maps:
            label, kind = label_maps[key]
            found.append(Frame(f"{key}.png", photo, label, "", read_as(kind), named=True))
        else:
            found.append(
                Frame(
                    f"{key}.png", photo, None, f"{GROUND_TRUTH}/{split}/{key}_gtFine_labelIds.png"
                )
            )
    return found


def run(config: Config) -> None:
    root = Path(config.input_dir)
    needed = {
        "photos": [PHOTOS],
        "photos_and_labels": [PHOTOS, GROUND_TRUTH],
        "label_maps": [GROUND_TRUTH],
    }[config.content]
    above = "that is one level too deep; give the directory above"
    hints = {
        "images": "that looks like GTA5; use data_prep.gta5",
        "cityscapes": "give cityscapes/ in it",
        "train": above,
        "val": above,
        PHOTOS: "--content=photos uses only the photos",
        GROUND_TRUTH: "--content=label_maps uses only the label maps",
    }
    frames.require_folders(root, needed, hints)
    usable = tuple(PUBLISHED) if config.content == "photos" else WITH_LABELS
    pool = config.pool.split(",")
    passed = PassedOver(root)
    passed.add_others("", needed, "not read by this command")
    for folder in needed:
        passed.add_others(folder, pool if config.sample else usable, "splits that are not read")
    official = {
        split: found
        for split in usable
        if (not config.sample or split in pool)
        and (root / needed[0] / split).is_dir()
        and (found := find_frames(root, split, config, passed))
    }
    if not official:
        ending = "_leftImg8bit.png" if needed[0] == PHOTOS else "_gtFine_labelIds.png"
        wanted = pool if config.sample else usable
        raise UserError(
            f"{root / needed[0]}: no frame such as {wanted[0]}/CITY/CITY_000000_000019{ending} in "
            f"{', '.join(wanted)}"
        )
    absent = [split for split in pool if split not in official]
    if config.sample and absent:
        raise UserError(
            f"--pool={config.pool}: no frame in {root / needed[0] / absent[0]}; remove {absent[0]}"
        )
    frames.log_counts(
        root, "Cityscapes", {split: len(found) for split, found in official.items()}, PUBLISHED
    )
    splits = official
    if config.sample:
        more = ",".join(usable)
        wider = (
            f"; --pool={more} draws from more (for adaptation, which is scored on val, draw from "
            "train only)"
        )
        frame_pool = [frame for found in official.values() for frame in found]
        splits = frames.draw(
            frame_pool,
            config,
            passed,
            short=f" in {config.pool}{wider if set(pool) < set(usable) else '; lower it'}",
        )
    splits = {
        split: [dataclasses.replace(frame, name=f"{split}/{frame.name}") for frame in found]
        for split, found in splits.items()
    }
    frames.run(
        "data_prep.cityscapes",
        config,
        splits,
        passed,
        labelled=config.content != "photos",
        without="--content=photos",
    )


if __name__ == "__main__":
    sys.exit(run_command("data_prep.cityscapes", SUMMARY, EXAMPLES, Config, run))
