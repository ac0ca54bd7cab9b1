"""Headless Chromium (the fixture is in conftest.py), what axe-core says of a page in it, and the
demo's page, for the tests marked `browser`.
"""

import base64
import io
import shutil

import numpy as np
from PIL import Image

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

AXE = from_npm(
    "axe-core@4.14.1",
    "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745",
    told="rules",
)


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
