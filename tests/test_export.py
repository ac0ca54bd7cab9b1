"""Pictures through a run and through what is exported of it: the same ones."""

import dataclasses
import io
import json
import shutil
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests import processes
from tests.exports import (
    assert_same_picture,
    by_loader,
    convolutions,
    encode,
    picture,
    read_metadata,
    sampled,
    shown_by_each,
)
from tests.test_training import config
from tfcyclegan import cli
from tfcyclegan.data import images
from tfcyclegan.data.domains import open_domains
from tfcyclegan.exporting import saved_model, tflite
from tfcyclegan.exporting.exporter import export
from tfcyclegan.exports.exported_models import from_model, open_model
from tfcyclegan.training.checkpoints import load_generator
from tfcyclegan.training.runs import read_run
from tfcyclegan.training.trainer import train
from tfcyclegan.translation.translators import from_run


@pytest.fixture(scope="module")
def run_dir(tiles, tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("runs") / "run"
    train(config(tiles, directory, max_steps=4, precision="mixed_bfloat16", upsampling="resize"))
    return directory


@pytest.fixture(scope="module")
def exported(run_dir, tmp_path_factory) -> Path:
    """With a gate that float files pass and files in 8 bits do not."""
    output = tmp_path_factory.mktemp("models") / "model"
    assert cli.main(["export", f"--run_dir={run_dir}", f"--output={output}", "--min_psnr=56"]) == 0
    return output / "1"


@pytest.fixture(scope="module")
def loader(exported):
    with by_loader(exported) as run:
        yield run


def test_the_exported_directory(exported):
    assert exported.name == "1"
    names = {path.name for path in exported.iterdir()}
    assert {
        "saved_model.pb",
        "variables",
        "float32.tflite",
        "float16.tflite",
        "metadata.json",
        "MODEL_CARD.md",
    } <= names
    metadata = read_metadata(exported)
    assert (
        metadata["parity"]["TFLite float32"] < 1e-4 and metadata["parity"]["TFLite float16"] < 1e-2
    )
    stored = [
        shape
        for name, shape in tf.train.list_variables(str(exported / "variables" / "variables"))
        if "_weights" in name
    ]
    assert sum(int(np.prod(shape)) for shape in stored) == metadata["parameters"], (
        "each weight is stored, and once"
    )
    sizes = [(exported / f"{variant}.tflite").stat().st_size for variant in ("float32", "float16")]
    assert sizes[0] - sizes[1] > 1.4 * metadata["parameters"], (
        "nearly two bytes a weight are saved; the casts take some back"
    )


def test_the_graph_holds_the_network_once(exported, run_dir):
    """Its signatures call it."""
    kernels = [
        v for v in load_generator(read_run(run_dir), "latest", "ab").variables if v.ndim == 4
    ]
    assert convolutions(exported) == len(kernels)


def test_saved_model_cli_runs_it(exported, run_dir, tmp_path):
    """TensorFlow's own command, which loads as TensorFlow Serving does."""
    batch = np.random.default_rng(1).uniform(-1, 1, (2, 36, 44, 3)).astype(np.float32)
    np.save(tmp_path / "images.npy", batch)
    command = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli", "run"]
    command += ["--dir", str(exported), "--tag_set", "serve", "--signature_def", "tensor"]
    command += ["--inputs", f"images={tmp_path / 'images.npy'}", "--outdir", str(tmp_path / "out")]
    result = processes.run(command)
    assert result.returncode == 0, result.stderr[-2000:]
    expected = load_generator(read_run(run_dir), "latest", "ab")(batch).numpy()
    np.testing.assert_allclose(np.load(tmp_path / "out" / "images.npy"), expected, atol=1e-4)
    np.testing.assert_allclose(saved_model.run_in_session(exported, batch), expected, atol=1e-4)


def test_encoded_pictures_of_several_sizes(exported, run_dir):
    """serving_default: bytes in, PNGs of the same size out, as `translate` makes them."""
    translator = from_run(read_run(run_dir), "latest", "ab")
    serve = tf.saved_model.load(str(exported)).signatures["serving_default"]
    encoded, expected = [], []
    for height, width in ((36, 44), (33, 50)):
        pixels = picture(height, width)
        encoded.append(encode(pixels))
        expected.append(translator(pixels))
    answers = serve(image_bytes=tf.constant(encoded))["image_bytes"].numpy()
    for answer, reference in zip(answers, expected, strict=True):
        pixels = np.asarray(Image.open(io.BytesIO(answer)))
        assert pixels.shape == reference.shape
        assert np.abs(pixels.astype(int) - reference).max() <= 1


def test_the_interpreter_gives_what_keras_gives(exported, run_dir):
    batch = np.random.default_rng(2).uniform(-1, 1, (3, 32, 32, 3)).astype(np.float32)
    expected = load_generator(read_run(run_dir), "latest", "ab")(batch).numpy()
    for name, bound in (("float32", 1e-4), ("float16", 1e-2)):
        content = (exported / f"{name}.tflite").read_bytes()
        np.testing.assert_allclose(tflite.run(content, batch), expected, atol=bound)
        assert "MIRROR_PAD" not in tflite.operators(content)


def test_what_a_client_needs_stands_in_the_metadata(exported):
    metadata = read_metadata(exported)
    assert metadata["interface"] == {
        "height": 32,
        "width": 32,
        "channels_in": 3,
        "channels_out": 3,
        "range": [-1, 1],
    }
    assert metadata["domains"] == {"from": "satellite", "to": "map"}
    assert list(metadata["variants"]) == ["float32", "float16", "dynamic_int8", "int8"]
    for name, one in metadata["variants"].items():
        assert (exported / one["file"]).stat().st_size == one["bytes"], name
        assert (
            one["psnr_worst"] <= one["psnr_mean"] <= 100
            and one["ssim_worst"] <= one["ssim_mean"] <= 1
        )
        assert one["milliseconds"] > 0 and one["keras_milliseconds"] > 0


def test_what_the_table_says_is_what_the_files_do(exported, run_dir, tiles):
    """PSNR and largest difference once more, by another road."""
    encoded = dict(open_domains(str(tiles)).require("test", "a").pictures())
    batch = np.stack(
        [
            np.asarray(Image.open(io.BytesIO(one)).convert("RGB").resize((32, 32), Image.BICUBIC))
            for one in encoded.values()
        ]
    )
    batch = (batch / 127.5 - 1).astype(np.float32)
    metadata = read_metadata(exported)
    assert (
        metadata["compared"].startswith(f"on {len(batch)} of {len(batch)} pictures of")
        and len(batch) < 32
    )
    expected = load_generator(read_run(run_dir), "latest", "ab")(batch).numpy()
    for name, one in metadata["variants"].items():
        found = tflite.run((exported / one["file"]).read_bytes(), batch)
        eight_bit = [
            np.clip(np.rint((x.astype(np.float64) + 1) * 127.5), 0, 255) for x in (found, expected)
        ]
        errors = np.square(eight_bit[0] - eight_bit[1]).mean(axis=(1, 2, 3))
        psnr = min(100, 10 * np.log10(255**2 / max(errors.max(), 1e-9)))
        # Above 70 dB less than 20 of 3072 values are a level apart: those whose last digits fall at
        # the edge of a level, as processors and graphs round them.
        assert min(psnr, one["psnr_worst"]) > 70 or one["psnr_worst"] == pytest.approx(
            psnr, abs=0.5
        ), name
        # 8-bit levels lie half way between two steps of int8, so that the last digit of an input
        # decides its step, and single pixels of the output move
        assert one["largest"] == pytest.approx(
            np.abs(found - expected).max(), rel=0.4 if "int8" in name else 0.05, abs=1e-5
        ), name


def test_training_sample_checkpoint_saved_model_and_tflite_show_the_same(exported, run_dir):
    """The picture that training drew, and every way to run the weights again; REST and the browser:
    test_parity_browser.py.
    """
    source, drawn = sampled(run_dir, 4)
    assert_same_picture(shown_by_each(exported, run_dir, source), drawn)


@pytest.mark.parametrize("bad", ["words", "empty", "half a PNG", "half a JPEG", "half a WebP"])
def test_a_bad_picture_is_named_by_its_place(loader, bad):
    good = encode(picture(20, 24))
    content = {
        "words": b"not a picture at all",
        "empty": b"",
        "half a PNG": good[: len(good) // 2],
        "half a JPEG": encode(picture(20, 24), "JPEG")[:400],
        "half a WebP": encode(picture(20, 24), "WEBP")[:-60],
    }[bad]
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=r"image_bytes\[2\]: not a complete JPEG, PNG, WebP, GIF or BMP",
    ):
        loader([good, good, content, good])
    assert len(loader([good, good])) == 2, "the next request is answered"


def test_a_bomb_is_refused_before_the_network_sees_it(loader):
    bomb = encode(np.zeros((5000, 5000), np.uint8))
    assert len(bomb) < 100_000
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=r"image_bytes\[1\]: 5000x5000 pixels, more than 16777216",
    ):
        loader([encode(picture(20, 24)), bomb])


def test_warm_up_requests_are_what_tensorflow_serving_reads(exported, loader):
    """Each is parsed by the real protos, and the C++ loader answers it."""
    from tensorflow_serving.apis import prediction_log_pb2

    asked = set()
    for record in tf.data.TFRecordDataset(str(exported / saved_model.WARM_UP)).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        assert request.model_spec.name == "model"
        (proto,) = request.inputs.values()
        assert len(loader(tf.make_ndarray(proto), request.model_spec.signature_name)) == 1
        asked.add(request.model_spec.signature_name)
    assert asked == {"serving_default", "tensor", "tensor_uint8"}


def test_the_card_says_what_the_metadata_say(exported):
    card = (exported / "MODEL_CARD.md").read_text()
    metadata = read_metadata(exported)
    for part in (
        "satellite",
        "trainA",
        "NASA Earth Observatory",
        "resnet_1blocks",
        "step 4",
        "Not scored",
        "mixed_bfloat16",
    ):
        assert part in card, part
    for one in metadata["variants"].values():
        assert f"| {one['file']} | {one['status']} |" in card
    assert "synthetic" not in card


def test_scores_and_failures_come_into_the_card_of_an_export_made_before(
    exported, run_dir, tmp_path
):
    """From what `evaluate` wrote; in copies, so that the other tests see none."""
    shutil.copytree(run_dir, tmp_path / "run")
    shutil.copytree(exported, tmp_path / "model" / "1")
    assert cli.main(["evaluate", f"--run_dir={tmp_path / 'run'}", "--features=none"]) == 0
    assert (
        cli.main(
            [
                "export",
                f"--run_dir={tmp_path / 'run'}",
                f"--output={tmp_path / 'model'}",
                "--min_psnr=56",
            ]
        )
        == 0
    )
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["1"]
    card = (tmp_path / "model" / "1" / "MODEL_CARD.md").read_text()
    scores = json.loads((tmp_path / "run" / "evaluation" / "metrics.json").read_text())[
        "directions"
    ][0]
    assert (
        scores["verdict"] in card and "| histogram matching |" in card and "Not scored" not in card
    )
    for finding in scores["detectors"]:
        assert f"| {finding['name']} | {finding['verdict']} |" in card


def test_what_is_below_the_gate_is_put_aside(exported):
    variants = read_metadata(exported)["variants"]
    assert {name: one["status"] for name, one in variants.items()} == {
        "float32": "usable",
        "float16": "usable",
        "dynamic_int8": "rejected",
        "int8": "rejected",
    }
    assert {path.name for path in exported.glob("*.tflite")} == {"float32.tflite", "float16.tflite"}
    assert (
        variants["int8"]["file"] == "rejected/int8.tflite"
        and (exported / "rejected" / "int8.tflite").is_file()
    )


def test_operators_outside_the_delegate(exported):
    """Against LiteRT's own account: with what the delegate takes, and with nothing to take."""
    for name in ("float32", "dynamic_int8"):
        content = (exported / read_metadata(exported)["variants"][name]["file"]).read_bytes()
        outside = tflite.Program(content).outside_delegate()
        assert "CONV_2D" not in outside and "TANH" not in outside
    tanh_of_tile = keras.Input(batch_shape=(1, 8, 8, 3))
    model = keras.Model(
        tanh_of_tile,
        keras.layers.Lambda(lambda x: tf.tanh(tf.cumsum(tf.tanh(x), axis=1)))(tanh_of_tile),
    )
    assert tflite.Program(tflite.convert_model(model, "float32")).outside_delegate() == {
        "CUMSUM": 1
    }


def test_the_same_weights_are_exported_once(exported, run_dir, capsys):
    assert (
        export(read_run(run_dir), "latest", "ab", exported.parent, None, min_psnr=56.0) == exported
    )
    assert "already holds this model" in capsys.readouterr().out


def test_the_same_command_adds_a_folder_for_the_hub(exported, run_dir, tmp_path, capsys):
    pytest.importorskip("huggingface_hub")
    command = ["export", f"--run_dir={run_dir}", f"--output={exported.parent}", "--min_psnr=56"]
    assert cli.main([*command, f"--hub_dir={tmp_path / 'hub'}"]) == 0
    assert (
        (tmp_path / "hub" / "README.md").read_text().startswith("---\nlibrary_name: tfcyclegan\n")
    )
    assert "names no licence: add `license:`" in capsys.readouterr().out


def test_without_the_data_the_next_version_proves_nothing(exported, run_dir, tmp_path, capsys):
    run = read_run(run_dir)
    run = dataclasses.replace(
        run, config=dataclasses.replace(run.config, data_dir=str(tmp_path / "gone"))
    )
    version = export(run, "latest", "ab", exported.parent, None)
    assert version.name == "2"
    variants = read_metadata(version)["variants"]
    assert "int8" not in variants and variants["dynamic_int8"]["status"] == "unproven"
    assert (version / "dynamic_int8.tflite").is_file()
    assert "were not there at the export" in (version / "MODEL_CARD.md").read_text()
    assert "dynamic_int8: unproven" in capsys.readouterr().out


def test_translate_by_run_by_saved_model_and_by_tflite(exported, run_dir, tmp_path):
    """Any size, nested folders, names kept; all three ways agree to a level of 8 bit."""
    for name, (height, width) in {
        "a b.jpg": (32, 32),
        "deep/über.tiff": (37, 61),
        "tiny.png": (5, 7),
    }.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(height, width)).save(path, quality=95)
    common = [f"--input={tmp_path / 'in'}"]
    assert (
        cli.main(
            [
                "translate",
                f"--run_dir={run_dir}",
                "--scale=original",
                *common,
                f"--output={tmp_path / 'by_run'}",
            ]
        )
        == 0
    )
    assert (
        cli.main(
            ["translate", f"--run_dir={run_dir}", *common, f"--output={tmp_path / 'as_trained'}"]
        )
        == 0
    )
    sizes = {Image.open(path).size for path in (tmp_path / "as_trained").rglob("*.png")}
    load_size = read_run(run_dir).config.load_size
    assert sizes == {(load_size.width, load_size.height)}
    assert (
        cli.main(
            [
                "translate",
                f"--model={exported.parent / '1'}",
                *common,
                f"--output={tmp_path / 'by_model'}",
            ]
        )
        == 0
    )
    assert sorted(
        p.relative_to(tmp_path / "by_run").as_posix() for p in (tmp_path / "by_run").rglob("*.png")
    ) == [
        "a b.png",
        "deep/über.png",
        "tiny.png",
    ]
    for path in (tmp_path / "by_run").rglob("*.png"):
        ours = np.asarray(Image.open(path)).astype(int)
        other = np.asarray(
            Image.open(tmp_path / "by_model" / path.relative_to(tmp_path / "by_run"))
        ).astype(int)
        source = next((tmp_path / "in").rglob(f"{path.stem}.*"))
        assert ours.shape[:2] == Image.open(source).size[::-1]
        assert np.abs(ours - other).max() <= 1
    by_tflite = from_model(exported / "float32.tflite")
    pixels = picture(32, 32)
    assert (
        np.abs(
            by_tflite(pixels).astype(int) - from_run(read_run(run_dir), "latest", "ab")(pixels)
        ).max()
        <= 1
    )


def test_one_folder_has_one_purpose(exported, run_dir, capsys):
    """Servers answer by the newest version: the other direction or another size would answer the
    same clients.
    """
    before = sorted(path.name for path in exported.parent.iterdir())
    for flag, differs in (
        (
            "--direction=ba",
            "direction ab there, ba here; domains satellite to map there, map to satellite here",
        ),
        ("--tflite_size=48", "TFLite size 32 there, 48 here"),
    ):
        assert (
            cli.main(["export", f"--run_dir={run_dir}", f"--output={exported.parent}", flag]) == 2
        )
        error = capsys.readouterr().err
        assert (
            f"is another model ({differs}); servers use the newest version" in error
            and "choose another --output\n" in error
        )
    assert sorted(path.name for path in exported.parent.iterdir()) == before


def test_a_tflite_file_takes_other_sizes_by_fit(exported, tmp_path, capsys):
    """Resized to its size by Pillow's bicubic, and back; told, and in the record."""
    source, model = picture(20, 50), exported / "float32.tflite"
    (tmp_path / "in.png").write_bytes(encode(source))
    arguments = [
        "translate",
        f"--model={model}",
        f"--input={tmp_path / 'in.png'}",
        f"--output={tmp_path / 'out'}",
    ]
    assert cli.main(arguments) == 2
    assert "only takes pictures of 32x32, not 20x50; give --scale=fit" in capsys.readouterr().err
    assert cli.main([*arguments[:-1], "--scale=fit", f"--output={tmp_path / 'fitted'}"]) == 0
    told = capsys.readouterr().out
    assert (
        "satellite to map (direction ab of satellite2map); 3 channels to 3; of 32 alone; trained "
        "at resize_and_crop" in told
    )
    assert (
        "--scale=fit: pictures of other sizes are resized to 32 and their translations back" in told
    )
    fitted = np.asarray(Image.fromarray(source).resize((32, 32), Image.Resampling.BICUBIC))
    translated = images.to_uint8(
        tflite.run(model.read_bytes(), images.to_float(fitted)[np.newaxis])[0]
    )
    expected = np.asarray(Image.fromarray(translated).resize((50, 20), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "fitted" / "in.png")), expected)
    record = json.loads((tmp_path / "fitted" / "translation.json").read_text())
    assert (record["scale"], record["direction"]) == ("fit 32", "ab")
    assert cli.main([*arguments[:1], f"--model={exported}", *arguments[2:], "--scale=fit"]) == 2
    assert "--scale=fit: resizes to the size of a .tflite file" in capsys.readouterr().err
    assert "; rejected by the export" in open_model(exported / "rejected" / "int8.tflite").described


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
    assert f"1 picture translated, {len(names) - 1} already existed" in capsys.readouterr().out
    assert all(
        (tmp_path / "out" / name).stat().st_mtime_ns == before for name, before in times.items()
    )
    assert cli.main([*arguments[:2], "--direction=ab", *arguments[3:]]) == 2
