"""The segmenter: what it learns from, that it learns, resumes and repeats, and its files beside
cityscapesscripts'.
"""

import io
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data_prep import cityscapes
from tests import processes
from tests.exports import convolutions
from tfcyclegan import cli
from tfcyclegan.config import SegmenterOptions
from tfcyclegan.data import images, labels, manifest, shards
from tfcyclegan.data.domains import Split
from tfcyclegan.data.records import Label, Picture
from tfcyclegan.data.source import open_source
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.exporting import tflite
from tfcyclegan.exporting.segmenter import export_segmenter
from tfcyclegan.measures.confusion import Confusion
from tfcyclegan.segmentation.labelled_pictures import LabelledPictures, open_labelled, open_pictures
from tfcyclegan.segmentation.segmenter import load_segmenter
from tfcyclegan.segmentation.trained_judge import judge
from tfcyclegan.segmentation.training import train_segmenter
from tfcyclegan.system import files
from tfcyclegan.training.history import read_history

HEIGHT, WIDTH = 16, 32
# road, vegetation, sky, person
COLORS = {7: (90, 90, 90), 21: (40, 140, 40), 23: (90, 150, 230), 24: (230, 60, 40)}
TINY = {
    "width": 4,
    "steps": 6,
    "batch_size": 4,
    "precision": "float32",
    "checkpoint_every_steps": 3,
    "log_every_steps": 2,
    "val_every_steps": 0,
    "warmup_steps": 2,
    "learning_rate": 0.003,
    "deterministic": True,
}


def frame(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sky above vegetation above road in stripes of random heights with noise; every fourth frame
    has a person, 2x2 pixels.
    """
    generator = np.random.default_rng(seed)
    first, second = np.sort(generator.integers(3, HEIGHT - 2, 2))
    ids = np.full((HEIGHT, WIDTH), 7, np.uint8)
    ids[:second] = 21
    ids[:first] = 23
    if seed % 4 == 0:
        column = generator.integers(WIDTH - 2)
        ids[HEIGHT - 3 : HEIGHT - 1, column : column + 2] = 24
    colors = np.zeros((HEIGHT, WIDTH, 3))
    for value, color in COLORS.items():
        colors[ids == value] = color
    ids[:, :2] = 1  # "ego vehicle": not learned, not scored
    return (colors + generator.normal(0, 12, colors.shape)).clip(0, 255).astype(np.uint8), ids


def write_city(root: Path, counts: dict[str, int]) -> None:
    for split, count in counts.items():
        for number in range(count):
            picture, ids = frame(number + (1000 if split == "val" else 0))
            for kind, ending, image in (
                ("leftImg8bit", "leftImg8bit", picture),
                ("gtFine", "gtFine_labelIds", ids),
            ):
                path = root / kind / split / "town" / f"town_{number:06d}_000019_{ending}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(path)


@pytest.fixture(scope="module")
def city(tmp_path_factory) -> Path:
    """The folders of a Cityscapes; its data set lies in `data` beside it, one without labels in
    `photos`.
    """
    root = tmp_path_factory.mktemp("city") / "city"
    write_city(root, {"train": 24, "val": 8})
    for name, content in (("data", "photos_and_labels"), ("photos", "photos")):
        cityscapes.run(
            cityscapes.Config(
                input_dir=str(root), output_dir=str(root.parent / name), content=content, name=name
            )
        )
    return root


@pytest.fixture(scope="module")
def data(city) -> Path:
    return city.parent / "data"


def arrays(count: int = 8) -> LabelledPictures:
    frames = [frame(seed) for seed in range(count)]
    return LabelledPictures(
        [picture for picture, _ in frames],
        [labels.to_train_ids(ids) for _, ids in frames],
        f"frames {count}",
        labels.CITYSCAPES,
    )


def options(**changes) -> SegmenterOptions:
    return SegmenterOptions(**{**TINY, **changes})


def weights(run_dir: Path) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(run_dir / "checkpoints"))
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH"
    }


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory) -> Path:
    """A run that has learned: 60 steps, trained by the command."""
    run_dir = tmp_path_factory.mktemp("segmenters") / "run"
    settings = {
        **TINY,
        "learning_rate": 0.02,
        "width": 8,
        "steps": 60,
        "batch_size": 8,
        "val_every_steps": 30,
        "checkpoint_every_steps": 30,
        "ema_decay": 0.9,
    }
    arguments = [f"--{name}={str(value).lower()}" for name, value in settings.items()]
    assert (
        cli.main(["train_segmenter", f"--data_dir={data}", f"--run_dir={run_dir}", *arguments]) == 0
    )
    return run_dir


# --- training
# --------------------------------------------------------------------------------------------------


def test_it_learns_far_beyond_a_constant_answer(trained, data):
    segmenter = load_segmenter(trained)
    split = Split(open_source(data), "val")
    score = segmenter.score_split(split)
    constant = Confusion(classes=19)
    for _, _, truth in split.source.labelled_pictures("val"):
        ids = labels.to_train_ids(np.array(Image.open(io.BytesIO(truth))))
        constant.add(np.zeros_like(ids), ids)
    assert constant.class_iou < 0.15
    assert score.class_ious[[0, 8, 10]].min() > 0.65 and score.class_iou > constant.class_iou + 0.4
    history = read_history(trained / "history.jsonl")
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
    curve = [line["val_mean_iou"] for line in history if "val_mean_iou" in line]
    assert len(curve) == 2 and curve[-1] == pytest.approx(score.class_iou, abs=1e-3)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A finished run of six steps."""
    directory = tmp_path_factory.mktemp("whole") / "whole"
    train_segmenter(options(), [arrays()], directory)
    return directory


def test_a_killed_and_resumed_run_has_the_same_weights(whole, tmp_path):
    """As if killed between the checkpoints of step 3 and step 6."""
    shutil.copytree(whole, tmp_path / "cut")
    for path in (tmp_path / "cut" / "checkpoints").glob("step-6*"):
        path.unlink()
    (tmp_path / "cut" / "checkpoints" / "checkpoint").write_text(
        'model_checkpoint_path: "step-3"\nall_model_checkpoint_paths: "step-3"\n'
    )
    with pytest.raises(UserError, match="its training is at step 3 of 6"):
        load_segmenter(tmp_path / "cut")
    shutil.copytree(tmp_path / "cut", tmp_path / "half")
    half = train_segmenter(options(precision="mixed_float16"), [arrays()], tmp_path / "half")
    resumed = train_segmenter(options(), [arrays()], tmp_path / "cut")
    assert half.identity != resumed.identity, "it went on in another precision"
    assert resumed.identity == load_segmenter(whole).identity
    left, right = weights(whole), weights(tmp_path / "cut")
    assert left.keys() == right.keys() and all(
        np.array_equal(left[name], right[name]) for name in left
    )
    with pytest.raises(UserError, match="--seed was 0, now 1"):
        train_segmenter(options(seed=1), [arrays()], tmp_path / "cut")
    with pytest.raises(UserError, match="the pictures are not those"):
        train_segmenter(options(), [arrays(4)], tmp_path / "cut")
    for path in (tmp_path / "cut" / "checkpoints").glob("step-*"):
        path.unlink()
    with pytest.raises(UserError, match="its checkpoints are gone or damaged"):
        train_segmenter(options(), [arrays()], tmp_path / "cut")


def test_what_is_not_finite_or_not_to_be_had_ends_the_run(tmp_path, monkeypatch):
    wrong = arrays().relabelled([np.zeros((4, 4), np.uint8)] * 8, "small")
    with pytest.raises(
        RunError,
        match=(
            r"step 1: a picture cannot be read \(frames 8 .*its label \(4, 4\); they must have "
            r"the same size\)"
        ),
    ):
        train_segmenter(options(), [wrong], tmp_path / "wrong")
    monkeypatch.setattr(
        "tfcyclegan.segmentation.training.class_weights", lambda *_: np.full(19, np.nan, np.float32)
    )
    with pytest.raises(
        RunError, match="step 1: the loss is nan; lower --learning_rate or check the data"
    ):
        train_segmenter(options(), [arrays()], tmp_path / "run")


def test_a_signal_leaves_a_checkpoint(data, tmp_path):
    run_dir = tmp_path / "run"
    settings = {
        **TINY,
        "steps": 100_000,
        "checkpoint_every_steps": 100_000,
        "cache_dir": tmp_path / "cache",
    }
    arguments = [
        f"--{name}={str(value).lower() if isinstance(value, bool) else value}"
        for name, value in settings.items()
    ]
    command = [
        sys.executable,
        "-m",
        "tfcyclegan.cli",
        "train_segmenter",
        f"--data_dir={data}",
        f"--run_dir={run_dir}",
        *arguments,
    ]
    with processes.started(command) as process:
        deadline = time.monotonic() + 60
        while not read_history(run_dir / "history.jsonl"):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 128 + signal.SIGTERM
    assert "the same command continues from there" in errors.splitlines()[-1]
    assert (run_dir / "checkpoints" / "checkpoint").exists()


@pytest.mark.slow
def test_two_devices_learn_as_one(whole, tmp_path):
    """The loss is the mean over all learned pixels; batch statistics are each device's own, so the
    numbers agree only roughly.
    """
    code = f"""
from pathlib import Path
from tests.test_segmentation import arrays, options, train_segmenter
train_segmenter(options(devices=2), [arrays()], Path({str(tmp_path / "two")!r}))
"""
    result = processes.run([sys.executable, "-c", code])
    assert result.returncode == 0, result.stderr[-2000:]
    one, two = (
        read_history(directory / "history.jsonl") for directory in (whole, tmp_path / "two")
    )
    assert one[0]["loss"] == pytest.approx(two[0]["loss"], rel=0.25) and len(two) == 3
    assert all(0 < line["accuracy"] <= 1 for line in one + two)


def test_labels_are_read_only_where_they_are_asked_for(data, tmp_path, monkeypatch):
    source = open_source(data)
    monkeypatch.setattr(
        type(source), "labelled_pictures", lambda *_: pytest.fail("labels were read")
    )
    pictures = open_pictures(source, "train", tmp_path)
    part = LabelledPictures(
        pictures,
        np.full((len(pictures), HEIGHT, WIDTH), 255, np.uint8),
        "unsure",
        labels.CITYSCAPES,
    )
    assert part.class_counts.sum() == 0 and len(part) == 24


# --- the commands
# --------------------------------------------------------------------------------------------------


def cityscapes_mean_iou(predictions: Path, truths: list[Path]) -> float:
    """mIoU by cityscapesscripts' own evaluation."""
    from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as official

    arguments = official.args
    arguments.predictionPath, arguments.predictionWalk = str(predictions), None
    arguments.evalInstLevelScore, arguments.JSONOutput, arguments.quiet = False, False, True
    found = [official.getPrediction(arguments, str(path)) for path in truths]
    return official.evaluateImgLists(found, [str(path) for path in truths], arguments)[
        "averageScoreClasses"
    ]


def test_segment_writes_what_cityscapesscripts_scores_alike(trained, city, data, tmp_path, capsys):
    output = tmp_path / "out"
    command = [
        "segment",
        f"--segmenter_dir={trained}",
        f"--data_dir={data}",
        "--split=val",
        f"--output={output}",
    ]
    assert cli.main(command) == 0
    printed = float(capsys.readouterr().out.split("mIoU ")[1].split()[0])
    truths = sorted((city / "gtFine" / "val").rglob("*_labelIds.png"))
    assert cityscapes_mean_iou(output / "labelIds", truths) == pytest.approx(printed, abs=1e-4)
    overlay = np.asarray(Image.open(output / "overlays" / "town" / "town_000000_000019.png"))
    assert overlay.shape == (HEIGHT, WIDTH, 3)
    assert cli.main(command) == 0
    assert "0 pictures labelled, 8 already existed" in capsys.readouterr().out
    # a folder of pictures of other sizes: the same ids in the same places
    (tmp_path / "in").mkdir()
    picture = Image.open(next((city / "leftImg8bit" / "val").rglob("*.png")))
    picture.resize((70, 37), Image.Resampling.NEAREST).save(tmp_path / "in" / "odd.png")
    picture.convert("L").save(tmp_path / "in" / "gray.png")
    assert (
        cli.main(
            [
                "segment",
                f"--segmenter_dir={trained}",
                f"--input={tmp_path / 'in'}",
                f"--output={tmp_path / 'folder'}",
            ]
        )
        == 0
    )
    assert "gray pictures shown in colour: 1 picture\n" in capsys.readouterr().out
    assert files.read_json(tmp_path / "folder" / "segmentation.json")["conversions"] == {
        "gray pictures shown in colour": 1
    }
    ids = Image.open(tmp_path / "folder" / "labelIds" / "odd.png")
    assert (ids.size, ids.mode) == ((70, 37), "L") and set(np.unique(ids)) <= {
        entry.id for entry in labels.TRAIN_CLASSES
    }
    assert (
        cli.main(
            [
                "segment",
                f"--segmenter_dir={trained}",
                f"--input={tmp_path / 'in'}",
                f"--output={tmp_path / 'in'}",
            ]
        )
        == 2
    )


def test_the_export_gives_what_keras_gives(trained, tmp_path, capsys):
    version = export_segmenter(trained, tmp_path / "model", None)
    metadata = files.read_json(version / "metadata.json")
    assert (
        version.name == "1"
        and max(metadata["parity"].values()) < 1e-2
        and metadata["parity"]["TFLite float32"] < 1e-4
    )
    assert export_segmenter(trained, tmp_path / "model", None) == version
    segmenter = load_segmenter(trained)
    kernels = [weight for weight in segmenter.network.weights if weight.ndim == 4]
    assert convolutions(version) == len(kernels), "the signatures share the network"
    served = tf.saved_model.load(str(version)).signatures["serving_default"]
    picture = frame(5)[0]
    answer = served(image_bytes=tf.constant([tf.io.encode_png(picture).numpy()]))[
        "image_bytes"
    ].numpy()[0]
    np.testing.assert_array_equal(
        tf.io.decode_png(answer).numpy()[..., 0], labels.to_ids(segmenter.predict(picture))
    )
    operators = tflite.operators((version / "float32.tflite").read_bytes())
    assert "CONV_2D" in operators and not {
        name for name in operators if name.startswith("Flex") or name == "READ_VARIABLE"
    }
    capsys.readouterr()
    assert (
        cli.main(
            [
                "export_segmenter",
                f"--segmenter_dir={trained}",
                f"--output={tmp_path / 'm'}",
                "--tflite_size=40",
            ]
        )
        == 2
    )
    assert "multiples of 32, such as 64" in capsys.readouterr().err


def test_the_judge_is_trained_once(data, tmp_path, monkeypatch):
    source = open_source(data)
    train = Split(source, "train")
    settings = {"steps": 1, "ema_decay": 0.0, "deterministic": False}
    first = judge(train, tmp_path, options(**settings))
    monkeypatch.setattr(
        "tfcyclegan.segmentation.trained_judge.train_segmenter",
        lambda *_, **__: pytest.fail("trained again"),
    )
    again = judge(train, tmp_path, options(**settings, devices=1))
    assert again.segmenter.identity == first.segmenter.identity
    assert [ids.shape for ids in first.predict([frame(1)[0], frame(2)[0][:9, :13]])] == [
        (16, 32),
        (9, 13),
    ]


def retabled(data: Path, target: Path) -> Path:
    """The data set as if another class table had been written into its manifest."""
    target.mkdir()
    for path in data.iterdir():
        if path.is_file():
            (target / path.name).write_bytes(path.read_bytes())
    made = files.read_json(target / "manifest.json")
    made["classes"][7]["name"] = "street"
    files.write_json(target / "manifest.json", made)
    return target


def test_wrong_requests_end_in_one_line(trained, city, data, tmp_path, capsys):
    other = retabled(data, tmp_path / "other")
    train = ["train_segmenter", "--steps=2", f"--run_dir={tmp_path / 'run'}"]
    segment = ["segment", f"--output={tmp_path / 'out'}"]
    cases = {
        "has no labels": [*train, f"--data_dir={city.parent / 'photos'}"],
        "no pictures in split nowhere": [*train, f"--data_dir={data}", "--split=nowhere"],
        "its classes are not the segmenter's: id 7 is street, not road": [
            *segment,
            f"--segmenter_dir={trained}",
            f"--data_dir={other}",
        ],
        "is not empty but holds no segmenter": [
            "train_segmenter",
            f"--data_dir={data}",
            f"--run_dir={city}",
        ],
        "--scale_high=0.5: must be at least --scale_low=0.75": [
            *train,
            f"--data_dir={data}",
            "--scale_high=0.5",
        ],
        "holds no segmenter (segmenter.json is missing)": [
            *segment,
            f"--segmenter_dir={city}",
            "--input=x",
        ],
        "--input or --data_dir: give one of them": [*segment, f"--segmenter_dir={trained}"],
        "--split=test: requires --data_dir": [
            *segment,
            f"--segmenter_dir={trained}",
            "--input=x",
            "--split=test",
        ],
        "x: no such file or directory": [*segment, f"--segmenter_dir={trained}", "--input=x"],
    }
    for message, command in cases.items():
        assert cli.main(command) == 2, message
        error = capsys.readouterr().err
        assert (
            message in error
            and len([line for line in error.splitlines() if line.startswith("tfcyclegan")]) == 1
        )


def test_ids_outside_the_table_are_ignored_and_told(tmp_path, capsys):
    """As in a data set of another program; ours refuse them when they are prepared."""
    pictures = []
    for seed in range(2):
        picture, ids = frame(seed)
        ids[:4] = 77
        label = Label(images.encode_png(ids[..., np.newaxis]), "label.png")
        pictures.append(
            Picture(images.encode_png(picture), "png", f"{seed}.png", HEIGHT, WIDTH, label)
        )
    note = shards.write(tmp_path / "foreign-train.tfrecord-00000-of-00001", pictures)
    made = {"name": "foreign", "classes": [], "splits": {"train": {"shards": [note]}}}
    manifest.write_tfds_metadata(tmp_path, tmp_path / ".work", made)
    part = open_labelled(open_source(tmp_path), "train")
    assert "label ids outside the class table (77): ignored" in capsys.readouterr().out
    assert (part.label(0)[:4] == labels.IGNORED).all() and part.class_counts.sum() == 2 * (
        HEIGHT - 4
    ) * (WIDTH - 2)
