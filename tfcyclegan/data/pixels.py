"""Resized pictures or measurements by index, so that training can read them in any order: from one
memory-mapped file of raw pixels, or straight from the data set.

In a file, decoding and resizing happen once; from the data set, each time, and only where the
records are is stored. Either is identified by a hash of the data and of the settings that affect
it, so changed settings make another one. An interrupted build leaves nothing behind.
"""

import errno
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tfcyclegan.config import Size
from tfcyclegan.data.loading import LabelLoader, Loader, PictureLoader
from tfcyclegan.data.records import Example
from tfcyclegan.data.source import DataSource
from tfcyclegan.data.survey import Survey, Watch, nearly_constant
from tfcyclegan.data.tfds_records import Place
from tfcyclegan.data.values import Values
from tfcyclegan.errors import UserError
from tfcyclegan.system import files, hardware
from tfcyclegan.system.parallel import in_order
from tfcyclegan.system.progress import log, track

_META, _NAMES, _SIZES, _ORIGINALS = "meta.json", "names.jsonl", "sizes.npy", "original_sizes.npy"
_PIXELS, _PLACES = "pixels.bin", "places.npy"
_AHEAD = 64
_SAMPLED, _SAMPLED_STREAM = 64, 16  # of a stream each costs as much as in training
_FLUSHED_EVERY = 1 << 26


class Pixels(ABC):
    """Random access to the pictures of one split. Threads may share it.

    `names.jsonl` in its directory holds the pictures' names.

    Attributes:
        sizes: [N, 2] heights and widths.
        original_sizes: the same before resizing; in a file that an older version made, `sizes`.
        notes: visible changes to pictures, with the number of pictures.
        stretch: the largest change of aspect ratio; 1 if all pictures keep theirs.
        told: further lines to report whenever they are opened.
        values: the meaning of measurements' numbers; None for pictures.
        gaps: number of arrays that have pixels without a measurement.
        readers: how many threads should read at once.
    """

    readers = 2

    def __init__(self, directory: Path):
        self.directory = directory
        meta = files.read_json(directory / _META)
        self.channels: int = meta["channels"]
        self.notes: dict[str, int] = meta.get("notes", {})
        self.stretch: float = meta.get("stretch", 1.0)
        self.told: list[str] = meta.get("told", [])
        self.values = Values.from_json(meta["values"]) if "values" in meta else None
        self.gaps: int = meta.get("gaps", 0)
        self.sizes = np.load(directory / _SIZES, mmap_mode="r")
        originals = directory / _ORIGINALS
        self.original_sizes = (
            np.load(originals, mmap_mode="r") if originals.exists() else self.sizes
        )

    def __len__(self) -> int:
        return len(self.sizes)

    def names(self) -> list[str]:
        """The pictures' names, as stored."""
        with open(self.directory / _NAMES, encoding="utf-8") as names:
            return [json.loads(line) for line in names]

    @abstractmethod
    def __getitem__(self, index: int) -> np.ndarray:
        """[H, W, C] of uint8 or of the type of `values`; it may be read-only."""

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

    @property
    def common_size(self) -> Size | None:
        """The size of all pictures, or None if they differ."""
        return Size(*map(int, self.sizes[0])) if (self.sizes == self.sizes[0]).all() else None


class PixelFile(Pixels):
    """Pixels in a file. Uses 8 bytes of memory per picture; the rest is mapped."""

    def __init__(self, directory: Path):
        super().__init__(directory)
        lengths = self.sizes.prod(axis=1) * self.channels
        self._offsets = np.concatenate([[0], np.cumsum(lengths)])
        # np.memmap itself is slow at each slice
        dtype = np.dtype(self.values.dtype if self.values else np.uint8)
        self._pixels = np.asarray(np.memmap(directory / _PIXELS, dtype, "r"))

    def __getitem__(self, index: int) -> np.ndarray:
        """A read-only view of the file."""
        return self._pixels[self._offsets[index] : self._offsets[index + 1]].reshape(
            *self.sizes[index], self.channels
        )


class StreamedPixels(Pixels):
    """Pixels decoded and resized each time, from records found by their places. Everything is
    mapped; what it uses of memory does not grow with the number of pictures.

    Args:
        directory: of the places.
        loader: loads its pictures.
    """

    def __init__(self, directory: Path, loader: Loader):
        super().__init__(directory)
        self._loader = loader
        # np.memmap itself is slow at each slice
        self._places = np.asarray(np.load(directory / _PLACES, mmap_mode="r"))
        self.readers = max(self.readers, hardware.cores())

    def __getitem__(self, index: int) -> np.ndarray:
        """Raises RunError if its record is damaged."""
        loader = self._loader
        example = loader.source.example_at(loader.split, Place(*self._places[index].tolist()))
        return loader.load(example)[0]


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
    stored: bool = True,
) -> Pixels:
    """The pixels of `split` after the resizing of `mode`.

    Args:
        source: the data set.
        split: of it.
        cache_dir: holds what is made of it; made if it is lacking.
        mode: one of PREPROCESS_MODES.
        load_size: see `images.resized_size`.
        crop_size: likewise.
        channels: of the pictures.
        interpolation: one of INTERPOLATIONS.
        count: if given, at least the pictures that `spread` chooses from the split are there;
            `spread` over what is returned then selects them.
        stored: whether pixels are stored in `cache_dir`; otherwise only the records' places are.

    Raises:
        UserError: the split is empty, or a picture is smaller than the crop.
        RunError: a picture or shard is damaged.
    """
    source.require(split)
    loader = PictureLoader(
        source,
        split,
        mode=mode,
        load_size=load_size,
        crop_size=crop_size,
        channels=channels,
        interpolation=interpolation,
    )
    if not stored:
        return _open_streamed(cache_dir, loader, sampled=not loader.nearest)
    opened, built = _open_file(cache_dir, loader, count)
    if count is None and not loader.nearest:
        opened.told += _of_sample(opened, _SAMPLED)
    _tell(loader, opened, whole=count is None, built=built)
    return opened


def open_labels(
    source: DataSource,
    split: str,
    cache_dir: Path,
    *,
    size: Size | None,
    count: int | None = None,
    stored: bool = True,
) -> Pixels:
    """The labels of `split` as train ids, uint8 [H, W, 1], resized to `size` by the nearest pixel.

    Ids outside the class table become IGNORED, which is reported. `count` and `stored` are as in
    `open_pixels`.

    Raises:
        UserError: the split is empty, or the data set has no labels.
        RunError: a label or shard is damaged.
    """
    source.require(split)
    loader = LabelLoader(source, split, size)
    if not stored:
        return _open_streamed(cache_dir, loader, sampled=False)
    opened, built = _open_file(cache_dir, loader, count)
    _tell(loader, opened, whole=count is None, built=built)
    return opened


def _open_file(cache_dir: Path, loader: Loader, count: int | None) -> tuple[PixelFile, bool]:
    """The file in `cache_dir` of the pixels, and whether it was made now."""
    directory, total = _directory(cache_dir, loader), loader.source.counts[loader.split]
    chosen = None
    if count is not None and count < total and not (directory / _META).exists():
        chosen, directory = spread(total, count), _directory(cache_dir, loader, count)
    built = _made(cache_dir, directory, loader, chosen, stored=True)
    return PixelFile(directory), built


def _open_streamed(cache_dir: Path, loader: Loader, *, sampled: bool) -> StreamedPixels:
    """The places in `cache_dir` as pixels; with `sampled`, some are looked at now."""
    source, split = loader.source, loader.split
    source.require_places(split)
    directory = _directory(cache_dir, loader, "places")
    _made(cache_dir, directory, loader, None, stored=False)
    opened = StreamedPixels(directory, loader)
    before = loader.survey = Survey()
    if sampled:
        looked_at = min(_SAMPLED_STREAM, len(opened))
        opened.told += _of_sample(opened, looked_at)
        if loader.has_headers:
            opened.told += before.of_looks(f"{looked_at} pictures looked at", looked_at)
    _tell(loader, opened, whole=True, built=True)

    def say(line: str) -> None:
        log(f"{source.directory}: split {split}: {line}")

    loader.survey = Watch(say if loader.has_headers else None, before)
    return opened


def _of_sample(opened: Pixels, count: int) -> list[str]:
    sample = (opened[index] for index in spread(len(opened), count))
    line = nearly_constant(sample, opened.values)
    return [line] if line else []


def _made(
    cache_dir: Path, directory: Path, loader: Loader, chosen: list[int] | None, *, stored: bool
) -> bool:
    """Makes `directory` if it does not exist; returns whether it did."""
    if (directory / _META).exists():
        return False
    try:
        with files.exclusive_lock(cache_dir, wait=True):
            # another process may have made it in the meantime
            if (directory / _META).exists():
                return False
            _build(directory, loader, chosen, stored=stored)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise UserError(
            f"{cache_dir}: cannot be written; give a writable directory with --cache_dir"
        ) from error
    return True


def _tell(loader: Loader, opened: Pixels, *, whole: bool, built: bool) -> None:
    """Reports the lines on the pictures; for a part of them only once, since the whole may be open
    as well.
    """
    for line in opened.told if whole or built else ():
        log(f"{loader.source.directory}: split {loader.split}: {line}")


def spread(length: int, count: int) -> list[int]:
    """At most `count` indices, evenly spaced over `length`."""
    return np.linspace(0, length - 1, min(count, length)).round().astype(int).tolist()


def _directory(cache_dir: Path, loader: Loader, *more: int | str) -> Path:
    return cache_dir / f"{loader.name}-{files.sha256_of_json([*loader.identity, *more])[:16]}"


def _build(directory: Path, loader: Loader, chosen: list[int] | None, *, stored: bool) -> None:
    """Makes the directory of all or of the `chosen` pictures of a split."""
    taken = None if chosen is None else set(chosen)
    total = loader.source.counts[loader.split] if chosen is None else len(chosen)

    with (
        files.atomic_directory(directory) as temporary,
        ThreadPoolExecutor(hardware.cores()) as pool,
        open(temporary / _NAMES, "w", encoding="utf-8") as name_lines,
    ):
        columns = {_SIZES: 2, _ORIGINALS: 2} | ({} if stored else {_PLACES: len(Place._fields)})
        # mapped, since memory may not hold them
        tables = {
            file: np.lib.format.open_memmap(temporary / file, "w+", np.int64, (total, count))
            for file, count in columns.items()
        }

        def noted() -> Iterator[Example]:
            row = 0
            for index, (example, place) in enumerate(loader.source.placed_examples(loader.split)):
                if taken is None or index in taken:
                    name_lines.write(f"{json.dumps(example.filename)}\n")
                    if not stored:
                        tables[_PLACES][row] = place
                    row += 1
                    yield example

        found: Iterable[tuple[Size, Size]]
        if stored:
            loaded = in_order(pool, loader.load, noted(), ahead=_AHEAD)
            found = _written(temporary / _PIXELS, loaded)
        elif loader.has_headers:  # which takes no longer than handing it to a thread
            found = map(loader.look, noted())
        else:
            found = in_order(pool, loader.look, noted(), ahead=_AHEAD)
        label = f"{'resizing' if stored else 'looking at'} {loader.name}"
        shown = track(found, total=total, unit="image", label=label)
        for row, (size, original) in enumerate(shown):
            tables[_SIZES][row] = size.height, size.width
            tables[_ORIGINALS][row] = original.height, original.width
        for table in tables.values():
            table.flush()
        survey = loader.survey
        meta = {
            "channels": loader.channels,
            **({"values": loader.values.to_json()} if loader.values else {}),
            "notes": dict(survey.counts),
            "stretch": survey.stretch,
            "told": survey.lines(total) if stored or not loader.has_headers else [],
            **({"gaps": survey.gaps} if survey.gaps else {}),
        }
        files.write_json(temporary / _META, meta)


def _written(path: Path, loaded: Iterable[tuple[np.ndarray, Size]]) -> Iterator[tuple[Size, Size]]:
    """Writes pixels one after another; yields the sizes after and before resizing.

    They go to the disk meanwhile: at the end, all at once would take as long as the resizing.
    """
    with open(path, "wb") as out, ThreadPoolExecutor(1) as flusher:
        waiting = None
        for pixels, original in loaded:
            out.write(np.ascontiguousarray(pixels).data)
            if out.tell() % _FLUSHED_EVERY < pixels.nbytes and (not waiting or waiting.done()):
                out.flush()
                waiting = flusher.submit(os.fsync, out.fileno())
            yield Size(*pixels.shape[:2]), original
        if waiting:
            waiting.result()
        out.flush()
        os.fsync(out.fileno())
