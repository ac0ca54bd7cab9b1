"""What a user writes for `--data_dir` and `--generator`, as `tests.own_functions:NAME`; and ways to
get it wrong.
"""

import keras
import numpy as np

COUNTS = {"trainA": 3, "trainB": 4, "testA": 2, "testB": 2}


class Stripes:
    """Pictures by index, made when they are asked for; gray in domain b."""

    def __init__(self, split: str):
        self._split = split

    def __len__(self) -> int:
        return COUNTS[self._split]

    def __getitem__(self, index: int) -> np.ndarray:
        rows = 40 * (np.arange(36) // (index + 2) % 5)
        picture = np.repeat(rows[:, np.newaxis], 36, axis=1).astype(np.uint8)
        return picture if self._split.endswith("B") else np.stack([picture] * 3, axis=2)


def pictures(split):
    return Stripes(split) if split in COUNTS else None


class Field:
    """Measurements of 13 channels, with a gap in the first pixel."""

    range, nodata, units = (-1000, 2000), -3000, "HU"

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> np.ndarray:
        field = np.full((16, 12, 13), 500 * index, ">i2")
        field[0, 0] = self.nodata
        return field


class HalfField(Field):
    range = [(0, 1)] * 12


class OtherField(Field):
    def __getitem__(self, index: int) -> np.ndarray:
        return super().__getitem__(index)[..., : 13 - index]


def fields(split):
    return {"trainA": Field(), "testA": Field(), "trainB": Stripes("trainB")}.get(split)


def fields_of_two_ranges(split):
    return {"trainA": Field(), "testA": Stripes("testA")}.get(split)


class Bytes:
    """Bytes of a range, by a reader that says the same nodata of all its files."""

    range = (0, 255)

    def __init__(self, nodata):
        self.nodata = nodata

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> np.ndarray:
        return np.arange(256, dtype=np.uint8).reshape(16, 16)


class Heights(Bytes):
    def __init__(self):
        super().__init__(float("nan"))  # another one each time

    def __getitem__(self, index: int) -> np.ndarray:
        return super().__getitem__(index).astype(np.float32)


def gives_a_wide_nodata(split):
    return Bytes(-9999) if split in COUNTS else None


def gives_nan_as_nodata(split):
    return Bytes(float("nan")) if split.endswith("B") else Heights() if split in COUNTS else None


def gives_fewer_ranges(split):
    return HalfField()


def gives_fewer_channels(split):
    return OtherField()


def make(in_channels, out_channels):
    images = keras.Input((None, None, in_channels))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(images)
    x = keras.layers.Conv2D(out_channels, 3, padding="same", activation="tanh")(x)
    return keras.Model(images, x)


def makes_copies(in_channels, out_channels):
    """One initializer for all layers, as the CycleGAN example of keras.io has it."""
    drawn = keras.initializers.RandomNormal(0.0, 0.02)
    images = keras.Input((None, None, in_channels))
    x = images
    for _ in range(3):
        x = keras.layers.Conv2D(
            in_channels, 3, padding="same", kernel_initializer=drawn, activation="tanh"
        )(x)
    x = keras.layers.Conv2D(out_channels, 1, kernel_initializer="zeros", activation="tanh")(x)
    return keras.Model(images, x)


# --- what is refused
# --------------------------------------------------------------------------------------------------


def raises_at_once(*_, **__):
    raise KeyError("no such\nplace")


def gives_text(split):
    return 7


def gives_nothing(split):
    return None


def gives_floats(split):
    return np.zeros((2, 8, 8, 3), np.float32)


def gives_rgba(split):
    return [np.zeros((8, 8, 4), np.uint8)]


def gives_paths(split):
    return ["a.png"]


def one_domain(split):
    return Stripes("trainA") if split == "train" else None


def gives_less(split):
    return {0: np.zeros((8, 8), np.uint8), 2: np.zeros((8, 8), np.uint8)}


def makes_a_function(in_channels, out_channels):
    return lambda x: x


def makes_halves(in_channels, out_channels):
    return keras.layers.Conv2D(out_channels, 3, strides=2, padding="same")


def makes_fixed(in_channels, out_channels):
    images = keras.Input((8, 8, in_channels))
    return keras.Model(images, keras.layers.Conv2D(out_channels, 1)(images))


def makes_coarse(in_channels, out_channels):
    network = keras.layers.Conv2D(out_channels, 1, activation="tanh")
    network.size_multiple = 32
    return network


def makes_linear(in_channels, out_channels):
    return keras.layers.Conv2D(out_channels, 1, bias_initializer="ones", kernel_initializer="ones")


constant = 3
