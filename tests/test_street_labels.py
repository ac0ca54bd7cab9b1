"""Label files of every kind -> ids, or the reason why not."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from data_prep import street_labels
from data_prep.street_labels import MOSTLY_VOID, OPACITY, OTHER_CHANNELS, READ_AS, WITHOUT_CLASS
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


def deep_png(samples: np.ndarray, *, interlaced: bool = False) -> bytes:
    """A PNG of uint16 `[H, W, 3 or 4]`, which Pillow does not write; interlaced pictures of one
    pixel alone.
    """
    height, width, channels = samples.shape
    assert not interlaced or height == width == 1, "of the seven passes the first has the one pixel"
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, interlaced)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def ids_of(content: bytes, label_format: str = "auto") -> tuple[list[int], frozenset[str]]:
    image, notes = street_labels.read_ids(content, label_format=label_format, max_pixels=1000)
    assert image.mode == "L"
    return np.asarray(image).ravel().tolist(), notes


def row(values: list[int], kind: type = np.uint8) -> np.ndarray:
    return np.array([values], kind)


COLORS = np.array(
    [[(0, 0, 142), (153, 153, 153), (0, 0, 0), (128, 64, 128), (111, 74, 0)]], np.uint8
)
TWELVE = np.arange(36).reshape(12, 3)  # a palette that says nothing


IDS, COLOURS = READ_AS["ids"], READ_AS["colours"]


@pytest.mark.parametrize(
    "content, expected, notes",
    [
        (png(Image.fromarray(row([0, 7, 33]))), [0, 7, 33], [IDS]),
        (png(gta5_label(row([0, 7, 11, 33]))), [0, 7, 11, 33], [IDS]),
        (png(palette_image(row([7, 8, 11]), TWELVE)), [7, 8, 11], [IDS]),
        (png(gta5_label(row([26, 34, 255]))), [26, 0, 0], [IDS, MOSTLY_VOID]),
        (png(Image.fromarray(row([7, 34, 255]))), [7, 0, 0], [IDS, MOSTLY_VOID]),
        (png(Image.fromarray(row([7, 26], np.uint16))), [7, 26], [IDS]),
        (png(Image.fromarray(np.repeat(row([7, 26])[..., None], 3, axis=2))), [7, 26], [IDS]),
        (deep_png(np.repeat(row([7, 26])[..., None], 3, axis=2)), [7, 26], [IDS]),
        (png(Image.fromarray(COLORS)), [26, 17, 0, 7, 5], [COLOURS]),
        (png(Image.fromarray(COLORS).convert("RGBA")), [26, 17, 0, 7, 5], [COLOURS]),
        (
            png(Image.fromarray(np.dstack([COLORS, row([255, 0, 9, 255, 255])]))),
            [26, 17, 0, 7, 5],
            [COLOURS, OPACITY],
        ),
        (deep_png(COLORS.astype(np.uint16) * 257), [26, 17, 0, 7, 5], [COLOURS]),
        (
            deep_png(np.dstack([COLORS, row([255] * 5)]).astype(np.uint16) * 257),
            [26, 17, 0, 7, 5],
            [COLOURS],
        ),
        (png(palette_image(row([0, 1, 3, 4]), COLORS[0])), [26, 17, 7, 5], [COLOURS]),
        (png(palette_image(row([0, 2, 13]), labels.PALETTE)), [7, 11, 26], [COLOURS]),
        (
            png(palette_image(row([0, 1]), np.array([(111, 74, 0), (81, 0, 81)]))),
            [0, 1],
            [IDS, MOSTLY_VOID],
        ),
        (png(palette_image(row([7, 8, 11, 12]), TWELVE), bits=4), [7, 8, 11, 12], [IDS]),
    ],
    ids=[
        "gray",
        "palette",
        "any palette",
        "void palette",
        "void",
        "16 bit",
        "gray as rgb",
        "gray as 16-bit rgb",
        "rgb",
        "rgba",
        "opacity",
        "16-bit rgb",
        "16-bit rgba",
        "fewer colours",
        "train id palette",
        "void differs",
        "4 bit palette",
    ],
)
def test_label_files_that_are_understood(content, expected, notes):
    assert ids_of(content) == (expected, frozenset(notes))


# (class, instance, 0) as SYNTHIA-RAND-CITYSCAPES has them: sky, road, car, pedestrian, bicycle,
# parking, lane marking
SYNTHIA = np.array(
    [[(1, 0, 0), (3, 0, 0), (8, 300, 0), (10, 7, 0), (11, 65535, 0), (13, 0, 0), (22, 0, 0)]],
    np.uint16,
)
SYNTHIA_IDS = [23, 7, 26, 24, 33, 9, 0]


@pytest.mark.parametrize(
    "content, label_format, expected, notes",
    [
        (
            deep_png(SYNTHIA),
            "synthia",
            SYNTHIA_IDS,
            [READ_AS["synthia"], OTHER_CHANNELS, WITHOUT_CLASS],
        ),
        (
            deep_png(SYNTHIA[:, 2:3], interlaced=True),
            "synthia",
            [26],
            [READ_AS["synthia"], OTHER_CHANNELS],
        ),
        (deep_png(SYNTHIA[:, :5]), "ids", [1, 3, 8, 10, 11], [IDS, OTHER_CHANNELS, MOSTLY_VOID]),
        (
            deep_png(SYNTHIA[:, :5]),
            "train_ids",
            [8, 12, 21, 23, 24],
            [READ_AS["train_ids"], OTHER_CHANNELS],
        ),
        (png(Image.fromarray(row([3, 21, 9]))), "synthia", [7, 12, 20], [READ_AS["synthia"]]),
        (png(Image.fromarray(row([0, 13, 255]))), "train_ids", [7, 26, 0], [READ_AS["train_ids"]]),
        (png(Image.fromarray(row([0, 2, 255]))), "ids", [0, 2, 0], [IDS, MOSTLY_VOID]),
        (
            png(palette_image(row([0, 2, 13]), labels.PALETTE)),
            "ids",
            [0, 2, 13],
            [IDS, MOSTLY_VOID],
        ),
        (png(palette_image(row([7, 8]), labels.PALETTE)), "colours", [20, 21], [COLOURS]),
    ],
)
def test_a_format_of_ones_choice(content, label_format, expected, notes):
    assert ids_of(content, label_format) == (expected, frozenset(notes))


def test_the_classes_of_synthia_are_those_of_the_literature():
    """Class of SYNTHIA-RAND-CITYSCAPES -> train id, as ADVENT, DACS and their followers have it (16
    of them are scored).
    """
    literature = {
        3: 0,
        4: 1,
        2: 2,
        21: 3,
        5: 4,
        7: 5,
        15: 6,
        9: 7,
        6: 8,
        16: 9,
        1: 10,
        10: 11,
        17: 12,
        8: 13,
        18: 14,
        19: 15,
        20: 16,
    }
    literature |= {12: 17, 11: 18}
    ids, _ = ids_of(png(Image.fromarray(row(list(range(23))))), "synthia")
    assert labels.to_train_ids(np.array(ids, np.uint8)).tolist() == [
        literature.get(number, labels.IGNORED) for number in range(23)
    ]


@pytest.mark.parametrize(
    "content, reason",
    [
        (png(Image.fromarray(row([7, 40, 41]))), "ids outside the Cityscapes table: 40, 41"),
        (png(gta5_label(row(list(range(100, 110))))), "table: 100, 101, 102, 103, 104 and 5 more"),
        (
            png(Image.fromarray(row([0, 2, 8, 13, 255]))),
            "look like train ids; choose --label_format=train_ids, or",
        ),
        (
            deep_png(SYNTHIA),
            r"16-bit colours outside .*\(1, 0, 0\).*red channel alone is the class, "
            r"--label_format=ids or --label_format=synthia reads",
        ),
        (
            png(Image.fromarray(SYNTHIA.clip(0, 255).astype(np.uint8))),
            "red channel alone is the class, --label_format=ids or --label_format=synthia reads",
        ),
        (deep_png(COLORS.astype(np.uint16) * 256), r"16-bit colours outside the Cityscapes table"),
        (
            png(Image.fromarray(row([7, 26001], np.uint16))),
            "16-bit values up to 26001 are not class ids; they look like instance ids",
        ),
        (
            png(Image.fromarray(row([7, 300], np.uint16))),
            "16-bit values up to 300 are not class ids",
        ),
        (
            png(Image.fromarray(np.array([[(128, 64, 128), (1, 2, 3)]], np.uint8))),
            r"table, in 50.0% of the pixels: \(1, 2, 3\)",
        ),
        (png(Image.fromarray(row([0, 255])).convert("1")), "1-bit gray cannot hold ids"),
        (png(Image.fromarray(row([0, 7])).convert("LA")), "mode LA is not a label map"),
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


@pytest.mark.parametrize(
    "content, label_format, reason",
    [
        (
            png(Image.fromarray(row([0, 33, 19]))),
            "train_ids",
            r"not train ids \(0..18 and 255\): 19, 33",
        ),
        (
            png(Image.fromarray(row([0, 33, 22]))),
            "synthia",
            r"not classes of SYNTHIA \(0..22\): 33",
        ),
        (deep_png(SYNTHIA[..., ::-1]), "colours", r"16-bit colours outside the Cityscapes table"),
        (
            deep_png(SYNTHIA[..., (1, 0, 2)]),
            "synthia",
            "16-bit values up to 65535 are not class ids",
        ),
        (png(Image.fromarray(row([7, 8]))), "colours", "a gray picture has no colours"),
        (png(Image.fromarray(COLORS)), "ids", "ids outside the Cityscapes table: 111, 128, 153"),
        (
            png(palette_image(row([7, 8]), TWELVE)),
            "colours",
            r"table, in 100.0% of the pixels: \(21, 22, 23\), \(24, 25, 26\)",
        ),
    ],
)
def test_a_file_of_another_format_than_that_of_ones_choice_is_refused(
    content, label_format, reason
):
    with pytest.raises(BadPicture, match=reason):
        ids_of(content, label_format)


def test_a_label_that_is_to_be_turned_or_moves_is_refused():
    turned, still = Image.Exif(), Image.fromarray(row([7, 26]))
    turned[0x0112] = 3
    with pytest.raises(BadPicture, match="its EXIF data ask for a rotation"):
        ids_of(png(still, exif=turned))
    with pytest.raises(BadPicture, match="an animation of several frames"):
        ids_of(png(still, save_all=True, append_images=[Image.fromarray(row([8, 33]))]))
