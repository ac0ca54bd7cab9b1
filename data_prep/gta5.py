"""GTA5 ("Playing for Data") -> TFRecords of frames with their class ids.

Source: Richter, Vineet, Roth, Koltun, "Playing for Data: Ground Truth from Computer Games", ECCV
2016; https://download.visinf.tu-darmstadt.de/data/from_games/. This script downloads nothing.
Licence: for research and teaching; Grand Theft Auto V belongs to Rockstar Games. Read the terms on
that page.

Reads:

    ROOT/
        images/00001.png  ...   24,966 frames, most of 1914x1052
        labels/00001.png  ...   palette PNGs whose indices are Cityscapes ids; not read with
                                --labels=false
        split.mat               optional: trainIds, valIds, testIds; 12,403, 6,382 and 6,181 frames

Labels of other kinds are recognised if they are unambiguous, and otherwise read as --label_format
says (data_prep.street_labels): SYNTHIA's RAND_CITYSCAPES, with GT/LABELS as labels/ and RGB as
images/, with --label_format=synthia. A label whose size differs from its image's, as in some frames
of GTA5, is resized to it and counted; one with another aspect ratio is refused. Images without
labels (some copies lack 25) count as bad frames.

Splits: those of split.mat, or all in "train" without it; with --sample, "train" and, with
--test_sample, "test", drawn from all frames.

Makes:

    OUT/
        gta5-SPLIT.tfrecord-00000-of-00004  features.json  dataset_info.json
        manifest.json       with the table of classes
        quarantine.jsonl    only if bad frames were left out

A picture is stored under its base name, such as 00001.png. After any interruption the same command
continues.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from data_prep import street_frames as frames
from data_prep.street_frames import File, Frame, PassedOver
from data_prep.street_labels import AUTO, SYNTHIA
from tfcyclegan.cli import run_command
from tfcyclegan.config import option
from tfcyclegan.data import picture_files
from tfcyclegan.errors import UserError
from tfcyclegan.system.progress import log

SUMMARY = "prepare GTA5 (images and class ids) for training and domain adaptation"
EXAMPLES = """
    python -m data_prep.gta5 --input_dir=~/GTA5 --output_dir=data/gta5 --size=256x512
    python -m data_prep.gta5 --input_dir=~/GTA5 --output_dir=data/gta5_report --size=180x360 \\
        --sample=3000 --test_sample=1000
    python -m data_prep.gta5 --input_dir=~/synthia --output_dir=data/synthia --name=synthia \\
        --label_format=synthia --size=256x512
"""

SPLITS = {"train": "trainIds", "val": "valIds", "test": "testIds"}
PUBLISHED = {"frames": 24_966, "train": 12_403, "val": 6_382, "test": 6_181}
SPLIT_FILE = "split.mat"


@dataclass(frozen=True, kw_only=True)
class Config(frames.FrameOptions):
    """The options that only GTA5 has."""

    input_dir: str = option(
        "", "directory that holds images/, labels/ and optionally split.mat", required=True
    )
    name: str = option("gta5", "the data set's name: lower-case letters, digits and _")
    labels: bool = option(
        True, "store the class ids beside each image; without, labels/ is not needed"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.labels and self.label_format != AUTO:
            raise UserError(
                f"--label_format={self.label_format}: --labels=false reads no labels; give one of "
                "the two"
            )


def find_frames(root: Path, config: Config, passed: PassedOver) -> list[Frame]:
    """All frames in the order of their names."""
    images = _by_stem(
        root, "images", picture_files.is_picture, "not pictures by their extension", passed
    )
    if not images:
        raise UserError(
            f"{root / 'images'}: holds no picture; put GTA5's images there, such as 00001.png"
        )
    if not config.labels:
        return [Frame(file.name, file) for _, file in sorted(images.items())]
    label_files = _by_stem(
        root,
        "labels",
        lambda name: name.lower().endswith(".png"),
        "label files that are not PNG",
        passed,
    )
    passed.add(
        [file.path for stem, file in label_files.items() if stem not in images],
        frames.WITHOUT_IMAGE,
    )
    found = []
    for stem, file in sorted(images.items()):
        label = label_files.get(stem)
        found.append(
            Frame(
                file.name, file, label, "" if label else f"labels/{stem}.png", config.label_format
            )
        )
    return found


def _by_stem(
    root: Path, folder: str, is_taken: Callable[[str], bool], others: str, passed: PassedOver
) -> dict[str, File]:
    """The files below a folder for which `is_taken(name)` is true, by name without extension."""
    found: dict[str, File] = {}
    not_taken = []
    for file in frames.find_files(root, folder, passed):
        stem = Path(file.name).stem
        if not is_taken(file.name):
            not_taken.append(file.path)
        elif stem in found:
            raise UserError(
                f"{root / file.path}: has the same base name as {found[stem].path}; keep one of "
                "them"
            )
        else:
            found[stem] = file
    passed.add(not_taken, others)
    return found


def read_split_file(path: Path) -> dict[str, list[int]]:
    """The frame numbers of each split that has any.

    Raises:
        UserError: the file does not have the expected contents.
    """
    import scipy.io

    try:
        content = scipy.io.loadmat(path)
        numbers = {
            split: [int(number) for number in content[key].ravel()] for split, key in SPLITS.items()
        }
    except Exception as error:  # scipy raises nearly every type on damaged input
        words = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{path}: not readable as GTA5's {SPLIT_FILE} with {', '.join(SPLITS.values())} "
            f"({words}); remove it"
        ) from error
    return {split: some for split, some in numbers.items() if some}


def by_split_file(
    root: Path, found: list[Frame], numbers: Mapping[str, list[int]], passed: PassedOver
) -> dict[str, list[Frame]]:
    """The frames of each split of split.mat that exist."""
    by_number = {int(stem): frame for frame in found if (stem := Path(frame.name).stem).isdecimal()}
    splits = {
        split: [by_number[number] for number in sorted(set(some)) if number in by_number]
        for split, some in numbers.items()
    }
    absent = sum(number not in by_number for some in numbers.values() for number in some)
    if absent:
        log(f"{root}: {absent} frames of {SPLIT_FILE} are not in images/")
        passed.counts[f"frames of {SPLIT_FILE} that are not in images/"] += absent
    named = {frame.name for some in splits.values() for frame in some}
    passed.add(
        [f"images/{frame.name}" for frame in found if frame.name not in named],
        f"not in {SPLIT_FILE}",
    )
    splits = {split: some for split, some in splits.items() if some}
    if not splits:
        raise UserError(
            f"{root / SPLIT_FILE}: lists none of the frames in images/; remove it to use all of "
            "them"
        )
    return splits


def run(config: Config) -> None:
    root = Path(config.input_dir)
    cityscapes = "that is Cityscapes; use data_prep.cityscapes"
    hints = {
        "leftImg8bit": cityscapes,
        "gtFine": cityscapes,
        "images": "--labels=false uses only the images",
        "gta5": "give gta5/ in it",
        "GT": (
            "that looks like SYNTHIA; link RGB as images/ and GT/LABELS as labels/, and give "
            "--label_format=synthia"
        ),
    }
    frames.require_folders(root, ["images", "labels"] if config.labels else ["images"], hints)
    passed = PassedOver(root)
    taken = {
        "images",
        *(["labels"] if config.labels else []),
        *([] if config.sample else [SPLIT_FILE]),
    }
    passed.add_others("", taken, "not read by this command")
    found = find_frames(root, config, passed)
    counts = {"frames": len(found)}
    if config.sample:
        splits = frames.draw(found, config, passed, short=f" in {root / 'images'}; lower it")
    elif (root / SPLIT_FILE).exists():
        splits = by_split_file(root, found, read_split_file(root / SPLIT_FILE), passed)
        counts |= {split: len(some) for split, some in splits.items()}
    else:
        splits = {"train": found}
    if config.label_format != SYNTHIA:
        frames.log_counts(root, "GTA5", counts, PUBLISHED)
    frames.run(
        "data_prep.gta5", config, splits, passed, labelled=config.labels, without="--labels=false"
    )


if __name__ == "__main__":
    sys.exit(run_command("data_prep.gta5", SUMMARY, EXAMPLES, Config, run))
