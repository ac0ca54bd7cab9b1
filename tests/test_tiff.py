"""TIFFs in every layout that tifffile writes: right to the last value, or refused in one line."""

import io
import itertools
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from tfcyclegan.data import intake, pages, tiff

HEIGHT, WIDTH = 20, 24
LIMIT = 10_000
DROP = intake.Rules(extra_bands="drop", by_flags=True)
COLOURS = {"minisblack": 1, "miniswhite": 1, "rgb": 3, "separated": 4}


def written(samples: np.ndarray, **options) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, samples, **options)
    return stream.getvalue()


def pixels(content: bytes, rules: intake.Rules = intake.USUAL) -> tuple[np.ndarray, frozenset[str]]:
    decoded = intake.decode(content, max_pixels=LIMIT, rules=rules)
    return np.asarray(decoded.image).astype(int), decoded.notes


def expected(samples: np.ndarray, photometric: str, extra: str) -> np.ndarray:
    """By TIFF 6.0, in float64: samples [H, W, C] of an unsigned type, of which what is behind the
    colours and alpha is left out.
    """
    count, full = COLOURS[photometric], np.iinfo(samples.dtype).max
    values = samples / full
    colours = 1 - values[..., :1] if photometric == "miniswhite" else values[..., :count]
    if samples.shape[2] > count and extra != "unspecified":
        alpha = values[..., count, np.newaxis]
        if extra == "assocalpha":
            colours = np.minimum(colours / np.maximum(alpha, 1 / full), 1)
        colours = colours * alpha + 1 - alpha
    if photometric == "separated":
        colours = (1 - colours[..., :3]) * (1 - colours[..., 3:])
    return (colours[..., 0] if colours.shape[2] == 1 else colours) * 255


LAYOUTS = [
    (photometric, count, planar, dtype)
    for photometric, count in (
        *(("minisblack", count) for count in (1, 2, 3, 5)),
        *(("rgb", count) for count in (3, 4, 5)),
        ("miniswhite", 1),
        ("separated", 4),
    )
    for planar in (("contig", "separate") if count > 1 else ("contig",))
    for dtype in (np.uint8, np.uint16)
]


@pytest.mark.parametrize("photometric, count, planar, dtype", LAYOUTS)
def test_every_layout_gives_the_values_that_were_written(photometric, count, planar, dtype):
    plain = count == COLOURS[photometric]
    samples = np.random.default_rng(0).integers(
        0, np.iinfo(dtype).max, (HEIGHT, WIDTH, count), dtype, endpoint=True
    )
    stored = (
        samples[..., 0]
        if count == 1
        else samples
        if planar == "contig"
        else np.moveaxis(samples, -1, 0)
    )
    options = {"photometric": photometric, **({"planarconfig": planar} if count > 1 else {})}
    for extra, tile, order in itertools.product(
        ("",) if plain else ("unspecified", "assocalpha", "unassalpha"), (None, (16, 16)), "<>"
    ):
        more = {} if plain else {"extrasamples": [extra] * (count - COLOURS[photometric])}
        for compression, predictor in ((None, None), ("zlib", None), ("zlib", True)):
            content = written(
                stored,
                tile=tile,
                byteorder=order,
                compression=compression,
                predictor=predictor,
                **options,
                **more,
            )
            found, notes = pixels(content, DROP)
            wanted = expected(samples, photometric, extra)
            assert found.shape == wanted.shape
            # alpha and ink are laid on in 8 bits
            bound = 0.5 if (plain and photometric != "separated") or extra == "unspecified" else 1.6
            assert np.abs(found - wanted).max() <= bound + 1e-9, (
                extra,
                tile,
                order,
                compression,
                predictor,
            )
            assert (intake.SCALED in notes) == (dtype == np.uint16)
            assert (intake.ON_WHITE in notes) == (extra in ("assocalpha", "unassalpha"))
            left = count - COLOURS[photometric] - (extra in ("assocalpha", "unassalpha"))
            assert (intake.bands_left_out(left, count) in notes) == (left > 0)
            if left > 0:
                with pytest.raises(
                    intake.BadPicture,
                    match=(
                        rf"{count} bands, of which {left} (is|are) neither colour nor "
                        rf"transparency; save"
                    ),
                ):
                    pixels(content)


def lzw(data: bytes) -> bytes:
    """TIFF's LZW by its literal codes alone, 9 bits each, cleared before the codes grow."""
    codes = [256]
    for start in range(0, len(data), 200):
        codes += [*data[start : start + 200], 256]
    bits = "".join(f"{code:09b}" for code in (*codes, 257))
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")


def by_hand(entries: dict[int, tuple[int, ...]], strips: list[bytes], order: str = "<") -> bytes:
    """A TIFF of the tags `entries` (all of type LONG but BitsPerSample) and its strips."""
    entries = {**entries, 273: tuple(range(len(strips))), 279: tuple(map(len, strips))}
    where = 8
    starts = []
    for strip in strips:
        starts.append(where)
        where += len(strip)
    entries[273] = tuple(starts)
    directory, beyond = struct.pack(order + "H", len(entries)), b""
    place = where + 2 + 12 * len(entries) + 4
    for tag, values in sorted(entries.items()):
        kind, letter = (3, "H") if tag in (258, 338, 339) else (4, "I")
        data = struct.pack(f"{order}{len(values)}{letter}", *values)
        directory += struct.pack(order + "HHI", tag, kind, len(values))
        if len(data) <= 4:
            directory += data.ljust(4, b"\0")
        else:
            directory += struct.pack(order + "I", place + len(beyond))
            beyond += data
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", where)
    return head + b"".join(strips) + directory + struct.pack(order + "I", 0) + beyond


def plain_tags(
    bits: int, samples: int, photometric: int, compression: int = 1, planar: int = 1
) -> dict[int, tuple[int, ...]]:
    return {
        256: (4,),
        257: (2,),
        258: (bits,) * samples,
        259: (compression,),
        262: (photometric,),
        277: (samples,),
        284: (planar,),
    }


def test_16_bit_planes_with_lzw_need_imagecodecs_and_say_so(monkeypatch):
    planes = np.arange(24, dtype="<u2").reshape(3, 2, 4) * 2731
    content = by_hand(
        plain_tags(16, 3, 2, compression=5, planar=2), [lzw(plane.tobytes()) for plane in planes]
    )
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        intake.BadPicture,
        match=(
            "compression 5 needs imagecodecs, which is not installed; pip install imagecodecs, "
            "or save"
        ),
    ):
        pixels(content)
    chunky = np.ascontiguousarray(np.moveaxis(planes, 0, -1))
    found, _ = pixels(by_hand(plain_tags(16, 3, 2, compression=5), [lzw(chunky.tobytes())]))
    np.testing.assert_array_equal(found, (chunky.astype(int) * 255 + 32767) // 65535)


def test_12_bit_packed_is_read_in_the_order_of_bytes_that_is_known_and_refused_in_the_other():
    values = np.array([[0, 1, 2048, 4095], [100, 200, 300, 4000]])
    rows = b"".join(
        int("".join(f"{value:012b}" for value in row), 2).to_bytes(6, "big") for row in values
    )
    found, notes = pixels(by_hand(plain_tags(12, 1, 1), [rows]))
    np.testing.assert_array_equal(found, (values * 255 + 2047) // 4095)
    assert notes == {intake.SCALED}
    with pytest.raises(intake.BadPicture, match="12 bits in this layout"):
        pixels(by_hand(plain_tags(12, 1, 1), [rows], ">"))


def test_samples_without_a_word_on_what_they_are_are_no_transparency():
    """Pillow takes a fourth sample without ExtraSamples for alpha."""
    rgb_and_infrared = np.full((2, 4, 4), 100, np.uint8)
    content = by_hand(plain_tags(8, 4, 2), [rgb_and_infrared.tobytes()])
    with pytest.raises(
        intake.BadPicture, match="4 bands, of which 1 is neither colour nor transparency"
    ):
        pixels(content)
    np.testing.assert_array_equal(pixels(content, DROP)[0], np.full((2, 4, 3), 100))


@pytest.mark.parametrize(
    "samples, options, reason",
    [
        (np.ones((4, 4), np.float32), {}, "floating-point 32-bit values have no known range"),
        (np.ones((4, 4), np.float16), {}, "floating-point 16-bit values"),
        (np.ones((4, 4), np.int8), {}, "signed 8-bit values"),
        (np.ones((4, 4), np.int16), {}, "signed 16-bit values"),
        (np.ones((4, 4), np.uint32), {}, "32-bit values have no known range"),
        (np.ones((4, 4), np.complex64), {}, "complex 64-bit values"),
        (
            np.ones((4, 4, 3), np.uint8),
            {"photometric": "cielab"},
            "its colours are CIELab; save it as gray or RGB",
        ),
        (np.ones((4, 4), np.uint8), {"photometric": "cfa"}, "raw sensor data"),
        (
            np.ones((4, 4, 3), np.uint8),
            {"photometric": "ycbcr"},
            "YCbCr with subsampling or a limited range",
        ),
        (
            np.ones((4, 4), np.uint16),
            {"photometric": "palette", "colormap": np.zeros((3, 65536), np.uint16)},
            "palette with 16 bits",
        ),
        (
            np.ones((4, 16, 16), np.uint8),
            {"volumetric": True, "photometric": "minisblack", "tile": (16, 16, 16)},
            "a volume of 4 layers",
        ),
        (
            np.ones((4, 4, 30), np.uint8),
            {"photometric": "minisblack", "planarconfig": "contig"},
            "30 bands",
        ),
    ],
)
def test_what_is_not_certain_is_refused_in_one_line(samples, options, reason):
    with pytest.raises(intake.BadPicture, match=reason) as caught:
        pixels(written(samples, **options), DROP)
    assert "\n" not in str(caught.value)


def test_a_file_that_ends_early_is_not_filled_with_zeros():
    content = written(
        np.full((3, HEIGHT, WIDTH), 999, np.uint16), photometric="rgb", planarconfig="separate"
    )
    with pytest.raises(intake.BadPicture, match="damaged"):
        pixels(content[:-10])
    with pytest.raises(intake.BadPicture, match=r"lacks parts of its picture|damaged"):
        pixels(by_hand(plain_tags(16, 3, 2, planar=2), [b"\1" * 16, b"\1" * 16, b"\1" * 4]))


def test_orientation_is_applied_to_planes_too():
    planes = np.random.default_rng(0).integers(0, 65536, (3, 4, 6), np.uint16)
    content = written(
        planes, photometric="rgb", planarconfig="separate", extratags=[(274, 3, 1, 6, True)]
    )
    upright = np.rot90(np.moveaxis(planes, 0, -1), -1).astype(int)
    np.testing.assert_array_equal(pixels(content)[0], (upright * 255 + 32767) // 65535)


def test_pages_are_counted_without_their_smaller_copies_and_masks():
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        # two pictures, a smaller copy, a mask
        for level, kind in ((10, 0), (20, 0), (30, 1), (40, 4)):
            values = np.full((4, 4), level, np.uint8) if kind < 4 else np.ones((4, 4), bool)
            writer.write(values, subfiletype=kind, photometric="minisblack", metadata=None)
    content = stream.getvalue()
    assert tiff.list_pages(content) == ([0, 1], 2) and pages.of_bytes(content) == pages.Pages(
        [0, 1], copies=True
    )
    for page, level in enumerate((10, 20)):
        decoded = intake.decode(content, max_pixels=LIMIT, page=page)
        assert np.asarray(decoded.image).tolist() == np.full((4, 4), level).tolist()
        assert decoded.notes == {intake.PAGE}
    assert intake.decode(content, max_pixels=LIMIT).notes == {intake.FIRST_FRAME, intake.COPIES}


def test_pages_in_a_circle_are_damage():
    content = bytearray(by_hand(plain_tags(8, 1, 1), [b"\1" * 8]))
    (header,) = struct.unpack_from("<I", content, 4)
    struct.pack_into(
        "<I", content, header + 2 + 12 * struct.unpack_from("<H", content, header)[0], header
    )
    with pytest.raises(intake.BadPicture, match="damaged: its pages form a cycle"):
        pixels(bytes(content))
    assert pages.of_bytes(bytes(content)) == pages.ONE


def test_an_imagej_stack_under_one_header_is_refused():
    description = "ImageJ=1.54f\nimages=7\nslices=7\n"
    content = written(
        np.zeros((4, 4), np.uint8), photometric="minisblack", description=description, metadata=None
    )
    with pytest.raises(
        intake.BadPicture, match="an ImageJ stack of 7 pictures with a single header"
    ):
        pixels(content)


def test_pictures_inside_the_limit_alone_are_read():
    content = written(
        np.zeros((3, 200, 200), np.uint16), photometric="rgb", planarconfig="separate"
    )
    with pytest.raises(
        intake.BadPicture, match="200x200 is 40000 pixels, more than --max_pixels=10000"
    ):
        pixels(content)


def test_one_bit_scans_and_palettes_are_read():
    bits = np.array([[True, False] * 4])
    for compression in (None, "group4"):
        stream = io.BytesIO()
        Image.fromarray(bits).save(
            stream, "TIFF", **({"compression": compression} if compression else {})
        )
        np.testing.assert_array_equal(pixels(stream.getvalue())[0], bits * 255)
    palette = np.random.default_rng(0).integers(0, 256, (3, 256)).astype(np.uint16) * 257
    indices = np.arange(16, dtype=np.uint8).reshape(4, 4)
    found, _ = pixels(written(indices, photometric="palette", colormap=palette))
    np.testing.assert_array_equal(found, (palette // 257).T[indices])


@pytest.mark.parametrize("photometric, count", [("minisblack", 1), ("rgb", 3), ("rgb", 4)])
def test_pillow_reads_16_bit_where_tifffile_lacks_the_codec(photometric, count, monkeypatch):
    """As with LZW, here with deflate, which both have."""
    monkeypatch.setattr(tiff, "_readable", lambda compression: False)
    samples = np.random.default_rng(0).integers(0, 65536, (HEIGHT, WIDTH, count), np.uint16)
    extra = "unassalpha" if count == 4 else ""
    for tile, order, predictor in itertools.product((None, (16, 16)), "<>", (None, True)):
        options = {"extrasamples": [extra]} if extra else {}
        stored = samples if count > 1 else samples[..., 0]
        content = written(
            stored,
            photometric=photometric,
            compression="zlib",
            tile=tile,
            byteorder=order,
            predictor=predictor,
            **options,
        )
        assert tiff.describe(content, 0).by_pillow
        assert np.abs(pixels(content)[0] - expected(samples, photometric, extra)).max() <= (
            1.6 if extra else 0.5 + 1e-9
        )


def test_bits_that_lie_the_other_way_round():
    values = np.random.default_rng(0).integers(0, 256, (2, 4, 3), np.uint8)
    reversed_bits = np.packbits(
        np.unpackbits(values, axis=-1).reshape(2, 4, 3, 8)[..., ::-1], axis=-1
    )
    found, _ = pixels(by_hand({**plain_tags(8, 3, 2), 266: (2,)}, [reversed_bits.tobytes()]))
    np.testing.assert_array_equal(found, values)


def test_jpeg_inside_a_tiff_is_its_picture():
    ramp = np.add.outer(np.arange(16), np.arange(16)).astype(np.uint8)[..., np.newaxis] * np.array(
        [4, 5, 6], np.uint8
    )
    stream = io.BytesIO()
    Image.fromarray(ramp).save(stream, "TIFF", compression="jpeg", quality=95)
    found, notes = pixels(stream.getvalue())
    assert np.abs(found - ramp).max() <= 6 and not notes
