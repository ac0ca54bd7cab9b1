"""Objects of stores as fsspec describes them, and its errors: each store has its own kinds."""

import contextlib
import datetime
import errno
import os
from collections.abc import Iterator, Mapping
from typing import Any

from tfcyclegan.errors import RunError, UserError
from tfcyclegan.system import files

_CREDENTIALS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "gs": "run gcloud auth application-default login, or set GOOGLE_APPLICATION_CREDENTIALS",
}
_REFUSED = ("Credential", "Permission", "Forbidden", "Unauthorized", "Authentication", "Token")
_DENIED = ("Forbidden", "Anonymous caller")  # gcsfs: of an OSError
_OF_THIS_DISK = (errno.ENOSPC, errno.EROFS, errno.EDQUOT)


def by_name(entries: Any) -> dict[str, Mapping[str, Any]]:
    """Objects by name, without the empty ones that stand for folders."""
    named = {str(entry["name"]).lstrip("/"): entry for entry in entries if entry["type"] == "file"}
    return {name: entry for name, entry in named.items() if not name.endswith("/")}


def version(entry: Mapping[str, Any]) -> str:
    """What changes with an object's content."""
    for name in ("generation", "etag", "ETag"):
        if entry.get(name):
            return str(entry[name])
    return f"{entry['size']} {written_at(entry)}"


def written_at(entry: Mapping[str, Any]) -> float | None:
    """When an object was written, in seconds."""
    for name in ("LastModified", "updated", "last_modified", "created"):
        at = entry.get(name)
        if isinstance(at, str):
            at = datetime.datetime.fromisoformat(at)
        if isinstance(at, datetime.datetime):
            at = at.timestamp()
        if isinstance(at, float):
            return at
    return None


def is_path(name: str, all_names: Mapping[str, Any]) -> bool:
    """Whether a file can have this name, which must not be that of a folder either."""
    parts = name.split("/")
    folders = ("/".join(parts[:count]) for count in range(1, len(parts)))
    return (
        "\0" not in name
        and not {"", ".", ".."} & set(parts)
        and max(len(os.fsencode(part)) for part in parts) <= 255
        and not any(folder in all_names for folder in folders)
    )


def folder_of_marker(name: str) -> str | None:
    """The folder that an object marks as being written."""
    place, _, last = name.rpartition("/")
    inner = last.removeprefix(".").removesuffix(files.TEMPORARY_SUFFIX)
    is_marker = last == f".{inner}{files.TEMPORARY_SUFFIX}"
    return (f"{place}/{inner}" if place else inner) if is_marker else None


@contextlib.contextmanager
def told(address: str, what: str) -> Iterator[None]:
    """Turns a store's errors into one line.

    Args:
        address: the place.
        what: "read" or "written".

    Raises:
        UserError: there is no such bucket, or it refuses access.
        RunError: anything else.
    """
    try:
        yield
    except (UserError, RunError):
        raise
    except Exception as error:
        kinds = f"{type(error).__name__} {type(error.__cause__).__name__}"
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        scheme, _, key = address.partition("://")
        if isinstance(error, OSError) and (error.filename or error.errno in _OF_THIS_DISK):
            raise
        if isinstance(error, FileNotFoundError):
            raise UserError(
                f"{address}: not found ({reason}); make the bucket {key.split('/')[0]}, or correct "
                "the name"
            ) from error
        if any(word in kinds for word in _REFUSED) or any(word in reason for word in _DENIED):
            mend = _CREDENTIALS.get(scheme, "check its permissions")
            raise UserError(f"{address}: refuses access ({reason}); {mend}") from error
        mend = "; run the same command again when it can" if what == "read" else ""
        raise RunError(f"{address}: cannot be {what} ({reason}){mend}") from error
