"""Applies a generator, tile by tile, to pictures and planes of measurements that do not fit in
memory, with the same result as for the whole picture.

Instance norm needs the mean and variance of a whole feature map, and these depend on the maps
before it. So the network is applied layer by layer. Each layer is applied tile by tile to the part
of its input that it sees; its outputs go to a file and their moments are accumulated. Whatever
reads them normalizes them with the moments of the whole map. Nothing is estimated or blended: the
result differs from the untiled one only by rounding, whatever the tiles. Memory holds the features
of one tile.

Feature maps as large as the picture, of the first layer and the last but one, are recomputed by
their reader instead of being written: they are the largest to store and the cheapest to compute.
"""

import copy
import dataclasses
import errno
import functools
import math
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, TypeVar

import keras
import numpy as np
import tensorflow as tf

from tfcyclegan.data import images
from tfcyclegan.data.label_coding import LabelCoding
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.formats.base import Window
from tfcyclegan.networks import Generator, InstanceNormalization
from tfcyclegan.networks.layers import Reach
from tfcyclegan.networks.noise import NoiseChannel
from tfcyclegan.networks.operations import Operations
from tfcyclegan.system.parallel import in_order
from tfcyclegan.system.progress import Progress

Result = TypeVar("Result")

TILE = 256
"""Default side of a tile in pixels. With larger tiles the paper's network is slower, since the C
library requests each buffer above 32 MB from the system again.
"""

WHOLE_PIXELS = 2048 * 1024
"""If no tile is given, pictures of at most this many pixels are translated whole, for which the
paper's network needs 2.9 GB. Larger ones give the same result up to one 8-bit level.
"""

SMALLEST = 16
"""Smallest side in pixels, which reflection padding inside the networks needs."""

_SMALLEST_SIDE = 16  # of a tile
_THREADS = 2  # one tile is read and written while another is computed
_PLANNING_SIDE = 16


@dataclass(frozen=True)
class Source:
    """A picture or a plane of measurements as the network's input, of which any window can be read.

    Attributes:
        height: height of the whole.
        width: width of the whole.
        channels: number of channels.
        read: returns a window as float32 [h, w, channels] in [-1, 1]; called by several threads.
    """

    height: int
    width: int
    channels: int
    read: Callable[[Window], np.ndarray]

    def mirrored(self, height: int, width: int) -> "Source":
        """The same with more rows and columns, mirrored at its lower and right edge as NumPy's
        "symmetric" padding does.
        """
        if (height, width) == (self.height, self.width):
            return self

        def read(at: Window) -> np.ndarray:
            rows = _reflected(np.arange(at.top, at.bottom), self.height)
            columns = _reflected(np.arange(at.left, at.right), self.width)
            top, left = int(rows.min()), int(columns.min())
            part = self.read(Window(top, left, int(rows.max()) + 1, int(columns.max()) + 1))
            return part[rows - top][:, columns - left]

        return Source(height, width, self.channels, read)


def _reflected(places: np.ndarray, length: int) -> np.ndarray:
    turned = places % (2 * length)
    return np.minimum(turned, 2 * length - 1 - turned)


@dataclass(frozen=True)
class Map:
    """Features of a whole picture, any window of which can be read as a float32 tensor [1, h, w,
    channels].
    """

    height: int
    width: int
    channels: int
    window: Callable[[Window], tf.Tensor]


class Tiler:
    """Translates pictures with a generator, tile by tile.

    Args:
        generator: a generator in float32.
        tile: side of a tile in pixels for features as large as the picture; tiles of smaller
            features have as many values. By default TILE, for pictures of more than WHOLE_PIXELS.
        device: TensorFlow's name of the device to compute on.

    Raises:
        UserError: the generator is not written on `Operations`.
    """

    def __init__(self, generator: Generator, tile: int | None = None, device: str | None = None):
        if not generator.is_written_on_operations():
            raise UserError(
                "--tile: a network from import_weights --from=tfa, or from a function of your own, "
                "can only be computed whole; leave --tile out"
            )
        self._generator, self._tile, self._device = generator, tile or TILE, device
        self._whole_pixels = WHOLE_PIXELS if tile is None else tile**2
        self._given_up = threading.Event()

    def of(self, generator: Generator) -> "Tiler":
        """The same for another generator of the same layers; they give up together."""
        other = copy.copy(self)
        other._generator = generator
        return other

    def wants(self, height: int, width: int) -> bool:
        """Whether pictures of that size are translated in tiles."""
        return height * width > self._whole_pixels

    def give_up(self) -> None:
        """Makes pictures in progress, in any thread, end with an error at their next tile, and all
        later ones as well.
        """
        self._given_up.set()

    @functools.cached_property
    def _plan(self) -> tuple[list[float], float]:
        """Measured on a tiny picture: for each pass over a map, its height relative to the
        picture's; and bytes of disk per pixel.
        """
        side = max(_PLANNING_SIDE, self._generator.size_multiple)
        channels = self._generator.settings["in_channels"]
        gray = Source(
            side,
            side,
            channels,
            lambda at: np.zeros((at.bottom - at.top, at.right - at.left, channels), np.float32),
        )
        with tempfile.TemporaryDirectory() as place:
            trial = _TiledOperations(gray, side, Path(place), self._device, lambda: None)
            for _ in trial.walk(self._generator.compute(trial.source, trial), lambda *_: None):
                pass
        return trial.passes, trial.peak_bytes / side**2

    def disk_bytes(self, height: int, width: int) -> int:
        """The disk space that a picture of that size needs while it is translated."""
        return math.ceil(self._plan[1] * height * width)

    def parts(
        self,
        source: Source,
        make: Callable[[Window, np.ndarray], Result],
        scratch: Path,
        label: str = "",
    ) -> Iterator[tuple[Window, Result]]:
        """Translates a source of any size, mirrored to one that the generator accepts; yields the
        result of `make` for each window of the translation, row by row of tiles.

        Features are stored in unnamed files in `scratch`, so that nothing is left behind, however
        the process ends.

        Args:
            source: what to translate.
            make: called with a window and its float32 [h, w, C] in [-1, 1], by several threads.
            scratch: directory for the features.
            label: what is translated, for the progress line.

        Raises:
            UserError: the disk has no space for them.
            RunError: the generator's output is not finite.
        """
        height, width = (
            padded_side(side, self._generator.size_multiple)
            for side in (source.height, source.width)
        )
        needed, free = self.disk_bytes(height, width), shutil.disk_usage(scratch).free
        if needed > free:
            sizes = (
                f"{needed / 1e9:.1f} GB for the features of a picture of {width}x{height}, but "
                f"{free / 1e9:.1f} GB are free"
            )
            raise UserError(
                f"{scratch}: needs {sizes}; free some space, or choose a folder on another disk"
            )
        *inner, last = self._plan[0]
        maps = [(round(height * scale), round(width * scale), scale) for scale in inner]
        maps.append((source.height, source.width, last))
        total = sum(len(list(windows(*each, self._tile))) for each in maps)
        label = f"{label}{width}x{height} in tiles ({needed / 1e9:.1f} GB of disk)"

        def advance() -> None:
            if self._given_up.is_set():
                raise RunError("given up")
            progress.advance()

        def use(at: Window, values: np.ndarray) -> Result:
            return make(at, images.require_numbers(values[0]))

        with Progress(total, unit="tile", label=label) as progress:
            operations = _TiledOperations(
                source.mirrored(height, width), self._tile, scratch, self._device, advance
            )
            with tf.device(self._device):
                translated = self._generator.compute(operations.source, operations)
            inside = Window(0, 0, source.height, source.width)
            yield from operations.walk(translated, use, inside)


def padded_side(side: int, multiple: int) -> int:
    """The side to which a picture is mirrored for the network: a multiple that it accepts, at least
    as large as reflection padding needs.
    """
    return max(SMALLEST, -(-side // multiple) * multiple)


def windows(height: int, width: int, scale: float, tile: int) -> Iterator[Window]:
    """The tiles of a map that is `scale` times as high as the picture. Deeper maps have more
    channels in smaller tiles.
    """
    side = max(_SMALLEST_SIDE, int(tile * math.sqrt(scale)) // 2 * 2)
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield Window(top, left, min(top + side, height), min(left + side, width))


class _TiledOperations(Operations):
    """`Operations` on maps: nothing is computed until a window is read, or a norm needs the moments
    of all windows.
    """

    def __init__(
        self,
        source: Source,
        tile: int,
        scratch: Path,
        device: str | None,
        advance: Callable[[], None],
    ):
        super().__init__(training=False)
        self._tile, self._scratch, self._device, self._advance = tile, scratch, device, advance
        self._height = source.height
        self.passes: list[float] = []
        self.bytes = self.peak_bytes = 0
        self.source = Map(
            source.height,
            source.width,
            source.channels,
            lambda at: tf.constant(source.read(at)[np.newaxis]),
        )

    def layer(self, layer: keras.layers.Layer, x: Map) -> Map:
        reach: Reach = layer.reach
        up, down = reach.up, reach.down

        def window(at: Window) -> tf.Tensor:
            top, bottom = _seen(reach, at.top, at.bottom, x.height)
            left, right = _seen(reach, at.left, at.right, x.width)
            y = layer(x.window(Window(top, left, bottom, right)))
            above, before = at.top - top * up // down, at.left - left * up // down
            return y[:, above : above + at.bottom - at.top, before : before + at.right - at.left]

        return Map(x.height * up // down, x.width * up // down, layer.filters, window)

    def norm(self, norm: keras.layers.Layer | None, x: Map) -> Map:
        if isinstance(norm, InstanceNormalization):
            x, moments = self._computed(x, _Moments.of)
            whole = functools.reduce(_Moments.joined, moments)
            mean, variance = (
                tf.constant(whole.mean, tf.float32),
                tf.constant(whole.variance, tf.float32),
            )
            return self.each(lambda values: norm.scaled(values - mean, variance), x)
        x = self._stored(x)
        return x if norm is None else self.each(lambda values: norm(values, training=False), x)

    def dropout(self, layer: keras.layers.Dropout, x: Map) -> Map:
        return x

    def noise(self, layer: NoiseChannel, x: Map) -> Map:
        return dataclasses.replace(
            x, channels=layer.filters, window=lambda at: layer.at(x.window(at), at.top, at.left)
        )

    def each(self, function: Callable[[tf.Tensor], tf.Tensor], x: Map) -> Map:
        return dataclasses.replace(x, window=lambda at: function(x.window(at)))

    def encode(self, coding: LabelCoding, x: Map) -> Map:
        return dataclasses.replace(self.each(coding.encode, x), channels=coding.count)

    def decode(self, coding: LabelCoding, x: Map) -> Map:
        return dataclasses.replace(self.each(coding.decode, x), channels=3)

    def add(self, x: Map, y: Map) -> Map:
        # stored, otherwise each block would compute the sum of all blocks before it
        return self._stored(dataclasses.replace(x, window=lambda at: x.window(at) + y.window(at)))

    def concat(self, x: Map, y: Map) -> Map:
        both = x.channels + y.channels
        return Map(
            x.height, x.width, both, lambda at: tf.concat([x.window(at), y.window(at)], axis=-1)
        )

    def walk(
        self, x: Map, use: Callable[[Window, np.ndarray], Result], inside: Window | None = None
    ) -> Iterator[tuple[Window, Result]]:
        """The results of `use` for each tile of a map, float32 [1, h, w, C], in order, or of its
        part `inside`, which starts at 0, 0.
        """
        scale = x.height / self._height
        self.passes.append(scale)
        height, width = (inside.bottom, inside.right) if inside else (x.height, x.width)

        def one(at: Window) -> tuple[Window, Result]:
            with tf.device(self._device):
                return at, use(at, np.asarray(x.window(at)))

        with ThreadPoolExecutor(_THREADS) as pool:
            for result in in_order(
                pool, one, windows(height, width, scale, self._tile), ahead=_THREADS - 1
            ):
                yield result
                self._advance()

    def _stored(self, x: Map) -> Map:
        return self._computed(x, lambda _: None)[0] if x.height < self._height else x

    def _computed(
        self, x: Map, measure: Callable[[np.ndarray], Result]
    ) -> tuple[Map, list[Result]]:
        """The same map, computed once and kept in a file if it is smaller than the picture, and the
        results of `measure` for each tile.
        """
        file = _MapFile(self._scratch, x, self._account) if x.height < self._height else None

        def use(at: Window, values: np.ndarray) -> Result:
            if file is not None:
                file.write(at, values[0])
            return measure(values)

        measured = [result for _, result in self.walk(x, use)]
        return x if file is None else dataclasses.replace(x, window=file.read), measured

    def _account(self, size: int) -> None:
        self.bytes += size
        self.peak_bytes = max(self.peak_bytes, self.bytes)


def _seen(reach: Reach, start: int, stop: int, length: int) -> tuple[int, int]:
    """The inputs, of `length`, that a layer must see for its outputs start..stop; see `Reach`."""
    first = reach.down * (start // reach.up) - reach.halo
    last = reach.down * -(-stop // reach.up) + reach.halo
    return max(first, 0), min(last, length)


class _Moments(NamedTuple):
    """For each channel over some pixels: their number, mean, and sum of squared differences from
    it, float64 [C].
    """

    pixels: int
    mean: np.ndarray
    squares: np.ndarray

    @property
    def variance(self) -> np.ndarray:
        """The biased variance."""
        return self.squares / self.pixels

    @classmethod
    def of(cls, values: np.ndarray) -> "_Moments":
        """The moments of a tile [1, h, w, C]: float32 within a row, float64 over rows."""
        means, variances = (
            moment.numpy()[0].astype(np.float64) for moment in tf.nn.moments(values, axes=[2])
        )
        rows, width, mean = len(means), values.shape[2], means.mean(axis=0)
        return cls(
            rows * width, mean, width * (variances.sum(axis=0) + ((means - mean) ** 2).sum(axis=0))
        )

    def joined(self, other: "_Moments") -> "_Moments":
        """The moments of both sets of pixels together (Chan et al. 1983)."""
        pixels, difference = self.pixels + other.pixels, other.mean - self.mean
        squares = (
            self.squares + other.squares + difference**2 * (self.pixels * other.pixels / pixels)
        )
        return _Moments(pixels, self.mean + difference * (other.pixels / pixels), squares)


class _MapFile:
    """A map in an unnamed file, float32 [H, W, C], which disappears with its last user, however
    that ends.

    Read and written by calls, not as a memory map: its pages would count as used memory, and a full
    disk would end it with a bus error.
    """

    def __init__(self, directory: Path, x: Map, account: Callable[[int], None]):
        self._directory, self._width, self._channels = directory, x.width, x.channels
        size = 4 * x.height * x.width * x.channels
        self._file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - open as long as the map is used
        account(size)
        weakref.finalize(self, _release, self._file, account, size)

    def _offset(self, row: int, column: int) -> int:
        return 4 * self._channels * (row * self._width + column)

    def write(self, at: Window, values: np.ndarray) -> None:
        """Stores a window, [h, w, C]."""
        for row, line in zip(range(at.top, at.bottom), values, strict=True):
            if os.pwrite(self._file.fileno(), line.data, self._offset(row, at.left)) < line.nbytes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._directory))

    def read(self, at: Window) -> tf.Tensor:
        values = np.empty((1, at.bottom - at.top, at.right - at.left, self._channels), np.float32)
        for row, line in zip(range(at.top, at.bottom), values[0], strict=True):
            os.preadv(self._file.fileno(), [line.data], self._offset(row, at.left))
        return tf.constant(values)


def _release(file: IO[bytes], account: Callable[[int], None], size: int) -> None:
    file.close()
    account(-size)
