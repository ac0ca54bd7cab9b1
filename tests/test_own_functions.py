"""Pictures and generators by a function of one's own, as a user meets them: from the training to
the export, and each refusal in one line.
"""

import json
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfcyclegan
from tests import own_functions
from tests.test_training import SMALL
from tfcyclegan import api
from tfcyclegan.config import TrainConfig
from tfcyclegan.data.domains import open_domains
from tfcyclegan.errors import UserError
from tfcyclegan.networks import OwnGenerator, make_generator

HERE = "tests.own_functions"
PICTURES, MAKE = f"{HERE}:pictures", f"{HERE}:make"
OPTIONS = {
    **{name: value for name, value in SMALL.items() if name not in ("residual_blocks",)},
    "data_dir": PICTURES,
    "generator": MAKE,
    "channels_b": 1,
    "lambda_identity": 0,
}
del OPTIONS["base_filters"]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFCYCLEGAN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("own") / "run"
    return api.train(run_dir=directory, max_steps=1, **OPTIONS).run_dir


def test_the_run_holds_the_references_and_is_resumed(run, capsys):
    options = json.loads((run / "config.json").read_text())["options"]
    assert (options["data_dir"], options["generator"]) == (PICTURES, MAKE)
    before = tfcyclegan.load_generator(run)
    assert isinstance(before, OwnGenerator) and isinstance(before.network, keras.Model)
    assert not (run / ".cache").exists()
    api.train(run_dir=run, max_steps=2, **OPTIONS)
    assert "resuming at step 1 of 2" in capsys.readouterr().out
    after = tfcyclegan.load_generator(run)
    moved = [
        np.abs(a - b).max() for a, b in zip(before.get_weights(), after.get_weights(), strict=True)
    ]
    assert min(moved) > 0


def test_its_pictures_are_translated_and_scored(run, tmp_path):
    made = api.translate(run_dir=run, data_dir=PICTURES, output=tmp_path / "out")
    assert [path.name for path in made.pictures] == ["testA_000000.png", "testA_000001.png"]
    assert Image.open(made.pictures[0]).mode == "L"
    with pytest.raises(
        UserError, match=r"--tile: .* from a function of your own, can only be computed whole"
    ):
        api.translate(run_dir=run, data_dir=PICTURES, output=tmp_path / "o", tile=64)
    scores = api.evaluate(run_dir=run, features="none", output=tmp_path / "scores")
    assert scores.metrics["data_dir"] == [PICTURES]
    assert [result["count"] for result in scores.metrics["directions"]] == [2]


def test_it_is_exported(run, tmp_path):
    exported = api.export(run_dir=run, output=tmp_path / "model", min_psnr=0)
    assert exported.metadata["architecture"] == MAKE
    batch = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 3)).astype(np.float32)
    for path in (exported.directory, exported.directory / "float32.tflite"):
        translated = tfcyclegan.load_generator(path)(batch)
        np.testing.assert_allclose(translated, tfcyclegan.load_generator(run)(batch), atol=2e-3)
    with pytest.raises(UserError, match=r"^--formats=onnx: .* as SavedModel and TFLite alone$"):
        api.export(run_dir=run, output=tmp_path / "onnx", min_psnr=0, formats="saved_model,onnx")
    assert not list(tmp_path.glob("onnx/[0-9]*"))


def test_arrays_with_a_range_are_measurements():
    domains = open_domains(f"{HERE}:fields")
    assert list(domains.values) == ["A"]
    values = domains.values["A"]
    assert (values.dtype, values.channels, values.units) == ("int16", 13, "HU")
    one, other = domains.a.examples("trainA")
    assert (one.filename, one.array.dtype, one.encoded) == ("trainA_000000.npy", np.int16, b"")
    assert (other.array[1:] == 500).all() and values.invalid(other.array)[0, 0].all()
    assert values.to_network(other.array)[1, 0, 0] == 0


def test_nan_as_nodata_marks_gaps_of_floats_alone():
    values = open_domains(f"{HERE}:gives_nan_as_nodata").values
    assert np.isnan(values["A"].nodata) and values["B"].nodata is None


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (
            "no_such_module:f",
            r"no module no_such_module in .* run the command in the module's folder",
        ),
        ("tests.no_such:f", r"no module tests\.no_such in "),
        ("os:remove", "os is one of Python's own modules; name your own function"),
        (f"{HERE}:picture", f"{HERE} has no picture; did you mean pictures\\?"),
        (f"{HERE}:constant", "is a int, not a function"),
        ("broken_pictures:f", r"cannot be imported: NameError: .*\(line 2 of broken_pictures\)"),
        ("needy_pictures:f", "cannot be imported: ModuleNotFoundError: No module named 'h5qq'"),
        (
            f"{HERE}:raises_at_once",
            rf"for 'trainA': raised KeyError: 'no such\\nplace' \(line \d+ of {HERE}\)",
        ),
        (f"{HERE}:gives_text", "for 'trainA' it returned a int, not a sequence of pictures"),
        (
            f"{HERE}:gives_nothing",
            "returned no pictures for any split; it is called for trainA, valA",
        ),
        (f"{HERE}:gives_floats", r"trainA\[0\]: is float32 \[8, 8, 3\], not uint8 \[H, W\]"),
        (f"{HERE}:gives_rgba", r"trainA\[0\]: is uint8 \[8, 8, 4\], not uint8 \[H, W\]"),
        (f"{HERE}:gives_paths", r"trainA\[0\]: is a str, not a picture uint8 \[H, W\]"),
        (f"{HERE}:gives_fewer_ranges", r"trainA: its range is .*each of 13 channels"),
        (
            f"{HERE}:gives_a_wide_nodata",
            "trainA: its nodata is -9999, which uint8 cannot hold; give a value of that type",
        ),
        (f"{HERE}:fields_of_two_ranges", "testA: its arrays differ in type, range or number"),
        (
            f"{HERE}:gives_fewer_channels",
            r"trainA\[1\]: is int16 \[16, 12, 12\], but the first one",
        ),
        (f"{HERE}:gives_less", r"trainA\[1\]: raised KeyError: 1"),
    ],
)
def test_what_gives_no_pictures_is_named(place, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken_pictures.py").write_text("import math\nf = mth.sin\n")
    (tmp_path / "needy_pictures.py").write_text("import h5qq\n")
    with pytest.raises(UserError, match=f"^--data_dir={place}: {message}") as caught:
        open_domains(place)
    assert "\n" not in str(caught.value)


def test_a_sequence_may_say_what_it_is_known_by(monkeypatch):
    def open_one():
        return open_domains(PICTURES).fingerprint

    by_pictures = open_one()
    assert open_one() == by_pictures
    monkeypatch.setattr(own_functions.Stripes, "fingerprint", "v1", raising=False)
    by_word = open_one()
    monkeypatch.setattr(own_functions.Stripes, "__getitem__", own_functions.raises_at_once)
    assert open_one() == by_word != by_pictures, "no picture is read"
    monkeypatch.setattr(own_functions.Stripes, "fingerprint", "v2")
    assert open_one() != by_word


def test_each_domain_may_have_its_own_function():
    both = open_domains(f"{PICTURES},{HERE}:one_domain")
    assert (both.require("train", "a").name, both.require("train", "b").name) == ("trainA", "train")
    with pytest.raises(UserError, match="both domains have the same pictures"):
        open_domains(f"{HERE}:one_domain,{HERE}:one_domain")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such", "has no no_such"),
        ("raises_at_once", "raised KeyError"),
        ("makes_a_function", "returned a function, not a keras.Model or a layer"),
        (
            "makes_halves",
            r"maps pictures \[1, 16, 16, 3\] to \[1, 8, 8, 3\], not \[1, 16, 16, 3\]",
        ),
        ("makes_fixed", r"raised ValueError: .*expected shape=\(None, 8, 8, 3\)"),
    ],
)
def test_what_makes_no_generator_is_named(name, message):
    with pytest.raises(UserError, match=f"^--generator={HERE}:{name}: .*{message}") as caught:
        make_generator(f"{HERE}:{name}")
    assert "\n" not in str(caught.value)


def test_nothing_is_written_for_a_generator_that_cannot_be_trained(tmp_path):
    for generator, message in (
        (f"{HERE}:makes_halves", "--generator="),
        (f"{HERE}:makes_coarse", r"--crop_size=36: .*makes_coarse needs sides that are multiples"),
    ):
        with pytest.raises(UserError, match=message):
            options = {**OPTIONS, "generator": generator, "crop_size": 36}
            api.train(run_dir=tmp_path / "run", max_steps=1, **options)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"base_filters": 8}, f"--base_filters=8: {MAKE} determines it; leave it out"),
        ({"dropout": True}, f"--dropout=True: {MAKE} determines it"),
        ({"residual_blocks": 2}, "--residual_blocks=2: requires --generator=resnet, not"),
        ({"upsampling": "resize"}, "--upsampling=resize: requires ResNet generators"),
        ({"remat": True}, "--remat: requires ResNet generators"),
    ],
)
def test_options_that_an_own_generator_does_not_take(settings, message):
    with pytest.raises(UserError, match=f"^{message}"):
        TrainConfig(data_dir="d", run_dir="r", generator=MAKE, **settings)


def test_weights_follow_from_the_seed_and_layers_from_the_precision():
    one, same, other = (make_generator(MAKE, seed=seed) for seed in (1, 1, 2))
    for weight, again in zip(one.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, again)
    assert not np.array_equal(one.get_weights()[0], other.get_weights()[0])
    half = make_generator(MAKE, dtype="mixed_bfloat16")
    assert half(tf.zeros([1, 8, 8, 3])).dtype == tf.bfloat16
    assert {weight.dtype for weight in half.weights} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"


def test_values_outside_the_range_are_told(capsys):
    make_generator(f"{HERE}:makes_linear")
    assert "makes_linear: returns values outside [-1, 1]" in capsys.readouterr().out


def test_layers_that_share_an_initializer_are_told(capsys):
    make_generator(f"{HERE}:makes_copies")
    assert "makes_copies: 2 of its kernels start with the numbers of another" in (
        capsys.readouterr().out
    )
    make_generator(MAKE)
    assert "numbers of another" not in capsys.readouterr().out


def test_a_file_runs_no_code_that_was_not_imported(tmp_path, monkeypatch):
    """A `.keras` file from elsewhere names a module, which loading it must not run."""
    network = make_generator(MAKE)
    network.save(tmp_path / "own.keras")
    x = tf.ones([1, 8, 8, 3])
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "own.keras")(x), network(x))
    monkeypatch.delitem(sys.modules, HERE)
    with pytest.raises(Exception, match="import the module first, if you trust it"):
        keras.models.load_model(tmp_path / "own.keras")
