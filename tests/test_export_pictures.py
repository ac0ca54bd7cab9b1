"""Every kind of picture through `serving_default`, in the loader of TensorFlow Serving: the levels
that training reads, or a refusal.
"""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfcyclegan.data import images, intake
from tfcyclegan.exporting import saved_model

_RANDOM = np.random.default_rng(0)


def _smooth(channels: int) -> np.ndarray:
    few = _RANDOM.integers(0, 256, (7, 9, channels), dtype=np.uint8)
    return np.dstack(
        [
            np.asarray(Image.fromarray(few[..., channel]).resize((30, 22)))
            for channel in range(channels)
        ]
    )


COLOURS = Image.fromarray(_smooth(3))
SEEN_THROUGH = Image.fromarray(_smooth(4))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def turned(kind: str, value: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    return encoded(COLOURS, kind, exif=exif.tobytes())


def big_endian_exif(value: int) -> bytes:
    """A JPEG whose EXIF data are in the other order than Pillow writes, behind another tag, with
    bytes that fill up before.
    """
    entries = (
        b"MM\0*\0\0\0\x08\0\2"
        + struct.pack(">HHIHH", 0x010F, 3, 1, 7, 0)
        + struct.pack(">HHIHH", 0x0112, 3, 1, value, 0)
        + bytes(4)
    )
    content = b"Exif\0\0" + entries
    plain = encoded(COLOURS, "JPEG")
    return (
        plain[:2] + b"\xff\xff\xff\xe1" + struct.pack(">H", 2 + len(content)) + content + plain[2:]
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png(bits: int, colour_type: int, *chunks: bytes, size: tuple[int, int] = (16, 6)) -> bytes:
    """A PNG of random samples, as the standard numbers its types: 0 gray, 2 colours, 4 and 6 the
    same with alpha.
    """
    width, height = size
    row = width * bits * {0: 1, 2: 3, 4: 2, 6: 4}[colour_type] // 8
    rows = b"".join(
        b"\0" + _RANDOM.integers(0, 256, row, dtype=np.uint8).tobytes() for _ in range(height)
    )
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + b"".join(chunks)
        + _chunk(b"IDAT", zlib.compress(rows))
        + _chunk(b"IEND", b"")
    )


def bmp(top_down: bool) -> bytes:
    content = bytearray(encoded(COLOURS, "BMP"))
    if top_down:
        content[22:26] = struct.pack("<i", -COLOURS.height)
    return bytes(content)


GRAY_KEY = _chunk(b"tRNS", struct.pack(">H", 1))
SAME = {
    **{
        f"JPEG, subsampling {mode}": encoded(COLOURS, "JPEG", subsampling=mode, quality=85)
        for mode in (0, 1, 2)
    },
    "JPEG, progressive": encoded(COLOURS, "JPEG", progressive=True),
    "JPEG, gray": encoded(COLOURS.convert("L"), "JPEG"),
    **{
        f"{kind}, EXIF {value}": turned(kind, value)
        for kind in ("JPEG", "PNG", "WEBP")
        for value in (1, 3, 6)
    },
    **{f"JPEG, EXIF {value}": turned("JPEG", value) for value in (2, 4, 5, 7, 8)},
    "JPEG, big-endian EXIF": big_endian_exif(8),
    "JPEG, EXIF that ends early": turned("JPEG", 6).replace(b"\x12\x01\x03\0", b"\x12\x02\x03\0"),
    "JPEG, XMP of an upright picture": encoded(COLOURS, "JPEG", xmp=b'<x tiff:Orientation="1"/>'),
    "JPEG with another view behind it": encoded(
        COLOURS, "MPO", save_all=True, append_images=[COLOURS.rotate(90)]
    ),
    **{f"PNG, gray of {bits} bit": png(bits, 0) for bits in (1, 2, 4, 8, 16)},
    **{
        f"PNG, gray of {bits} bit with a transparent one": png(bits, 0, GRAY_KEY)
        for bits in (1, 8, 16)
    },
    **{
        f"PNG, type {kind} of {bits} bit": png(bits, kind) for kind in (2, 4, 6) for bits in (8, 16)
    },
    "PNG, a transparent colour": encoded(COLOURS, "PNG", transparency=COLOURS.getpixel((3, 3))),
    **{
        f"PNG, palette of {bits} bit": encoded(COLOURS.quantize(2**bits), "PNG", bits=bits)
        for bits in (1, 2, 4, 8)
    },
    "PNG, transparent palette": encoded(
        COLOURS.quantize(256), "PNG", transparency=bytes(range(256))
    ),
    "WebP": encoded(COLOURS, "WEBP", quality=60),
    "WebP, lossless": encoded(COLOURS, "WEBP", lossless=True),
    "WebP, transparent": encoded(SEEN_THROUGH, "WEBP"),
    "WebP, transparent and lossless": encoded(SEEN_THROUGH, "WEBP", lossless=True, exact=True),
    "GIF": encoded(COLOURS, "GIF"),
    "GIF, gray": encoded(COLOURS.convert("L"), "GIF", interlace=1),
    "BMP": bmp(top_down=False),
    "BMP, upper row first": bmp(top_down=True),
    "BMP, gray": encoded(COLOURS.convert("L"), "BMP"),
    "BMP, 32 bit": encoded(SEEN_THROUGH, "BMP"),
}
FRAMES = {"save_all": True, "append_images": [COLOURS.rotate(90)]}
REFUSED = {
    "a JPEG in CMYK": encoded(COLOURS.convert("CMYK"), "JPEG"),
    "its orientation is only in XMP": encoded(COLOURS, "JPEG", xmp=b'<x tiff:Orientation="6"/>'),
    "a PNG of several frames": encoded(COLOURS, "PNG", **FRAMES),
    "a PNG whose orientation cannot be read": png(
        8, 2, _chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"0"))
    ),
    "a PNG of 2 or 4 bits with a transparent gray": png(2, 0, GRAY_KEY),
    "a WebP of several frames": encoded(COLOURS, "WEBP", **FRAMES),
    "a GIF of several frames": encoded(COLOURS, "GIF", **FRAMES),
    "a GIF with transparency": encoded(COLOURS.quantize(16), "GIF", transparency=3),
    "a BMP with a palette": encoded(COLOURS.quantize(16), "BMP"),
    **{
        f"not a complete JPEG, PNG, WebP, GIF or BMP ({kind})": encoded(COLOURS, kind)
        for kind in ("TIFF", "PPM", "JPEG2000", "TGA", "AVIF")
    },
    "not a complete JPEG, PNG, WebP, GIF or BMP (half)": turned("JPEG", 6)[:500],
    "not a complete JPEG, PNG, WebP, GIF or BMP (a byte)": b"\xff",
    "6000x6000 pixels, more than 16777216 (PNG)": png(8, 0, size=(6000, 6000)),
    "5000x4000 pixels, more than 16777216 (JPEG)": encoded(Image.new("L", (4000, 5000)), "JPEG"),
    "not a complete JPEG, PNG, WebP, GIF or BMP (of too many parts)": b"\xff\xd8"
    + b"\xff" * 100_000,
    "transparent everywhere": encoded(Image.new("RGBA", (9, 8)), "PNG"),
    "5000x4000 pixels, more than 16777216 (WebP)": encoded(
        Image.new("L", (4000, 5000)), "WEBP", lossless=True
    ),
}


TWELVE_BITS = intake.Rules(alpha="drop", max_value=4095)


class Repeats(tf.Module):
    """Gives the pictures back as it understood them."""

    def __init__(self) -> None:
        super().__init__()
        self.colours, self.gray = (
            saved_model.encoded_function(tf.io.encode_png, channels) for channels in (3, 1)
        )
        self.twelve_bits = saved_model.encoded_function(tf.io.encode_png, 3, TWELVE_BITS)


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Reads encoded pictures by a SavedModel's graph, to channels or by rules."""
    directory, module = str(tmp_path_factory.mktemp("repeats")), Repeats()
    tf.saved_model.save(
        module,
        directory,
        signatures={"3": module.colours, "1": module.gray, "rules": module.twelve_bits},
    )
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signatures = tf.compat.v1.saved_model.load(session, ["serve"], directory).signature_def

        def run(pictures: list[bytes], how: int | str) -> list[np.ndarray]:
            signature = signatures[str(how)]
            places = {signature.inputs["image_bytes"].name: np.array(pictures, object)}
            answers = session.run(signature.outputs["image_bytes"].name, places)
            return [np.asarray(Image.open(io.BytesIO(answer))) for answer in answers]

        yield run


@pytest.mark.parametrize("channels", [3, 1])
def test_pictures_have_the_levels_of_training(read, channels):
    found = read(list(SAME.values()), channels)
    expected = [intake.decode(content, max_pixels=10**6).image for content in SAME.values()]
    apart = {
        name: one.shape
        if one.shape[:2] != image.size[::-1]
        else int(np.abs(one.astype(int) - images.with_channels(image, channels)).max())
        for name, one, image in zip(SAME, found, expected, strict=True)
    }
    assert {name: levels for name, levels in apart.items() if levels != 0} == {}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_read_alike_is_refused(read, reason):
    good = SAME["WebP"]
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        read([good, REFUSED[reason], good], 3)
    assert f"image_bytes[1]: {reason.split(' (')[0]}" in caught.value.message


def test_the_rules_by_which_the_training_read(read):
    """Data prepared by `--max_value` and `--alpha`: an export reads by them."""
    gray = _RANDOM.integers(0, 4096, (6, 16), dtype=np.uint16)
    deep, clear = encoded(Image.fromarray(gray), "PNG"), encoded(SEEN_THROUGH, "PNG")
    found = read([deep, clear, SAME["WebP, transparent"]], "rules")
    np.testing.assert_array_equal(found[0][..., 1], np.floor(gray * (255 / 4095) + 0.5))
    np.testing.assert_array_equal(found[1], np.asarray(SEEN_THROUGH)[..., :3])
    for one, content in zip(found, (deep, clear, SAME["WebP, transparent"]), strict=True):
        expected = intake.decode(content, max_pixels=10**6, rules=TWELVE_BITS).image.convert("RGB")
        np.testing.assert_array_equal(one, expected)
    gray[2, 3] = 5000
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=r"image_bytes\[0\]: the value 5000, above --max_value=4095",
    ):
        read([encoded(Image.fromarray(gray), "PNG")], "rules")
