"""Wrong requests that show only once TensorFlow runs or files are read, in this process;
test_bad_input_catalogue.py has the others.
"""

import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.conftest import GOLDEN, ROOT
from tests.test_training import SMALL
from tfcyclegan import cli
from tfcyclegan.config import ARCHITECTURES
from tfcyclegan.errors import UserError
from tfcyclegan.system import files

SHIPPED = ROOT / "saved_models/satellite2map/1/dynamic_int8.tflite"


def write_picture(path: Path, side: int = 40) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(path.name)).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """The working directory, with some inputs to go wrong with."""
    monkeypatch.chdir(tmp_path)
    for split in ("trainA", "trainB"):
        write_picture(tmp_path / "small" / split / "a.png", 24)
    (tmp_path / "empty" / "trainA").mkdir(parents=True)
    write_picture(tmp_path / "empty" / "trainB" / "a.png")
    (tmp_path / "broken.tflite").write_bytes(b"nothing")
    (tmp_path / "cut.pth").write_bytes((GOLDEN / "latest_net_G_A.pth").read_bytes()[:5000])
    (tmp_path / "words.pth").write_text("weights, honestly")
    (tmp_path / "cut.h5").write_bytes((GOLDEN / "tfa_generator.h5").read_bytes()[:5000])
    write_picture(tmp_path / "pictures" / "a.png")
    write_picture(tmp_path / "twins" / "a.png")
    Image.open(tmp_path / "twins" / "a.png").save(tmp_path / "twins" / "a.jpg")
    return tmp_path


def run(capfd, *arguments: str) -> tuple[int, str]:
    """Exit code and stderr of a command, or of a data_prep script, run in this process."""
    if arguments[0].startswith("data_prep"):
        result = subprocess.run(
            [sys.executable, "-m", *arguments],
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        return result.returncode, result.stderr
    code = cli.main(list(arguments))
    return code, capfd.readouterr().err


TRAIN = (
    "train",
    "--run_dir=run",
    *(f"--{name}={value}" for name, value in SMALL.items()),
    "--max_steps=2",
)
CASES = {
    "typo": ((*TRAIN, "--lerning_rate=1"), "did you mean --learning_rate?"),
    "not a number": ((*TRAIN, "--data_dir=x", "--learning_rate=fast"), "--learning_rate=fast"),
    "nan": (
        (*TRAIN, "--data_dir=x", "--learning_rate=nan"),
        "--learning_rate=nan: must be a finite number",
    ),
    "not a multiple of 4": ((*TRAIN, "--data_dir=x", "--crop_size=30"), "multiples of 4"),
    "unet size": (
        (*TRAIN[:2], "--data_dir=x", "--generator=unet_256", "--crop_size=128", "--load_size=128"),
        "multiples of 256",
    ),
    "unknown generator": (
        (*TRAIN[:2], "--data_dir=x", "--generator=unet_512"),
        f"{', '.join(ARCHITECTURES)}, or MODULE:FUNCTION for your own",
    ),
    "unknown loss": (
        (*TRAIN, "--data_dir=x", "--gan_mode=wgan"),
        "valid are lsgan, vanilla, hinge, lsgan_sigmoid",
    ),
    "identity across channels": (
        (*TRAIN, "--data_dir=x", "--channels_a=1"),
        "set --lambda_identity=0",
    ),
    "no such command": (("trian",), "did you mean train?"),
    "translate with a broken model": (
        ("translate", "--model=broken.tflite", "--input=pictures", "--output=out"),
        "not a TFLite model",
    ),
    "translate with a folder of no model": (
        ("translate", "--model=pictures", "--input=pictures", "--output=out"),
        "not a SavedModel",
    ),
    "export direction": (
        ("export", "--run_dir=nowhere", "--output=out", "--direction=a"),
        "valid are ab, ba",
    ),
    "import a cut .pth": (
        ("import_weights", "--from=pytorch", "--weights=cut.pth", "--output=out"),
        "cut.pth: damaged",
    ),
    "import words": (
        ("import_weights", "--from=pytorch", "--weights=words.pth", "--output=out"),
        "words.pth: refused",
    ),
    "import an empty folder": (
        ("import_weights", "--from=pytorch", "--weights=pictures", "--output=out"),
        "holds none of",
    ),
    "import a cut .h5": (
        ("import_weights", "--from=tfa", "--weights=cut.h5", "--output=out"),
        "cut.h5: damaged or not an HDF5 file",
    ),
    "prepare an empty domain": (
        ("data_prep.folders", "--input_dir=empty", "--output_dir=out"),
        "trainA: holds no picture",
    ),
}


@pytest.mark.parametrize(("arguments", "expected"), CASES.values(), ids=CASES)
def test_one_line_and_exit_code_2(place, capfd, arguments, expected):
    code, errors = run(capfd, *arguments)
    lines = errors.strip().splitlines()
    assert code == 2, errors
    assert len(lines) == 1 and expected in lines[0], errors
    assert not (place / "run").exists()
    assert (
        not (place / "out" / "manifest.json").exists()
        and not (place / "out" / "config.json").exists()
    )


def test_a_crop_larger_than_a_picture(place, capfd):
    from data_prep import folders

    folders.run(folders.Config(input_dir="small", output_dir="data"))
    capfd.readouterr()
    code, errors = run(capfd, *TRAIN, "--data_dir=data", "--preprocess=crop")
    assert (
        code == 2
        and "--crop_size=32: larger than trainA/a.png of split trainA, which is 24x24" in errors
    )
    assert "Traceback" not in errors and not (place / "run").exists()


def test_a_pth_file_that_holds_code_is_refused_and_not_run(place, capfd):
    torch = pytest.importorskip("torch")

    class Bomb:
        def __reduce__(self):
            return (Path.touch, (Path(place / "exploded"),))

    torch.save({"model.1.weight": Bomb()}, place / "bomb.pth")
    (place / "plain.pth").write_bytes(pickle.dumps(Bomb()))
    for name in ("bomb.pth", "plain.pth"):
        code, errors = run(
            capfd, "import_weights", "--from=pytorch", f"--weights={name}", "--output=out"
        )
        assert code == 2 and f"{name}: refused" in errors and len(errors.strip().splitlines()) == 1
    assert not (place / "exploded").exists()


def test_a_foreign_state_dict_lists_what_does_not_fit(place, capfd):
    torch = pytest.importorskip("torch")
    state = torch.load(GOLDEN / "latest_net_G_A.pth", weights_only=True)
    foreign = dict(state)
    foreign["model.99.weight"] = foreign.pop("model.4.weight")
    torch.save(foreign, place / "foreign_net_G_A.pth")
    code, errors = run(
        capfd, "import_weights", "--from=pytorch", "--weights=foreign_net_G_A.pth", "--output=out"
    )
    assert (
        code == 2
        and "missing: model.4.weight; in the file but not in the network: model.99.weight" in errors
    )
    torch.save({"fc.weight": torch.zeros(3, 3)}, place / "classifier.pth")
    code, errors = run(
        capfd, "import_weights", "--from=pytorch", "--weights=classifier.pth", "--output=out"
    )
    assert code == 2 and "not the weights of an official CycleGAN network" in errors


def test_bad_pictures_among_good_ones_are_named_and_the_good_ones_translated(
    place, capfd, imported
):
    (place / "pictures" / "b.jpg").write_text("words")
    code, errors = run(
        capfd, "translate", f"--run_dir={imported}", "--input=pictures", "--output=out"
    )
    assert (
        code == 2
        and "b: text, not a picture; 1 of 2 pictures could not be read" in errors.splitlines()[-1]
    )
    assert (place / "out" / "a.png").exists()


def test_translating_two_pictures_of_one_name(place, capfd, imported):
    code, errors = run(capfd, "translate", f"--run_dir={imported}", "--input=twins", "--output=out")
    assert code == 2 and "two pictures are called a" in errors
    assert not (place / "out").exists()


def test_translating_into_another_models_folder(place, capfd, imported):
    (place / "out").mkdir()
    (place / "out" / "mine.txt").write_text("words")
    code, errors = run(
        capfd, "translate", f"--run_dir={imported}", "--input=pictures", "--output=out"
    )
    assert code == 2 and "--output=out: is not empty" in errors


def test_checkpoints_that_are_not_there(place, capfd, imported):
    for which, expected in (
        ("best", "this run has not measured any yet"),
        ("7", "valid are latest, best and the steps 0"),
    ):
        code, errors = run(
            capfd, "export", f"--run_dir={imported}", "--output=out", f"--checkpoint={which}"
        )
        assert code == 2 and expected in errors
    code, errors = run(capfd, "export", f"--run_dir={imported}", "--output=out", "--direction=ba")
    assert code == 2 and "has no weights of gen_ba" in errors
    code, errors = run(capfd, "export", f"--run_dir={imported}", "--output=out", "--tflite_size=30")
    assert code == 2 and "--tflite_size=30" in errors
    assert not (place / "out").exists()


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        "[]",
        "3",
        "",
        '{"options": 3}',
        '{"options": {}, "precision": "float99", "networks": []}',
        "9" * 5000,
    ],
)
def test_settings_of_another_structure(place, capfd, content):
    for file, command in (
        ("run/config.json", ("translate", "--run_dir=run", "--input=pictures", "--output=out")),
        (
            "run/segmenter.json",
            ("segment", "--segmenter_dir=run", "--input=pictures", "--output=out"),
        ),
    ):
        (place / file).parent.mkdir(exist_ok=True)
        (place / file).write_text(content)
        code, errors = run(capfd, *command)
        assert code == 2 and len(errors.strip().splitlines()) == 1 and file in errors, errors
    assert not (place / "out").exists()


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        '{"variants": []}',
        '{"variants": {"dynamic_int8": 3}}',
        '{"domains": [1]}',
        '{"domains": {"x": "y"}}',
        "[" * 100_000,
    ],
)
def test_metadata_of_another_structure(place, capfd, content):
    (place / "model" / "1").mkdir(parents=True)
    shutil.copy(SHIPPED, place / "model" / "1")
    (place / "model" / "1" / "metadata.json").write_text(content)
    code, errors = run(capfd, "demo", "--model=model", "--export=page")
    assert code == 2 and len(errors.strip().splitlines()) == 1 and "metadata.json" in errors, errors
    assert not (place / "page").exists()


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{}",
        '{"fingerprint": "a", "request": []}',
        '{"fingerprint": "a", "request": {"settings": 3}}',
    ],
)
def test_manifests_of_another_structure(place, capfd, tiles, content):
    shutil.copytree(tiles, place / "data")
    (place / "data" / "manifest.json").write_text(content)
    code, errors = run(capfd, "translate", f"--model={SHIPPED}", "--data_dir=data", "--output=out")
    assert code == 2 and len(errors.strip().splitlines()) == 1 and "data/manifest.json" in errors, (
        errors
    )


def test_a_claim_of_another_structure_removes_nothing_elsewhere(place, capfd):
    """A directory that a stranger began to prepare: names in its notes are no paths."""
    from data_prep import folders

    (place / "precious").write_text("precious")
    (place / "out" / ".work").mkdir(parents=True)
    request = {
        "request": {"name": "a"},
        "stopped_by_bad": True,
        "shards": ["../precious", str(place / "precious"), "..", ""],
    }
    for content in (
        request,
        {**request, "shards": [[1]]},
        {**request, "shards": 3},
        [],
        {"request": 3, "stopped_by_bad": False, "shards": []},
    ):
        files.write_json(place / "out" / ".work" / "request.json", content)
        try:
            folders.run(folders.Config(input_dir="small", output_dir="out"))
        except UserError as error:
            assert "out/.work/request.json: damaged" in str(error) and content is not request
        else:
            assert content is request
            shutil.rmtree(place / "out")
    assert (place / "precious").read_text() == "precious"


class OfAnotherRank(tf.Module):
    """A SavedModel from and to vectors."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="images")])
    def tensor(self, images):
        return {"images": images * 2.0}


def test_models_of_something_else_than_pictures(place, capfd):
    module = OfAnotherRank()
    tf.saved_model.save(module, str(place / "rank1" / "1"), signatures={"tensor": module.tensor})
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.tensor.get_concrete_function(tf.TensorSpec([3], tf.float32))], module
    )
    (place / "rank1.tflite").write_bytes(converter.convert())
    capfd.readouterr()
    for model in ("rank1", "rank1.tflite"):
        code, errors = run(
            capfd, "translate", f"--model={model}", "--input=pictures", "--output=out"
        )
        assert code == 2 and len(errors.strip().splitlines()) == 1, errors
        assert f"--model={model}" in errors and "not float32 [B, H, W, 1 or 3]" in errors
    assert not (place / "out").exists()
