"""Pictures of domain A whose own stored labels are used in training: those that a file names, or a
share of all, drawn by the seed (`--labelled`).
"""

import re
from pathlib import Path

import numpy as np

from tfcyclegan.config import Size
from tfcyclegan.data.label_coding import LabelCoding
from tfcyclegan.data.labels import IGNORED, ClassTable
from tfcyclegan.data.pairs import KnownPairs, numbers_by_name
from tfcyclegan.data.pixels import Pixels
from tfcyclegan.errors import UserError
from tfcyclegan.system import files
from tfcyclegan.system.progress import log

_DRAW = 6  # stream of random numbers; `pairs` and the batches have others
_SHOWN = 5


def share_of(given: str) -> float | None:
    """The share that `--labelled` asks for, or None where it names a file.

    Raises:
        UserError: a number that is no share.
    """
    if not re.fullmatch(r"[0-9.]+(e-?[0-9]+)?%?", given):
        return None
    try:
        share = float(given.removesuffix("%")) / (100 if given.endswith("%") else 1)
    except ValueError:
        return None
    if not 0 < share <= 1:
        raise UserError(
            f"--labelled={given}: a share is above 0 and at most 1, such as 0.1 or 10%; or give a "
            "file of names"
        )
    return share


def identity_of(given: str) -> str:
    """What a resumed run must keep: the share, or the content of the file, whatever its path.

    Raises:
        UserError: the file cannot be read.
    """
    share = share_of(given)
    if share is not None:
        return f"labelled {share:g}"
    try:
        return f"labelled {files.sha256_of(Path(given))}"
    except OSError as error:
        raise UserError(f"--labelled={given}: cannot be read ({error.strerror})") from error


def labelled_indices(given: str, pixels: Pixels, split: str, seed: int) -> np.ndarray:
    """The numbers of the labelled pictures among `pixels`, ascending, int [N].

    A smaller share is a subset of a larger one.

    Args:
        given: a share, or a file with a picture's name on each line, without ending.
        pixels: of domain A.
        split: their split.
        seed: of the draw.

    Raises:
        UserError: the file cannot be read, or a name is not among the pictures, stands for several
            or stands there twice.
    """
    share = share_of(given)
    if share is not None:
        order = np.random.default_rng((seed, _DRAW)).permutation(len(pixels))
        return np.sort(order[: max(1, round(share * len(pixels)))])
    try:
        lines = Path(given).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(
            f"--labelled={given}: cannot be read ({error}); give a file with a picture's name on "
            "each line, or a share such as 0.1"
        ) from error
    names = [name for line in lines if (name := line.strip())]
    numbers = numbers_by_name(pixels, split)
    for wrong, told in (
        ([name for name in names if name not in numbers], f"are not in split {split}"),
        ([name for name in names if numbers.get(name) == 0], "are those of several pictures"),
        ([name for name in sorted(set(names)) if names.count(name) > 1], "stand there twice"),
    ):
        if wrong:
            shown = ", ".join(wrong[:_SHOWN]) + (", ..." if len(wrong) > _SHOWN else "")
            raise UserError(f"--labelled={given}: {len(wrong)} of its names {told}: {shown}")
    if not names:
        raise UserError(f"--labelled={given}: names no picture; one name a line")
    return np.sort([numbers[name] - 1 for name in names])


def with_a_class(given: str, chosen: np.ndarray, train_ids: Pixels) -> np.ndarray:
    """Those of `chosen` whose labels have a pixel that counts; how many have none is reported.

    Args:
        given: as above.
        chosen: numbers of pictures, ascending.
        train_ids: of `open_labels`.

    Raises:
        UserError: none has.
    """
    counts = np.array([(train_ids[int(index)] != IGNORED).any() for index in chosen])
    if not counts.any():
        raise UserError(
            f"--labelled={given}: none of the {len(chosen)} pictures has a label with a pixel that "
            "counts; give a larger share, or a file of names"
        )
    if not counts.all():
        log(
            f"--labelled={given}: {(~counts).sum()} of {len(chosen)} pictures have no label with a "
            "pixel that counts; they train without labels"
        )
    return chosen[counts]


def as_pairs(given: str, chosen: np.ndarray, total: int, seed: int, weight: float) -> KnownPairs:
    """The labelled pictures with themselves, since the labels are in the pictures' order."""
    drawn = f", drawn by --seed={seed}" if share_of(given) is not None else ""
    told = (
        f"labelled: {len(chosen)} of {total} pictures of domain a, by --labelled={given}{drawn}; "
        f"the loss of their own labels has the weight --lambda_paired={weight:g}"
    )
    return KnownPairs(np.stack([chosen, chosen], axis=1), told)


class LabelPictures(Pixels):
    """Labels as pictures in the colours of their classes, by index.

    Args:
        train_ids: of `open_labels`.
        table: of the labels.
        used: the numbers of those that are read.

    Raises:
        UserError: pixels of no class in one of them, for which the table has no colour.
    """

    def __init__(self, train_ids: Pixels, table: ClassTable, used: np.ndarray):
        super().__init__(train_ids.directory)
        self._train_ids, coding = train_ids, LabelCoding.of(table)
        self.readers = train_ids.readers
        self.channels = 3
        self._colors = np.zeros((256, 3), np.uint8)
        self._colors[: table.count] = table.palette
        if coding.count > coding.classes:
            self._colors[IGNORED] = coding.colors[coding.classes]
        elif any((train_ids[int(index)] == IGNORED).any() for index in used):
            raise UserError(
                "--labelled: labels have pixels of no class, and the table of classes has no "
                "colour for them; add a class with ignored yes"
            )

    def __getitem__(self, index: int) -> np.ndarray:
        return self._colors[self._train_ids[index][..., 0]]


def label_size(preprocess: str, load_size: Size) -> Size | None:
    """The size to which labels are resized with their pictures; None keeps theirs.

    Raises:
        UserError: a mode in which it follows from each picture.
    """
    if preprocess not in ("resize_and_crop", "crop"):
        raise UserError(
            f"--preprocess={preprocess}: --labelled goes with resize_and_crop and crop, which "
            "labels can follow"
        )
    return load_size if preprocess == "resize_and_crop" else None
