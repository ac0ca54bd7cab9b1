"""Headless Chromium (the fixture is in conftest.py), and the demo's page in it, for the tests
marked `browser`.
"""

import base64
import io
import shutil

import numpy as np
from PIL import Image

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


def upload(name: str, kind: str, content: bytes) -> dict:
    return {"name": name, "mimeType": kind, "buffer": content}


def give(page, file: dict) -> None:
    """Chooses a file and waits for its translation."""
    page.evaluate("document.getElementById('facts').textContent = ''")
    page.set_input_files("#file", file)
    page.wait_for_selector("#facts:not(:empty)")


def canvas(page, name: str) -> np.ndarray:
    url = page.evaluate("name => document.getElementById(name).toDataURL()", name)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGB"))
