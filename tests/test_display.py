"""Measurements as pictures: windows, bands, colour maps and gaps, by hand."""

import numpy as np
import pytest

from tfcyclegan.data import display
from tfcyclegan.data.display import GAP_COLOUR, display_of, displays_of, seen_to_picture, to_picture
from tfcyclegan.data.values import Values
from tfcyclegan.errors import UserError
from tfcyclegan.training import strips

CT = Values("int16", (-1000,), (3000,), nodata=-2000, units="HU")
SCENE = Values("uint16", (0,) * 4, (1000, 2000, 4000, 8000))


def test_a_window_clips_in_units_and_rounds():
    array = np.array([[-1000, -200, 50, 300, 3000]], np.int16)[..., np.newaxis]
    shown = to_picture(array, CT, display_of(CT, window="-200:300"))
    assert shown.dtype == np.uint8 and shown.shape == (1, 5, 1)
    assert shown.ravel().tolist() == [0, 0, 128, 255, 255]  # 127.5 to the even level
    # by default the value range: 0 HU is a quarter of it
    assert to_picture(np.zeros((1, 1, 1), np.int16), CT, None).item() == round(255 / 4)


def test_unsigned_values_below_the_window_do_not_wrap_and_far_from_zero_nothing_is_lost():
    values = Values("uint16", (100,), (200,))
    assert to_picture(np.full((1, 1, 1), 90, np.uint16), values, None).item() == 0
    far = Values("float32", (1e7,), (1e7 + 8,))
    array = np.float32([1e7, 1e7 + 2, 1e7 + 4]).reshape(1, 3, 1)
    assert to_picture(array, far, None).ravel().tolist() == [0, 64, 128]


def test_gaps_have_a_colour_of_their_own_and_are_black_for_measures():
    array = np.array([[-2000, 3000]], np.int16)[..., np.newaxis]
    shown = display_of(CT)
    assert to_picture(array, CT, shown).tolist() == [[list(GAP_COLOUR), [255] * 3]]
    assert display.levels(array, CT, shown).tolist() == [[[0], [255]]]
    seen = np.float32([np.nan, 1, -1]).reshape(1, 3, 1)
    assert seen_to_picture(seen, CT, shown).tolist() == [[list(GAP_COLOUR), [255] * 3, [0] * 3]]


def test_what_networks_see_is_shown_like_its_values():
    generator = np.random.default_rng(0)
    array = generator.integers(0, 1000, (5, 6, 4)).astype(np.uint16)
    shown = display_of(SCENE, window="100:900")
    np.testing.assert_array_equal(
        seen_to_picture(SCENE.to_network(array), SCENE, shown), to_picture(array, SCENE, shown)
    )
    picture = generator.integers(0, 256, (3, 3, 3)).astype(np.uint8)
    assert to_picture(picture, None, None) is picture
    assert seen_to_picture(picture / 127.5 - 1, None, None).tolist() == picture.tolist()


def test_bands_are_chosen_named_or_guessed():
    array = np.array([1000, 1000, 1000, 8000], np.uint16).reshape(1, 1, 4)
    guessed = display_of(SCENE)
    assert to_picture(array, SCENE, guessed).ravel().tolist() == [255, 128, 64]
    assert "channels 1, 2, 3 as red, green and blue, a guess; --display_bands" in guessed.told
    chosen = display_of(SCENE, bands="4,3,2")
    assert to_picture(array, SCENE, chosen).ravel().tolist() == [255, 64, 128]
    assert "guess" not in chosen.told
    names = Values("uint8", (0,) * 4, (255,) * 4, names=("Blue", "Green", "Red", "NIR"))
    assert display_of(names).bands == (2, 1, 0) and not display_of(names).guessed
    two = display_of(Values("uint8", (0, 0), (255, 255)))
    assert two.bands == (0,) and two.guessed


def test_a_colour_map_is_matplotlib_s():
    values = Values("float32", (0,), (1,), units="K")
    shown = display_of(values, colour_map="viridis")
    array = np.float32([0, 1, np.nan]).reshape(1, 3, 1)
    ends = [[68, 1, 84], [253, 231, 36], list(GAP_COLOUR)]
    assert to_picture(array, values, shown).tolist() == [ends]
    assert shown.told == "window 0 to 1 K, channel 1 in viridis; gaps in magenta"


def test_domains_have_windows_and_bands_of_their_own():
    both = displays_of({"A": SCENE, "B": CT}, window="0:500/-200:300", bands="4,3,2/1")
    assert both["A"].window == "0 to 500" and both["A"].bands == (3, 2, 1)
    assert both["B"].window == "-200 to 300 HU"
    mapped = displays_of({"A": SCENE, "B": CT}, colour_map="magma")
    assert (mapped["A"].colour_map, mapped["B"].colour_map) == ("gray", "magma")
    assert displays_of({}) == {}
    again = display.Display.from_json(mapped["B"].to_json())
    assert again == mapped["B"]


@pytest.mark.parametrize(
    "given, told",
    [
        ({"window": "5:1"}, "--display_range=5:1: the lower end comes first"),
        ({"window": "p1:p99"}, "--display_range=p1:p99: all pictures of a domain share one window"),
        ({"window": "0:1,0:2"}, "gives 2 ranges, but the data has 4 channels"),
        ({"window": "0:1/"}, "A's and B's separated by a slash"),
        ({"bands": "5"}, "--display_bands=5: there is no channel 5; domain A has 4"),
        ({"bands": "1,2"}, "--display_bands=1,2: give one or three channels"),
        ({"bands": "red"}, "--display_bands=red: give one or three channels"),
        ({"bands": "1", "colour_map": "sunny"}, "--display_map=sunny: not a Matplotlib colour map"),
        ({"colour_map": "magma"}, "--display_map=magma: applies to one channel"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_a_line(given, told):
    with pytest.raises(UserError, match=told):
        displays_of({"A": SCENE}, **given)


def test_strips_show_gaps_and_each_domain_in_its_own_way():
    """Networks see -1 in gaps, eyes the colour of gaps, in what is made of the picture too."""
    seen = []

    def forward(batch):
        seen.append(batch)
        return np.concatenate([batch] * 4, axis=-1) * np.float32(0)

    picture = np.float32([[-1, 1, np.nan]])[..., np.newaxis]
    shows = tuple(
        lambda image, of=of: seen_to_picture(image, of, display_of(of)) for of in (CT, SCENE)
    )
    drawn = strips.strip([picture], forward, None, identity=False, shows=shows)
    assert seen[0].ravel().tolist() == [-1, 1, -1]
    white, magenta = [255] * 3, list(GAP_COLOUR)
    assert drawn.tolist() == [[[0] * 3, white, magenta, white, white, *[[128] * 3] * 2, magenta]]


def test_of_planes_with_neighbours_the_plane_itself_is_shown():
    stack = Values("uint8", (0,) * 3, (255,) * 3, neighbours=1)
    array = np.array([10, 20, 30], np.uint8).reshape(1, 1, 3)
    assert not display_of(stack).guessed
    assert to_picture(array, stack, display_of(stack)).ravel().tolist() == [20]
