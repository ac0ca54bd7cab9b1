"""Whole pictures in the report of a run: input | translated | truth, one PNG each in the run's
directory, whose text chunks say what is on it.
"""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from tfcyclegan import pages
from tfcyclegan.data.display import in_rgb
from tfcyclegan.system import files
from tfcyclegan.system.progress import log
from tfcyclegan.training.strips import columns_of, join, png_bytes

FOLDER = "whole_pictures"
LARGEST_SIDE = 1024
"""Larger pictures are shrunk to this, since the report holds them."""


@dataclass(frozen=True)
class WholePicture:
    """A picture in the report.

    Attributes:
        name: the picture's.
        direction: "ab" or "ba".
        columns: what is side by side.
        checkpoint: the one that translated it.
        content: the PNG.
    """

    name: str
    direction: str
    columns: list[str]
    checkpoint: str
    content: bytes

    @property
    def cells(self) -> dict[str, bytes]:
        """Its pictures by column, each as PNG."""
        with Image.open(io.BytesIO(self.content)) as image:
            pixels = np.asarray(image.convert("RGB"))
        cut = columns_of(pixels, len(self.columns)) or [pixels]
        return {name: png_bytes(cell) for name, cell in zip(self.columns, cut, strict=False)}

    @property
    def tiles(self) -> dict[str, pages.Picture]:
        """Likewise for a page."""
        return {name: pages.picture(png) for name, png in self.cells.items()}


def write(
    run_dir: Path, name: str, direction: str, cells: Mapping[str, np.ndarray], *, checkpoint: str
) -> Path:
    """Writes a picture for the report, in place of an earlier one of the same name and direction;
    returns its path.

    Args:
        run_dir: directory of the run.
        name: of the picture, which may be a path.
        direction: "ab" or "ba".
        cells: {column: picture uint8 [H, W, 1 or 3], all of one size}.
        checkpoint: the one that translated it.
    """
    chunks = PngImagePlugin.PngInfo()
    for key, value in {
        "name": name,
        "direction": direction,
        "columns": ",".join(cells),
        "checkpoint": checkpoint,
    }.items():
        chunks.add_itxt(key, value)
    stream = io.BytesIO()
    drawn = join([_reduced(in_rgb(cell)) for cell in cells.values()], axis=1)
    Image.fromarray(drawn).save(stream, "PNG", pnginfo=chunks)
    flat = name
    if "/" in name:  # a/b and a_b are two pictures
        flat = f"{name.replace('/', '_')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    path = run_dir / FOLDER / f"{flat}-{direction}.png"
    path.parent.mkdir(exist_ok=True)
    files.write_bytes(path, stream.getvalue())
    return path


def read(run_dir: Path) -> list[WholePicture]:
    """Those of the run that can be read, by name; others are told."""
    found = []
    for path in sorted((run_dir / FOLDER).glob("*.png")):
        content = path.read_bytes()
        try:
            with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
                image.load()
                text = image.text if isinstance(image, PngImagePlugin.PngImageFile) else {}
        except (OSError, ValueError, SyntaxError):
            log(f"{path}: cannot be read, so the report does not show it; remove it")
            continue
        columns = text.get("columns", "").split(",")
        found.append(
            WholePicture(
                text.get("name", path.stem),
                text.get("direction", ""),
                columns,
                text.get("checkpoint", ""),
                content,
            )
        )
    return found


def _reduced(cell: np.ndarray) -> np.ndarray:
    image = Image.fromarray(cell)
    image.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(image)
