"""From which values on a detector calls a translation suspicious or bad.

Set on the real tiles of `data_prep.satellite_map` (72x72 pixels, both directions): a healthy run of
configs/satellite2map.cfg stays "ok" in all of them, and the tiles with a defect put on do not. They
are tested on runs on the synthetic street, which had no part in them. They are rules of thumb.
Excess is beyond the range of real pictures, so that the limits need not know how much real pictures
of a data set differ from each other.
"""

from dataclasses import dataclass

OK, SUSPICIOUS, BAD = "ok", "suspicious", "bad"
SET_ON = "satellite2map tiles"


@dataclass(frozen=True)
class Limits:
    """The excess from which on a value is suspicious, and bad."""

    suspicious: float
    bad: float

    def verdict(self, excess: float) -> str:
        return BAD if excess >= self.bad else SUSPICIOUS if excess >= self.suspicious else OK


CHECKERBOARD = Limits(3.0, 6.0)
"""dB above the range of real pictures."""
BLUR = Limits(1.5, 2.5)
"""How many times below the least of real pictures."""
SPECTRUM = Limits(2.5, 5.0)
"""dB above the range of real pictures."""
COLOUR = Limits(4.0, 12.0)
"""Lab units above the range of real pictures."""
CORRELATION = Limits(0.2, 0.6)
"""Below what the true pictures have; where there are none, below 0, and then never worse than
suspicious.
"""
DIVERSITY = Limits(1.3, 2.5)
"""How many times below the least of real pictures."""
FLAT = Limits(2.0, 5.0)
"""Units of lightness above the range of real pictures. The healthy run on the tiles has .74 and
.67, one-pixel specks have 5.2 and 1.2.

Reset on the tiles after a moved limit, by one who had seen the street's numbers.
"""
CYCLE = Limits(0.6, 0.85)
"""Cycle error over that of another picture's fake: at 1 the translation tells nothing of its
input.
"""
CHANGED = CYCLE
"""On the way from the judge's own error on real photos to that of another picture's labels. No
labelled photos were at hand on which to set limits of its own, so those of the cycle error serve,
which lie on the like way.
"""
UNSEEN = Limits(1.15, 1.5)
"""How many times below the least of the inputs themselves."""
OUTSIDE = Limits(0.05, 0.25)
"""Share of the inputs outside the training's range of luminance, above what chance allows."""
CERTAIN = Limits(0.9, 0.95)
"""Accuracy of the discriminator over the last quarter of training."""
GUESSING = 0.02
"""The same: up to this much above one half it guesses, or is fooled."""
FLAT_CURVE = 0.97
"""A distance to real pictures that in the second half of training fell to no less than this much of
its least in the first is flat.
"""
