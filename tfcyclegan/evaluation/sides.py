"""One domain in an evaluation: how its stored data are loaded and converted for the measures."""

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from tfcyclegan.data import display, images, stored
from tfcyclegan.data.display import Display
from tfcyclegan.data.domains import Split
from tfcyclegan.data.images import Scale
from tfcyclegan.data.picture_folders import measurement_name, pictures_of_split
from tfcyclegan.data.values import Values, own_plane
from tfcyclegan.errors import UserError
from tfcyclegan.evaluation.spool import Spool
from tfcyclegan.measures.pictures import Made, Pictures
from tfcyclegan.measures.value_controls import picture_values

REFERENCES = 1000
"""Number of real pictures or measurements of a split to use, evenly spread."""
_REFERENCE_BYTES = 2**30
"""Their size in memory, which limits the number of large ones."""


@dataclass(frozen=True)
class Side:
    """A domain.

    Attributes:
        channels: channels of its pictures, 1 or 3.
        scale: size of its pictures, or None. Measurements keep their size.
        stored: values of its measurements as stored, with neighbouring planes; None for pictures.
        display: how measurements are displayed; None for pictures.
        noted: notes of `intake` on pictures that were not stored by data_prep, counted during
            loading.
    """

    channels: int
    scale: Scale | None
    stored: Values | None = None
    display: Display | None = None
    noted: Counter[str] = field(default_factory=Counter)

    @property
    def values(self) -> Values:
        """The values without neighbouring planes; for pictures, those of 8 bit."""
        return picture_values(self.channels) if self.stored is None else own_plane(self.stored)

    def load(self, split: Split, spool: Spool, step: int = 1) -> Pictures:
        """Every `step`th picture, uint8 [H, W, C], or measurement, [H, W, C] with its neighbouring
        planes, by name.
        """
        if self.stored is not None:
            return spool.keep(itertools.islice(arrays_of_split(split), 0, None, step))
        stored = itertools.islice(pictures_of_split(split.source, split.name), 0, None, step)
        return spool.keep((name, self._decode(split, encoded)) for name, encoded in stored)

    def _decode(self, split: Split, encoded: bytes) -> np.ndarray:
        image, decoded = stored.decode(split.source, encoded, self.channels)
        self.noted.update(decoded.notes if decoded else ())
        scaled = self.scale(image, nearest=split.holds_label_maps) if self.scale else image
        return images.to_array(scaled)

    def own(self, array: np.ndarray) -> np.ndarray:
        """A measurement without the neighbouring planes that may be stored with it."""
        return array if self.stored is None else array[..., self.stored.centre]

    def gaps(self, array: np.ndarray) -> np.ndarray:
        """Where a channel is invalid, so that no translation is possible: bool [H, W, 1]; nowhere
        in pictures.
        """
        if self.stored is None:
            return np.zeros((*array.shape[:2], 1), bool)
        invalid: np.ndarray = np.any(self.stored.invalid(array), axis=-1, keepdims=True)
        return invalid

    def displayed(self, pictures: Pictures) -> Pictures:
        """The pictures, or `load`ed measurements, as seen by measures made for pictures."""
        return pictures if self.display is None else Made(self.levels, Made(self.own, pictures))

    def levels(self, array: np.ndarray) -> np.ndarray:
        """An array without neighbouring planes as seen by measures made for pictures, uint8
        [H, W, 1 or 3].
        """
        return array if self.display is None else display.levels(array, self.values, self.display)

    def picture(self, array: np.ndarray) -> np.ndarray:
        """An array without neighbouring planes as shown to people, uint8 [H, W, 1 or 3]."""
        return display.to_picture(array, self.values if self.stored else None, self.display)

    def step(self, split: Split) -> int:
        """The step at which `load` yields at most REFERENCES, and no more than fit into memory."""
        most = REFERENCES
        if self.stored is not None:
            _, first = next(arrays_of_split(split))
            most = max(1, min(most, _REFERENCE_BYTES // (2 * first.nbytes)))
        return max(1, -(-split.count // most))


def arrays_of_split(split: Split) -> Iterator[tuple[str, np.ndarray]]:
    """(name, array) of each measurement, named by `measurement_name`."""
    known: set[str] = set()
    for filename, array in split.source.arrays(split.name):
        name = measurement_name(filename, split.name)
        if name in known:
            raise UserError(
                f"{split}: two measurements are called {name}; rename one of the files and "
                "prepare the data again"
            )
        known.add(name)
        yield name, array


def subjects_of_split(split: Split) -> dict[str, str]:
    """The subject, scene or file that each measurement belongs to, by the measurement's name."""
    return {
        measurement_name(example.filename, split.name): example.group
        for example in split.source.examples(split.name)
    }
