"""Known pairs of pictures of the two domains, from a file or by equal names."""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from tfcyclegan.config.commands import PAIRS
from tfcyclegan.data.picture_folders import measurement_name, picture_name
from tfcyclegan.data.pixels import Pixels
from tfcyclegan.errors import UserError
from tfcyclegan.system import files

_NAMES = PAIRS[1]
_SHARE = 5  # stream of random numbers; `unpaired` and `paired` have others
_SHOWN = 5
# NAME, the number of a plane from 1, the place of a window: as `data_prep` names arrays
_PLACE = re.compile(r"(?P<file>.*?)(?P<place>(?:_\d{4,})?(?:_y\d{4,}_x\d{4,})?)")


def read_pairs(path: Path) -> dict[str, str]:
    """Reads a CSV file with the columns a and b: {name of a picture of a: name of its partner in
    b}.

    Raises:
        UserError: no such file, no such columns, or a name that occurs in two lines.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"--pairs={path}: cannot be read ({error})") from error
    if (
        not rows
        or not {"a", "b"} <= rows[0].keys()
        or any(row["a"] is None or row["b"] is None for row in rows)
    ):
        raise UserError(f"--pairs={path}: needs the header line a,b and a line for each pair")
    for column in "ab":
        twice = sorted(
            name for name, count in Counter(row[column] for row in rows).items() if count > 1
        )
        if twice:
            raise UserError(
                f"--pairs={path}: {len(twice)} names occur in several lines of the column "
                f"{column}, such as {twice[0]}"
            )
    return {row["a"]: row["b"] for row in rows}


def of_arrays(
    pairs: Mapping[str, str], names_a: Iterable[str], names_b: Iterable[str]
) -> dict[str, str]:
    """Pairs of the names of arrays, from pairs that may name whole volumes and scenes instead, or
    leave out endings.

    Args:
        pairs: {name in a: name in b}; `p3/t1`, `p3/t1.nii.gz` and `p3/t1_0012` are known if there
            is an array `p3/t1_0012.nii.gz`.
        names_a, names_b: the arrays of both domains.

    Returns:
        The pairs; those with a name that is not known as they are.

    Raises:
        UserError: a file has planes or windows that its partner lacks.
    """
    known = set(names_a), set(names_b)
    if known[0] >= pairs.keys() and known[1] >= set(pairs.values()):
        return dict(pairs)
    places = [_by_file(names) for names in known]
    found: dict[str, str] = {}
    for pair in pairs.items():
        one, other = (
            {"": name} if name in names else _of_file(name, by_file)
            for name, names, by_file in zip(pair, known, places, strict=True)
        )
        if not (one and other):
            found[pair[0]] = pair[1]
        elif one.keys() == other.keys() or len(one) == len(other) == 1:
            ordered = ([each[place] for place in sorted(each)] for each in (one, other))
            found |= dict(zip(*ordered, strict=True))
        else:
            raise UserError(
                f"--pairs: {pair[0]} has {len(one)} planes or windows and {pair[1]} {len(other)}, "
                "or others; a pair must show the same, pixel by pixel"
            )
    return found


def _by_file(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """For each file, with and without its ending: {place of an array in it: the array's name}."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for name in names:
        suffixes = PurePosixPath(name).suffixes
        for ending in ("".join(suffixes[start:]) for start in range(len(suffixes) + 1)):
            bare = name.removesuffix(ending)
            parts = _PLACE.fullmatch(bare)
            assert parts is not None
            found[bare][""] = name
            found[parts["file"]][parts["place"]] = name
            found[parts["file"] + ending][parts["place"]] = name
    return found


def _of_file(name: str, places: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
    found = places.get(name, {})
    return {"": found[""]} if "" in found else found


def pairs_identity(given: str) -> str:
    """The identity of a run's pairs: a hash of the file's content, whatever its path.

    Raises:
        UserError: the file cannot be read.
    """
    if given in ("", _NAMES):
        return given
    try:
        return files.sha256_of(Path(given))
    except OSError as error:
        raise UserError(f"--pairs={given}: cannot be read ({error.strerror})") from error


@dataclass(frozen=True)
class KnownPairs:
    """Pairs among opened pictures.

    Attributes:
        indices: int [N, 2], indices of the pictures of a and b, sorted by a's.
        told: their source and number, on one line.
    """

    indices: np.ndarray
    told: str


def known_pairs(
    given: str,
    *,
    aligned: bool,
    pixels: tuple[Pixels, Pixels],
    splits: tuple[str, str],
    share: float,
    seed: int,
) -> KnownPairs | None:
    """The pairs that `--pairs` names among the pictures of `splits`, or those of aligned data; None
    if there are none.

    Args:
        given: a CSV file for `read_pairs`; "names" for equal names; empty to follow the data set.
        aligned: whether the data set declares that equal names are pairs.
        pixels: pictures of domains a and b.
        splits: the names of their splits.
        share: the fraction of pairs to draw; a smaller draw is a subset of a larger one.
        seed: random seed of that draw.

    Raises:
        UserError: a name is not among the pictures, or is ambiguous; a pair's pictures have unequal
            sizes, before or after resizing.
    """
    if not given and not aligned:
        return None
    by_file = bool(given) and given != _NAMES
    named = [
        numbers_by_name(file, split, bare=not by_file)
        for file, split in zip(pixels, splits, strict=True)
    ]
    flag = f"--pairs={given}" if given else "aligned data"
    if by_file:
        names = list(of_arrays(read_pairs(Path(given)), *named).items())
        for position, (there, split) in enumerate(zip(named, splits, strict=True)):
            unknown = [pair[position] for pair in names if pair[position] not in there]
            if unknown:
                raise UserError(
                    f"{flag}: {len(unknown)} names of the column {'ab'[position]} are not in split "
                    f"{split}: {_listed(unknown)}"
                )
    else:
        names = [(name, name) for name in named[0] if name in named[1]]
        if not names:
            raise UserError(
                f"{flag}: no names of {splits[0]} and {splits[1]} are equal; give --pairs=FILE.csv"
            )
    several = [
        name for pair in names for name, there in zip(pair, named, strict=True) if not there[name]
    ]
    if several:
        raise UserError(f"{flag}: several pictures are called {_listed(several)}; rename them")
    indices = np.array([[named[0][a], named[1][b]] for a, b in names]) - 1
    indices = indices[np.argsort(indices[:, 0])]
    shared = _shared(_of_one_size(indices, flag, pixels), flag, share, seed)
    alone = [] if by_file else [len(file) - len(names) for file in pixels]
    if any(alone):
        told = f"{alone[0]} of {splits[0]} and {alone[1]} of {splits[1]} have no partner"
        return KnownPairs(shared.indices, f"{shared.told}; {told}")
    return shared


def numbers_by_name(pixels: Pixels, split: str, *, bare: bool = False) -> dict[str, int]:
    """The numbers, from 1, of the pictures by name; 0 if several have the same name. With `bare`,
    names of measurements lack their endings, too.
    """
    name_of = measurement_name if bare and pixels.values is not None else picture_name
    numbers: dict[str, int] = {}
    for number, stored in enumerate(pixels.names(), start=1):
        name = name_of(stored, split)
        numbers[name] = 0 if name in numbers else number
    return numbers


def _of_one_size(indices: np.ndarray, flag: str, pixels: tuple[Pixels, Pixels]) -> np.ndarray:
    """`indices`; UserError if the pictures of a pair have unequal sizes."""
    for sizes in ([file.original_sizes for file in pixels], [file.sizes for file in pixels]):
        of_a, of_b = sizes[0][indices[:, 0]], sizes[1][indices[:, 1]]
        unequal = np.flatnonzero((of_a != of_b).any(axis=1))
        if len(unequal):
            first = unequal[0]
            shown = " and ".join(
                f"{file.names()[index]} ({height}x{width})"
                for file, index, (height, width) in zip(
                    pixels, indices[first], (of_a[first], of_b[first]), strict=True
                )
            )
            raise UserError(
                f"{flag}: the pictures of {len(unequal)} pairs have unequal sizes, such as {shown} "
                "(height x width); a pair must show the same, pixel by pixel"
            )
    return indices


def _shared(indices: np.ndarray, flag: str, share: float, seed: int) -> KnownPairs:
    total = len(indices)
    if share == 1:
        return KnownPairs(indices, f"pairs: {total}, by {flag}")
    count = max(1, round(share * total))
    chosen = np.sort(np.random.default_rng((seed, _SHARE)).permutation(total)[:count])
    told = f"pairs: {count} of {total}, by {flag} and --paired_share={share:g}, drawn with --seed"
    return KnownPairs(indices[chosen], told)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
