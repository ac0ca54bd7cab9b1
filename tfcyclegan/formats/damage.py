"""What libraries raise on files that are damaged, as the reason why. Imports no TensorFlow."""

import contextlib
from collections.abc import Iterator

from tfcyclegan.data.intake import BadPicture
from tfcyclegan.errors import UserError


@contextlib.contextmanager
def reading(what: str = "damaged") -> Iterator[None]:
    """Turns whatever is raised within into BadPicture, `what` and the reason on one line; OSError
    stays, since a rerun may find the file mended.
    """
    try:
        yield
    except (BadPicture, UserError, OSError):
        raise
    except MemoryError as error:
        raise BadPicture("more values than memory holds") from error
    except Exception as error:  # decoders raise nearly every type on damaged input
        raise BadPicture(f"{what}: {told(error)}") from error


def told(error: BaseException) -> str:
    """An error's text on one line, or its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
