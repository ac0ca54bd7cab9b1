"""Two replicas compute what one computes on the whole batch. Each check is a process, since devices
are fixed at start.
"""

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT

PRELUDE = """
import os, json, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np, tensorflow as tf
from tfcyclegan.config import Size, TrainConfig
from tfcyclegan.training.strategy import make_strategy
from tfcyclegan.methods.factory import build_model
from tfcyclegan.training.trainer import make_optimizer

def make(devices, dtype, half=False, **options):
    config = TrainConfig(data_dir="x", run_dir="y", crop_size=Size(32, 32), load_size=Size(32, 32), residual_blocks=1, base_filters=4,
                         discriminator_filters=4, discriminator_layers=2, batch_size=2, max_steps=9, **options)
    strategy = make_strategy(devices)
    with strategy.scope():
        model = build_model(config, dtype)
        model.compile(*[make_optimizer(config, config.length(10), 10, dynamic_scale=half) for _ in "ab"])
    model.make_pools((32, 32, 3), (32, 32, 3))
    return strategy, model

def run(strategy, model, batches, dtype):
    step = tf.function(lambda batch: strategy.run(model.train_step, args=(batch,)), autograph=False)
    data = tf.data.Dataset.from_tensor_slices(tuple(np.concatenate(side).astype(dtype) for side in zip(*batches))).batch(2)
    losses = []
    for batch in strategy.experimental_distribute_dataset(data):
        values = step(batch)
        losses.append({k: float(strategy.reduce(tf.distribute.ReduceOp.MEAN, v, axis=None)) for k, v in values.items()})
    return losses

random = np.random.default_rng(0)
batches = [(random.uniform(-1, 1, (2, 32, 32, 3)), random.uniform(-1, 1, (2, 32, 32, 3))) for _ in range(5)]
"""


def python(body: str, *arguments: str) -> dict:
    result = subprocess.run(
        [sys.executable, "-c", PRELUDE + body, *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout.splitlines()[-1])


TRAJECTORY = """
devices, dtype, path = int(sys.argv[1]), sys.argv[2], sys.argv[3]
strategy, model = make(devices, dtype, pool_size=0, ema_decay=0.9, lambda_paired=2.0, spectral_norm=True)
losses = run(strategy, model, [(*batch, *batch[::-1]) for batch in batches], dtype)
names = ("gen_ab", "gen_ba", "disc_a", "disc_b")
networks = {name: getattr(model, name) for name in names} | {"mean_" + k: v for k, v in model.averages.items()}
weights = {f"{name}/{i}": w for name, network in networks.items() for i, w in enumerate(network.get_weights())}
np.savez(path, **weights)
print(json.dumps(losses))
"""


@pytest.mark.parametrize(
    ("dtype", "bar"), [("float64", 1e-9), pytest.param("float32", None, marks=pytest.mark.slow)]
)
def test_two_replicas_equal_one_with_the_whole_batch(tmp_path, dtype, bar):
    import numpy as np

    one = python(TRAJECTORY, "1", dtype, str(tmp_path / "one.npz"))
    two = python(TRAJECTORY, "2", dtype, str(tmp_path / "two.npz"))
    loss_difference = max(
        abs(a[k] - b[k]) / max(1e-12, abs(a[k])) for a, b in zip(one, two, strict=True) for k in a
    )
    weights = [dict(np.load(tmp_path / f"{name}.npz")) for name in ("one", "two")]
    differences = {
        key: np.abs(weights[0][key] - weights[1][key]).max() / np.abs(weights[0][key]).max()
        for key in weights[0]
        if weights[0][key].ndim == 4  # biases before instance norm have no gradient but noise
    }
    print(f"{dtype}: losses {loss_difference:.1e}, kernels {max(differences.values()):.1e}")
    if bar is not None:
        assert loss_difference < bar
        assert max(differences.values()) < bar
        assert one[0]["gan_ab"] != one[-1]["gan_ab"]


POOLS = """
from tfcyclegan.training.checkpoints import Checkpoints
from tfcyclegan.training.history import Window
strategy, model = make(2, "float32", pool_size=2)
run(strategy, model, batches, "float32")
window = Window(3)
Checkpoints(__import__("pathlib").Path(sys.argv[1]), model, window, keep=1).save()
pools = [pool.images.numpy() for pool in model.pools["a"] + model.pools["b"]]
counts = [int(pool.count.numpy()) for pool in model.pools["a"] + model.pools["b"]]
stored = [n for n, _ in tf.train.list_variables(tf.train.latest_checkpoint(sys.argv[1])) if "/images/" in n]
for pool in model.pools["a"] + model.pools["b"]:
    pool.images.assign(tf.zeros_like(pool.images))
Checkpoints(__import__("pathlib").Path(sys.argv[1]), model, window, keep=1).restore_latest()
same = [bool((pool.images.numpy() == before).all()) for pool, before in zip(model.pools["a"] + model.pools["b"], pools)]
different = bool(np.abs(pools[0] - pools[1]).max() > 0)
devices = [pool.images.device for pool in model.pools["a"]]
print(json.dumps({"counts": counts, "stored": len(stored), "same": same, "different": different, "devices": devices}))
"""


def test_each_replica_has_its_own_pool_and_the_checkpoint_all(tmp_path):
    result = python(POOLS, str(tmp_path))
    assert result["counts"] == [2, 2, 2, 2]
    assert result["stored"] == 4
    assert result["same"] == [True] * 4
    assert result["different"]
    assert len(set(result["devices"])) == 2


DROPOUT = """
from tfcyclegan.networks.layers import Dropout
strategy = make_strategy(2)
with strategy.scope():
    layer = Dropout(0.5, seed=int(sys.argv[1]))
draw = tf.function(lambda: strategy.experimental_local_results(strategy.run(lambda: layer(tf.ones([1, 64]), training=True))))
print(json.dumps([[replica[0].numpy().tolist() for replica in draw()] for step in range(2)]))
"""


def test_each_replica_drops_other_values():
    steps = python(DROPOUT, "3")
    # by replica and step
    assert len({tuple(values) for replicas in steps for values in replicas}) == 4
    assert all(
        set(values) == {0.0, 2.0} and 16 < values.count(0.0) < 48
        for replicas in steps
        for values in replicas
    )
    assert python(DROPOUT, "3") == steps


OVERFLOW = """
strategy, model = make(2, sys.argv[1], half=sys.argv[1] == "mixed_float16", pool_size=0)
optimizers = model.generator_optimizer, model.discriminator_optimizer
before = [w for name in ("gen_ab", "gen_ba", "disc_a", "disc_b") for w in getattr(model, name).get_weights()]
scales = [float(tf.convert_to_tensor(o.scale.value)) for o in optimizers] if sys.argv[1] == "mixed_float16" else []
bad = batches[0][0].copy(); bad[1] = np.inf  # the second picture goes to the second replica
losses = run(strategy, model, [(bad, batches[0][1])], "float32")
after = [w for name in ("gen_ab", "gen_ba", "disc_a", "disc_b") for w in getattr(model, name).get_weights()]
scales_after = [float(tf.convert_to_tensor(o.scale.value)) for o in optimizers] if scales else []
copies = [np.array_equal(*[v.numpy() for v in w.value.values]) for w in model.gen_ab.weights]
print(json.dumps({"skipped": losses[0]["skipped"], "kept": all(np.array_equal(a, b) for a, b in zip(before, after)),
                  "steps": [int(o.iterations.numpy()) for o in optimizers], "scales": scales, "after": scales_after, "equal": all(copies)}))
"""


@pytest.mark.parametrize("precision", ["mixed_float16", "float32"])
def test_an_infinity_on_the_second_replica_skips_the_step_everywhere(precision):
    result = python(OVERFLOW, precision)
    assert result["skipped"] == 1
    assert result["kept"] and result["equal"]
    assert result["steps"] == [0, 0]
    assert result["after"] == [scale / 2 for scale in result["scales"]]
