"""A job: one function for many items, on the workers of an engine.

Everything goes through a folder that all workers share; the engine itself only carries the items'
numbers. The folder holds

    job             the function that makes the function of items, which each worker calls once
    0.item  ...     the items
    0.result  ...   the results, or the errors that end the job
    stop            there once an item has ended the job

all pickled. A result appears by rename and is never made again, so an engine may repeat an item
whose worker was lost, or give it to two workers. Nothing that was there before the job is
unpickled.
"""

import contextlib
import functools
import importlib.util
import pickle
import re
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tfcyclegan.errors import RunError, UserError
from tfcyclegan.system import files
from tfcyclegan.system.tensorflow_setup import import_tensorflow

_LOOK_EVERY_SECONDS = 1.0
_JOB, _STOP = "job", "stop"
_OF_JAVA = re.compile(r"at [\w.$/]+\(|\.\.\. \d+ more|Driver stacktrace:|: None")

Item = TypeVar("Item")
Result = TypeVar("Result")


class Engine(Protocol):
    """An engine, as the options choose it."""

    @property
    def name(self) -> str:
        """Its name in messages."""
        ...

    def run(self, work: Callable[[int], None], numbers: Sequence[int], /) -> None:
        """Calls `work` with each of `numbers` on its workers, for some perhaps more than once, and
        waits for them; raises whatever the engine raises if one of them fails for good.
        """
        ...


def results(
    engine: Engine,
    make: Callable[[], Callable[[Item], Result]],
    items: Sequence[Item],
    folder: Path,
    *,
    finished: Callable[[Item], None] = lambda _: None,
) -> list[Result]:
    """The results of a function for some items, in their order.

    Args:
        engine: where it is called.
        make: makes the function; each worker process calls it once, to load what all items need. It
            is pickled, as are the items.
        items: the items. The function may be called more than once with one of them, even at the
            same time.
        folder: on a disk that all workers see under this name; the job's own folder is made there
            and removed at the end.
        finished: called here with each item once its result is there.

    Raises:
        UserError, RunError: the function raised it for an item; or the engine failed.
    """
    import cloudpickle  # comes with the extras of the engines

    if not items:
        return []
    place = folder.absolute() / uuid.uuid4().hex
    place.mkdir(parents=True)
    try:
        files.write_bytes(place / _JOB, cloudpickle.dumps(make))
        for number, item in enumerate(items):
            (place / f"{number}.item").write_bytes(cloudpickle.dumps(item))
        with _watching(place, items, finished):
            try:
                engine.run(functools.partial(_work, str(place)), range(len(items)))
            except Exception as error:  # each engine raises its own types
                _raise_stored(place)
                raise RunError(
                    f"{engine.name}: {_reason(error)}; the same command continues from what is "
                    "finished"
                ) from error
        _raise_stored(place)  # before a result that is missing because of it
        return [_result(engine, place, number) for number in range(len(items))]
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _reason(error: Exception) -> str:
    """The last line of an error's text that is not part of Java's stack."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not _OF_JAVA.match(line)]
    return told[-1] if told else type(error).__name__


def _work(place: str, number: int) -> None:
    """Makes the result of an item, on a worker, unless it is there or the job has ended."""
    folder = Path(place)
    result = folder / f"{number}.result"
    if result.exists() or not folder.exists() or (folder / _STOP).exists():
        return
    import cloudpickle

    outcome: tuple[Any, UserError | RunError | None]
    try:
        function = _function(place)
        outcome = function(pickle.loads((folder / f"{number}.item").read_bytes())), None
    except (UserError, RunError) as error:
        outcome = None, error
    if not folder.exists():  # another worker was quicker, and the job is over
        return
    files.write_bytes(result, cloudpickle.dumps(outcome))
    if outcome[1] is not None:
        files.write_text(folder / _STOP, str(number))


_lock = threading.Lock()  # a worker may have several threads


def _function(place: str) -> Callable[[Any], Any]:
    with _lock:
        return _made(place)


@functools.lru_cache(maxsize=1)
def _made(place: str) -> Callable[[Any], Any]:
    """The function of a job's items; that of an earlier job is forgotten."""
    import_tensorflow()
    make: Callable[[], Callable[[Any], Any]] = pickle.loads((Path(place) / _JOB).read_bytes())
    return make()


def _raise_stored(place: Path) -> None:
    """Raises the error that ended the job, if one did."""
    if (place / _STOP).exists():
        _load(place / f"{(place / _STOP).read_text()}.result")


def _load(path: Path) -> Any:
    """A stored result; raises the error that is there instead."""
    result, error = pickle.loads(path.read_bytes())
    if error is not None:
        raise error
    return result


def _result(engine: Engine, place: Path, number: int) -> Any:
    path = place / f"{number}.result"
    if not path.exists():
        raise RunError(
            f"{place.parent}: the workers of {engine.name} did not write there; it must be on a "
            "disk that all of them see under this name"
        )
    return _load(path)


@contextlib.contextmanager
def _watching(
    place: Path, items: Sequence[Item], finished: Callable[[Item], None]
) -> Iterator[None]:
    """Calls `finished` with each item whose result has appeared, until the block ends."""
    waiting, ended = set(range(len(items))), threading.Event()

    def look() -> None:
        for number in sorted(waiting & _numbers(place)):
            waiting.discard(number)
            finished(items[number])

    def keep_looking() -> None:
        while not ended.wait(_LOOK_EVERY_SECONDS):
            look()

    watcher = threading.Thread(target=keep_looking, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        look()


def _numbers(place: Path) -> set[int]:
    return {
        int(path.stem)
        for path in place.iterdir()
        if path.suffix == ".result" and path.stem.isdigit()
    }


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Makes a folder for jobs, empty, and removes it at the end; the one around it is locked."""
    with files.exclusive_lock(folder.parent):
        shutil.rmtree(folder, ignore_errors=True)  # left by a process that was killed
        folder.mkdir()
        try:
            yield
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def require(package: str, flag: str, name: str, extra: str) -> None:
    """Raises UserError if an engine's Python package is not installed."""
    if importlib.util.find_spec(package) is None or importlib.util.find_spec("cloudpickle") is None:
        raise UserError(
            f"{flag}: {name} is not installed; pip install 'tfcyclegan[{extra}]', see "
            "docs/distributed.md"
        )
