"""A survey of some labels of a set before all of them are read: whether there is only one way to
read them, and what they then show.

A single file seldom shows whether its numbers are ids, train ids or another data set's classes;
many files together do, since real streets have sky, people and cars, whose ids (23 and more)
nothing else uses. A wrong choice gives labels that look right but are not, so an ambiguous format
must be given by flag, and an unambiguous one is reported with the classes that it finds.
"""

import collections
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_prep import street_labels
from data_prep.street_labels import AUTO, IDS
from tfcyclegan.data import labels, picture_files
from tfcyclegan.data.intake import BadPicture
from tfcyclegan.data.pixels import spread
from tfcyclegan.errors import UserError
from tfcyclegan.system.progress import log

LOOKED_AT = 32
_SHOWN = 5


@dataclass(frozen=True)
class Asked:
    """A label file to read.

    Attributes:
        path: its path below the input directory.
        label_format: one of street_labels.FORMATS.
        named: whether its name says what its numbers are.
    """

    path: str
    label_format: str
    named: bool


def survey(root: Path, asked: Sequence[Asked], *, max_pixels: int) -> dict[str, Any]:
    """Reads up to LOOKED_AT of the labels, evenly spaced, and reports what they show.

    Returns:
        For the manifest: how many labels were read and how many there are, the counts by format,
        the share of pixels of each scored class, and of all others.

    Raises:
        UserError: none can be read, they can be read in several ways, or no pixel has a scored
            class.
    """
    chosen = [asked[index] for index in spread(len(asked), LOOKED_AT)]
    reasons, unsure, sure = [], [], False
    read_as: collections.Counter[str] = collections.Counter()
    counts = np.zeros(256, np.int64)
    for each in chosen:
        try:
            label = street_labels.open_label(
                picture_files.read(root / each.path), max_pixels=max_pixels
            )
            ids, notes = street_labels.decode(label, each.label_format)
        except OSError as error:
            reasons.append(f"{root / each.path}: {error.strerror or error}")
            continue
        except BadPicture as error:
            reasons.append(f"{root / each.path}: {error}")
            continue
        read_as.update(notes & set(street_labels.READ_AS.values()))
        counts += np.bincount(labels.to_train_ids(ids).reshape(-1), minlength=256)
        if each.label_format == AUTO and not each.named:
            found = street_labels.could_be(label)
            sure |= found == {IDS}
            unsure += [(each.path, found)] if IDS in found and len(found) > 1 else []
    if len(reasons) == len(chosen):
        more = (
            f"; none of the {len(chosen)} labels looked at can be read" if len(chosen) > 1 else ""
        )
        raise UserError(reasons[0] + more)
    total, void = int(counts.sum()), int(counts[labels.IGNORED])
    way = ", ".join(f"{what}: {count}" for what, count in sorted(read_as.items()))
    if void == total:
        raise UserError(
            f"{root / chosen[0].path}: all of its pixels, and of {len(chosen)} labels looked at, "
            f"are of no scored class ({way}); --label_format selects how labels are read"
        )
    if unsure and not sure:
        path, found = unsure[0]
        choices = [name for name in street_labels.FORMATS if name in found]
        raise UserError(
            f"{root / path}: its values, and those of all {len(chosen)} labels looked at, can be "
            f"read as {', '.join(choices)}; choose one with --label_format={choices[0]} or "
            f"{' or '.join(choices[1:])}"
        )
    shares = {
        name: round(count / total, 4)
        for name, count in zip(labels.NAMES, counts.tolist(), strict=False)
        if count
    }
    _tell(root, f"{len(chosen)} of {len(asked)} labels looked at: {way}", shares, void / total)
    return {
        "looked_at": len(chosen),
        "of": len(asked),
        "read_as": dict(sorted(read_as.items())),
        "shares": shares,
        "of_no_class_that_counts": round(void / total, 4),
    }


def _tell(root: Path, way: str, shares: dict[str, float], void: float) -> None:
    largest = sorted(shares.items(), key=lambda item: -item[1])
    shown = ", ".join(f"{name} {share:.1%}" for name, share in largest[:_SHOWN])
    more = f" and {len(largest) - _SHOWN} more classes" if len(largest) > _SHOWN else ""
    log(
        f"{root}: {way}; {shown}{more}, of no scored class {void:.1%}; --label_format changes how "
        "they are read"
    )
    if void > 0.5:
        log(
            f"{root}: warning: most of the labels' pixels are of no scored class; check that "
            "--label_format is right"
        )
