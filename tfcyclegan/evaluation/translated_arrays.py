"""Translates a split if either domain consists of measurements, and stores the translations at the
size of their inputs: arrays in the target's units as `.npy`, pictures as PNGs.
"""

import functools
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tfcyclegan.data import images
from tfcyclegan.data.images import Scale
from tfcyclegan.data.picture_folders import recording
from tfcyclegan.data.shards import WORK
from tfcyclegan.engines import results
from tfcyclegan.measures.pictures import Made, Pictures
from tfcyclegan.system import files
from tfcyclegan.system.parallel import Stages
from tfcyclegan.system.progress import Progress
from tfcyclegan.translation.elsewhere import PART, Elsewhere, opened
from tfcyclegan.translation.translators import AT_ONCE, RECORD, Translator, give_up

ENDINGS = (".npy", ".png")
"""Endings of translations, see above."""


def translate_arrays(
    translators: Sequence[Translator],
    inputs: Mapping[str, np.ndarray],
    folder: Path,
    scale: Scale,
    identity: dict[str, Any],
    elsewhere: Elsewhere | None = None,
) -> None:
    """Translates the inputs that `folder`, which must not hold other translations, does not have
    yet.

    Args:
        translators: copies of one translator, one per device.
        inputs: by name: measurements with their neighbouring planes in the source's units, or
            pictures uint8 [H, W, C].
        folder: folder for the translations.
        scale: size of the network's input; translations are resized back.
        identity: what identifies the translations.
        elsewhere: the workers that translate, which must be able to read the inputs; None
            translates here.
    """
    names = [name for name in inputs if place_of(folder, name) is None]
    with (
        recording(
            folder,
            RECORD,
            identity,
            ("translating", "translated", "translations of another model or of other pictures"),
            total=len(inputs),
            unit="measurement" if translators[0].values.source else "picture",
        ) as ledger,
        Progress(len(inputs), unit="image", label="translating") as progress,
    ):
        if elsewhere is not None:
            make = functools.partial(
                _on_worker,
                elsewhere.open,
                translators[0].identity,
                inputs,
                folder.absolute(),
                scale,
            )
            results(
                elsewhere.engine,
                make,
                [names[first : first + PART] for first in range(0, len(names), PART)],
                folder.parent / WORK,
                finished=lambda part: progress.advance(len(part)),
            )
            ledger.made = len(names)
            return
        for _ in _stages(translators, folder, scale).of((name, inputs[name]) for name in names):
            ledger.made += 1
            progress.advance()


def _on_worker(
    open_: Callable[[], Sequence[Translator]],
    identity: Mapping[str, Any],
    inputs: Mapping[str, np.ndarray],
    folder: Path,
    scale: Scale,
) -> Callable[[Sequence[str]], None]:
    translators = opened(open_, identity)

    def translate(names: Sequence[str]) -> None:
        missing = ((name, inputs[name]) for name in names if place_of(folder, name) is None)
        for _ in _stages(translators, folder, scale).of(missing):
            pass

    return translate


def _stages(
    translators: Sequence[Translator], folder: Path, scale: Scale
) -> Stages[tuple[str, np.ndarray], tuple[str, np.ndarray], tuple[str, np.ndarray], None]:
    """From a named input to its translation's file in `folder`."""

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
    return Stages(lambda item: item, machines, save, lambda: give_up(translators))


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
