"""A small generator that learns from a trained one."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import ROOT
from tfcyclegan import cli
from tfcyclegan.commands import distill
from tfcyclegan.config import TrainConfig
from tfcyclegan.errors import UserError
from tfcyclegan.methods.distillation import (
    Distillation,
    FeatureAdapter,
    adapter_settings,
    matched_blocks,
)
from tfcyclegan.networks import Discriminator, make_generator
from tfcyclegan.networks.layers import SeparableConv2D
from tfcyclegan.optimization.adam import Adam
from tfcyclegan.optimization.schedules import EpochRates
from tfcyclegan.training import checkpoint_files, trainer
from tfcyclegan.training.checkpoint_files import CheckpointFiles
from tfcyclegan.training.checkpoints import load_networks, variables
from tfcyclegan.training.history import read_history
from tfcyclegan.training.runs import read_run

KEPT = ROOT / "tests/compatibility/0.1.0"


def test_a_separable_convolution_is_one_of_each_channel_and_one_over_channels():
    layer = SeparableConv2D(2, 3, 3, "normal", dtype="float64")
    random = np.random.default_rng(0)
    depthwise, kernel, bias = (random.normal(size=weight.shape) for weight in layer.weights)
    layer.set_weights([depthwise, kernel, bias])
    x = random.normal(size=(1, 5, 4, 2))
    padded = np.pad(x[0], [(1, 1), (1, 1), (0, 0)], mode="reflect")
    expected = np.zeros((5, 4, 3))
    for row in range(5):
        for column in range(4):
            window = padded[row : row + 3, column : column + 3]
            expected[row, column] = (window * depthwise[..., 0]).sum((0, 1)) @ kernel[0, 0] + bias
    np.testing.assert_allclose(layer(x)[0], expected, rtol=1e-12)


def test_separable_blocks_have_a_ninth_of_the_weights():
    whole, light = (
        make_generator("resnet_3blocks", base_filters=32, separable=separable)
        for separable in (False, True)
    )
    inside = [
        sum(layer.count_params() for layer in (*g.block_first, *g.block_second))
        for g in (whole, light)
    ]
    assert 1 / 9 < inside[1] / inside[0] < 1 / 8


@pytest.mark.parametrize(
    ("blocks", "antialias", "places"),
    [(9, False, [12, 15, 18]), (6, True, [13, 15, 17]), (3, False, [10, 11, 12]), (1, False, [10])],
)
def test_blocks_are_matched_by_their_share_of_the_depth(blocks, antialias, places):
    generator = make_generator(f"resnet_{blocks}blocks", base_filters=2, antialias=antialias)
    assert matched_blocks(generator) == places


def test_a_teacher_deeper_than_its_student_by_far_is_refused():
    with pytest.raises(UserError, match="give more, or --lambda_feature=0"):
        adapter_settings(
            make_generator("resnet_1blocks", base_filters=2),
            make_generator("resnet_3blocks", base_filters=2),
        )


@pytest.fixture(scope="module")
def model():
    """One direction in float64, the student as wide as the teacher and with its weights."""
    size = {"base_filters": 2, "dtype": "float64", "init_gain": 0.3}
    teacher, student = (make_generator("resnet_3blocks", **size, seed=1) for _ in range(2))
    networks = {
        "gen_ab": student,
        "disc_b": Discriminator(base_filters=2, layers=1, dtype="float64", seed=2),
        "adapter_ab": FeatureAdapter(
            **adapter_settings(student, teacher), dtype="float64", name="adapter_ab"
        ),
    }
    made = Distillation({"ab": teacher}, networks, pool_size=0)
    made.compile(*(Adam(EpochRates([1e-3], epoch_images=1, batch_size=1)) for _ in range(2)))
    return made


def test_the_losses_are_those_of_their_formulas(model):
    random = np.random.default_rng(0)
    real = tf.constant(random.uniform(-1, 1, (1, 16, 16, 3)))
    student, teacher = model.gen_ab, model.teachers["ab"]
    for layer in model.adapter_ab.convolutions:  # the identity: features are compared as they are
        layer.set_weights([np.eye(8)[np.newaxis, np.newaxis], np.zeros(8)])
    _, losses = model.distilled("ab", real, real)
    assert float(losses["feature_ab"]) == 0 and float(losses["output_ab"]) == 0
    before = student.get_weights()
    student.set_weights([weight * 1.1 for weight in before])
    fake, losses = model.distilled("ab", real, real)
    expected = 10 * np.abs(fake - teacher(real)).mean()
    assert float(losses["output_ab"]) == pytest.approx(expected, rel=1e-9)
    own, theirs = (
        network.features(real, matched_blocks(network)) for network in (student, teacher)
    )
    squares = [np.square(x - y).mean() for x, y in zip(own, theirs, strict=True)]
    assert float(losses["feature_ab"]) == pytest.approx(sum(squares), rel=1e-9)
    scores = model.disc_b(fake)
    assert float(losses["gan_ab"]) == pytest.approx(np.square(scores - 1).mean(), rel=1e-9)
    student.set_weights(before)


def test_a_step_moves_the_student_and_not_the_teacher(model):
    random = np.random.default_rng(1)
    reals = [tf.constant(random.uniform(-1, 1, (1, 16, 16, 3))) for _ in range(2)]
    model.gen_ab.set_weights([weight + 0.01 for weight in model.gen_ab.get_weights()])
    before = {name: network.get_weights() for name, network in model.networks.items()}
    frozen = model.teachers["ab"].get_weights()
    values = model.train_step(reals)
    assert list(values) == [
        *("gan_ab", "output_ab", "feature_ab", "disc_b", "accuracy_disc_b", "skipped")
    ]
    for name, network in model.networks.items():
        assert any(
            (new != old).any() for new, old in zip(network.get_weights(), before[name], strict=True)
        ), name
    for new, old in zip(model.teachers["ab"].get_weights(), frozen, strict=True):
        np.testing.assert_array_equal(new, old)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A copy of the kept run, which is the teacher, and its student after four steps."""
    place = tmp_path_factory.mktemp("distilled")
    shutil.copytree(KEPT, place / "kept")
    assert cli.main(command(place, 4)) == 0
    return place


def command(place, steps, *more):
    return [
        *("distill", f"--run_dir={place}/kept/run", f"--output={place}/light"),
        *(f"--data_dir={place}/kept/data", f"--max_steps={steps}", "--students=ab"),
        *("--base_filters=2", "--log_every_steps=2", *more),
    ]


def test_discriminators_begin_as_the_teachers(place):
    """The first checkpoint is of before the first step."""
    student, teacher = read_run(place / "light"), read_run(place / "kept/run")
    own, theirs = (
        load_networks(run, which, ("disc_b",))["disc_b"].get_weights()
        for run, which in ((student, "0"), (teacher, "latest"))
    )
    for one, other in zip(own, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_student_is_a_run_like_any_other(place, capsys):
    run = read_run(place / "light")
    teacher = read_run(place / "kept/run").config
    assert run.networks == ("gen_ab", "disc_b") and run.config.separable
    assert (run.config.crop_size, run.config.norm) == (teacher.crop_size, teacher.norm)
    page = (place / "light/report.html").read_text()
    assert "a translator, A to B, resnet_1blocks of 2 filters, by distill" in page
    assert "Distance from the teacher&#x27;s pictures" in page.replace("&#39;", "&#x27;")
    lines = read_history(place / "light/history.jsonl")
    assert [line["step"] for line in lines] == [2, 4]
    assert all(line["output_ab"] > 0 and line["feature_ab"] > 0 for line in lines)
    own = load_networks(run, "4", run.networks)["gen_ab"].get_weights()
    assert cli.main(command(place, 6)) == 0
    assert "resuming at step 4 of 6" in capsys.readouterr().out
    resumed = load_networks(run, "6", run.networks)["gen_ab"].get_weights()
    assert any((new != old).any() for new, old in zip(resumed, own, strict=True))
    flags = [f"--run_dir={place}/light", f"--data_dir={place}/kept/data"]
    assert cli.main(["translate", *flags, f"--output={place}/out"]) == 0
    assert len(list((place / "out").glob("*.png"))) > 0


def train_on(teacher, *, keep):
    """As if the teacher were trained on, to step 9."""
    run = read_run(teacher)
    networks = load_networks(run, "latest", run.networks)
    for network in networks.values():
        network.set_weights([weight * 0.9 for weight in network.get_weights()])
    saved = {name: variables(network) for name, network in networks.items()}
    saved |= {f"average_{name}": saved[name] for name in ("gen_ab", "gen_ba")}
    CheckpointFiles(tf.train.Checkpoint(**saved), teacher / "checkpoints", keep=keep).save(9)


def test_a_student_learns_from_what_its_config_says(tmp_path, monkeypatch):
    """Its teacher is still in training and writes another checkpoint meanwhile."""
    shutil.copytree(KEPT, tmp_path / "kept")
    teacher, taken = tmp_path / "kept/run", []
    before = read_run(teacher)
    was = load_networks(before, "latest", ("gen_ab", "disc_b"))
    at = checkpoint_files.step_of(checkpoint_files.newest(teacher / "checkpoints"))
    opened, built = trainer.open_batches, trainer.build_model

    def open_meanwhile(*arguments, **more):
        train_on(teacher, keep=1)
        return opened(*arguments, **more)

    def build(config, precision, segment, teachers, **more):
        taken.append(teachers["ab"])
        return built(config, precision, segment, teachers, **more)

    monkeypatch.setattr(trainer, "open_batches", open_meanwhile)
    monkeypatch.setattr(trainer, "build_model", build)
    assert cli.main(command(tmp_path, 1)) == 0
    student = read_run(tmp_path / "light")
    assert checkpoint_files.steps(teacher / "checkpoints") == [9]
    assert student.teacher.step == at
    begun = load_networks(student, "0", ("disc_b",))["disc_b"]
    for own, theirs in ((taken[0], was["gen_ab"]), (begun, was["disc_b"])):
        for one, other in zip(own.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_student_keeps_its_teacher(place, tmp_path, capsys):
    """The teacher is trained on, to step 9; an older version's student has no note of it."""
    shutil.copytree(place, tmp_path / "place")
    place, teacher = tmp_path / "place", tmp_path / "place/kept/run"
    before = checkpoint_files.step_of(checkpoint_files.newest(teacher / "checkpoints"))
    train_on(teacher, keep=5)
    path, end = place / "light/config.json", read_run(place / "light").config.max_steps
    stored = path.read_text()
    assert cli.main(command(place, end)) == 2
    told = capsys.readouterr().err
    assert "--teacher_checkpoint=latest: is step 9 of" in told and path.read_text() == stored
    assert f"give --teacher_checkpoint={before} (distill: --checkpoint={before})" in told
    assert cli.main(command(place, end, f"--checkpoint={before}")) == 0
    assert "already finished" in capsys.readouterr().out
    older = json.loads(path.read_text())
    del older["teacher"]
    older["options"]["teacher_checkpoint"] = "latest"
    path.write_text(json.dumps(older))
    assert cli.main(command(place, end, f"--checkpoint={before}")) == 2
    assert f"--teacher_checkpoint was latest, now {before}" in capsys.readouterr().err
    assert cli.main(command(place, end)) == 0
    assert "already finished" in capsys.readouterr().out


@pytest.mark.parametrize("flag", ["teacher", "init_from"])
def test_a_run_that_is_not_there_is_named_by_its_flag(place, tmp_path, capsys, flag):
    given = [f"--data_dir={place}/kept/data", f"--run_dir={tmp_path}/run", f"--{flag}=nowhere"]
    method = ["--method=distill"] if flag == "teacher" else []
    assert cli.main(["train", *method, *given]) == 2
    assert f"--{flag}=nowhere: holds no run" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_what_a_student_has_not_learnt_is_refused(place, capsys):
    flags = [f"--run_dir={place}/light", f"--data_dir={place}/kept/data", f"--output={place}/no"]
    assert cli.main(["translate", *flags, "--direction=ba"]) == 2
    assert "has no weights of gen_ba, only of gen_ab, disc_b" in capsys.readouterr().err


def test_a_student_of_a_student_asks_for_what_there_is(place, capsys):
    flags = [f"--run_dir={place}/light", f"--output={place}/lighter", "--max_steps=1"]
    assert cli.main(["distill", *flags, f"--data_dir={place}/kept/data"]) == 2
    assert "has no generator ba; give --students=ab" in capsys.readouterr().err


def test_what_a_teacher_does_not_hand_down_is_told(place, capsys):
    teacher = dataclasses.replace(
        read_run(place / "kept/run").config, beta_1=0.7, step_epochs=3, schedule="step"
    )
    distill.student_config(distill.Config(run_dir="runs/t", output="light"), teacher)
    told = capsys.readouterr().out
    assert "runs/t: the student does not inherit" in told
    assert {"--beta_1", "--schedule", "--step_epochs"} <= set(re.findall(r"--\w+", told))


@pytest.mark.parametrize(
    "given",
    [
        {"xla": True},
        {"lambda_paired": 10.0, "pairs": "pairs.csv", "paired_share": 0.5},
        {"accumulate_steps": 2, "batch_size": 4},
    ],
    ids=lambda given: "-".join(given),
)
def test_what_only_a_teacher_can_have_is_dropped(given, tmp_path, monkeypatch, capsys):
    shutil.copytree(KEPT, tmp_path / "kept")
    path = tmp_path / "kept/run/config.json"
    stored = json.loads(path.read_text())
    path.write_text(json.dumps(stored | {"options": stored["options"] | given}))
    made = []
    monkeypatch.setattr(distill.train, "run", lambda config: made.append(config) or tmp_path)
    assert cli.main(command(tmp_path, 1)) == 0
    assert {f"--{name}" for name in given if name != "batch_size"} <= set(
        re.findall(r"--\w+", capsys.readouterr().out)
    )
    for name in given:
        default = TrainConfig.__dataclass_fields__[name].metadata["default"]
        assert getattr(made[0], name) == default, name


def test_a_method_needs_its_teacher(capsys):
    assert cli.main(["train", "--method=distill", "--data_dir=x", "--run_dir=y"]) == 2
    assert "--teacher: required with --method=distill" in capsys.readouterr().err
    assert cli.main(["train", "--teacher=x", "--data_dir=x", "--run_dir=y"]) == 2
    assert "requires --method=distill, not cyclegan" in capsys.readouterr().err
