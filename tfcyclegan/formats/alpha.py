"""What the band of a TIFF or PNG that is declared transparency means. Imports no TensorFlow.

Programs declare the fourth of four bands so whether or not it is: near infrared beside three
colours is then taken for a mask. So the person decides.
"""

from dataclasses import dataclass

import numpy as np

from tfcyclegan.config.reading import ALPHA_BANDS
from tfcyclegan.data.intake import BadPicture
from tfcyclegan.data.notes import LeftOut
from tfcyclegan.errors import UserError


@dataclass(frozen=True)
class Bands:
    """Which bands of a file are read.

    Attributes:
        kept: places of the channels.
        mask: of the band whose zeros are gaps; None where there is none.
        notes: on what was decided.
    """

    kept: tuple[int, ...]
    mask: int | None = None
    notes: tuple[str, ...] = ()

    def hidden(self, samples: np.ndarray) -> np.ndarray | None:
        """Where the mask among all bands [H, W, C] says so: [H, W, 1], or None without one."""
        return None if self.mask is None else samples[..., self.mask, np.newaxis] == 0


def decide(alpha_band: str, count: int, place: int | None) -> Bands:
    """What is read of `count` bands, of which that at `place` is declared transparency.

    Args:
        alpha_band: one of ALPHA_BANDS: "values" is a channel as the others, "mask" says where gaps
            are, "drop" leaves it out, "refuse" makes the file a bad one.
        count: of all bands.
        place: None where no band is declared so.

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
            f"{band} is declared transparency; --alpha_band=values takes it as a measurement like "
            "the others, mask as where there is one, drop leaves it out"
        )
    if alpha_band == "values":
        return Bands(every, notes=(f"{band}, declared transparency, taken as a measurement",))
    others = every[:place] + every[place + 1 :]
    if not others:
        raise BadPicture("holds transparency alone")
    if alpha_band == "drop":
        return Bands(others, notes=(LeftOut(f"{band}, declared transparency"),))
    return Bands(others, place, (f"{band}, declared transparency: gaps where it is 0",))
