"""Turns libraries' exceptions on damaged files into reasons. Imports no TensorFlow."""

import contextlib
from collections.abc import Iterator

from tfcyclegan.data.intake import BadPicture
from tfcyclegan.errors import UserError


@contextlib.contextmanager
def reading(what: str = "damaged") -> Iterator[None]:
    """Turns any exception within into BadPicture with `what` and the reason on one line; OSError
    passes, since the file may be repaired before a rerun.
    """
    try:
        yield
    except (BadPicture, UserError, OSError):
        raise
    except MemoryError as error:
        raise BadPicture("more values than fit in memory") from error
    except Exception as error:  # decoders raise nearly every type on damaged input
        raise BadPicture(f"{what}: {told(error)}") from error


def told(error: BaseException) -> str:
    """An error's text on one line, or its type if it has none."""
    return " ".join(str(error).split()) or type(error).__name__
