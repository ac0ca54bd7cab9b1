"""One street, drawn from a seed: the positions of objects, and the light of A. `render` determines
its appearance.
"""

import random
from dataclasses import dataclass
from typing import NamedTuple

from toy_street import objects
from toy_street.builder import ASPECT, BACKDROP, COCKPIT, STRUCTURES, Builder, Camera, Item

FAR, NEAR = 170.0, 1.2
DAY, DUSK, NIGHT = "day", "dusk", "night"


class Layout(NamedTuple):
    """Frequencies of objects: probabilities, or mean numbers if the name is a plural."""

    building: float
    wall: float
    fence: float
    verge: float
    crossing: float
    hood: float
    wide: float
    trees: float
    cars: float
    parked_cars: float
    trucks: float
    buses: float
    trains: float
    persons: float
    bicycles: float
    riders: float
    motorcycles: float
    signs: float
    lights: float
    bins: float


CITY = Layout(
    building=0.72, wall=0.28, fence=0.34, verge=0.4, crossing=0.45, hood=0.5, wide=0.0,
    trees=2.4, cars=1.8, parked_cars=2.4, trucks=0.3, buses=0.26, trains=0.14, persons=4.5,
    bicycles=0.9, riders=0.8, motorcycles=0.6, signs=2.4, lights=1.3, bins=0.5,
)  # fmt: skip
SUBURB = Layout(
    building=0.3, wall=0.5, fence=0.5, verge=0.9, crossing=0.2, hood=0.1, wide=1.0, trees=6.0,
    cars=3.0, parked_cars=0.8, trucks=0.9, buses=0.1, trains=0.05, persons=1.2, bicycles=0.2,
    riders=0.2, motorcycles=0.7, signs=1.2, lights=0.8, bins=0.2,
)  # fmt: skip


def layout_between(gap: float) -> Layout:
    """The layout between the city (0) and the suburb (1)."""
    return Layout(
        *(city + gap * (suburb - city) for city, suburb in zip(CITY, SUBURB, strict=True))
    )


@dataclass(frozen=True)
class Scene:
    """The contents of a scene.

    Attributes:
        camera: the camera.
        items: polygons, the farthest first.
        lamps: street lamps on the screen: x, y and scale.
        light: DAY, DUSK or NIGHT, which only affects A.
        look_seed: seed of the clouds' shape, and of the differences of A's paints between scenes.
    """

    camera: Camera
    items: list[Item]
    lamps: list[tuple[float, float, float]]
    light: str
    look_seed: int


def make_scene(
    seed: int,
    number: int,
    *,
    layout_gap: float = 0.0,
    night_share: float = 0.0,
    dusk_share: float = 0.0,
) -> Scene:
    """Scene `number` of `seed`: always the same for the same arguments.

    Args:
        seed: seed of the data set.
        number: number of the scene.
        layout_gap: 0 draws a city street, 1 a suburban road.
        night_share: probability that A shows it by night.
        dusk_share: probability that A shows it at dusk.
    """
    draw = random.Random(f"toy street {seed} {number}")
    # separate, so that the shares do not affect the geometry
    lot = random.Random(f"light {seed} {number}").random()
    light = NIGHT if lot < night_share else DUSK if lot < night_share + dusk_share else DAY
    horizon = draw.uniform(0.4, 0.47)
    camera = Camera(
        draw.uniform(1.35, 1.7),
        draw.uniform(1.05, 1.25),
        ASPECT / 2 + draw.uniform(-0.18, 0.18),
        horizon,
    )
    builder = Builder(camera, draw, draw.choice((-1, 0, 1)))
    _Street(builder, layout_between(layout_gap)).build()
    builder.items.sort(key=lambda item: item.order)
    return Scene(camera, builder.items, builder.lamps, light, draw.randrange(2**31))


class _Street:
    """Lays out a street: ground, houses along both sides, traffic, and objects on the sidewalks."""

    def __init__(self, builder: Builder, layout: Layout):
        self.b, self.draw, self.layout = builder, builder.draw, layout
        self.tram = self.draw.random() < layout.trains
        widened = layout.wide * 2.0
        self.edges = {
            1: self.draw.uniform(3.2, 6.4) + widened,
            -1: self.draw.uniform(4.4, 7.2) + widened + 3.4 * self.tram,
        }
        self.crossing: tuple[float, float] | None = None
        if self.draw.random() < layout.crossing:
            start = self.draw.uniform(15, 40)
            self.crossing = (start, start + self.draw.uniform(7, 9))
        self.road = self.b.variant("road")
        self.walk: dict[int, tuple[float, float]] = {}
        self.house_line: dict[int, float] = {}
        self.verge: dict[int, tuple[float, float]] = {}

    def build(self) -> None:
        self._backdrop()
        self._ground()
        for side in (-1, 1):
            self._houses(side)
            self._furniture(side)
        self._traffic()
        self._people()
        if self.draw.random() < self.layout.hood:
            self._hood()

    def _in_crossing(self, z: float, margin: float = 1.0) -> bool:
        return (
            self.crossing is not None and self.crossing[0] - margin < z < self.crossing[1] + margin
        )

    def _backdrop(self) -> None:
        b, far = self.b, 400.0
        horizon = b.camera.horizon
        sky = (
            (-0.1, -0.1),
            (ASPECT + 0.1, -0.1),
            (ASPECT + 0.1, horizon + 0.02),
            (-0.1, horizon + 0.02),
        )
        b.add(BACKDROP, 1e6, sky, "sky", "sky", 0, (0.0, 0.0, 1e-4))
        reach = far * ASPECT / b.camera.focal
        x = -reach
        # a skyline of trees and houses, so that the street does not end in nothing
        while x < reach:
            width = self.draw.uniform(20, 70)
            if self.draw.random() < 0.35 + 0.5 * self.layout.building:
                material = self.draw.choice(("brick", "plaster"))
                extra = (7.0, 7.0, 0.5, 0.0)
                height = self.draw.uniform(14, 42)
                b.front(
                    x,
                    x + width,
                    0,
                    height,
                    far,
                    "building",
                    material,
                    b.variant(material),
                    layer=BACKDROP,
                    extra=extra,
                )
            else:
                height, leaf = self.draw.uniform(12, 26), self.draw.randrange(3)
                corners = [
                    (x - 8, 0.0),
                    (x - 3, height * 0.7),
                    (x + width / 2, height),
                    (x + width + 3, height * 0.7),
                    (x + width + 8, 0.0),
                ]
                b.shape(corners, far, "vegetation", "leaf", leaf, layer=BACKDROP)
            x += width

    def _ground(self) -> None:
        b, draw, layout = self.b, self.draw, self.layout
        paving = b.variant("sidewalk")
        for side in (-1, 1):
            edge = side * self.edges[side]
            verge = draw.uniform(1.6, 3.2) if draw.random() < layout.verge else 0.0
            walk = draw.uniform(2.2, 4.2)
            inner, outer = edge + side * verge, edge + side * (verge + walk)
            self.verge[side], self.walk[side] = (edge, inner), (inner, outer)
            self.house_line[side] = outer + side * (
                draw.uniform(0.1, 0.5) if draw.random() < layout.building else draw.uniform(2.5, 6)
            )
            grass = b.variant("terrain")
            b.ground(*_ordered(edge, side * 900), NEAR, 1000, "terrain", "terrain", grass)
            b.ground(*_ordered(inner, outer), NEAR, 1000, "sidewalk", "sidewalk", paving)
            b.ground(*_ordered(edge, edge + side * 0.3), NEAR, 1000, "sidewalk", "kerb")
            if not verge and draw.random() < 0.25:  # a lay-by, which Cityscapes calls parking
                start = draw.uniform(6, 18)
                b.ground(
                    *_ordered(edge, edge + side * 1.1),
                    start,
                    start + draw.uniform(8, 20),
                    "parking",
                    "road",
                    1 - self.road,
                )
        left, right = -self.edges[-1], self.edges[1]
        b.ground(left, right, NEAR, 1000, "road", "road", self.road)
        if self.tram:
            self.tram_x = left + 1.9
            for rail in (-0.72, 0.72):
                b.ground(
                    self.tram_x + rail - 0.12,
                    self.tram_x + rail + 0.12,
                    NEAR,
                    300,
                    "rail track",
                    "rail",
                )
        self._markings(left, right)

    def _markings(self, left: float, right: float) -> None:
        b, draw = self.b, self.draw
        middle = (left + (3.6 if self.tram else 0) + right) / 2
        lines = [middle]
        if right - middle > 5:
            lines += [(middle + right) / 2, middle - (right - middle) / 2]
        offset = draw.uniform(0, 6)
        for line in lines:
            for dash in range(14):
                start = max(NEAR, offset - 4 + dash * 7)
                b.ground(
                    line - 0.1,
                    line + 0.1,
                    start,
                    max(start, offset + dash * 7 - 0.5),
                    "road",
                    "marking",
                )
        for line in (left + 0.35, right - 0.35):
            b.ground(line - 0.08, line + 0.08, NEAR, 200, "road", "marking")
        if self.crossing:
            start, end = self.crossing
            b.ground(-300, 300, start, end, "road", "road", self.road)
            stripe = left + 0.4
            while stripe < right - 0.5:
                b.ground(stripe, stripe + 0.55, start - 4.2, start - 1.0, "road", "marking")
                stripe += 1.1

    def _houses(self, side: int) -> None:
        draw, line = self.draw, self.house_line[side]
        z = NEAR
        while z < FAR:
            length = draw.uniform(8, 20) if z < 60 else draw.uniform(16, 40)
            if self.crossing and z < self.crossing[1] and z + length > self.crossing[0] - 0.5:
                if self.crossing[0] - 0.5 - z < 4:
                    z = self.crossing[1] + 0.5
                    continue
                length = self.crossing[0] - 0.5 - z
            self._plot(side, line, z, z + length)
            z += length + (draw.uniform(1, 5) if draw.random() < 0.3 else 0)

    def _plot(self, side: int, line: float, z0: float, z1: float) -> None:
        b, draw, layout = self.b, self.draw, self.layout
        if draw.random() < layout.building:
            set_back = draw.uniform(2, 5) if draw.random() < 0.25 else 0.0
            objects.building(b, line + side * set_back, side, z0, z1)
            if set_back and draw.random() < 0.7:
                objects.barrier(b, "fence" if draw.random() < 0.6 else "wall", line, side, z0, z1)
            return
        for _ in range(draw.randrange(2, 5)):
            objects.tree(
                b,
                line + side * draw.uniform(2.5, 9),
                draw.uniform(max(z0, 5), max(z1, 7)),
                layer=STRUCTURES,
            )
        if draw.random() < 0.5:
            objects.bush(
                b,
                line + side * draw.uniform(1.5, 4),
                draw.uniform(max(z0, 5), max(z1, 7)),
                1.6,
                layer=STRUCTURES,
            )
        chance = draw.random()
        if chance < layout.wall:
            objects.barrier(b, "wall", line, side, z0, z1)
        elif chance < layout.wall + layout.fence:
            objects.barrier(b, "fence", line, side, z0, z1)

    def _on_walk(self, side: int, share_low: float = 0.2, share_high: float = 0.9) -> float:
        inner, outer = self.walk[side]
        return inner + (outer - inner) * self.draw.uniform(share_low, share_high)

    def _furniture(self, side: int) -> None:
        b, draw, layout = self.b, self.draw, self.layout
        edge = side * (self.edges[side] + 0.55)
        metal = b.variant("pole")
        z, spacing = draw.uniform(6, 16), draw.uniform(14, 24)
        while z < 90:
            if not self._in_crossing(z, 0):
                objects.street_lamp(b, edge, z, metal)
            z += spacing
        for _ in range(b.poisson(layout.signs / 2)):
            objects.traffic_sign(
                b, edge + side * draw.uniform(0, 0.5), draw.uniform(4.5, 22), metal
            )
        for _ in range(b.poisson(layout.trees / 2)):
            inner, outer = (
                self.verge[side]
                if self.verge[side][0] != self.verge[side][1]
                else (edge, edge + side * 0.6)
            )
            z = draw.uniform(6, 60)
            if not self._in_crossing(z):
                objects.tree(b, (inner + outer) / 2, z)
        if self.crossing:
            for _ in range(1 + (draw.random() < 0.3)):
                objects.traffic_light(b, edge, self.crossing[0] - draw.uniform(0.5, 5.5), metal)
        for _ in range(b.poisson(layout.lights / 2)):
            objects.traffic_light(b, edge, draw.uniform(5.5, 20), metal)
        for _ in range(b.poisson(layout.bins / 2)):
            objects.bin_(b, self._on_walk(side), draw.uniform(5, 18))

    def _traffic(self) -> None:
        b, draw, layout = self.b, self.draw, self.layout
        left, right = -self.edges[-1], self.edges[1]
        if self.tram:
            objects.long_vehicle(
                b, self.tram_x, draw.uniform(8, 26), "train", leaving=draw.random() < 0.5
            )
        lanes = {
            "own": 0.0 if right < 5 else min(right - 1.9, 3.2),
            "oncoming": max(left + 2.0 + 3.4 * self.tram, -3.4),
        }
        free = {"own": 9.0, "oncoming": 6.0}
        kinds = (
            ["car"] * b.poisson(layout.cars)
            + ["truck"] * b.poisson(layout.trucks)
            + ["bus"] * b.poisson(layout.buses)
        )
        draw.shuffle(kinds)
        for kind in kinds:
            lane = draw.choice(("own", "oncoming"))
            z = free[lane] + draw.uniform(0, 14)
            if kind == "car":
                objects.car(b, lanes[lane] + draw.uniform(-0.2, 0.2), z, leaving=lane == "own")
            else:
                objects.long_vehicle(b, lanes[lane], z, kind, leaving=lane == "own")
            free[lane] = z + (7 if kind == "car" else 14)
        for side in (-1, 1):
            if side == -1 and self.tram:
                continue
            z = draw.uniform(5, 12)
            for _ in range(b.poisson(layout.parked_cars / 2)):
                if not self._in_crossing(z, 5) and (side == 1 or left < -5.2):
                    objects.car(b, side * (self.edges[side] - 1.05), z, leaving=side == 1)
                z += draw.uniform(5.2, 9)

    def _people(self) -> None:
        b, draw, layout = self.b, self.draw, self.layout
        for _ in range(b.poisson(layout.persons)):
            side = draw.choice((-1, 1))
            objects.person(b, self._on_walk(side), 4 + 24 * draw.random() ** 1.3)
        if self.crossing:
            for _ in range(b.poisson(layout.persons / 4)):
                objects.person(
                    b,
                    draw.uniform(-self.edges[-1], self.edges[1]),
                    self.crossing[0] - draw.uniform(1.2, 4),
                )
        for kind, mean, chance_ridden in (
            ("bicycle", layout.bicycles, 0.0),
            ("bicycle", layout.riders * 0.7, 1.0),
            ("motorcycle", layout.riders * 0.3, 1.0),
            ("motorcycle", layout.motorcycles, 0.0),
        ):
            for _ in range(b.poisson(mean)):
                side, ridden = draw.choice((-1, 1)), draw.random() < chance_ridden
                x = (
                    side * (self.edges[side] - draw.uniform(0.5, 1.4))
                    if ridden
                    else self._on_walk(side, 0.1, 0.6)
                )
                objects.two_wheeler(
                    b, x, draw.uniform(4.5, 15), kind, across=draw.random() < 0.6, ridden=ridden
                )

    def _hood(self) -> None:
        b, draw = self.b, self.draw
        rise, middle = draw.uniform(0.05, 0.1), ASPECT / 2 + draw.uniform(-0.1, 0.1)
        steps = [(-1.0 + step / 8) for step in range(17)]
        points = [(middle + step * ASPECT * 0.6, 1.0 - rise * (1 - step**4)) for step in steps] + [
            (ASPECT * 1.2, 1.1),
            (-0.2 * ASPECT, 1.1),
        ]
        b.add(COCKPIT, 0.0, points, "ego vehicle", "hood", 0, (0.0, 0.0, 0.7))


def _ordered(start: float, end: float) -> tuple[float, float]:
    return (start, end) if start < end else (end, start)
