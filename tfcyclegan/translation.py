"""Pictures in, translated PNGs out: from a run, a SavedModel or a TFLite file, for pictures of any size."""

import contextlib
import dataclasses
import functools
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import tensorflow as tf

from tfcyclegan import files, model_metadata, trust
from tfcyclegan.config import Size
from tfcyclegan.data import images, intake
from tfcyclegan.data.source import DataSource
from tfcyclegan.errors import UserError
from tfcyclegan.networks import Generator
from tfcyclegan.parallel import Stages
from tfcyclegan.picture_folders import USUAL, Reading, in_channels, in_memory, pictures_of_path, pictures_of_split, write_pictures
from tfcyclegan.progress import say
from tfcyclegan.quiet import silenced
from tfcyclegan.tiling import Tiler
from tfcyclegan.training.checkpoints import find_checkpoint, load_generator, weights_hash
from tfcyclegan.training.runs import Run

RECORD = "translation.json"
NEAREST_ALONE = "only nearest pixels resize them"
SMALLEST = 16  # reflection padding inside the networks needs some pixels to mirror

AT_ONCE = 2
"""Pictures that each device works on at once: one fills the pauses of the other. Batches did not gain more on a CPU, and what a picture
becomes would depend on its neighbours, by rounding."""

ALONE_PIXELS = 2**18
"""A picture of more pixels than this is the only such one on its device."""


@dataclass(frozen=True)
class Translator:
    """A trained translator of one direction.

    Attributes:
        identity: says which model it is; equal for equal weights.
        channels: of the pictures it takes.
        size_multiple: to which the sides of a picture are padded.
        function: float32 [1, H, W, C] in [-1, 1] to the same of the other domain.
        tiler: translates large pictures in bounded memory; None where the model can only be had whole.
        fit: the size to which every picture is resized, and its translation back from there; None keeps sizes.
        reading: how the pictures of its training were read, see `model_metadata.reading_of`; of an exported model.
        described: from what to what it translates, as far as its metadata tell; empty for a run.
    """

    identity: dict[str, Any]
    channels: int
    size_multiple: int
    function: Callable[[np.ndarray], np.ndarray]
    tiler: Tiler | None = None
    fit: Size | None = None
    reading: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    described: str = ""
    _alone: threading.Lock = dataclasses.field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def __call__(self, picture: np.ndarray, scratch: Path | None = None, *, nearest: bool = False) -> np.ndarray:
        """Translates uint8 [H, W, C] of any size; large ones in tiles, if `scratch` names a directory for their features.

        With `fit` the picture is resized by bicubic, or by `nearest` pixels, and the translation back by bicubic.
        """
        height, width = picture.shape[:2]
        if self.fit not in (None, Size(height, width)):
            fitted = images.resize(images.to_image(picture), self.fit, nearest=nearest)
            translated = images.to_image(self(images.to_array(fitted), scratch))
            return images.to_array(images.resize(translated, Size(height, width)))
        with self._alone if height * width > ALONE_PIXELS else contextlib.nullcontext():
            if scratch is None or self.tiler is None or not self.tiler.wants(height, width):
                return images.to_uint8(self.in_floats(images.to_float(picture)[np.newaxis])[0])
            return self.tiler(self._padded(picture[np.newaxis])[0], scratch)[:height, :width]

    def in_floats(self, batch: np.ndarray) -> np.ndarray:
        """Translates float32 [1, H, W, C] of any size: mirrored to a size that the network takes, and cropped back."""
        height, width = batch.shape[1:3]
        return np.asarray(self.function(self._padded(batch)), np.float32)[:, :height, :width]

    def _padded(self, batch: np.ndarray) -> np.ndarray:
        height, width = batch.shape[1:3]
        padded_sides = [max(SMALLEST, -(-side // self.size_multiple) * self.size_multiple) for side in (height, width)]
        padding = [(0, 0), (0, padded_sides[0] - height), (0, padded_sides[1] - width), (0, 0)]
        return np.pad(batch, padding, mode="symmetric")


def machines(translators: Sequence[Translator], scratch: Path, *, nearest: bool = False) -> list[Callable[[np.ndarray], np.ndarray]]:
    """Copies of a translator on several devices, as `Stages` takes them; `nearest` as they take it."""
    return [functools.partial(translator, scratch=scratch, nearest=nearest) for _ in range(AT_ONCE) for translator in translators]


def give_up(translators: Sequence[Translator]) -> None:
    """Makes pictures end early that are being translated in tiles."""
    for translator in translators:
        if translator.tiler is not None:
            translator.tiler.give_up()


def from_run(run: Run, checkpoint: str, direction: str, *, tile: int | None = None, device: str | None = None) -> Translator:
    """The generator of a run's checkpoint.

    Args:
        run: the run.
        checkpoint: latest, best or a step.
        direction: ab or ba.
        tile: see `Tiler`.
        device: TensorFlow's name of the device that it computes on.

    Raises:
        UserError: no such checkpoint, a run without that direction, or `tile` for a network that cannot be computed in tiles.
        RunError: the checkpoint is damaged.
    """
    with tf.device(device):
        generator = load_generator(run, checkpoint, direction)
    name = find_checkpoint(run.directory, checkpoint)
    identity = {"checkpoint": Path(name).name, "direction": direction, "weights": weights_hash(generator)}
    tiler = Tiler(generator, tile, device) if tile is not None or Tiler.takes(generator) else None
    return Translator(identity, generator.settings["in_channels"], generator.size_multiple, as_function(generator, device), tiler)


def copies_on_devices(
    run: Run, checkpoint: str, direction: str, devices: Sequence[str] | None = None, *, tile: int | None = None
) -> list[Translator]:
    """`from_run` for each of `devices`, by default all GPUs or the CPU, so that several pictures can be translated at once."""
    if devices is None:
        devices = [device.name for device in tf.config.list_logical_devices("GPU")] or ["CPU:0"]
    return [from_run(run, checkpoint, direction, tile=tile, device=device) for device in devices]


def scale_of(run: Run) -> images.Scale:
    """The scale that the run's networks were trained at."""
    config = run.config
    return images.Scale(config.preprocess, config.load_size, config.crop_size, config.interpolation)


def record_of(translator: Translator, scale: images.Scale | None) -> dict[str, Any]:
    """What RECORD says of translated pictures: by which model, and at which scale."""
    fitted = f"fit {translator.fit}" if translator.fit else "original"
    return {**translator.identity, "scale": str(scale or fitted)}


def as_function(generator: Generator, device: str | None = None) -> Callable[[np.ndarray], np.ndarray]:
    """The generator as a compiled function on NumPy batches, float32 [B, H, W, C]: one graph, however many sizes it meets."""
    sizes = tf.TensorSpec([None, None, None, generator.settings["in_channels"]], tf.float32)
    compiled = tf.function(lambda batch: generator(batch, training=False), input_signature=[sizes], autograph=False)

    def function(batch: np.ndarray) -> np.ndarray:
        with tf.device(device):
            return compiled(tf.constant(batch)).numpy()

    return function


def from_model(path: Path, *, trusted: bool = False, fit: bool = False) -> Translator:
    """`open_model` for pictures of files; says what was taken.

    Args:
        path: where it lies.
        trusted: see there.
        fit: resizes pictures to the size of a .tflite file, and translations back.

    Raises:
        UserError: see there; or `fit` for a model of any size.
    """
    translator = open_model(path, trusted=trusted)
    say(f"--model={path}: {translator.described}")
    if not fit:
        return dataclasses.replace(translator, fit=None)
    if translator.fit is None:
        raise UserError(f"--scale=fit: resizes to the size of a .tflite file; {path} takes pictures of any size, so leave it out")
    say(f"--scale=fit: pictures of other sizes are resized to {translator.fit} and their translations back")
    return translator


def open_model(path: Path, *, trusted: bool = False) -> Translator:
    """An exported model: a SavedModel directory (or the folder of its versions), or a .tflite file, whose size is in `fit`.

    Args:
        path: where it lies.
        trusted: loads a SavedModel whatever it may do; a .tflite file can only compute.

    Raises:
        UserError: nothing there, not such a model, or (`trust.Untrusted`) one that may do more than compute.
    """
    if path.suffix == ".tflite":
        return _from_tflite(path)
    versions = files.numbered(path)
    path = [path, *versions][-1]
    if not (path / "saved_model.pb").is_file():
        raise UserError(f"--model={path}: no SavedModel and no .tflite file there; make one with tfcyclegan export")
    metadata = model_metadata.read(path)
    try:
        if not trusted:
            trust.require_computing_alone(path)
        model = tf.saved_model.load(str(path))
        function = model.signatures["tensor"]
        channels = _channels(function.structured_input_signature[1]["images"], function.structured_outputs["images"])
    except UserError:
        raise
    except Exception as error:  # whatever a damaged or foreign graph makes TensorFlow raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"--model={path}: not a SavedModel of tfcyclegan export ({reason})") from error

    def translate(batch: np.ndarray, _keeps_weights_alive: Any = model) -> np.ndarray:
        return function(images=tf.constant(batch))["images"].numpy()

    identity = _identity(path / "saved_model.pb", metadata)
    newest = f"version {path.name}, the newest of {len(versions)}" if len(versions) > 1 else ""
    described = _described(metadata, function.structured_outputs["images"].shape[3], channels, newest, "pictures keep their sizes")
    return Translator(identity, channels, 4, translate, reading=model_metadata.reading_of(metadata), described=described)


def _identity(file: Path, metadata: Mapping[str, Any]) -> dict[str, Any]:
    direction = model_metadata.direction_of(metadata)
    return {"model": files.sha256_of(file)} | ({"direction": direction} if direction else {})


def _described(metadata: Mapping[str, Any], channels_out: int, channels_in: int, *more: str) -> str:
    trained_at = metadata.get("trained_at")
    training = f"trained at {trained_at}" if trained_at else ""
    parts = (model_metadata.translates(metadata), f"{channels_in} channels to {channels_out}", *more, training)
    return "; ".join(part for part in parts if part)


def _channels(source: Any, target: Any) -> int:
    """The channels of the pictures that a model takes, or ValueError where it takes or gives something else than pictures."""
    for word, spec in (("takes", source), ("gives", target)):
        shape = list(spec.shape)
        if spec.dtype != np.float32 or len(shape) != 4 or shape[3] not in (1, 3):
            raise ValueError(f"it {word} {tf.as_dtype(spec.dtype).name} {shape}, not float32 [B, H, W, 1 or 3]")
    return int(source.shape[3])


def _from_tflite(path: Path) -> Translator:
    from ai_edge_litert.interpreter import Interpreter

    try:
        with silenced():
            interpreter = Interpreter(model_path=str(path))
            interpreter.allocate_tensors()
        source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        _channels(*(SimpleNamespace(shape=details["shape"].tolist(), dtype=details["dtype"]) for details in (source, target)))
    except (ValueError, RuntimeError, OSError, IndexError) as error:
        raise UserError(f"--model={path}: not a TFLite model of tfcyclegan export ({str(error).splitlines()[0]})") from error
    _, height, width, channels = map(int, source["shape"])
    metadata = model_metadata.read(path)

    alone = threading.Lock()  # an interpreter has one place for its input

    def translate(batch: np.ndarray) -> np.ndarray:
        if batch.shape[1:3] != (height, width):
            size = f"{batch.shape[1]}x{batch.shape[2]}"
            raise UserError(
                f"--model={path}: takes pictures of {height}x{width} alone, not {size}; give --scale=fit, or export --tflite_size={size}"
            )
        with alone:
            interpreter.set_tensor(source["index"], batch)
            interpreter.invoke()
            return interpreter.get_tensor(target["index"])

    size = Size(height, width)
    status = model_metadata.status_of(metadata, path)
    doubt = "" if status == "usable" else f"{status} by the export"
    described = _described(metadata, int(target["shape"][3]), channels, f"of {size} alone", doubt)
    reading = model_metadata.reading_of(metadata)
    return Translator(_identity(path, metadata), channels, 1, translate, fit=size, reading=reading, described=described)


@dataclass(frozen=True)
class _Picture:
    """A picture on its way: uint8 [H, W, C], and its alpha channel, uint8 [H, W], where it is to be kept."""

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
) -> None:
    """Translates pictures into `output`, one PNG each; see `write_pictures`.

    Args:
        translators: copies of one translator, one for each device.
        pictures: (name, how to read it).
        output: folder for the PNGs.
        total: how many pictures there are.
        scale: resizes each picture first; None keeps sizes.
        settings: how the pictures are read, where that is not the usual way.
        nearest: resizes by nearest pixels, for label maps.
        left_out: what of the input is not among `pictures`.
        hints: flags that decide otherwise, by note.
    """

    channels = translators[0].channels

    def scaled(decoded: intake.Decoded) -> _Picture:
        image = images.with_channels(decoded.image, channels)
        pixels = images.to_array(scale(image, nearest=nearest) if scale else image)
        height, width = pixels.shape[:2]
        return _Picture(pixels, None if decoded.alpha is None else np.asarray(images.resize(decoded.alpha, Size(height, width))))

    def translate(machine: Callable[[np.ndarray], np.ndarray], picture: _Picture) -> _Picture:
        return dataclasses.replace(picture, pixels=machine(picture.pixels))

    def encode(translated: _Picture) -> tuple[bytes]:
        return (images.encode_png(translated.pixels, alpha=translated.alpha),)

    placed = [functools.partial(translate, machine) for machine in machines(translators, output, nearest=nearest)]
    write_pictures(
        in_channels(pictures, channels),
        output,
        lambda name: (output / f"{name}.png",),
        Stages(scaled, placed, encode, lambda: give_up(translators)),
        total=total,
        record=RECORD,
        identity={**record_of(translators[0], scale), **settings},
        told=("translating", "translated", "another model's translations, or those at another scale or of other settings"),
        left_out=left_out,
        hints=hints,
    )


def translate_path(
    translators: Sequence[Translator],
    path: Path,
    output: Path,
    *,
    scale: images.Scale | None = None,
    nearest: bool = False,
    reading: Reading = USUAL,
) -> None:
    """Translates a picture or a folder into PNGs in `output`; those already there from the same model are kept.

    With `nearest`, as label maps need it, only nearest pixels resize them.

    Raises:
        UserError: `output` holds another model's work, or pictures that cannot be read (after all others were translated).
    """
    found = pictures_of_path(path, reading)
    found.say()
    if nearest and scale:
        say(f"{path}: taken for label maps, as in training: {NEAREST_ALONE}")
    pictures, settings = found.pictures, reading.settings()
    _translate_all(
        translators,
        pictures.items(),
        output,
        total=len(pictures),
        scale=scale,
        nearest=nearest,
        settings=settings,
        left_out=found.left_out,
        hints=intake.HINTS,
    )


def translate_split(
    translators: Sequence[Translator],
    source: DataSource,
    split: str,
    output: Path,
    *,
    scale: images.Scale | None = None,
    reading: Reading = USUAL,
) -> None:
    """Translates a split of a prepared data set; see `translate_path`."""
    source.require(split)
    pictures, total, nearest = in_memory(pictures_of_split(source, split), reading.rules), source.counts[split], split in source.label_maps
    settings, unread = reading.settings(), source.left_out
    if nearest and scale:
        say(f"{source.directory}: split {split} is label maps: {NEAREST_ALONE}")
    _translate_all(translators, pictures, output, total=total, scale=scale, settings=settings, nearest=nearest, left_out=unread)
