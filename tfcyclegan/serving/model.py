"""An exported model as KServe calls it: encoded pictures in, PNGs out."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kserve
import numpy as np

from tfcyclegan.config import Limits
from tfcyclegan.data import images, intake, notes
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.exports import model_metadata
from tfcyclegan.exports.exported_models import open_model
from tfcyclegan.exports.safety_check import Untrusted
from tfcyclegan.serving import messages
from tfcyclegan.serving.batching import Batcher
from tfcyclegan.serving.refusal import Refused
from tfcyclegan.system import files
from tfcyclegan.translation.tiling import SMALLEST
from tfcyclegan.translation.translators import Translator

_WARM_UP_SIDE = 64


@dataclass(frozen=True)
class Exported:
    """A version of an exported model.

    Attributes:
        name: of its folder, under which it is served.
        version: its number.
        translator: the SavedModel.
        properties: what its metadata say of it, for clients.
        beside: how many other versions lie in the folder.
    """

    name: str
    version: str
    translator: Translator
    properties: dict[str, str] = field(default_factory=dict)
    beside: int = 0

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        """Translates uint8 [B, H, W, C] of any size to float32 of the other domain."""
        return self.translator.function(images.to_float(pictures))

    def require_version(self, asked: str) -> None:
        """Raises Refused 404 where another version is asked for."""
        if not asked.isascii() or not asked.isdigit() or int(asked) != int(self.version):
            raise Refused(
                404,
                f"{self.name}: version {asked[:40]!r} is not served, version {self.version} alone "
                "is",
            )

    def signatures(self) -> dict[str, Any]:
        """The signature that is served, as TensorFlow Serving's metadata tell it."""
        shape = {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
        tensor = {"dtype": "DT_STRING", "tensor_shape": shape, "name": messages.NAME}
        signature = {
            "inputs": {messages.NAME: tensor},
            "outputs": {messages.NAME: tensor},
            "method_name": "tensorflow/serving/predict",
        }
        return {"signature_def": {messages.SIGNATURE: signature}}


def load(model_dir: Path, *, trusted: bool = False) -> Exported:
    """Loads the newest version in `model_dir`, or the version that it is, and translates a first
    picture.

    Args:
        model_dir: where it lies.
        trusted: loads it whatever it may do, see `trust`.

    Raises:
        UserError: nothing there, not a whole translator, or one that may do more than compute.
    """
    versions = files.numbered(model_dir)
    version = [model_dir, *versions][-1]
    if not (version / "saved_model.pb").is_file():
        raise UserError(
            f"--model_dir={model_dir}: no exported model there; make one with tfcyclegan export"
        )
    try:
        translator = open_model(version, trusted=trusted)
        properties = model_metadata.properties(model_metadata.read(version), translator.channels)
        place = version.resolve()
        exported = Exported(
            place.parent.name, place.name, translator, properties, beside=max(len(versions) - 1, 0)
        )
        channels = exported.translator.channels
        answer = images.require_numbers(
            exported(np.zeros((1, _WARM_UP_SIDE, _WARM_UP_SIDE, channels), np.uint8))
        )
        if {channels, answer.shape[-1]} - {1, 3} or answer.shape[:-1] != (
            1,
            _WARM_UP_SIDE,
            _WARM_UP_SIDE,
        ):
            raise UserError(f"answers with the shape {answer.shape}")
    except Untrusted:
        raise
    except Exception as error:  # whatever a damaged or foreign graph makes TensorFlow raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"--model_dir={model_dir}: damaged, or not a SavedModel of tfcyclegan export "
            f"({reason}); export it again"
        ) from error
    return exported


class ServedModel(kserve.Model):
    """Answers the requests of both protocols.

    Args:
        exported: the model.
        batcher: through which its pictures go.
        limits: of a request.
    """

    def __init__(self, exported: Exported, batcher: Batcher, limits: Limits):
        super().__init__(exported.name, return_response_headers=True)
        self.ready = True
        self._exported = exported
        self._batcher = batcher
        self._limits = limits

    async def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        """Raises Refused: 400, 413 or 500 that names the picture, or 503."""
        if isinstance(payload, kserve.InferRequest):
            pngs, told = await self._translate(messages.pictures_of_v2(payload))
            answer: Any = messages.answer_v2(payload, self.name, self._exported.version, pngs, told)
        else:
            request = messages.pictures_of_v1(payload)
            pngs, told = await self._translate(request.pictures, request.key)
            answer = messages.answer_v1(request, pngs)
        if told and response_headers is not None:
            response_headers[messages.NOTES_HEADER] = told
        return answer

    async def postprocess(
        self, result: Any, headers: Any = None, response_headers: Any = None
    ) -> Any:
        """The answer as it is."""
        return result

    async def _translate(
        self, encoded: list[bytes], key: str = "instances"
    ) -> tuple[list[bytes], str]:
        """The translations as PNGs, and what was done to the pictures and not used of them, on one
        line.
        """
        if not encoded:
            raise Refused(400, "the request holds no picture")
        pictures, told = await asyncio.to_thread(
            _decode_all, encoded, self._exported.translator, self._limits.max_pixels, key
        )
        translated = await self._batcher(pictures)
        return await asyncio.to_thread(_encode_all, translated, key), told

    def get_input_types(self) -> list[dict[str, Any]]:
        return [{"name": messages.NAME, "datatype": "BYTES", "shape": [-1]}]

    get_output_types = get_input_types


@contextlib.contextmanager
def _naming(place: str) -> Iterator[None]:
    try:
        yield
    except intake.BadPicture as error:
        raise Refused(400, f"{place}: {error}") from error
    except RunError as error:
        raise Refused(500, f"{place}: {error}") from error


def _encode_all(translated: list[np.ndarray], key: str) -> list[bytes]:
    """PNGs of float32 [H, W, C] in [-1, 1]."""
    pngs = []
    for index, picture in enumerate(translated):
        with _naming(f"{key}[{index}]"):
            pngs.append(images.encode_png(images.numbers_to_uint8(picture)))
    return pngs


def _decode_all(
    encoded: list[bytes], translator: Translator, max_pixels: int, key: str
) -> tuple[list[np.ndarray], str]:
    """Decodes to uint8 [H, W, C], as the training did, what has been found to be small enough by
    the headers; with the notes on it.
    """
    total = 0
    for index, content in enumerate(encoded):
        with _naming(f"{key}[{index}]"), intake.reading(content):
            width, height = intake.size_of(content)
        total += max(width, SMALLEST) * max(height, SMALLEST)
        if total > max_pixels:
            raise Refused(
                413,
                f"{key}[{index}]: {width}x{height} makes {total} pixels; a request may hold "
                f"{max_pixels} together",
            )
    pictures, rules = [], intake.Rules(**translator.reading)
    noted: list[str] = []
    largest = 0
    for index, content in enumerate(encoded):
        with _naming(f"{key}[{index}]"):
            decoded = intake.decode(content, max_pixels=max_pixels, rules=rules)
            if intake.FIRST_FRAME in decoded.notes:
                raise intake.BadPicture("several pages or frames; send each as a picture")
        noted += decoded.notes | images.colour_notes(decoded.image.mode, translator.channels)
        largest = max(largest, decoded.largest)
        pictures.append(images.to_array(images.with_channels(decoded.image, translator.channels)))
    lines = (
        *notes.lines(notes.counted(noted)),
        notes.dim(largest, "export of data prepared with --max_value"),
    )
    return pictures, "; ".join(line for line in lines if line)
