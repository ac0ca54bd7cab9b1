"""Collects per-picture statistics for all measures in a single pass over the pictures, here or by
the workers of an engine.

A measure does not iterate over pictures. It calls `EvaluationSet.rows` and gets rows: the output of
a `Statistic` for each picture of a set, such as its sharpness, colour moments, confusion matrix or
network features. `answers` runs all measures to find out what they request, gathers everything in
one pass, and runs them again. Pictures, controls and truths are read or computed during the pass
and then released.

Rows are small and kept for each picture, because intervals resample pictures (bootstrap, halves)
and tails are quantiles over them. All numbers are therefore exact, in whatever order the pictures
are processed. Together they weigh tens of kilobytes a picture, so they are kept on disk, and each
measure loads its own.
"""

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tfcyclegan.engines import Engine, results
from tfcyclegan.errors import UserError
from tfcyclegan.measures.kept_rows import KeptRows
from tfcyclegan.measures.pictures import Made, Renamed
from tfcyclegan.measures.shared import once, sharing
from tfcyclegan.system import hardware
from tfcyclegan.system.parallel import in_order
from tfcyclegan.system.progress import Progress

if TYPE_CHECKING:
    from tfcyclegan.measures.evaluation_set import EvaluationSet

Result = TypeVar("Result")
Row = Any
INPUTS, TRUTHS = "inputs", "truths"
REAL, SOURCE = "real training pictures", "training pictures of the inputs' domain"
"""Pictures of these two sets are named by their index."""
TRAINING = (REAL, SOURCE)

AT_ONCE = 16
"""Batch size of the networks."""
PART = 2 * AT_ONCE
"""Pictures that a worker of an engine takes at once: whole batches, so that networks get the same
ones as here.
"""
HELD = 16 * AT_ONCE
"""Pictures whose rows are in memory at once."""


@dataclass(frozen=True)
class View:
    """A picture during the pass.

    Attributes:
        scored: the evaluation set.
        of: name of the picture's set.
        name: the picture's name in that set.
        index: its index among the pictures that the statistic is requested for.
        count: how many those are.
    """

    scored: "EvaluationSet"
    of: str
    name: Any
    index: int
    count: int

    def look(self, pictures: Any, name: Any = None) -> np.ndarray:
        """The picture called `name` (by default, this view's name) in `pictures`, read once per
        scene. A control is computed from the input already read.
        """
        name = self.name if name is None else name

        def read() -> np.ndarray:
            if isinstance(pictures, Made):
                return pictures.function(self.look(pictures.arrays, name))
            if isinstance(pictures, Renamed):
                return self.look(pictures.arrays, pictures.names[name])
            found: np.ndarray = pictures[name]
            return found

        return once((id(pictures), name), read)

    @property
    def picture(self) -> np.ndarray:
        return self.look(self.scored.all_sets[self.of])

    @property
    def input(self) -> np.ndarray:
        """The input that the picture was made from; a real training picture is its own input."""
        inputs = self.scored.inputs
        return self.look(inputs) if self.name in inputs else self.picture

    @property
    def truth(self) -> np.ndarray:
        return self.look(self.scored.truths)

    @property
    def train_ids(self) -> np.ndarray:
        """Train ids of the picture's scene, [H, W] at the stored size."""
        ids = self.scored.ids_of(self.of)
        return once(("train ids", id(ids)), lambda: self.scored.table.to_train_ids(self.look(ids)))


# Computes one picture's row, small enough to keep many; raises UserError if it cannot.
Statistic = Callable[[View], Row]
# (statistic, name of the set, names of the pictures or None for all).
Request = tuple[Any, str, tuple[Any, ...] | None]


@dataclass(frozen=True)
class InBatches:
    """A statistic that a network computes from `AT_ONCE` pictures together, one batch at a time."""

    function: Callable[["EvaluationSet", list[np.ndarray]], Iterable[Row]]


def of_picture(function: Callable[[np.ndarray], Row]) -> Statistic:
    """A statistic that depends on the picture alone."""
    return _Of(function, ("picture",))


def of_pair(function: Callable[[np.ndarray, np.ndarray], Row]) -> Statistic:
    """A statistic of the input and the picture."""
    return _Of(function, ("input", "picture"))


def against_truth(function: Callable[[np.ndarray, np.ndarray], Row]) -> Statistic:
    """A statistic of the picture and its truth."""
    return _Of(function, ("picture", "truth"))


@dataclass(frozen=True)
class _Of:
    function: Callable[..., Row]
    parts: tuple[str, ...]

    def __call__(self, view: View) -> Row:
        return self.function(*(getattr(view, part) for part in self.parts))


class NotYet(Exception):
    """Signals that the requested rows will be gathered in the next pass."""


class Rows:
    """The rows requested of some pictures, filled in picture by picture, from several threads if
    need be.

    Args:
        scored: the evaluation set that holds the pictures.
        requests: the rows to gather.
        part: number of the part of `size` pictures of each request to gather; None for all.
        size: pictures in a part.
    """

    def __init__(
        self,
        scored: "EvaluationSet",
        requests: Iterable[Request],
        part: int | None = None,
        size: int = PART,
    ):
        self._scored = scored
        names = {request: tuple(scored.names_of(*request[1:])) for request in requests}
        self._counts = {request: len(some) for request, some in names.items()}
        self._size, self._first = size, 0 if part is None else part * size
        those = slice(self._first, None if part is None else self._first + size)
        # most requests are of the same pictures, and each place weighs more than many a row
        shared = {
            some: {name: place for place, name in enumerate(some[those], self._first)}
            for some in names.values()
        }
        self._places = {request: shared[some] for request, some in names.items()}
        self._rows: dict[Request, list[Row]] = {
            request: [None] * len(places) for request, places in self._places.items()
        }
        self._waiting: dict[tuple[Request, int], dict[int, np.ndarray]] = {}
        self._lock = threading.Lock()

    @property
    def parts(self) -> range:
        """The numbers of all parts."""
        return range(-(-max(self._counts.values(), default=0) // self._size))

    @property
    def names(self) -> list[Any]:
        """Names of all pictures to add."""
        return list(dict.fromkeys(name for places in self._places.values() for name in places))

    def add(self, name: Any) -> None:
        """Computes all requested rows of the pictures called `name`."""
        with sharing():
            for request, places in self._places.items():
                if name in places:
                    statistic, of, _ = request
                    view = View(self._scored, of, name, places[name], self._counts[request])
                    if isinstance(statistic, InBatches):
                        self._put(request, view.index, view.picture)
                    else:
                        self._rows[request][view.index - self._first] = _row(statistic, view)

    def _put(self, request: Request, place: int, picture: np.ndarray) -> None:
        """Holds a picture back until its batch is complete, so that the network gets the same
        batches in whatever order the pictures arrive.
        """
        with self._lock:
            batch = self._waiting.setdefault((request, place // AT_ONCE), {})
            batch[place] = picture
            if len(batch) == AT_ONCE:
                self._run_batch(request, place // AT_ONCE)

    def _run_batch(self, request: Request, number: int) -> None:
        batch = sorted(self._waiting.pop((request, number)).items(), key=lambda item: item[0])
        places, pictures = zip(*batch, strict=True)
        made = request[0].function(self._scored, list(pictures))
        for place, row in zip(places, made, strict=True):
            self._rows[request][place - self._first] = row

    def finish(self) -> dict[Request, list[Row]]:
        """All rows by request, in the order of the pictures."""
        for request, number in list(self._waiting):
            self._run_batch(request, number)
        return self._rows


def _row(statistic: Statistic, view: View) -> Row | UserError:
    try:
        return statistic(view)
    except UserError as error:  # raised where the row is requested
        return error


@dataclass
class Gathered:
    """The rows gathered so far in an evaluation.

    Attributes:
        rows: by request, those that an engine gathered.
        asked: collects requests for the next pass while `answers` runs the measures; None
            otherwise, and missing rows are then gathered at once.
        engine: whose workers gather; None gathers here.
        folder: where they and this process exchange rows, and on whose disk rows wait; None for
            that of temporary files, without an engine.
    """

    rows: dict[Request, list[Row]] = field(default_factory=dict)
    asked: dict[Request, None] | None = None
    engine: Engine | None = None
    folder: Path | None = None

    @functools.cached_property
    def kept(self) -> KeptRows:
        """The rows gathered here."""
        return KeptRows(self.folder)

    def of(self, scored: "EvaluationSet", requests: Sequence[Request]) -> list[list[Row]]:
        """The rows of each request.

        Raises:
            NotYet: the rows will be gathered in the next pass.
            UserError: a statistic could not be computed for a picture.
        """
        if missing := [one for one in requests if one not in self.rows and one not in self.kept]:
            if self.asked is not None:
                self.asked.update(dict.fromkeys(missing))
                raise NotYet
            self.gather(scored, missing)
        found = [
            self.rows[request] if request in self.rows else self.kept.of(request)
            for request in requests
        ]
        for row in (row for rows in found for row in rows):
            if isinstance(row, UserError):
                raise row
        return found

    def gather(self, scored: "EvaluationSet", requests: Iterable[Request]) -> None:
        """Gathers rows in one pass, training pictures first, because other statistics may depend on
        their rows.
        """
        by_walk = [[r for r in requests if (r[1] in TRAINING) is first] for first in (True, False)]
        for some in filter(None, by_walk):
            if self.engine is not None:
                self.rows |= self._on(self.engine, scored, some, Rows(scored, some).parts)
                continue
            parts = [
                Rows(scored, some, number, HELD) for number in Rows(scored, some, 0, HELD).parts
            ]
            total = sum(len(part.names) for part in parts)
            with Progress(total, unit="image", label="scoring") as progress:
                while parts:
                    self.kept.add(_gathered(parts.pop(0), progress.advance))

    def _on(
        self, engine: Engine, scored: "EvaluationSet", requests: list[Request], parts: range
    ) -> dict[Request, list[Row]]:
        """The rows, gathered by the workers of an engine, part by part."""
        make = functools.partial(_on_worker, scored.of_statistics(), requests)
        folder = self.folder or Path()
        with Progress(len(parts), unit="part", label="scoring") as progress:
            found = results(engine, make, parts, folder, finished=lambda _: progress.advance())
        return {
            request: [row for part in found for row in part[index]]
            for index, request in enumerate(requests)
        }


def _on_worker(
    scored: "EvaluationSet", requests: list[Request]
) -> Callable[[int], list[list[Row]]]:
    """Gathers the rows of a part, by request, on a worker."""

    def gather(number: int) -> list[list[Row]]:
        found = _gathered(Rows(scored, requests, number))
        return [found[request] for request in requests]

    return gather


def _gathered(part: Rows, advance: Callable[[], None] = lambda: None) -> dict[Request, list[Row]]:
    """Adds all pictures of a part, and finishes it."""
    with ThreadPoolExecutor(hardware.cores()) as pool:
        for _ in in_order(pool, part.add, part.names, ahead=AT_ONCE):
            advance()
    return part.finish()


def answers(
    scored: "EvaluationSet", questions: Sequence[tuple[str, Callable[["EvaluationSet"], Any]]]
) -> tuple[list[Any], dict[str, float]]:
    """Calls all `questions` with `scored` and returns their results, and the seconds that each took
    by name; "pictures" is the time of the passes.

    A question is called until none of its rows are missing. One that chooses rows by the values of
    others, as the scores by luminance do, needs a second pass.
    """
    found: dict[int, Any] = {}
    seconds: dict[str, float] = {}

    def timed(name: str, function: Callable[[], Result]) -> Result:
        started = time.monotonic()
        try:
            return function()
        finally:
            seconds[name] = seconds.get(name, 0.0) + time.monotonic() - started

    gathered = scored.gathered
    while len(found) < len(questions):
        asked: dict[Request, None] = {}
        gathered.asked = asked
        try:
            for index, (name, question) in enumerate(questions):
                if index not in found:
                    with contextlib.suppress(NotYet):
                        found[index] = timed(name, lambda: scored.once(question))  # noqa: B023
        finally:
            gathered.asked = None
        timed("pictures", lambda: gathered.gather(scored, asked))  # noqa: B023
    return [found[index] for index in range(len(questions))], seconds
