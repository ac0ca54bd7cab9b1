"""Pictures from a user's function in place of a data set: `module:function`.

The function is called with the name of a split, one of SPLITS, and returns its pictures as a
sequence (anything with `len` and indexing), or None if it has none. A picture is uint8
[H, W], [H, W, 1] (gray) or [H, W, 3] (RGB), and must be the same each time:

    def read(split):
        folder = {"trainA": "summer", "trainB": "winter"}.get(split)
        return folder and Pictures(folder)

Pictures are identified by a hash of all of them, for which they are read at each start. A sequence
with an attribute `fingerprint`, a string, is identified by that instead.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import getitem
from typing import Any

import numpy as np

from tfcyclegan.data import images
from tfcyclegan.errors import UserError
from tfcyclegan.system import files, functions
from tfcyclegan.system.progress import track

_PURPOSES = ("train", "val", "test")
SPLITS = tuple(f"{purpose}{domain}" for domain in ("A", "B", "") for purpose in _PURPOSES)
_FLAG = "--data_dir"
_FORMS = "uint8 [H, W], [H, W, 1] or [H, W, 3]"


@dataclass(frozen=True)
class OwnPictures:
    """The pictures that the function returned.

    Attributes:
        reference: "module:function".
        splits: a sequence of pictures for each split that it has.
        counts: their lengths.
    """

    reference: str
    splits: dict[str, Sequence[Any]]
    counts: dict[str, int]

    def pictures(self, split: str) -> Iterator[np.ndarray]:
        """uint8 [H, W, 1 or 3], in order.

        Raises:
            UserError: anything else, or an exception of the function's own.
        """
        for index in range(self.counts[split]):
            told = f"{_FLAG}={self.reference}: {split}[{index}]"
            given = functions.calling(told, self.reference, getitem, self.splits[split], index)
            yield _checked(told, given)

    def encoded(self, split: str) -> Iterator[tuple[str, bytes]]:
        """(name, PNG) of each picture; names contain the split, so that equal ones are not taken
        for pairs.
        """
        for index, picture in enumerate(self.pictures(split)):
            yield f"{split}_{index:06d}.png", images.encode_png(picture)

    def fingerprint(self) -> str:
        """Identity of the content: a hash of all pictures, or the sequences' own fingerprints."""
        said = {
            split: getattr(pictures, "fingerprint", None) for split, pictures in self.splits.items()
        }
        unsaid = [split for split in self.splits if said[split] is None]
        pictures = ((split, picture) for split in unsaid for picture in self.pictures(split))
        digests = {split: hashlib.sha256() for split in unsaid}
        total = sum(self.counts[split] for split in unsaid)
        for split, picture in track(
            pictures, total=total, unit="picture", label=f"reading {self.reference}"
        ):
            digests[split].update(str(picture.shape).encode())
            digests[split].update(np.ascontiguousarray(picture).data)
        found = {split: digest.hexdigest() for split, digest in digests.items()}
        return files.sha256_of_json(
            [self.counts, {split: str(text) for split, text in said.items()} | found]
        )


def _checked(told: str, given: Any) -> np.ndarray:
    if not hasattr(given, "__array__"):
        raise UserError(f"{told}: is a {type(given).__name__}, not a picture {_FORMS}")
    picture = np.asarray(given)
    whole = picture[..., np.newaxis] if picture.ndim == 2 else picture
    if whole.dtype != np.uint8 or whole.ndim != 3 or whole.shape[2] not in (1, 3) or not whole.size:
        raise UserError(f"{told}: is {picture.dtype} {list(picture.shape)}, not {_FORMS}")
    return whole


def open_own(reference: str) -> OwnPictures:
    """Asks the function for all its splits.

    Raises:
        UserError: the function does not exist, raised an exception, or returned something else.
    """
    function, told = functions.find(_FLAG, reference), f"{_FLAG}={reference}"
    splits, counts = {}, {}
    for split in SPLITS:
        asked = f"{told}: for {split!r}"
        given = functions.calling(asked, reference, function, split)
        if given is None:
            continue
        if not hasattr(given, "__len__") or not hasattr(given, "__getitem__"):
            raise UserError(
                f"{asked} it gave a {type(given).__name__}, not a sequence of pictures (with len "
                "and an index) or None"
            )
        splits[split] = given
        counts[split] = functions.calling(asked, reference, len, given)
    if not any(counts.values()):
        raise UserError(
            f"{told}: gave no pictures for any split; it is asked for {', '.join(SPLITS)}"
        )
    return OwnPictures(reference, splits, counts)
