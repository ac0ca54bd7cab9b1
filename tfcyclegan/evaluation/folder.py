"""Translations that some other program made: a folder of PNGs, named as the pictures of the split that they are translations of."""

from pathlib import Path

from tfcyclegan.config import Size
from tfcyclegan.data import folders
from tfcyclegan.data.domains import Domains
from tfcyclegan.data.images import Scale
from tfcyclegan.errors import UserError
from tfcyclegan.evaluation.material import Material, Pairs, Pictures, assemble, read_png
from tfcyclegan.picture_folders import pictures_of_split

_LISTED = 5


def gather_folder(folder: Path, domains: Domains, purpose: str, direction: str, pairs: Pairs | None) -> Material:
    """Loads the folder, and in its pictures' size what they are scored against.

    Raises:
        UserError: no folder, no PNGs in it, names that are not the split's, or pictures of several sizes.
    """
    split = domains.require(purpose, direction[0])
    names = [name for name, _ in pictures_of_split(split.source, split.name)]
    own = _read(folder, names)
    shapes = {picture.shape: name for name, picture in own.items()}
    if len(shapes) > 1:
        told = ", ".join(f"{name} {shape[1]}x{shape[0]}x{shape[2]}" for shape, name in list(shapes.items())[:_LISTED])
        raise UserError(f"--translations={folder}: pictures of several shapes ({told}); bring them to one")
    height, width, channels = next(iter(shapes))
    size = Size(height, width)
    return assemble(
        domains,
        purpose,
        direction,
        Scale("resize_and_crop", size, size),
        own,
        pairs,
        channels={"a": channels, "b": channels},
        checkpoint="",
        cycle="cycle honesty: needs both generators of a run; a folder of translations has none",
        notes=[],
    )


def _read(folder: Path, names: list[str]) -> Pictures:
    if not folder.is_dir():
        raise UserError(f"--translations={folder}: no such folder")
    found = {
        Path(entry.path).relative_to(folder).with_suffix("").as_posix(): Path(entry.path)
        for entry in sorted(folders.walk(folder), key=lambda entry: entry.path)
        if entry.name.lower().endswith(".png")
    }
    if not found:
        raise UserError(f"--translations={folder}: no PNGs there; scores are of saved 8-bit PNGs")
    missing, unknown = [name for name in names if name not in found], [name for name in found if name not in set(names)]
    if missing or unknown:
        told = [
            f"{len(some)} {what}: {', '.join(some[:_LISTED])}{', ...' if len(some) > _LISTED else ''}"
            for some, what in ((missing, "of the split are missing"), (unknown, "are not in the split"))
            if some
        ]
        raise UserError(f"--translations={folder}: names do not fit; {'; '.join(told)}")
    pictures = {}
    for name in names:
        try:
            picture = read_png(found[name])
        except Exception as error:  # Pillow's decoders raise nearly every type on damaged input
            raise UserError(f"{found[name]}: not a whole picture ({error})") from error
        if picture.dtype != "uint8" or picture.shape[-1] not in (1, 3):
            raise UserError(f"{found[name]}: neither RGB nor grey in 8 bits; save it as such")
        pictures[name] = picture
    return pictures
