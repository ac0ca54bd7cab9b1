"""What does a small generator keep of its teacher, and would it have learned as much by itself?

    python -m benchmarks.distill_quality --directory=DIR --only=satellite2map/teacher
    python -m benchmarks.distill_quality --directory=DIR --cores=0,1
    python -m benchmarks.distill_quality --directory=DIR --tables

As benchmarks.methods_quality, with the same DIR. On satellite -> map and on the synthetic street,
game-like -> photo-like frames:
    teacher        CycleGAN with 9 blocks of 32 filters, 14.5 GMAC at 256x256, three times as long
                   as a student, since a teacher exists before
    distilled N    a generator with 9 separable blocks and N filters, taught by it, A to B alone
    nothing N      CycleGAN with two such generators, for as many minutes, without a teacher; once
                   for those of its teacher as well
The size in the middle has 3 seeds on satellite -> map, everything else one. The first command
trains the teacher that `distill` and --measure need; toy_gta2city has another.
"""

from typing import Any

from benchmarks.methods_quality import Cell, main

SIZES = (24, 16, 8)
"""Filters of the students."""
HEADLINE = 16
TEACHER_TIMES = 3
DATA = ("satellite2map", "toy_gta2city")


def _teacher(data: str) -> Cell:
    flags = {"base_filters": 32, "residual_blocks": 9}
    return Cell(data, "teacher", flags=flags, kind="teacher", times=TEACHER_TIMES)


def _size(filters: int) -> dict[str, Any]:
    return {"base_filters": filters, "residual_blocks": 9, "separable": "true"}


def _students(data: str, filters: int, seed: int) -> list[Cell]:
    """A size by both ways."""
    size = _size(filters)
    taught = size | {"teacher": f"runs/{_teacher(data).place}", "students": "ab"}
    distilled, nothing = f"distilled {filters}", f"nothing {filters}"
    return [
        Cell(data, distilled, seed, "distill", flags=taught, kind=distilled),
        Cell(data, nothing, seed, flags=size, kind=nothing),
    ]


def plan() -> list[Cell]:
    """All runs, teachers and then the most informative ones first."""
    cells = [_teacher(data) for data in DATA]
    for data in DATA:
        for filters in SIZES:
            cells += _students(data, filters, 0)
    for seed in (1, 2):
        cells += _students("satellite2map", HEADLINE, seed)
    nothing, times = f"nothing {HEADLINE}", TEACHER_TIMES + 1
    name = f"{nothing}, {times} times as long"
    cells.append(Cell(DATA[0], name, flags=_size(HEADLINE), kind=nothing, times=times))
    return cells


if __name__ == "__main__":
    main(plan(), __doc__, minutes=8.0)
