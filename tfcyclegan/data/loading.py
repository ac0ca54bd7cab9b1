"""From a record to pixels of the size that a training uses."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from tfcyclegan.config import MODES_WITH_CROP, Size
from tfcyclegan.data import images, stored
from tfcyclegan.data.labels import ClassTable
from tfcyclegan.data.records import Example
from tfcyclegan.data.resampling import resize_values
from tfcyclegan.data.source import DataSource
from tfcyclegan.data.survey import Survey
from tfcyclegan.data.values import Values
from tfcyclegan.errors import RunError, UserError

_FORMAT = 1  # increase it if the pixels for the same settings change


class Loader(ABC):
    """Loads the pictures of one split; threads may share it.

    Attributes:
        name: of what it loads, for messages and directories.
        channels: of the pixels.
        values: the meaning of measurements' numbers; None for pictures.
        survey: what is found meanwhile.
        has_headers: whether `look` reads headers alone, so that the survey knows less.
    """

    name: str
    channels: int
    values: Values | None = None
    has_headers: bool

    def __init__(self, source: DataSource, split: str):
        self.source, self.split, self.survey = source, split, Survey()

    @property
    @abstractmethod
    def identity(self) -> list[Any]:
        """What determines the pixels."""

    @abstractmethod
    def load(self, example: Example) -> tuple[np.ndarray, Size]:
        """The pixels [H, W, C], and the picture's size before resizing.

        Raises:
            UserError: it is smaller than the crop.
            RunError: it is damaged.
        """

    def look(self, example: Example) -> tuple[Size, Size]:
        """The size of what `load` would return, and the picture's own; raises the same."""
        pixels, original = self.load(example)
        return Size(*pixels.shape[:2]), original


class PictureLoader(Loader):
    """Pictures or measurements, resized by one of PREPROCESS_MODES.

    Label maps are resized by the nearest pixel.
    """

    def __init__(
        self,
        source: DataSource,
        split: str,
        *,
        mode: str,
        load_size: Size,
        crop_size: Size,
        channels: int,
        interpolation: str,
    ):
        super().__init__(source, split)
        self.name, self.channels, self.values = split, channels, source.values_of(split)
        self.nearest = split in source.label_maps
        self._mode, self._load_size, self._crop_size = mode, load_size, crop_size
        self._interpolation = interpolation
        self.has_headers = self.values is None and not source.foreign

    @property
    def identity(self) -> list[Any]:
        resampled = "nearest" if self.nearest else self._interpolation
        sizes = str(self._load_size), str(self._crop_size)
        return [
            *(_FORMAT, self.source.fingerprint, self.split, self._mode, *sizes),
            *(self.channels, resampled),
        ]

    def load(self, example: Example) -> tuple[np.ndarray, Size]:
        if self.values is not None:
            return self._load_array(example, self.values)
        recoloured: set[str] = set()
        try:
            image, decoded = stored.decode(self.source, example.encoded, self.channels, recoloured)
        except RunError as error:
            raise self._of(example, error) from error
        if decoded is not None:
            self.survey.add_decoded(decoded)
        before = Size(image.height, image.width)
        after = self._resized(example.filename, before)
        self.survey.note(recoloured, before, after)
        resized = images.resize(image, after, self._interpolation, nearest=self.nearest)
        pixels = images.to_array(resized)
        self.survey.look(example.filename, pixels)
        return pixels, before

    def look(self, example: Example) -> tuple[Size, Size]:
        if not self.has_headers:
            return super().look(example)
        try:
            mode, before = images.header(example.encoded)
        except RunError as error:
            raise self._of(example, error) from error
        after = self._resized(example.filename, before)
        self.survey.note(images.colour_notes(mode, self.channels), before, after)
        return after, before

    def _load_array(self, example: Example, values: Values) -> tuple[np.ndarray, Size]:
        assert example.array is not None
        before = Size(*example.array.shape[:2])
        after = self._resized(example.filename, before)
        self.survey.note(set(), before, after)
        made = resize_values(example.array, values, after, self._interpolation)
        invalid = values.invalid(made)
        if invalid.any():
            self.survey.count_gaps()
        self.survey.look(example.filename, np.where(invalid, 0, made))
        return made, before

    def _resized(self, name: str, size: Size) -> Size:
        """The size to which a picture of `size` is resized."""
        crop = self._crop_size
        resized = images.resized_size(size, self._mode, self._load_size, crop)
        if self._mode in MODES_WITH_CROP and (
            resized.height < crop.height or resized.width < crop.width
        ):
            raise UserError(
                f"--crop_size={crop}: larger than {name} of split {self.split}, which is "
                f"{resized.height}x{resized.width} here; give a crop that fits the smallest picture"
            )
        return resized

    def _of(self, example: Example, error: RunError) -> RunError:
        return RunError(
            f"{self.source.directory}: {example.filename} of split {self.split}: {error}"
        )


class LabelLoader(Loader):
    """Labels as train ids, uint8 [H, W, 1]; ids outside the class table become IGNORED.

    Args:
        source: the data set.
        split: of it.
        size: to which they are resized by the nearest pixel; None keeps theirs.
    """

    channels = 1
    has_headers = True

    def __init__(self, source: DataSource, split: str, size: Size | None):
        super().__init__(source, split)
        self.name, self._size = f"{split}-labels", size
        self._classes: ClassTable = source.require_labels(split)

    @property
    def identity(self) -> list[Any]:
        fingerprint, table = self.source.fingerprint, self._classes.digest
        return [_FORMAT, fingerprint, self.split, "labels", str(self._size), table]

    def load(self, example: Example) -> tuple[np.ndarray, Size]:
        assert example.label is not None
        try:
            image = images.decode(example.label.encoded, 1)
        except RunError as error:
            raise self._of(example, error) from error
        resized = image if self._size is None else images.resize(image, self._size, nearest=True)
        ids = images.to_array(resized)
        self.survey.add_unknown(self._classes.unknown_ids(ids))
        return self._classes.to_train_ids(ids), Size(image.height, image.width)

    def look(self, example: Example) -> tuple[Size, Size]:
        assert example.label is not None
        try:
            _, before = images.header(example.label.encoded)
        except RunError as error:
            raise self._of(example, error) from error
        return self._size or before, before

    def _of(self, example: Example, error: RunError) -> RunError:
        return RunError(
            f"{self.source.directory}: label of {example.filename} of split {self.split}: {error}"
        )
