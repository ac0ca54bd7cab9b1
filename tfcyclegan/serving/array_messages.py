"""Converts requests to arrays of values and back, for models of measurements, in both protocols.

The tensor is called `values`, [B, H, W, C], in the type and units of the model's domain; the model
applies the ranges.

V1 by rows is `{"instances": [ARRAY, ...]}` or `{"instances": [{"values": ARRAY}, ...]}`, of nested
lists [H][W][C], answered `{"predictions": [ARRAY, ...]}`; by columns `{"inputs": ARRAYS}` or
`{"inputs": {"values": ARRAYS}}`, answered `{"outputs": ARRAYS}`. JSON has no NaN: it is null. V2 is
one input `values` with a datatype and a shape, its data in JSON, or as raw bytes over gRPC and by
the extension for binary tensors over REST.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse

from tfcyclegan.data.values import Values
from tfcyclegan.serving import messages
from tfcyclegan.serving.refusal import Refused

NAME = "values"
_DATATYPES = {
    "uint8": "UINT8",
    "uint16": "UINT16",
    "int16": "INT16",
    "float16": "FP16",
    "float32": "FP32",
}
_OF_TENSORFLOW = {
    "uint8": "DT_UINT8",
    "uint16": "DT_UINT16",
    "int16": "DT_INT16",
    "float16": "DT_HALF",
    "float32": "DT_FLOAT",
}


@dataclass(frozen=True)
class Kind:
    """The arrays on one side of a model.

    Attributes:
        dtype: NumPy's type.
        channels: channels of each array.
    """

    dtype: str
    channels: int

    @classmethod
    def of(cls, values: Values | None, channels: int) -> "Kind":
        """The kind of a domain; None means pictures."""
        return cls(values.dtype if values else "uint8", channels)

    @property
    def datatype(self) -> str:
        """Its name in the second protocol."""
        return _DATATYPES[self.dtype]

    @property
    def tensorflow_type(self) -> str:
        """Its name in TensorFlow Serving's metadata."""
        return _OF_TENSORFLOW[self.dtype]

    def __str__(self) -> str:
        return f"{self.datatype} [B, H, W, {self.channels}]"


@dataclass(frozen=True)
class RequestV1:
    """Arrays of a request.

    Attributes:
        arrays: [H, W, C] each.
        key: "instances" in the form by rows, or "inputs" in that by columns.
    """

    arrays: list[np.ndarray]
    key: str


def arrays_of_v1(body: Any, kind: Kind) -> RequestV1:
    """Raises Refused 400 with the place of the mistake."""
    form = f'{{"instances": [{{"{NAME}": [H][W][{kind.channels}] of {kind.dtype}}}]}}'
    key, given = messages.values_of_v1(body, form)
    if key == "inputs" and isinstance(given, dict) and given.keys() == {NAME}:
        given = given[NAME]
    if not isinstance(given, list):
        raise Refused(400, f"{key}: is not a list; send {form}")
    return RequestV1(
        [_array(each, kind, f"{key}[{place}]", form) for place, each in enumerate(given)], key
    )


def _array(given: Any, kind: Kind, place: str, form: str) -> np.ndarray:
    if place.startswith("instances") and isinstance(given, dict) and given.keys() == {NAME}:
        given = given[NAME]
    try:
        array = _numbers(given, kind)
    except (ValueError, TypeError, OverflowError) as error:
        raise Refused(400, f"{place}: is not an array of numbers; send {form}") from error
    if array.ndim != 3 or array.shape[2] != kind.channels:
        raise Refused(
            400, f"{place}: has the shape {list(array.shape)}, not [H, W, {kind.channels}]"
        )
    return _of_kind(array, kind, place)


def _of_kind(array: np.ndarray, kind: Kind, place: str) -> np.ndarray:
    """Converts JSON numbers to the model's type without rounding or wrapping."""
    if not array.size:
        raise Refused(400, f"{place}: is empty")
    if _whole(kind):
        limits = np.iinfo(kind.dtype)
        if array.dtype.kind not in "iu" or array.min() < limits.min or array.max() > limits.max:
            raise Refused(
                400,
                f"{place}: has values that are not {kind.dtype}: integers from {limits.min} to "
                f"{limits.max}",
            )
    with np.errstate(over="ignore"):
        own = array.astype(kind.dtype)
    if (np.isfinite(array) & ~np.isfinite(own)).any():
        raise Refused(400, f"{place}: has values above what {kind.dtype} holds")
    return own


def _numbers(given: Any, kind: Kind) -> np.ndarray:
    """An array of JSON's numbers, of which null is NaN; what NumPy raises for others."""
    return np.array(given, None if _whole(kind) else np.float64)


def _whole(kind: Kind) -> bool:
    return np.dtype(kind.dtype).kind in "iu"


def answer_v1(request: RequestV1, arrays: list[np.ndarray]) -> dict[str, Any]:
    """Nested lists, null for NaN."""
    return {messages.ANSWERS[request.key]: [_listed(array) for array in arrays]}


def _listed(array: np.ndarray) -> list[Any]:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        listed = array.astype(object)
        listed[~np.isfinite(array)] = None
        return listed.tolist()
    return array.tolist()


def arrays_of_v2(request: InferRequest, kind: Kind) -> list[np.ndarray]:
    """Raises Refused 400 with the place of the mistake."""
    given = request.inputs
    if [tensor.name for tensor in given] != [NAME]:
        raise Refused(400, f"inputs: give one, {NAME}, of {kind}")
    tensor, shape = given[0], list(given[0].shape)
    if tensor.datatype != kind.datatype or len(shape) != 4 or shape[3] != kind.channels:
        raise Refused(400, f"{NAME}: is {tensor.datatype} {shape}, not {kind}")
    if [output.name for output in request.request_outputs or []] not in ([], [NAME]):
        raise Refused(400, f"outputs: there is one, {NAME}")
    try:
        # the original JSON numbers, since KServe's reader truncates fractions
        listed = tensor.data if isinstance(tensor.data, list) else None
        given = tensor.as_numpy() if listed is None else _numbers(listed, kind)
        array = given.reshape(shape)
    except Exception as error:  # KServe's reader raises what struct and NumPy raise
        raise Refused(400, f"{NAME}: the data do not fit the shape {shape}") from error
    return list(_of_kind(array, kind, NAME))


def answer_v2(
    request: InferRequest, model_name: str, version: str, arrays: list[np.ndarray], kind: Kind
) -> InferResponse:
    """Raw bytes over gRPC, and over REST where `binary_data_output` asks for them; otherwise
    numbers, null for NaN.

    Raises:
        Refused: 400, for FP16 as numbers, which the protocol lacks.
    """
    output = InferOutput(NAME, [len(arrays), *arrays[0].shape], kind.datatype)
    raw = request.from_grpc or request.use_binary_outputs
    if kind.dtype == "float16" and not raw:
        raise Refused(
            400,
            f"{NAME}: the answer is FP16, which is only sent as bytes; request them with "
            '"parameters": {"binary_data_output": true}',
        )
    if raw:
        output.set_data_from_numpy(np.stack(arrays), binary_data=True)
    else:
        output.data = _listed(np.stack(arrays).ravel())
    return InferResponse(
        request.id or "",
        model_name,
        [output],
        model_version=version,
        use_binary_outputs=request.use_binary_outputs,
    )
