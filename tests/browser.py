"""Headless Chromium (the fixture is in conftest.py), what axe-core says of a page in it, and the
demo's page, for the tests marked `browser`.
"""

import base64
import contextlib
import io
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from tfcyclegan.data import images
from tfcyclegan.demo.web_server import open_server
from tfcyclegan.exporting import tflite
from tfcyclegan.system.downloads import cached, from_npm, npm_members

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
SWITCHES = [
    *(
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
    ),
    *(
        "--disable-component-update",
        "--disable-sync",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
    ),
]

SIDE = 32
"""Side of the pictures that the demo's models of these tests take."""

AXE = from_npm(
    "axe-core@4.14.1",
    "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745",
    told="rules",
)


@contextlib.contextmanager
def serving_site(site: Path) -> Iterator[str]:
    """The address of the demo's folder, as `tfcyclegan demo` serves it."""
    with open_server(site, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def barriers(page) -> list[str]:
    """What axe-core, with all of its rules, finds to stand in the way of keyboards and screen
    readers.
    """
    page.evaluate(npm_members(cached(AXE))["axe.min.js"].decode())
    found = page.evaluate("axe.run().then((result) => result.violations)")
    return [
        f"{rule['id']}: {node['html'][:200]}: {node['failureSummary']}"
        for rule in found
        for node in rule["nodes"]
    ]


def upload(name: str, kind: str, content: bytes) -> dict:
    return {"name": name, "mimeType": kind, "buffer": content}


def give(page, file: dict) -> None:
    """Chooses a file and waits for its translation."""
    page.evaluate("document.getElementById('facts').textContent = ''")
    page.set_input_files("#file", file)
    page.wait_for_selector("#facts:not(:empty)")


def canvas(page, name: str) -> np.ndarray:
    return canvas_of(page.evaluate("name => document.getElementById(name).toDataURL()", name))


def canvas_of(url: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGB"))


def png(pixels: np.ndarray) -> dict:
    return upload("picture.png", "image/png", images.encode_png(pixels))


def noise(height: int = SIDE, width: int = SIDE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def expected(model: Path, pixels: np.ndarray) -> np.ndarray:
    return images.to_uint8(tflite.run(model.read_bytes(), images.to_float(pixels)[np.newaxis])[0])


def assert_translated(page, model: Path, pixels: np.ndarray) -> None:
    assert np.array_equal(canvas(page, "input"), pixels)
    output, wanted = canvas(page, "output"), expected(model, pixels)
    assert wanted.std() > 1 and np.abs(output.astype(int) - wanted).max() <= 2
