"""Options of all commands that read picture files: what decides where a file can be read in more
than one way.
"""

from typing import Any

from tfcyclegan.config.base import option

LARGEST_VALUE = 65535
ALPHA_BANDS = ("refuse", "values", "mask", "drop")
STACKS = ("planes", "channels")


def pages_option() -> Any:
    """Which pictures of a file are taken."""
    return option(
        "all",
        "of files with several pages or frames: all makes NAME_0001, NAME_0002, ... of them",
        choices=("all", "first"),
    )


AS_DATA = "as the run's data were prepared"
_ALPHA = (
    "transparency: white lays it on white, drop takes the colours below it, refuse makes the "
    "picture a bad one"
)
_BANDS = (
    "bands of a TIFF that are neither colours nor transparency: refuse makes the picture a "
    "bad one, drop leaves them out"
)
_VALUE = (
    "value of pictures of more than 8 bit that is white, such as 4095; default: the largest "
    "of their type"
)


def alpha_option() -> Any:
    """What becomes of transparency."""
    return option("white", _ALPHA, choices=("white", "drop", "refuse"))


def extra_bands_option() -> Any:
    """What becomes of bands that are neither colours nor alpha."""
    return option("refuse", _BANDS, choices=("refuse", "drop"))


def alpha_band_option() -> Any:
    """What a band of measurements is that is declared transparency."""
    return option(
        ALPHA_BANDS[0],
        "a band of a TIFF or PNG that is declared transparency, as programs declare the fourth of "
        "any four: values takes it as a measurement like the others, mask as where there is one, "
        "drop leaves it out, refuse makes the file a bad one",
        choices=ALPHA_BANDS,
    )


def stack_option() -> Any:
    """What pages are whose axes nobody tells."""
    return option(
        STACKS[0],
        "the pages of a TIFF that tells no axes: planes, or channels of one plane",
        choices=STACKS,
    )


def max_value_option() -> Any:
    """Which value of deep pictures is white."""
    return option(None, _VALUE, minimum=1, maximum=LARGEST_VALUE)


def translate_alpha_option() -> Any:
    """Likewise, of pictures to be translated."""
    kept = "keep gives the result the transparency of its picture"
    return option(
        "",
        f"{_ALPHA}, {kept}; default: {AS_DATA}, or white",
        choices=("", "white", "drop", "refuse", "keep"),
    )


def translate_extra_bands_option() -> Any:
    """Likewise, of pictures to be translated."""
    return option("", f"{_BANDS}; default: {AS_DATA}, or refuse", choices=("", "refuse", "drop"))


def translate_max_value_option() -> Any:
    """Likewise, of pictures to be translated."""
    return option(
        None,
        f"{_VALUE.partition(';')[0]}; default: {AS_DATA}, or the largest of their type",
        minimum=1,
        maximum=LARGEST_VALUE,
    )
