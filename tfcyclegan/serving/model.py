"""An exported model as KServe calls it: from encoded pictures to PNGs or, for measurements, from
arrays to arrays.
"""

import asyncio
import contextlib
import dataclasses
from collections.abc import Iterable, Iterator
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
from tfcyclegan.exports.hub import name_and_version
from tfcyclegan.exports.runtimes import file_of
from tfcyclegan.exports.safety_check import Untrusted
from tfcyclegan.serving import array_messages, messages
from tfcyclegan.serving.array_messages import Kind
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
        name: name of its folder, under which it is served.
        version: its number.
        translator: the SavedModel, or the same network in another runtime.
        properties: its description from the metadata, for clients.
        beside: number of other versions in the folder.
        channels_out: channels of the network's output.
    """

    name: str
    version: str
    translator: Translator
    properties: dict[str, str] = field(default_factory=dict)
    beside: int = 0
    channels_out: int = 3

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        """Translates [B, H, W, C] of any size, uint8 pictures or values as stored, to float32 in
        [-1, 1] of the other domain.
        """
        return self.translator.unchecked(self.translator.values.to_network(pictures))

    @property
    def takes(self) -> Kind:
        """The arrays that it accepts, if a side is measurements."""
        return Kind.of(self.translator.values.source, self.translator.channels)

    @property
    def gives(self) -> Kind:
        """The arrays that it returns, likewise."""
        written = self.translator.values.written
        return Kind.of(written, written.channels if written else self.channels_out)

    def require_version(self, asked: str) -> None:
        """Raises Refused 404 if another version is requested."""
        if not asked.isascii() or not asked.isdigit() or int(asked) != int(self.version):
            raise Refused(
                404,
                f"{self.name}: version {asked[:40]!r} is not served, only version {self.version}",
            )

    def signatures(self) -> dict[str, Any]:
        """The served signature, in the form of TensorFlow Serving's metadata."""

        def tensor(name: str, dtype: str, *sides: int) -> dict[str, Any]:
            dim = [{"size": str(side), "name": ""} for side in (-1, *sides)]
            shape = {"dim": dim, "unknown_rank": False}
            return {name: {"dtype": dtype, "tensor_shape": shape, "name": name}}

        def side(kind: Kind) -> dict[str, Any]:
            if self.translator.values.pictures:
                return tensor(messages.NAME, "DT_STRING")
            return tensor(array_messages.NAME, kind.tensorflow_type, -1, -1, kind.channels)

        signature = {
            "inputs": side(self.takes),
            "outputs": side(self.gives),
            "method_name": "tensorflow/serving/predict",
        }
        return {"signature_def": {messages.SIGNATURE: signature}}


def load(
    model_dir: Path, exported_format: str = "saved_model", *, trusted: bool = False
) -> Exported:
    """Loads the newest version in `model_dir`, or `model_dir` itself if it is a version, and
    translates a first picture.

    Args:
        model_dir: its directory.
        exported_format: "saved_model" or one of `exports.runtimes.RUNTIMES`.
        trusted: loads a SavedModel whatever it may do, see `exports.safety_check`.

    Raises:
        UserError: there is no model, it is not a complete translator or may do more than compute,
            or its runtime is not installed.
    """
    versions = files.numbered(model_dir)
    version = [model_dir, *versions][-1]
    if not (version / "saved_model.pb").is_file():
        raise UserError(
            f"--model_dir={model_dir}: holds no exported model; make one with tfcyclegan export"
        )
    file = version
    if exported_format != "saved_model":
        file = version / file_of(exported_format)
        if not file.is_file():
            raise UserError(
                f"--format={exported_format}: {version} holds no {file_of(exported_format)}; "
                f"export it again with --formats=saved_model,{exported_format}"
            )
    try:
        translator = open_model(file, trusted=trusted)
        properties = model_metadata.properties(model_metadata.read(version), translator.channels)
        exported = Exported(
            *name_and_version(version.resolve()),
            translator,
            properties,
            beside=max(len(versions) - 1, 0),
        )
        size, kind = (_WARM_UP_SIDE, _WARM_UP_SIDE), exported.takes
        answer = images.require_numbers(exported(np.zeros((1, *size, kind.channels), kind.dtype)))
        target = translator.values.target
        if answer.shape[:-1] != (1, *size) or answer.shape[-1] not in (
            (target.channels,) if target else (1, 3)
        ):
            raise UserError(f"answers with the shape {answer.shape}")
        exported = dataclasses.replace(exported, channels_out=answer.shape[-1])
    except Exception as error:  # TensorFlow may raise anything on a damaged or foreign graph
        if isinstance(error, Untrusted) or (isinstance(error, UserError) and file != version):
            raise  # its line names the file, or the runtime that is not installed
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
        batcher: translates its pictures.
        limits: limits of a request.
    """

    def __init__(self, exported: Exported, batcher: Batcher, limits: Limits):
        super().__init__(exported.name, return_response_headers=True)
        self.ready = True
        self._exported = exported
        self._batcher = batcher
        self._limits = limits

    async def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        """Raises Refused: 400, 413 or 500 that names the picture, or 503."""
        if not self._exported.translator.values.pictures:
            return await self._predict_arrays(payload)
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

    async def _predict_arrays(self, payload: Any) -> Any:
        kind, exported = self._exported.takes, self._exported
        if isinstance(payload, kserve.InferRequest):
            arrays = await asyncio.to_thread(array_messages.arrays_of_v2, payload, kind)
            answers = await self._translate_arrays(arrays, array_messages.NAME)
            return await asyncio.to_thread(
                array_messages.answer_v2,
                payload,
                self.name,
                exported.version,
                answers,
                exported.gives,
            )
        request = await asyncio.to_thread(array_messages.arrays_of_v1, payload, kind)
        answers = await self._translate_arrays(request.arrays, request.key)
        return await asyncio.to_thread(array_messages.answer_v1, request, answers)

    async def _translate_arrays(self, arrays: list[np.ndarray], key: str) -> list[np.ndarray]:
        if not arrays:
            raise Refused(400, "the request holds no array")
        sizes = [(array.shape[1], array.shape[0]) for array in arrays]
        _require_room(sizes, self._limits.max_pixels, key)
        translated = await self._batcher(arrays)
        values = self._exported.translator.values
        answers = []
        for index, (array, seen) in enumerate(zip(arrays, translated, strict=True)):
            with _naming(f"{key}[{index}]"):
                seen = images.require_numbers(seen)
            answers.append(values.from_network(seen, values.gaps(array)))
        return answers

    async def postprocess(
        self, result: Any, headers: Any = None, response_headers: Any = None
    ) -> Any:
        """Returns the answer unchanged."""
        return result

    async def _translate(
        self, encoded: list[bytes], key: str = "instances"
    ) -> tuple[list[bytes], str]:
        """The translations as PNGs, and one line on conversions and omissions."""
        if not encoded:
            raise Refused(400, "the request holds no picture")
        pictures, told = await asyncio.to_thread(
            _decode_all, encoded, self._exported.translator, self._limits.max_pixels, key
        )
        translated = await self._batcher(pictures)
        return await asyncio.to_thread(_encode_all, translated, key), told

    def get_input_types(self) -> list[dict[str, Any]]:
        return [self._type(self._exported.takes)]

    def get_output_types(self) -> list[dict[str, Any]]:
        return [self._type(self._exported.gives)]

    def _type(self, kind: Kind) -> dict[str, Any]:
        if self._exported.translator.values.pictures:
            return {"name": messages.NAME, "datatype": "BYTES", "shape": [-1]}
        shape = [-1, -1, -1, kind.channels]
        return {"name": array_messages.NAME, "datatype": kind.datatype, "shape": shape}


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


def _require_room(sizes: Iterable[tuple[int, int]], max_pixels: int, key: str) -> None:
    """Raises Refused 413 if pictures of these widths and heights have too many pixels."""
    total = 0
    for index, (width, height) in enumerate(sizes):
        total += max(width, SMALLEST) * max(height, SMALLEST)
        if total > max_pixels:
            raise Refused(
                413,
                f"{key}[{index}]: {width}x{height} makes {total} pixels in total; a request may "
                f"hold {max_pixels}",
            )


def _decode_all(
    encoded: list[bytes], translator: Translator, max_pixels: int, key: str
) -> tuple[list[np.ndarray], str]:
    """Decodes pictures, whose headers have been checked for size, to uint8 [H, W, C] as in
    training; also returns the notes on them.
    """

    def sizes() -> Iterator[tuple[int, int]]:
        for index, content in enumerate(encoded):
            with _naming(f"{key}[{index}]"), intake.reading(content):
                yield intake.size_of(content)

    _require_room(sizes(), max_pixels, key)
    pictures, rules = [], intake.Rules(**translator.reading)
    noted: list[str] = []
    largest = 0
    for index, content in enumerate(encoded):
        with _naming(f"{key}[{index}]"):
            decoded = intake.decode(content, max_pixels=max_pixels, rules=rules)
            if intake.FIRST_FRAME in decoded.notes:
                raise intake.BadPicture("several pages or frames; send each as a separate picture")
        noted += decoded.notes | images.colour_notes(decoded.image.mode, translator.channels)
        largest = max(largest, decoded.largest)
        pictures.append(images.to_array(images.with_channels(decoded.image, translator.channels)))
    lines = (
        *notes.lines(notes.counted(noted)),
        notes.dim(largest, "export of data prepared with --max_value"),
    )
    return pictures, "; ".join(line for line in lines if line)
