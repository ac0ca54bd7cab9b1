"""Requests to encoded pictures, translated PNGs to answers, in the two protocols.

V1 is TensorFlow Serving's REST: `{"instances": [{"b64": ...}]}` or `{"instances": [{"image_bytes": {"b64": ...}}]}`, answered
`{"predictions": [{"b64": ...}]}`. V2 is the Open Inference Protocol: one input `image_bytes` of BYTES, over gRPC the files' bytes,
over REST their base64, since JSON holds no bytes.
"""

import base64
import binascii
from typing import Any

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse

from tfcyclegan.serving.refusal import Refused

NAME = "image_bytes"
SIGNATURE = "serving_default"


def pictures_of_v1(body: Any) -> list[bytes]:
    """Raises Refused 400 with the place of the mistake."""
    if not isinstance(body, dict) or not isinstance(body.get("instances"), list):
        raise Refused(400, 'instances: missing; send {"instances": [{"b64": "..."}]}')
    if body.get("signature_name", SIGNATURE) != SIGNATURE:
        raise Refused(400, f"signature_name: {str(body['signature_name'])[:40]!r} is not served here; leave it out or give {SIGNATURE!r}")
    return [
        _decoded(_base64_of(instance, f"instances[{index}]"), f"instances[{index}]") for index, instance in enumerate(body["instances"])
    ]


def _base64_of(instance: Any, place: str) -> str:
    if isinstance(instance, dict) and instance.keys() == {NAME}:
        instance = instance[NAME]
    if not isinstance(instance, dict) or instance.keys() != {"b64"} or not isinstance(instance["b64"], str):
        raise Refused(400, f'{place}: is not a picture; send {{"b64": "..."}} or {{"{NAME}": {{"b64": "..."}}}}')
    return instance["b64"]


def _decoded(text: str, place: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(400, f"{place}: not base64 ({error})") from error


def answer_v1(pngs: list[bytes]) -> dict[str, Any]:
    """PNGs as base64, as TensorFlow Serving answers."""
    return {"predictions": [{"b64": base64.b64encode(png).decode()} for png in pngs]}


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
        raise Refused(400, f"{NAME}: the data do not fit the shape {request.inputs[0].shape}") from error
    return [_bytes_of(element, f"{NAME}[{index}]") for index, element in enumerate(elements)]


def _bytes_of(element: Any, place: str) -> bytes:
    if isinstance(element, bytes):
        return element
    if not isinstance(element, str):
        raise Refused(400, f"{place}: is not a picture; send its bytes as base64")
    return _decoded(element, place)


def answer_v2(request: InferRequest, model_name: str, version: str, pngs: list[bytes]) -> InferResponse:
    """Bytes over gRPC, and over REST where `binary_data_output` asks for them; else base64."""
    output = InferOutput(NAME, [len(pngs)], "BYTES")
    binary = request.use_binary_outputs
    if binary:
        output.set_data_from_numpy(np.array(pngs, np.object_), binary_data=True)
    else:
        output.data = pngs if request.from_grpc else [base64.b64encode(png).decode() for png in pngs]
    return InferResponse(request.id or "", model_name, [output], model_version=version, use_binary_outputs=binary)
