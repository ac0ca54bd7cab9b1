"""Preparation, translation and evaluation on two clusters of two workers on this machine: Beam on
Dask, and Spark. A worker is killed in the middle; nothing is lost, and nothing made twice.

Needs the extra `demo`, for its pictures, besides `beam` with Dask's `distributed`, or `spark` with
Java. Spark's took 22 minutes on two cores that other jobs kept busy.
"""

import contextlib
import functools
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from data_prep import folders
from tests.conftest import ROOT
from tests.engine_parts import slow_negatives
from tests.test_beam import files_of, manifest_of
from tests.test_data_translation import contents
from tests.test_prepare import config, root  # noqa: F401 - root is a fixture
from tests.test_scoring import evaluated  # noqa: F401 - a fixture
from tests.test_segmentation import city, data  # noqa: F401 - fixtures
from tfcyclegan import cli, flags
from tfcyclegan.config import EvaluateConfig
from tfcyclegan.data.source import open_source
from tfcyclegan.engines import open_engine
from tfcyclegan.translation import data_sets
from tfcyclegan.translation.data_sets import translate_data
from tfcyclegan.translation.elsewhere import Elsewhere

pytestmark = pytest.mark.slow
HOST = "127.0.0.1"
SECONDS = 900


def free_port() -> int:
    with socket.create_server((HOST, 0)) as listening:
        return listening.getsockname()[1]


def has(*packages: str) -> bool:
    return all(importlib.util.find_spec(package) for package in packages)


@contextlib.contextmanager
def dask(place: Path):
    """The flags of Beam for a scheduler and two workers."""
    if not has("apache_beam", "distributed"):
        pytest.skip("Apache Beam or Dask is not installed")
    address = f"tcp://{HOST}:{free_port()}"
    usual = ["--no-dashboard", "--host", HOST]
    scheduler = ["scheduler", *usual, "--port", address.rpartition(":")[2]]
    worker = ["worker", address, *usual, "--no-nanny", "--nthreads=1"]
    commands = [
        [sys.executable, "-m", "dask", *words, *more]
        for words, more in (
            (scheduler, []),
            (worker, ["--local-directory", str(place / "one")]),
            (worker, ["--local-directory", str(place / "two")]),
        )
    ]
    with running(commands, place, "Registered to:", {}):
        runner = "apache_beam.runners.dask.dask_runner.DaskRunner"
        yield [f"--beam_flags=--runner={runner} --dask_client_address={address}"]


@contextlib.contextmanager
def spark(place: Path):
    """The properties of Spark for a master and two workers."""
    if not has("pyspark"):
        pytest.skip("PySpark is not installed")
    if shutil.which("java") is None:
        pytest.skip("Java is not installed")
    import pyspark

    script = str(Path(pyspark.__file__).parent / "bin" / "spark-class")
    port = free_port()
    master = [script, "org.apache.spark.deploy.master.Master", "--host", HOST, "--port", str(port)]
    worker = [
        *(script, "org.apache.spark.deploy.worker.Worker", f"spark://{HOST}:{port}"),
        *("--host", HOST, "--cores", "1", "--memory", "1g", "--webui-port", "0"),
    ]
    commands = [
        [*master, "--webui-port", "0"],
        [*worker, "--work-dir", str(place / "one")],
        [*worker, "--work-dir", str(place / "two")],
    ]
    with running(commands, place, "Successfully registered with master", {"SPARK_LOCAL_IP": HOST}):
        properties = (
            f"spark.master=spark://{HOST}:{port} spark.driver.host={HOST} "
            f"spark.driver.bindAddress={HOST} spark.executor.memory=512m spark.executor.cores=1"
        )
        yield ["--engine=spark", f"--spark_conf={properties}"]


@contextlib.contextmanager
def running(commands: list[list[str]], place: Path, ready: str, variables: dict[str, str]):
    """Runs a scheduler and its workers, which say `ready`, until the block ends."""
    variables = {**os.environ, **variables, "PYTHONPATH": str(ROOT)}
    place.mkdir()
    started = []
    try:
        for number, command in enumerate(commands):
            log = place / f"{number}.log"
            with open(log, "w") as stream:
                started.append(
                    subprocess.Popen(command, stdout=stream, stderr=stream, env=variables)
                )
            until(lambda number=number, log=log: not number or ready in log.read_text())
        yield
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()


def until(true) -> None:
    ends = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.1)


def parent(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def kill_worker(python: int) -> None:
    """Kills the worker that a Python process is or belongs to: an executor of Spark, which is a
    program in Java of its own.
    """
    while (above := parent(python)) != os.getpid():
        command = Path(f"/proc/{python}/cmdline").read_bytes()
        if b"CoarseGrainedExecutorBackend" in command:
            break
        python = above
    os.kill(python, signal.SIGKILL)


@pytest.mark.parametrize("cluster", [dask, spark])
def test_two_workers_of_which_one_is_killed(
    cluster,
    root,  # noqa: F811
    data,  # noqa: F811
    evaluated,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    monkeypatch.setattr(data_sets, "SHARD_PICTURES", 2)
    with cluster(tmp_path / "cluster") as words:
        options = flags.parse(EvaluateConfig, ["--run_dir=r", *words])
        engine = open_engine(options)
        chosen = {name: getattr(options, name) for name in ("engine", "beam_flags", "spark_conf")}
        for name, more in (("here", {}), ("there", chosen)):
            folders.run(config(root, output_dir=str(root.parent / name), shards=3, **more))
        assert files_of(root.parent / "here") == files_of(root.parent / "there")
        assert manifest_of(root.parent / "here") == manifest_of(root.parent / "there")

        run_dir = shutil.copytree(evaluated / "run0", tmp_path / "run")
        expected = json.loads((run_dir / "evaluation" / "metrics.json").read_text())
        shutil.rmtree(run_dir / "evaluation")
        assert cli.main(["evaluate", f"--run_dir={run_dir}", "--features=none", *words]) == 0
        found = json.loads((run_dir / "evaluation" / "metrics.json").read_text())
        assert found["directions"][0]["tables"] == expected["directions"][0]["tables"]

        source, splits, log = open_source(data), ["train", "val"], tmp_path / "log"
        here = slow_negatives(tmp_path / "other", 0)
        translate_data(here, source, splits, tmp_path / "local", scale=None)
        killed = []

        def kill_the_first() -> None:
            until(lambda: list((tmp_path / "shared").glob("*.tfrecord*")))
            killed.append(int(log.read_text().split()[1]))
            kill_worker(killed[0])

        killer = threading.Thread(target=kill_the_first, daemon=True)
        killer.start()
        elsewhere = Elsewhere(engine, functools.partial(slow_negatives, log, 0.5))
        translate_data(here, source, splits, tmp_path / "shared", scale=None, elsewhere=elsewhere)
        killer.join()
    assert contents(tmp_path / "shared") == contents(tmp_path / "local")
    assert len(contents(tmp_path / "shared")) == 16
    assert manifest_of(tmp_path / "shared") == manifest_of(tmp_path / "local")
    opened = log.read_text().split()[1::2]
    assert killed and len(opened) == len(set(opened)) >= 2, "once a worker"
    assert not Path(f"/proc/{killed[0]}").exists()
