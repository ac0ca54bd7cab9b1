"""The pieces of a scene: flat polygons in a world seen by a pinhole camera.

World: metres, X to the right, Y up, Z ahead; the camera stands at (0, height, 0) and looks along Z.
Screen: x to the right and y down in units of the picture's height, so that a picture is 1 high and
ASPECT wide, whatever its size in pixels.
"""

import math
import random
from collections.abc import Sequence
from typing import NamedTuple

from tfcyclegan.data import labels
from toy_street.materials import MATERIALS, NUMBER_OF

ASPECT = 2.0
THINNEST = 0.018
"""The smallest width on the screen of visible things: slightly more than a pixel at a height of 64
pixels.
"""

BACKDROP, GROUND, STRUCTURES, OBJECTS, COCKPIT = range(5)
"""Layers, painted in this order; within a layer, far items are painted before near ones. On the
ground the order of drawing counts.
"""

ID = {entry.name: entry.id for entry in labels.CLASSES}

Point = tuple[float, float]
Extra = tuple[float, float, float, float]
NO_EXTRA: Extra = (0.0, 0.0, 0.0, 0.0)


class Camera(NamedTuple):
    """The camera's height in metres, its focal length and its vanishing point, both in screen
    units.
    """

    height: float
    focal: float
    center: float
    horizon: float

    def project(self, x: float, y: float, z: float) -> Point:
        return self.center + self.focal * x / z, self.horizon + self.focal * (self.height - y) / z


class Item(NamedTuple):
    """One polygon.

    Args:
        order: its place in the painting order.
        points: its corners on the screen.
        label: its Cityscapes id.
        material: its number in `materials.NAMES`.
        variant: which of the material's colours.
        plane: (a, b, c) of its plane: 1 / Z = a Dx + b Dy + c along the ray (Dx, Dy, 1) from the
            camera.
        brightness: factor on its colour in both styles.
        sun: factor where the sun shines, in A.
        extra: parameters of its pattern: width and height of a cell in metres, share of it that is
            window, height of the shop.
    """

    order: tuple[int, float]
    points: Sequence[Point]
    label: int
    material: int
    variant: int
    plane: tuple[float, float, float]
    brightness: float
    sun: float
    extra: Extra


class Builder:
    """Collects items; `objects` builds objects from them.

    Args:
        camera: the camera.
        draw: random generator of this scene.
        sun: -1, 0 or 1: the side of the street that faces the sun.
    """

    def __init__(self, camera: Camera, draw: random.Random, sun: int):
        self.camera, self.draw, self.sun = camera, draw, sun
        self.items: list[Item] = []
        self.lamps: list[tuple[float, float, float]] = []

    def variant(self, material: str) -> int:
        return self.draw.randrange(len(MATERIALS[material].colors))

    def poisson(self, mean: float) -> int:
        count, left = 0, self.draw.expovariate(1)
        while left < mean:
            count += 1
            left += self.draw.expovariate(1)
        return count

    def add(
        self,
        layer: int,
        z: float,
        points: Sequence[Point],
        label: str,
        material: str,
        variant: int,
        plane: tuple[float, float, float],
        *,
        brightness: float = 1.0,
        sun: float = 1.0,
        extra: Extra = NO_EXTRA,
    ) -> None:
        order = (layer, 0.0 if layer == GROUND else -z)
        self.items.append(
            Item(
                order,
                points,
                ID[label],
                NUMBER_OF[material],
                variant,
                plane,
                brightness,
                sun,
                extra,
            )
        )

    def ground(
        self,
        x0: float,
        x1: float,
        z0: float,
        z1: float,
        label: str,
        material: str,
        variant: int = 0,
    ) -> None:
        self.top(x0, x1, 0.0, z0, z1, label, material, variant, layer=GROUND, z=z0)

    def top(
        self,
        x0: float,
        x1: float,
        y: float,
        z0: float,
        z1: float,
        label: str,
        material: str,
        variant: int = 0,
        *,
        layer: int = OBJECTS,
        z: float = 0.0,
        brightness: float = 1.0,
    ) -> None:
        """A horizontal rectangle; nothing if it is above the camera."""
        below = self.camera.height - y
        if below <= 0.02:
            return
        project = self.camera.project
        points = (project(x0, y, z0), project(x1, y, z0), project(x1, y, z1), project(x0, y, z1))
        self.add(
            layer,
            z,
            points,
            label,
            material,
            variant,
            (0.0, -1 / below, 0.0),
            brightness=brightness,
        )

    def side(
        self,
        x: float,
        y0: float,
        y1: float,
        z0: float,
        z1: float,
        label: str,
        material: str,
        variant: int = 0,
        *,
        layer: int = OBJECTS,
        z: float = 0.0,
        brightness: float = 1.0,
        extra: Extra = NO_EXTRA,
    ) -> None:
        """An upright rectangle along the street; it faces the camera's axis."""
        project = self.camera.project
        points = (project(x, y0, z0), project(x, y1, z0), project(x, y1, z1), project(x, y0, z1))
        facing = -1 if x > 0 else 1
        sun = (0.95, 1.1, 0.72)[self.sun * facing]
        self.add(
            layer,
            z,
            points,
            label,
            material,
            variant,
            (1 / x, 0.0, 0.0),
            brightness=brightness,
            sun=sun,
            extra=extra,
        )

    def front(
        self,
        x0: float,
        x1: float,
        y0: float,
        y1: float,
        z: float,
        label: str,
        material: str,
        variant: int = 0,
        *,
        layer: int = OBJECTS,
        order: float | None = None,
        brightness: float = 1.0,
        extra: Extra = NO_EXTRA,
    ) -> None:
        """An upright rectangle across the street."""
        (left, low), (right, high) = self.camera.project(x0, y0, z), self.camera.project(x1, y1, z)
        points = ((left, low), (left, high), (right, high), (right, low))
        depth = z if order is None else order
        self.add(
            layer,
            depth,
            points,
            label,
            material,
            variant,
            (0.0, 0.0, 1 / z),
            brightness=brightness,
            sun=0.88,
            extra=extra,
        )

    def shape(
        self,
        corners: Sequence[Point],
        z: float,
        label: str,
        material: str,
        variant: int = 0,
        *,
        layer: int = OBJECTS,
        order: float | None = None,
        brightness: float = 1.0,
    ) -> None:
        """Any polygon across the street, its corners (X, Y) in metres."""
        points = [self.camera.project(x, y, z) for x, y in corners]
        depth = z if order is None else order
        self.add(
            layer, depth, points, label, material, variant, (0.0, 0.0, 1 / z), brightness=brightness
        )

    def disc(
        self,
        x: float,
        y: float,
        z: float,
        radius: float,
        label: str,
        material: str,
        variant: int = 0,
        *,
        order: float | None = None,
    ) -> None:
        """A disc across the street."""
        corners = [(x + radius * math.cos(turn), y + radius * math.sin(turn)) for turn in _TURNS]
        self.shape(corners, z, label, material, variant, order=order)

    def wheel(self, x: float, z: float, radius: float, label: str, order: float) -> None:
        """A disc along the street, standing on the ground."""
        points = [
            self.camera.project(x, radius + radius * math.sin(turn), z + radius * math.cos(turn))
            for turn in _TURNS
        ]
        self.add(OBJECTS, order, points, label, "tyre", 0, (1 / x, 0.0, 0.0))

    def box(
        self,
        x0: float,
        x1: float,
        y0: float,
        y1: float,
        z0: float,
        z1: float,
        label: str,
        material: str,
        variant: int = 0,
        *,
        order: float | None = None,
        brightness: float = 1.0,
    ) -> None:
        """The visible faces of a box."""
        depth = z0 if order is None else order
        self.top(
            x0, x1, y1, z0, z1, label, material, variant, z=depth, brightness=brightness * 1.08
        )
        if x1 < -0.05 or x0 > 0.05:
            x = x1 if x1 < 0 else x0
            self.side(
                x, y0, y1, z0, z1, label, material, variant, z=depth, brightness=brightness * 0.9
            )
        self.front(x0, x1, y0, y1, z0, label, material, variant, order=depth, brightness=brightness)

    def at_least(self, metres: float, z: float, width: float = THINNEST) -> float:
        """`metres`, or the length that is `width` on the screen at that distance, if larger."""
        return max(metres, width * z / self.camera.focal)


_TURNS = tuple(2 * math.pi * step / 12 for step in range(12))
