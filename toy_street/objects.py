"""Objects in the street, built from flat polygons; everything visible at a height of 64 pixels is a
few pixels wide.
"""

import math

from toy_street.builder import OBJECTS, STRUCTURES, Builder, Point


def car(b: Builder, x: float, z: float, *, leaving: bool) -> None:
    """A car around X = `x` whose near end is at `z`; `leaving` shows its back."""
    paint, half = b.variant("paint"), 0.92
    length, roof = b.draw.uniform(3.9, 4.6), b.draw.uniform(1.42, 1.7)
    b.ground(x - half - 0.25, x + half + 0.25, z - 0.2, z + length + 0.2, "road", "shadow")
    _wheels(b, x, half, z, length, 0.34, "car")
    b.box(x - half, x + half, 0.26, 0.88, z, z + length, "car", "paint", paint, order=z)
    near = z + (0.25 if leaving else 1.1)
    b.box(
        x - half + 0.12,
        x + half - 0.12,
        0.88,
        roof,
        near,
        z + length - (1.1 if leaving else 0.25),
        "car",
        "paint",
        paint,
        order=z,
    )
    b.front(x - half + 0.24, x + half - 0.24, 0.93, roof - 0.1, near, "car", "glass", order=z)
    side = _side(x, half - 0.12)
    if side:
        b.side(side, 0.93, roof - 0.1, near + 0.2, z + length - 1.3, "car", "glass", z=z)
    light, low = ("taillight", 0.62) if leaving else ("headlight", 0.58)
    for end in (-1, 1):
        b.front(
            x + end * 0.86 - 0.17 * (end > 0) * 2,
            x + end * 0.86 + 0.17 * (end < 0) * 2,
            low,
            low + 0.2,
            z,
            "car",
            light,
            order=z,
        )
    b.front(x - 0.25, x + 0.25, 0.36, 0.5, z, "license plate", "plate", order=z)


def long_vehicle(b: Builder, x: float, z: float, kind: str, *, leaving: bool) -> None:
    """A bus, truck or train around X = `x` whose near end is at `z`."""
    half, height = {"bus": (1.28, 3.1), "truck": (1.25, 3.4), "train": (1.35, 3.5)}[kind]
    length = {"bus": 11.0, "truck": 7.5, "train": 28.0}[kind]
    color = b.variant(kind)
    b.ground(x - half - 0.3, x + half + 0.3, z - 0.3, z + length + 0.3, "road", "shadow")
    _wheels(b, x, half, z, length, 0.48, kind)
    side = _side(x, half)
    if kind == "truck":
        cargo = b.variant("cargo")
        cab = z if leaving else z + 1.9
        b.box(x - half, x + half, 0.75, height, cab, z + length, kind, "cargo", cargo, order=z)
        if leaving:
            b.front(x - half, x + half, 0.45, 0.8, z, kind, "truck", color, order=z)
            b.front(x - 0.05, x + 0.05, 0.8, height, z, kind, "tyre", order=z)
        else:
            b.box(
                x - half + 0.05, x + half - 0.05, 0.45, 2.6, z, cab, kind, "truck", color, order=z
            )
            b.front(x - half + 0.2, x + half - 0.2, 1.55, 2.35, z, kind, "glass", order=z)
            if side:
                b.side(side, 1.55, 2.3, z + 0.3, z + 1.5, kind, "glass", z=z)
    else:
        b.box(x - half, x + half, 0.4, height, z, z + length, kind, kind, color, order=z)
        b.front(
            x - half + 0.18,
            x + half - 0.18,
            1.3 if kind == "bus" else 1.6,
            height - 0.5,
            z,
            kind,
            "glass",
            order=z,
        )
        if side:
            step = 1.5 if kind == "bus" else 3.5
            for window in range(int(length / step)):
                b.side(
                    side,
                    1.45,
                    2.5,
                    z + 0.3 + window * step,
                    z + 0.3 + (window + 0.84) * step,
                    kind,
                    "glass",
                    z=z,
                )
    light = "taillight" if leaving else "headlight"
    for end in (-1, 1):
        b.front(
            x + end * (half - 0.28) - 0.18,
            x + end * (half - 0.28) + 0.18,
            0.6,
            0.9,
            z,
            kind,
            light,
            order=z,
        )


def _side(x: float, half: float) -> float:
    """X of the visible long side of an object around `x`, or 0 if only its end is visible."""
    return x + half if x + half < -0.05 else x - half if x - half > 0.05 else 0.0


def _wheels(
    b: Builder, x: float, half: float, z: float, length: float, radius: float, label: str
) -> None:
    b.front(
        x - half + 0.04, x + half - 0.04, 0.12, 0.5, z + 0.1, label, "tyre", order=z, brightness=0.8
    )
    for end in (-1, 1):
        b.front(
            x + end * (half - 0.14) - 0.13,
            x + end * (half - 0.14) + 0.13,
            0,
            radius,
            z + 0.05,
            label,
            "tyre",
            order=z,
        )
    side = _side(x, half)
    if side:
        for along in (0.19, 0.8):
            b.wheel(side * 0.999, z + along * length, radius, label, z - 0.001)


def person(b: Builder, x: float, z: float) -> None:
    """A person at X = `x`, `z` metres ahead."""
    height = b.draw.uniform(1.6, 1.9) if b.draw.random() < 0.85 else b.draw.uniform(1.1, 1.4)
    skin = b.variant("skin")
    half, stride = b.at_least(0.25, z, 0.014), b.draw.uniform(0.03, 0.22)
    hips, shoulders = 0.48 * height, 0.83 * height
    bottom, top = b.variant("bottom"), b.variant("top")
    for end in (-1, 1):
        foot = x + end * stride
        b.shape(
            [(x - 0.16, hips), (x + 0.16, hips), (foot + 0.1, 0), (foot - 0.1, 0)],
            z,
            "person",
            "bottom",
            bottom,
        )
    corners = [
        (x - half * 0.75, hips - 0.05),
        (x - half, shoulders),
        (x + half, shoulders),
        (x + half * 0.75, hips - 0.05),
    ]
    b.shape(corners, z, "person", "top", top)
    for end in (-1, 1):
        b.shape(
            _bar((x + end * half, shoulders), (x + end * (half + 0.1), hips), 0.07),
            z,
            "person",
            "top",
            top,
            brightness=0.9,
        )
    b.disc(x, 0.91 * height, z, 0.13, "person", "hair", b.variant("hair"))
    b.disc(x, 0.895 * height, z, 0.11, "person", "skin", skin)


def two_wheeler(b: Builder, x: float, z: float, kind: str, *, across: bool, ridden: bool) -> None:
    """A bicycle or motorcycle, seen from its end or, with `across`, from its side; with a rider if
    `ridden`.
    """
    color, heavy = b.variant(kind), kind == "motorcycle"
    radius = 0.33 if heavy else 0.36
    facing = b.draw.choice((-1, 1))
    seat, bar = 0.82 if heavy else 0.95, 1.05
    if across:
        front, back = (x + facing * 0.55, radius), (x - facing * 0.55, radius)
        for hub in (front, back):
            b.disc(*hub, z, radius, kind, "tyre")
            b.disc(*hub, z, radius * (0.45 if heavy else 0.72), kind, "spokes")
        middle, head, saddle = (x, radius), (x + facing * 0.4, 0.9), (x - facing * 0.2, seat)
        if heavy:
            b.shape(
                [
                    (x - facing * 0.6, 0.45),
                    (x - facing * 0.65, 0.85),
                    (x + facing * 0.35, 0.98),
                    (x + facing * 0.45, 0.5),
                ],
                z,
                kind,
                kind,
                color,
            )
        for start, end in (
            (front, head),
            (back, saddle),
            (back, middle),
            (saddle, head),
            (middle, head),
            (middle, saddle),
        ):
            b.shape(_bar(start, end, 0.08), z, kind, kind, color)
        b.shape(_bar(head, (head[0], bar + 0.05), 0.09), z, kind, "tyre")
    else:
        half = 0.2 if heavy else 0.12
        b.front(x - half / 2 - 0.05, x + half / 2 + 0.05, 0, 2 * radius, z, kind, "tyre")
        b.front(x - half - 0.05, x + half + 0.05, radius, seat, z, kind, kind, color)
        b.front(x - 0.36, x + 0.36, bar - 0.09, bar, z, kind, "tyre")
        if heavy:
            b.front(x - 0.1, x + 0.1, 0.75, 0.92, z, kind, "taillight")
    if ridden:
        _rider(b, x, z, facing if across else 0, seat, radius)


def _rider(b: Builder, x: float, z: float, facing: int, seat: float, radius: float) -> None:
    bottom, top = b.variant("bottom"), b.variant("rider")
    hip, shoulder = (x - facing * 0.2, seat + 0.05), (x + facing * 0.12, seat + 0.62)
    for end in (-1, 1):
        knee = (x + (facing * 0.22 if facing else end * 0.22), seat - 0.3)
        foot = (x + (facing * 0.08 * end if facing else end * 0.18), radius - 0.1)
        b.shape(_bar(hip, knee, 0.18), z, "rider", "bottom", bottom)
        b.shape(_bar(knee, foot, 0.15), z, "rider", "bottom", bottom)
    b.shape(_bar(hip, shoulder, 0.34 if facing else 0.44), z, "rider", "rider", top)
    for end in (-1, 1):
        hand = (x + (facing * 0.45 if facing else end * 0.34), 1.08)
        b.shape(_bar(shoulder, hand, 0.13), z, "rider", "rider", top, brightness=0.9)
    b.disc(shoulder[0] + facing * 0.06, shoulder[1] + 0.2, z, 0.15, "rider", "rider", 1 - top)
    b.disc(shoulder[0] + facing * 0.1, shoulder[1] + 0.15, z, 0.09, "rider", "skin", 0)


def _bar(start: Point, end: Point, width: float) -> list[Point]:
    """The four corners of a bar from `start` to `end`."""
    along = (end[0] - start[0], end[1] - start[1])
    scale = width / 2 / (math.hypot(*along) or 1)
    across = (-along[1] * scale, along[0] * scale)
    return [
        (start[0] + across[0], start[1] + across[1]),
        (end[0] + across[0], end[1] + across[1]),
        (end[0] - across[0], end[1] - across[1]),
        (start[0] - across[0], start[1] - across[1]),
    ]


def tree(b: Builder, x: float, z: float, *, layer: int = OBJECTS) -> None:
    height, leaf = b.draw.uniform(5, 9.5), b.draw.choices((0, 1, 2), (5, 3, 2))[0]
    trunk = b.at_least(b.draw.uniform(0.14, 0.24), z, 0.009)
    crown, radius = height * 0.66, height * b.draw.uniform(0.26, 0.36)
    b.front(x - trunk, x + trunk, 0, crown, z, "vegetation", "trunk", layer=layer)
    for brightness, share, drop in ((0.78, 1.0, -0.12), (1.0, 0.86, 0.04), (1.16, 0.5, 0.34)):
        _crown(
            b,
            x + radius * b.draw.uniform(-0.15, 0.15),
            crown + drop * radius,
            z,
            radius * share,
            leaf,
            brightness,
            layer,
        )


def bush(b: Builder, x: float, z: float, radius: float, *, layer: int = OBJECTS) -> None:
    """A bush of two layers of leaves."""
    leaf = b.draw.randrange(3)
    for brightness, share in ((0.8, 1.0), (1.05, 0.75)):
        _crown(b, x, radius * 0.55 * (2 - share), z, radius * share, leaf, brightness, layer)


def _crown(
    b: Builder,
    x: float,
    y: float,
    z: float,
    radius: float,
    leaf: int,
    brightness: float,
    layer: int,
) -> None:
    count = 15
    corners = []
    for step in range(count):
        turn, reach = 2 * math.pi * step / count, radius * b.draw.uniform(0.8, 1.15)
        corners.append((x + reach * math.cos(turn), max(0.0, y + reach * math.sin(turn))))
    b.shape(corners, z, "vegetation", "leaf", leaf, layer=layer, brightness=brightness)


def pole(
    b: Builder, x: float, z: float, height: float, *, variant: int, width: float = 0.16
) -> None:
    """A vertical pole, wide enough to be visible at `z`."""
    half = b.at_least(width, z) / 2
    b.front(x - half, x + half, 0, height, z, "pole", "pole", variant)


def street_lamp(b: Builder, x: float, z: float, variant: int) -> None:
    """A pole with an arm over the road."""
    inward, height = (-1 if x > 0 else 1), 6.2
    pole(b, x, z, height, variant=variant)
    half = b.at_least(0.12, z) / 2
    b.front(
        min(x, x + inward * 1.8),
        max(x, x + inward * 1.8),
        height - half,
        height + half,
        z,
        "pole",
        "pole",
        variant,
    )
    lamp = x + inward * 1.8
    b.front(lamp - 0.35, lamp + 0.35, height - 0.2 - half, height - half, z, "pole", "lamp")
    where = b.camera.project(lamp, height - 0.3, z)
    b.lamps.append((*where, b.camera.focal / z))


def traffic_light(b: Builder, x: float, z: float, variant: int) -> None:
    """A signal of three lights on a pole, red or green."""
    width = b.at_least(0.46, z, 0.034) / 2
    low, tall = 2.35, width * 5.2
    pole(b, x, z, low + tall, variant=variant, width=0.14)
    b.front(x - width, x + width, low, low + tall, z, "traffic light", "signal")
    lit = b.draw.choice((0, 2))
    for place, (material, dim) in enumerate(
        (("green", "shadow"), ("amber", "amber"), ("red", "shadow"))
    ):
        middle = low + tall * (place + 0.5) / 3
        b.disc(x, middle, z, width * 0.72, "traffic light", material if place == lit else dim)


def traffic_sign(b: Builder, x: float, z: float, variant: int) -> None:
    """A round, triangular or square sign, or a board, on a pole."""
    radius = b.at_least(0.42, z, 0.026)
    middle, color = 2.3 + radius, b.variant("sign")
    pole(b, x, z, 2.4, variant=variant, width=0.1)
    kind = b.draw.randrange(4)
    inner = radius * 0.55
    if kind == 0:
        b.disc(x, middle, z, radius, "traffic sign", "sign", color)
        b.disc(x, middle, z, inner, "traffic sign", "sign_face")
    elif kind == 1:
        for material, reach in (("sign", radius * 1.15), ("sign_face", inner)):
            corners = [
                (x - reach, middle - reach * 0.7),
                (x, middle + reach),
                (x + reach, middle - reach * 0.7),
            ]
            b.shape(corners, z, "traffic sign", material, color if material == "sign" else 0)
    elif kind == 2:
        b.front(
            x - radius,
            x + radius,
            middle - radius,
            middle + radius,
            z,
            "traffic sign",
            "sign",
            color,
        )
        b.front(
            x - inner,
            x + inner,
            middle - inner * 0.3,
            middle + inner * 0.3,
            z,
            "traffic sign",
            "sign_face",
        )
    else:
        b.front(
            x - radius * 1.8,
            x + radius * 1.8,
            middle - radius,
            middle + radius * 0.6,
            z,
            "traffic sign",
            "sign",
            color,
        )
        b.front(
            x - radius * 1.4,
            x + radius * 1.4,
            middle - radius * 0.45,
            middle + radius * 0.1,
            z,
            "traffic sign",
            "sign_face",
        )


def bin_(b: Builder, x: float, z: float) -> None:
    """A litter bin, which Cityscapes calls static."""
    b.box(x - 0.3, x + 0.3, 0, 1.05, z, z + 0.6, "static", "bin", b.variant("bin"))


def building(b: Builder, x: float, side: int, z0: float, z1: float) -> None:
    """A house whose facade stands at X = `x` on the side -1 or 1 of the street."""
    draw = b.draw
    material = "brick" if draw.random() < 0.4 else "plaster"
    color, bright = b.variant(material), draw.uniform(0.9, 1.06)
    height = draw.choice((7.0, 10.0, 13.0, 16.0, 22.0)) * draw.uniform(0.92, 1.08)
    shop = 3.3 if draw.random() < 0.45 else 0.0
    extra = (draw.uniform(2.4, 3.6), draw.uniform(2.9, 3.5), draw.uniform(0.42, 0.66), shop)
    roof, ridge = b.variant("roof"), draw.choice((0.0, 0.0, 2.2, 3.2))
    far = x + side * 11
    if ridge:
        project = b.camera.project
        back = x + side * 5.5
        slope = [
            project(x, height, z0),
            project(back, height + ridge, z0),
            project(back, height + ridge, z1),
            project(x, height, z1),
        ]
        b.add(STRUCTURES, z1, slope, "building", "roof", roof, (1 / x, 0.0, 0.0))
        b.shape(
            [(x, height), (back, height + ridge), (far, height)],
            z0,
            "building",
            material,
            color,
            layer=STRUCTURES,
            order=z1 - 0.01,
        )
    b.front(
        min(x, far),
        max(x, far),
        0,
        height,
        z0,
        "building",
        material,
        color,
        layer=STRUCTURES,
        order=z1,
        brightness=bright,
        extra=extra,
    )
    b.side(
        x,
        0,
        height,
        z0,
        z1,
        "building",
        material,
        color,
        layer=STRUCTURES,
        z=z1,
        brightness=bright,
        extra=extra,
    )
    if not ridge:
        b.side(
            x, height - 0.5, height, z0, z1, "building", "roof", roof, layer=STRUCTURES, z=z1 - 0.01
        )
        b.front(
            min(x, far),
            max(x, far),
            height - 0.5,
            height,
            z0,
            "building",
            "roof",
            roof,
            layer=STRUCTURES,
            order=z1 - 0.01,
        )


def barrier(b: Builder, kind: str, x: float, side: int, z0: float, z1: float) -> None:
    """A wall or a fence along the street."""
    color = b.variant(kind)
    height = b.draw.uniform(1.9, 3.0) if kind == "wall" else b.draw.uniform(1.1, 1.7)
    extra = (b.draw.uniform(0.8, 1.3), height, 0.5, 0.0)
    far = x + side * 0.4
    b.side(x, 0, height, z0, z1, kind, kind, color, layer=STRUCTURES, z=z1 - 0.02, extra=extra)
    b.front(
        min(x, far),
        max(x, far),
        0,
        height,
        z0,
        kind,
        kind,
        color,
        layer=STRUCTURES,
        order=z1 - 0.02,
        extra=extra,
    )
