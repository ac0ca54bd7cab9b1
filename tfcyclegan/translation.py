"""Pictures in, translated PNGs out: from a run, a SavedModel or a TFLite file, for pictures of any size."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfcyclegan import files
from tfcyclegan.data import images, intake
from tfcyclegan.data.source import DataSource
from tfcyclegan.errors import UserError
from tfcyclegan.networks import Generator
from tfcyclegan.picture_folders import MAX_PIXELS, pictures_of_path, pictures_of_split, write_pictures
from tfcyclegan.training.checkpoints import find_checkpoint, load_generator
from tfcyclegan.training.runs import Run

RECORD = "translation.json"
SMALLEST = 16  # reflection padding inside the networks needs some pixels to mirror


@dataclass(frozen=True)
class Translator:
    """A trained translator of one direction.

    Attributes:
        identity: says which model it is; equal for equal weights.
        channels: of the pictures it takes.
        size_multiple: to which the sides of a picture are padded.
        function: float32 [1, H, W, C] in [-1, 1] to the same of the other domain.
    """

    identity: dict[str, Any]
    channels: int
    size_multiple: int
    function: Callable[[np.ndarray], np.ndarray]

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """Translates uint8 [H, W, C] of any size."""
        return images.to_uint8(self.in_floats(images.to_float(picture)[np.newaxis])[0])

    def in_floats(self, batch: np.ndarray) -> np.ndarray:
        """Translates float32 [1, H, W, C] of any size: mirrored to a size that the network takes, and cropped back."""
        height, width = batch.shape[1:3]
        padded_sides = [max(SMALLEST, -(-side // self.size_multiple) * self.size_multiple) for side in (height, width)]
        padding = [(0, 0), (0, padded_sides[0] - height), (0, padded_sides[1] - width), (0, 0)]
        return np.asarray(self.function(np.pad(batch, padding, mode="symmetric")), np.float32)[:, :height, :width]


def from_run(run: Run, checkpoint: str, direction: str) -> Translator:
    """The generator of a run's checkpoint.

    Raises:
        UserError: no such checkpoint, or a run without that direction.
        RunError: the checkpoint is damaged.
    """
    generator = load_generator(run, checkpoint, direction)
    name = find_checkpoint(run.directory, checkpoint)
    identity = {"checkpoint": Path(name).name, "direction": direction, "weights": weights_hash(generator)}
    return Translator(identity, generator.settings["in_channels"], generator.size_multiple, as_function(generator))


def copies_on_devices(run: Run, checkpoint: str, direction: str, devices: Sequence[str] | None = None) -> list[Translator]:
    """`from_run` for each of `devices`, by default all GPUs or the CPU, so that several pictures can be translated at once."""
    if devices is None:
        devices = [device.name for device in tf.config.list_logical_devices("GPU")] or ["CPU:0"]
    copies = []
    for device in devices:
        with tf.device(device):
            translator = from_run(run, checkpoint, direction)
        copies.append(dataclasses.replace(translator, function=_placed(translator.function, device)))
    return copies


def _placed(function: Callable[[np.ndarray], np.ndarray], device: str) -> Callable[[np.ndarray], np.ndarray]:
    def placed(batch: np.ndarray) -> np.ndarray:
        with tf.device(device):
            return function(batch)

    return placed


def scale_of(run: Run) -> images.Scale:
    """The scale that the run's networks were trained at."""
    return images.Scale(run.config.preprocess, run.config.load_size, run.config.crop_size)


def record_of(translator: Translator, scale: images.Scale | None) -> dict[str, Any]:
    """What RECORD says of translated pictures: by which model, and at which scale."""
    return {**translator.identity, "scale": str(scale or "original")}


def as_function(generator: Generator) -> Callable[[np.ndarray], np.ndarray]:
    """The generator as a compiled function on NumPy batches; a graph for each size it meets."""
    compiled = tf.function(lambda batch: generator(batch, training=False), autograph=False)
    return lambda batch: compiled(tf.constant(batch)).numpy()


def weights_hash(generator: Generator) -> str:
    """A hash of the weights' values."""
    return files.sha256_of_bytes(b"".join(np.ascontiguousarray(weight).tobytes() for weight in generator.get_weights()))


def from_model(path: Path) -> Translator:
    """An exported model: a SavedModel directory (or the folder of its versions), or a .tflite file.

    Raises:
        UserError: nothing there, or not such a model.
    """
    if path.suffix == ".tflite":
        return _from_tflite(path)
    versions = sorted((int(entry.name), entry) for entry in path.iterdir() if entry.name.isdigit()) if path.is_dir() else []
    path = versions[-1][1] if versions else path
    if not (path / "saved_model.pb").is_file():
        raise UserError(f"--model={path}: no SavedModel and no .tflite file there; make one with tfcyclegan export")
    try:
        model = tf.saved_model.load(str(path))
        function = model.signatures["tensor"]
    except (OSError, KeyError, ValueError, tf.errors.OpError) as error:
        raise UserError(f"--model={path}: not a SavedModel of tfcyclegan export ({str(error).splitlines()[0]})") from error
    channels = function.structured_input_signature[1]["images"].shape[-1]

    def translate(batch: np.ndarray, _keeps_weights_alive: Any = model) -> np.ndarray:
        return function(images=tf.constant(batch))["images"].numpy()

    return Translator({"model": files.sha256_of(path / "saved_model.pb")}, channels, 4, translate)


def _from_tflite(path: Path) -> Translator:
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(model_path=str(path))
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError, OSError) as error:
        raise UserError(f"--model={path}: not a TFLite model ({str(error).splitlines()[0]})") from error
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    _, height, width, channels = source["shape"]

    def translate(batch: np.ndarray) -> np.ndarray:
        if batch.shape[1:3] != (height, width):
            size = f"{batch.shape[1]}x{batch.shape[2]}"
            raise UserError(f"--model={path}: takes pictures of {height}x{width} alone, not {size}; export with --tflite_size={size}")
        interpreter.set_tensor(source["index"], batch)
        interpreter.invoke()
        return interpreter.get_tensor(target["index"])

    return Translator({"model": files.sha256_of(path)}, int(channels), 1, translate)


def _translate_all(
    translator: Translator,
    pictures: Iterator[tuple[str, bytes]],
    output: Path,
    *,
    total: int,
    scale: images.Scale | None,
    nearest: bool = False,
) -> None:
    """Translates pictures into `output`, one PNG each; see `write_pictures`.

    Args:
        translator: the model.
        pictures: (name, encoded bytes).
        output: folder for the PNGs.
        total: how many pictures there are.
        scale: resizes each picture first; None keeps sizes.
        nearest: resizes by nearest pixels, for label maps.
    """

    def work(content: bytes, name: str) -> tuple[bytes]:
        picture, _ = intake.take(content, name, max_pixels=MAX_PIXELS)
        image = images.decode(picture.encoded, translator.channels)
        array = images.to_array(scale(image, nearest=nearest) if scale else image)
        return (images.encode_png(translator(array)),)

    write_pictures(
        pictures,
        output,
        lambda name: (output / f"{name}.png",),
        work,
        total=total,
        record=RECORD,
        identity=record_of(translator, scale),
        told=("translating", "translated", "another model's translations, or those at another scale"),
    )


def translate_path(translator: Translator, path: Path, output: Path, *, scale: images.Scale | None = None) -> None:
    """Translates a picture or a folder into PNGs in `output`; those already there from the same model are kept.

    Raises:
        UserError: `output` holds another model's work, or pictures that cannot be read (after all others were translated).
    """
    found = pictures_of_path(path)
    _translate_all(translator, ((name, read()) for name, read in found.items()), output, total=len(found), scale=scale)


def translate_split(translator: Translator, source: DataSource, split: str, output: Path, *, scale: images.Scale | None = None) -> None:
    """Translates a split of a prepared data set; see `translate_path`."""
    source.require(split)
    pictures, total = pictures_of_split(source, split), source.counts[split]
    _translate_all(translator, pictures, output, total=total, scale=scale, nearest=source.holds_label_maps)
