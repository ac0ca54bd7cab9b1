"""A step in small batches is that of the whole batch, in float64; where it would not be, it is
refused.
"""

import numpy as np
import pytest
import tensorflow as tf

from tfcyclegan.config import Size, TrainConfig
from tfcyclegan.errors import UserError
from tfcyclegan.methods.base import JUDGED
from tfcyclegan.methods.factory import build_model
from tfcyclegan.training.trainer import make_optimizer

SMALL = {
    "data_dir": "x", "run_dir": "y", "crop_size": Size(16, 16), "load_size": Size(16, 16),
    "residual_blocks": 1, "base_filters": 2, "discriminator_filters": 2, "discriminator_layers": 1,
    "batch_size": 4, "max_steps": 9, "seed": 5,
}  # fmt: skip


def make(accumulate_steps, dtype="float64", **options):
    config = TrainConfig(**SMALL, accumulate_steps=accumulate_steps, **options)
    model = build_model(config, dtype)
    half = dtype == "mixed_float16"
    rates = [make_optimizer(config, config.length(8), 8, dynamic_scale=half) for _ in "ab"]
    model.compile(*rates, accumulate_steps=accumulate_steps)
    model.make_pools((16, 16, 3), (16, 16, 3))
    return model


def batches(count, dtype="float64"):
    draw = np.random.default_rng(0)
    return [
        tuple(tf.constant(draw.uniform(-1, 1, (4, 16, 16, 3)), dtype) for _ in range(4))
        for _ in range(count)
    ]


@pytest.mark.parametrize("traced", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_small_batches_make_the_step_of_the_whole_one(traced):
    """Gradients by Adam's moments, weights, running means, pools and what is reported, over two
    steps, with pairs.
    """
    options = {"lambda_paired": 2.0, "ema_decay": 0.9, "pool_size": 3}
    whole, small = make(1, **options), make(2, **options)
    step = tf.function(small.train_step, autograph=False) if traced else small.train_step
    for batch in batches(2):
        expected, found = whole.train_step(batch), step(batch)
        for name in whole.reported:
            assert float(found[name]) == pytest.approx(float(expected[name]), rel=1e-12), name
        assert not float(found["skipped"])
    assert int(small.step.numpy()) == 2, "a step is an update"

    def moments(model):
        optimizers = model.generator_optimizer, model.discriminator_optimizer
        return [each for one in optimizers for each in (*one._momentums, *one._velocities)]

    def images(model):
        return [pool.images for domain in "ab" for pool in model.pools[domain]]

    def close(one, other):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=1e-9, atol=1e-14)

    for pair in zip(moments(small), moments(whole), strict=True):
        close(*pair)
    for pair in zip(images(small), images(whole), strict=True):
        close(*pair)
    for name, network in whole.networks.items():
        other = small.networks[name]
        for weight, same in zip(network.weights, other.weights, strict=True):
            # Adam makes a full step of the rounding of what is 0: of a bias before a norm
            if np.abs(np.asarray(weight) - np.asarray(same)).max() > 1e-12:
                assert "bias" in weight.path, weight.path
    kernels = [[m for m in model.means if "kernel" in m.path] for model in (small, whole)]
    assert kernels[0]
    for pair in zip(*kernels, strict=True):
        close(*pair)


def test_mixed_precision_and_draws_of_each_small_batch():
    model = make(4, "mixed_bfloat16", diffaugment="translation", lambda_identity=0.0)
    seeds, own = [], model.draws_from

    def noted(stream, purpose=0):
        seed = own(stream, purpose)
        if (stream, purpose) == (0, JUDGED):
            seeds.append(tuple(seed.numpy().tolist()))
        return seed

    model.draws_from = noted
    values = model.train_step(batches(1, "float32")[0][:2])
    assert len(set(seeds)) == 4 and np.isfinite([float(value) for value in values.values()]).all()
    assert not float(values["skipped"])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"accumulate_steps": 3}, "--accumulate_steps=3: must divide --batch_size=4"),
        ({"method": "cut"}, "not with --method=cut, which updates discriminators first"),
        ({"method": "fastcut"}, "not with --method=fastcut, which updates"),
        ({"update_order": "discriminators_first"}, "not with --update_order=discr"),
        ({"norm": "batch"}, "not with --norm=batch, which would be of the small batches"),
        ({"discriminator_norm": "batch"}, "not with --discriminator_norm=batch"),
        ({"xla": True}, "not with --xla"),
    ],
)
def test_what_would_not_be_the_same_is_refused(options, told):
    with pytest.raises(UserError, match=told):
        TrainConfig(**SMALL, **{"accumulate_steps": 2, **options})


def test_batch_norm_of_a_network_of_another_origin_is_refused():
    model = build_model(TrainConfig(**SMALL, norm="batch"), "float32")
    with pytest.raises(UserError, match="accumulate_steps: gen_ab has batch norm, whose mean"):
        model.compile(None, None, accumulate_steps=2)
