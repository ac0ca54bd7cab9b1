"""Image operations: values and sizes worked out by hand, Pillow as the reference for resizing."""

import io

import numpy as np
import pytest
from PIL import Image

from tfcyclegan.config import PREPROCESS_MODES, Size
from tfcyclegan.data import images
from tfcyclegan.errors import RunError, UserError


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(height * width).integers(
        0, 256, (height, width, channels), np.uint8
    )


# --- conversion
# --------------------------------------------------------------------------------------------------


def test_all_levels_survive_the_way_there_and_back():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    floats = images.to_float(levels)
    assert floats.dtype == np.float32
    np.testing.assert_allclose(floats, levels / 127.5 - 1, atol=1.2e-7)
    assert (floats.min(), floats.max()) == (-1, 1)
    back = images.to_uint8(floats)
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, levels)


@pytest.mark.parametrize(
    ("value", "level"),
    # level L lies at L / 127.5 - 1 and is taken from half a level below to half a level above
    [
        *[
            (-1.0, 0),
            (-1.5, 0),
            (-np.inf, 0),
            (1.0, 255),
            (1.1, 255),
            (1e9, 255),
            (0.51 / 127.5 - 1, 1),
            (0.49 / 127.5 - 1, 0),
        ],
        *[
            (200.49 / 127.5 - 1, 200),
            (200.51 / 127.5 - 1, 201),
            (0.5, 191),
            (-0.5, 64),
            (254.51 / 127.5 - 1, 255),
        ],
    ],
)
def test_rounds_to_the_nearest_level_and_clips(value, level):
    assert images.to_uint8(np.array([value])) == level


@pytest.mark.parametrize("channels", [1, 3])
def test_png_there_and_back(channels):
    pixels = noise(5, 7, channels)
    decoded = images.decode(images.encode_png(pixels), channels)
    np.testing.assert_array_equal(images.to_array(decoded), pixels)
    assert images.to_array(decoded).shape == (5, 7, channels)


def test_decoding_to_another_channel_count():
    """Gray to RGB repeats; RGB to gray is Pillow's luma (19595 R + 38470 G + 7471 B + 32768) >>
    16.
    """
    gray, colour = noise(3, 4, 1), noise(3, 4, 3)
    np.testing.assert_array_equal(
        images.to_array(images.decode(images.encode_png(gray), 3)), np.repeat(gray, 3, axis=2)
    )
    luma = (colour.astype(np.int64) @ [19595, 38470, 7471] + 32768) >> 16
    np.testing.assert_array_equal(
        images.to_array(images.decode(images.encode_png(colour), 1))[..., 0], luma
    )


def as_kind(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(noise(8, 8, 3)).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"no picture", images.encode_png(noise(30, 30))[:-200], as_kind("EPS"), as_kind("TIFF")],
)
def test_what_is_no_whole_png_or_jpeg_is_refused(content):
    with pytest.raises(RunError, match="not a complete JPEG or PNG"):
        images.decode(content, 3)


# --- sizes
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "size", "load", "crop", "expected"),
    [
        ("resize_and_crop", (100, 50), (286, 286), (256, 256), (286, 286)),
        ("resize_and_crop", (100, 50), (180, 360), (64, 64), (180, 360)),
        ("crop", (101, 53), (286, 286), (48, 48), (101, 53)),
        # sides rounded to multiples of 4, by Python's round: 250 / 4 = 62.5 -> 62, 254 / 4 = 63.5
        # -> 64
        ("none", (250, 254), (286, 286), (256, 256), (248, 256)),
        ("none", (101, 103), (286, 286), (256, 256), (100, 104)),
        ("none", (1, 2), (286, 286), (256, 256), (4, 4)),
        # int(max(load * height / width, crop)) high: 128 * 300 / 200 = 192; 128 * 305 / 200 = 195.2
        ("scale_width_and_crop", (300, 200), (128, 128), (64, 64), (192, 128)),
        ("scale_width_and_crop", (305, 200), (128, 128), (64, 64), (195, 128)),
        # 128 * 50 / 200 = 32 is less than the crop's 64
        ("scale_width_and_crop", (50, 200), (128, 128), (64, 64), (64, 128)),
        ("scale_width_and_crop", (50, 200), (128, 128), (32, 64), (32, 128)),
        # right already, so untouched, odd height and all
        ("scale_width_and_crop", (77, 128), (128, 128), (64, 64), (77, 128)),
        # wide enough but too low: max(128 * 40 / 128, 64)
        ("scale_width_and_crop", (40, 128), (128, 128), (64, 64), (64, 128)),
        # without a crop the official 195 becomes 196 (195 / 4 = 48.75) and 77 becomes 76 (19.25)
        ("scale_width", (305, 200), (128, 128), (64, 64), (196, 128)),
        ("scale_width", (77, 128), (128, 128), (64, 64), (76, 128)),
        ("scale_width", (300, 200), (30, 30), (4, 4), (44, 32)),
    ],
)
def test_resized_sizes(mode, size, load, crop, expected):
    assert images.resized_size(Size(*size), mode, Size(*load), Size(*crop)) == Size(*expected)


def test_unknown_modes_name_the_valid_ones():
    with pytest.raises(
        UserError,
        match=f"preprocess 'zoom': unknown choice; valid are {', '.join(PREPROCESS_MODES)}",
    ):
        images.resized_size(Size(1, 1), "zoom", Size(1, 1), Size(1, 1))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [Size(5, 9), Size(40, 31)], ids=str)
def test_resizing_is_pillow_s_bicubic(size, channels):
    image = images.decode(images.encode_png(noise(20, 24, channels)), channels)
    expected = image.resize((size.width, size.height), Image.BICUBIC)
    np.testing.assert_array_equal(np.asarray(images.resize(image, size)), np.asarray(expected))


def test_resizing_is_antialiased_and_leaves_a_right_size_alone():
    """A fine checkerboard shrunk by 8 is even gray; without antialiasing it is black or white."""
    board = Image.fromarray((np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8))
    small = np.asarray(images.resize(board, Size(8, 8)))[2:-2, 2:-2].astype(int)
    assert np.abs(small - 127.5).max() < 3
    assert images.resize(board, Size(64, 64)) is board


# --- crops and flips
# -------------------------------------------------------------------------------------------------


def places(height: int, width: int) -> np.ndarray:
    """[H, W, 2] whose pixels say where they are."""
    return np.stack(
        np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), axis=-1
    ).astype(np.uint8)


def test_windows_cover_all_places_evenly_and_half_are_mirrored():
    generator, counts, draws = np.random.default_rng(0), {}, 6000
    for _ in range(draws):
        window = images.random_window(places(6, 7), Size(4, 5), True, generator)
        assert window.shape == (4, 5, 2)
        mirrored = window[0, 0, 1] > window[0, -1, 1]
        upright = window[:, ::-1] if mirrored else window
        top, left = upright[0, 0]
        np.testing.assert_array_equal(upright, places(6, 7)[top : top + 4, left : left + 5])
        key = int(top), int(left), bool(mirrored)
        counts[key] = counts.get(key, 0) + 1
    # 3 tops x 3 lefts x 2 ways: 333 each; chi-square with 17 degrees of freedom is below 41 in 99.9
    # % of cases
    assert len(counts) == 18
    assert sum((count - draws / 18) ** 2 / (draws / 18) for count in counts.values()) < 41


def test_options_choose_what_is_done():
    image = places(4, 6)
    for seed in range(20):
        whole = images.random_window(image, None, False, np.random.default_rng(seed))
        np.testing.assert_array_equal(whole, image)
        exact = images.random_window(image, Size(4, 6), False, np.random.default_rng(seed))
        np.testing.assert_array_equal(exact, image)
    flipped = [
        images.random_window(image, None, True, np.random.default_rng(seed))[0, 0, 1] == 5
        for seed in range(200)
    ]
    assert 70 < sum(flipped) < 130


@pytest.mark.parametrize("crop", [Size(1, 2), Size(2, 2), Size(4, 6), None])
@pytest.mark.parametrize("flip", [False, True])
def test_three_draws_whatever_the_options(crop, flip):
    """What a generator gives afterwards is the same for all settings of one picture size."""
    generator, other = np.random.default_rng(3), np.random.default_rng(3)
    images.random_window(places(4, 6), crop, flip, generator)
    images.random_window(places(4, 6), Size(3, 3), True, other)
    assert generator.random() == other.random()


def test_flipping_does_not_move_the_crop():
    for seed in range(30):
        plain = images.random_window(places(9, 9), Size(4, 4), False, np.random.default_rng(seed))
        flipped = images.random_window(places(9, 9), Size(4, 4), True, np.random.default_rng(seed))
        assert np.array_equal(flipped, plain) or np.array_equal(flipped, plain[:, ::-1])


def test_encoded_pictures_are_real_png_files():
    assert Image.open(io.BytesIO(images.encode_png(noise(3, 3)))).format == "PNG"
