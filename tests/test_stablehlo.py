"""A training that goes on under JAX is the one that TensorFlow would have done: the same pictures,
draws and updates; and what comes back is a checkpoint like any other.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from benchmarks import exported_runs, exported_step, exported_training
from data_prep import folders
from tests.conftest import ROOT
from tfcyclegan.commands import train
from tfcyclegan.config import Size, TrainConfig
from tfcyclegan.data.pixels import Pixels
from tfcyclegan.data.unpaired import UnpairedBatches
from tfcyclegan.errors import RunError
from tfcyclegan.methods.factory import build_model
from tfcyclegan.training.checkpoint_files import newest
from tfcyclegan.training.checkpoints import load_generator
from tfcyclegan.training.history import read_history
from tfcyclegan.training.runs import read_run
from tfcyclegan.training.trainer import make_optimizer

NO_JAX = "JAX is not among the extras: pip install jax==0.10.2 jaxlib==0.10.2"


class Stored(Pixels):
    """Pictures in memory, of different sizes."""

    def __init__(self, count: int, seed: int):
        generator = np.random.default_rng(seed)
        self.sizes = generator.integers(70, 76, (count, 2))
        self.channels, self.values, self.gaps = 3, None, 0
        self._pictures = [
            generator.integers(0, 256, (*size, 3), dtype=np.uint8) for size in self.sizes
        ]

    def __getitem__(self, index: int) -> np.ndarray:
        return self._pictures[index]


def batches(size: int, batch: int = 2) -> UnpairedBatches:
    crop = Size(size, size)
    return UnpairedBatches(Stored(5, 1), Stored(7, 2), crop, True, batch, 11, rotations=True)


def test_windows_are_the_batches_of_each_step():
    shown, first = batches(64), 3
    tables = exported_runs.windows_of(shown, first, first + 9)
    for number, (pixels, table) in enumerate(
        zip((shown.pixels_a, shown.pixels_b), tables, strict=True)
    ):
        pictures = exported_runs.pictures_of(pixels, table)
        for step, windows in enumerate(table):
            cut = exported_training.cut(pictures, windows, 64, 64)
            np.testing.assert_array_equal(cut, shown.batch(first + step)[number])


def tiny() -> tuple[exported_step.Program, list[str]]:
    """A step that counts, and adds what it is given to one of two variables."""
    count, total = tf.Variable(4, dtype=tf.int64), tf.Variable([1.0, 2.0])
    unused = tf.Variable(3.0)

    def step(given: tf.Tensor) -> tf.Tensor:
        total.assign_add(given * unused)
        count.assign_add(1)
        return tf.reduce_sum(total)

    program, handles = exported_step.lower(step, tf.zeros([2]))
    names = {id(v.handle): n for n, v in (("count", count), ("total", total), ("unused", unused))}
    return program, [names[id(handle)] for handle in handles]


def test_a_lowered_step_names_what_it_reads_and_what_it_changes(tmp_path):
    program, names = tiny()
    assert program.inputs[0] == "2xf32" and sorted(names) == ["count", "total", "unused"]
    types = dict(zip(names, program.inputs[1:], strict=True))
    assert types == {"count": "i64", "total": "2xf32", "unused": "f32"}
    changed = {names[place - 1]: program.outputs[to] for place, to in program.updates.items()}
    assert changed == {"count": "i64", "total": "2xf32"}
    settings = exported_step.Settings(8, 8, 1, 1, 4, "float32")
    exported_step.write(tmp_path / "step.npz", settings, program, about={"more": 1}, x=np.ones(2))
    package = exported_step.read(tmp_path / "step.npz")
    assert package.program == program and package.settings == settings
    assert package.about["more"] == 1 and package.arrays["x"].tolist() == [1, 1]


def test_jax_runs_a_lowered_step():
    jax = pytest.importorskip("jax", reason=NO_JAX)
    program, names = tiny()
    step = jax.jit(exported_step.loaded(program))
    values = {"count": np.int64(4), "total": np.float32([1, 2]), "unused": np.float32(3)}
    returned, state = step([np.float32([1, 10])], [values[name] for name in names])
    after = dict(zip(names, state, strict=True))
    assert returned == 4 + 32 and after["count"] == 5 and after["total"].tolist() == [4, 32]
    assert after["unused"] == 3


def test_what_is_not_stablehlo_is_taken_out_of_the_text():
    given = (
        "module @a attributes {mhlo.x = [], mhlo.y = {z = 1}} {\n"
        "  %2 = mhlo.copy %1 : tensor<2x3xf32> loc(#loc1)\n"
    )
    assert exported_step.without_mhlo(given) == (
        "module @a {\n"
        "  %2 = stablehlo.reshape %1 : (tensor<2x3xf32>) -> tensor<2x3xf32> loc(#loc1)\n"
    )


def test_what_comes_back_is_cut_into_files_and_joined(tmp_path, monkeypatch):
    monkeypatch.setattr(exported_training, "_FILE_BYTES", 1000)
    values = np.arange(3000, dtype=np.float32)
    exported_training._write_parts(tmp_path / "out", values=values)
    parts = sorted((tmp_path / "out").iterdir())
    assert len(parts) > 10 and all(part.stat().st_size <= 1000 for part in parts)
    np.testing.assert_array_equal(exported_training.joined(tmp_path / "out")["values"], values)
    (tmp_path / "out" / "trained.npz.11").unlink()
    with pytest.raises(SystemExit, match="are damaged or not all there"):
        exported_training.joined(tmp_path / "out")


def test_what_is_too_large_to_come_back_is_refused_before_the_training():
    names = ["gen_ab/0", "generator_optimizer/1", "pools_a/images", "step"]
    program = exported_step.Program(
        ("1x8x8x3xf32", "16777216xf32", "8388608xf32", "4x1024x1024x3xf32", "i64"), (), {}, b""
    )
    settings = exported_step.Settings(8, 8, 1, 1, 4, "float32")
    package = exported_step.Package(settings, program, {"state": names}, {})
    sizes = [exported_training.brought_bytes(package, each) for each in exported_training.BRINGS]
    weights, moments, pool, step = 2**26, 2**25, 3 * 2**24, 8
    assert sizes == [
        *(weights + moments + pool + step, weights + moments + step),
        *(weights + step, weights // 2 + step),
    ]
    with pytest.raises(SystemExit, match=r"--bring=all: 144 MiB, of 62 .*--bring=no_pools or"):
        exported_training.require_room(package, "all")
    exported_training.require_room(package, "half")


def test_drawn_weights_are_the_same_everywhere():
    numbers = exported_training.drawn(5, (2, 2), 0.5, 0.02)
    # NumPy promises that RandomState never changes
    expected = 0.5 + 0.02 * np.array([[0.44122749, -0.33087015], [2.43077119, -0.25209213]])
    assert numbers.dtype == np.float32
    np.testing.assert_allclose(numbers, expected, rtol=1e-7)


def model_of(config: TrainConfig, precision: str):
    model = build_model(config, precision)
    length = config.length(7)
    model.compile(*(make_optimizer(config, length, 7, dynamic_scale=False) for _ in range(2)))
    model.make_pools((64, 64, 3), (64, 64, 3))
    return model


def distance(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """The distance of the first from the second, as a share of their length."""
    apart = sum(np.square(one - other).sum() for one, other in pairs)
    return float(np.sqrt(apart / sum(np.square(other).sum() for _, other in pairs)))


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "steps"), [(1, 200), (4, 20)])
def test_each_step_under_jax_is_tensorflow_s(batch, steps):
    """Each from TensorFlow's state before it: the last bit of one weight alone grows to percents
    within 200 steps of float32, from which nothing could be told.
    """
    jax = pytest.importorskip("jax", reason=NO_JAX)
    config = TrainConfig(
        data_dir="-",
        run_dir="-",
        crop_size=Size(64, 64),
        load_size=Size(72, 72),
        residual_blocks=1,
        base_filters=8,
        discriminator_filters=8,
        pool_size=3,
        batch_size=batch,
        epochs=10,
        decay_epochs=20,
        ema_decay=0.99,
        diffaugment="colour,translation",
        seed=5,
    )
    shown, model = batches(64, batch), model_of(config, "float32")
    program, names = exported_runs.lowered_step(model, batch, Size(64, 64), (3, 3))
    draws = exported_runs.draws_of(model, batch, 0, steps)
    state = exported_runs.state_of(model)
    assert set(names) == set(state)
    step = jax.jit(exported_step.loaded(program))

    @tf.function(autograph=False)
    def own(real_a: tf.Tensor, real_b: tf.Tensor) -> tf.Tensor:
        return exported_runs.values_of(model, model.train_step((real_a, real_b)))

    def of(owners: tuple[str, ...], *values: dict[str, np.ndarray]) -> list[tuple[Any, ...]]:
        """What the owners have of numbers, not of counts."""
        owned = [tuple(each[name] for each in values) for name in names if name.startswith(owners)]
        return [pair for pair in owned if pair[0].dtype.kind == "f"]

    moments: list[float] = []
    before = {name: state[name].numpy() for name in names}
    for number in range(steps):
        pictures = [np.float32(each) / np.float32(127.5) - 1 for each in shown.batch(number)]
        given = [*pictures, draws["chances"][number], draws["slots"][number]]
        reported, values = step(given, [before[name] for name in names])
        found = dict(zip(names, map(np.asarray, values), strict=True))
        expected = own(*map(tf.constant, pictures)).numpy()
        after = {name: state[name].numpy() for name in names}
        np.testing.assert_allclose(reported, expected, rtol=1e-3, atol=1e-5)
        for name in names:
            if after[name].dtype == np.int64:
                assert found[name] == after[name], name
        for pool in ("pools_a/images", "pools_b/images"):
            np.testing.assert_allclose(found[pool], after[pool], atol=1e-3)
        # Adam moves a weight by its rate however small its gradient is, and then the last bits
        # decide where to
        assert distance(of(("gen_ab", "gen_ba", "disc_", "average_"), found, after)) < 5e-3
        moments.append(distance(of(exported_training.OPTIMIZERS, found, after)))
        before = after
    assert before["pools_a/count"] == before["pools_b/count"] == 3
    # the slope of an L1 turns over where a pixel is right to its last bits
    assert np.median(moments) < 1e-5 and max(moments) < 0.1


@pytest.fixture(scope="module")
def begun(tmp_path_factory) -> Path:
    """A run after its first step, of pictures made of noise."""
    place, generator = tmp_path_factory.mktemp("begun"), np.random.default_rng(0)
    for domain in "AB":
        (place / f"raw/train{domain}").mkdir(parents=True)
        for number in range(4):
            noise = generator.integers(0, 256, (9, 9, 3), dtype=np.uint8)
            picture = Image.fromarray(noise).resize((72, 72))
            picture.save(place / f"raw/train{domain}/{number}.png")
    folders.run(folders.Config(input_dir=str(place / "raw"), output_dir=str(place / "data")))
    train.run(run_of(place, 1))
    return place


def run_of(place: Path, max_steps: int) -> TrainConfig:
    return TrainConfig(
        data_dir=str(place / "data"),
        run_dir=str(place / "run"),
        crop_size=Size(64, 64),
        load_size=Size(72, 72),
        residual_blocks=1,
        base_filters=4,
        discriminator_filters=4,
        pool_size=3,
        precision="float32",
        max_steps=max_steps,
        log_every_steps=2,
        eval_every_epochs=0,
    )


def stablehlo(*arguments: str) -> str:
    command = [sys.executable, "-m", "benchmarks.stablehlo", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_run_goes_to_jax_and_comes_back(begun):
    pytest.importorskip("jax", reason=NO_JAX)
    run, packed, trained = begun / "run", begun / "packed.npz", begun / "trained"
    stablehlo("pack", f"--run_dir={run}", "--max_steps=8", f"--output={packed}")
    told = stablehlo("train", str(packed), f"--output_dir={trained}", "--nocompare")
    assert "steps/s" in told
    stablehlo("unpack", f"--run_dir={run}", f"--trained={trained}")
    assert newest(run / "checkpoints") == str(run / "checkpoints" / "step-8")
    lines = read_history(run / "history.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 4, 6, 8]
    assert all(line.keys() == lines[0].keys() for line in lines)
    assert json.loads((run / "config.json").read_text())["options"]["max_steps"] == 8
    # the training goes on where JAX left it
    train.run(run_of(begun, 10))
    assert [line["step"] for line in read_history(run / "history.jsonl")] == [1, 2, 4, 6, 8, 10]
    # from drawn weights, with nothing but the networks in half precision brought back
    stablehlo("pack", f"--run_dir={run}", "--max_steps=12", "--fresh", f"--output={packed}")
    assert not any("gen_ab/0" in name for name in np.load(packed).files)
    stablehlo("train", str(packed), f"--output_dir={begun / 'half'}", "--nocompare", "--bring=half")
    stablehlo("unpack", f"--run_dir={run}", f"--trained={begun / 'half'}")
    assert [line["step"] for line in read_history(run / "history.jsonl")] == [2, 4, 6, 8, 10, 12]
    generator = load_generator(read_run(run), "latest", "ab")
    assert all(np.array_equal(w, w.astype(np.float16)) for w in generator.get_weights())
    with pytest.raises(RunError, match="choose another --run_dir"):
        train.run(run_of(begun, 14))
