"""Converts requests to encoded pictures, and translated PNGs to answers, in both protocols.

V1 is TensorFlow Serving's REST: by rows `{"instances": [{"b64": ...}]}` or `{"instances":
[{"image_bytes": {"b64": ...}}]}`, answered `{"predictions": [{"b64": ...}]}`; by columns
`{"inputs": [{"b64": ...}]}` or `{"inputs": {"image_bytes": [{"b64": ...}]}}`, answered `{"outputs":
[{"b64": ...}]}`. V2 is the Open Inference Protocol: one input `image_bytes` of BYTES, over gRPC the
files' bytes, over REST their base64, since JSON holds no bytes.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse

from tfcyclegan.serving.refusal import Refused

NAME = "image_bytes"
SIGNATURE = "serving_default"
NOTES = "notes"
"""The parameter of an answer in the second protocol that reports conversions of the pictures and
omissions, if any.
"""
NOTES_HEADER = "x-notes"
"""The header of a REST answer that reports the same."""
ANSWERS = {"instances": "predictions", "inputs": "outputs"}


@dataclass(frozen=True)
class RequestV1:
    """Encoded pictures of a request.

    Attributes:
        pictures: their bytes.
        key: "instances" in the form by rows, or "inputs" in that by columns.
    """

    pictures: list[bytes]
    key: str


def values_of_v1(body: Any, form: str) -> tuple[str, Any]:
    """ "instances" or "inputs", and its value; raises Refused 400, with the expected `form`, if the
    body has another form.
    """
    given = [key for key in ANSWERS if key in body] if isinstance(body, dict) else []
    if not given:
        raise Refused(400, f"instances: missing; send {form}")
    if len(given) > 1:
        raise Refused(400, "instances and inputs: give one of them")
    strange = [str(key) for key in body if key not in (*given, "signature_name")]
    if strange:
        raise Refused(
            400,
            f"{strange[0][:40]!r}: is unknown; besides {given[0]} only signature_name is allowed",
        )
    if body.get("signature_name", SIGNATURE) != SIGNATURE:
        raise Refused(
            400,
            f"signature_name: {str(body['signature_name'])[:40]!r} is not served here; leave it "
            f"out or give {SIGNATURE!r}",
        )
    return given[0], body[given[0]]


def pictures_of_v1(body: Any) -> RequestV1:
    """Raises Refused 400 with the place of the mistake."""
    key, values = values_of_v1(body, '{"instances": [{"b64": "..."}]}')
    if key == "inputs" and isinstance(values, dict) and values.keys() == {NAME}:
        values = values[NAME]
    if not isinstance(values, list):
        raise Refused(400, f'{key}: is not a list; send {{"{key}": [{{"b64": "..."}}]}}')
    places = [f"{key}[{index}]" for index in range(len(values))]
    return RequestV1(
        [
            _decoded(_base64_of(value, place), place)
            for value, place in zip(values, places, strict=True)
        ],
        key,
    )


def _base64_of(value: Any, place: str) -> str:
    named = place.startswith("instances")  # by columns the name comes before all of them
    if named and isinstance(value, dict) and value.keys() == {NAME}:
        value = value[NAME]
    if not isinstance(value, dict) or value.keys() != {"b64"} or not isinstance(value["b64"], str):
        or_named = f' or {{"{NAME}": {{"b64": "..."}}}}' if named else ""
        raise Refused(400, f'{place}: is not a picture; send {{"b64": "..."}}{or_named}')
    return value["b64"]


def _decoded(text: str, place: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(400, f"{place}: not base64 ({error})") from error


def answer_v1(request: RequestV1, pngs: list[bytes]) -> dict[str, Any]:
    """PNGs as base64, as TensorFlow Serving answers."""
    return {ANSWERS[request.key]: [{"b64": base64.b64encode(png).decode()} for png in pngs]}


def pictures_of_v2(request: InferRequest) -> list[bytes]:
    """Raises Refused 400 with the place of the mistake."""
    names = [tensor.name for tensor in request.inputs]
    if names != [NAME] or request.inputs[0].datatype != "BYTES":
        raise Refused(400, f"inputs: give one, {NAME}, of datatype BYTES")
    if [output.name for output in request.request_outputs or []] not in ([], [NAME]):
        raise Refused(400, f"outputs: there is one, {NAME}")
    try:
        elements = request.inputs[0].as_numpy().ravel().tolist()
    except Exception as error:  # KServe's reader raises what struct and NumPy raise
        raise Refused(
            400, f"{NAME}: the data do not fit the shape {request.inputs[0].shape}"
        ) from error
    return [_bytes_of(element, f"{NAME}[{index}]") for index, element in enumerate(elements)]


def _bytes_of(element: Any, place: str) -> bytes:
    if isinstance(element, bytes):
        return element
    if not isinstance(element, str):
        raise Refused(400, f"{place}: is not a picture; send its bytes as base64")
    return _decoded(element, place)


def answer_v2(
    request: InferRequest, model_name: str, version: str, pngs: list[bytes], told: str = ""
) -> InferResponse:
    """Bytes over gRPC, and over REST where `binary_data_output` asks for them; otherwise base64."""
    output = InferOutput(NAME, [len(pngs)], "BYTES")
    binary = request.use_binary_outputs
    if binary:
        output.set_data_from_numpy(np.array(pngs, np.object_), binary_data=True)
    else:
        output.data = (
            pngs if request.from_grpc else [base64.b64encode(png).decode() for png in pngs]
        )
    parameters = {NOTES: told} if told else None
    return InferResponse(
        request.id or "",
        model_name,
        [output],
        model_version=version,
        parameters=parameters,
        use_binary_outputs=binary,
    )
