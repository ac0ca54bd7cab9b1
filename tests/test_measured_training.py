"""A training on measurements as a user meets it: 6 channels of 16 bit with holes against floats
with NaN, from arrays on disk to a killed run that goes on.
"""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep import arrays
from tests.test_exact_resume import tensors
from tests.test_measurements import write
from tfcyclegan.config import Size, TrainConfig
from tfcyclegan.data.domains import open_domains
from tfcyclegan.errors import UserError
from tfcyclegan.methods.factory import build_model
from tfcyclegan.optimization.adam import Adam
from tfcyclegan.optimization.schedules import EpochRates
from tfcyclegan.training.batches import open_batches, with_channels
from tfcyclegan.training.runs import read_run
from tfcyclegan.training.trainer import train

SMALL = {
    "preprocess": "crop", "crop_size": Size(16, 16), "base_filters": 2, "residual_blocks": 1,
    "discriminator_filters": 2, "discriminator_layers": 1, "lambda_identity": 0,
    "precision": "float32", "deterministic": True,
}  # fmt: skip


def make_set(place, channels_a, dtype_a, channels_b, dtype_b, **options):
    """Random values of 0 to 200, in A's upper rows nothing, in B's NaN where it is of floats."""
    random, files = np.random.default_rng(0), {}
    for domain, channels, dtype in (("A", channels_a, dtype_a), ("B", channels_b, dtype_b)):
        for index in range(3):
            array = random.integers(1, 200, (20, 18, channels)).astype(dtype)
            if domain == "A":
                array[:5, :, 0] = 0
            elif dtype == "float32":
                array[:3] = np.nan
            files[f"train{domain}/{index}.npy"] = array
    write(place / "root", files)
    arrays.run(
        arrays.Config(input_dir=str(place / "root"), output_dir=str(place / "data"), **options)
    )
    return place / "data"


@pytest.fixture(scope="module")
def landsat(tmp_path_factory):
    place = tmp_path_factory.mktemp("landsat")
    return make_set(place, 6, "uint16", 1, "float32", nodata_a=0, range_a="1:201", range_b="0:200")


@pytest.fixture(scope="module")
def run(landsat, tmp_path_factory):
    """Five steps, with a checkpoint in between."""
    config = TrainConfig(
        data_dir=str(landsat), run_dir=str(tmp_path_factory.mktemp("run") / "run"), **SMALL,
        max_steps=5, checkpoint_every_steps=3, log_every_steps=1, sample_every_steps=5,
        eval_every_steps=3, eval_images=8, keep_checkpoints=9, pool_size=2,
    )  # fmt: skip
    train(config)
    return config


def test_the_run_tells_what_its_numbers_mean(run):
    read = read_run(Path(run.run_dir))
    assert (read.config.channels_a, read.config.channels_b) == (6, 1)
    a, b = read.values["A"], read.values["B"]
    assert (a.dtype, a.low, a.high, a.nodata) == ("uint16", (1,) * 6, (201,) * 6, 0)
    assert (b.dtype, b.low, b.high, b.nodata) == ("float32", (0,), (200,), None)
    told = "\n".join(read.told)
    assert (
        "domain a: uint16, 6 channels, range 1:201 as -1 to 1; 3 of 3 have missing measurements"
        in told
    )
    assert "no loss" in told


def test_strips_show_gaps_in_their_own_colour(run):
    directory = Path(run.run_dir) / "samples"
    strip = np.asarray(Image.open(directory / "train-0000005-ab.png"))
    magenta = (strip == (255, 0, 255)).all(axis=-1)
    assert 0.1 < magenta.mean() < 0.6 and np.isfinite(strip).all()


def test_a_killed_run_goes_on_to_the_same_weights(run, tmp_path):
    directory = Path(run.run_dir)
    copy = tmp_path / "run"
    shutil.copytree(directory, copy)
    # as a kill after step 4 leaves it: the checkpoint of step 3, and a line behind it
    for path in (copy / "checkpoints").glob("step-5*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    lines = (copy / "history.jsonl").read_text().splitlines(keepends=True)
    (copy / "history.jsonl").write_text("".join(lines[:4]))
    train(dataclasses.replace(run, run_dir=str(copy)))
    expected, found = (tensors(each / "checkpoints") for each in (directory, copy))
    assert expected.keys() == found.keys() and any(name.startswith("5: ") for name in found)
    assert [name for name in expected if not np.array_equal(expected[name], found[name])] == []

    def losses(place):
        read = [json.loads(line) for line in (place / "history.jsonl").read_text().splitlines()]
        return [{k: v for k, v in line.items() if k != "images_per_second"} for line in read]

    assert losses(copy) == losses(directory)


def batches_of(data, **options):
    config = TrainConfig(data_dir=str(data), run_dir="-", **(SMALL | options))
    domains = open_domains(str(data))
    config = with_channels(config, domains)
    return config, open_batches(config, domains)[0]


def test_batches_are_the_values_in_their_ranges_with_gaps(landsat):
    config, made = batches_of(landsat, flip=False, batch_size=2, crop_size=Size(20, 16))
    assert made.gaps and (config.channels_a, config.channels_b) == (6, 1)
    ((real_a, real_b),) = list(made.dataset(0, 1).as_numpy_iterator())
    assert real_a.shape == (2, 20, 16, 6) and real_b.dtype == np.float32
    assert np.isnan(real_a[:, :5, :, 0]).all() and np.isfinite(real_a[..., 1:]).all()
    stored = made.pixels_a[made.indices(0)[0]]
    assert stored.dtype == np.uint16
    seen = (stored[:, :, 1:].astype(np.float64) - 1) / 100 - 1
    matches = [np.allclose(real_a[0, ..., 1:], seen[:, x : x + 16], atol=1e-6) for x in range(3)]
    assert any(matches)


def test_windows_mirrors_and_turns_keep_channels_and_types_together(landsat):
    _, made = batches_of(landsat, rotations=True)
    whole = made.pixels_a[0], made.pixels_b[0]
    for number in range(8):
        one, other = made._augmented(whole, np.random.default_rng(number), (0.0, 0.0))
        assert (one.dtype, other.dtype) == (np.uint16, np.float32)
        # a pair has one window: the hole of A lies five rows deep, that of B three
        assert (np.isnan(other[..., 0]) <= (one[..., 0] == 0)).all()


@pytest.mark.parametrize(
    ("channels", "types"),
    [((13, 13), ("int16", "int16")), ((1, 3), ("float16", "uint8")), ((4, 1), ("uint8", "uint8"))],
)
def test_networks_have_the_channels_of_the_data(tmp_path, channels, types):
    data = make_set(tmp_path, channels[0], types[0], channels[1], types[1])
    config, made = batches_of(data)
    assert not made.gaps
    model = build_model(config, "float32")
    ((real_a, real_b),) = list(made.dataset(0, 1))
    assert model.gen_ab(real_a).shape == real_b.shape
    assert model.gen_ba(real_b).shape == real_a.shape
    if channels == (4, 1):
        optimizers = (Adam(EpochRates([1e-3], epoch_images=1, batch_size=1)) for _ in "ab")
        model.compile(*optimizers)
        model.make_pools(real_a.shape[1:], real_b.shape[1:])
        assert float(model.train_step((real_a, real_b))["skipped"]) == 0


REFUSED = {
    "channels": ({"channels_a": 3}, "--channels_a=3: the measurements have 6"),
    "colours": ({"colour_jitter": 0.2}, "--colour_jitter=0.2: only for pictures"),
    "features": ({"eval_features": "alexnet"}, "--eval_features=alexnet: only for pictures"),
    "identity": ({"lambda_identity": 0.5}, "not 6 and 1; set --lambda_identity=0"),
    "filter": (
        {"preprocess": "resize_and_crop", "load_size": Size(24, 24),
         "interpolation": "bilinear_opencv"},
        "--interpolation=bilinear_opencv",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_goes_with_pictures_alone_is_refused(landsat, case):
    options, message = REFUSED[case]
    with pytest.raises(UserError) as error:
        batches_of(landsat, **options)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_range_that_hides_the_data_is_told(tmp_path, capsys):
    data = make_set(tmp_path, 1, "uint16", 1, "uint16", range_a="0:60000")
    batches_of(data)
    told = capsys.readouterr().out
    assert "split trainA: warning: 100.0 % of its values are 0 to 1 of 255" in told
    assert "--range_a" in told and "split trainB: warning" not in told
