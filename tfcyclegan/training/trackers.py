"""Experiment trackers, each by its own logging calls: MLflow and Weights & Biases.

Which server, project and account are used is told as these programs' own documentation says, by
their environment variables: MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME; WANDB_PROJECT, WANDB_MODE
and others.
"""

import importlib.util
import logging
import os
import re
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfcyclegan.errors import UserError

PROJECT = "tfcyclegan"
"""The experiment (MLflow) or project (W&B) if the environment names none."""

Values = Mapping[str, float]


class Tracker(ABC):
    """One run at a tracker.

    Attributes:
        name: the value of --track.
        place: where the tracker keeps its runs; a run's id is valid only there.
    """

    name: str
    place: str

    @abstractmethod
    def open(self, known: str, title: str, options: Mapping[str, Any]) -> tuple[str, list[str]]:
        """Starts a run, or continues one.

        Args:
            known: id of the run to continue; empty to start one.
            title: name of a new run.
            options: the training's options; those that are not given are left out.

        Returns:
            Its id, which is not `known` if the tracker has no such run, and lines to tell.
        """

    @abstractmethod
    def log(self, lines: Sequence[tuple[int, Values]]) -> None:
        """Logs (step, values by name) each."""

    @abstractmethod
    def picture(self, step: int, name: str, picture: np.ndarray) -> None:
        """Logs uint8 [H, W, 3]; other types would be shown in each tracker's own range."""

    @abstractmethod
    def close(self, exit_code: int) -> None:
        """Says how the process ended: 0 for finished, above 128 for a signal, 1 for an error."""


def open_tracker(name: str, directory: Path) -> Tracker | None:
    """The tracker that --track names, or None for "none". Sends nothing yet.

    Args:
        name: the value of --track.
        directory: run directory, for trackers that write files.

    Raises:
        UserError: its package is not installed, or it is not set up.
    """
    if name == "none":
        return None
    module, tracker = _TRACKERS[name]
    if importlib.util.find_spec(module) is None:
        raise UserError(
            f"--track={name}: {module} is not installed: pip install '{PROJECT}[{name}]'"
        )
    return tracker(directory)


class MLflow(Tracker):
    """A run of MLflow's tracking, by `MlflowClient`, whose calls name the run and may come from any
    thread.
    """

    name = "mlflow"
    _MOST_PARAMS = 100  # in one request, as for metrics
    _MOST_METRICS = 1000
    _STATUS: Mapping[int, str] = {0: "FINISHED", 1: "FAILED"}

    def __init__(self, _: Path):
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        # it warns of each of MLflow's retries; what failed in the end is told once
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        try:
            self._client = MlflowClient()
        except MlflowException as error:
            raise UserError(
                "--track=mlflow: no place to log to: set MLFLOW_TRACKING_URI to your server, or "
                "pip install mlflow, which brings a local one (mlflow server); MLflow says: "
                f"{_first_sentence(error)}"
            ) from error
        self.place = self._client.tracking_uri
        self._run = ""

    def open(self, known: str, title: str, options: Mapping[str, Any]) -> tuple[str, list[str]]:
        from mlflow.entities import Param, RunTag

        told = []
        self._run = known if known and self._there(known) else ""
        if known and not self._run:
            told.append(f"run {known} is not at {self.place}, so a new one is started")
        if not self._run:
            self._run = self._client.create_run(self._experiment(), run_name=title).info.run_id
        before = self._client.get_run(self._run).data.params
        values = {name: str(value) for name, value in options.items()}
        new = [Param(name, value) for name, value in values.items() if name not in before]
        for first in range(0, len(new), self._MOST_PARAMS):
            self._client.log_batch(self._run, params=new[first : first + self._MOST_PARAMS])
        # MLflow refuses to change a param
        changed = {name: values[name] for name in before if values.get(name) != before[name]}
        tags = [RunTag(f"resumed.{name}", value or "") for name, value in changed.items()]
        self._client.log_batch(self._run, tags=tags)
        if changed:
            told.append(f"params stay as they were, tags resumed.* say {', '.join(changed)} anew")
        self._client.update_run(self._run, "RUNNING")
        return self._run, told

    def _there(self, run: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            return self._client.get_run(run).info.lifecycle_stage == "active"
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise

    def _experiment(self) -> str:
        if given := os.environ.get("MLFLOW_EXPERIMENT_ID"):
            return given
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        found = self._client.get_experiment_by_name(name)
        return found.experiment_id if found else self._client.create_experiment(name)

    def log(self, lines: Sequence[tuple[int, Values]]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [
            Metric(_mlflow_name(name), value, now, step)
            for step, values in lines
            for name, value in values.items()
        ]
        for first in range(0, len(metrics), self._MOST_METRICS):
            self._client.log_batch(self._run, metrics=metrics[first : first + self._MOST_METRICS])

    def picture(self, step: int, name: str, picture: np.ndarray) -> None:
        self._client.log_image(self._run, picture, key=_mlflow_name(name), step=step)

    def close(self, exit_code: int) -> None:
        self._client.set_terminated(self._run, self._STATUS.get(exit_code, "KILLED"))


def _mlflow_name(name: str) -> str:
    """A name with only the characters that MLflow accepts."""
    return re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII)


class WandB(Tracker):
    """A run of Weights & Biases. Its own process sends what is logged, and keeps on disk what it
    cannot send.
    """

    name = "wandb"
    _INIT_SECONDS = 60.0
    _FINISH_SECONDS = 20.0

    def __init__(self, directory: Path):
        import wandb

        self._offline = wandb.setup().settings.mode in ("offline", "dryrun", "disabled")
        if not self._offline and not wandb.login(prompt=False, verify=False):
            raise UserError(
                "--track=wandb: not logged in: run `wandb login` once, or set WANDB_MODE=offline "
                "to log to files, for `wandb sync`"
            )
        self._directory = directory
        self.place = "files" if self._offline else wandb.setup().settings.base_url

    def open(self, known: str, title: str, options: Mapping[str, Any]) -> tuple[str, list[str]]:
        import wandb

        given = {"project": PROJECT, "dir": str(self._directory), "name": title}
        self._run = wandb.init(
            id=known or uuid.uuid4().hex[:12],
            resume="allow",
            **{name: v for name, v in given.items() if not os.environ.get(f"WANDB_{name.upper()}")},
            settings=wandb.Settings(
                silent=True,
                console="off",  # this program's lines stay as they are
                init_timeout=self._INIT_SECONDS,
                finish_timeout=self._FINISH_SECONDS,
                finish_timeout_raises=True,
            ),
        )
        self._run.config.update(dict(options), allow_val_change=True)
        # W&B drops what is logged for an earlier step of its own count; this one may go back.
        self._run.define_metric("*", step_metric="step")
        kept = Path(self._run.dir).parent
        return self._run.id, [f"kept in {kept}; wandb sync {kept} uploads it"] * self._offline

    def log(self, lines: Sequence[tuple[int, Values]]) -> None:
        for step, values in lines:
            self._run.log({"step": step, **values})

    def picture(self, step: int, name: str, picture: np.ndarray) -> None:
        import wandb

        self._run.log({"step": step, name: wandb.Image(picture)})

    def close(self, exit_code: int) -> None:
        self._run.finish(exit_code=exit_code)


def _first_sentence(error: Exception) -> str:
    return str(error).splitlines()[0].split(". ")[0].strip()[:200]


_TRACKERS: Mapping[str, tuple[str, Callable[[Path], Tracker]]] = {
    "mlflow": ("mlflow", MLflow),
    "wandb": ("wandb", WandB),
}
