"""Tiles give the picture that the whole network gives: any tile, any size, every norm, every
generator.
"""

import os

import numpy as np
import pytest
from PIL import Image

from tfcyclegan import cli
from tfcyclegan.config import Size
from tfcyclegan.data import images
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.exporting import saved_model
from tfcyclegan.networks import Generator, make_generator
from tfcyclegan.translation import tiling
from tfcyclegan.translation.tiling import Tiler
from tfcyclegan.translation.translators import Translator, as_function


def picture(height: int, width: int) -> np.ndarray:
    """Unlike itself from place to place, so that a tile's own statistics would show."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3))
    slope = (
        np.linspace(0, 1, width)[np.newaxis, :, np.newaxis]
        * np.linspace(0.2, 1, height)[:, np.newaxis, np.newaxis]
    )
    return (noise * slope).astype(np.uint8)


def generator(architecture: str, **settings) -> Generator:
    # He's initial weights, with which the outputs fill the range
    return make_generator(
        architecture, base_filters=4, init="kaiming", init_gain=1.0, seed=0, **settings
    )


def translators(network: Generator, tile: int) -> tuple[Translator, Translator]:
    """Whole, and in tiles."""
    function = as_function(network)
    return tuple(
        Translator({}, 3, network.size_multiple, function, tiler)
        for tiler in (None, Tiler(network, tile))
    )  # type: ignore[return-value]


def assert_equal(tiled: np.ndarray, whole: np.ndarray) -> None:
    assert tiled.shape == whole.shape and whole.std() > 5
    differences = np.abs(tiled.astype(int) - whole)
    assert differences.max() <= 1 and (differences > 0).mean() < 1e-3


@pytest.mark.parametrize("size", [(68, 52), (37, 61), (16, 130)], ids=str)
@pytest.mark.parametrize("tile", [16, 22, 35])
def test_tiles_of_any_size_on_pictures_of_any_size(tile, size, tmp_path):
    whole, tiled = translators(generator("resnet_1blocks"), tile)
    assert_equal(tiled(picture(*size), tmp_path), whole(picture(*size)))
    assert list(tmp_path.iterdir()) == []


def test_a_unet_without_norms(tmp_path):
    whole, tiled = translators(generator("unet_128", norm="none"), 40)
    assert_equal(tiled(picture(100, 84), tmp_path), whole(picture(100, 84)))


def test_batch_norm_takes_its_running_statistics(tmp_path):
    network = generator("resnet_1blocks", norm="batch")
    network.stem_norm.moving_mean.assign([0.5, -0.5, 1, 0])
    network.stem_norm.moving_variance.assign([0.1, 2, 1, 1])
    whole, tiled = translators(network, 24)
    assert_equal(tiled(picture(48, 40), tmp_path), whole(picture(48, 40)))


def test_moments_of_tiles_are_those_of_the_whole():
    """Far from zero, where float32 sums of squares would have lost the variance."""
    values = 3000 + np.random.default_rng(0).normal(size=(1, 60, 50, 3)).astype(np.float32)
    parts = [
        tiling._Moments.of(values[:, :17]),
        tiling._Moments.of(values[:, 17:, :9]),
        tiling._Moments.of(values[:, 17:, 9:]),
    ]
    joined = parts[0].joined(parts[1]).joined(parts[2])
    wide = values[0].reshape(-1, 3).astype(np.float64)
    np.testing.assert_allclose(joined.mean, wide.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(joined.variance, wide.var(axis=0), rtol=1e-3)


def test_every_way_keeps_the_digits_of_large_pictures(tmp_path):
    """Nearly flat and far from mid-gray: as hard at this size as an ordinary picture of 2048x2048.
    Float64 knows what is right.
    """
    given = np.clip(
        np.rint(np.random.default_rng(0).normal(200, 0.8, (640, 720, 1))), 0, 255
    ).astype(np.uint8)
    network, wide = (
        generator("resnet_1blocks", in_channels=1, out_channels=1, dtype=kind)
        for kind in ("float32", "float64")
    )
    wide.set_weights(network.get_weights())
    function, batch = as_function(network), images.to_float(given)[np.newaxis]
    expected = images.to_uint8(wide(batch.astype(np.float64)).numpy()[0])
    saved_model.save(network, tmp_path / "model")
    found = {
        "translate": images.to_uint8(function(batch)[0]),
        "fixed size": images.to_uint8(network(batch).numpy()[0]),
        "C++ loader": saved_model.run_in_session(
            tmp_path / "model", given[np.newaxis], signature=saved_model.UINT8_SIGNATURE
        )[0],
        "tiles": Translator({}, 1, 4, function, Tiler(network, 400))(given, tmp_path),
    }
    assert expected.std() > 5
    assert {
        way: np.abs(picture.astype(int) - expected).max() for way, picture in found.items()
    } == dict.fromkeys(found, 1)


@pytest.mark.parametrize(("usual", "graphs"), [(None, 1), (Size(19, 16), 2)])
def test_one_graph_takes_all_sizes_but_the_usual_one(usual, graphs):
    """A graph for each size of a folder was what it kept, and made, for each picture."""
    network, traced = generator("resnet_1blocks"), []
    compute = network.call
    network.call = lambda x, training=False: traced.append(x.shape) or compute(x, training=training)
    function = as_function(network, size=usual)
    for height, width in [(16, 16), (20, 16), (16, 20), (64, 32), (16, 16)]:
        batch = images.to_float(picture(height, width))[np.newaxis]
        np.testing.assert_allclose(function(batch), compute(batch), atol=1e-4)
        np.testing.assert_array_equal(function(batch), function(batch))
    assert len(traced) == graphs
    assert usual is None or [1, 20, 16, 3] in [shape.as_list() for shape in traced]


def test_the_disk_that_is_asked_for_is_the_disk_that_is_used(tmp_path, monkeypatch):
    network, used = generator("resnet_1blocks"), []
    tiler = Tiler(network, 32)
    allocate = tiling._MapFile.__init__

    def note(self, *arguments):
        allocate(self, *arguments)
        used.append(arguments[2].__self__.bytes)

    tiler.disk_bytes(4, 4)  # plans, on a tiny picture
    monkeypatch.setattr(tiling._MapFile, "__init__", note)
    translator = Translator({}, 3, 4, as_function(network), tiler)
    translator(picture(64, 96), tmp_path)
    assert max(used) == tiler.disk_bytes(64, 96) == 3 * 4 * 64 * 96
    monkeypatch.setattr(
        tiling.shutil, "disk_usage", lambda _: tiling.shutil._ntuple_diskusage(10**6, 10**6, 1000)
    )
    with pytest.raises(
        UserError,
        match=r"features of a picture of 96x64, but 0\.0 GB are free; free some space",
    ):
        translator(picture(64, 96), tmp_path)


def test_giving_up_ends_at_the_next_tile(tmp_path):
    network = generator("resnet_1blocks")
    tiler = Tiler(network, 16)
    tiler.give_up()
    with pytest.raises(RunError):
        Translator({}, 3, 4, as_function(network), tiler)(picture(64, 96), tmp_path)


def test_which_pictures_are_tiled():
    network = generator("resnet_1blocks")
    assert not Tiler(network).wants(1024, 2048) and Tiler(network).wants(1025, 2048)
    assert not Tiler(network, 64).wants(64, 64) and Tiler(network, 64).wants(65, 64)


def test_the_command(imported, tmp_path, capsys, monkeypatch):
    Image.fromarray(picture(90, 110)).save(tmp_path / "large.png")
    common = [
        "translate",
        f"--run_dir={imported}",
        "--scale=original",
        f"--input={tmp_path / 'large.png'}",
    ]
    assert cli.main([*common, f"--output={tmp_path / 'whole'}"]) == 0
    assert "tiles" not in capsys.readouterr().err
    assert cli.main([*common, "--tile=64", f"--output={tmp_path / 'tiled'}"]) == 0
    assert "112x92 in tiles (0.0 GB of disk): 100%" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "tiled").iterdir() if path.name != ".lock") == [
        "large.png",
        "translation.json",
    ]
    whole, tiled = (
        images.to_array(Image.open(tmp_path / way / "large.png")) for way in ("whole", "tiled")
    )
    assert np.abs(tiled.astype(int) - whole).max() <= 1
    assert cli.main(["translate", "--model=m", "--input=i", "--output=o", "--tile=64"]) == 2
    assert "--tile: requires --run_dir" in capsys.readouterr().err
    assert cli.main([*common, "--tile=8", f"--output={tmp_path / 'o'}"]) == 2
    assert "--tile=8: must be at least 64" in capsys.readouterr().err
    write = os.pwrite
    monkeypatch.setattr(
        tiling.os, "pwrite", lambda *given: write(*given) if given[2] < 20_000 else 0
    )
    assert cli.main([*common, "--tile=64", f"--output={tmp_path / 'full'}"]) == 1
    expected = (
        "full: No space left on device; free some space or choose another directory, then run the "
        "same command again"
    )
    assert capsys.readouterr().err.splitlines()[-1].endswith(expected)
    assert [path.name for path in (tmp_path / "full").iterdir() if path.name != ".lock"] == [
        "translation.json"
    ]
