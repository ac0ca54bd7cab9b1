"""The Python functions: the command line's options, checks and results, from a folder of pictures
to an export.
"""

import inspect
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfcyclegan
from tests.conftest import ROOT
from tests.test_training import SMALL
from tfcyclegan import api, cli, networks
from tfcyclegan.config import Size, TrainConfig, TranslateConfig
from tfcyclegan.errors import UserError


def test_functions_are_the_commands_that_end():
    commands = {name for name in api.__all__ if name.islower()} - {"prepare", "load_generator"}
    assert commands == cli.COMMANDS.keys() - {"serve", "demo"}


@pytest.mark.parametrize("name", sorted(cli.COMMANDS.keys() - {"serve", "demo"}))
def test_help_tells_every_option_with_its_default(name):
    function = getattr(api, name)
    fields = api._module(name).Config.__dataclass_fields__
    parameters = inspect.signature(function).parameters
    assert list(parameters) == ["flagfile", *fields]
    assert all(parameters[key].default == field.default for key, field in fields.items())
    assert all(
        f"    {key}: {field.metadata['help']}" in function.__doc__ for key, field in fields.items()
    )


def test_options_become_what_the_command_line_makes_of_them(tmp_path):
    (tmp_path / "a.cfg").write_text("--seed=3\n--epochs=7\n--noflip\n")
    given = {
        "data_dir": [tmp_path / "a", "b"],
        "run_dir": tmp_path / "run",
        "load_size": (180, 360),
        "crop_size": 128,
        "dropout": True,
    }
    parsed = api._options(
        TrainConfig, {**given, "flagfile": tmp_path / "a.cfg", "epochs": 8, "devices": None}
    )
    sizes = {"load_size": Size(180, 360), "crop_size": Size(128, 128)}
    paths = {"data_dir": f"{tmp_path}/a,b", "run_dir": f"{tmp_path}/run"}
    assert parsed == TrainConfig(**paths, **sizes, dropout=True, seed=3, epochs=8, flip=False)
    some = {"data": "d", "run_dir": "r", "learning_rate": 1, "seed": np.int64(7), "dropout": "true"}
    parsed = api._options(TrainConfig, some)
    assert (parsed.data_dir, parsed.learning_rate, parsed.seed) == ("d", 1.0, 7)
    assert type(parsed.learning_rate) is float and parsed.dropout is True


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lerning_rate": 1}, "--lerning_rate: no such flag; did you mean --learning_rate?"),
        (
            {"gan_mode": "wgan"},
            "--gan_mode=wgan: unknown choice; valid are lsgan, vanilla, hinge, lsgan_sigmoid",
        ),
        (
            {"batch_size": 1.5},
            "flag --batch_size=1.5: invalid literal for int() with base 10: '1.5'",
        ),
        ({"batch_size": True}, "flag --batch_size=True: invalid literal for int() with base 10"),
        ({"batch_size": 0}, "--batch_size=0: must be at least 1"),
        ({"flip": "perhaps"}, "flag --flip=perhaps: ('Non-boolean argument to boolean flag'"),
        ({"load_size": (0, 9)}, "flag --load_size=0x9: '0x9' is not a size"),
        ({"data": "e"}, "--data_dir: given twice, also as data"),
        ({"init_from": len}, "--init_from: does not take a builtin_function_or_method"),
        ({"flagfile": "nowhere.cfg"}, "--flagfile=nowhere.cfg: cannot be read"),
        ({"run_dir": ""}, "--run_dir: required; directory of the run; the same command resumes it"),
        ({}, "--data_dir=d: no such directory; prepare data with data_prep, or give tfds:NAME"),
    ],
)
def test_wrong_options_are_refused_in_the_command_lines_words(
    options, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        api.train(**{"data_dir": "d", "run_dir": "r", **options})
    assert str(caught.value).startswith(message.partition(";")[0])
    assert not list(tmp_path.iterdir())


def test_other_wrong_requests():
    with pytest.raises(
        UserError, match="script 'kitti': unknown choice; valid are folders, arrays"
    ):
        api.prepare("kitti", output_dir="o")
    with pytest.raises(UserError, match="--input_dir=nowhere: no such directory"):
        api.prepare(input_dir="nowhere", output_dir="o")
    with pytest.raises(UserError, match="--from=keras: unknown choice"):
        api.import_weights(from_="keras", weights="w", output="o")
    with pytest.raises(TypeError):
        api.train("data")
    with pytest.raises(UserError, match="--run_dir or --model: give one of them"):
        api.translate(input="i", output="o")
    # that of the model
    given = {"model": "m", "input": "i", "output": "o"}
    assert api._options(TranslateConfig, given).direction == ""


def test_importing_loads_nothing_heavy():
    code = (
        "import sys; from tfcyclegan import api; import tfcyclegan; tfcyclegan.train; "
        "print(sorted({'tensorflow', 'keras', 'PIL', 'data_prep'} & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (result.stdout.strip(), result.stderr) == ("[]", "")


def test_the_public_names_are_there():
    assert set(tfcyclegan.__all__) <= set(dir(tfcyclegan))
    assert all(getattr(tfcyclegan, name) is not None for name in tfcyclegan.__all__)
    assert set(api.__all__) < set(tfcyclegan.__all__)
    kinds = (networks.Generator, networks.Discriminator)
    of_networks = {
        name
        for name in networks.__all__
        if isinstance(getattr(networks, name), type) and issubclass(getattr(networks, name), kinds)
    }
    assert of_networks < set(tfcyclegan.__all__)
    # functions, whatever modules there are
    assert tfcyclegan.export is api.export and tfcyclegan.doctor is api.doctor
    with pytest.raises(AttributeError, match="module 'tfcyclegan' has no attribute 'trian'"):
        tfcyclegan.trian  # noqa: B018


def test_ten_lines_from_two_folders_to_an_export(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for folder, count in (("trainA", 3), ("trainB", 4), ("testA", 2)):
        (tmp_path / "pictures" / folder).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(random.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(
                tmp_path / "pictures" / folder / f"{number}.png"
            )
    data = api.prepare(input_dir=tmp_path / "pictures", output_dir="data")
    assert data.counts == {"trainA": 3, "trainB": 4, "testA": 2}
    run = api.train(data_dir=data.data_dir, run_dir="run", max_steps=2, **SMALL)
    assert run.report.read_text().startswith("<!doctype html>")
    made = api.translate(run_dir=run.run_dir, input="pictures/testA", output="translated")
    assert [path.name for path in made.pictures] == ["0.png", "1.png"]
    assert Image.open(made.pictures[0]).size == (36, 36)
    scores = api.evaluate(run_dir=run.run_dir, features="none")
    assert scores.page.is_file() and [
        result["count"] for result in scores.metrics["directions"]
    ] == [2]
    exported = api.export(run_dir=run.run_dir, output="model", min_psnr=0)
    assert (exported.directory / "saved_model.pb").is_file() and exported.metadata[
        "direction"
    ] == "ab"
    again = api.translate(
        model=exported.directory, input="pictures/testA", output="again", scale="original"
    )
    assert len(again.pictures) == 2
    _check_generators(run.run_dir, exported.directory)


def _check_generators(run_dir, export_dir):
    """A run's generator and those of its export are the same function."""
    batch = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)
    network = tfcyclegan.load_generator(run_dir)
    assert isinstance(network, tfcyclegan.ResnetGenerator)
    for path in (export_dir, str(export_dir.parent), export_dir / "float32.tflite"):
        function = tfcyclegan.load_generator(path, direction="ab")
        np.testing.assert_allclose(function(tf.constant(batch)), network(batch), atol=2e-3)
    assert tfcyclegan.load_generator(export_dir)(batch[:, :30, :17]).shape == (2, 30, 17, 3)
    with pytest.raises(UserError, match="only takes pictures of 32x32, not 16x32"):
        function(batch[:, :16])
    with pytest.raises(UserError, match=r"images: pictures must be floats in \[-1, 1\]"):
        function(np.zeros((1, 32, 32, 3), np.uint8))
    with pytest.raises(UserError, match=r"direction ba: .* translates ab alone"):
        tfcyclegan.load_generator(export_dir, direction="ba")
    with pytest.raises(UserError, match="nowhere: no such run and no such exported model"):
        tfcyclegan.load_generator("nowhere")
