"""Requests of both protocols to the server of test_serving.py, and what is wrong with bad ones."""

import struct

import grpc
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages

from tests.servers import b64, bomb, png

# what the server takes
MAX_BODY = 3_000_000
MAX_PIXELS = 1_100_000


def infer_request(
    contents: list[bytes], *, raw: bool = False, **changes
) -> messages.ModelInferRequest:
    tensor = {"name": "image_bytes", "datatype": "BYTES", "shape": [len(contents)], **changes}
    if raw:
        joined = b"".join(struct.pack("<I", len(content)) + content for content in contents)
        return messages.ModelInferRequest(
            model_name="golden", inputs=[tensor], raw_input_contents=[joined]
        )
    return messages.ModelInferRequest(
        model_name="golden", inputs=[{**tensor, "contents": {"bytes_contents": contents}}]
    )


GOOD = png(24, 24)
BAD = {
    "text": ({"instances": [b64(GOOD), b64(b"words")]}, 400, "instances[1]: text, not a picture"),
    "noise": ({"instances": [b64(bytes(range(256)))]}, 400, "instances[0]: not a picture"),
    "truncated": (
        {"instances": [b64(GOOD), b64(GOOD), b64(GOOD[:-200])]},
        400,
        "instances[2]: damaged",
    ),
    "empty picture": ({"instances": [b64(b"")]}, 400, "instances[0]: the file is empty"),
    "bad base64": ({"instances": [b64(GOOD), {"b64": "no!"}]}, 400, "instances[1]: not base64"),
    "no base64": ({"instances": [1]}, 400, "instances[0]: is not a picture; send"),
    "wrong input": (
        {"instances": [{"picture": b64(GOOD)}]},
        400,
        "instances[0]: is not a picture; send",
    ),
    "wrong signature": (
        {"instances": [b64(GOOD)], "signature_name": "tensor"},
        400,
        "signature_name: 'tensor' is not served here",
    ),
    "both forms": (
        {"instances": [b64(GOOD)], "inputs": [b64(GOOD)]},
        400,
        "instances and inputs: give one of them",
    ),
    "unknown key": (
        {"instances": [b64(GOOD)], "signature": "tensor"},
        400,
        "'signature': is unknown",
    ),
    "no list": ({"inputs": b64(GOOD)}, 400, "inputs: is not a list; send"),
    "another column": ({"inputs": {"images": [b64(GOOD)]}}, 400, "inputs: is not a list; send"),
    "a row among columns": (
        {"inputs": [{"image_bytes": b64(GOOD)}]},
        400,
        "inputs[0]: is not a picture; send",
    ),
    "bad column": ({"inputs": [b64(GOOD), b64(b"words")]}, 400, "inputs[1]: text, not a picture"),
    "no picture": ({"instances": []}, 400, "the request holds no picture"),
    "empty object": ({}, 400, "instances: missing"),
    "empty body": (b"", 400, "cannot be read"),
    "no JSON": (b'{"instances": [', 400, "cannot be read"),
    "deep JSON": (b"[" * 200_000, 400, "cannot be read"),
    "bomb": (
        {"instances": [b64(bomb(10_000))]},
        413,
        "instances[0]: 10000x10000 makes 100000000 pixels",
    ),
    "larger bomb": (
        {"instances": [b64(GOOD), b64(bomb(14_000))]},
        413,
        "instances[1]: 14000x14000",
    ),
    "many pixels": (
        {"instances": [b64(bomb(600))] * 4},
        413,
        "instances[3]: 600x600 makes 1440000 pixels",
    ),
    "body": (b"x" * (MAX_BODY + 1), 413, f"more than {MAX_BODY} bytes"),
}

BAD_V2 = [
    (
        {"inputs": [{"name": "images", "datatype": "FP32", "shape": [1], "data": [1.0]}]},
        "inputs: give one, image_bytes",
    ),
    (
        {"inputs": [{"name": "image_bytes", "datatype": "BYTES", "shape": [2], "data": ["aa=="]}]},
        "do not fit the shape [2]",
    ),
    (
        {"inputs": [{"name": "image_bytes", "datatype": "BYTES", "shape": [1], "data": [5]}]},
        "image_bytes[0]: is not a picture",
    ),
    ({"inputs": []}, "inputs: give one"),
    ({"words": 1}, "Field required"),
    (b"{", "JSON"),
]


def bad_grpc(picture: bytes) -> dict[str, tuple[messages.ModelInferRequest, grpc.StatusCode]]:
    """What is said, by request and status."""
    return {
        "instances[1]: text, not a picture": (
            infer_request([picture, b"words"]),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
        "the request holds no picture": (infer_request([]), grpc.StatusCode.INVALID_ARGUMENT),
        "inputs: give one, image_bytes": (
            infer_request([picture], name="images"),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
        "do not fit the shape [3]": (
            infer_request([picture], shape=[3]),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
        "5000x5000 makes 25000000 pixels": (
            infer_request([bomb(5000)]),
            grpc.StatusCode.RESOURCE_EXHAUSTED,
        ),
        "larger than max": (infer_request([bytes(MAX_BODY)]), grpc.StatusCode.RESOURCE_EXHAUSTED),
    }
