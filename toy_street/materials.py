"""Materials and their appearance in A and in B.

A colour in A does not determine the colour in B: road, brick, wall, roof and one car are the same
blue grey in A, and brown, red, pink, rust and olive in B; sky, brick and truck, sidewalk, wall and
plaster, grass and autumn leaves, white house, pole, car and cargo likewise share a colour in A.
Material and colour in A together determine the colour in B.
"""

from typing import NamedTuple

Color = tuple[int, int, int]

NO_PATTERN, WINDOWS, BRICKS, TILES, PICKETS = range(5)
"""Patterns drawn by `render`; BRICKS are WINDOWS with brick rows between them."""


class Material(NamedTuple):
    """One material.

    Args:
        colors: variants, each with the colours in A and in B.
        fine: size in metres and amplitude of B's fine texture.
        coarse: the same for its coarse texture.
        pattern: the pattern that `render` draws on it.
        glow: whether it glows at night.
    """

    colors: tuple[tuple[Color, Color], ...]
    fine: tuple[float, float] = (0.10, 0.06)
    coarse: tuple[float, float] = (0.80, 0.04)
    pattern: int = NO_PATTERN
    glow: bool = False


MATERIALS = {
    "sky": Material((((74, 146, 240), (186, 190, 192)),), (1, 0), (1, 0)),
    "road": Material(
        (((98, 107, 128), (78, 68, 60)), ((118, 126, 146), (94, 84, 73))), (0.06, 0.24), (1.6, 0.08)
    ),
    "marking": Material((((250, 250, 250), (176, 164, 132)),), (0.15, 0.14), (0.7, 0.12)),
    "rail": Material((((160, 166, 190), (112, 82, 62)),), (0.15, 0.10)),
    "sidewalk": Material(
        (((208, 180, 166), (132, 138, 138)), ((190, 172, 196), (152, 152, 140))),
        (0.15, 0.10),
        (1.5, 0.08),
        TILES,
    ),
    "kerb": Material((((234, 226, 220), (104, 106, 104)),), (0.2, 0.10)),
    "terrain": Material(
        (((148, 203, 62), (150, 130, 82)), ((62, 176, 72), (116, 112, 54))),
        (0.16, 0.24),
        (0.9, 0.16),
    ),
    "brick": Material(
        (((100, 110, 131), (146, 72, 56)), ((118, 170, 236), (112, 52, 48))),
        (0.3, 0.08),
        (2.5, 0.08),
        BRICKS,
    ),
    "plaster": Material(
        (
            ((210, 182, 166), (172, 136, 78)),
            ((64, 168, 92), (184, 160, 122)),
            ((118, 126, 146), (86, 56, 50)),
            ((240, 242, 246), (120, 120, 122)),
        ),
        (0.25, 0.06),
        (3.0, 0.12),
        WINDOWS,
    ),
    "roof": Material(
        (((206, 62, 52), (66, 64, 68)), ((100, 108, 128), (110, 64, 50))), (0.4, 0.14)
    ),
    "leaf": Material(
        (
            ((58, 178, 62), (60, 68, 32)),
            ((28, 142, 104), (88, 92, 38)),
            ((150, 203, 58), (122, 82, 36)),
        ),
        (0.28, 0.42),
        (0.9, 0.26),
    ),
    "trunk": Material((((156, 104, 62), (60, 52, 46)),), (0.15, 0.2)),
    "wall": Material(
        (((208, 180, 166), (92, 92, 76)), ((100, 109, 130), (140, 112, 94))),
        (0.2, 0.14),
        (1.2, 0.14),
    ),
    "fence": Material(
        (((182, 122, 66), (44, 64, 56)), ((236, 236, 230), (104, 78, 56))),
        (0.2, 0.10),
        (1, 0.05),
        PICKETS,
    ),
    "pole": Material(
        (((236, 238, 242), (54, 54, 60)), ((104, 112, 132), (116, 118, 118))), (0.3, 0.05)
    ),
    "lamp": Material((((255, 250, 225), (186, 188, 186)),), glow=True),
    "signal": Material((((244, 198, 36), (30, 34, 34)),)),
    "red": Material((((255, 40, 40), (226, 62, 44)),), (1, 0), (1, 0), glow=True),
    "amber": Material((((150, 90, 20), (84, 60, 28)),), (1, 0), (1, 0)),
    "green": Material((((30, 240, 120), (90, 196, 156)),), (1, 0), (1, 0), glow=True),
    "sign": Material(
        (
            ((36, 92, 226), (182, 44, 40)),
            ((250, 214, 30), (224, 224, 218)),
            ((230, 40, 40), (38, 72, 132)),
        )
    ),
    "sign_face": Material((((252, 252, 252), (222, 206, 120)),)),
    "skin": Material((((246, 194, 160), (190, 142, 116)), ((150, 100, 70), (112, 80, 62)))),
    "hair": Material((((120, 70, 30), (44, 36, 32)), ((250, 226, 120), (150, 142, 132)))),
    "top": Material(
        (
            ((232, 58, 62), (58, 60, 76)),
            ((62, 84, 224), (126, 52, 46)),
            ((252, 222, 60), (176, 172, 164)),
            ((242, 242, 244), (44, 64, 50)),
            ((116, 222, 124), (100, 74, 104)),
        ),
        (0.12, 0.14),
    ),
    "bottom": Material(
        (((66, 78, 158), (42, 42, 46)), ((206, 186, 140), (84, 82, 98))), (0.12, 0.12)
    ),
    "rider": Material(
        (((255, 122, 20), (186, 190, 72)), ((196, 60, 220), (84, 92, 104))), (0.12, 0.14)
    ),
    "bicycle": Material((((214, 40, 70), (52, 70, 104)), ((60, 214, 214), (96, 62, 48)))),
    "spokes": Material((((176, 182, 196), (104, 98, 92)),), (0.1, 0.25)),
    "motorcycle": Material((((226, 40, 164), (84, 24, 24)), ((40, 206, 226), (52, 58, 64)))),
    "tyre": Material((((44, 46, 58), (30, 28, 28)),)),
    "shadow": Material((((66, 72, 90), (46, 42, 38)),), (0.12, 0.15)),
    "paint": Material(
        (
            ((222, 40, 44), (174, 178, 182)),
            ((42, 92, 224), (98, 26, 30)),
            ((242, 242, 246), (36, 38, 44)),
            ((252, 202, 40), (32, 58, 88)),
            ((58, 176, 82), (208, 206, 198)),
            ((108, 117, 138), (86, 96, 74)),
        ),
        (0.3, 0.03),
        (0.8, 0.06),
    ),
    "glass": Material((((134, 190, 246), (44, 50, 54)),), (0.3, 0.05), (0.8, 0.12)),
    "headlight": Material((((255, 250, 200), (206, 206, 200)),), (1, 0), (1, 0), glow=True),
    "taillight": Material((((255, 60, 70), (128, 28, 28)),), (1, 0), (1, 0), glow=True),
    "plate": Material((((255, 226, 90), (214, 214, 208)),), (1, 0), (1, 0)),
    "truck": Material((((224, 42, 46), (206, 208, 202)), ((118, 172, 236), (112, 118, 62)))),
    "cargo": Material(
        (((242, 242, 244), (70, 84, 112)), ((60, 172, 80), (176, 150, 112))),
        (0.3, 0.06),
        (1.5, 0.12),
    ),
    "bus": Material((((232, 62, 152), (192, 158, 40)), ((48, 92, 222), (166, 46, 38)))),
    "train": Material((((56, 222, 120), (134, 146, 158)), ((226, 226, 236), (60, 92, 84)))),
    "bin": Material((((82, 172, 84), (72, 74, 84)), ((214, 124, 60), (100, 88, 80)))),
    "hood": Material((((40, 64, 128), (34, 34, 38)),), (0.4, 0.04), (1, 0.04)),
}

NAMES = tuple(MATERIALS)
NUMBER_OF = {name: number for number, name in enumerate(NAMES)}
