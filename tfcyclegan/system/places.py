"""The places that options name: `~` is the home folder, and those on object stores, such as
s3://bucket/runs/mine, are worked on in a copy on this disk.

Libraries open, map, lock and rename files by name, which no store offers. So inside the program a
place on a store is the path of its copy, and at the borders it is its address:

    flags, and JSON that this package wrote        address -> path   `localized`
    messages, and text that this package writes    path -> address   `named`

`mirrors` keeps a copy and its store equal. Without places on stores only `in_home` has an effect.
"""

import contextlib
import dataclasses
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tfcyclegan.errors import RunError, UserError

if TYPE_CHECKING:
    from tfcyclegan.system.mirrors import Mirror

Config = TypeVar("Config")

SCHEMES = ("s3", "gs", "memory")
"""Beginnings of addresses; memory:// is fsspec's store in the memory of one process, for tests."""
_ADDRESS = re.compile(rf'(?:^|(?<=[",]))({"|".join(SCHEMES)})://')
# another store's, or what pathlib makes of an address
_NO_ADDRESS = re.compile(rf"(?:^|(?<=,))(?!(?:{'|'.join(SCHEMES)})://)(?:[a-z]\w+://|(?:s3|gs):/)")
_ON_DISK_ONLY = ("cache_dir",)
_HOME = re.compile(r"(?:^|(?<=,)|(?<=hf:))~[\w.-]*(?=/|,|$)")

_roots: set[str] = set()
_mirrors: list["Mirror"] = []


def root() -> Path:
    """The folder of all copies."""
    from tfcyclegan.system import downloads

    return downloads.cache_directory().resolve() / "stores"


def in_home(text: str) -> str:
    """A text with the home folder for `~`, or that of a user for `~user`, at its start, behind
    commas and behind hf:. Shells replace a `~` that begins a word, not that of --run_dir=~/run.
    """
    # pathlib would raise an error for an unknown user
    return _HOME.sub(lambda found: os.path.expanduser(found[0]), text)  # noqa: PTH111


def localized(text: str) -> str:
    """A text with the paths of copies for the addresses at its start, behind commas and at the
    start of JSON strings.
    """
    if "://" not in text or not _ADDRESS.search(text):
        return text
    place = str(root())
    _roots.add(place)
    return _ADDRESS.sub(lambda found: f"{place}/{found[1]}/", text)


def named(text: str) -> str:
    """A text with the addresses of stores for the paths of copies; also of JSON."""
    for place in _roots:
        for form in {place, json.dumps(place)[1:-1]}:
            text = re.sub(rf"{re.escape(form)}/({'|'.join(SCHEMES)})/", r"\1://", text)
    return text


def on_store(path: Path) -> bool:
    """Whether a path is that of a copy or inside one."""
    return any(path.is_relative_to(f"{place}/{name}") for place in _roots for name in SCHEMES)


def bring(path: Path) -> None:
    """Makes the copy at a path equal to its store, once a command; no effect on other paths.

    Raises:
        UserError: the store's package is missing, it has no such bucket, or it refuses access.
        RunError: it cannot be reached.
    """
    if on_store(path) and _mirror_of(path) is None:
        from tfcyclegan.system.mirrors import Mirror

        _mirrors.append(Mirror(path, root()))


@contextlib.contextmanager
def at_hand(config: Config) -> Iterator[Config]:
    """Yields a command's options with the home folder for `~` and with the paths of copies, which
    are equal to their stores; at the end the stores have what the command has written.

    Args:
        config: the options, a dataclass.

    Raises:
        UserError, RunError: see `bring`; or something could not be written.
    """
    changed: dict[str, Any] = {}
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        stated = getattr(config, field.name)
        if not isinstance(stated, str):
            continue
        if (given := in_home(stated)) != stated:
            changed[field.name] = given
        if unknown := _NO_ADDRESS.search(given):
            raise UserError(
                f"--{field.name}={given}: {unknown[0]} is no store that is known; give a path, or "
                "a string that starts with s3:// or gs://"
            )
        if (here := localized(given)) == given:
            continue
        if field.name in _ON_DISK_ONLY:
            raise UserError(f"--{field.name}={given}: is mapped into memory; give a local folder")
        if any("," in place for place in _roots):
            raise UserError(
                f"--{field.name}={given}: its copy would be in {root()}, whose comma separates "
                "places; set TFCYCLEGAN_CACHE to another folder"
            )
        if engine := _engine(config):
            raise UserError(
                f"{engine}: its workers share files by their paths, but --{field.name}={given} is "
                "on a store; give a folder on a disk that they share"
            )
        changed[field.name] = here
    try:
        opened = [Path(place) for value in changed.values() for place in value.split(",")]
        # outer ones first, whose copies include those inside: each object has one sender
        for place in sorted(opened, key=lambda path: len(path.parts)):
            bring(place)
        yield dataclasses.replace(config, **changed) if changed else config  # type: ignore[type-var]
    except BaseException:
        from tfcyclegan.system.progress import log

        for mirror in _mirrors:
            try:
                mirror.settle(final=True)
            except (RunError, UserError) as error:
                log(str(error))  # beside the error that ended the command
        raise
    else:
        for mirror in _mirrors:
            mirror.settle(final=True)
    finally:
        while _mirrors:
            _mirrors.pop().close()


def _engine(config: Any) -> str:
    """The flag that hands a command's work to other processes, or ""."""
    given = {name: getattr(config, name, "") for name in ("engine", "beam_flags")}
    return next(
        (f"--{name}={value}" for name, value in given.items() if value not in ("", "local")), ""
    )


def finished(path: Path) -> None:
    """Sends a file or folder that now is under its final name, if it is of a copy."""
    if (mirror := _mirror_of(path)) is not None:
        mirror.finished(path)
    elif on_store(path):
        raise UserError(f"{path}: is part of no place of this command; choose one without a comma")


def grown(path: Path) -> None:
    """Like `finished`, for a file that grows by lines; not for each one."""
    if (mirror := _mirror_of(path)) is not None:
        mirror.grown(path)


def removed(path: Path) -> None:
    """Removes a file or folder that was removed here from the store too."""
    if (mirror := _mirror_of(path)) is not None:
        mirror.removed(path)


def settle() -> None:
    """Sends everything that has changed; files that grow get to the store only by this."""
    for mirror in _mirrors:
        mirror.settle()


def _mirror_of(path: Path) -> "Mirror | None":
    holders = [mirror for mirror in _mirrors if path.is_relative_to(mirror.directory)]
    return max(holders, key=lambda mirror: len(mirror.directory.parts), default=None)
