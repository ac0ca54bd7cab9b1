"""Several workers on loopback compute what one process does, and none of them goes on alone."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.test_training import checkpoint, command, without_timing
from tfcyclegan.errors import UserError
from tfcyclegan.training import workers

TRAJECTORY = """
import json, sys
import numpy as np
import tensorflow as tf
from tests import test_distribution
from tfcyclegan.training.workers import join_workers
joined = join_workers(int(sys.argv[1]))
test_distribution.strategy_of = lambda devices: joined.strategy
strategy, model = test_distribution.make(None, "float64", pool_size=2, ema_decay=0.9)
batches = test_distribution.batches()
step = tf.function(lambda batch: strategy.run(model.train_step, args=(batch,)), autograph=False)
losses = []
samples = [tuple(side[replica : replica + 1] for side in batch) for batch in batches for replica in joined.replicas]
data = tf.data.Dataset.from_tensor_slices(tuple(np.stack(side) for side in zip(*samples)))
for batch in strategy.distribute_datasets_from_function(lambda context: data):
    values = step(batch)
    losses.append({k: float(strategy.reduce(tf.distribute.ReduceOp.MEAN, v, axis=None)) for k, v in values.items()})
joined.require_same(steps=len(losses))
names = ("gen_ab", "gen_ba", "disc_a", "disc_b")
networks = {name: getattr(model, name) for name in names} | {"mean_" + k: v for k, v in model.averages.items()}
weights = {f"{name}/{i}": w for name, network in networks.items() for i, w in enumerate(network.get_weights())}
pools = {f"pool/{replica}": pool.images.numpy() for replica, pool in zip(joined.replicas, model.pools["a"], strict=True)}
np.savez(sys.argv[2], **weights, **pools)
print(json.dumps(losses))
"""


def addresses(count: int = 2) -> list[str]:
    """Of loopback, with ports that are free."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    named = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return named


def environment(named: list[str], index: int) -> dict[str, str]:
    return os.environ | {
        "TF_CONFIG": json.dumps(
            {"cluster": {"worker": named}, "task": {"type": "worker", "index": index}}
        )
    }


def start(arguments: list[str], *, count: int = 2) -> list[subprocess.Popen]:
    """The same command once for each worker."""
    named = addresses(count)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return [
        subprocess.Popen(arguments, cwd=ROOT, env=environment(named, index), **pipes)
        for index in range(count)
    ]


def finish(
    processes: list[subprocess.Popen], *, timeout: float = 180
) -> list[tuple[int, str, str]]:
    """Exit code, stdout and stderr of each."""
    try:
        return [
            (process.returncode, *outputs)
            for process in processes
            if (outputs := process.communicate(timeout=timeout))
        ]
    finally:
        for process in processes:
            process.kill()


@pytest.mark.slow  # CI runs it by itself
def test_two_workers_equal_two_replicas_of_one_process(tmp_path):
    """Losses, weights, running means and the image pool of each replica, in float64."""
    script, named = [sys.executable, "-c", TRAJECTORY], addresses()
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT}
    runs = [
        ("2", "one.npz", None),
        ("1", "0.npz", environment(named, 0)),
        ("1", "1.npz", environment(named, 1)),
    ]
    results = finish(
        [
            subprocess.Popen([*script, devices, str(tmp_path / file)], env=env, **pipes)
            for devices, file, env in runs
        ]
    )
    assert [code for code, _, _ in results] == [0, 0, 0], results[-1][2][-3000:]
    expected, *found = (json.loads(printed.splitlines()[-1]) for _, printed, _ in results)
    reference = dict(np.load(tmp_path / "one.npz"))
    assert expected[0]["gan_ab"] != expected[-1]["gan_ab"]
    assert np.abs(reference["pool/0"] - reference["pool/1"]).max() > 0.1
    for index, losses in enumerate(found):
        for before, after in zip(expected, losses, strict=True):
            assert after == pytest.approx(before, rel=1e-9)
        arrays = dict(np.load(tmp_path / f"{index}.npz"))
        assert f"pool/{index}" in arrays and len(arrays) == len(reference) - 1
        # biases before instance norm have no gradient but noise
        compared = [name for name in arrays if arrays[name].ndim >= 4]
        for name in compared:
            assert (
                np.abs(arrays[name] - reference[name]).max() <= 1e-9 * np.abs(reference[name]).max()
            ), name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be parsed"),
        ("[1]", "cannot be parsed"),
        ('{"cluster": {"worker": ["a:1", "b:1"]}}', "cannot be parsed"),
        (
            '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
            "no worker 2",
        ),
        (
            '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "worker", "index": 0}}',
            "job 'ps' is not part",
        ),
        (
            '{"cluster": {"worker": ["a:1", "b"]}, "task": {"type": "worker", "index": 0}}',
            "'b' is not an address",
        ),
        (
            '{"cluster": {"worker": ["a:1", "b:port"]}, "task": {"type": "worker", "index": 0}}',
            "'b:port' is not an address",
        ),
        (
            '{"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", "index": 0}}',
            "occurs twice",
        ),
        (
            '{"cluster": {"worker": ["127.0.0.1:1", "no-such-host.invalid:1"]}, "task": {"type": "worker", "index": 0}}',
            "cannot be resolved",
        ),
    ],
)
def test_a_wrong_cluster_is_refused(monkeypatch, text, message):
    monkeypatch.setenv("TF_CONFIG", text)
    monkeypatch.setattr(workers, "_FOUND_WITHIN_SECONDS", 0.0)
    with pytest.raises(UserError, match=f"^TF_CONFIG: .*{message}"):
        workers.join_workers(None)


def test_an_empty_cluster_is_none(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "")
    assert not workers.join_workers(None).several


def test_a_taken_port_is_refused(monkeypatch):
    with socket.create_server(("", 0)) as taken:
        tasks = [f"127.0.0.1:{taken.getsockname()[1]}", "127.0.0.1:1"]
        monkeypatch.setenv("TF_CONFIG", environment(tasks, 0)["TF_CONFIG"])
        with pytest.raises(UserError, match="its port is not available"):
            workers.join_workers(None)


def test_the_chief_is_first():
    cluster = workers.read_cluster(
        '{"cluster": {"worker": ["b:1", "c:1"], "chief": ["a:1"]}, "task": {"type": "worker", "index": 1}}'
    )
    assert cluster.tasks == (("chief", 0, "a:1"), ("worker", 0, "b:1"), ("worker", 1, "c:1"))
    assert cluster.index == 2


OPTIONS = {
    "batch_size": 2,
    "max_steps": 14,
    "deterministic": True,
    "checkpoint_every_steps": 5,
    "ema_decay": 0.9,
    "eval_every_steps": 7,
}


def with_all_pools(run_dir: Path) -> dict[str, np.ndarray]:
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(run_dir / "checkpoints" / "worker-1"))
    own = {
        f"worker-1/{name}": reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name.startswith("pools")
    }
    return checkpoint(run_dir) | own


@pytest.fixture(scope="module")
def straight(tiles, tmp_path_factory) -> Path:
    """A run of two workers that nothing disturbed."""
    run_dir = tmp_path_factory.mktemp("workers") / "straight"
    results = finish(start(command(tiles, run_dir, **OPTIONS)))
    assert [code for code, _, _ in results] == [0, 0], results
    return run_dir


@pytest.mark.slow
def test_two_workers_train_as_two_devices_do(tiles, straight, tmp_path):
    one = subprocess.run(
        command(tiles, tmp_path / "one", devices=2, **OPTIONS),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert one.returncode == 0, one.stderr
    lines, expected = without_timing(straight), without_timing(tmp_path / "one")
    assert (
        [line["step"] for line in lines]
        == [line["step"] for line in expected]
        == [2, 4, 6, 7, 8, 10, 12, 14]
    )
    for line, reference in zip(lines, expected, strict=True):
        assert line == pytest.approx(reference, rel=2e-2)
    assert lines[0] == pytest.approx(expected[0], rel=1e-4)
    assert (straight / "report.html").exists() and len(
        list((straight / "tensorboard").iterdir())
    ) == 1


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_the_loss_of_a_worker_ends_the_others_and_the_same_command_goes_on(
    tiles, straight, tmp_path, victim
):
    killed, options = tmp_path / "killed", OPTIONS | {"max_steps": 14}
    processes = start(command(tiles, killed, **options))
    deadline = time.monotonic() + 180
    while not (killed / "checkpoints" / "step-5.index").exists():
        assert time.monotonic() < deadline and all(process.poll() is None for process in processes)
        time.sleep(0.005)
    processes[victim].kill()
    lost_at = time.monotonic()
    results = finish(processes)
    assert time.monotonic() - lost_at < 60
    assert results[victim][0] == -signal.SIGKILL
    code, _, errors = results[1 - victim]
    assert code == 1
    last = errors.strip().splitlines()[-1]
    assert (
        last.startswith("tfcyclegan train: worker 127.0.0.1:")
        and "is lost; start all workers again with the same command" in last
    ), errors
    assert "Traceback" not in errors
    resumed = finish(start(command(tiles, killed, **options)))
    assert [code for code, _, _ in resumed] == [0, 0], resumed
    assert all("resuming at step" in printed for _, printed, _ in resumed)
    first, second = with_all_pools(straight), with_all_pools(killed)
    assert first.keys() == second.keys() and any(
        name.startswith("worker-1/pools_a") for name in first
    )
    assert [name for name in first if not np.array_equal(first[name], second[name])] == []
    assert without_timing(killed) == without_timing(straight)


@pytest.mark.slow
def test_a_signal_to_one_worker_stops_all_with_a_checkpoint(tiles, tmp_path):
    run_dir = tmp_path / "run"
    options = {
        "norm": "batch",
        "dropout": True,
        "max_steps": 100_000,
        "checkpoint_every_steps": 100_000,
    }
    processes = start(command(tiles, run_dir, batch_size=2, **options))
    deadline = time.monotonic() + 180
    while (
        not (run_dir / "history.jsonl").exists()
        or len((run_dir / "history.jsonl").read_text().splitlines()) < 3
    ):
        assert time.monotonic() < deadline and all(process.poll() is None for process in processes)
        time.sleep(0.02)
    processes[1].send_signal(signal.SIGTERM)
    results = finish(processes)
    assert [code for code, _, _ in results] == [143, 143], results
    steps = {errors.split("stopped at step ")[1].split()[0] for _, _, errors in results}
    assert len(steps) == 1 and (run_dir / "checkpoints" / f"step-{steps.pop()}.index").exists()


@pytest.mark.slow
def test_workers_that_differ_and_a_directory_that_is_not_shared(tiles, straight, tmp_path):
    named = addresses()
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT}
    commands = [command(tiles, tmp_path / "run", **OPTIONS | {"seed": seed}) for seed in (0, 1)]
    results = finish(
        [
            subprocess.Popen(each, env=environment(named, index), **pipes)
            for index, each in enumerate(commands)
        ]
    )
    assert all(
        code == 2 and "worker 1 has other flags than worker 0" in errors
        for code, _, errors in results
    ), results
    assert not (tmp_path / "run").exists()

    shutil.copytree(straight, tmp_path / "shared")
    commands = [
        command(tiles, tmp_path / name, **OPTIONS | {"max_steps": 16})
        for name in ("shared", "elsewhere")
    ]
    named = addresses()
    results = finish(
        [
            subprocess.Popen(each, env=environment(named, index), **pipes)
            for index, each in enumerate(commands)
        ]
    )
    assert [code for code, _, _ in results] == [1, 1], results
    assert "must be on a file system that all workers share" in results[1][2]


@pytest.mark.slow
def test_another_number_of_workers_goes_on(tiles, straight, tmp_path):
    run_dir = shutil.copytree(straight, tmp_path / "run")
    alone = subprocess.run(
        command(tiles, run_dir, **OPTIONS | {"max_steps": 15}),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert alone.returncode == 0 and "resuming at step 14 of 15" in alone.stdout, alone.stderr
    results = finish(start(command(tiles, run_dir, **OPTIONS | {"max_steps": 16})))
    assert [code for code, _, _ in results] == [0, 0], results
    assert "worker 1 has no image pools of step 15: they start empty" in results[1][1]
    assert [line["step"] for line in without_timing(run_dir)][-2:] == [15, 16]
