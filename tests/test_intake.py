"""What becomes of a picture file: pixel values worked out by hand, and the reasons for refusing."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tfcyclegan.data import intake

LIMIT = 10_000


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def taken(content: bytes) -> tuple[np.ndarray, frozenset[str]]:
    picture, notes = intake.take(content, "a.x", max_pixels=LIMIT)
    image = Image.open(io.BytesIO(picture.encoded))
    assert (image.width, image.height) == (picture.width, picture.height)
    assert image.format.lower() == picture.format
    return np.asarray(image), notes


def png_16(samples: np.ndarray, colour_type: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A 16-bit PNG made by the specification, without Pillow. samples: [H, W, C] uint16."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    body = b"".join(chunk(*each) for each in chunks)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + body
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


GRADIENT = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_upright_8_bit_keeps_its_bytes(mode, kind):
    content = encoded(Image.fromarray(GRADIENT).convert(mode), kind)
    picture, notes = intake.take(content, "b/c.x", max_pixels=LIMIT)
    assert picture.encoded == content
    assert (picture.format, picture.filename, picture.height, picture.width) == (
        kind.lower(),
        "b/c.x",
        4,
        6,
    )
    assert not notes


def test_progressive_jpeg_keeps_its_bytes():
    content = encoded(Image.fromarray(GRADIENT), "JPEG", progressive=True)
    assert intake.take(content, "a", max_pixels=LIMIT)[0].encoded == content


@pytest.mark.parametrize(
    "kind, options",
    [
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("BMP", {}),
        ("PPM", {}),
    ],
)
def test_lossless_formats_keep_their_pixels(kind, options):
    pixels, notes = taken(encoded(Image.fromarray(GRADIENT), kind, **options))
    np.testing.assert_array_equal(pixels, GRADIENT)
    assert not notes


# 0 and 65535 are the ends; 128 / 257 = 0.498, 129 / 257 = 0.502; 33000 / 257 = 128.40; 255 / 257 =
# 0.99; 65407 / 257 = 254.502
DEEP = np.array([[0, 65535, 128], [129, 33000, 255], [257, 65407, 65406]], dtype=np.uint16)
SHALLOW = np.array([[0, 255, 0], [1, 128, 1], [1, 255, 254]], dtype=np.uint8)


@pytest.mark.parametrize(
    "kind, options", [("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})]
)
def test_16_bit_gray_is_divided_by_257(kind, options):
    pixels, notes = taken(encoded(Image.fromarray(DEEP), kind, **options))
    np.testing.assert_array_equal(pixels, SHALLOW)
    assert notes == {intake.SCALED}


def test_16_bit_pgm_is_divided_by_257():
    pixels, notes = taken(b"P5 3 3 65535\n" + DEEP.astype(">u2").tobytes())
    np.testing.assert_array_equal(pixels, SHALLOW)
    assert notes == {intake.SCALED}


def test_16_bit_colour_is_divided_by_257():
    pixels, notes = taken(png_16(DEEP.reshape(1, 3, 3), 2))
    np.testing.assert_array_equal(pixels, SHALLOW.reshape(1, 3, 3))
    assert notes == {intake.SCALED}


@pytest.mark.parametrize("order, mark", [("<", b"II*\0"), (">", b"MM\0*")])
def test_16_bit_colour_tiff_in_either_byte_order(order, mark):
    entries = [
        (256, 3, 1, 3),
        (257, 3, 1, 1),
        (258, 3, 3, 0),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, 0),
        (277, 3, 1, 3),
        (278, 3, 1, 1),
        (279, 4, 1, 18),
    ]
    bits_at = 8 + 2 + 12 * len(entries) + 4
    directory = struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        value = {258: bits_at, 273: bits_at + 6}.get(tag, value)
        inline = (
            struct.pack(order + "HH", value, 0)
            if kind == 3 and count == 1
            else struct.pack(order + "I", value)
        )
        directory += struct.pack(order + "HHI", tag, kind, count) + inline
    content = (
        mark
        + struct.pack(order + "I", 8)
        + directory
        + struct.pack(order + "I", 0)
        + struct.pack(order + "HHH", 16, 16, 16)
    )
    pixels, notes = taken(content + DEEP.astype(order + "u2").tobytes())
    np.testing.assert_array_equal(pixels, SHALLOW.reshape(1, 3, 3))
    assert notes == {intake.SCALED}


def test_16_bit_with_alpha_is_scaled_then_laid_on_white():
    half = 32896  # 128 * 257
    gray, notes = taken(png_16(np.array([[[0, 65535], [0, half], [0, 0]]], dtype=np.uint16), 4))
    np.testing.assert_array_equal(gray, [[0, 127, 255]])  # 255 * (1 - 128 / 255) = 127
    assert notes == {intake.SCALED, intake.ON_WHITE}
    colour, _ = taken(
        png_16(np.array([[[65535, 0, 0, half], [257, 514, 771, 65535]]], dtype=np.uint16), 6)
    )
    np.testing.assert_array_equal(colour, [[[255, 127, 127], [1, 2, 3]]])


def test_16_bit_transparent_colour_is_compared_at_full_depth():
    gray = png_16(
        np.array([[[1000], [1001]]], dtype=np.uint16), 0, (b"tRNS", struct.pack(">H", 1000))
    )
    np.testing.assert_array_equal(taken(gray)[0], [[255, 4]])  # 1001 / 257 = 3.89
    colour = png_16(
        np.array([[[1000, 0, 0], [1001, 0, 0]]], dtype=np.uint16),
        2,
        (b"tRNS", struct.pack(">HHH", 1000, 0, 0)),
    )
    np.testing.assert_array_equal(taken(colour)[0], [[[255, 255, 255], [4, 0, 0]]])


def test_transparency_is_laid_on_white():
    rgba = Image.fromarray(
        np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [255, 0, 0, 128]]], dtype=np.uint8)
    )
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("TIFF", {})):
        pixels, notes = taken(encoded(rgba, kind, **options))
        np.testing.assert_array_equal(pixels, [[[10, 20, 30], [255, 255, 255], [255, 127, 127]]])
        assert notes == {intake.ON_WHITE}
    gray, _ = taken(
        encoded(Image.fromarray(np.array([[[7, 255], [7, 0]]], dtype=np.uint8), "LA"), "PNG")
    )
    np.testing.assert_array_equal(gray, [[7, 255]])


def test_palette_and_transparent_palette_entry():
    image = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8), "P")
    image.putpalette([9, 8, 7, 60, 50, 40, 1, 2, 3])
    np.testing.assert_array_equal(
        taken(encoded(image, "PNG"))[0], [[[9, 8, 7], [60, 50, 40], [1, 2, 3]]]
    )
    pixels, notes = taken(encoded(image, "PNG", transparency=1))
    np.testing.assert_array_equal(pixels, [[[9, 8, 7], [255, 255, 255], [1, 2, 3]]])
    assert notes == {intake.ON_WHITE}


def test_transparent_colour_without_alpha_channel_is_not_passed_through():
    content = encoded(Image.fromarray(GRADIENT), "PNG", transparency=(0, 1, 2))
    pixels, notes = taken(content)
    np.testing.assert_array_equal(pixels[0, :2], [[255, 255, 255], [3, 4, 5]])
    assert notes == {intake.ON_WHITE}


def test_one_bit_and_four_bit_become_gray():
    np.testing.assert_array_equal(
        taken(encoded(Image.fromarray(np.array([[True, False]])), "PNG"))[0], [[255, 0]]
    )
    rows = zlib.compress(b"\0\xf3")  # the samples 15 and 3, of 4 bit each
    header = struct.pack(">IIBBBBB", 2, 1, 4, 0, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts
    )
    np.testing.assert_array_equal(taken(content)[0], [[255, 51]])


def test_cmyk_becomes_rgb():
    # R = (255 - C) * (255 - K) / 255
    image = Image.fromarray(
        np.array(
            [[[0, 255, 255, 0], [255, 0, 0, 0], [0, 0, 0, 255], [0, 0, 0, 0]]], dtype=np.uint8
        ),
        "CMYK",
    )
    pixels, _ = taken(encoded(image, "TIFF"))
    np.testing.assert_array_equal(
        pixels, [[[255, 0, 0], [0, 255, 255], [0, 0, 0], [255, 255, 255]]]
    )
    plain = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    jpeg, _ = taken(encoded(plain, "JPEG", quality=100))
    assert np.abs(jpeg.astype(int) - [255, 0, 0]).max() <= 3


# what each orientation needs to stand upright, by the EXIF specification: which corner holds row 0,
# column 0
UPRIGHT = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: np.rot90(p, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_orientation_is_applied(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for kind in ("PNG", "TIFF"):
        pixels, _ = taken(encoded(Image.fromarray(GRADIENT), kind, exif=exif))
        np.testing.assert_array_equal(pixels, UPRIGHT[orientation](GRADIENT), err_msg=kind)
    content = encoded(Image.fromarray(GRADIENT), "JPEG", exif=exif, quality=95)
    picture, _ = intake.take(content, "a", max_pixels=LIMIT)
    assert (picture.encoded == content) == (orientation == 1)
    decoded = np.asarray(Image.open(io.BytesIO(content)))  # as it lies in the file
    np.testing.assert_array_equal(
        np.asarray(Image.open(io.BytesIO(picture.encoded))), UPRIGHT[orientation](decoded)
    )
    assert 0x0112 not in Image.open(io.BytesIO(picture.encoded)).getexif() or orientation == 1


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_first_frame_is_taken(kind):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    options = {"lossless": True} if kind == "WEBP" else {}
    pixels, notes = taken(
        encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    )
    np.testing.assert_array_equal(pixels, np.full((4, 4, 3), (255, 0, 0)))
    assert intake.FIRST_FRAME in notes


def damaged_png(change) -> bytes:
    content = bytearray(
        encoded(
            Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)),
            "PNG",
        )
    )
    change(content)
    return bytes(content)


def flip(position: int):
    def change(content: bytearray) -> None:
        content[position] ^= 1

    return change


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "empty"),
        (b"just words\n", "text"),
        (b"<!DOCTYPE html><html><body>Not found</body></html>", "text"),
        (b"\x00\x01\x02\x03" * 50, "not a picture"),
        (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
            "a PostScript file, which cannot be read here",
        ),
        (encoded(NOISE, "JPEG")[:-1], "truncated"),
        (encoded(NOISE, "JPEG")[:2000], "truncated"),
        (encoded(NOISE, "PNG")[:5000], "damaged"),
        (encoded(NOISE, "PNG")[:-12], "damaged"),
        (encoded(NOISE, "WEBP")[:1000], "damaged|not a picture"),
        (encoded(NOISE, "TIFF")[:5000], "damaged"),
        (encoded(NOISE, "BMP")[:5000], "truncated"),
        (damaged_png(flip(200)), "damaged"),
        (damaged_png(flip(-6)), "damaged"),
        (encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"), "no known range"),
        (encoded(Image.fromarray(np.ones((4, 4), np.int32)), "TIFF"), "no known range"),
        (
            encoded(Image.new("1", (101, 100)), "PNG"),
            "101x100 is 10100 pixels, more than --max_pixels=10000",
        ),
    ],
)
def test_refusals_give_one_line(content, reason):
    with pytest.raises(intake.BadPicture, match=reason) as caught:
        intake.take(content, "a.jpg", max_pixels=LIMIT)
    message = str(caught.value)
    assert message and "\n" not in message and "BytesIO" not in message


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bomb_is_refused_before_it_is_decoded():
    """144 megapixels, whose data would not even decode: only the header may have been read."""
    header = struct.pack(">IIBBBBB", 12000, 12000, 8, 2, 0, 0, 0)
    content = (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + b"IHDR"
        + header
        + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    )
    content += struct.pack(">I", 4) + b"IDAT" + b"junk" + struct.pack(">I", zlib.crc32(b"IDATjunk"))
    with pytest.raises(
        intake.BadPicture, match="12000x12000 is 144000000 pixels, more than --max_pixels=100000000"
    ):
        intake.take(content, "bomb.png", max_pixels=100_000_000)
