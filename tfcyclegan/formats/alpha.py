"""How to treat a band of a TIFF or PNG that is declared as transparency. Imports no TensorFlow.

Programs declare the fourth of four bands as transparency whether or not it is, so that near
infrared beside three colours looks like a mask. Therefore the user decides.
"""

from dataclasses import dataclass

import numpy as np

from tfcyclegan.config.reading import ALPHA_BANDS
from tfcyclegan.data.intake import BadPicture
from tfcyclegan.data.notes import LeftOut
from tfcyclegan.errors import UserError


@dataclass(frozen=True)
class Bands:
    """The bands of a file to read.

    Attributes:
        kept: indices of the bands that are channels.
        mask: index of the band whose zeros mark missing measurements; None if there is none.
        notes: notes on the choice.
    """

    kept: tuple[int, ...]
    mask: int | None = None
    notes: tuple[str, ...] = ()

    def hidden(self, samples: np.ndarray) -> np.ndarray | None:
        """Where the mask among all bands [H, W, C] marks missing measurements: [H, W, 1], or None
        without a mask.
        """
        return None if self.mask is None else samples[..., self.mask, np.newaxis] == 0


def decide(alpha_band: str, count: int, place: int | None) -> Bands:
    """The bands to read out of `count`, of which that at index `place` is declared as transparency.

    Args:
        alpha_band: one of ALPHA_BANDS: "values" reads it as a channel, "mask" as the mask of valid
            pixels, "drop" leaves it out, "refuse" makes the file bad.
        count: number of all bands.
        place: None if no band is declared as transparency.

    Raises:
        BadPicture: it is refused, or no band is left.
    """
    if alpha_band not in ALPHA_BANDS:
        raise UserError(f"--alpha_band={alpha_band}: must be one of {', '.join(ALPHA_BANDS)}")
    every = tuple(range(count))
    if place is None:
        return Bands(every)
    band = f"band {place + 1} of {count}"
    if alpha_band == "refuse":
        raise BadPicture(
            f"{band} is declared as transparency; --alpha_band=values reads it as a measurement "
            "like the others, mask as the mask of valid pixels, drop leaves it out"
        )
    if alpha_band == "values":
        return Bands(every, notes=(f"{band}, declared as transparency, read as a measurement",))
    others = every[:place] + every[place + 1 :]
    if not others:
        raise BadPicture("holds only transparency")
    if alpha_band == "drop":
        return Bands(others, notes=(LeftOut(f"{band}, declared as transparency"),))
    return Bands(
        others, place, (f"{band}, declared as transparency: no measurement where it is 0",)
    )
