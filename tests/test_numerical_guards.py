"""What breaks arithmetic ends in finite weights and a message: flat and equal pictures, overflow,
NaN, far too large rates.
"""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data_prep import folders
from tests.test_training import checkpoint, config
from tfcyclegan.config import Size
from tfcyclegan.data.unpaired import UnpairedBatches
from tfcyclegan.errors import RunError
from tfcyclegan.methods.factory import build_model
from tfcyclegan.training.history import read_history
from tfcyclegan.training.trainer import make_optimizer, train

# float16 breaks first, so that the other two are not in the default suite.
PRECISIONS = (
    "mixed_float16",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("float32", "mixed_bfloat16")),
)


# What breaks does so at any size, and float16 is slow on processors.
SMALLER = {"load_size": Size(20, 20), "crop_size": Size(16, 16)}


def prepared(place: Path, a: np.ndarray, b: np.ndarray) -> Path:
    """A data set of the pictures `a` and `b`, uint8 [N, H, W, 3]."""
    for domain, pictures in (("A", a), ("B", b)):
        (place / f"raw/train{domain}").mkdir(parents=True)
        for index, picture in enumerate(pictures):
            Image.fromarray(picture).save(place / f"raw/train{domain}/{index}.png")
    folders.run(folders.Config(input_dir=str(place / "raw"), output_dir=str(place / "data")))
    return place / "data"


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 40, 40, 3), np.uint8)


def flat(*colours: int) -> np.ndarray:
    return np.stack([np.full((40, 40, 3), colour, np.uint8) for colour in colours])


def not_finite(run_dir: Path) -> list[str]:
    """All of the newest checkpoint counts: weights, optimizer slots, pools, running means and batch
    norm's statistics.
    """
    return [
        name
        for name, value in checkpoint(run_dir).items()
        if value.dtype.kind == "f" and not np.isfinite(value).all()
    ]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        (
            flat(0, 0, 0),
            np.repeat(noise(1), 3, axis=0),
            (
                "split trainA: 3 of 3 pictures have a single colour, such as trainA/0.png",
                "split trainB: all 3 pictures are identical",
            ),
        ),
        (flat(255, 0, 128), flat(0, 0, 0), ("split trainB: 3 of 3 pictures have a single colour",)),
    ],
    ids=["black and equal", "flat"],
)
def test_pictures_without_variance(tmp_path, capsys, precision, a, b, told):
    data = prepared(tmp_path, a, b)
    train(
        config(
            data,
            tmp_path / "run",
            precision=precision,
            batch_size=2,
            ema_decay=0.9,
            max_steps=12,
            flip=False,
            **SMALLER,
        )
    )
    printed = capsys.readouterr().out
    assert all(line in printed for line in told)
    assert not_finite(tmp_path / "run") == []
    assert all(
        np.isfinite(value)
        for line in read_history(tmp_path / "run/history.jsonl")
        for value in line.values()
    )


@pytest.mark.parametrize("norm", [pytest.param("instance", marks=pytest.mark.slow), "batch"])
def test_float16_overflow_lowers_the_scale_and_goes_on(tiles, tmp_path, norm):
    train(
        config(
            tiles,
            tmp_path / "run",
            precision="mixed_float16",
            norm=norm,
            lambda_a=1000,
            max_steps=40,
            log_every_steps=20,
            **SMALLER,
        )
    )
    lines = read_history(tmp_path / "run/history.jsonl")
    # one that the weights have grown into may follow
    assert 0.1 < lines[0]["skipped"] < 1 and lines[-1]["skipped"] <= 0.1
    assert not_finite(tmp_path / "run") == []


def test_float16_overflow_without_end_is_told(tiles, tmp_path):
    with pytest.raises(
        RunError,
        match=(
            r"step 31: .*; the weights were not changed and the checkpoint of step .* is intact"
        ),
    ):
        options = {"precision": "mixed_float16", "lambda_a": 1e38, "max_steps": 60}
        train(config(tiles, tmp_path / "run", **options, **SMALLER))
    assert not_finite(tmp_path / "run") == []


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_a_batch_of_nan_changes_nothing(tiles, precision, norm):
    """Of weights and optimizers, and nothing at all becomes other than finite; the next good batch
    is learnt from.
    """
    settings = config(tiles, Path("unused"), norm=norm, pool_size=2, ema_decay=0.9, **SMALLER)
    model = build_model(settings, precision)
    model.compile(
        *[
            make_optimizer(
                settings, settings.length(9), 9, dynamic_scale=precision == "mixed_float16"
            )
            for _ in "ab"
        ]
    )
    model.make_pools((16, 16, 3), (16, 16, 3))
    step = tf.function(model.train_step, autograph=False)
    networks = [model.gen_ab, model.gen_ba, model.disc_a, model.disc_b]
    kept = [variable for network in networks for variable in network.variables]
    kept += [
        v
        for o in (model.generator_optimizer, model.discriminator_optimizer)
        for v in (*o._momentums, *o._velocities)
    ]
    pools = range(len(kept), len(kept) + 4)  # a fake may be finite though its source is not
    kept += [
        variable
        for pool in (*model.pools["a"], *model.pools["b"])
        for variable in (pool.images, pool.count)
    ]

    def values() -> list[np.ndarray]:
        return [np.array(variable) for variable in kept]

    def batch(seed: int) -> np.ndarray:
        return np.random.default_rng(seed).uniform(-1, 1, (1, 16, 16, 3)).astype(np.float32)

    bad = batch(2)
    bad[0, 5, 5, 1] = np.nan
    step((batch(0), batch(1)))
    for pair in ((bad, batch(3)), (batch(3), bad), (np.full_like(bad, np.inf), bad)):
        before = values()
        assert step(pair)["skipped"] == 1
        changed = [
            index
            for index, (one, other) in enumerate(zip(before, values(), strict=True))
            if not np.array_equal(one, other)
        ]
        assert all(
            np.isfinite(value).all()
            for value in (*values(), *model.averages["gen_ab"].get_weights())
        )
        assert norm == "batch" or [index for index in changed if index not in pools] == []
    before = values()
    while step((batch(4), batch(5)))["skipped"]:
        assert precision == "mixed_float16", "nothing is left of the bad batches"
    assert any(not np.array_equal(one, other) for one, other in zip(before, values(), strict=True))


def test_nan_among_the_pictures_is_told(tiles, tmp_path, monkeypatch):
    whole = UnpairedBatches.dataset

    def with_nan(self, first_step, *arguments, **options):
        batches = whole(self, first_step, *arguments, **options).enumerate(first_step)
        return batches.map(
            lambda step, pair: (tf.where(step == 5, np.float32(np.nan), pair[0]), pair[1])
        )

    monkeypatch.setattr(UnpairedBatches, "dataset", with_nan)
    with pytest.raises(
        RunError,
        match=(
            r"step 6: loss \w+ is nan; the weights were not changed and the checkpoint of step 4 is"
        ),
    ):
        train(config(tiles, tmp_path / "run", max_steps=12))
    assert not_finite(tmp_path / "run") == []
    monkeypatch.undo()
    train(config(tiles, tmp_path / "run", max_steps=12))
    assert read_history(tmp_path / "run/history.jsonl")[-1]["step"] == 12


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_learning_rate_far_too_large(tiles, tmp_path, capsys, precision):
    """The largest that the flag takes, five thousand times the default. It is told whether the
    losses grow or overflow.
    """
    told = ""
    try:
        train(
            config(
                tiles,
                tmp_path / "run",
                precision=precision,
                learning_rate=1.0,
                max_steps=60,
                log_every_steps=5,
                **SMALLER,
            )
        )
    except RunError as error:
        told = str(error)
    assert "lower --learning_rate" in capsys.readouterr().out + told
    assert not_finite(tmp_path / "run") == []
