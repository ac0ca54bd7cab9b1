"""The user's own function that a flag names: `module:function`, as in `my_pictures:read`."""

import difflib
import functools
import importlib
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tfcyclegan.errors import UserError
from tfcyclegan.system.progress import log

Result = TypeVar("Result")

_NAME = r"[^\W\d]\w*"
_REFERENCE = re.compile(rf"{_NAME}(?:\.{_NAME})*:{_NAME}")
_LONGEST_REASON = 300


def is_reference(text: str) -> bool:
    """Whether `text` has the form of a reference; `find` checks whether the function exists."""
    return _REFERENCE.fullmatch(text) is not None


def find(flag: str, reference: str) -> Callable[..., Any]:
    """Imports the function that `reference` names, from the working directory or from installed
    packages, and reports it.

    Args:
        flag: the flag that names it, with its dashes, for messages.
        reference: module:function.

    Raises:
        UserError: the module or function does not exist, the module cannot be imported, or it is
            one of Python's own, which somebody else's run could misuse.
    """
    name, _, attribute = reference.partition(":")
    told = f"{flag}={reference}"
    if name.partition(".")[0] in sys.stdlib_module_names:
        raise UserError(f"{told}: {name} is one of Python's own modules; name your own function")
    here = str(Path.cwd())
    if not {"", here} & set(sys.path):  # for a command, sys.path starts with its own folder
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not f"{name}.".startswith(f"{error.name}."):
            raise UserError(f"{told}: cannot be imported: {_reason(error, name)}") from error
        raise UserError(
            f"{told}: no module {error.name} in {here} or installed; run the command in the "
            "module's folder, or set PYTHONPATH to it"
        ) from error
    except (Exception, SystemExit) as error:  # whatever the module raises
        raise UserError(f"{told}: cannot be imported: {_reason(error, name)}") from error
    found = getattr(module, attribute, None)
    if found is None:
        close = difflib.get_close_matches(attribute, vars(module), n=1)
        raise UserError(
            f"{told}: {name} has no {attribute}{f'; did you mean {close[0]}?' if close else ''}"
        )
    if not callable(found):
        raise UserError(f"{told}: is a {type(found).__name__}, not a function")
    say_once(f"{told}: runs code of {getattr(module, '__file__', name)}")
    return found


@functools.cache
def say_once(line: str) -> None:
    """Prints a line once, although a command may look up the same function several times."""
    log(line)


def was_imported(reference: str) -> bool:
    """Whether the module of a reference has been imported by this process."""
    return reference.partition(":")[0] in sys.modules


def calling(told: str, reference: str, work: Callable[..., Result], *arguments: Any) -> Result:
    """Calls `work`, which runs code of the reference's module, with `arguments`.

    Raises:
        UserError: it raised an exception; the message starts with `told` and ends with the place in
            the module.
    """
    try:
        return work(*arguments)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(f"{told}: raised {_reason(error, reference.partition(':')[0])}") from error


def _reason(error: BaseException, module: str) -> str:
    """An error on one line, with the last line of the module's file in its traceback."""
    file = getattr(sys.modules.get(module), "__file__", None)
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == file or (file is None and module in frame.filename)
    ]
    place = f" (line {lines[-1]} of {module})" if lines else ""
    text = " ".join(str(error).split())[:_LONGEST_REASON]
    return f"{type(error).__name__}{f': {text}' if text else ''}{place}"
