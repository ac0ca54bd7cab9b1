"""Small copies of GTA5 and Cityscapes on disk, and what data_prep has made of them."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from data_prep import cityscapes, gta5
from tests.test_street_labels import gta5_label
from tfcyclegan.data import labels

HEIGHT, WIDTH = 32, 64
USED = (0, 7, 8, 11, 17, 21, 23, 26, 33)
CITIES = {"train": ("aachen", "bochum"), "val": ("lindau",), "test": ("berlin",)}


def photo(seed: int) -> Image.Image:
    return Image.fromarray(
        np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    )


def id_map(seed: int) -> np.ndarray:
    """Blocks of 4x4 pixels of ids."""
    blocks = np.random.default_rng(seed).choice(np.array(USED, np.uint8), (HEIGHT // 4, WIDTH // 4))
    return blocks.repeat(4, axis=0).repeat(4, axis=1)


def save(path: Path, image: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def make_gta(root: Path) -> Path:
    """Twelve frames; frame n has the photo and the ids of seed n."""
    for number in range(1, 13):
        save(root / f"images/{number:05d}.png", photo(number))
        save(root / f"labels/{number:05d}.png", gta5_label(id_map(number)))
    return root


def make_city(root: Path) -> Path:
    """Three frames a city; the frame CITY/CITY_00000n_000019 has the photo and the ids of seed
    n.
    """
    for split, cities in CITIES.items():
        for name in cities:
            for number in range(3):
                frame = f"{split}/{name}/{name}_{number:06d}_000019"
                ids = id_map(number) if split != "test" else np.full((HEIGHT, WIDTH), 3, np.uint8)
                save(root / f"leftImg8bit/{frame}_leftImg8bit.png", photo(number))
                save(root / f"gtFine/{frame}_gtFine_labelIds.png", Image.fromarray(ids))
                save(
                    root / f"gtFine/{frame}_gtFine_color.png",
                    Image.fromarray(labels.colorize(ids)).convert("RGBA"),
                )
                (root / f"gtFine/{frame}_gtFine_polygons.json").write_text("{}")
    return root


def out_of(root: Path, name: str = "out") -> Path:
    return root.parent / name


def gta_config(root: Path, **changes) -> gta5.Config:
    return gta5.Config(**{"input_dir": str(root), "output_dir": str(out_of(root)), **changes})


def city_config(root: Path, **changes) -> cityscapes.Config:
    return cityscapes.Config(**{"input_dir": str(root), "output_dir": str(out_of(root)), **changes})


def read(output_dir: Path) -> dict[str, list[dict]]:
    """What TFDS reads, by split: the records, with pictures as arrays."""
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(output_dir)
    return {
        split: list(builder.as_dataset(split=split).as_numpy_iterator())
        for split in sorted(builder.info.splits)
    }


def made(output_dir: Path) -> dict:
    return json.loads((output_dir / "manifest.json").read_text())
