"""Options of all commands that read picture files: how to read a file that can be read in more than
one way.
"""

from typing import Any

from tfcyclegan.config.base import option

LARGEST_VALUE = 65535
ALPHA_BANDS = ("refuse", "values", "mask", "drop")
STACKS = ("planes", "channels")


def pages_option() -> Any:
    """Which pictures of a file to read."""
    return option(
        "all",
        "files with several pages or frames: all makes pictures NAME_0001, NAME_0002, ... of them",
        choices=("all", "first"),
    )


AS_DATA = "as the run's data were prepared"
_ALPHA = (
    "transparency: white composites onto white, drop uses the colours without the alpha channel, "
    "refuse counts the picture as bad"
)
_BANDS = (
    "bands of a TIFF that are neither colours nor transparency: refuse counts the picture as bad, "
    "drop leaves them out"
)
_VALUE = (
    "value that is white in pictures of more than 8 bits, such as 4095; default: the largest of "
    "their type"
)


def alpha_option() -> Any:
    """How to treat transparency."""
    return option("white", _ALPHA, choices=("white", "drop", "refuse"))


def extra_bands_option() -> Any:
    """How to treat bands that are neither colours nor alpha."""
    return option("refuse", _BANDS, choices=("refuse", "drop"))


def alpha_band_option() -> Any:
    """How to treat a band of measurements that is declared as transparency."""
    return option(
        ALPHA_BANDS[0],
        "a band of a TIFF or PNG that is declared as transparency, as many programs declare the "
        "fourth of four bands: values reads it as a measurement like the others, mask as the mask "
        "of valid pixels, drop leaves it out, refuse counts the file as bad",
        choices=ALPHA_BANDS,
    )


def stack_option() -> Any:
    """How to read the pages of a TIFF without information on its axes."""
    return option(
        STACKS[0],
        "the pages of a TIFF without information on its axes: planes, or channels of one plane",
        choices=STACKS,
    )


def max_value_option() -> Any:
    """Which value is white in pictures of more than 8 bits."""
    return option(None, _VALUE, minimum=1, maximum=LARGEST_VALUE)


def translate_alpha_option() -> Any:
    """Likewise, for pictures to be translated."""
    kept = "keep copies the picture's transparency to the result"
    return option(
        "",
        f"{_ALPHA}, {kept}; default: {AS_DATA}, or white",
        choices=("", "white", "drop", "refuse", "keep"),
    )


def translate_extra_bands_option() -> Any:
    """Likewise, for pictures to be translated."""
    return option("", f"{_BANDS}; default: {AS_DATA}, or refuse", choices=("", "refuse", "drop"))


def translate_max_value_option() -> Any:
    """Likewise, for pictures to be translated."""
    return option(
        None,
        f"{_VALUE.partition(';')[0]}; default: {AS_DATA}, or the largest of their type",
        minimum=1,
        maximum=LARGEST_VALUE,
    )
