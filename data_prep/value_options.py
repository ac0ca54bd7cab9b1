"""Options on what numbers mean and how planes are cut, which all scripts for measurements have."""

from dataclasses import dataclass

from data_prep.groups import FILE
from tfcyclegan.config import Options, Size, option
from tfcyclegan.data.values import RangeRequest
from tfcyclegan.errors import UserError


@dataclass(frozen=True)
class Tiles:
    """Windows over planes.

    Attributes:
        size: of each.
        stride: from one to the next.
    """

    size: Size
    stride: Size


@dataclass(frozen=True, kw_only=True)
class ValueOptions(Options):
    """Options on the values of both domains, and on the arrays that are made of their planes."""

    range_a: str = option(
        "",
        "values of domain A that networks see as -1 and 1: -1000:2000, or percentiles of the "
        "training data, p0.5:p99.5, or one for each channel with commas between; default 0:255 of "
        "uint8, p0.5:p99.5 of other types",
    )
    range_b: str = option("", "likewise of domain B")
    nodata_a: float | None = option(
        None, "value of domain A that says that nothing was measured; default: what the files say"
    )
    nodata_b: float | None = option(None, "likewise of domain B")
    mask: bool = option(
        False,
        "folders trainA_mask, trainB_mask, ... hold files of equal names whose 0 says that nothing "
        "was measured",
    )
    neighbours: str = option(
        "0",
        "planes on either side of each that become channels beside it (2.5D); or one number for "
        "each domain, 1,0",
    )
    tile: Size | None = option(
        None, "cut planes into windows of this size; default: planes are stored whole"
    )
    stride: Size | None = option(
        None, "with --tile, rows and columns from one window to the next; default: --tile"
    )
    group_by: str = option(
        FILE,
        "what is one subject or scene, which may be in one split alone: file, parent (the folder a "
        "file lies in), or a regular expression whose first group names it",
    )
    allow_mixed: bool = option(
        False,
        "take files of one domain that differ in what should agree, such as the coordinate system",
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
                f"--stride={self.stride}: is larger than --tile={self.tile}, so that pixels "
                "between windows would be in none"
            )

    def range_request(self, domain: str) -> RangeRequest:
        """What `range_a` or `range_b` says."""
        return RangeRequest.parse(f"--range_{domain}", getattr(self, f"range_{domain}"))

    def neighbours_of(self, domain: str) -> int:
        """Of domain "a" or "b"."""
        counts = self.neighbours.split(",")
        return int(counts[0 if domain == "a" else -1])

    @property
    def tiles(self) -> Tiles | None:
        """The windows, or None where planes are stored whole."""
        return None if self.tile is None else Tiles(self.tile, self.stride or self.tile)
