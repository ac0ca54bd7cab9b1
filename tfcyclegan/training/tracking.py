"""A run's history, strips and scores, mirrored at an experiment tracker.

The run directory is the truth: tracking.json says up to which step a tracker has it, so a tracker
that was out of reach gets the rest later, and a resumed run sends nothing twice.
"""

import dataclasses
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image

from tfcyclegan.errors import Stopped, UserError
from tfcyclegan.measures.evaluation_set import OWN
from tfcyclegan.system import files
from tfcyclegan.system.progress import log, quantity
from tfcyclegan.training.checkpoint_files import step_of
from tfcyclegan.training.figures import group_of
from tfcyclegan.training.run_page import SAMPLES
from tfcyclegan.training.runs import Run, config_to_dict
from tfcyclegan.training.trackers import Tracker, open_tracker

STATE = "tracking.json"
_LINES_AT_ONCE = 50
_RETRY_SECONDS = 300.0
_PATIENCE_SECONDS = 60.0
"""The longest that a finished command waits for a tracker."""
_NOT_OPTIONS = ("", None)


@dataclasses.dataclass
class _State:
    """What a tracker has of a run.

    Attributes:
        place: where the tracker keeps its runs.
        run: id of the run there; empty if there is none yet.
        line: step of the last line of the history.
        strip: step of the last strips.
    """

    place: str
    run: str = ""
    line: int = -1
    strip: int = -1


class Tracking:
    """Sends what a training adds to its run directory, from a thread that the training never waits
    for, except at the end for a minute. A tracker that fails is told once and tried again
    every five minutes.

    Args:
        tracker: where to; None for nowhere.
        run: the run.
        lines: the lines of its history, to which the training appends.
        first_step: the step that this process starts from; strips of later steps are drawn anew.
    """

    def __init__(
        self,
        tracker: Tracker | None,
        run: Run,
        lines: Sequence[Mapping[str, Any]],
        first_step: int,
    ):
        self._tracker, self._run, self._lines, self._drawn = tracker, run, lines, first_step
        self._state: _State | None = None  # known once the tracker's run is open
        self._before: _State | None = None
        self._retry_at = 0.0
        self._failed = False
        self._woken = threading.Event()
        self._exit_code: int | None = None
        self._thread = threading.Thread(target=self._follow, name="tracking", daemon=True)

    def wake(self, drawn: int | None = None) -> None:
        """Says that there is something new: a line, or the strips of the step `drawn`."""
        self._drawn = self._drawn if drawn is None else drawn
        self._woken.set()

    def __enter__(self) -> "Tracking":
        if self._tracker is not None:
            self._thread.start()
            self.wake()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._tracker is None:
            return
        self._exit_code = (
            0 if kind is None else error.exit_code if isinstance(error, Stopped) else 1
        )
        self.wake()
        self._thread.join(_PATIENCE_SECONDS)
        if self._thread.is_alive():
            self._tell(f"does not answer within {_PATIENCE_SECONDS:g} s; {self._missing()}")

    def _follow(self) -> None:
        closing = False
        while not closing:
            self._woken.wait()
            self._woken.clear()
            closing = self._exit_code is not None
            if closing or time.monotonic() >= self._retry_at:
                self._try(self._send)
        if self._state is not None:
            self._try(lambda: self._opened.close(self._exit_code or 0))
        if self._failed:
            self._tell(self._missing())

    def _try(self, send: Callable[[], None]) -> None:
        """Tells a failure in one line, and the first success after it."""
        try:
            send()
        except Exception as error:  # a tracker's client may raise anything
            self._retry_at = time.monotonic() + _RETRY_SECONDS
            if not self._failed:
                self._failed = True
                self._tell(f"{_reason(error)}; training goes on, and what is missing is sent later")
            return
        if self._failed:
            self._failed = False
            self._tell("answers again and has everything")

    def _send(self) -> None:
        state, tracker = self._state or self._open(), self._opened
        new = [line for line in list(self._lines) if line["step"] > state.line]
        for first in range(0, len(new), _LINES_AT_ONCE):
            some = new[first : first + _LINES_AT_ONCE]
            tracker.log([(line["step"], _values(line)) for line in some])
            state.line = some[-1]["step"]
            _store(self._run.directory, tracker.name, state)
        drawn = self._drawn
        for step, name, path in _strips(self._run.directory / SAMPLES):
            if state.strip < step <= drawn:
                tracker.picture(step, name, np.array(Image.open(path).convert("RGB")))
        if drawn > state.strip:
            state.strip = drawn
            _store(self._run.directory, tracker.name, state)

    @property
    def _opened(self) -> Tracker:
        assert self._tracker is not None
        return self._tracker

    def _open(self) -> _State:
        tracker, directory = self._opened, self._run.directory
        state = self._before = _known(directory, tracker)
        before = state.run
        run, told = tracker.open(before, directory.resolve().name, _options(self._run))
        for line in told:
            self._tell(line)
        if run != before:
            state = _State(tracker.place, run)
        self._tell(f"{'continues' if run == before else 'starts'} run {run} at {tracker.place}")
        if (last := self._lines[-1]["step"] if self._lines else 0) < state.line:
            self._tell(
                f"has steps {last} to {state.line} from before; they are not sent a second time"
            )
        _store(self._run.directory, tracker.name, state)
        self._state = state
        return state

    def _missing(self) -> str:
        state = self._state or self._before
        has = state.line if state else -1
        count = sum(line["step"] > has for line in self._lines)
        return (
            f"{quantity(count, 'line')} of the history not sent; the same command sends the rest"
            if count
            else "it may lack pictures, or how the run ended; its history is complete"
        )

    def _tell(self, what: str) -> None:
        log(f"--track={self._opened.name}: {what}")


def send_scores(run: Run, metrics: Mapping[str, Any]) -> None:
    """Sends the scores of an evaluation to the run's tracker, if --track was given in its training.
    A tracker that fails is told in one line.

    Args:
        run: the run.
        metrics: the content of metrics.json.
    """
    name = run.config.track
    if name == "none":
        return
    try:
        tracker = open_tracker(name, run.directory)
        assert tracker is not None
    except UserError as error:
        log(f"{error}; scores not sent")
        return
    failed = [f"does not answer within {_PATIENCE_SECONDS:g} s"]
    told: list[str] = []

    def send() -> None:
        try:
            told.append(_send_scores(tracker, run, metrics))
            failed.clear()
        except Exception as error:  # a tracker's client may raise anything
            failed[:] = [_reason(error)]

    thread = threading.Thread(target=send, name="tracking", daemon=True)
    thread.start()
    thread.join(_PATIENCE_SECONDS)
    log(f"--track={name}: {'scores not sent: ' + failed[0] if failed else told[0]}")


def _send_scores(tracker: Tracker, run: Run, metrics: Mapping[str, Any]) -> str:
    state = _known(run.directory, tracker)
    there, _ = tracker.open(state.run, run.directory.resolve().name, _options(run))
    if there != state.run:  # training will continue it, with the whole history
        _store(run.directory, tracker.name, _State(tracker.place, there))
    by_step: dict[int, dict[str, float]] = {}
    for result in metrics["directions"]:
        values = by_step.setdefault(step_of(result["checkpoint"]), {})
        values |= _scores(f"{metrics['split']}_scores/{result['direction']}", result)
    tracker.log(sorted(by_step.items()))
    tracker.close(0)
    count = sum(map(len, by_step.values()))
    return f"{quantity(count, 'score')} sent to run {there} at {tracker.place}"


def _scores(place: str, result: Mapping[str, Any]) -> dict[str, float]:
    """The translation's own scores by name, and the failures that were looked for."""
    found = {f"{place}/better_than_controls": float(result["reached"])}
    for table in result["tables"]:
        for name, score in table["rows"].get(OWN, {}).items():
            if score["value"] is not None:
                # names that several tables have are told apart by the table's
                longer = f"{place}/{table['title']}: {name}"
                found[longer if f"{place}/{name}" in found else f"{place}/{name}"] = score["value"]
    for finding in result["detectors"]:
        if finding["value"] is not None:
            found[f"{place}/failures/{finding['name']}"] = finding["value"]
    return found


def _known(directory: Path, tracker: Tracker) -> _State:
    """What `tracker` has of the run in `directory`; a run of another place does not count."""
    path = directory / STATE
    try:
        stored = files.read_json_object(path).get(tracker.name) if path.exists() else None
        state = _State(**stored) if stored else None
    except (TypeError, UserError) as error:
        raise UserError(f"{path}: damaged; remove it to start another run there") from error
    return state if state and state.place == tracker.place else _State(tracker.place)


def _store(directory: Path, name: str, state: _State) -> None:
    path = directory / STATE
    stored = files.read_json_object(path) if path.exists() else {}
    files.write_json(path, {**stored, name: dataclasses.asdict(state)})


def _options(run: Run) -> dict[str, Any]:
    """The options that were given or have defaults, as numbers, words or truths."""
    values = {**config_to_dict(run.config), "precision": run.precision}
    return {name: value for name, value in values.items() if value not in _NOT_OPTIONS}


def _values(line: Mapping[str, Any]) -> dict[str, float]:
    return {
        f"{group_of(name)}/{name}": float(value)
        for name, value in line.items()
        if name != "step" and isinstance(value, int | float)
    }


def _strips(directory: Path) -> list[tuple[int, str, Path]]:
    """(step, name, file) of a run's strips, by step."""
    found = [
        (int(parts[2]), f"samples_{parts[1]}/{parts[3]}", path)
        for path in directory.glob("*.png")
        if (parts := re.fullmatch(r"(test|train)-(\d+)-(ab|ba)\.png", path.name))
    ]
    return sorted(found)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text[:200] if text else type(error).__name__
