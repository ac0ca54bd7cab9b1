"""Options for the meaning of numbers and for cutting planes, which all scripts for measurements
have.
"""

from dataclasses import dataclass

from data_prep.groups import FILE
from tfcyclegan.config import Options, Size, option
from tfcyclegan.data.values import RangeRequest
from tfcyclegan.errors import UserError


@dataclass(frozen=True)
class Tiles:
    """The windows into which planes are cut.

    Attributes:
        size: size of each window.
        stride: pixels from one window to the next.
    """

    size: Size
    stride: Size


@dataclass(frozen=True, kw_only=True)
class ValueOptions(Options):
    """Options for the values of both domains, and for the arrays made of their planes."""

    range_a: str = option(
        "",
        "values of domain A that networks see as -1 and 1: -1000:2000, or percentiles of the "
        "training data, p0.5:p99.5, or one for each channel, separated by commas; default: 0:255 "
        "for uint8, p0.5:p99.5 for other types",
    )
    range_b: str = option("", "likewise for domain B")
    nodata_a: float | None = option(
        None, "nodata value of domain A, which marks missing measurements; default: the files' own"
    )
    nodata_b: float | None = option(None, "likewise for domain B")
    mask: bool = option(
        False,
        "folders trainA_mask, trainB_mask, ... hold files with equal names whose zeros mark "
        "missing measurements",
    )
    neighbours: str = option(
        "0",
        "number of planes on either side of each that become channels beside it (2.5D); or one "
        "number for each domain, 1,0",
    )
    tile: Size | None = option(
        None, "cut planes into windows of this size; default: planes are stored whole"
    )
    stride: Size | None = option(
        None, "with --tile, rows and columns from one window to the next; default: --tile"
    )
    group_by: str = option(
        FILE,
        "what identifies a subject or scene, which must not be in two splits: file, parent (the "
        "folder that holds a file), or a regular expression that matches its name in a file's path",
    )
    allow_mixed: bool = option(
        False,
        "accept files of one domain that differ in what should agree, such as the coordinate "
        "system",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for domain in "ab":
            self.range_request(domain)
        counts = self.neighbours.split(",")
        if len(counts) > 2 or not all(count.isascii() and count.isdigit() for count in counts):
            raise UserError(
                f"--neighbours={self.neighbours}: give a number, or one for each domain such as 1,0"
            )
        if self.stride is not None and self.tile is None:
            raise UserError(f"--stride={self.stride}: needs --tile, the size of the windows")
        if (
            self.stride
            and self.tile
            and (self.stride.height > self.tile.height or self.stride.width > self.tile.width)
        ):
            raise UserError(
                f"--stride={self.stride}: larger than --tile={self.tile}, so pixels between "
                "windows would be lost"
            )

    def range_request(self, domain: str) -> RangeRequest:
        """The request of `range_a` or `range_b`."""
        return RangeRequest.parse(f"--range_{domain}", getattr(self, f"range_{domain}"))

    def neighbours_of(self, domain: str) -> int:
        """The neighbours of domain "a" or "b"."""
        counts = self.neighbours.split(",")
        return int(counts[0 if domain == "a" else -1])

    @property
    def tiles(self) -> Tiles | None:
        """The windows, or None if planes are stored whole."""
        return None if self.tile is None else Tiles(self.tile, self.stride or self.tile)
