"""Files that can be read in more than one way: what decides, what is told, and what is refused."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.test_intake import DEEP, GRADIENT, encoded, png_16
from tfcyclegan.data import intake, notes, pages
from tfcyclegan.data.notes import LeftOut
from tfcyclegan.data.rules import settings

LIMIT = 10_000
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
FRAMES = [Image.new("RGB", (8, 8), colour) for colour in COLOURS]


def decoded(content: bytes, page: int | None = None, **rules) -> intake.Decoded:
    return intake.decode(
        content, max_pixels=LIMIT, rules=intake.Rules(**rules, by_flags=True), page=page
    )


def values(content: bytes, page: int | None = None, **rules) -> list:
    return np.asarray(decoded(content, page, **rules).image).tolist()


RGBA = encoded(
    Image.fromarray(
        np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [255, 0, 0, 128]]], dtype=np.uint8)
    ),
    "PNG",
)


def test_transparency_is_laid_on_white_dropped_refused_or_kept():
    assert values(RGBA) == [[[10, 20, 30], [255, 255, 255], [255, 127, 127]]]
    assert values(RGBA, alpha="drop") == [[[10, 20, 30], [10, 20, 30], [255, 0, 0]]]
    assert decoded(RGBA, alpha="drop").notes == {intake.OPAQUE} and isinstance(
        intake.OPAQUE, LeftOut
    )
    with pytest.raises(
        intake.BadPicture,
        match="has transparency; --alpha=white composites it onto white, or save it without",
    ):
        decoded(RGBA, alpha="refuse")
    kept = decoded(RGBA, alpha="keep")
    assert np.asarray(kept.alpha).tolist() == [[255, 0, 128]] and kept.notes == {intake.KEPT}
    np.testing.assert_array_equal(np.asarray(kept.image), values(RGBA))


def test_alpha_that_hides_nothing_is_no_transparency():
    content = encoded(Image.fromarray(GRADIENT).convert("RGBA"), "PNG")
    for alpha in ("white", "drop", "refuse"):
        assert (
            values(content, alpha=alpha) == GRADIENT.tolist()
            and not decoded(content, alpha=alpha).notes
        )
    assert np.asarray(decoded(content, alpha="keep").alpha).min() == 255


def test_a_picture_of_which_nothing_would_be_seen_is_refused():
    content = encoded(Image.new("RGBA", (4, 4), (1, 2, 3, 0)), "TGA")
    with pytest.raises(
        intake.BadPicture,
        match="transparent everywhere, so all would be white; --alpha=drop uses its colours",
    ):
        decoded(content)
    assert values(content, alpha="drop") == np.full((4, 4, 3), (1, 2, 3)).tolist()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_frame_is_a_picture(kind):
    options = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}.get(
        kind, {}
    )
    content = encoded(FRAMES[0], kind, save_all=True, append_images=FRAMES[1:], **options)
    assert pages.of_bytes(content).places == [0, 1, 2]
    for page, colour in enumerate(COLOURS):
        assert np.abs(np.asarray(values(content, page)) - colour).max() <= (
            2 if kind == "AVIF" else 0
        )
        assert decoded(content, page).notes == {intake.PAGE}
    assert intake.FIRST_FRAME in decoded(content).notes and values(content)[0][0] == pytest.approx(
        COLOURS[0], abs=2
    )


def test_frames_of_an_animation_are_composed():
    """The second frame changes one corner; what it leaves out is the first one's."""
    first = Image.new("RGB", (8, 8), (200, 0, 0))
    second = first.copy()
    second.paste((0, 0, 200), (0, 0, 2, 2))
    content = encoded(first, "GIF", save_all=True, append_images=[second])
    np.testing.assert_array_equal(np.asarray(values(content, 1)), np.asarray(second))


def test_further_views_of_a_jpeg_are_told_and_are_no_pages():
    # a copy, since Pillow leaves the settings of an MPO on the pictures that it appends, which no
    # TIFF can then be made of
    content = encoded(
        FRAMES[0].resize((16, 16)), "MPO", save_all=True, append_images=[FRAMES[1].copy()]
    )
    assert pages.of_bytes(content) == pages.ONE
    assert decoded(content).notes == {intake.OTHER_VIEWS}
    assert np.abs(np.asarray(values(content)) - COLOURS[0]).max() <= 2


def test_damaged_and_foreign_files_count_as_one():
    for content in (b"", b"words", b"II*\0" + b"\xff" * 40, b"GIF89a", RGBA):
        assert pages.of_bytes(content) == pages.ONE


def test_the_largest_value_is_told_and_decides_where_it_is_given():
    """1000 / 4095 * 255 = 62.3; 16-bit values are divided by 257 where nothing is said: 4095 / 257
    = 15.93.
    """
    twelve = encoded(Image.fromarray(np.array([[0, 1000, 4095]], dtype=np.uint16)), "PNG")
    assert (values(twelve), decoded(twelve).largest) == ([[0, 4, 16]], 4095)
    assert (values(twelve, max_value=4095), decoded(twelve, max_value=4095).largest) == (
        [[0, 62, 255]],
        0,
    )
    with pytest.raises(intake.BadPicture, match="has the value 4095, above --max_value=1023"):
        decoded(twelve, max_value=1023)
    colour = png_16(np.array([[[0, 1000, 4095]]], dtype=np.uint16), 2)
    assert values(colour, max_value=4095) == [[[0, 62, 255]]] and decoded(colour).largest == 4095
    assert decoded(encoded(Image.fromarray(GRADIENT), "PNG"), max_value=4095).kept, (
        "pictures of 8 bit are what they are"
    )
    assert values(
        b"P5 3 1 4095\n" + np.array([0, 1000, 4095], ">u2").tobytes(), max_value=1023
    ) == [[0, 62, 255]], "it tells its own"
    rgba = png_16(np.array([[[0, 1000, 4095, 65535]]], dtype=np.uint16), 6)
    assert values(rgba, max_value=4095) == [[[0, 62, 255]]], "alpha keeps the range of its type"


def test_what_is_told_of_a_dark_set():
    assert (
        notes.dim(4000)
        == "16-bit values end at 4000 of 65535, so pictures become dark; --max_value=4095 makes "
        "4095 white"
    )
    assert "--max_value=1023 makes" in notes.dim(1023) and "--max_value=16383" in notes.dim(9000)
    assert notes.dim(0) == notes.dim(40_000) == ""


def profile(space: str, primaries: tuple[tuple[float, float, float], ...] = ()) -> bytes:
    """An ICC profile with nothing but primaries in D50."""
    data = b"".join(
        b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in row))
        for row in primaries
    )
    names = (b"rXYZ", b"gXYZ", b"bXYZ")[: len(primaries)]
    table = b"".join(
        struct.pack(">4sII", name, 132 + 12 * len(names) + 20 * place, 20)
        for place, name in enumerate(names)
    )
    body = struct.pack(">I", len(names)) + table + data
    head = struct.pack(">I4s4s4s4s", 128 + len(body), b"test", b"\4\0\0\0", b"mntr", space.encode())
    return head.ljust(36, b"\0") + b"acsp" + b"\0" * 88 + body


DISPLAY_P3 = profile(
    "RGB ", ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("icc, told", [(DISPLAY_P3, True), (SRGB, False), (profile("RGB "), True)])
def test_profiles_other_than_srgb_are_told_and_bytes_are_kept(kind, icc, told):
    content = encoded(Image.fromarray(GRADIENT), kind, icc_profile=icc)
    found = decoded(content)
    assert found.notes == (
        {LeftOut("a colour profile other than sRGB, which is not applied")} if told else set()
    )
    assert bool(found.kept) == (kind in ("JPEG", "PNG"))


def test_gray_profiles_are_told_unless_they_are_those_of_screens():
    gray = Image.fromarray(GRADIENT).convert("L")
    assert (
        len(decoded(encoded(gray, "PNG", icc_profile=profile("GRAY") + b"Dot Gain 20%")).notes) == 1
    )
    assert not decoded(encoded(gray, "PNG", icc_profile=profile("GRAY") + b"Gray Gamma 2.2")).notes


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_gamma_and_high_dynamic_range_are_told():
    plain = encoded(Image.fromarray(GRADIENT), "PNG")
    linear = plain[:33] + chunk(b"gAMA", struct.pack(">I", 100_000)) + plain[33:]
    usual = plain[:33] + chunk(b"gAMA", struct.pack(">I", 45_455)) + plain[33:]
    hdr = plain[:33] + chunk(b"cICP", bytes((9, 16, 0, 1))) + plain[33:]
    told = [sorted(decoded(content).notes) for content in (linear, usual, hdr)]
    assert told == [
        ["a gamma other than that of sRGB, which is not applied"],
        [],
        ["high dynamic range (PQ or HLG), which is not applied"],
    ]


def test_cmyk_is_told_and_refused_where_its_sense_is_not_known():
    jpeg = encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100)
    assert decoded(jpeg).notes == {intake.CMYK}
    mark = jpeg.index(b"\xff\xee")
    without = jpeg[:mark] + jpeg[mark + 2 + int.from_bytes(jpeg[mark + 2 : mark + 4], "big") :]
    with pytest.raises(intake.BadPicture, match="a CMYK JPEG without Adobe's marker"):
        decoded(without)


def test_jpeg_2000_of_more_than_8_bit_is_told_and_signed_is_refused():
    gray = encoded(Image.fromarray(DEEP), "JPEG2000", irreversible=False)
    assert decoded(gray).notes == {intake.SCALED}
    colour = bytearray(encoded(Image.fromarray(GRADIENT), "JPEG2000"))
    sizes = colour.index(b"\xff\x4f\xff\x51") + 42
    assert colour[sizes] == 7, "8 bits"
    colour[sizes] |= 128
    with pytest.raises(intake.BadPicture, match="signed values"):
        decoded(bytes(colour))


@pytest.mark.parametrize(
    "content, told",
    [
        (
            b"\0" * 128 + b"DICM" + b"\0" * 100,
            "a DICOM file, which cannot be read here; save it as 8-bit or 16-bit PNG or TIFF, or "
            "prepare its values with data_prep.dicom",
        ),
        (b"\x5c\x01\0\0" + b"\0" * 340 + b"n+1\0", "a NIfTI file"),
        (b"\x93NUMPY\1\0", "a NumPy array"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 20, "a HEIC picture"),
        (
            b"\0\0\0\x18ftypisom" + b"\0" * 20,
            "a video, which cannot be read here; save its frames as PNG",
        ),
        (b"PK\3\4" + b"\0" * 20, "a ZIP archive, which cannot be read here; unpack it"),
        (b"%PDF-1.7\n", "a PDF file"),
        (b"\x76\x2f\x31\x01" + b"\0" * 20, "an OpenEXR picture"),
    ],
)
def test_foreign_files_are_named(content, told):
    with pytest.raises(intake.BadPicture, match=told):
        decoded(content)


def test_flags_are_named_where_there_are_some():
    assert settings(intake.Rules(by_flags=True)) == {}
    assert settings(intake.Rules(alpha="drop", max_value=4095)) == {
        "alpha": "drop",
        "max_value": 4095,
    }
    with pytest.raises(intake.BadPicture, match=r"^has transparency; save it without$"):
        intake.decode(RGBA, max_pixels=LIMIT, rules=intake.Rules(alpha="refuse"))
