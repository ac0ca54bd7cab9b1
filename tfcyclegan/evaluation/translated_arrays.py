"""Translates a split if either domain consists of measurements, and stores the translations at the
size of their inputs: arrays in the target's units as `.npy`, pictures as PNGs.
"""

import functools
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tfcyclegan.data import images
from tfcyclegan.data.images import Scale
from tfcyclegan.data.picture_folders import recording
from tfcyclegan.measures.pictures import Made, Pictures
from tfcyclegan.system import files
from tfcyclegan.system.parallel import Stages
from tfcyclegan.system.progress import Progress
from tfcyclegan.translation.translators import AT_ONCE, RECORD, Translator, give_up, record_of

ENDINGS = (".npy", ".png")
"""Endings of translations, see above."""


def translate_arrays(
    translators: Sequence[Translator], inputs: Mapping[str, np.ndarray], folder: Path, scale: Scale
) -> None:
    """Translates the inputs that `folder`, which must not hold translations by another model, does
    not have yet.

    Args:
        translators: copies of one translator, one per device.
        inputs: by name: measurements with their neighbouring planes in the source's units, or
            pictures uint8 [H, W, C].
        folder: folder for the translations.
        scale: size of the network's input; translations are resized back.
    """

    def missing() -> Iterator[tuple[str, np.ndarray]]:
        return (item for item in inputs.items() if place_of(folder, item[0]) is None)

    def translate(translator: Translator, item: tuple[str, np.ndarray]) -> tuple[str, np.ndarray]:
        name, array = item
        return name, translator(array, folder, scale=scale)

    def save(made: tuple[str, np.ndarray]) -> None:
        name, array = made
        if translators[0].values.target is None:
            files.write_bytes(folder / f"{name}.png", images.encode_png(array))
            return
        stream = io.BytesIO()
        np.save(stream, array, allow_pickle=False)
        files.write_bytes(folder / f"{name}.npy", stream.getvalue())

    machines = [
        functools.partial(translate, translator)
        for _ in range(AT_ONCE)
        for translator in translators
    ]
    stages = Stages(lambda item: item, machines, save, lambda: give_up(translators))
    with (
        recording(
            folder,
            RECORD,
            record_of(translators[0], scale),
            ("translating", "translated", "another model's translations"),
            total=len(inputs),
            unit="measurement" if translators[0].values.source else "picture",
        ) as ledger,
        Progress(len(inputs), unit="image", label="translating") as progress,
    ):
        for _ in stages.of(missing()):
            ledger.made += 1
            progress.advance()


def place_of(folder: Path, name: str) -> Path | None:
    """Path of the translation called `name`; None if it does not exist."""
    paths = (folder / f"{name}{ending}" for ending in ENDINGS)
    return next((path for path in paths if path.exists()), None)


def read_translation(path: Path) -> np.ndarray:
    """The saved values: in units, or uint8 [H, W, C] for pictures."""
    return np.load(path, allow_pickle=False) if path.suffix == ".npy" else read_png(path)


def read_png(path: Path) -> np.ndarray:
    """The pixels of a PNG that we wrote, uint8 [H, W, C]; raises whatever Pillow raises for a
    damaged file.
    """
    with Image.open(path, formats=("PNG",)) as image:
        return images.to_array(image)


def read_translations(folder: Path, names: Sequence[str]) -> Pictures:
    """The existing translations by name."""
    found = {name: place_of(folder, name) for name in names}
    return Made(read_translation, {name: path for name, path in found.items() if path is not None})
