"""Training as a user meets it: the command, its run directory, stopping, resuming, refusing."""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests import processes
from tests.test_checkpoint_files import truncate
from tfcyclegan import flags
from tfcyclegan.config import Size, TrainConfig
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.training import checkpoint_files
from tfcyclegan.training.board import Board
from tfcyclegan.training.checkpoints import load_generator
from tfcyclegan.training.history import read_history
from tfcyclegan.training.observer import Observer
from tfcyclegan.training.runs import read_run
from tfcyclegan.training.trainer import train

SMALL = {
    "load_size": Size(36, 36),
    "crop_size": Size(32, 32),
    "residual_blocks": 1,
    "base_filters": 4,
    "discriminator_filters": 4,
    "discriminator_layers": 2,
    "pool_size": 3,
    "precision": "float32",
    "log_every_steps": 2,
    "checkpoint_every_steps": 4,
    "sample_every_steps": 4,
    "sample_images": 2,
}
TRAINED = {"ema_decay": 0.9, "eval_every_steps": 4, "eval_images": 8}


def config(tiles: Path, run_dir: Path, **changes) -> TrainConfig:
    return TrainConfig(
        **{"data_dir": str(tiles), "run_dir": str(run_dir), "max_steps": 6, **SMALL, **changes}
    )


def command(tiles: Path, run_dir: Path, **changes) -> list[str]:
    options = {"data_dir": tiles, "run_dir": run_dir, "max_steps": 6, **SMALL, **changes}
    flags = [
        f"--{name}={str(value).lower() if isinstance(value, bool) else value}"
        for name, value in options.items()
    ]
    return [sys.executable, "-m", "tfcyclegan.cli", "train", *flags]


def checkpoint(run_dir: Path) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(run_dir / "checkpoints"))
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH"
    }


def without_timing(run_dir: Path) -> list[dict]:
    return [
        {key: value for key, value in line.items() if key != "images_per_second"}
        for line in read_history(run_dir / "history.jsonl")
    ]


@pytest.fixture(scope="module")
def trained(tiles, tmp_path_factory) -> Path:
    run_dir = tmp_path_factory.mktemp("runs") / "run"
    options = config(tiles, run_dir, **TRAINED)
    train(options, flags.to_flag_file(options))
    return run_dir


def test_a_run_directory_has_everything(trained):
    lines = read_history(trained / "history.jsonl")
    assert [line["step"] for line in lines] == [2, 4, 6]
    assert json.loads((trained / "config.json").read_text())["reading"] == {"a": {}, "b": {}}
    for line in lines:
        assert {
            "epoch",
            "learning_rate",
            "images_per_second",
            "cycle_a",
            "accuracy_disc_b",
        } <= line.keys()
        assert all(np.isfinite(value) for value in line.values())
        assert 0 <= line["accuracy_disc_a"] <= 1
    assert "appearance_ab" in lines[1] and "appearance_ab" not in lines[0]
    assert {path.name for path in (trained / "samples").iterdir()} == {
        f"{p}-000000{s}-{d}.png" for p in ("test", "train") for s in (0, 4, 6) for d in ("ab", "ba")
    }
    assert list((trained / "checkpoints" / "best").glob("step-4.index"))
    page = (trained / "report.html").read_text()
    assert (
        page.count("<svg") >= 4
        and page.count("data:image/png;base64,") >= 4
        and "http" not in page.split("<svg")[0]
    )
    events = [
        event
        for path in (trained / "tensorboard").iterdir()
        for event in tf.compat.v1.train.summary_iterator(str(path))
    ]
    tags = {value.tag for event in events for value in event.summary.value}
    assert {
        *(
            "adversarial/gan_ab",
            "cycle/cycle_a",
            "discriminators/disc_b",
            "accuracy/accuracy_disc_a",
            "appearance/appearance_ba",
        ),
        *(
            "learning_rate/learning_rate",
            "run/epoch",
            "run/images_per_second",
            "samples_test/ab",
            "samples_train/ba",
            "flags",
        ),
    } <= tags
    assert not {tag for tag in tags if tag.endswith("/step")}
    text = next(
        value.tensor.string_val[0].decode()
        for event in events
        for value in event.summary.value
        if value.tag == "flags"
    )
    assert "    --crop_size=32\n" in text
    assert hyper_parameters(events)["crop_size"] == "32" and hyper_parameters(events)[
        "learning_rate"
    ] == pytest.approx(2e-4)


def hyper_parameters(events) -> dict[str, object]:
    """As TensorBoard's own plugin reads them."""
    from tensorboard.plugins.hparams import metadata

    summaries = (
        value
        for event in events
        for value in event.summary.value
        if value.tag == metadata.SESSION_START_INFO_TAG
    )
    started = metadata.parse_session_start_info_plugin_data(
        next(summaries).metadata.plugin_data.content
    )
    return {
        name: getattr(value, value.WhichOneof("kind")) for name, value in started.hparams.items()
    }


def test_a_profile_is_taken_on_request_once_graphs_are_traced(tiles, tmp_path, monkeypatch):
    asked, before_step = {}, Board.before_step

    def noted(board, step):
        before_step(board, step)
        asked[step] = bool(list((tmp_path / "run").rglob("*.xplane.pb")))

    monkeypatch.setattr(Board, "before_step", noted)
    seldom = {"checkpoint_every_steps": 100, "sample_every_steps": 100}
    train(config(tiles, tmp_path / "run", max_steps=16, profile_steps=2, **seldom))
    assert [step for step, profiled in asked.items() if profiled] == [12, 13, 14, 15]


def test_a_profile_that_does_not_begin_is_told(tiles, tmp_path, capsys, eager):
    options = config(tiles, tmp_path / "run", max_steps=1, profile_steps=5)
    line = "--profile_steps=5: has no effect; a profile begins after 10 steps of this process"
    train(options)
    assert line in capsys.readouterr().out
    board = Board(tmp_path / "events", options, "", 1)
    for end, told in ((11, True), (12, False)):
        board.tell_of_profile(end)
        assert (line in capsys.readouterr().out) == told


def test_every_weight_is_in_the_checkpoint(trained):
    """A network restored by halves would look trained to every check but this one."""
    from tfcyclegan.training.checkpoints import load_networks
    from tfcyclegan.training.runs import read_run

    run = read_run(trained)
    arrays = checkpoint(trained)
    for name in ("gen_ab", "gen_ba", "disc_a", "disc_b"):
        network = load_networks(run, "latest", (name,))[name]
        prefix = f"average_{name}" if name.startswith("gen") else name
        for index, weight in enumerate(network.get_weights()):
            np.testing.assert_array_equal(
                weight, arrays[f"{prefix}/{index}/.ATTRIBUTES/VARIABLE_VALUE"]
            )
    assert sum(name.startswith("generator_optimizer/") for name in arrays) > 2 * len(
        network.weights
    )


def test_a_finished_run_says_so_and_grows(tiles, trained, capsys):
    before = (trained / "checkpoints" / "checkpoint").read_text()
    train(config(tiles, trained, ema_decay=0.9, eval_every_steps=4, eval_images=8))
    assert "already finished" in capsys.readouterr().out
    assert (trained / "checkpoints" / "checkpoint").read_text() == before


def test_other_settings_are_refused_with_the_difference(tiles, trained):
    changed = config(
        tiles, trained, ema_decay=0.9, eval_every_steps=4, eval_images=8, learning_rate=1e-3, seed=5
    )
    with pytest.raises(
        UserError, match=r"--learning_rate was 0.0002, now 0.001; --seed was 0, now 5"
    ):
        train(changed)
    with pytest.raises(UserError, match="--max_steps was 6, now 5"):
        train(config(tiles, trained, ema_decay=0.9, eval_every_steps=4, eval_images=8, max_steps=5))


def test_other_data_are_refused(tiles, trained, tmp_path):
    from data_prep import satellite_map

    satellite_map.run(
        satellite_map.Config(output_dir=str(tmp_path / "data"), output_size=40, stride=96, seed=3)
    )
    with pytest.raises(UserError, match="is not the data that the run was started with"):
        train(config(tmp_path / "data", trained, ema_decay=0.9, eval_every_steps=4, eval_images=8))


def test_the_data_may_move(tiles, trained, tmp_path, capsys):
    (tmp_path / "moved").symlink_to(tiles)
    train(config(tmp_path / "moved", trained, ema_decay=0.9, eval_every_steps=4, eval_images=8))
    assert "already finished" in capsys.readouterr().out


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one(tiles, trained, tmp_path, capsys):
    run_dir = shutil.copytree(trained, tmp_path / "run")
    steps = checkpoint_files.steps(run_dir / "checkpoints")
    truncate(run_dir / "checkpoints" / f"step-{steps[-1]}.index")
    with pytest.raises(
        RunError, match=rf"step-{steps[-1]}: damaged .*; choose another --checkpoint: .*{steps[-2]}"
    ):
        load_generator(read_run(run_dir), "latest", "ab")
    train(config(tiles, run_dir, **TRAINED))
    printed = capsys.readouterr().out
    assert (
        f"continuing from step-{steps[-2]}" in printed
        and f"resuming at step {steps[-2]} of {steps[-1]}" in printed
    )
    first, second = checkpoint(trained), checkpoint(run_dir)
    assert first.keys() == second.keys() and second["step/.ATTRIBUTES/VARIABLE_VALUE"] == steps[-1]
    assert [line["step"] for line in without_timing(run_dir)] == [
        line["step"] for line in without_timing(trained)
    ]


def test_a_checkpoint_that_ends_early_is_named(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    [data] = list((tmp_path / "run/checkpoints").glob("step-*.data-00000-of-00001"))[-1:]
    os.truncate(data, data.stat().st_size // 2)
    step = data.name.partition(".")[0].removeprefix("step-")
    with pytest.raises(RunError, match=f"step-{step}: damaged .*; choose another --checkpoint"):
        load_generator(read_run(tmp_path / "run"), step, "ba")


def test_a_run_that_dies_as_it_draws_has_all_strips_in_the_end(
    tiles, trained, tmp_path, monkeypatch
):
    draw = Observer.draw_samples
    for step in (0, 6):

        def draw_or_die(observer, drawn, step=step):
            if drawn == step:
                raise ZeroDivisionError
            draw(observer, drawn)

        with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
            patch.setattr(Observer, "draw_samples", draw_or_die)
            train(config(tiles, tmp_path / "run"))
        assert not list((tmp_path / "run" / "samples").glob(f"*-{step:07d}-*"))
    train(config(tiles, tmp_path / "run"))
    undisturbed, disturbed = (
        {path.name for path in (run_dir / "samples").iterdir()}
        for run_dir in (trained, tmp_path / "run")
    )
    assert disturbed == undisturbed


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_save_and_stop(tiles, tmp_path, number, code):
    run_dir = tmp_path / "run"
    arguments = command(tiles, run_dir, max_steps=100_000, checkpoint_every_steps=100_000)
    deadline = time.monotonic() + 120
    with processes.started(arguments) as process:
        while (
            not (run_dir / "history.jsonl").exists()
            or len((run_dir / "history.jsonl").read_text().splitlines()) < 3
        ):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.02)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == code
    last = errors.strip().splitlines()[-1]
    assert "the same command continues" in last and "Traceback" not in errors
    step = int(last.split("stopped at step ")[1].split()[0])
    assert (run_dir / "checkpoints" / f"step-{step}.index").exists()


def test_a_loss_that_is_not_finite_stops_before_the_weights(tiles, tmp_path):
    with pytest.raises(
        RunError, match=r"step 1: loss cycle_a is inf.*checkpoint of step 0 is intact"
    ):
        train(config(tiles, tmp_path / "run", lambda_a=1e39))
    values = checkpoint(tmp_path / "run")
    assert all(np.isfinite(value).all() for value in values.values() if value.dtype == np.float32)
    assert values["step/.ATTRIBUTES/VARIABLE_VALUE"] == 0


def test_two_processes_in_one_run_directory(tiles, trained):
    from tfcyclegan.system import files

    with (
        files.exclusive_lock(trained),
        pytest.raises(UserError, match="another process is writing there"),
    ):
        train(config(tiles, trained, ema_decay=0.9, eval_every_steps=4, eval_images=8))


def test_a_directory_of_something_else_is_left_alone(tiles, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("words")
    with pytest.raises(UserError, match="holds no run"):
        train(config(tiles, tmp_path / "run"))
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.txt"]


def test_starting_from_the_weights_of_another_run(tiles, trained, tmp_path, capsys, eager):
    train(config(tiles, tmp_path / "run", init_from=str(trained), learning_rate=1e-9, max_steps=1))
    assert "weights of gen_ab" in capsys.readouterr().out
    before, after = checkpoint(trained), checkpoint(tmp_path / "run")
    for name in ("disc_a/0", "disc_b/2"):
        key = f"{name}/.ATTRIBUTES/VARIABLE_VALUE"
        np.testing.assert_allclose(before[key], after[key], atol=1e-7)
    with pytest.raises(UserError, match="is a different network"):
        train(config(tiles, tmp_path / "other", init_from=str(trained), base_filters=6))


def test_discriminators_of_another_run_go_on_with_other_blurs(
    tiles, trained, tmp_path, capsys, eager
):
    changed = {"init_from": str(trained), "learning_rate": 1e-9, "max_steps": 1}
    train(config(tiles, tmp_path / "run", discriminator_antialias="yes", **changed))
    told = capsys.readouterr().out
    for name in ("disc_a", "disc_b"):
        assert f"its {name} is used with blurs, as this run's flags say" in told
    key = "disc_a/0/.ATTRIBUTES/VARIABLE_VALUE"
    before, after = checkpoint(trained), checkpoint(tmp_path / "run")
    np.testing.assert_allclose(before[key], after[key], atol=1e-7)
    with pytest.raises(UserError, match="is a different network"):
        train(config(tiles, tmp_path / "other", antialias=True, **changed))


# Runs commands, each a list of JSON, one after the other; prints what each gave.
COMMANDS = """
import contextlib, io, json, sys
from tfcyclegan import cli

given = []
for arguments in map(json.loads, sys.argv[1:]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main(arguments)
    given.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(given))
"""


@pytest.mark.slow  # CI runs it by itself
def test_two_devices_and_a_change_of_their_number(tiles, tmp_path):
    """Two replicas, then one: only the pools of the second are gone. A process of its own, since it
    splits the CPU.
    """
    run_dir, options = tmp_path / "run", {"batch_size": 2, "devices": 2}
    commands = (
        command(tiles, tmp_path / "odd", **options | {"batch_size": 3}),
        command(tiles, run_dir, **options, max_steps=4),
        command(tiles, run_dir, **options | {"devices": 1}, max_steps=6),
    )
    ran = processes.run(
        [sys.executable, "-c", COMMANDS, *(json.dumps(arguments[3:]) for arguments in commands)]
    )
    assert ran.returncode == 0, ran.stderr
    odd, two, one = json.loads(ran.stdout.splitlines()[-1])
    assert odd[0] == 2 and "--batch_size=3" in odd[2] and len(odd[2].strip().splitlines()) == 1
    assert two[0] == 0 and "2 device(s)" in two[1], two
    counts = [
        name
        for name, _ in tf.train.list_variables(checkpoint_files.path_of(run_dir / "checkpoints", 4))
        if name.startswith("pools_") and "/count/" in name
    ]
    assert len(counts) == 4
    assert one[0] == 0 and "1 devices now, 2 before" in one[1], one


@pytest.mark.parametrize(
    "changes",
    [
        {"preprocess": "none", "channels_a": 1, "lambda_identity": 0.0},
        {
            "preprocess": "crop",
            "update_order": "discriminators_first",
            "gan_mode": "lsgan_sigmoid",
            "schedule": "cosine",
            "epochs": 1,
            "decay_epochs": 1,
        },
        {
            "preprocess": "scale_width",
            "load_size": Size(48, 48),
            "norm": "batch",
            "batch_size": 2,
            "gan_mode": "hinge",
            "upsampling": "resize",
            "discriminator": "pixel",
        },
        {
            "preprocess": "scale_width_and_crop",
            "load_size": Size(48, 48),
            "crop_size": Size(32, 40),
            "norm": "none",
            "gan_mode": "vanilla",
            "dropout": True,
            "init": "xavier",
        },
        {"precision": "mixed_float16"},
    ],
    ids=lambda changes: "-".join(map(str, changes.values())),
)
def test_settings_train(tiles, tmp_path, changes):
    train(config(tiles, tmp_path / "run", **{"max_steps": 2, **changes}))
    lines = read_history(tmp_path / "run" / "history.jsonl")
    assert lines[-1]["step"] == 2
    assert all(np.isfinite(value) for value in lines[-1].values())


def test_keras_fit_drives_the_same_step(tiles):
    """A notebook user's way: the same weights as a loop of `train_step` over the same batches."""
    from tfcyclegan.data.domains import open_domains
    from tfcyclegan.methods.factory import build_model
    from tfcyclegan.training.batches import open_batches
    from tfcyclegan.training.trainer import make_optimizer

    settings = config(tiles, Path("unused"), max_steps=3)
    batches, _ = open_batches(settings, open_domains(str(tiles)))
    weights = []
    for by_fit in (True, False):
        model = build_model(settings, "float32")
        model.compile(
            *[make_optimizer(settings, settings.length(9), 9, dynamic_scale=False) for _ in "ab"]
        )
        if by_fit:
            history = model.fit(batches.dataset(0, 3), epochs=1, verbose=0)
            assert {"cycle_a", "disc_b", "accuracy_disc_a"} <= history.history.keys()
        else:
            model.make_pools((32, 32, 3), (32, 32, 3))
            step = tf.function(model.train_step, autograph=False)
            for batch in batches.dataset(0, 3):
                step(batch)
        weights.append(
            [
                weight
                for name in ("gen_ab", "disc_b")
                for weight in getattr(model, name).get_weights()
            ]
        )
    for fitted, looped in zip(*weights, strict=True):
        np.testing.assert_allclose(fitted, looped, atol=1e-6)
