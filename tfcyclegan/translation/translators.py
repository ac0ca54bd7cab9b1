"""Translates pictures of any size into PNGs, with a run, a SavedModel or a TFLite file."""

import contextlib
import dataclasses
import functools
import itertools
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from tfcyclegan.config import Size
from tfcyclegan.data import images, intake
from tfcyclegan.data.picture_folders import (
    USUAL,
    Ledger,
    Reading,
    in_memory,
    pictures_of_path,
    pictures_of_split,
    with_notes,
    write_pictures,
)
from tfcyclegan.data.source import DataSource
from tfcyclegan.errors import UserError
from tfcyclegan.formats.base import Window
from tfcyclegan.networks import Generator
from tfcyclegan.system.parallel import Stages
from tfcyclegan.system.progress import log
from tfcyclegan.training.checkpoints import (
    find_checkpoint,
    load_generator,
    tell_untrained,
    weights_hash,
)
from tfcyclegan.training.runs import Run
from tfcyclegan.translation import array_files
from tfcyclegan.translation.tiling import Source, Tiler, padded_side
from tfcyclegan.translation.value_pair import ValuePair, network_size

RECORD = "translation.json"
TOLD = (
    "translating",
    "translated",
    "translations of another model, of other pictures, at another scale or with other settings",
)
"""Phrases of `write_pictures`."""
NEAREST_ALONE = "only nearest pixels resize them"

AT_ONCE = 2
"""Pictures that each device processes at once: one fills the pauses of the other. Batches gained no
more on a CPU, and rounding would make results depend on a picture's neighbours.
"""

ALONE_PIXELS = 2**18
"""A device processes only one picture with more pixels than this at a time."""


@dataclass(frozen=True)
class Translator:
    """A trained translator of one direction.

    Attributes:
        identity: identifies the model; equal for equal weights.
        channels: number of channels of its input.
        size_multiple: the sides of a picture are padded to multiples of it.
        function: maps float32 [1, H, W, C] in [-1, 1] to the same in the other domain.
        tiler: translates large pictures in bounded memory; None if the model can only be computed
            whole.
        fit: the size to which every picture is resized, and from which its translation is resized
            back; None keeps sizes.
        reading: for an exported model, how the pictures of its training were read, see
            `model_metadata.reading_of`.
        described: what it translates, from its metadata; empty for a run.
        values: the meaning of the numbers on both sides.
        classes: whether translations are label maps in the colours of classes alone, which are
            resized back by nearest pixels.
        generator: of a run.
        device: TensorFlow's name of the device it computes on; None leaves it to TensorFlow.
        answers: what gives the several answers to a picture, see `answers.with_answers`; empty for
            one, its own.
    """

    identity: dict[str, Any]
    channels: int
    size_multiple: int
    function: Callable[[np.ndarray], np.ndarray]
    tiler: Tiler | None = None
    fit: Size | None = None
    reading: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    described: str = ""
    values: ValuePair = ValuePair()
    classes: bool = False
    generator: Generator | None = None
    device: str | None = None
    answers: "tuple[Translator, ...]" = ()
    _alone: threading.Lock = dataclasses.field(
        default_factory=threading.Lock, repr=False, compare=False
    )

    def __call__(
        self,
        picture: np.ndarray,
        scratch: Path | None = None,
        *,
        nearest: bool = False,
        scale: images.Scale | None = None,
    ) -> np.ndarray:
        """Translates [H, W, C] of any size from the numbers of one domain to those of the other:
        uint8 for pictures, otherwise as in `values`. Large pictures are translated in tiles if
        `scratch` names a directory for their features.

        With `fit` it is resized by bicubic, pictures of label maps by `nearest` pixels, and the
        translation back by bicubic, that to `classes` by nearest pixels; measurements likewise with
        `scale`.

        Raises:
            RunError: the model's output is not finite.
        """
        height, width = picture.shape[:2]
        own = Size(height, width)
        size = network_size(own, scale) if scale else self.fit or own
        if size != own and not self.values.pictures:
            how = scale.interpolation if scale else "bicubic"
            seen = self.values.to_network(self.values.resized(picture, size, how))
            return self.values.from_network(
                self.through_network(seen, own), self.values.gaps(picture)
            )
        if self.fit not in (None, Size(height, width)):
            fitted = images.resize(images.to_image(picture), self.fit, nearest=nearest)
            translated = images.to_image(self(images.to_array(fitted), scratch))
            back = images.resize(translated, Size(height, width), nearest=self.classes)
            return images.to_array(back)
        with self._alone if height * width > ALONE_PIXELS else contextlib.nullcontext():
            if scratch is not None and self.tiler is not None and self.tiler.wants(height, width):
                return self._in_tiles(picture, self.tiler, scratch)
            seen = self.in_floats(self.values.to_network(picture)[np.newaxis])[0]
            return self.values.from_network(seen, self.values.gaps(picture))

    def _in_tiles(self, picture: np.ndarray, tiler: Tiler, scratch: Path) -> np.ndarray:
        def part(at: Window) -> np.ndarray:
            return picture[at.top : at.bottom, at.left : at.right]

        def make(at: Window, seen: np.ndarray) -> np.ndarray:
            return self.values.from_network(seen, self.values.gaps(part(at)))

        height, width, channels = picture.shape
        source = Source(height, width, channels, lambda at: self.values.to_network(part(at)))
        parts = tiler.parts(source, make, scratch)
        at, first = next(parts)
        translated = np.empty((*picture.shape[:2], first.shape[-1]), first.dtype)
        for place, values in itertools.chain([(at, first)], parts):
            translated[place.top : place.bottom, place.left : place.right] = values
        return translated

    def through_network(self, seen: np.ndarray, size: Size | None = None) -> np.ndarray:
        """Translates float32 [H, W, C] in [-1, 1], whole; the result is resized to `size` by
        bicubic if it has another size, label maps of `classes` by nearest pixels.

        Raises:
            RunError: the model's output is not finite.
        """
        height, width = seen.shape[:2]
        with self._alone if height * width > ALONE_PIXELS else contextlib.nullcontext():
            translated = self.in_floats(seen[np.newaxis])[0]
        if size is None or size == Size(height, width):
            return translated
        channels = [
            np.asarray(images.resize(Image.fromarray(channel), size, nearest=self.classes))
            for channel in np.moveaxis(translated, -1, 0)
        ]
        return np.stack(channels, axis=-1)

    def in_floats(self, batch: np.ndarray) -> np.ndarray:
        """`unchecked`, or RunError if the model's output is not finite."""
        return images.require_numbers(self.unchecked(batch))

    def unchecked(self, batch: np.ndarray) -> np.ndarray:
        """Translates float32 [B, H, W, C] of any size: mirrored to a size that the network accepts,
        and cropped back.
        """
        height, width = batch.shape[1:3]
        return np.asarray(self.function(self.padded(batch)), np.float32)[:, :height, :width]

    def padded(self, batch: np.ndarray) -> np.ndarray:
        """The batch [B, H, W, C], mirrored at its ends to a size that the network accepts."""
        height, width = batch.shape[1:3]
        padded_sides = [padded_side(side, self.size_multiple) for side in (height, width)]
        padding = [(0, 0), (0, padded_sides[0] - height), (0, padded_sides[1] - width), (0, 0)]
        return np.pad(batch, padding, mode="symmetric")


def machines(
    translators: Sequence[Translator], scratch: Path, *, nearest: bool = False
) -> list[Callable[[np.ndarray], np.ndarray]]:
    """Copies of a translator on several devices, for `Stages`; `nearest` is passed to each call."""
    return [
        functools.partial(translator, scratch=scratch, nearest=nearest)
        for _ in range(AT_ONCE)
        for translator in translators
    ]


def give_up(translators: Sequence[Translator]) -> None:
    """Aborts pictures that are being translated in tiles."""
    for translator in translators:
        if translator.tiler is not None:
            translator.tiler.give_up()


def from_run(
    run: Run,
    checkpoint: str,
    direction: str,
    *,
    tile: int | None = None,
    device: str | None = None,
    training_mode: bool = False,
) -> Translator:
    """The generator of a run's checkpoint.

    Args:
        run: the run.
        checkpoint: latest, best or a step.
        direction: ab or ba.
        tile: see `Tiler`.
        device: TensorFlow's name of the device to compute on.
        training_mode: whether batch norm uses each picture's own statistics and dropout is active,
            as in the official test of pix2pix.

    Raises:
        UserError: the checkpoint or direction does not exist, `tile` is given for a network that
            cannot be computed in tiles, or `training_mode` for one that it does not change.
        RunError: the checkpoint is damaged.
    """
    with tf.device(device):
        generator = load_generator(run, checkpoint, direction)
    name = find_checkpoint(run.directory, checkpoint)
    identity: dict[str, Any] = {
        "checkpoint": Path(name).name,
        "direction": direction,
        "weights": weights_hash(generator),
    }
    if training_mode:
        if generator.settings.get("norm") != "batch" and not generator.settings.get("dropout"):
            raise UserError(
                f"--training_mode: has no effect on {run.directory}, whose generator has neither "
                "batch norm nor dropout; leave it out"
            )
        identity["training_mode"] = True
    tiles = not training_mode and (tile is not None or generator.is_written_on_operations())
    tiler = Tiler(generator, tile, device) if tiles else None
    usual = run.config.load_size if run.config.preprocess == "resize_and_crop" else None
    function = as_function(generator, device, size=usual, training=training_mode)
    return Translator(
        identity,
        generator.settings["in_channels"],
        generator.size_multiple,
        function,
        tiler,
        values=ValuePair.of_domains(run.values, direction),
        classes=generator.target_coding is not None,
        generator=generator,
        device=device,
    )


def copies_on_devices(
    run: Run,
    checkpoint: str,
    direction: str,
    devices: Sequence[str] | None = None,
    *,
    tile: int | None = None,
    training_mode: bool = False,
) -> list[Translator]:
    """`from_run` for each of `devices`, by default all GPUs or the CPU, so that several pictures
    can be translated at once.
    """
    tell_untrained(run, checkpoint)
    if devices is None:
        devices = [device.name for device in tf.config.list_logical_devices("GPU")] or ["CPU:0"]
    settings: dict[str, Any] = {"tile": tile, "training_mode": training_mode}
    return [from_run(run, checkpoint, direction, device=device, **settings) for device in devices]


def scale_of(run: Run) -> images.Scale:
    """The scale that the run's networks were trained at."""
    config = run.config
    return images.Scale(config.preprocess, config.load_size, config.crop_size, config.interpolation)


def record_of(translator: Translator, scale: images.Scale | None) -> dict[str, Any]:
    """The entry of RECORD for translated pictures: the model and the scale."""
    fitted = f"fit {translator.fit}" if translator.fit else "original"
    return {**translator.identity, "scale": str(scale or fitted)}


def as_function(
    generator: Generator,
    device: str | None = None,
    *,
    size: Size | None = None,
    training: bool = False,
) -> Callable[[np.ndarray], np.ndarray]:
    """The generator as a compiled function on NumPy batches, float32 [B, H, W, C]: one graph for
    any number of sizes.

    Single pictures of `size`, padded as `Translator` pads them, have a graph of their own, which is
    faster.
    """

    def compiled(*shape: int | None) -> Callable[[tf.Tensor], tf.Tensor]:
        batches = tf.TensorSpec([*shape, generator.settings["in_channels"]], tf.float32)
        return tf.function(
            lambda batch: generator(batch, training=training),
            input_signature=[batches],
            autograph=False,
        )

    usual = (
        (1, *(padded_side(side, generator.size_multiple) for side in (size.height, size.width)))
        if size
        else None
    )
    of_usual, of_any = compiled(*usual) if usual else None, compiled(None, None, None)

    def function(batch: np.ndarray) -> np.ndarray:
        with tf.device(device):
            return (of_usual if of_usual and batch.shape[:3] == usual else of_any)(
                tf.constant(batch)
            ).numpy()

    return function


@dataclass(frozen=True)
class _Picture:
    """A picture being translated: uint8 [H, W, C], and its alpha channel, uint8 [H, W], if it is to
    be kept.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None


def _translate_all(
    translators: Sequence[Translator],
    pictures: Iterable[tuple[str, Callable[[], intake.Decoded]]],
    output: Path,
    *,
    total: int,
    scale: images.Scale | None,
    settings: Mapping[str, Any],
    nearest: bool = False,
    left_out: Mapping[str, int] | None = None,
    hints: Mapping[str, str] | None = None,
    arrays: str = array_files.NPY,
    reserved: bool = False,
) -> Ledger:
    """Translates pictures into `output`, one PNG each, or an array file for measurements; several
    answers are NAME_1, NAME_2 and so on. See `write_pictures`.

    Args:
        translators: copies of one translator, one for each device.
        pictures: pairs of a name and a function that reads the picture.
        output: folder for the PNGs.
        total: number of pictures.
        scale: resizes each picture first; None keeps sizes.
        settings: how the pictures are read, if not by the defaults.
        nearest: resizes by nearest pixels, for label maps.
        left_out: parts of the input that are not among `pictures`.
        hints: for each note, the flag that changes the behaviour.
        arrays: extension of array files.
        reserved: see `write_pictures`.
    """
    model = translators[0]
    ending = ".png" if model.values.target is None else arrays

    def scaled(decoded: intake.Decoded) -> _Picture:
        image = images.with_channels(decoded.image, translators[0].channels)
        pixels = images.to_array(scale(image, nearest=nearest) if scale else image)
        height, width = pixels.shape[:2]
        return _Picture(
            pixels,
            None
            if decoded.alpha is None
            else np.asarray(images.resize(decoded.alpha, Size(height, width))),
        )

    def translate(machine: Translator, picture: _Picture) -> list[_Picture]:
        made = (
            answer(picture.pixels, output, nearest=nearest)
            for answer in machine.answers or (machine,)
        )
        return [dataclasses.replace(picture, pixels=pixels) for pixels in made]

    def encode(translated: list[_Picture]) -> list[bytes]:
        if model.values.target is not None:
            return [array_files.encode(each.pixels, ending) for each in translated]
        return [images.encode_png(each.pixels, alpha=each.alpha) for each in translated]

    placed = [functools.partial(translate, one) for _ in range(AT_ONCE) for one in translators]
    marks = [f"_{number}" for number, _ in enumerate(model.answers, start=1)] or [""]
    return write_pictures(
        with_notes(
            pictures, lambda image: images.notes_of(image, model.channels, scale, model.fit)
        ),
        output,
        lambda name: [output / f"{name}{mark}{ending}" for mark in marks],
        Stages(scaled, placed, encode, lambda: give_up(translators)),
        total=total,
        record=RECORD,
        identity={**record_of(translators[0], scale), **settings},
        told=TOLD,
        left_out=left_out,
        hints=hints,
        reserved=reserved,
    )


def translate_path(
    translators: Sequence[Translator],
    path: Path,
    output: Path,
    *,
    scale: images.Scale | None = None,
    nearest: bool = False,
    reading: Reading = USUAL,
    arrays: str = array_files.NPY,
) -> None:
    """Translates a picture or a folder into PNGs in `output`, or into array files if the target is
    measurements; existing results of the same model are kept.

    With `nearest`, which label maps need, pictures are only resized by nearest pixels.

    Raises:
        UserError: `output` holds another model's results, or pictures cannot be read (after all
            others were translated).
    """
    found = pictures_of_path(path, reading, output=output)
    found.log()
    if nearest and scale:
        log(f"{path}: read as label maps, as in training: {NEAREST_ALONE}")
    _translate_all(
        translators,
        found.pictures.items(),
        output,
        total=len(found.pictures),
        scale=scale,
        nearest=nearest,
        settings=reading.settings(),
        left_out=found.left_out,
        hints=intake.hints(reading.rules.max_value),
        arrays=arrays,
    )


def translate_split(
    translators: Sequence[Translator],
    source: DataSource,
    split: str,
    output: Path,
    *,
    scale: images.Scale | None = None,
    reading: Reading = USUAL,
    hints: Mapping[str, str] | None = None,
    arrays: str = array_files.NPY,
    reserved: bool = False,
) -> Ledger:
    """Translates a split of pictures of a prepared data set; see `translate_path`. `hints` gives,
    for each note, the flag that changes the behaviour; for `reserved` see `write_pictures`.
    """
    source.require(split)
    pictures, total, nearest = (
        in_memory(pictures_of_split(source, split), reading.rules),
        source.counts[split],
        split in source.label_maps,
    )
    read, unread = reading.settings() | source.identity_of(split), source.left_out
    if nearest and scale:
        log(f"{source.directory}: split {split} is label maps: {NEAREST_ALONE}")
    return _translate_all(
        translators,
        pictures,
        output,
        total=total,
        scale=scale,
        settings=read,
        nearest=nearest,
        left_out=unread,
        hints=hints,
        arrays=arrays,
        reserved=reserved,
    )
