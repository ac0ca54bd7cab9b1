"""Pictures that two splits of a data set share, byte for byte."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfcyclegan.data import manifest
from tfcyclegan.data.domains import PURPOSES, purpose_of
from tfcyclegan.system.progress import log

Twins = Mapping[tuple[str, str], Sequence[tuple[str, str]]]
"""{(split, other split): [(picture, picture of the other)]}. The other split is the one of the
earlier purpose in `PURPOSES`, or that of domain A."""
_DOMAINS = "domains"
_TOLD = {
    "train": ("val or test pictures are also in training", "scores would be too good"),
    "val": (
        "test pictures are also in val",
        "the best checkpoint is chosen on pictures that are scored",
    ),
    _DOMAINS: ("pictures are in both domains", "is one of them a copy of the other?"),
}
"""What is told of shared pictures, by the purpose of the other split."""


def find(notes: Mapping[str, Sequence[Mapping[str, Any]]]) -> Twins:
    """The pictures that any two splits share, by the notes on their shards.

    Shards that an older version finished have no digests and give none.
    """
    digests = {
        split: [item for note in of_split for item in note.get("digests", {}).items()]
        for split, of_split in notes.items()
    }
    ordered = sorted(digests, key=lambda split: (PURPOSES.index(purpose_of(split)), split))
    names = {split: {digest: name for name, digest in digests[split]} for split in ordered}
    found = {
        (split, other): [
            (name, names[other][digest])
            for name, digest in digests[split]
            if digest in names[other]
        ]
        for other, split in itertools.combinations(ordered, 2)
    }
    return {splits: pictures for splits, pictures in sorted(found.items()) if pictures}


def tell(output_dir: Path, twins: Twins) -> None:
    """Warns of shared pictures, with what they spoil."""
    found: dict[str, list[tuple[str, str]]] = {kind: [] for kind in _TOLD}
    for (split, other), pictures in twins.items():
        purpose = purpose_of(other)
        found[_DOMAINS if purpose == purpose_of(split) else purpose] += pictures
    for kind, shared in found.items():
        where, meaning = _TOLD[kind]
        if shared:
            log(f"{output_dir}: warning: {where}, byte for byte: {_shown(shared)}; {meaning}")


def _shown(pictures: Sequence[tuple[str, str]]) -> str:
    told = ", ".join(
        f"{manifest.printable(one)} is {manifest.printable(other)}" for one, other in pictures[:3]
    )
    return told + (f", and {len(pictures) - 3} more" if len(pictures) > 3 else "")
