"""Label maps as classes: pictures in the colours of a table of classes <-> one channel a class.

Pictures of label maps stay what they are everywhere outside of the networks: RGB in [-1, 1], on
disk and in pages. Networks of `--labels_a=onehot` or `--labels_b=onehot` see them as `encode` gives
them, and what they make becomes a picture again by `decode`.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfcyclegan.data.labels import ClassTable
from tfcyclegan.errors import UserError

LARGEST = 3e38
"""A sum of scores beyond it, or none, says that one of them is no number."""


@dataclass(frozen=True)
class LabelCoding:
    """The channels that stand for the colours of a table.

    The first channels are the classes that count, by train id. One more stands for all that does
    not count, if the table has colours for that: a label map that has such places has to show them,
    but a translation never does, since they are not scored.

    Attributes:
        classes: how many classes count, C.
        colors: (red, green, blue) of 0..255, those of the classes first.
        channels: which channel each of `colors` has.
    """

    classes: int
    colors: tuple[tuple[int, int, int], ...]
    channels: tuple[int, ...]

    @classmethod
    def of(cls, table: ClassTable) -> "LabelCoding":
        """The coding of a data set's table.

        Raises:
            UserError: two classes that count have one colour.
        """
        counted = [entry.color for entry in table.train_classes]
        for entry in table.train_classes:
            if counted.index(entry.color) != entry.train_id:
                other = table.names[counted.index(entry.color)]
                raise UserError(
                    f"onehot: the classes {other} and {entry.name} have the same colour, so label "
                    "maps do not tell them apart; prepare the data with a colour for each"
                )
        others = sorted({entry.color for entry in table.classes} - set(counted))
        channels = (*range(len(counted)), *[len(counted)] * len(others))
        return cls(len(counted), (*counted, *others), channels)

    @property
    def count(self) -> int:
        """How many channels there are, N."""
        return max(self.channels) + 1

    @functools.cached_property
    def palette(self) -> np.ndarray:
        """`colors` in [-1, 1], float32 [K, 3]."""
        return np.asarray(self.colors, np.float32) / np.float32(127.5) - 1

    def encode(self, pictures: tf.Tensor) -> tf.Tensor:
        """Label maps [B, H, W, 3] in [-1, 1] as float32 [B, H, W, N], 1 in the channel of the
        nearest colour and 0 in all others; of two equally near ones the first.
        """
        # in whole levels, whose squares are exact: where two colours are equally near, every
        # program that computes this finds the same one
        levels = tf.round((tf.cast(pictures, tf.float32) + 1) * 127.5)
        colors = np.asarray(self.colors, np.float32)
        distances = tf.add_n(
            [
                tf.square(part - colors[:, index])
                for index, part in enumerate(tf.split(levels, 3, axis=-1))
            ]
        )
        channels = tf.gather(tf.constant(self.channels, tf.int32), tf.argmin(distances, axis=-1))
        return tf.one_hot(channels, self.count)

    def counted(self, pictures: tf.Tensor) -> tf.Tensor:
        """Where label maps [B, H, W, 3] show a class that counts: bool [B, H, W]."""
        return tf.reduce_any(self.encode(pictures)[..., : self.classes] > 0, axis=-1)

    def decode(self, scores: tf.Tensor) -> tf.Tensor:
        """Logits or probabilities [B, H, W, N] as pictures, float32 [B, H, W, 3] in [-1, 1]: the
        colour of the class that counts with the highest one; of equal ones the first. NaN where a
        score is no number, which argmax would hide as some class.
        """
        counted = scores[..., : self.classes]
        total = tf.reduce_sum(tf.cast(counted, tf.float32), axis=-1, keepdims=True)
        best = tf.gather(tf.constant(self.palette[: self.classes]), tf.argmax(counted, axis=-1))
        return tf.where(tf.abs(total) < LARGEST, best, np.float32(np.nan))

    def to_json(self) -> dict[str, Any]:
        """As it stands in the settings of networks."""
        return {
            "classes": self.classes,
            "colors": [list(color) for color in self.colors],
            "channels": list(self.channels),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "LabelCoding":
        colors = tuple((int(red), int(green), int(blue)) for red, green, blue in stored["colors"])
        return cls(int(stored["classes"]), colors, tuple(map(int, stored["channels"])))
