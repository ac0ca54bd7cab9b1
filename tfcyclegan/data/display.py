"""Measurements as visible pictures: a window of values, one or three of the channels, a colour map,
and one colour for missing measurements. Imports no TensorFlow, and Matplotlib only for colour maps.

The window belongs to the domain, never to a single picture, so that equal values look alike
everywhere.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcyclegan.data.images import to_uint8
from tfcyclegan.data.values import RangeRequest, Values, own_plane
from tfcyclegan.errors import UserError

GRAY = "gray"
GAP_COLOUR = (255, 0, 255)
"""Magenta, for pixels without a measurement."""
_COLOURS = ("red", "green", "blue")


@dataclass(frozen=True)
class Display:
    """How the values of a domain are shown.

    Attributes:
        bands: the channels to show, from 0: one, or three as red, green and blue.
        low: for each of them, the value that is black.
        high: for each of them, the value that is white.
        colour_map: for one band: GRAY, or the name of a Matplotlib colour map.
        units: units of the window.
        guessed: whether the bands were guessed.
    """

    bands: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    colour_map: str = GRAY
    units: str = ""
    guessed: bool = False

    @property
    def window(self) -> str:
        """Such as "-1000 to 2000 HU"; for three bands one window each if they differ."""
        ends = dict.fromkeys(zip(self.low, self.high, strict=True))
        told = ", ".join(f"{low:g} to {high:g}" for low, high in ends)
        return f"{told} {self.units}".rstrip()

    @property
    def told(self) -> str:
        """All of this in a phrase, for the caption of a picture."""
        numbers = ", ".join(str(band + 1) for band in self.bands)
        bands = (
            f"channels {numbers} as red, green and blue"
            if len(self.bands) == 3
            else f"channel {numbers} in {self.colour_map}"
        )
        guess = ", a guess; --display_bands selects others" if self.guessed else ""
        return f"window {self.window}, {bands}{guess}; gaps in magenta"

    def to_json(self) -> dict[str, Any]:
        return {
            "bands": [band + 1 for band in self.bands],
            "low": list(self.low),
            "high": list(self.high),
            "colour_map": self.colour_map,
            "units": self.units,
            "gaps": list(GAP_COLOUR),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Display":
        return cls(
            tuple(int(band) - 1 for band in stored["bands"]),
            tuple(map(float, stored["low"])),
            tuple(map(float, stored["high"])),
            str(stored["colour_map"]),
            str(stored["units"]),
        )


def display_of(
    values: Values,
    *,
    window: str = "",
    bands: str = "",
    colour_map: str = GRAY,
    domain: str = "the data",
) -> Display:
    """How a domain of `values` is shown; for planes with neighbours, the plane itself.

    Args:
        values: the domain's values.
        window: `--display_range`: LOW:HIGH, or one for each channel of the data, separated by
            commas; empty means the value range.
        bands: `--display_bands`: one channel or three separated by commas, counted from 1; empty
            means those named red, green and blue, otherwise the first three, or the first of two.
        colour_map: `--display_map`, for one band.
        domain: its name in messages.

    Raises:
        UserError: a malformed value, or no such channels or colour map.
    """
    values = own_plane(values)
    chosen, guessed = _bands(bands, values, domain)
    request = RangeRequest.parse("--display_range", window)
    if request.percentiles:
        raise UserError(
            f"--display_range={window}: all pictures of a domain share one window; give its ends "
            "in the units of the data, such as -200:300"
        )
    ends = (
        request.of_channels(values.channels, f"--display_range={window}, {domain}")
        if window
        else list(zip(values.low, values.high, strict=True))
    )
    if colour_map != GRAY and len(chosen) == 3:
        raise UserError(
            f"--display_map={colour_map}: applies to one channel, but {domain} shows three; choose "
            "one with --display_bands"
        )
    _colours_of(colour_map)
    low, high = zip(*(ends[band] for band in chosen), strict=True)
    return Display(chosen, low, high, colour_map, values.units, guessed)


def displays_of(
    values: Mapping[str, Values], *, window: str = "", bands: str = "", colour_map: str = GRAY
) -> dict[str, Display]:
    """How each domain of measurements is shown, by its letter: "A", "B" or both, as in `values`.

    `window` and `bands` apply to both domains, or give one for each, separated by a slash, A's
    first. The colour map applies to domains that show one channel.

    Raises:
        UserError: see `display_of`; also for a colour map if no domain shows one channel, or for
            any of them if both domains hold pictures.
    """
    if not values and (window or bands or colour_map != GRAY):
        raise UserError(
            "--display_range, --display_bands and --display_map: require measurements, but both "
            "domains hold pictures, which are shown unchanged"
        )
    shown = {
        letter: display_of(
            known,
            window=_of_domain("display_range", window, letter),
            bands=_of_domain("display_bands", bands, letter),
            domain=f"domain {letter}",
        )
        for letter, known in values.items()
    }
    mapped = [letter for letter, display in shown.items() if len(display.bands) == 1]
    if colour_map != GRAY and not mapped:
        raise UserError(
            f"--display_map={colour_map}: applies to one channel, but all domains show three; "
            "choose one with --display_bands"
        )
    _colours_of(colour_map)
    return shown | {
        letter: dataclasses.replace(shown[letter], colour_map=colour_map) for letter in mapped
    }


def to_picture(array: np.ndarray, values: Values | None, display: Display | None) -> np.ndarray:
    """Values as shown: uint8 [H, W, 1], or [H, W, 3] with three bands, a colour map, or missing
    measurements.

    Args:
        array: [H, W, C] in the units of the data; for a domain of pictures uint8 [H, W, 1 or 3],
            which is returned unchanged.
        values: the array's values; neighbouring planes are not shown. None for pictures.
        display: how to show it; None means `display_of(values)`.
    """
    if values is None:
        return array
    if values.neighbours:
        array, values = array[..., values.centre], own_plane(values)
    display = display or display_of(values)
    picture = levels(array, values, display)
    if display.colour_map != GRAY:
        picture = _colours_of(display.colour_map)[picture[..., 0]]
    gaps = values.invalid(array[..., list(display.bands)]).any(axis=-1)
    if gaps.any():
        picture = np.broadcast_to(picture, (*picture.shape[:2], 3)).copy()
        picture[gaps] = GAP_COLOUR
    return picture


def seen_to_picture(seen: np.ndarray, values: Values | None, display: Display | None) -> np.ndarray:
    """Like `to_picture`, for networks' inputs and outputs: floats [H, W, C] in [-1, 1], NaN where
    there is no measurement.
    """
    if values is None:
        return to_uint8(seen)
    low, high = np.asarray(values.low), np.asarray(values.high)
    units = low + (np.asarray(seen, np.float64) + 1) / 2 * (high - low)
    return to_picture(units, values, display)


def levels(array: np.ndarray, values: Values, display: Display) -> np.ndarray:
    """The bands in their window, without colour map and missing-value colour: uint8 [H, W, 1 or 3]
    from black to white, black where a pixel is invalid. This is the input of measures for 8-bit
    pictures.
    """
    shown = array[..., list(display.bands)]
    invalid = values.invalid(shown)
    low, high = np.asarray(display.low), np.asarray(display.high)
    # float64 before the subtraction: unsigned types wrap, and float32 far from zero is coarse
    share = np.where(invalid, 0, (shown.astype(np.float64) - low) / (high - low))
    return np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)


def _bands(text: str, values: Values, domain: str) -> tuple[tuple[int, ...], bool]:
    """The channels to show, from 0, and whether they were guessed."""
    if text:
        parts = text.split(",")
        numbers = [int(part) for part in parts if part.isascii() and part.isdigit()]
        if len(numbers) != len(parts) or len(parts) not in (1, 3):
            raise UserError(
                f"--display_bands={text}: give one or three channels, counted from 1, such as 4,3,2"
            )
        if wrong := [number for number in numbers if not 1 <= number <= values.channels]:
            raise UserError(
                f"--display_bands={text}: there is no channel {wrong[0]}; {domain} has "
                f"{values.channels}"
            )
        return tuple(number - 1 for number in numbers), False
    names = [name.casefold() for name in values.names]
    if all(names.count(colour) == 1 for colour in _COLOURS):
        return tuple(names.index(colour) for colour in _COLOURS), False
    return (0, 1, 2) if values.channels >= 3 else (0,), values.channels > 1


def _of_domain(flag: str, text: str, letter: str) -> str:
    parts = text.split("/")
    if len(parts) > 2 or (len(parts) == 2 and not all(parts)):
        raise UserError(
            f"--{flag}={text}: give one value for both domains, or A's and B's separated by a slash"
        )
    return parts[0] if letter == "A" else parts[-1]


def _colours_of(colour_map: str) -> np.ndarray:
    """The colours of 256 levels, uint8 [256, 3]."""
    if colour_map == GRAY:
        return np.repeat(np.arange(256, dtype=np.uint8)[:, np.newaxis], 3, axis=1)
    import matplotlib

    if colour_map not in matplotlib.colormaps:
        raise UserError(
            f"--display_map={colour_map}: not a Matplotlib colour map; choose one such as viridis, "
            "magma or bone"
        )
    colours = matplotlib.colormaps[colour_map](np.linspace(0, 1, 256), bytes=True)
    return np.asarray(colours[:, :3], np.uint8)


def in_rgb(picture: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 1 or 3] as [H, W, 3], for strips that mix both."""
    return np.broadcast_to(picture, (*picture.shape[:2], 3))


def told(displays: Mapping[str, Display]) -> list[str]:
    """One line for each domain's display."""
    return [f"display of {letter}: {display.told}" for letter, display in displays.items()]
