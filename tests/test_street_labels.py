"""Label files of every kind -> ids, or the reason why not."""

import io

import numpy as np
import pytest
from PIL import Image

from data_prep import street_labels
from tfcyclegan.data import labels
from tfcyclegan.data.intake import BadPicture


def palette_image(indices: np.ndarray, palette: np.ndarray) -> Image.Image:
    image = Image.frombytes("P", indices.shape[::-1], indices.astype(np.uint8).tobytes())
    image.putpalette(palette.astype(np.uint8).tobytes())
    return image


def gta5_label(ids: np.ndarray) -> Image.Image:
    return palette_image(ids, labels.colorize(np.arange(256, dtype=np.uint8)))


def png(image: Image.Image, file_format: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


def ids_of(content: bytes, train_ids: bool = False) -> tuple[list[int], frozenset[str]]:
    image, notes = street_labels.read_ids(content, train_ids=train_ids, max_pixels=1000)
    assert image.mode == "L"
    return np.asarray(image).ravel().tolist(), notes


def row(values: list[int], kind: type = np.uint8) -> np.ndarray:
    return np.array([values], kind)


COLORS = np.array([[(0, 0, 142), (153, 153, 153), (0, 0, 0), (128, 64, 128), (111, 74, 0)]], np.uint8)
TWELVE = np.arange(36).reshape(12, 3)  # a palette that says nothing


@pytest.mark.parametrize(
    "content, expected, notes",
    [
        (png(Image.fromarray(row([0, 7, 33]))), [0, 7, 33], []),
        (png(gta5_label(row([0, 7, 11, 33]))), [0, 7, 11, 33], []),
        (png(palette_image(row([7, 8, 11]), TWELVE)), [7, 8, 11], []),
        (png(gta5_label(row([26, 34, 255]))), [26, 0, 0], []),
        (png(Image.fromarray(row([7, 34, 255]))), [7, 0, 0], []),
        (png(Image.fromarray(row([7, 26], np.uint16))), [7, 26], []),
        (png(Image.fromarray(COLORS)), [26, 17, 0, 7, 5], [street_labels.BY_COLOR]),
        (png(Image.fromarray(COLORS).convert("RGBA")), [26, 17, 0, 7, 5], [street_labels.BY_COLOR]),
        (png(palette_image(row([0, 1, 3, 4]), COLORS[0])), [26, 17, 7, 5], [street_labels.BY_COLOR]),
        (png(palette_image(row([0, 2, 13]), labels.PALETTE)), [7, 11, 26], [street_labels.BY_COLOR]),
        (png(palette_image(row([0, 1]), np.array([(111, 74, 0), (81, 0, 81)]))), [0, 1], []),
    ],
    ids=[
        "gray",
        "palette",
        "any palette",
        "void palette",
        "void",
        "16 bit",
        "rgb",
        "rgba",
        "fewer colours",
        "train id palette",
        "void differs",
    ],
)
def test_label_files_that_are_understood(content, expected, notes):
    assert ids_of(content) == (expected, frozenset(notes))


def test_train_ids_become_ids():
    assert ids_of(png(Image.fromarray(row([0, 13, 255]))), train_ids=True) == ([7, 26, 0], frozenset({street_labels.FROM_TRAIN_IDS}))


@pytest.mark.parametrize(
    "content, reason",
    [
        (png(Image.fromarray(row([7, 40, 41]))), "ids outside the Cityscapes table: 40, 41"),
        (png(gta5_label(row(list(range(100, 110))))), "table: 100, 101, 102, 103, 104 and 5 more"),
        (png(Image.fromarray(row([0, 2, 8, 13, 255]))), "look like train ids; ids are needed"),
        (png(Image.fromarray(row([7, 26001], np.uint16))), "16-bit values up to 26001 are no class ids; are they instance ids"),
        (png(Image.fromarray(row([7, 300], np.uint16))), "16-bit values up to 300 are no class ids"),
        (png(Image.fromarray(np.array([[(128, 64, 128), (1, 2, 3)]], np.uint8))), r"colours outside the Cityscapes table: \(1, 2, 3\)"),
        (png(Image.fromarray(row([0, 255])).convert("1")), "gray of 1 bit"),
        (png(Image.fromarray(row([0, 7])).convert("LA")), "mode LA is no label map"),
        (png(Image.fromarray(row([0, 7])), "JPEG"), "a JPEG file; label maps must be PNG"),
        (png(Image.new("L", (50, 50))), "more than --max_pixels=1000"),
        (png(Image.fromarray(row([7, 8])))[:-20], "damaged"),
        (b"", "the file is empty"),
        (b"words", "text, not a picture"),
    ],
)
def test_label_files_that_are_refused(content, reason):
    with pytest.raises(BadPicture, match=reason):
        ids_of(content)


def test_train_ids_out_of_range_are_refused():
    with pytest.raises(BadPicture, match=r"no train ids \(0..18 and 255\): 19, 33"):
        ids_of(png(Image.fromarray(row([0, 33, 19]))), train_ids=True)
