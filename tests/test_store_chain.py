"""All commands on places of an S3 server: preparation, training, kills, resumption, translation and
export, each on a machine of its own. The server is moto's on loopback, which speaks S3's protocol
but is not S3 itself.
"""

import io
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import processes
from tests.test_training import checkpoint
from tfcyclegan.system.downloads import CACHE_VARIABLE

pytestmark = pytest.mark.slow
moto = pytest.importorskip("moto.server", reason="needs moto[server]: pip install -e '.[dev]'")
pytest.importorskip("s3fs", reason="needs the extra s3")

BUCKET = "s3://lab"
TRAINING = """
    --load_size=34 --crop_size=32 --base_filters=4 --residual_blocks=1 --discriminator_filters=4
    --discriminator_layers=2 --pool_size=3 --precision=float32 --devices=1 --deterministic
    --max_steps=14 --eval_every_epochs=0
    --checkpoint_every_steps=2 --log_every_steps=2 --sample_every_steps=10
"""


@pytest.fixture(scope="module")
def server():
    """The environment of commands that use a fresh server."""
    served = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    served.start()
    host, port = served.get_host_and_port()
    yield {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "anyone",
        "AWS_SECRET_ACCESS_KEY": "anything",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    served.stop()


@pytest.fixture(scope="module")
def store(server):
    import s3fs

    store = s3fs.S3FileSystem(
        key=server["AWS_ACCESS_KEY_ID"],
        secret=server["AWS_SECRET_ACCESS_KEY"],
        endpoint_url=server["AWS_ENDPOINT_URL"],
        use_listings_cache=False,
    )
    store.mkdir("lab")
    return store


@pytest.fixture(scope="module")
def pictures(store, tmp_path_factory) -> Path:
    """Two domains of 24 pictures and 4 test pictures each, here and on the store."""
    folder, random = tmp_path_factory.mktemp("pictures"), np.random.default_rng(1)
    for domain, count in {"trainA": 24, "trainB": 24, "testA": 4, "testB": 4}.items():
        (folder / domain).mkdir()
        for number in range(count):
            coarse = random.integers(0, 256, (5, 5, 3), np.uint8)
            Image.fromarray(coarse).resize((40, 40)).save(folder / domain / f"{number:02d}.png")
    store.put(str(folder), "lab/pictures", recursive=True)
    return folder


@pytest.fixture
def command(server, tmp_path):
    """Runs a command on a machine with a name, which has copies of its own."""

    def arguments(module: str, flags) -> list[str]:
        return [sys.executable, "-m", module, *flags]

    def run(machine: str, module: str, *flags: str, until=None, code: int = 0, **environment):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        place = {CACHE_VARIABLE: str(tmp_path / machine)}
        own = {**kept, **server, **place, **environment}
        own = {name: value for name, value in own.items() if value}
        if until is None:
            ended = processes.run(arguments(module, flags), env=own)
            assert ended.returncode == code, ended.stdout + ended.stderr
            return ended
        with processes.started(arguments(module, flags), env=own) as process:
            deadline = time.monotonic() + 300
            while not until():
                assert time.monotonic() < deadline and process.poll() is None
                time.sleep(0.002)
            process.kill()
            process.wait()
        return None

    return run


def test_the_whole_chain(store, pictures, command, tmp_path):
    cli = "tfcyclegan.cli"
    preparing = ("--input_dir={}", "--output_dir={}", "--shards=12")

    def prepare(machine: str, given, made, **more):
        flags = [
            flag.format(place) for flag, place in zip(preparing, (given, made, ""), strict=True)
        ]
        return command(machine, "data_prep.folders", *flags, **more)

    # killed, and continued by another machine
    prepare(
        "one",
        f"{BUCKET}/pictures",
        f"{BUCKET}/data",
        until=lambda: len(store.glob("lab/data/.work/*.tfrecord*.json")) >= 2,
    )
    assert not store.exists("lab/data/manifest.json")
    continued = prepare("two", f"{BUCKET}/pictures", f"{BUCKET}/data").stdout
    assert f"{BUCKET}/data: continues; " in continued
    prepare("local", pictures, tmp_path / "data")
    assert {
        Path(name).name: store.cat(name) for name in store.find("lab/data") if "tfrec" in name
    } == {path.name: path.read_bytes() for path in (tmp_path / "data").glob("*tfrec*")}
    assert not store.glob("lab/data/.work/*")
    assert "already complete" in prepare("three", f"{BUCKET}/pictures", f"{BUCKET}/data").stdout

    # training: killed twice, and ends as one that nothing disturbed
    def train(machine: str, data, run, **more):
        flags = [f"--data_dir={data}", f"--run_dir={run}", *TRAINING.split()]
        return command(machine, cli, "train", *flags, **more)

    def has_checkpoint(step: int) -> bool:
        return store.exists(f"lab/run/checkpoints/step-{step}.index")

    train("one", f"{BUCKET}/data", f"{BUCKET}/run", until=lambda: has_checkpoint(4))
    train("two", f"{BUCKET}/data", f"{BUCKET}/run", until=lambda: has_checkpoint(8))
    ended = train("one", f"{BUCKET}/data", f"{BUCKET}/run").stdout
    assert (
        "resuming at step" in ended and f"next: tfcyclegan translate --run_dir={BUCKET}/" in ended
    )
    train("local", tmp_path / "data", tmp_path / "run")
    store.get("lab/run", str(tmp_path / "from_store"), recursive=True)
    there, here = checkpoint(tmp_path / "from_store"), checkpoint(tmp_path / "run")
    assert there.keys() == here.keys()
    assert all(np.array_equal(there[name], here[name]) for name in there)
    assert sorted(
        name.rpartition("/")[2] for name in store.glob("lab/run/checkpoints/*.index")
    ) == [
        "step-10.index",
        "step-12.index",
        "step-14.index",
    ]
    assert f'"data_dir": "{BUCKET}/data"' in store.cat("lab/run/config.json").decode()
    assert f"--run_dir={BUCKET}/run\n" in store.cat("lab/run/flags.cfg").decode()
    assert store.glob("lab/run/tensorboard/**/events*") and store.exists("lab/run/report.html")

    # translation and export by a machine that has nothing yet
    command(
        "three",
        cli,
        "translate",
        f"--run_dir={BUCKET}/run",
        f"--input={BUCKET}/pictures/testA",
        f"--output={BUCKET}/translated",
    )
    command(
        "local",
        cli,
        "translate",
        f"--run_dir={tmp_path / 'run'}",
        f"--input={pictures / 'testA'}",
        f"--output={tmp_path / 'translated'}",
    )
    translated = {path.name: path for path in (tmp_path / "translated").glob("*.png")}
    assert len(translated) == 4
    for name, path in translated.items():
        one = Image.open(io.BytesIO(store.cat(f"lab/translated/{name}")))
        assert np.array_equal(np.asarray(one), np.asarray(Image.open(path)))
    exported = command(
        "three", cli, "export", f"--run_dir={BUCKET}/run", f"--output={BUCKET}/model"
    )
    assert f"exported to {BUCKET}/model/1" in exported.stdout
    assert store.exists("lab/model/1/saved_model.pb") and not store.exists("lab/model/.1.partial")
    command(
        "four",
        cli,
        "translate",
        f"--model={BUCKET}/model",
        f"--input={BUCKET}/pictures/testA/00.png",
        f"--output={BUCKET}/by_model",
    )
    assert store.exists("lab/by_model/00.png")


def test_one_line_each_for_what_is_missing(store, server, command):
    translate = ("tfcyclegan.cli", "translate", "--input=pictures", "--output=out")

    def told(code: int = 2, run: str = f"{BUCKET}/none", **environment: str) -> str:
        ended = command("five", *translate, f"--run_dir={run}", code=code, **environment)
        assert ended.stderr.count("\n") == 1, ended.stderr
        return ended.stderr

    assert "--run_dir=s3://lab/none: holds no run" in told()
    assert (
        "s3://labb/run: not found (The specified bucket does not exist); make the bucket labb"
        in told(run="s3://labb/run")
    )
    without = told(AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert "s3://lab/none: refuses access" in without and "set AWS_ACCESS_KEY_ID" in without
    away = told(code=1, AWS_ENDPOINT_URL="http://127.0.0.1:9", AWS_MAX_ATTEMPTS="1")
    assert "s3://lab/none: cannot be read (Could not connect" in away
