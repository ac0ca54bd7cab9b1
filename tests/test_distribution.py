"""Two replicas compute what one computes on the whole batch. The checks share a process, since
devices are fixed at its start.
"""

import functools
import json
import sys
import traceback
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests import processes
from tfcyclegan.config import Size, TrainConfig
from tfcyclegan.methods.factory import build_model
from tfcyclegan.networks.layers import Dropout
from tfcyclegan.training.checkpoints import Checkpoints
from tfcyclegan.training.history import Window
from tfcyclegan.training.strategy import make_strategy
from tfcyclegan.training.trainer import make_optimizer

NETWORKS = ("gen_ab", "gen_ba", "disc_a", "disc_b")

# Once for all: several strategies in a process number their reductions alike, and TensorFlow
# refuses one of another type under a number that is taken.
strategy_of = functools.cache(make_strategy)


def make(devices, dtype, half=False, gaps=False, **options):
    config = TrainConfig(
        data_dir="x",
        run_dir="y",
        crop_size=Size(32, 32),
        load_size=Size(32, 32),
        residual_blocks=1,
        base_filters=4,
        discriminator_filters=4,
        discriminator_layers=2,
        batch_size=2,
        max_steps=9,
        **options,
    )
    strategy = strategy_of(devices)
    with strategy.scope():
        model = build_model(config, dtype, gaps=gaps)
        model.compile(
            *[make_optimizer(config, config.length(10), 10, dynamic_scale=half) for _ in "ab"]
        )
    model.make_pools((32, 32, 3), (32, 32, 3))
    return strategy, model


def batches(gaps=False):
    random = np.random.default_rng(0)
    found = [
        (random.uniform(-1, 1, (2, 32, 32, 3)), random.uniform(-1, 1, (2, 32, 32, 3)))
        for _ in range(5)
    ]
    if gaps:  # of other sizes in the pictures of the two replicas
        for a, b in found:
            a[0, 4:20, 8:, 1] = np.nan
            b[1, :3] = np.nan
    return found


def step_of(strategy, model, dtype):
    """(batches) -> the losses of a step on each, by one compiled step."""
    step = tf.function(lambda batch: strategy.run(model.train_step, args=(batch,)), autograph=False)

    def train(batches):
        data = tf.data.Dataset.from_tensor_slices(
            tuple(np.concatenate(side).astype(dtype) for side in zip(*batches, strict=True))
        ).batch(2)
        losses = []
        for batch in strategy.experimental_distribute_dataset(data):
            values = step(batch)
            losses.append(
                {
                    name: float(strategy.reduce(tf.distribute.ReduceOp.MEAN, value, axis=None))
                    for name, value in values.items()
                }
            )
        return losses

    return train


def all_weights(model):
    return [weight for name in NETWORKS for weight in getattr(model, name).get_weights()]


# --- what the process does; each returns what its test looks at


def trajectory(place, devices, dtype):
    options = {"pool_size": 0, "ema_decay": 0.9, "lambda_paired": 2.0, "spectral_norm": True}
    strategy, model = make(int(devices), dtype, gaps=True, **options)
    given = [(*batch, *batch[::-1]) for batch in batches(gaps=True)]
    losses = step_of(strategy, model, dtype)(given)
    networks = {name: getattr(model, name) for name in NETWORKS} | {
        "mean_" + name: network for name, network in model.averages.items()
    }
    weights = {
        f"{name}/{index}": weight
        for name, network in networks.items()
        for index, weight in enumerate(network.get_weights())
    }
    np.savez(f"{place}/{dtype}_{devices}.npz", **weights)
    return losses


def pools_and_overflow(place):
    """Those of one model in float32, which an overflow leaves as it was."""
    strategy, model = make(2, "float32", pool_size=2)
    train = step_of(strategy, model, "float32")
    overflowed = overflow_of(model, train)
    train(batches())
    return {"overflow": overflowed, "pools": pools_of(model, Path(place) / "checkpoints")}


def pools_of(model, directory):
    window = Window(3)
    with Checkpoints(directory, model, window, keep=1) as checkpoints:
        checkpoints.save()
    all_pools = model.pools["a"] + model.pools["b"]
    kept = [pool.images.numpy() for pool in all_pools]
    stored = tf.train.list_variables(tf.train.latest_checkpoint(str(directory)))
    for pool in all_pools:
        pool.images.assign(tf.zeros_like(pool.images))
    Checkpoints(directory, model, window, keep=1).restore_latest()
    return {
        "counts": [int(pool.count.numpy()) for pool in all_pools],
        "stored": len([name for name, _ in stored if "/images/" in name]),
        "same": [
            bool((pool.images.numpy() == before).all())
            for pool, before in zip(all_pools, kept, strict=True)
        ],
        "different": bool(np.abs(kept[0] - kept[1]).max() > 0),
        "devices": [pool.images.device for pool in model.pools["a"]],
    }


def dropout(place, seed):
    strategy = strategy_of(2)

    def steps():
        with strategy.scope():
            layer = Dropout(0.5, seed=int(seed))

        @tf.function(autograph=False)
        def draw():
            return strategy.experimental_local_results(
                strategy.run(lambda: layer(tf.ones([1, 64]), training=True))
            )

        return [[replica[0].numpy().tolist() for replica in draw()] for _ in range(2)]

    return [steps(), steps()]


def overflow(place, precision):
    strategy, model = make(2, precision, half=precision == "mixed_float16", pool_size=0)
    return overflow_of(model, step_of(strategy, model, "float32"))


def overflow_of(model, train):
    optimizers = model.generator_optimizer, model.discriminator_optimizer

    def scales():
        return [float(tf.convert_to_tensor(o.scale.value)) for o in optimizers if o.dynamic_scale]

    before, scales_before = all_weights(model), scales()
    first, second = batches()[0]
    first[1] = np.inf  # the second picture goes to the second replica
    losses = train([(first, second)])
    return {
        "skipped": losses[0]["skipped"],
        "kept": all(
            np.array_equal(one, other)
            for one, other in zip(before, all_weights(model), strict=True)
        ),
        "steps": [int(o.iterations.numpy()) for o in optimizers],
        "scales": scales_before,
        "after": scales(),
        "equal": all(
            np.array_equal(*[v.numpy() for v in w.value.values]) for w in model.gen_ab.weights
        ),
    }


def main(place, requests):
    """Answers each request, a name and arguments, in `place`/answers.json; or by what went
    wrong.
    """
    strategy_of(2)  # before TensorFlow starts
    answers = {}
    for request in requests:
        name, *arguments = request.split()
        try:
            answers[request] = {"is": globals()[name](place, *arguments)}
        except Exception:
            answers[request] = {"failed": traceback.format_exc()}
    with open(f"{place}/answers.json", "w") as stream:
        json.dump(answers, stream)


# --- the tests


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    """(a function above and its arguments) -> what it returned."""
    place = tmp_path_factory.mktemp("replicas")

    def ask(*requests):
        command = [sys.executable, "-m", "tests.test_distribution", str(place), *requests]
        result = processes.run(command)
        assert result.returncode == 0, result.stderr[-3000:]
        return json.loads((place / "answers.json").read_text())

    answers = ask(
        "trajectory 1 float64",
        "trajectory 2 float64",
        "pools_and_overflow",
        "dropout 3",
        "overflow mixed_float16",
    )

    def get(request):
        if request not in answers:
            answers.update(ask(request))
        assert "is" in answers[request], answers[request]["failed"]
        return answers[request]["is"]

    get.place = place
    return get


@pytest.mark.parametrize(
    ("dtype", "bar"), [("float64", 1e-9), pytest.param("float32", None, marks=pytest.mark.slow)]
)
def test_two_replicas_equal_one_with_the_whole_batch_gaps_included(answer, dtype, bar):
    one, two = (answer(f"trajectory {devices} {dtype}") for devices in (1, 2))
    loss_difference = max(
        abs(a[k] - b[k]) / max(1e-12, abs(a[k]))
        for a, b in zip(one, two, strict=True)
        for k in a
        if not k.startswith("accuracy")  # which is float32
    )
    weights = [dict(np.load(answer.place / f"{dtype}_{devices}.npz")) for devices in (1, 2)]
    differences = {
        key: np.abs(weights[0][key] - weights[1][key]).max() / np.abs(weights[0][key]).max()
        for key in weights[0]
        if weights[0][key].ndim == 4  # biases before instance norm have no gradient but noise
    }
    print(f"{dtype}: losses {loss_difference:.1e}, kernels {max(differences.values()):.1e}")
    if bar is not None:
        assert all(np.isfinite(value) for losses in one for value in losses.values())
        assert loss_difference < bar
        assert max(differences.values()) < bar
        assert one[0]["gan_ab"] != one[-1]["gan_ab"]


def test_each_replica_has_its_own_pool_and_the_checkpoint_all(answer):
    result = answer("pools_and_overflow")["pools"]
    assert result["counts"] == [2, 2, 2, 2]
    assert result["stored"] == 4
    assert result["same"] == [True] * 4
    assert result["different"]
    assert len(set(result["devices"])) == 2


def test_each_replica_drops_other_values(answer):
    steps, again = answer("dropout 3")
    # by replica and step
    assert len({tuple(values) for replicas in steps for values in replicas}) == 4
    assert all(
        set(values) == {0.0, 2.0} and 16 < values.count(0.0) < 48
        for replicas in steps
        for values in replicas
    )
    assert again == steps, "by the seed alone"


@pytest.mark.parametrize("scaled", [True, False], ids=["mixed_float16", "float32"])
def test_an_infinity_on_the_second_replica_skips_the_step_everywhere(answer, scaled):
    result = (
        answer("overflow mixed_float16") if scaled else answer("pools_and_overflow")["overflow"]
    )
    assert len(result["scales"]) == (2 if scaled else 0)
    assert result["skipped"] == 1
    assert result["kept"] and result["equal"]
    assert result["steps"] == [0, 0]
    assert result["after"] == [scale / 2 for scale in result["scales"]]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
