"""`tfcyclegan serve` as its clients see it: one server in a process of its own, real pictures over
loopback.
"""

import base64
import http.client
import io
import json
import shutil
import signal
import socket
import struct
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import psutil
import pytest
import tensorflow as tf
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub
from PIL import Image

from tests.servers import answers_in_python, assert_same, b64, bomb, figures, get, post, serving
from tests.serving_requests import BAD, BAD_V2, MAX_BODY, MAX_PIXELS, bad_grpc, infer_request
from tests.test_intake import encoded
from tfcyclegan.exporting import saved_model
from tfcyclegan.serving import client
from tfcyclegan.training.checkpoints import load_generator
from tfcyclegan.training.runs import read_run

QUEUE = 8
TIMEOUT_SECONDS = 6
SIZES = ((40, 40), (36, 52), (33, 47), (64, 40))


@pytest.fixture(scope="module")
def model_dir(imported, tmp_path_factory) -> Path:
    """The generator of the official program in tests/golden, exported."""
    directory = tmp_path_factory.mktemp("served") / "golden"
    saved_model.save(load_generator(read_run(imported), "latest", "ab"), directory / "3")
    shutil.copytree(directory / "3", directory / "0003_unfinished")
    said = {
        "direction": "ab",
        "domains": {"from": "satellite", "to": "map"},
        "data": "satellite2map",
    }
    (directory / "3" / "metadata.json").write_text(json.dumps(said))
    return directory


@pytest.fixture(scope="module")
def server(model_dir):
    limits = (
        f"--queue_size={QUEUE}",
        f"--timeout_seconds={TIMEOUT_SECONDS}",
        f"--max_body_bytes={MAX_BODY}",
        f"--max_pixels={MAX_PIXELS}",
    )
    with serving(model_dir, *limits) as running:
        assert running.model == "golden, version 3"
        yield running


@pytest.fixture(scope="module")
def pictures(tiles) -> list[bytes]:
    """Real tiles cut to several sizes, as PNG, JPEG and WebP."""
    from tfcyclegan.data.source import open_source

    encoded = []
    for (_, content), (height, width) in zip(
        open_source(str(tiles)).pictures("testA"), SIZES, strict=False
    ):
        picture = Image.open(io.BytesIO(content)).convert("RGB").resize((width, height))
        stream = io.BytesIO()
        picture.save(
            stream,
            ("PNG", "JPEG", "WEBP", "PNG")[len(encoded)],
            **({"lossless": True} if len(encoded) == 2 else {}),
        )
        encoded.append(stream.getvalue())
    return encoded


@pytest.fixture(scope="module")
def expected(model_dir, pictures) -> list[np.ndarray]:
    return answers_in_python(model_dir / "3", pictures)


def test_v1_gives_what_the_saved_model_gives(server, pictures, expected):
    rows = [b64(pictures[0]), {"image_bytes": b64(pictures[1])}, b64(pictures[2])]
    # the second is what curl says by itself
    for content_type in ("application/json", "application/x-www-form-urlencoded"):
        status, answer = post(
            f"{server.url}:predict",
            {"instances": rows, "signature_name": "serving_default"},
            content_type,
        )
        assert status == 200 and answer.keys() == {"predictions"}
        for prediction, reference in zip(answer["predictions"], expected[:3], strict=True):
            assert prediction.keys() == {"b64"}
            assert_same(base64.b64decode(prediction["b64"]), reference)


def test_v1_by_columns(server, pictures, expected):
    """As TensorFlow Serving reads them: with the input's name before all pictures, or none since
    there is one input.
    """
    pair = [b64(content) for content in pictures[:2]]
    for inputs in (pair, {"image_bytes": pair}):
        status, answer = post(f"{server.url}:predict", {"inputs": inputs})
        assert status == 200 and answer.keys() == {"outputs"}
        for output, reference in zip(answer["outputs"], expected[:2], strict=True):
            assert_same(base64.b64decode(output["b64"]), reference)


def test_the_version_in_the_path(server, pictures, expected):
    """The one that is served, over both protocols; any other is 404 in one line, and nothing is
    translated by the wrong one.
    """
    bodies = {
        "/v1/models/golden/versions/{}:predict": {"instances": [b64(pictures[0])]},
        "/v2/models/golden/versions/{}/infer": {
            "inputs": [
                {
                    "name": "image_bytes",
                    "datatype": "BYTES",
                    "shape": [1],
                    "data": [b64(pictures[0])["b64"]],
                }
            ]
        },
    }
    for path, body in bodies.items():
        status, answer = post(server.root + path.format(3), body)
        assert status == 200
        png = answer["predictions"][0]["b64"] if "v1" in path else answer["outputs"][0]["data"][0]
        assert_same(base64.b64decode(png), expected[0])
        for other in ("2", "newest", "-3"):
            refusal = f"golden: version '{other}' is not served, only version 3"
            assert post(server.root + path.format(other), body) == (404, {"error": refusal})
    for path in (
        "/v1/models/golden/versions/{}",
        "/v1/models/golden/versions/{}/metadata",
        "/v2/models/golden/versions/{}",
    ):
        assert (
            get(server.root + path.format(3))[0] == 200
            and get(server.root + path.format(4))[0] == 404
        )
    assert get(f"{server.root}/v2/models/golden/versions/3/ready") == (
        200,
        {"name": "golden", "ready": True},
    )
    assert get(f"{server.root}/v1/models/nobody/versions/3")[0] == 404
    with grpc.insecure_channel(server.grpc_address) as channel:
        service = GRPCInferenceServiceStub(channel)
        request = infer_request(pictures[:1])
        for version in ("3", ""):
            request.model_version = version
            assert service.ModelInfer(request).model_version == "3"
        request.model_version = "2"
        for ask in (
            lambda: service.ModelInfer(request),
            lambda: service.ModelReady(messages.ModelReadyRequest(name="golden", version="2")),
            lambda: service.ModelMetadata(
                messages.ModelMetadataRequest(name="golden", version="2")
            ),
        ):
            with pytest.raises(grpc.RpcError, match="version '2' is not served") as caught:
                ask()
            assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_what_is_done_to_pictures_is_told_in_the_answer(server, pictures):
    clear = encoded(Image.new("RGBA", (20, 20), (10, 20, 30, 128)), "PNG")
    told = "transparent, laid on white: 1 picture"
    body = {"instances": [b64(clear), b64(pictures[0])]}
    for data, wanted in ((body, told), ({"instances": [b64(pictures[0])]}, None)):
        asked = urllib.request.Request(
            f"{server.url}:predict", json.dumps(data).encode(), {"Content-Type": "application/json"}
        )
        assert urllib.request.urlopen(asked).headers["x-notes"] == wanted
    with grpc.insecure_channel(server.grpc_address) as channel:
        assert (
            GRPCInferenceServiceStub(channel)
            .ModelInfer(infer_request([clear]))
            .parameters["notes"]
            .string_param
            == told
        )


def test_what_the_server_says_of_the_model(server):
    """The banner, and metadata in both protocols: TensorFlow Serving's messages can be made of the
    first.
    """
    from google.protobuf import json_format
    from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

    assert (
        server.gives
        == "satellite to map (direction ab of satellite2map); 3 channels to 3; pictures keep "
        "their sizes"
    )
    status = get(server.url)[1]
    assert (status.pop("name"), status.pop("ready")) == ("golden", True)
    (version,) = json_format.ParseDict(
        status, get_model_status_pb2.GetModelStatusResponse()
    ).model_version_status
    assert (version.version, version.state) == (
        3,
        get_model_status_pb2.ModelVersionStatus.AVAILABLE,
    )
    answer = get(f"{server.url}/metadata")[1]
    said = {
        "translates": "satellite to map (direction ab of satellite2map)",
        "from": "satellite",
        "to": "map",
        "direction": "ab",
    }
    said |= {"channels_in": "3", "data": "satellite2map"}
    assert answer["metadata"].pop("properties") == said
    spec = json_format.ParseDict(
        answer["model_spec"], get_model_metadata_pb2.GetModelMetadataResponse().model_spec
    )
    assert (spec.name, spec.version.value) == ("golden", 3)
    signatures = json_format.ParseDict(
        answer["metadata"]["signature_def"], get_model_metadata_pb2.SignatureDefMap()
    ).signature_def
    assert signatures["serving_default"].inputs["image_bytes"].dtype == tf.string.as_datatype_enum
    answer = get(f"{server.root}/v2/models/golden")[1]
    assert (
        answer["versions"] == ["3"]
        and answer["properties"] == said
        and answer["inputs"][0]["name"] == "image_bytes"
    )


def test_v2_over_rest(server, pictures, expected):
    tensor = {
        "name": "image_bytes",
        "datatype": "BYTES",
        "shape": [2],
        "data": [b64(content)["b64"] for content in pictures[:2]],
    }
    status, answer = post(
        f"{server.root}/v2/models/golden/infer", {"id": "seven", "inputs": [tensor]}
    )
    assert status == 200 and (answer["id"], answer["model_name"], answer["model_version"]) == (
        "seven",
        "golden",
        "3",
    )
    (output,) = answer["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("image_bytes", "BYTES", [2])
    for content, reference in zip(output["data"], expected, strict=False):
        assert_same(base64.b64decode(content), reference)


def test_v2_over_grpc(server, pictures, expected):
    with grpc.insecure_channel(server.grpc_address) as channel:
        service = GRPCInferenceServiceStub(channel)
        assert service.ModelReady(messages.ModelReadyRequest(name="golden")).ready
        assert (
            service.ModelMetadata(messages.ModelMetadataRequest(name="golden")).inputs[0].name
            == "image_bytes"
        )
        plain = list(
            service.ModelInfer(infer_request(pictures[:2])).outputs[0].contents.bytes_contents
        )
        (joined,) = service.ModelInfer(infer_request(pictures[:2], raw=True)).raw_output_contents
    first = struct.unpack_from("<I", joined)[0]
    for answers in (plain, [joined[4 : 4 + first], joined[8 + first :]]):
        for content, reference in zip(answers, expected[:2], strict=True):
            assert_same(content, reference)


def test_grpc_says_what_is_wrong(server, pictures):
    with grpc.insecure_channel(server.grpc_address) as channel:
        service = GRPCInferenceServiceStub(channel)
        for message, (request, code) in bad_grpc(pictures[0]).items():
            with pytest.raises(grpc.RpcError) as caught:
                service.ModelInfer(request)
            assert caught.value.code() == code and message in caught.value.details()
        with pytest.raises(grpc.RpcError, match="can neither load nor unload models"):
            service.RepositoryModelUnload(
                messages.RepositoryModelUnloadRequest(model_name="golden")
            )


@pytest.mark.parametrize(("body", "status", "message"), BAD.values(), ids=BAD)
def test_bad_requests(server, body, status, message):
    found, answer = post(f"{server.url}:predict", body)
    assert found == status and answer.keys() == {"error"}
    assert (
        message in answer["error"]
        and "\n" not in answer["error"]
        and "Traceback" not in answer["error"]
    )


@pytest.mark.parametrize(("body", "message"), BAD_V2)
def test_bad_requests_of_v2(server, body, message):
    status, answer = post(f"{server.root}/v2/models/golden/infer", body)
    assert status == 400 and answer.keys() == {"error"} and message in answer["error"]


def test_other_places(server):
    assert post(f"{server.root}/v1/models/nobody:predict", {"instances": []}) == (
        404,
        {"error": "Model with name nobody does not exist."},
    )
    assert post(f"{server.root}/nowhere", {}) == (404, {"error": "Not Found"})
    assert post(f"{server.root}/v2/repository/models/golden/unload", b"")[0] == 400
    for path, word in (
        ("/", "alive"),
        ("/v1/models/golden", "true"),
        ("/v2/health/ready", "true"),
        ("/metrics", "tfcyclegan_answers_total"),
    ):
        assert word in urllib.request.urlopen(server.root + path).read().decode()


def test_it_listens_on_loopback_alone(server):
    sockets = psutil.Process(server.process.pid).connections("tcp")
    listening = [
        each.laddr.ip.removeprefix("::ffff:")
        for each in sockets
        if each.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 2 and set(listening) == {"127.0.0.1"}


def test_a_body_sent_in_chunks_is_bounded(server):
    def chunks():
        for _ in range(8):
            yield bytes(1_000_000)

    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(
            urllib.request.Request(f"{server.url}:predict", chunks(), method="POST")
        )
    assert caught.value.code == 413 and "error" in json.load(caught.value)


def test_parallel_clients_each_get_their_own_picture(server, pictures, expected):
    """More pictures of a size at a time than run alone, so batches form; mixed with bad ones."""

    def ask(number: int) -> str:
        which = number % (len(pictures) + 1)
        if which == len(pictures):
            with pytest.raises(client.ServerError, match=r"instances\[0\]: text"):
                client.translate(server.url, [b"words"])
            return "bad"
        answers = client.translate(server.url, [pictures[which], pictures[0], pictures[which]])
        for answer, reference in zip(
            answers, (expected[which], expected[0], expected[which]), strict=True
        ):
            assert_same(answer, reference)
        return "good"

    with ThreadPoolExecutor(QUEUE) as clients:
        outcomes = list(clients.map(ask, range(40)))
    assert outcomes.count("bad") == 8
    found = figures(server)
    assert (
        found["tfcyclegan_batch_pictures_sum"] > 1.2 * found["tfcyclegan_batch_pictures_count"]
    ), "no batch formed"
    assert found["tfcyclegan_requests_inside"] == 0


def test_a_full_queue_and_a_slow_client(server, pictures):
    """Clients that promise a body and send none fill the queue; the next request is turned away at
    once, they when their time is up.
    """
    host, port = server.root.removeprefix("http://").split(":")
    head = (
        f"POST /v1/models/golden:predict HTTP/1.1\r\nHost: {host}\r\nContent-Type: "
        "application/json\r\nContent-Length: 1000\r\n\r\n"
    )
    stalled = [socket.create_connection((host, int(port))) for _ in range(QUEUE)]
    try:
        for connection in stalled:
            connection.sendall(head.encode())
        time.sleep(0.3)
        began = time.monotonic()
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(
                urllib.request.Request(
                    f"{server.url}:predict", json.dumps({"instances": [b64(pictures[0])]}).encode()
                )
            )
        assert caught.value.code == 503 and caught.value.headers["Retry-After"] == "1"
        assert json.load(caught.value) == {
            "error": f"busy: {QUEUE} requests are running; try again in a moment"
        }
        assert time.monotonic() - began < 1
        with (
            grpc.insecure_channel(server.grpc_address) as channel,
            pytest.raises(grpc.RpcError, match="UNAVAILABLE"),
        ):
            GRPCInferenceServiceStub(channel).ModelInfer(infer_request(pictures[:1]))
        assert b"alive" in urllib.request.urlopen(server.root).read(), (
            "health is told while the queue is full"
        )
        stalled[0].settimeout(TIMEOUT_SECONDS + 2)
        answer = http.client.HTTPResponse(stalled[0])  # one recv may hold the headers alone
        answer.begin()
        assert answer.status == 503
        assert json.load(answer) == {
            "error": f"no answer within {TIMEOUT_SECONDS} seconds; try again later"
        }
        assert time.monotonic() - began < TIMEOUT_SECONDS + 1.5
    finally:
        for connection in stalled:
            connection.close()
    assert client.translate_patiently(
        server.url, pictures[0], timeout_seconds=10, patience_seconds=10
    ).startswith(b"\x89PNG")


def test_the_client(server, pictures, expected, tmp_path, capsys):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "a b.png").write_bytes(pictures[0])
    (tmp_path / "in" / "deep" / "ü.jpg").write_bytes(pictures[1])
    assert client.main([f"--url={server.url}", str(tmp_path / "in"), str(tmp_path / "out")]) == 0
    assert_same((tmp_path / "out" / "a b.png").read_bytes(), expected[0])
    assert_same((tmp_path / "out" / "deep" / "ü.png").read_bytes(), expected[1])
    (tmp_path / "in" / "bad.png").write_bytes(b"words")
    capsys.readouterr()
    assert client.main([f"--url={server.url}", str(tmp_path / "in"), str(tmp_path / "out")]) == 1
    output = capsys.readouterr()
    assert (
        output.out == ""
        and "bad.png: instances[0]: text, not a picture" in output.err
        and "1 of 3" in output.err
    )
    assert (
        client.main([f"--url={server.url}", str(tmp_path / "nothing"), str(tmp_path / "out")]) == 2
    )
    assert (
        client.main(
            [
                "--url=http://127.0.0.1:1/v1/models/golden",
                str(tmp_path / "in" / "a b.png"),
                str(tmp_path / "new"),
            ]
        )
        == 1
    )
    assert not (tmp_path / "new").exists()
    capsys.readouterr()
    for name in ("c.heic", "d.npy"):
        (tmp_path / "in" / name).write_bytes(b"other")
    (tmp_path / "in" / "bad.png").unlink()
    assert client.main([f"--url={server.url}", str(tmp_path / "in"), str(tmp_path / "out")]) == 0
    told = capsys.readouterr().err.splitlines()
    assert (
        told[0]
        == f"{tmp_path / 'in' / 'c.heic'} and 1 more: not sent, since its extension is not that "
        "of a picture"
    )
    assert told[1] == f"{tmp_path / 'out' / 'a b.png'} and 1 more: kept, since it already exists"
    (tmp_path / "in" / "a b.jpg").write_bytes(pictures[1])
    assert client.main([f"--url={server.url}", str(tmp_path / "in"), str(tmp_path / "out")]) == 2
    assert "both would become" in capsys.readouterr().err


def test_sigterm_answers_what_is_in_work_and_ends(server):
    """Stands last: it ends the module's server."""
    answers = []
    large = threading.Thread(
        target=lambda: answers.append(client.translate(server.url, [bomb(700)]))
    )
    large.start()
    while figures(server)["tfcyclegan_requests_inside"] == 0:
        assert large.is_alive()
    server.process.send_signal(signal.SIGTERM)
    output, errors = server.process.communicate(timeout=20)
    large.join()
    assert Image.open(io.BytesIO(answers[0][0])).size == (700, 700)
    assert server.process.returncode == 128 + signal.SIGTERM
    assert output.splitlines() == ["stopping: running requests are answered first"]
    assert errors.splitlines() == ["tfcyclegan serve: stopped by SIGTERM"], (
        "nothing that a client did is logged"
    )
