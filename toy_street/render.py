"""Renders a scene: its labels, and its picture in the style of A, of B or anything in between.

The polygons are painted once, as numbers; labels are derived from these numbers, one sample per
pixel, so that they are exact and no style moves an edge. The colour of every sample is then
determined by its position in the world: the colour of its material in that style, the pattern on it
(windows, tiles, pickets: in both styles), and effects that only B has: texture, bricks, haze, blur,
vignette, sensor noise.
"""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from toy_street.builder import ASPECT
from toy_street.materials import BRICKS, MATERIALS, NUMBER_OF, PICKETS, TILES, WINDOWS
from toy_street.scene import DAY, DUSK, NIGHT, Scene

VERSION = 1
"""Version of everything that affects pixels, including scene and materials; increase it with any
change to them.
"""

_TABLE = 256


@dataclass(frozen=True)
class Look:
    """The style in which a scene is rendered.

    Attributes:
        game: 1 uses the materials' colours of A, 0 those of B.
        photo: strength of all effects that only B has, 0 to 1.
        sun: strength of the sun's shading.
        light: DAY, DUSK or NIGHT.
    """

    game: float
    photo: float
    sun: float
    light: str = DAY


B_LOOK = Look(game=0.0, photo=1.0, sun=0.25)


def a_look(style_gap: float, light: str = DAY) -> Look:
    """The style of A, which approaches that of B as `style_gap` goes to 0."""
    return Look(game=style_gap, photo=1.0 - style_gap, sun=0.25 + 0.75 * style_gap, light=light)


@functools.cache
def _white() -> np.ndarray:
    """Uncorrelated noise, [256 * 256] in [-1, 1]."""
    return np.random.default_rng(20240).uniform(-1, 1, _TABLE * _TABLE).astype(np.float32)


@functools.cache
def _clouds() -> np.ndarray:
    """Smooth, periodic noise, [256, 256], with mean 0 and deviation 1."""
    frequencies = np.hypot(*np.meshgrid(np.fft.fftfreq(_TABLE), np.fft.fftfreq(_TABLE)))
    spectrum = (
        np.fft.fft2(np.random.default_rng(20241).normal(size=(_TABLE, _TABLE)))
        / np.maximum(frequencies, 1 / 64) ** 1.6
    )
    smooth = np.fft.ifft2(spectrum).real
    return ((smooth - smooth.mean()) / smooth.std()).astype(np.float32)


@functools.cache
def _material_table() -> dict[str, np.ndarray]:
    entries = list(MATERIALS.values())
    most = max(len(entry.colors) for entry in entries)
    colors = np.array(
        [
            [entry.colors[min(index, len(entry.colors) - 1)] for index in range(most)]
            for entry in entries
        ],
        np.float32,
    )
    return {
        "colors": colors / 255,  # [material, variant, A or B, 3]
        "texture": np.array(
            [
                (1 / entry.fine[0], entry.fine[1], 1 / entry.coarse[0], entry.coarse[1])
                for entry in entries
            ],
            np.float32,
        ),
        "pattern": np.array([entry.pattern for entry in entries]),
        "glow": np.array([entry.glow for entry in entries]),
    }


def samples_for(height: int) -> int:
    """Samples per pixel along one axis: fewer for larger pictures."""
    return 3 if height <= 200 else 2 if height <= 600 else 1


class _Places(NamedTuple):
    """The position of each sample in the world: distance, height, coordinates on its surface and
    its size there (metres); sky or not.
    """

    z: np.ndarray
    y: np.ndarray
    u: np.ndarray
    v: np.ndarray
    footprint: np.ndarray
    sky: np.ndarray


class Rendering:
    """A scene at one size.

    Args:
        scene: the scene to render.
        height: height of the pictures in pixels.
        width: width in pixels; aspect ratios other than 1:2 stretch the scene.
    """

    def __init__(self, scene: Scene, height: int, width: int):
        self.scene, self.height, self.width = scene, height, width
        self._samples = samples_for(height)
        rows, columns = height * self._samples, width * self._samples
        canvas = Image.new("I", (columns, rows))
        pen = ImageDraw.Draw(canvas)
        across, down = columns / ASPECT, float(rows)
        for number, item in enumerate(scene.items):
            pen.polygon([(x * across, y * down) for x, y in item.points], fill=number)
        self._index = np.asarray(canvas).astype(np.intp)
        table = _material_table()
        materials = np.array([item.material for item in scene.items])
        self._materials = materials
        self._variants = np.array([item.variant for item in scene.items])
        self._brightness = np.array([item.brightness for item in scene.items], np.float32)
        self._sun = np.array([item.sun for item in scene.items], np.float32)
        self._extra = np.array([item.extra for item in scene.items], np.float32)
        self._pattern = np.where(self._extra[:, 0] > 0, table["pattern"][materials], 0)
        self._pattern[table["pattern"][materials] == TILES] = TILES

    def labels(self) -> np.ndarray:
        """Cityscapes ids, uint8 [H, W]."""
        middle = self._samples // 2
        ids = np.array([item.label & 255 for item in self.scene.items], np.uint8)
        return ids[self._index[middle :: self._samples, middle :: self._samples]]

    @functools.cached_property
    def _places(self) -> _Places:
        camera, (rows, columns) = self.scene.camera, self._index.shape
        dx = (
            ((np.arange(columns, dtype=np.float32) + 0.5) * (ASPECT / columns)) - camera.center
        ) / camera.focal
        dy = ((camera.horizon - (np.arange(rows, dtype=np.float32) + 0.5) / rows) / camera.focal)[
            :, None
        ]
        planes = np.array([item.plane for item in self.scene.items], np.float32)
        inverse = (
            planes[:, 0][self._index] * dx
            + planes[:, 1][self._index] * dy
            + planes[:, 2][self._index]
        )
        z = np.clip(1 / np.maximum(inverse, 1e-4), 0.5, 2000)
        x, y = z * dx, camera.height + z * dy
        level = (planes[:, 1] != 0)[self._index]
        u, v = np.where(level, x, x + z), np.where(level, z, y)
        return _Places(
            z,
            y,
            u,
            v,
            footprint=z * (1 / (camera.focal * rows)),
            sky=(self._materials == NUMBER_OF["sky"])[self._index],
        )

    def picture(self, look: Look, noise_seed: tuple[int, ...]) -> np.ndarray:
        """The scene in a style, uint8 [H, W, 3]; `noise_seed` determines what differs between
        pictures of the scene.
        """
        random = np.random.default_rng(noise_seed)
        table = _material_table()
        pairs = table["colors"][self._materials, self._variants]
        own = (pairs[:, 1] + look.game * (pairs[:, 0] - pairs[:, 1])) * self._tints(look.game)
        shade = self._brightness * (1 + look.sun * (self._sun - 1))
        color = (own * shade[:, None])[self._index]
        lit = (
            table["glow"][self._materials][self._index].astype(np.float32)
            if look.light == NIGHT
            else None
        )
        self._paint_patterns(color, look, lit)
        if look.photo:
            self._paint_texture(color, look.photo, random)
        self._paint_sky(color, look)
        if look.light != DAY:
            self._darken(color, look.light, lit)
        if look.photo:
            self._paint_air(color, look.photo)
        step = self._samples
        if step > 1:
            color = sum(
                color[row::step, column::step] for row in range(step) for column in range(step)
            ) / np.float32(step * step)
        if look.photo:
            color = self._expose(color, look.photo, random)
        return (np.clip(color, 0, 1) * 255 + 0.5).astype(np.uint8)

    def _tints(self, strength: float) -> np.ndarray:
        """Factors on the items' colours, [items, 3]: every scene of A has its own light and
        slightly different paints.
        """
        random = np.random.default_rng(self.scene.look_seed)
        paints = _material_table()["colors"].shape[:2]
        mixed = (
            1
            + random.uniform(-0.08, 0.08, (*paints, 1))
            + random.uniform(-0.04, 0.04, (*paints, 3))
        )
        tints = mixed * (1 + random.uniform(-0.05, 0.05, 3))
        return (1 + strength * (tints - 1)).astype(np.float32)[self._materials, self._variants]

    def _paint_patterns(self, color: np.ndarray, look: Look, lit: np.ndarray | None) -> None:
        pattern = self._pattern[self._index].ravel()
        flat = color.reshape(-1, 3)
        for kind, paint in (
            (TILES, self._tiles),
            (WINDOWS, self._facade),
            (BRICKS, self._facade),
            (PICKETS, self._pickets),
        ):
            where = np.flatnonzero(pattern == kind)
            if len(where):
                flat[where] = paint(flat[where], where, look, kind, lit)

    def _cells(
        self, where: np.ndarray, width: np.ndarray | float, height: np.ndarray | float
    ) -> tuple[np.ndarray, ...]:
        """Number of the cell across and up, and the position within it, 0 to 1."""
        across, up = self._places.u.ravel()[where] / width, self._places.v.ravel()[where] / height
        column, row = np.floor(across), np.floor(up)
        return column, row, across - column, up - row

    def _tiles(
        self, color: np.ndarray, where: np.ndarray, look: Look, kind: int, lit: np.ndarray | None
    ) -> np.ndarray:
        _, _, across, up = self._cells(where, 0.9, 0.9)
        fade = np.clip(1.5 - self._places.footprint.ravel()[where] * 8, 0, 1)
        joint = ((across < 0.1) | (up < 0.1)) * fade
        return color * (1 - (0.08 + 0.2 * look.photo) * joint)[:, None]

    def _pickets(
        self, color: np.ndarray, where: np.ndarray, look: Look, kind: int, lit: np.ndarray | None
    ) -> np.ndarray:
        _, _, across, _ = self._cells(where, 0.44, 1.0)
        height = self._extra[self._index.ravel()[where], 1]
        up = self._places.y.ravel()[where] / height
        rail = (abs(up - 0.25) < 0.08) | (abs(up - 0.85) < 0.08)
        fade = np.clip(1.4 - self._places.footprint.ravel()[where] * 5, 0, 1)
        gap = (across > 0.5) & ~rail
        return (
            color * np.where(rail, 1.08, 1 - 0.42 * np.where(gap, fade, 0.5 * (1 - fade)))[:, None]
        )

    def _facade(
        self, color: np.ndarray, where: np.ndarray, look: Look, kind: int, lit: np.ndarray | None
    ) -> np.ndarray:
        item = self._index.ravel()[where]
        width, height, share, shop = self._extra[item].T
        column, row, across, up = self._cells(where, width, height)
        level = self._places.y.ravel()[where]
        in_shop = (level < shop) & (level > 0.35) & (level < shop - 0.7)
        above_shop = (level >= shop) & (level > 0.7)
        window = (abs(across - 0.5) < share / 2) & (abs(up - 0.5) < 0.3) & above_shop
        window |= in_shop & (across > 0.08)
        chance = _white()[
            ((column * 31 + row * 57 + item * 7).astype(np.int64)) % (_TABLE * _TABLE)
        ]
        pane = np.array([0.17, 0.2, 0.22], np.float32) + look.game * np.array(
            [0.16, 0.32, 0.55], np.float32
        )
        pane = pane * (1 + 0.22 * chance)[:, None]
        band = (level < shop) & (level >= shop - 0.7)
        if kind == BRICKS and look.photo:
            fade = np.clip(1.6 - self._places.footprint.ravel()[where] * 12, 0, 1)
            course = self._places.v.ravel()[where] / 0.42
            shift = np.floor(course) % 2 * 0.5
            mortar = (course % 1 < 0.24) | (
                (self._places.u.ravel()[where] / 0.95 + shift) % 1 < 0.1
            )
            color = (
                color
                + (np.array([0.64, 0.58, 0.53], np.float32) - color)
                * (0.55 * look.photo * mortar * fade)[:, None]
            )
        color = np.where(band[:, None], color * 0.68, color)
        if lit is not None:
            on = window & ((chance > 0.25) | in_shop)
            lit.ravel()[where] = on * 1.0
            pane = np.where(on[:, None], np.array([1.0, 0.82, 0.45], np.float32), pane)
        return np.where(window[:, None], pane, color)

    def _paint_texture(
        self, color: np.ndarray, strength: float, random: np.random.Generator
    ) -> None:
        fine, fine_amount, coarse, coarse_amount = (
            column[self._index] for column in _material_table()["texture"][self._materials].T
        )
        du, dv = random.integers(0, _TABLE, 2)
        white = _white()
        factor = np.ones(self._index.shape, np.float32)
        # frays the cells' edges
        across, up = random.random((2, *self._index.shape), np.float32) - np.float32(0.5)
        for scale, amount, shift in ((fine, fine_amount, 0), (coarse, coarse_amount, 91)):
            scale = np.minimum(
                scale, 0.7 / self._places.footprint
            )  # anything finer than a sample would vanish, and with it leaves and grain
            row = (self._places.v * scale + up + (dv + shift)).astype(np.int32) & (_TABLE - 1)
            column = (self._places.u * scale + across + (du + shift)).astype(np.int32) & (
                _TABLE - 1
            )
            factor += strength * amount * white[row * _TABLE + column]
        factor *= 1 - 0.22 * strength * np.exp(-np.maximum(self._places.y, 0) * 1.5) * (
            self._places.y > 0.02
        )  # little light reaches the bottom of objects
        color *= factor[..., None]

    def _paint_sky(self, color: np.ndarray, look: Look) -> None:
        where = np.flatnonzero(self._places.sky)
        if not len(where):
            return
        camera, (rows, columns) = self.scene.camera, self._index.shape
        height = np.clip(1 - (where // columns + 0.5) / rows / camera.horizon, 0, 1).astype(
            np.float32
        )
        side = ((where % columns + 0.5) * (ASPECT / columns) - camera.center).astype(np.float32)
        ceiling = 1 / (height + 0.22)
        phase = self.scene.look_seed
        field = _bilinear(_clouds(), ceiling * 46 + phase % 251, side * ceiling * 34 + phase % 241)
        cloud = (np.clip(field * 1.5 - 0.2, 0, 1) * np.clip(height * 6, 0, 1))[:, None]
        mix = np.float32(look.game)

        def blend(game: tuple[float, ...], photo: tuple[float, ...]) -> np.ndarray:
            return np.array(photo, np.float32) + mix * (
                np.array(game, np.float32) - np.array(photo, np.float32)
            )

        low, high = (
            blend((0.68, 0.87, 1.0), (0.87, 0.86, 0.82)),
            blend((0.22, 0.5, 0.95), (0.7, 0.73, 0.75)),
        )
        white = blend((1.0, 1.0, 1.0), (0.57, 0.58, 0.62))
        if look.light == DUSK:
            low, white = (
                np.array([1.0, 0.62, 0.3], np.float32),
                np.array([1.0, 0.55, 0.5], np.float32),
            )
            high = np.array([0.4, 0.36, 0.62], np.float32)
        air = low + (high - low) * np.sqrt(height)[:, None]
        color.reshape(-1, 3)[where] = air + (white - air) * (0.85 * cloud)

    def _darken(self, color: np.ndarray, light: str, lit: np.ndarray | None) -> None:
        """Dusk or night, with the lamps on."""
        if light == DUSK:
            color *= np.where(
                self._places.sky[..., None],
                np.float32(0.92),
                np.array([0.86, 0.6, 0.52], np.float32),
            )
            return
        assert lit is not None
        dark = np.where(
            self._places.sky[..., None],
            np.array([0.12, 0.13, 0.22], np.float32),
            np.array([0.2, 0.26, 0.42], np.float32),
        )
        color *= dark + (1 - dark) * lit[..., None]
        rows, columns = self._index.shape
        x = (np.arange(columns, dtype=np.float32) + 0.5) * (ASPECT / columns)
        y = (np.arange(rows, dtype=np.float32) + 0.5)[:, None] / rows
        halo = np.zeros((rows, columns), np.float32)
        for lamp_x, lamp_y, scale in self.scene.lamps:
            radius = 1.6 * scale
            halo += 0.75 * np.exp(-((x - lamp_x) ** 2 + (y - lamp_y) ** 2) / (2 * radius * radius))
            pool = np.clip(1 - ((x - lamp_x) / (4 * scale)) ** 2, 0, 1) * np.clip(
                1 - ((y - lamp_y - 5.5 * scale) / (2 * scale)) ** 2, 0, 1
            )
            halo += 0.22 * pool
        color += (
            np.minimum(halo, 0.9)[..., None]
            * np.array([1.0, 0.8, 0.45], np.float32)
            * (1 - 0.6 * self._places.sky[..., None])
        )

    def _paint_air(self, color: np.ndarray, strength: float) -> None:
        haze = strength * 0.75 * (1 - np.exp(-self._places.z / 150)) * ~self._places.sky
        color += (np.array([0.8, 0.8, 0.78], np.float32) - color) * haze[..., None].astype(
            np.float32
        )

    def _expose(
        self, color: np.ndarray, strength: float, random: np.random.Generator
    ) -> np.ndarray:
        """Effects of lens and sensor, at the size of the picture."""
        height, width = color.shape[:2]
        blurred = ndimage.gaussian_filter(
            color, (max(0.45, height * 0.0012) * strength,) * 2 + (0,), mode="nearest", truncate=3
        )
        y, x = (
            np.linspace(-1, 1, height, dtype=np.float32)[:, None],
            np.linspace(-1, 1, width, dtype=np.float32),
        )
        vignette = 1 + strength * (0.12 - 0.13 * (x * x + y * y))
        balance = (
            1
            + strength * random.normal(0, (0.012, 0.006, 0.012))
            + strength * random.normal(0, 0.02)
        )
        grain = (
            random.standard_normal((height, width, 1), np.float32) * 0.012
            + random.standard_normal(color.shape, np.float32) * 0.01
        )
        return blurred * vignette[..., None] * balance.astype(np.float32) + strength * grain * (
            0.6 + 0.8 * blurred
        )


def _bilinear(table: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Bilinear interpolation in the periodic `table`."""
    top, left = np.floor(row), np.floor(column)
    down, right = row - top, column - left
    top, left = top.astype(np.int64), left.astype(np.int64)
    low, high = top % _TABLE, (top + 1) % _TABLE
    near, far = left % _TABLE, (left + 1) % _TABLE
    above = table[low, near] * (1 - right) + table[low, far] * right
    below = table[high, near] * (1 - right) + table[high, far] * right
    return above * (1 - down) + below * down
