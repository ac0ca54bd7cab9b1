"""A look at some labels of a set before all of them are read: whether they can be read in one way,
and what they then show.

A file alone seldom tells whether its numbers are ids, train ids or another data set's classes; many
files together do, since real streets have sky, people and cars, whose ids (23 and more) nothing
else uses. A wrong choice gives labels that look whole and are not, so what is not certain is asked
for, and what is certain is told with the classes that it finds.
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
    """A label file to be read.

    Attributes:
        path: below the input directory.
        label_format: one of street_labels.FORMATS.
        named: whether its name tells what its numbers are.
    """

    path: str
    label_format: str
    named: bool


def survey(root: Path, asked: Sequence[Asked], *, max_pixels: int) -> dict[str, Any]:
    """Reads up to LOOKED_AT of the labels, spread evenly, and tells what they show.

    Returns:
        For the manifest: how many were looked at and of how many, the counts by the way they were
        read, the share of the pixels of each class that counts, and of all others.

    Raises:
        UserError: none can be read, they can be read in several ways, or no pixel has a class that
            counts.
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
            f"are of no class that counts ({way}); "
            "--label_format says how labels are read"
        )
    if unsure and not sure:
        path, found = unsure[0]
        choices = [name for name in street_labels.FORMATS if name in found]
        raise UserError(
            f"{root / path}: its values, and those of all {len(chosen)} labels looked at, can be "
            f"read as {', '.join(choices)}; "
            f"say which by --label_format={choices[0]} or {' or '.join(choices[1:])}"
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
        f"{root}: {way}; {shown}{more}, of no class that counts {void:.1%}; --label_format reads "
        "them otherwise"
    )
    if void > 0.5:
        log(
            f"{root}: warning: most of the labels' pixels are of no class that counts; are they "
            "read as what they are?"
        )
