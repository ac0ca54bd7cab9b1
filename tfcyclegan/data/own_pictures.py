"""Pictures from a user's function instead of a data set: `module:function`.

The function is called with the name of a split, one of SPLITS, and returns its pictures as a
sequence (anything with `len` and indexing), or None if it has none. A picture is uint8 [H, W], [H,
W, 1] (gray) or [H, W, 3] (RGB), and must be the same each time:

    def read(split):
        folder = {"trainA": "summer", "trainB": "winter"}.get(split) return folder and
        Pictures(folder)

Measurements are arrays [H, W] or [H, W, C] of uint8, uint16, int16, float16 or float32, in a
sequence with an attribute `range`, the values that networks see as -1 and 1: (low, high), or one
such pair for each channel. NaN and the value of an attribute `nodata` mark missing measurements;
`units` is a string such as "HU". All splits of a domain must have the same type, number of channels
and range.

Pictures are identified by a hash of all of them, so they are all read at each start, unless the
sequence has an attribute `fingerprint`, a string that identifies it.
"""

import dataclasses
import hashlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import getitem
from typing import Any

import numpy as np

from tfcyclegan.data import images
from tfcyclegan.data.records import Example
from tfcyclegan.data.tfds_records import Place
from tfcyclegan.data.values import Values, holds
from tfcyclegan.errors import UserError
from tfcyclegan.system import files, functions
from tfcyclegan.system.progress import track

_PURPOSES = ("train", "val", "test")
SPLITS = tuple(f"{purpose}{domain}" for domain in ("A", "B", "") for purpose in _PURPOSES)
_FLAG = "--data_dir"
_ONE_AT_A_TIME = threading.Lock()  # a user's sequence may not be made for threads
_FORMS = "uint8 [H, W], [H, W, 1] or [H, W, 3]"


@dataclass(frozen=True)
class OwnPictures:
    """The pictures that the function returned.

    Attributes:
        reference: "module:function".
        splits: a sequence of pictures for each split that exists.
        counts: their lengths.
        values: the meaning of measurements' numbers, by the letter of their domain, see
            `DataSource`.
        numbers: of the pictures that `placed` gives; None for all.
    """

    reference: str
    splits: dict[str, Sequence[Any]]
    counts: dict[str, int]
    values: dict[str, Values]
    numbers: range | None = None

    def pictures(self, split: str) -> Iterator[np.ndarray]:
        """uint8 [H, W, 1 or 3], or measurements [H, W, C], in order.

        Raises:
            UserError: a picture is anything else, or the sequence raised an exception.
        """
        return (self._picture(split, index) for index in range(self.counts[split]))

    def _picture(self, split: str, index: int) -> np.ndarray:
        told = f"{_FLAG}={self.reference}: {split}[{index}]"
        given = functions.calling(told, self.reference, getitem, self.splits[split], index)
        values = self.values.get(_letter(split))
        return _checked(told, given) if values is None else _measured(told, given, values)

    def placed(self, split: str) -> Iterator[tuple[Example, Place]]:
        """See `Records`. Names contain the split, so that equal ones are not mistaken for pairs."""
        for index in self.numbers or range(self.counts[split]):
            place = Place(0, index, 0, 0, 0)
            yield self.at(split, place), place

    def at(self, split: str, place: Place) -> Example:
        with _ONE_AT_A_TIME:
            picture = self._picture(split, place.number)
        name = f"{split}_{place.number:06d}"
        if _letter(split) in self.values:
            return Example(f"{name}.npy", b"", None, picture, group=name)
        return Example(f"{name}.png", images.encode_png(picture), None)

    def part(self, split: str, numbers: range) -> tuple["OwnPictures", range]:
        """See `Records`. A sequence has no shards."""
        return dataclasses.replace(self, numbers=numbers), range(0)

    def require_places(self) -> None:
        """A sequence has an index."""

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
        content = {split: str(text) for split, text in said.items()} | found
        meaning = {letter: values.to_json() for letter, values in self.values.items()}
        return files.sha256_of_json([self.counts, content, *([meaning] if meaning else [])])


def _letter(split: str) -> str:
    """The letter of a split's domain, as in `DataSource.values`."""
    return split[-1] if split[-1] in "AB" else ""


def _values_of(told: str, reference: str, pictures: Sequence[Any]) -> Values | None:
    """The meaning of a split's numbers, from its first array; None for pictures."""
    given = getattr(pictures, "range", None)
    if given is None or not len(pictures):
        return None
    first = _whole(functions.calling(f"{told}[0]", reference, getitem, pictures, 0), f"{told}[0]")
    ends = np.asarray(given, np.float64)
    if ends.shape not in ((2,), (first.shape[-1], 2)):
        raise UserError(
            f"{told}: its range is {given!r}, not (low, high) or one such pair for each of "
            f"{first.shape[-1]} channels"
        )
    low, high = np.broadcast_to(ends, (first.shape[-1], 2)).T
    nodata = _nodata_of(told, pictures, first.dtype)
    try:
        return Values(
            first.dtype.name,
            tuple(map(float, low)),
            tuple(map(float, high)),
            nodata,
            str(getattr(pictures, "units", "")),
        )
    except UserError as error:
        raise UserError(f"{told}: {error}") from error


def _nodata_of(told: str, pictures: Sequence[Any], dtype: np.dtype) -> float | None:
    """The number that marks gaps in a split's arrays; None if there is no such number."""
    given = getattr(pictures, "nodata", None)
    nodata = None if given is None else float(given)
    if nodata is None or (dtype.kind != "f" and np.isnan(nodata)):  # integers have no NaN
        return None
    if not holds(dtype, nodata):
        raise UserError(
            f"{told}: its nodata is {nodata:g}, which {dtype.name} cannot hold; give a value of "
            "that type that no measurement has, or None"
        )
    return nodata


def _whole(given: Any, told: str) -> np.ndarray:
    """An array [H, W, C]."""
    if not hasattr(given, "__array__"):
        raise UserError(f"{told}: is a {type(given).__name__}, not an array [H, W] or [H, W, C]")
    array = np.asarray(given)
    whole = array[..., np.newaxis] if array.ndim == 2 else array
    if whole.ndim != 3 or not whole.size:
        raise UserError(f"{told}: is {array.dtype} {list(array.shape)}, not [H, W] or [H, W, C]")
    return whole.astype(whole.dtype.newbyteorder("="), copy=False)


def _measured(told: str, given: Any, values: Values) -> np.ndarray:
    array = _whole(given, told)
    if array.dtype.name != values.dtype or array.shape[-1] != values.channels:
        raise UserError(
            f"{told}: is {array.dtype} {list(array.shape)}, but the first one is {values.dtype} "
            f"with {values.channels} channels"
        )
    return array


def _checked(told: str, given: Any) -> np.ndarray:
    if not hasattr(given, "__array__"):
        raise UserError(f"{told}: is a {type(given).__name__}, not a picture {_FORMS}")
    picture = np.asarray(given)
    whole = picture[..., np.newaxis] if picture.ndim == 2 else picture
    if whole.dtype != np.uint8 or whole.ndim != 3 or whole.shape[2] not in (1, 3) or not whole.size:
        raise UserError(
            f"{told}: is {picture.dtype} {list(picture.shape)}, not {_FORMS}; the sequence of "
            "measurements needs an attribute range (docs/data.md)"
        )
    return whole


def _agree(one: Values | None, other: Values | None) -> bool:
    """Whether two splits mean the same; not by ==, by which NaN differs from itself."""
    if one is None or other is None:
        return one is other
    return one.to_json() == other.to_json()


def open_own(reference: str) -> OwnPictures:
    """Calls the function for every split.

    Raises:
        UserError: the function does not exist, raised an exception, or returned something other
            than pictures.
    """
    function, told = functions.find(_FLAG, reference), f"{_FLAG}={reference}"
    splits, counts, values = {}, {}, dict[str, Values | None]()
    for split in SPLITS:
        asked = f"{told}: for {split!r}"
        given = functions.calling(asked, reference, function, split)
        if given is None:
            continue
        if not hasattr(given, "__len__") or not hasattr(given, "__getitem__"):
            raise UserError(
                f"{asked} it returned a {type(given).__name__}, not a sequence of pictures (with "
                "len and an index) or None"
            )
        splits[split] = given
        counts[split] = functions.calling(asked, reference, len, given)
        if counts[split]:
            found, letter = _values_of(f"{told}: {split}", reference, given), _letter(split)
            if not _agree(values.setdefault(letter, found), found):
                raise UserError(
                    f"{told}: {split}: its arrays differ in type, range or number of channels from "
                    "the domain's other splits"
                )
    if not any(counts.values()):
        raise UserError(
            f"{told}: returned no pictures for any split; it is called for {', '.join(SPLITS)}"
        )
    known = {letter: each for letter, each in values.items() if each is not None}
    return OwnPictures(reference, splits, counts, known)
