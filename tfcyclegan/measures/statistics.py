"""What measures keep of pictures, gathered while these pass once: the accumulator of an evaluation.

A measure does not walk over pictures. It asks `EvaluationSet.rows` for rows: what a `Statistic`
makes of each picture of a set, such as its sharpness, its moments, its confusion matrix or its
features. `answers` lets all measures ask, gathers everything that was asked for in one pass, and
asks them again. Pictures, controls and truths are read and made as they pass, and let go.

Rows are small and are kept picture by picture, since intervals are drawn over pictures (bootstrap,
halves) and tails are quantiles of them. So all numbers are exact, whatever the order and the parts
in which pictures came; memory grows by the rows of a picture, some kilobytes, never by its pixels.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tfcyclegan.errors import UserError
from tfcyclegan.measures.pictures import Made, Renamed
from tfcyclegan.measures.shared import sharing
from tfcyclegan.system import hardware
from tfcyclegan.system.parallel import in_order
from tfcyclegan.system.progress import track

if TYPE_CHECKING:
    from tfcyclegan.measures.evaluation_set import EvaluationSet

Result = TypeVar("Result")
Row = Any
INPUTS, TRUTHS = "inputs", "truths"
REAL, SOURCE = "real training pictures", "training pictures of the inputs' domain"
"""The pictures of these two are called by their places."""
TRAINING = (REAL, SOURCE)

AT_ONCE = 16
"""Pictures that a network is given at once."""


@dataclass(frozen=True)
class View:
    """A picture as it passes.

    Attributes:
        scored: all that is known.
        of: the set that it is of.
        name: its name there.
        index: its place among those that the statistic is made of.
        count: how many these are.
        known: what was read or made of the scene, for all statistics that look at it.
    """

    scored: "EvaluationSet"
    of: str
    name: Any
    index: int
    count: int
    known: dict[Any, Any]

    def once(self, key: Any, make: Callable[[], Result]) -> Result:
        """What `make` gives, made once for all views of the scene."""
        if key not in self.known:
            self.known[key] = make()
        result: Result = self.known[key]
        return result

    def look(self, pictures: Any, name: Any = None) -> np.ndarray:
        """The picture of this name, or of another, in `pictures`, read once; a control is made of
        the input that is there already.
        """
        name = self.name if name is None else name

        def read() -> np.ndarray:
            if isinstance(pictures, Made):
                return pictures.function(self.look(pictures.arrays, name))
            if isinstance(pictures, Renamed):
                return self.look(pictures.arrays, pictures.names[name])
            found: np.ndarray = pictures[name]
            return found

        return self.once((id(pictures), name), read)

    @property
    def picture(self) -> np.ndarray:
        return self.look(self.scored.all_sets[self.of])

    @property
    def input(self) -> np.ndarray:
        """What it is made of; a real training picture is made of itself."""
        inputs = self.scored.inputs
        return self.look(inputs) if self.name in inputs else self.picture

    @property
    def truth(self) -> np.ndarray:
        return self.look(self.scored.truths)

    @property
    def train_ids(self) -> np.ndarray:
        """Of what it shows, [H, W] as stored."""
        ids = self.scored.ids_of(self.of)
        return self.once(
            ("train ids", id(ids)), lambda: self.scored.table.to_train_ids(self.look(ids))
        )


# Of one picture, in such a form that many can be kept; UserError where it cannot be had of it.
Statistic = Callable[[View], Row]
# A statistic, the set, and the names of the pictures: None for all.
Request = tuple[Any, str, tuple[Any, ...] | None]


@dataclass(frozen=True)
class InBatches:
    """A statistic of pictures alone that a network makes of `AT_ONCE` of them together, one batch
    at a time.
    """

    function: Callable[["EvaluationSet", list[np.ndarray]], Iterable[Row]]


def of_picture(function: Callable[[np.ndarray], Row]) -> Statistic:
    """The statistic that is a function of the picture alone."""
    return _Of(function, ("picture",))


def of_pair(function: Callable[[np.ndarray, np.ndarray], Row]) -> Statistic:
    """The statistic that is a function of the input and of the picture."""
    return _Of(function, ("input", "picture"))


def against_truth(function: Callable[[np.ndarray, np.ndarray], Row]) -> Statistic:
    """The statistic that is a function of the picture and of its truth."""
    return _Of(function, ("picture", "truth"))


@dataclass(frozen=True)
class _Of:
    function: Callable[..., Row]
    parts: tuple[str, ...]

    def __call__(self, view: View) -> Row:
        return self.function(*(getattr(view, part) for part in self.parts))


class NotYet(Exception):
    """Rows are asked for that the next pass will gather."""


class Rows:
    """The rows of some pictures, by what was asked for: the accumulator. Several threads may add.

    Args:
        scored: whose pictures these are.
        requests: what is asked for.
    """

    def __init__(self, scored: "EvaluationSet", requests: Iterable[Request]):
        self._scored = scored
        self._places = {
            request: {name: place for place, name in enumerate(scored.names_of(*request[1:]))}
            for request in requests
        }
        self._rows: dict[Request, dict[int, Row]] = {request: {} for request in self._places}
        self._waiting: dict[tuple[Request, int], dict[int, np.ndarray]] = {}
        self._lock = threading.Lock()

    @property
    def names(self) -> list[Any]:
        """Of all pictures that are to be added."""
        return list(dict.fromkeys(name for places in self._places.values() for name in places))

    def add(self, name: Any) -> None:
        """Looks at the pictures of that name."""
        known: dict[Any, Any] = {}
        with sharing():
            for request, places in self._places.items():
                if name in places:
                    statistic, of, _ = request
                    view = View(self._scored, of, name, places[name], len(places), known)
                    if isinstance(statistic, InBatches):
                        self._put(request, {view.index: view.picture})
                    else:
                        self._rows[request][view.index] = _row(statistic, view)

    def _put(self, request: Request, pictures: Mapping[int, np.ndarray]) -> None:
        """Pictures by their places, which wait until their batch is whole: a network is given the
        same batches in whatever order they come.
        """
        with self._lock:
            for place, picture in pictures.items():
                batch = self._waiting.setdefault((request, place // AT_ONCE), {})
                batch[place] = picture
                if len(batch) == AT_ONCE:
                    self._give(request, place // AT_ONCE)

    def _give(self, request: Request, number: int) -> None:
        batch = sorted(self._waiting.pop((request, number)).items(), key=lambda item: item[0])
        places, pictures = zip(*batch, strict=True)
        made = request[0].function(self._scored, list(pictures))
        self._rows[request].update(zip(places, made, strict=True))

    def merge(self, other: "Rows") -> None:
        """Takes the rows of other pictures, of which the same was asked."""
        for request, rows in other._rows.items():
            self._rows[request].update(rows)
        for (request, _), batch in other._waiting.items():
            self._put(request, batch)

    def finish(self) -> dict[Request, list[Row]]:
        """In the order of the pictures."""
        for request, number in list(self._waiting):
            self._give(request, number)
        return {
            request: [row for _, row in sorted(rows.items(), key=lambda item: item[0])]
            for request, rows in self._rows.items()
        }


def _row(statistic: Statistic, view: View) -> Row | UserError:
    try:
        return statistic(view)
    except UserError as error:  # told where the row is asked for
        return error


@dataclass
class Gathered:
    """The rows of an evaluation.

    Attributes:
        rows: by what was asked for.
        asked: what the next pass is to gather, while measures ask for all that they need; else
            None, and what is asked for is gathered at once.
    """

    rows: dict[Request, list[Row]] = field(default_factory=dict)
    asked: dict[Request, None] | None = None

    def of(self, scored: "EvaluationSet", requests: Sequence[Request]) -> list[list[Row]]:
        """The rows of each request.

        Raises:
            NotYet: the next pass will gather them.
            UserError: a statistic cannot be had of a picture.
        """
        if missing := [request for request in requests if request not in self.rows]:
            if self.asked is not None:
                self.asked.update(dict.fromkeys(missing))
                raise NotYet
            self.gather(scored, missing)
        found = [self.rows[request] for request in requests]
        for row in (row for rows in found for row in rows):
            if isinstance(row, UserError):
                raise row
        return found

    def gather(self, scored: "EvaluationSet", requests: Iterable[Request]) -> None:
        """In one pass; training pictures first, since statistics may look at what they gave."""
        by_walk = [[r for r in requests if (r[1] in TRAINING) is first] for first in (True, False)]
        for some in filter(None, by_walk):
            part = Rows(scored, some)
            with ThreadPoolExecutor(hardware.cores()) as pool:
                added = in_order(pool, part.add, part.names, ahead=AT_ONCE)
                for _ in track(added, total=len(part.names), unit="image", label="scoring"):
                    pass
            self.rows |= part.finish()


def answers(
    scored: "EvaluationSet", questions: Sequence[tuple[str, Callable[["EvaluationSet"], Any]]]
) -> tuple[list[Any], dict[str, float]]:
    """What the functions say of `scored`, each with a name, and the seconds by name; those of the
    passes over pictures are "pictures".

    Each function is called until no rows are missing. What asks for rows by other rows, as the
    scores by luminance do, needs a pass more.
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
