"""Exported models as translators: a SavedModel or a TFLite, ONNX or OpenVINO file, instead of a
run's generator.
"""

import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import tensorflow as tf

from tfcyclegan.config import Size
from tfcyclegan.data import arrays
from tfcyclegan.errors import UserError
from tfcyclegan.exports import model_metadata, runtimes, safety_check
from tfcyclegan.system import files
from tfcyclegan.system.progress import log, quantity
from tfcyclegan.system.tensorflow_setup import silenced
from tfcyclegan.translation.translators import Translator
from tfcyclegan.translation.value_pair import ValuePair


def from_model(path: Path, *, trusted: bool = False, fit: bool = False) -> Translator:
    """`open_model` for picture files; reports which model was opened.

    Args:
        path: its path.
        trusted: see `open_model`.
        fit: resizes pictures to the size of a .tflite file, and translations back.

    Raises:
        UserError: see `open_model`; also for `fit` with a model of any size.
    """
    translator = open_model(path, trusted=trusted)
    log(f"--model={path}: {translator.described}")
    if not fit:
        return dataclasses.replace(translator, fit=None)
    if translator.fit is None:
        raise UserError(
            f"--scale=fit: resizes to the size of a .tflite file; {path} accepts pictures of any "
            "size, so leave it out"
        )
    log(
        f"--scale=fit: pictures of other sizes are resized to {translator.fit} and their "
        "translations back"
    )
    return translator


def as_generator(
    path: Path, direction: str = "", *, trusted: bool = False
) -> Callable[[Any], np.ndarray]:
    """An exported model as a function on pictures [B, H, W, C] in [-1, 1].

    Args:
        path: see `open_model`.
        direction: the direction that it must have, if its metadata has one; empty for any.
        trusted: see `open_model`.

    Raises:
        UserError: see `open_model`; also for a model of the other direction. The function raises it
            for values that are not floats in [-1, 1], or a size that a .tflite file does not
            accept.
    """
    translator = open_model(path, trusted=trusted)
    own = translator.identity.get("direction", "")
    if direction and own not in ("", direction):
        raise UserError(f"direction {direction}: {path} translates {own} alone")

    def generator(images: Any) -> np.ndarray:
        return translator.in_floats(arrays.as_batch("images", images))

    return generator


def open_model(path: Path, *, trusted: bool = False) -> Translator:
    """An exported model: a SavedModel directory (or the folder of its versions), a .tflite file,
    whose size is in `fit`, an .onnx file, or an .xml file of OpenVINO.

    Args:
        path: its path.
        trusted: loads a SavedModel whatever it may do; the other files can only compute.

    Raises:
        UserError: there is no model, it is of another kind or (`safety_check.Untrusted`) may do
            more than compute.
    """
    if path.suffix == ".tflite":
        return _from_tflite(path)
    if path.suffix in runtimes.SUFFIXES:
        return _from_runtime(path)
    versions = files.numbered(path)
    path = [path, *versions][-1]
    if not (path / "saved_model.pb").is_file():
        raise UserError(
            f"--model={path}: not a SavedModel or a .tflite, .onnx or .xml file; make one with "
            "tfcyclegan export"
        )
    metadata = model_metadata.read(path)
    values = model_metadata.values_of(metadata)
    try:
        if not trusted:
            safety_check.require_computing_alone(path)
        model = tf.saved_model.load(str(path))
        function = model.signatures["tensor"]
        channels = _channels(
            function.structured_input_signature[1]["images"],
            function.structured_outputs["images"],
            values,
        )
    except UserError:
        raise
    except Exception as error:  # TensorFlow may raise anything on a damaged or foreign graph
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"--model={path}: not a SavedModel of tfcyclegan export ({reason})"
        ) from error

    def translate(batch: np.ndarray, _keeps_weights_alive: Any = model) -> np.ndarray:
        return function(images=tf.constant(batch))["images"].numpy()

    identity = _identity(
        path / "saved_model.pb", metadata, sorted((path / "variables").glob("variables.data-*"))
    )
    newest = f"version {path.name}, the newest of {len(versions)}" if len(versions) > 1 else ""
    described = _described(
        metadata,
        function.structured_outputs["images"].shape[3],
        channels,
        newest,
        "pictures keep their sizes",
    )
    return Translator(
        identity,
        channels,
        4,
        translate,
        reading=model_metadata.reading_of(metadata),
        described=described,
        values=values,
    )


def _identity(
    file: Path, metadata: Mapping[str, Any], weights: Sequence[Path] = ()
) -> dict[str, Any]:
    """Of a model's `file`, and of the files that hold its weights if that one does not."""
    found: dict[str, Any] = {"model": files.sha256_of(file)}
    if weights:
        found["weights"] = files.sha256_of_json([files.sha256_of(one) for one in weights])
    if direction := model_metadata.direction_of(metadata):
        found["direction"] = direction
    return found


def _described(metadata: Mapping[str, Any], channels_out: int, channels_in: int, *more: str) -> str:
    training = f"trained at {at}" if (at := metadata.get("trained_at")) else ""
    parts = (
        model_metadata.translates(metadata),
        f"{quantity(channels_in, 'channel')} to {channels_out}",
        *model_metadata.values_of(metadata).told(),
        *more,
        training,
    )
    return "; ".join(part for part in parts if part)


def _channels(source: Any, target: Any, values: ValuePair) -> int:
    """The channels of a model's input; ValueError if its input or output are not pictures, or do
    not match the values in its metadata.
    """
    for word, spec, side in (("takes", source, values.source), ("gives", target, values.target)):
        shape = list(spec.shape)
        known = (side.channels,) if side else (1, 3)
        if spec.dtype != np.float32 or len(shape) != 4 or shape[3] not in known:
            raise ValueError(
                f"it {word} {tf.as_dtype(spec.dtype).name} {shape}, not float32 "
                f"[B, H, W, {' or '.join(map(str, known))}]"
            )
    return int(source.shape[3])


def _from_runtime(path: Path) -> Translator:
    if not path.is_file():
        raise UserError(f"--model={path}: no such file; make one with tfcyclegan export --formats")
    metadata = model_metadata.read(path)
    values = model_metadata.values_of(metadata)
    try:
        program = runtimes.open_program(path, path.suffix)
        _require_channels(program, values)
    except UserError as error:
        raise UserError(f"--model={path}: {error}") from error
    multiple = int(metadata.get("size_multiple", 4))
    status = model_metadata.status_of(metadata, path)
    doubt = "" if status == "usable" else f"{status} by the export"
    sizes = "pictures keep their sizes"
    weights = [path.with_suffix(".bin")] if path.suffix == runtimes.OPENVINO else []
    channels = program.channels_out, program.channels_in
    return Translator(
        _identity(path, metadata, weights),
        program.channels_in,
        multiple,
        program,
        reading=model_metadata.reading_of(metadata),
        described=_described(metadata, *channels, sizes, doubt, f"run by {program.told}"),
        values=values,
    )


def _require_channels(program: runtimes.RuntimeProgram, values: ValuePair) -> None:
    for word, given, side in (
        ("takes", program.channels_in, values.source),
        ("gives", program.channels_out, values.target),
    ):
        known = (side.channels,) if side else (1, 3)
        if given not in known:
            raise UserError(
                f"not a model of tfcyclegan export (it {word} {given} channels, not "
                f"{' or '.join(map(str, known))})"
            )


def _from_tflite(path: Path) -> Translator:
    from ai_edge_litert.interpreter import Interpreter

    metadata = model_metadata.read(path)
    values = model_metadata.values_of(metadata)
    try:
        with silenced():
            interpreter = Interpreter(model_path=str(path))
            interpreter.allocate_tensors()
        source, *latents = sorted(
            interpreter.get_input_details(), key=lambda each: len(each["shape"]), reverse=True
        )
        target = interpreter.get_output_details()[0]
        specs = [
            SimpleNamespace(shape=details["shape"].tolist(), dtype=details["dtype"])
            for details in (source, target)
        ]
        _channels(specs[0], specs[1], values)
    except (ValueError, RuntimeError, OSError, IndexError) as error:
        raise UserError(
            f"--model={path}: not a TFLite model of tfcyclegan export "
            f"({str(error).splitlines()[0]})"
        ) from error
    _, height, width, channels = map(int, source["shape"])

    alone = threading.Lock()  # an interpreter has a single input buffer

    def translate(batch: np.ndarray) -> np.ndarray:
        if batch.shape[1:3] != (height, width):
            size = f"{batch.shape[1]}x{batch.shape[2]}"
            raise UserError(
                f"--model={path}: only takes pictures of {height}x{width}, not {size}; give "
                f"--scale=fit, or export --tflite_size={size}"
            )
        translated = []
        for picture in batch:
            with alone:
                interpreter.set_tensor(source["index"], picture[np.newaxis])
                for latent in latents:  # of zeros, as in a translation without --samples
                    interpreter.set_tensor(latent["index"], np.zeros(latent["shape"], np.float32))
                interpreter.invoke()
                translated.append(interpreter.get_tensor(target["index"]))
        return np.concatenate(translated)

    size = Size(height, width)
    doubt = (
        ""
        if (status := model_metadata.status_of(metadata, path)) == "usable"
        else f"{status} by the export"
    )
    described = _described(metadata, int(target["shape"][3]), channels, f"of {size} alone", doubt)
    reading = model_metadata.reading_of(metadata)
    return Translator(
        _identity(path, metadata),
        channels,
        1,
        translate,
        fit=size,
        reading=reading,
        described=described,
        values=values,
        classes=bool(metadata.get("label_maps", {}).get("onehot")),
    )
