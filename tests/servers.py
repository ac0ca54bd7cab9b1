"""`tfcyclegan serve` in a process of its own, and what its clients send and look at."""

import base64
import contextlib
import io
import json
import os
import struct
import subprocess
import sys
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from tests.conftest import ROOT


@dataclass(frozen=True)
class Server:
    process: subprocess.Popen
    model: str
    gives: str
    url: str
    grpc_address: str

    @property
    def root(self) -> str:
        return self.url.split("/v1/")[0]


@contextlib.contextmanager
def serving(model_dir: Path, *flags: str) -> Iterator[Server]:
    """Serves an export on free ports of loopback while the block lasts."""
    command = [
        sys.executable,
        "-m",
        "tfcyclegan.cli",
        "serve",
        f"--model_dir={model_dir}",
        "--http_port=0",
        "--grpc_port=0",
        *flags,
    ]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": ""},
    )
    try:
        lines = {}
        while len(lines) < 4:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            label, value = line.split(maxsplit=1)
            lines[label] = value.strip()
        yield Server(
            process,
            lines["model:"],
            lines["gives:"],
            lines["REST:"].removesuffix(":predict"),
            lines["gRPC:"],
        )
    finally:
        process.kill()
        process.wait()


def png(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    ).save(stream, "PNG")
    return stream.getvalue()


def bomb(side: int) -> bytes:
    """A gray PNG of side x side in a few kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(side * (side + 1)), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def b64(content: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(content).decode()}


def post(url: str, body: object, content_type: str = "application/json") -> tuple[int, dict]:
    """Status and JSON of the answer; every answer must be JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, content, {"Content-Type": content_type}), timeout=60
        ) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def figures(server: Server) -> dict[str, float]:
    """The server's metrics."""
    lines = urllib.request.urlopen(f"{server.root}/metrics").read().decode().splitlines()
    return {
        name: float(value)
        for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    }


def assert_same(png_content: bytes, reference: np.ndarray) -> None:
    picture = Image.open(io.BytesIO(png_content))
    assert picture.format == "PNG"
    pixels = np.asarray(picture)
    assert pixels.shape == reference.shape
    assert np.abs(pixels - reference).max() <= 1


def get(url: str) -> tuple[int, dict]:
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def answers_in_python(version: Path, pictures: list[bytes]) -> list[np.ndarray]:
    """What a SavedModel itself gives for encoded pictures, levels of 8 bits."""
    tensor = tf.saved_model.load(str(version)).signatures["tensor"]
    found = []
    for content in pictures:
        floats = (
            np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), np.float32)[np.newaxis]
            / 127.5
            - 1
        )
        found.append(
            np.clip(
                np.rint((tensor(images=tf.constant(floats))["images"].numpy()[0] + 1) * 127.5),
                0,
                255,
            )
        )
    assert min(array.std() for array in found) > 10, (
        "flat answers would be equal whatever the server does"
    )
    return found
