"""Scenes as files: assigns scenes to splits, and writes a frame's pictures in the layouts of GTA5
and Cityscapes.
"""

import concurrent.futures
import io
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tfcyclegan.data import labels
from tfcyclegan.system import files
from toy_street import render
from toy_street.scene import make_scene

GTA5, CITYSCAPES = "gta5", "cityscapes"
TRAIN, VAL, TEST = "train", "val", "test"
CITY = "toytown"

SMALL_LABEL = "the label is smaller than the image"
SMALL_IMAGE = "the image is smaller than its label"
RGB_LABEL = "the label is coloured RGB, not a palette of ids"
NO_LABEL = "there is no label"
QUIRKS = (SMALL_LABEL, SMALL_IMAGE, RGB_LABEL, NO_LABEL)


@dataclass(frozen=True)
class Settings:
    """The settings that determine every pixel; flags have the same names."""

    train_scenes: int
    val_scenes: int
    test_scenes: int
    height: int
    width: int
    seed: int
    style_gap: float
    layout_gap: float
    night_share: float
    dusk_share: float
    quirks: bool


@dataclass(frozen=True)
class Frame:
    """A scene and its purpose.

    Attributes:
        number: number of the scene and of its files.
        split: TRAIN, VAL or TEST.
        domains: the data sets that hold it; both for test scenes.
        quirk: its deliberate fault, or "".
    """

    number: int
    split: str
    domains: tuple[str, ...]
    quirk: str = ""

    @property
    def splits(self) -> tuple[str, ...]:
        """Its splits, such as "gta5 test"; Cityscapes has the test scenes in its val split."""
        return tuple(
            f"{domain} {VAL if domain == CITYSCAPES and self.split == TEST else self.split}"
            for domain in self.domains
        )

    @property
    def gta5_name(self) -> str:
        return f"{self.number:05d}"

    @property
    def cityscapes_key(self) -> str:
        return f"{CITY}/{CITY}_000000_{self.number:06d}"


def plan(settings: Settings) -> list[Frame]:
    """GTA5's training, validation and test scenes, numbered from 1, then Cityscapes's training
    scenes.
    """
    first_val = 1 + settings.train_scenes
    first_test = first_val + settings.val_scenes
    first_b = first_test + settings.test_scenes
    quirks: dict[int, str] = {}
    if settings.quirks:
        chosen = random.Random(f"quirks {settings.seed}").sample(range(1, first_val), len(QUIRKS))
        quirks = dict(zip(chosen, QUIRKS, strict=True))
    return [
        *(Frame(number, TRAIN, (GTA5,), quirks.get(number, "")) for number in range(1, first_val)),
        *(Frame(number, VAL, (GTA5,)) for number in range(first_val, first_test)),
        *(Frame(number, TEST, (GTA5, CITYSCAPES)) for number in range(first_test, first_b)),
        *(
            Frame(number, TRAIN, (CITYSCAPES,))
            for number in range(first_b, first_b + settings.train_scenes)
        ),
    ]


@dataclass(frozen=True)
class Written:
    """Facts about a finished frame: pixels by id `[256]`, the light of A, and whether it existed
    before.
    """

    frame: Frame
    counts: np.ndarray
    light: str
    was_there: bool


def paths(frame: Frame, output_dir: Path) -> dict[str, Path]:
    """The files of a frame by content."""
    found = {}
    if GTA5 in frame.domains:
        found["a"] = output_dir / GTA5 / "images" / f"{frame.gta5_name}.png"
        if frame.quirk != NO_LABEL:
            found["a_label"] = output_dir / GTA5 / "labels" / f"{frame.gta5_name}.png"
    if CITYSCAPES in frame.domains:
        split = VAL if frame.split == TEST else TRAIN
        root, key = output_dir / CITYSCAPES, frame.cityscapes_key
        found["b"] = root / "leftImg8bit" / split / f"{key}_leftImg8bit.png"
        for kind in ("labelIds", "labelTrainIds", "color"):
            found[kind] = root / "gtFine" / split / f"{key}_gtFine_{kind}.png"
    return found


def write(chunk: Sequence[Frame], settings: Settings, output_dir: Path) -> list[Written]:
    """Writes the missing files of frames; threads wait for the disk while the next frame is
    drawn.
    """
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        done, pending = [], []
        for frame in chunk:
            written, contents = _draw(frame, settings, output_dir)
            done.append(written)
            pending += [
                threads.submit(files.write_bytes, path, content)
                for path, content in contents.items()
            ]
        for each in pending:
            each.result()
    return done


def _draw(frame: Frame, settings: Settings, output_dir: Path) -> tuple[Written, dict[Path, bytes]]:
    """The facts about a frame, and its missing files."""
    wanted = paths(frame, output_dir)
    # a city in both: only A's training scenes have another layout, so that the ground truth of test
    # scenes has B's distribution
    suburban = frame.split != TEST and GTA5 in frame.domains
    scene = make_scene(
        settings.seed,
        frame.number,
        layout_gap=settings.layout_gap if suburban else 0.0,
        night_share=settings.night_share if GTA5 in frame.domains else 0.0,
        dusk_share=settings.dusk_share if GTA5 in frame.domains else 0.0,
    )
    full = render.Rendering(scene, settings.height, settings.width)
    ids = full.labels()
    missing = {kind: path for kind, path in wanted.items() if not path.exists()}
    written = Written(frame, np.bincount(ids.ravel(), minlength=256), scene.light, not missing)

    def shown(faulty: str) -> render.Rendering:
        """The scene at its size, or slightly smaller if the frame has that fault, as in GTA5."""
        return (
            full
            if frame.quirk != faulty
            else render.Rendering(
                scene, settings.height - max(1, settings.height // 32), settings.width
            )
        )

    def content(kind: str) -> bytes:
        match kind:
            case "a":
                look = render.a_look(settings.style_gap, scene.light)
                return _png(shown(SMALL_IMAGE).picture(look, (settings.seed, frame.number, 0)))
            case "a_label" if frame.quirk == RGB_LABEL:
                return _png(labels.colorize(ids))
            case "a_label":
                return _png(shown(SMALL_LABEL).labels(), palette=True)
            case "b":
                return _png(full.picture(render.B_LOOK, (settings.seed, frame.number, 1)))
            case "labelIds":
                return _png(ids)
            case "labelTrainIds":
                return _png(labels.to_train_ids(ids))
        # Cityscapes's colours are RGBA
        return _png(np.dstack([labels.colorize(ids), np.full_like(ids, 255)]))

    return written, {path: content(kind) for kind, path in missing.items()}


def _png(pixels: np.ndarray, *, palette: bool = False) -> bytes:
    image = Image.fromarray(pixels)
    if palette:
        image.putpalette(labels.colorize(np.arange(256, dtype=np.uint8)).tobytes())
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=2)
    return stream.getvalue()
