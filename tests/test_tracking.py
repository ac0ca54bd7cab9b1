"""A run at an experiment tracker: what it gets, what a resumed run adds, and that a tracker which
fails changes nothing of the training.
"""

import contextlib
import dataclasses
import importlib.util
import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import eagerly
from tests.test_training import config
from tfcyclegan import cli
from tfcyclegan.errors import RunError, Stopped, UserError
from tfcyclegan.training import trackers, tracking
from tfcyclegan.training.runs import read_run
from tfcyclegan.training.tracking import STATE, Tracking, send_scores
from tfcyclegan.training.trainer import train

LINES = [
    {"step": step, "epoch": step / 10, "gan_ab": 1 / step, "kid_ab": None, "accuracy_disc_a": 0.5}
    for step in (2, 4, 6)
]
METRICS = {
    "split": "test",
    "directions": [
        {
            "direction": "ab",
            "checkpoint": "step-6",
            "reached": True,
            "tables": [
                {
                    "title": "truth",
                    "rows": {
                        "translated": {"Lab error": {"value": 7.5}, "SSIM (gray)": {"value": None}},
                        "identity": {"Lab error": {"value": 9.0}},
                    },
                },
                {"title": "on land", "rows": {"translated": {"Lab error": {"value": 8.5}}}},
            ],
            "detectors": [{"name": "blur (fakes)", "value": 0.25}, {"name": "x", "value": None}],
        }
    ],
}
SCORES = {
    "test_scores/ab/better_than_controls": 1.0,
    "test_scores/ab/Lab error": 7.5,
    "test_scores/ab/on land: Lab error": 8.5,
    "test_scores/ab/failures/blur (fakes)": 0.25,
}


class Recorded(trackers.Tracker):
    """A tracker that keeps what it is told, and is out of reach while `broken`."""

    name, place = "mlflow", "here"

    def __init__(self):
        self.broken, self.lines, self.pictures, self.opened, self.closed = False, [], [], [], []

    def open(self, known, title, options):
        self._answer()
        self.opened.append((known, title, dict(options)))
        return known or f"run{len(self.opened)}", []

    def log(self, lines):
        self._answer()
        self.lines += lines

    def picture(self, step, name, picture):
        self._answer()
        self.pictures.append((step, name, picture.shape, picture.dtype))

    def close(self, exit_code):
        self._answer()
        self.closed.append(exit_code)

    def _answer(self):
        if self.broken:
            raise ConnectionError("no route to\nhost")


@pytest.fixture(scope="module")
def trained(tiles, tmp_path_factory):
    """A training that was stopped and resumed, with a tracker that was out of reach at first."""
    directory, tracker = tmp_path_factory.mktemp("tracked") / "run", Recorded()
    with pytest.MonkeyPatch.context() as patch, eagerly():
        patch.setattr("tfcyclegan.training.trainer.open_tracker", lambda *_: tracker)
        options = {"track": "mlflow", "log_every_steps": 1, "eval_every_epochs": 0}
        tracker.broken = True
        train(config(tiles, directory, max_steps=2, **options))
        assert not tracker.lines and not (directory / STATE).exists()
        tracker.broken = False
        train(config(tiles, directory, max_steps=3, **options))
    return directory, tracker


def test_the_tracker_has_the_history_and_the_strips(trained):
    directory, tracker = trained
    history = [json.loads(line) for line in (directory / "history.jsonl").open()]
    assert [step for step, _ in tracker.lines] == [line["step"] for line in history] == [1, 2, 3]
    for (_, values), line in zip(tracker.lines, history, strict=True):
        assert {name.partition("/")[2]: value for name, value in values.items()} == {
            name: value for name, value in line.items() if name != "step"
        }
    assert tracker.lines[0][1].keys() >= {"adversarial/gan_ab", "run/images_per_second"}
    strips = sorted(path.name for path in (directory / "samples").glob("*.png"))
    sent = [f"{n.split('/')[0][8:]}-{s:07d}-{n.split('/')[1]}.png" for s, n, *_ in tracker.pictures]
    assert sorted(sent) == strips and len(strips) >= 8
    assert {kind for *_, kind in tracker.pictures} == {np.dtype("uint8")}
    (known, title, options), *more = tracker.opened
    assert (known, title, more, tracker.closed) == ("", "run", [], [0])
    assert options["max_steps"] == 3 and options["track"] == "mlflow" and "pairs" not in options


def follow(directory, tracker, lines, error=None, first_step=6):
    """The tracking of a process that starts with `lines` and ends with `error`."""
    with (
        pytest.raises(type(error)) if error else contextlib.nullcontext(),
        Tracking(tracker, read_run(directory), lines, first_step),
    ):
        if error:
            raise error


@pytest.fixture
def directory(trained, tmp_path):
    """A run of which no tracker has anything, with strips of three steps."""
    run = tmp_path / "run"
    (run / "samples").mkdir(parents=True)
    (run / "config.json").write_bytes((trained[0] / "config.json").read_bytes())
    for step in (0, 4, 8):
        Image.new("RGB", (8, 6), (step * 20, 9, 255)).save(run / f"samples/test-{step:07d}-ab.png")
    return run


def test_nothing_is_sent_twice(directory, capfd):
    tracker = Recorded()
    follow(directory, tracker, LINES)
    follow(directory, tracker, LINES[:2])  # of a process that starts from the checkpoint of step 4
    told = capfd.readouterr().out.splitlines()
    assert told[-1] == (
        "--track=mlflow: has steps 4 to 6 from before; they are not sent a second time"
    )
    repeated = [*LINES[:2], {"step": 6, "epoch": 0.6}, {"step": 8, "epoch": 0.8}]
    follow(directory, tracker, repeated, first_step=8)
    assert [step for step, _ in tracker.lines] == [2, 4, 6, 8]
    assert tracker.lines[2][1]["adversarial/gan_ab"] == 1 / 6, "as it was when it was sent"
    assert [(step, name) for step, name, *_ in tracker.pictures] == [
        (step, "samples_test/ab") for step in (0, 4, 8)
    ]
    assert [known for known, *_ in tracker.opened] == ["", "run1", "run1"]


def test_a_tracker_that_fails_is_told_once_and_gets_the_rest_later(directory, capfd, monkeypatch):
    tracker, lines = Recorded(), LINES[:1]
    with Tracking(tracker, read_run(directory), lines, 2) as followed:
        waited(lambda: len(tracker.lines) == 1)
        tracker.broken = True
        for line in LINES[1:]:
            lines.append(line)
            followed.wake()
            time.sleep(0.02)
    failure, ending = capfd.readouterr().out.splitlines()[1:]
    assert failure == (
        "--track=mlflow: no route to host; training goes on, and what is missing is sent later"
    )
    assert ending == (
        "--track=mlflow: 2 lines of the history not sent; the same command sends the rest"
    )
    monkeypatch.setattr(tracking, "_RETRY_SECONDS", 0.0)
    with Tracking(tracker, read_run(directory), lines, 2) as followed:
        waited(lambda: "no route" in capfd.readouterr().out)
        tracker.broken = False
        followed.wake()
    assert capfd.readouterr().out.splitlines() == [
        "--track=mlflow: continues run run1 at here",
        "--track=mlflow: answers again and has everything",
    ]
    assert [step for step, _ in tracker.lines] == [2, 4, 6] and tracker.closed == [0]


def waited(done):
    for _ in range(500):
        if done():
            return
        time.sleep(0.01)
    raise AssertionError("did not happen")


def test_a_tracker_that_hangs_holds_nothing_up(directory, capfd, monkeypatch):
    monkeypatch.setattr(tracking, "_PATIENCE_SECONDS", 0.05)
    tracker, released = Recorded(), threading.Event()
    tracker.log = lambda lines: released.wait(5)
    follow(directory, tracker, LINES)
    released.set()
    assert "does not answer within 0.05 s; 3 lines of the history not sent; " in (
        capfd.readouterr().out
    )


def test_a_run_of_another_place_is_not_continued(directory):
    tracker = Recorded()
    follow(directory, tracker, LINES)
    tracker.place = "elsewhere"
    follow(directory, tracker, LINES)
    assert tracker.opened[-1][0] == "" and [step for step, _ in tracker.lines] == 2 * [2, 4, 6]


def test_what_ended_a_training_is_said(directory):
    tracker = Recorded()
    follow(directory, tracker, LINES, Stopped("stopped", 15))
    follow(directory, tracker, LINES, RunError("a loss is nan"))
    assert tracker.closed == [143, 1]


def test_a_damaged_list_of_what_was_sent_is_told(directory, capfd):
    (directory / STATE).write_text("{")
    follow(directory, Recorded(), LINES)
    assert f"{directory / STATE}: damaged; remove it" in capfd.readouterr().out


def test_scores_go_to_the_same_run(directory, capfd, monkeypatch):
    tracker = Recorded()
    monkeypatch.setattr(tracking, "open_tracker", lambda *_: tracker)
    send_scores(read_run(directory), METRICS)  # of a run of which the tracker has nothing yet
    follow(directory, tracker, LINES)
    send_scores(read_run(directory), METRICS)
    assert tracker.lines[0] == tracker.lines[-1] == (6, SCORES) and len(tracker.lines) == 5
    assert [known for known, *_ in tracker.opened] == ["", "run1", "run1"]
    assert capfd.readouterr().out.splitlines()[-1] == (
        "--track=mlflow: 4 scores sent to run run1 at here"
    )
    tracker.broken = True
    send_scores(read_run(directory), METRICS)
    assert "scores not sent: no route to host" in capfd.readouterr().out


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_tracker_that_is_not_installed(name, directory, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    words = ["train", "--data_dir=data", f"--run_dir={tmp_path / 'new'}", f"--track={name}"]
    with pytest.raises(UserError, match=rf"pip install 'tfcyclegan\[{name}\]'"):
        trackers.open_tracker(name, tmp_path)
    assert cli.main([*words[:-1], "--track=comet"]) == 2
    assert "valid are none, mlflow, wandb" in capfd.readouterr().err


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    """A client of a store of files."""
    module = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path / 'mlruns'}")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    return module.MlflowClient()


def test_mlflow(mlflow, directory, monkeypatch, capfd):
    follow(directory, trackers.open_tracker("mlflow", directory), LINES, Stopped("stopped", 2))
    run = read_run(directory)
    resumed = dataclasses.replace(run, config=dataclasses.replace(run.config, max_steps=9))
    with Tracking(trackers.open_tracker("mlflow", directory), resumed, [*LINES, {"step": 8}], 8):
        pass
    assert "params stay as they were, tags resumed.* say max_steps anew" in capfd.readouterr().out
    send_scores(run, METRICS)
    experiment = mlflow.get_experiment_by_name("tfcyclegan")
    (found,) = mlflow.search_runs([experiment.experiment_id])
    assert (found.info.run_name, found.info.status) == ("run", "FINISHED")
    history = mlflow.get_metric_history(found.info.run_id, "adversarial/gan_ab")
    assert [(one.step, one.value) for one in history] == [(2, 0.5), (4, 0.25), (6, 1 / 6)]
    scores = {name: value for name, value in found.data.metrics.items() if "_scores/" in name}
    assert list(scores.values()) == [SCORES[name.replace("_fakes_", "(fakes)")] for name in scores]
    assert found.data.params["max_steps"] == "3" and found.data.params["batch_size"] == "1"
    assert found.data.tags["resumed.max_steps"] == "9"
    artifacts = Path(found.info.artifact_uri.removeprefix("file://"), "images")
    pictures = sorted(artifacts.glob("*.png"), key=lambda path: int(path.name.split("+")[2]))
    assert [np.asarray(Image.open(path))[0, 0].tolist() for path in pictures] == [
        [step * 20, 9, 255] for step in (0, 4, 8)
    ]
    mlflow.delete_run(found.info.run_id)
    follow(directory, trackers.open_tracker("mlflow", directory), LINES)
    assert f"run {found.info.run_id} is not at file:" in capfd.readouterr().out
    assert len(mlflow.search_runs([experiment.experiment_id])) == 1, "a new one"


def test_mlflow_without_a_place_or_without_its_server(mlflow, directory, monkeypatch, capfd):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://here")
    with pytest.raises(UserError, match="no place to log to: set MLFLOW_TRACKING_URI"):
        trackers.open_tracker("mlflow", directory)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    follow(directory, trackers.open_tracker("mlflow", directory), LINES)
    failure, ending = capfd.readouterr().out.splitlines()
    assert "127.0.0.1" in failure and "3 lines of the history not sent" in ending
    place = {"place": "http://127.0.0.1:9", "run": "1", "line": 4, "strip": 4}
    (directory / STATE).write_text(json.dumps({"mlflow": place}))
    follow(directory, trackers.open_tracker("mlflow", directory), LINES)
    assert "1 line of the history not sent" in capfd.readouterr().out


def test_wandb_offline(directory, monkeypatch, capfd):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    follow(directory, trackers.open_tracker("wandb", directory), LINES)
    follow(
        directory, trackers.open_tracker("wandb", directory), [*LINES, {"step": 8}], first_step=8
    )
    run = json.loads((directory / STATE).read_text())["wandb"]
    assert (run["line"], run["strip"], run["place"]) == (8, 8, "files")
    first, second = sorted((directory / "wandb").glob(f"offline-run-*-{run['run']}"))
    assert f"wandb sync {first} uploads it" in capfd.readouterr().out
    logged = (first / f"run-{run['run']}.wandb").read_bytes()
    for words in (b"adversarial/gan_ab", b"0.16666666666666666", b"accuracy/accuracy_disc_a"):
        assert words in logged
    assert b"adversarial/gan_ab" not in (second / f"run-{run['run']}.wandb").read_bytes()
    pictures = [len(list(one.rglob("media/images/samples_test/*.png"))) for one in (first, second)]
    assert pictures == [2, 1]


def test_wandb_without_an_account(directory, monkeypatch):
    pytest.importorskip("wandb").teardown()  # which keeps the settings of the test before
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(directory / "none"))
    with pytest.raises(UserError, match="not logged in: run `wandb login` once, or set WANDB_MODE"):
        trackers.open_tracker("wandb", directory)
