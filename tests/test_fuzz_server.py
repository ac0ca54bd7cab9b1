"""The server's endpoints, tried with damaged requests; see test_fuzz.py."""

import asyncio
import base64
import json
import struct

import httpx
import pytest
from hypothesis import strategies as st
from PIL import Image

from tests.fuzzing import changed_json, damaged, fuzz
from tests.fuzzing_pictures import MAX_PIXELS, PICTURES, PNGS
from tfcyclegan.config import ServeConfig

pytestmark = pytest.mark.filterwarnings("ignore")


class Answers:
    """The server's endpoints in this process, behind their admission; pictures are answered as they
    came.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        from tests.test_names import NEGATIVE
        from tfcyclegan.serving import model, server
        from tfcyclegan.serving.admission import Gate
        from tfcyclegan.serving.batching import Batcher

        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
        self._config = ServeConfig(
            model_dir="none", max_pixels=MAX_PIXELS, max_body_bytes=200_000, timeout_seconds=5
        )
        exported = model.Exported("negative", "1", NEGATIVE)
        self._batcher = Batcher(exported, batch_size=4, max_pixels=MAX_PIXELS, max_wait_seconds=5)
        gate = Gate(4, 5, self._batcher.wait_seconds)
        repository = server.kserve.ModelRepository()
        repository.update(model.ServedModel(exported, self._batcher, self._config))
        plane, fixed = server._DataPlane(repository), server._FixedRepository(repository)
        app = server._rest_server(self._config, plane, fixed, gate, exported).config.app
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://server"
        )
        self._grpc = server._Servicer(plane, fixed, gate, exported)
        self._runner = asyncio.Runner()

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with self._batcher.running():
                return await self._client.post(path, content=body, headers=headers)

        return self._runner.run(ask())

    def close(self) -> None:
        self._runner.close()


@pytest.fixture
def answers(monkeypatch):
    made = Answers(monkeypatch)
    yield made
    made.close()


B64 = base64.b64encode(PNGS[0]).decode()
V1 = [
    {"instances": [{"b64": B64}]},
    {"instances": [{"image_bytes": {"b64": B64}}], "signature_name": "serving_default"},
]
V2 = [
    {"inputs": [{"name": "image_bytes", "datatype": "BYTES", "shape": [1], "data": [B64]}]},
    {
        "id": "7",
        "inputs": [{"name": "image_bytes", "datatype": "BYTES", "shape": [1], "data": [B64]}],
        "outputs": [{"name": "image_bytes"}],
    },
]
PATHS = (
    "/v1/models/negative:predict",
    "/v2/models/negative/infer",
    "/v1/models/other:predict",
    "/v2/models/negative/versions/1/infer",
)


def test_the_server(answers):
    for path, whole in zip(PATHS[:2], (V1[0], V2[0]), strict=True):
        assert (
            answers.post(
                path, json.dumps(whole).encode(), {"content-type": "application/json"}
            ).status_code
            == 200
        )
    pictures = damaged(PICTURES).map(
        lambda content: json.dumps(
            {"instances": [{"b64": base64.b64encode(content).decode()}]}
        ).encode()
    )
    as_json = st.one_of(changed_json(V1), changed_json(V2)).map(
        lambda value: json.dumps(value).encode()
    )
    binary = json.dumps(
        {
            "inputs": [
                {
                    "name": "image_bytes",
                    "datatype": "BYTES",
                    "shape": [1],
                    "parameters": {"binary_data_size": 4 + len(PNGS[0])},
                }
            ]
        }
    )
    raw = damaged([binary.encode() + struct.pack("<I", len(PNGS[0])) + PNGS[0]])
    headers = st.fixed_dictionaries(
        {},
        optional={
            "content-type": st.sampled_from(
                (
                    "application/json",
                    "application/octet-stream",
                    "application/cloudevents+json",
                    "text/plain; charset=utf-16",
                )
            ),
            "inference-header-content-length": st.sampled_from(
                (str(len(binary)), "0", "-1", "99999999", "words", "")
            ),
            "ce-id": st.just("1"),
            "content-length": st.sampled_from(("0", "-5", "999999999", "words")),
        },
    )
    body = st.one_of(
        pictures,
        as_json,
        raw,
        damaged([json.dumps(value).encode() for value in (*V1, *V2)]),
        st.binary(max_size=60),
    )

    def check(request: tuple[str, bytes, dict[str, str]]) -> None:
        path, content, given = request
        answer = answers.post(path, content, given)
        assert answer.status_code in (200, 400, 404, 413, 422, 501), (
            answer.status_code,
            answer.text[:300],
        )
        told = answer.json()
        if answer.status_code != 200:
            assert (
                told.keys() == {"error"}
                and "\n" not in told["error"]
                and "Traceback" not in told["error"]
            )

    fuzz(st.tuples(st.sampled_from(PATHS), body, headers), check)
