"""Folders of pictures in, folders of PNGs out: the loop of all commands that make something of each picture."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tfcyclegan import files
from tfcyclegan.data import folders, intake
from tfcyclegan.data.source import DataSource
from tfcyclegan.errors import UserError
from tfcyclegan.progress import Progress, say

MAX_PIXELS = 100_000_000


def pictures_of_path(path: Path) -> dict[str, Callable[[], bytes]]:
    """{name without ending, below the folder: how to read it} of a picture, or of all pictures in a folder tree.

    Raises:
        UserError: nothing there, or two pictures that would get the same name.
    """
    if path.is_file():
        return {path.stem: lambda: folders.read(path)}
    if not path.is_dir():
        raise UserError(f"--input={path}: no such file or directory")
    found: dict[str, Callable[[], bytes]] = {}
    for entry in sorted(folders.walk(path), key=lambda entry: entry.path):
        if not folders.is_picture(entry.name):
            continue
        name = Path(entry.path).relative_to(path).with_suffix("").as_posix()
        if name in found:
            raise UserError(f"--input={path}: two pictures are called {name}; rename one, since both become {name}.png")
        found[name] = lambda file=Path(entry.path): folders.read(file)  # type: ignore[misc]
    if not found:
        raise UserError(f"--input={path}: no pictures there")
    return found


def pictures_of_split(source: DataSource, split: str) -> Iterator[tuple[str, bytes]]:
    """(name without ending, below the split's folder; bytes) of every picture of a prepared split."""
    for filename, encoded in source.pictures(split):
        yield picture_name(filename, split), encoded


def picture_name(filename: str, split: str) -> str:
    """What a stored picture is called: its file name without its ending and without the split's folder."""
    return Path(filename.removeprefix(f"{split}/")).with_suffix("").as_posix()


def write_pictures(
    pictures: Iterator[tuple[str, bytes]],
    output: Path,
    targets: Callable[[str], Sequence[Path]],
    work: Callable[[bytes, str], Sequence[bytes]],
    *,
    total: int,
    record: str,
    identity: dict[str, Any],
    told: tuple[str, str, str],
) -> None:
    """Makes PNGs of each picture; those already there by the same maker are kept.

    Args:
        pictures: (name, encoded bytes).
        output: folder of all targets.
        targets: the files of a picture's name, in the order in which they are written.
        work: their content, of a picture's bytes and name; raises `intake.BadPicture`.
        total: how many pictures there are.
        record: name of the file in `output` that tells who made what is there.
        identity: its content.
        told: what is going on, what was done, and what `output` holds if it is another's, for people.

    Raises:
        UserError: `output` is another's, or pictures that cannot be read (after all others were worked on).
    """
    doing, done, others = told
    if (output / record).exists():
        if files.read_json(output / record) != identity:
            raise UserError(f"--output={output}: holds {others}; choose another folder")
    elif output.exists() and any(output.iterdir()):
        raise UserError(f"--output={output}: is not empty and was not made by this command; choose another folder")
    files.write_json(output / record, identity)
    bad: list[str] = []
    made = 0
    with Progress(total, unit="image", label=doing) as progress:
        for name, content in pictures:
            if not all(target.exists() for target in targets(name)):
                try:
                    contents = work(content, name)
                except intake.BadPicture as error:
                    bad.append(f"{name}: {error}")
                else:
                    for target, png in zip(targets(name), contents, strict=True):
                        files.write_bytes(target, png)
                    made += 1
            progress.advance()
    if bad:
        raise UserError(f"{bad[0]}; {len(bad)} of {total} pictures could not be read, the others are in {output}")
    kept = f", {total - made} were there already" if made < total else ""
    say(f"{output}: {made} pictures {done}{kept}")
