"""Resized pictures or measurements as raw pixels in one memory-mapped file, so that training can
read them in any order.

Decoding and resizing happen once. The file is identified by a hash of the data and of the settings
that affect it, so changed settings make another file. An interrupted build leaves nothing behind.
"""

import collections
import errno
import json
import os
import threading
from array import array
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from tfcyclegan.config import MODES_WITH_CROP, Size
from tfcyclegan.data import images, notes, stored
from tfcyclegan.data.resampling import resize_values
from tfcyclegan.data.source import DataSource
from tfcyclegan.data.values import Values
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.system import files, hardware
from tfcyclegan.system.parallel import in_order
from tfcyclegan.system.progress import log, track

_ORIGINALS = "original_sizes.npy"
_FORMAT = 1  # increase it if the pixels for the same settings change
_AHEAD = 64
_SAMPLED, _SAMPLED_EVERY = 64, 4
_NEAR_LEVELS, _NEARLY_ALL = 17, 0.99


class _Done:
    """Collects, from several threads, what is done to pictures and found in them.

    Attributes:
        counts: notes on visible changes, with the number of pictures.
        stretch: see `PixelFile`.
        told: all notes of `intake` on pictures that data_prep did not store.
        largest: the largest values of 16-bit pictures.
        plain: the names of pictures of a single colour.
        looks: hashes of two pictures that differ, or of one if none do.
        unknown: label ids that are not in the table.
        gaps: number of arrays that have pixels without a measurement.
        built: whether a file was made from them.
    """

    def __init__(self) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        self.stretch = 1.0
        self.told: list[str] = []
        self.largest = [0]
        self.plain: set[str] = set()
        self.looks: set[int] = set()
        self.unknown: set[int] = set()
        self.gaps = 0
        self.built = False
        self._lock = threading.Lock()

    def look(self, name: str, pixels: np.ndarray) -> None:
        """Notes whether the pixels all have one value, and whether two pictures differ."""
        if len(self.looks) < 2:  # two different ones are enough
            self.looks.add(hash(pixels.tobytes()))
        # few pictures need the second, longer check
        if (pixels[::16, ::16] == pixels[0, 0]).all() and (pixels == pixels[0, 0]).all():
            self.plain.add(name)

    def lines(self, total: int) -> list[str]:
        """The lines to report on all `total` pictures."""
        told = [
            *notes.lines(notes.counted(self.told)),
            notes.dim(max(self.largest), "data_prep.folders --max_value"),
        ]
        if self.plain:
            told.append(
                f"{len(self.plain)} of {total} pictures have a single colour, such as "
                f"{min(self.plain)}"
            )
        elif len(self.looks) == 1 < total:
            told.append(f"all {total} pictures are identical")
        if self.unknown:
            told.append(
                "label ids outside the class table "
                f"({', '.join(map(str, sorted(self.unknown)))}): ignored"
            )
        return [line for line in told if line]

    def count_gaps(self) -> None:
        """Counts an array with missing measurements."""
        with self._lock:
            self.gaps += 1

    def note(self, notes: set[str], before: Size, after: Size) -> None:
        """Counts the `notes` on one picture, and the effects of resizing it from `before` to
        `after`.
        """
        with self._lock:
            self.counts.update(notes | images.size_notes(before, after))
            self.stretch = max(self.stretch, images.stretch(before, after))


class PixelFile:
    """Random access to the pictures of one split.

    Uses 8 bytes of memory per picture; the rest is mapped. `names.jsonl` beside it holds the
    pictures' names.

    Attributes:
        sizes: [N, 2] heights and widths.
        original_sizes: the same before resizing; in a file that an older version made, `sizes`.
        notes: visible changes to pictures, with the number of pictures.
        stretch: the largest change of aspect ratio; 1 if all pictures keep theirs.
        told: further lines to report whenever they are opened.
        values: the meaning of measurements' numbers; None for pictures.
        gaps: number of arrays that have pixels without a measurement.
    """

    def __init__(self, directory: Path):
        self.directory = directory
        meta = files.read_json(directory / "meta.json")
        self.channels: int = meta["channels"]
        self.notes: dict[str, int] = meta.get("notes", {})
        self.stretch: float = meta.get("stretch", 1.0)
        self.told: list[str] = meta.get("told", [])
        self.values = Values.from_json(meta["values"]) if "values" in meta else None
        self.gaps: int = meta.get("gaps", 0)
        self.sizes = np.load(directory / "sizes.npy", mmap_mode="r")
        originals = directory / _ORIGINALS
        self.original_sizes = (
            np.load(originals, mmap_mode="r") if originals.exists() else self.sizes
        )
        lengths = self.sizes.prod(axis=1) * self.channels
        self._offsets = np.concatenate([[0], np.cumsum(lengths)])
        # np.memmap itself is slow at each slice
        dtype = np.dtype(self.values.dtype if self.values else np.uint8)
        self._pixels = np.asarray(np.memmap(directory / "pixels.bin", dtype, "r"))

    def __len__(self) -> int:
        return len(self.sizes)

    def names(self) -> list[str]:
        """The pictures' names, as stored."""
        with open(self.directory / "names.jsonl", encoding="utf-8") as names:
            return [json.loads(line) for line in names]

    def require_sides(self, smallest: int, mode: str) -> None:
        """Raises UserError if a picture that `mode` leaves whole has a side too small for training
        the networks.
        """
        shorter = self.sizes.min(axis=1)
        worst = int(shorter.argmin())
        if shorter[worst] >= smallest:
            return
        name = self.names()[worst]
        height, width = map(int, self.sizes[worst])
        raise UserError(
            f"--preprocess={mode}: {name} is {height}x{width} here, but the networks need sides of "
            f"at least {smallest}; remove the picture, or lower --discriminator_layers"
        )

    def __getitem__(self, index: int) -> np.ndarray:
        """[H, W, C] of uint8 or of the type of `values`: a read-only view of the file."""
        return self._pixels[self._offsets[index] : self._offsets[index + 1]].reshape(
            *self.sizes[index], self.channels
        )

    @property
    def common_size(self) -> Size | None:
        """The size of all pictures, or None if they differ."""
        return Size(*map(int, self.sizes[0])) if (self.sizes == self.sizes[0]).all() else None


def open_pixels(
    source: DataSource,
    split: str,
    cache_dir: Path,
    *,
    mode: str,
    load_size: Size,
    crop_size: Size,
    channels: int,
    interpolation: str = "bicubic",
    count: int | None = None,
) -> PixelFile:
    """The pixels of `split` after the resizing of `mode`, made if `cache_dir` lacks them.

    With `count`, at least the pictures that `spread` chooses from the split; `spread` over the file
    then selects them.

    Raises:
        UserError: the split is empty, or a picture is smaller than the crop.
        RunError: a picture or shard is damaged.
    """
    source.require(split)
    nearest = split in source.label_maps
    values, done = source.values_of(split), _Done()

    def size_of(name: str, size: Size) -> Size:
        """The size to which a picture of `size` is resized."""
        resized = images.resized_size(size, mode, load_size, crop_size)
        if mode in MODES_WITH_CROP and (
            resized.height < crop_size.height or resized.width < crop_size.width
        ):
            raise UserError(
                f"--crop_size={crop_size}: larger than {name} of split {split}, which is "
                f"{resized.height}x{resized.width} here"
            )
        return resized

    def load(item: tuple[str, bytes]) -> tuple[np.ndarray, Size]:
        name, encoded = item
        recoloured: set[str] = set()
        try:
            image, decoded = stored.decode(source, encoded, channels, recoloured)
        except RunError as error:
            raise RunError(f"{source.directory}: {name} of split {split}: {error}") from error
        if decoded is not None:
            done.told.extend(decoded.notes)
            done.largest.append(decoded.largest)
        size = size_of(name, Size(image.height, image.width))
        done.note(recoloured, Size(image.height, image.width), size)
        pixels = images.to_array(images.resize(image, size, interpolation, nearest=nearest))
        done.look(name, pixels)
        return pixels, Size(image.height, image.width)

    def load_array(item: tuple[str, np.ndarray]) -> tuple[np.ndarray, Size]:
        assert values is not None
        name, array = item
        before = Size(*array.shape[:2])
        after = size_of(name, before)
        done.note(set(), before, after)
        made = resize_values(array, values, after, interpolation)
        invalid = values.invalid(made)
        if invalid.any():
            done.count_gaps()
        done.look(name, np.where(invalid, 0, made))
        return made, before

    resampled = "nearest" if nearest else interpolation
    identity = [
        _FORMAT,
        source.fingerprint,
        split,
        mode,
        str(load_size),
        str(crop_size),
        channels,
        resampled,
    ]
    opened = _open(
        cache_dir,
        split,
        identity,
        source.pictures(split) if values is None else source.arrays(split),
        load if values is None else load_array,
        values=values,
        total=source.counts[split],
        count=count,
        channels=channels,
        done=done,
    )
    if count is None and not nearest and (line := _nearly_constant(opened)):
        opened.told.append(line)
    _tell(source, split, opened, whole=count is None, built=done.built)
    return opened


def open_labels(
    source: DataSource, split: str, cache_dir: Path, *, size: Size | None, count: int | None = None
) -> PixelFile:
    """The labels of `split` as train ids, uint8 [H, W, 1], resized to `size` by the nearest pixel;
    made if `cache_dir` lacks them.

    Ids outside the class table become IGNORED, which is reported. `count` is as in `open_pixels`.

    Raises:
        UserError: the split is empty, or the data set has no labels.
        RunError: a label or shard is damaged.
    """
    source.require(split)
    classes = source.require_labels(split)
    done = _Done()

    def load(item: tuple[str, bytes]) -> tuple[np.ndarray, Size]:
        name, encoded = item
        try:
            image = images.decode(encoded, 1)
        except RunError as error:
            raise RunError(
                f"{source.directory}: label of {name} of split {split}: {error}"
            ) from error
        ids = images.to_array(image if size is None else images.resize(image, size, nearest=True))
        done.unknown.update(classes.unknown_ids(ids))
        return classes.to_train_ids(ids), Size(image.height, image.width)

    encoded = ((name, label) for name, _, label in source.labelled_pictures(split))
    identity = [_FORMAT, source.fingerprint, split, "labels", str(size), classes.digest]
    opened = _open(
        cache_dir,
        f"{split}-labels",
        identity,
        encoded,
        load,
        total=source.counts[split],
        count=count,
        channels=1,
        done=done,
    )
    _tell(source, split, opened, whole=count is None, built=done.built)
    return opened


def _open(
    cache_dir: Path,
    name: str,
    identity: list[Any],
    pictures: Iterator[tuple[str, Any]],
    load: Callable[[tuple[str, Any]], tuple[np.ndarray, Size]],
    *,
    total: int,
    count: int | None,
    channels: int,
    done: "_Done",
    values: Values | None = None,
) -> PixelFile:
    """The file in `cache_dir` that `identity` identifies, made from `load` of each of `pictures` if
    it does not exist.
    """
    directory = _directory(cache_dir, name, identity)
    if count is not None and count < total and not (directory / "meta.json").exists():
        chosen = set(spread(total, count))
        pictures = (picture for index, picture in enumerate(pictures) if index in chosen)
        directory, total = _directory(cache_dir, name, [*identity, count]), count
    if not (directory / "meta.json").exists():
        try:
            with files.exclusive_lock(cache_dir, wait=True):
                # another process may have made it in the meantime
                if not (directory / "meta.json").exists():
                    facts = {"channels": channels} | (
                        {"values": values.to_json()} if values else {}
                    )
                    _build(directory, name, pictures, load, total=total, facts=facts, done=done)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            raise UserError(
                f"{cache_dir}: cannot be written; give a writable directory with --cache_dir"
            ) from error
    return PixelFile(directory)


def _tell(source: DataSource, split: str, opened: PixelFile, *, whole: bool, built: bool) -> None:
    """Reports the lines on the pictures; for a part of them only once, since the whole may be open
    as well.
    """
    for line in opened.told if whole or built else ():
        log(f"{source.directory}: split {split}: {line}")


def _nearly_constant(pixels: PixelFile) -> str:
    """A line on pictures whose values are almost all nearly the same; otherwise empty."""
    values = pixels.values
    sampled = np.concatenate(
        [
            _levels(pixels[index][::_SAMPLED_EVERY, ::_SAMPLED_EVERY], values)
            for index in spread(len(pixels), _SAMPLED)
        ]
    )
    if not len(sampled):
        return ""
    shares = np.bincount(sampled, minlength=256) / len(sampled)
    # the share of this level and the next ones
    near = np.convolve(shares, np.ones(_NEAR_LEVELS))[_NEAR_LEVELS - 1 :]
    low = int(near[: 257 - _NEAR_LEVELS].argmax())
    if near[low] < _NEARLY_ALL:
        return ""
    used = low + np.flatnonzero(shares[low : low + _NEAR_LEVELS])
    levels = f"{used[0]} to {used[-1]}" if used[0] != used[-1] else f"{used[0]}"
    mend = (
        "10-bit or 12-bit pictures in 16-bit files need data_prep.folders --max_value"
        if values is None
        else f"the networks see {values.ranges()} as 0 to 255; prepare the data again with another "
        "--range_a or --range_b"
    )
    return (
        f"warning: {100 * near[low]:.1f} % of its values are {levels} of 255, so there is almost "
        f"nothing to learn; {mend}"
    )


def _levels(pixels: np.ndarray, values: Values | None) -> np.ndarray:
    """Valid values as levels of 0 to 255, in one row."""
    if values is None:
        return pixels.ravel()
    seen = values.to_network(pixels)
    return images.to_uint8(seen[np.isfinite(seen)])


def spread(length: int, count: int) -> list[int]:
    """At most `count` indices, evenly spaced over `length`."""
    return np.linspace(0, length - 1, min(count, length)).round().astype(int).tolist()


def _directory(cache_dir: Path, name: str, identity: list[Any]) -> Path:
    return cache_dir / f"{name}-{files.sha256_of_json(identity)[:16]}"


def _build(
    directory: Path,
    name: str,
    pictures: Iterator[tuple[str, Any]],
    load: Callable[[tuple[str, Any]], tuple[np.ndarray, Size]],
    *,
    total: int,
    facts: dict[str, Any],
    done: "_Done",
) -> None:
    sizes, original_sizes = array("q"), array("q")

    def note(item: tuple[str, Any]) -> tuple[str, Any]:
        name_lines.write(f"{json.dumps(item[0])}\n")
        return item

    with (
        files.atomic_directory(directory) as temporary,
        ThreadPoolExecutor(hardware.cores()) as pool,
        open(temporary / "pixels.bin", "wb") as out,
        open(temporary / "names.jsonl", "w", encoding="utf-8") as name_lines,
    ):
        for pixels, original in track(
            in_order(pool, load, map(note, pictures), ahead=_AHEAD),
            total=total,
            unit="image",
            label=f"resizing {name}",
        ):
            out.write(np.ascontiguousarray(pixels).data)
            sizes.extend(pixels.shape[:2])
            original_sizes.extend((original.height, original.width))
        out.flush()
        os.fsync(out.fileno())
        for file, values in (("sizes.npy", sizes), (_ORIGINALS, original_sizes)):
            with files.atomic_file(temporary / file) as stream:
                np.save(stream, np.asarray(values, np.int64).reshape(-1, 2))
        meta = {
            **facts,
            "notes": dict(done.counts),
            "stretch": done.stretch,
            "told": done.lines(total),
            **({"gaps": done.gaps} if done.gaps else {}),
        }
        files.write_json(temporary / "meta.json", meta)
    done.built = True
