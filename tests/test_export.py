"""Pictures through a run and through what is exported of it: the same ones."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.test_training import config
from tfcyclegan import cli
from tfcyclegan.config import Size
from tfcyclegan.export import saved_model, tflite
from tfcyclegan.export.exporter import export
from tfcyclegan.networks import make_generator
from tfcyclegan.training.checkpoints import load_generator
from tfcyclegan.training.runs import read_run
from tfcyclegan.training.trainer import train
from tfcyclegan.translation import from_model, from_run


@pytest.fixture(scope="module")
def run_dir(tiles, tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("runs") / "run"
    train(config(tiles, directory, max_steps=4, precision="mixed_bfloat16", upsampling="resize"))
    return directory


@pytest.fixture(scope="module")
def exported(run_dir, tmp_path_factory) -> Path:
    return export(read_run(run_dir), "latest", "ab", tmp_path_factory.mktemp("models") / "model", None)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_the_exported_directory(exported):
    assert exported.name == "1"
    names = {path.name for path in exported.iterdir()}
    assert {"saved_model.pb", "variables", "float32.tflite", "float16.tflite", "metadata.json"} <= names
    metadata = json.loads((exported / "metadata.json").read_text())
    assert metadata["parity"]["TFLite float32"] < 1e-4 and metadata["parity"]["TFLite float16"] < 1e-2
    stored = [shape for name, shape in tf.train.list_variables(str(exported / "variables" / "variables")) if "_weights" in name]
    assert sum(int(np.prod(shape)) for shape in stored) == metadata["parameters"], "each weight is stored, and once"
    sizes = [(exported / f"{variant}.tflite").stat().st_size for variant in ("float32", "float16")]
    assert sizes[0] - sizes[1] > 1.4 * metadata["parameters"], "nearly two bytes a weight are saved; the casts take some back"


def test_saved_model_cli_runs_it(exported, run_dir, tmp_path):
    """TensorFlow's own command, which loads as TensorFlow Serving does."""
    images = np.random.default_rng(1).uniform(-1, 1, (2, 36, 44, 3)).astype(np.float32)
    np.save(tmp_path / "images.npy", images)
    command = [str(Path(sys.executable).parent / "saved_model_cli"), "run", "--dir", str(exported), "--tag_set", "serve"]
    command += ["--signature_def", "tensor", "--inputs", f"images={tmp_path / 'images.npy'}", "--outdir", str(tmp_path / "out")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    expected = load_generator(read_run(run_dir), "latest", "ab")(images).numpy()
    np.testing.assert_allclose(np.load(tmp_path / "out" / "images.npy"), expected, atol=1e-4)
    np.testing.assert_allclose(saved_model.run_in_session(exported, images), expected, atol=1e-4)


def test_encoded_pictures_of_several_sizes(exported, run_dir):
    """serving_default: bytes in, PNGs of the same size out, as `translate` makes them."""
    translator = from_run(read_run(run_dir), "latest", "ab")
    serve = tf.saved_model.load(str(exported)).signatures["serving_default"]
    encoded, expected = [], []
    for height, width in ((36, 44), (33, 50)):
        pixels = picture(height, width)
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        encoded.append(stream.getvalue())
        expected.append(translator(pixels))
    answers = serve(image_bytes=tf.constant(encoded))["image_bytes"].numpy()
    for answer, reference in zip(answers, expected, strict=True):
        pixels = np.asarray(Image.open(io.BytesIO(answer)))
        assert pixels.shape == reference.shape
        assert np.abs(pixels.astype(int) - reference).max() <= 1


def test_the_interpreter_gives_what_keras_gives(exported, run_dir):
    images = np.random.default_rng(2).uniform(-1, 1, (3, 32, 32, 3)).astype(np.float32)
    expected = load_generator(read_run(run_dir), "latest", "ab")(images).numpy()
    for name, bound in (("float32", 1e-4), ("float16", 1e-2)):
        content = (exported / f"{name}.tflite").read_bytes()
        np.testing.assert_allclose(tflite.run(content, images), expected, atol=bound)
        assert "MIRROR_PAD" not in tflite.operators(content)


@pytest.mark.parametrize("architecture", ["resnet_2blocks", "unet_128"])
@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_every_generator_converts(architecture, norm):
    generator = make_generator(architecture, base_filters=4, norm=norm, in_channels=1, init_gain=0.05, seed=1)
    size = Size(128, 128) if architecture == "unet_128" else Size(32, 48)
    images = np.random.default_rng(0).uniform(-1, 1, (1, size.height, size.width, 1)).astype(np.float32)
    content = tflite.convert(generator, "float32", size)
    np.testing.assert_allclose(tflite.run(content, images), generator(images).numpy(), atol=1e-4)


def test_the_same_weights_are_exported_once(exported, run_dir, capsys):
    assert export(read_run(run_dir), "latest", "ab", exported.parent, None) == exported
    assert "holds this model already" in capsys.readouterr().out
    assert export(read_run(run_dir), "latest", "ba", exported.parent, None).name == "2"


def test_translate_by_run_by_saved_model_and_by_tflite(exported, run_dir, tmp_path):
    """Any size, nested folders, names kept; all three ways agree to a level of 8 bit."""
    for name, (height, width) in {"a b.jpg": (32, 32), "deep/über.tiff": (37, 61), "tiny.png": (5, 7)}.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(height, width)).save(path, quality=95)
    common = [f"--input={tmp_path / 'in'}"]
    assert cli.main(["translate", f"--run_dir={run_dir}", "--scale=original", *common, f"--output={tmp_path / 'by_run'}"]) == 0
    assert cli.main(["translate", f"--run_dir={run_dir}", *common, f"--output={tmp_path / 'as_trained'}"]) == 0
    sizes = {Image.open(path).size for path in (tmp_path / "as_trained").rglob("*.png")}
    load_size = read_run(run_dir).config.load_size
    assert sizes == {(load_size.width, load_size.height)}
    assert cli.main(["translate", f"--model={exported.parent / '1'}", *common, f"--output={tmp_path / 'by_model'}"]) == 0
    assert sorted(p.relative_to(tmp_path / "by_run").as_posix() for p in (tmp_path / "by_run").rglob("*.png")) == [
        "a b.png",
        "deep/über.png",
        "tiny.png",
    ]
    for path in (tmp_path / "by_run").rglob("*.png"):
        ours = np.asarray(Image.open(path)).astype(int)
        other = np.asarray(Image.open(tmp_path / "by_model" / path.relative_to(tmp_path / "by_run"))).astype(int)
        source = next((tmp_path / "in").rglob(f"{path.stem}.*"))
        assert ours.shape[:2] == Image.open(source).size[::-1]
        assert np.abs(ours - other).max() <= 1
    by_tflite = from_model(exported / "float32.tflite")
    pixels = picture(32, 32)
    assert np.abs(by_tflite(pixels).astype(int) - from_run(read_run(run_dir), "latest", "ab")(pixels)).max() <= 1


def test_translating_again_keeps_what_is_there(run_dir, tiles, tmp_path, capsys):
    arguments = [
        "translate",
        f"--run_dir={run_dir}",
        "--direction=ba",
        f"--data_dir={tiles}",
        "--split=testB",
        f"--output={tmp_path / 'out'}",
    ]
    assert cli.main(arguments) == 0
    names = sorted(path.name for path in (tmp_path / "out").glob("*.png"))
    assert names and names[0] == "0001.png"
    (tmp_path / "out" / names[0]).unlink()
    times = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in names[1:]}
    capsys.readouterr()
    assert cli.main(arguments) == 0
    assert f"1 pictures translated, {len(names) - 1} were there already" in capsys.readouterr().out
    assert all((tmp_path / "out" / name).stat().st_mtime_ns == before for name, before in times.items())
    assert cli.main([*arguments[:2], "--direction=ab", *arguments[3:]]) == 2
