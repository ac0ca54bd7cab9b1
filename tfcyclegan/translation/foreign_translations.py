"""Translations of another program: a folder of pictures, named like those of the split that was
translated.
"""

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from tfcyclegan.config import Size
from tfcyclegan.data import images, intake, notes, picture_files
from tfcyclegan.data.domains import Split
from tfcyclegan.data.picture_folders import MAX_PIXELS, pictures_of_split
from tfcyclegan.errors import UserError
from tfcyclegan.measures.controls import in_channels

_LISTED = 5
_OFFICIAL = (
    "_real_A",
    "_fake_B",
    "_rec_A",
    "_idt_A",
    "_real_B",
    "_fake_A",
    "_rec_B",
    "_idt_B",
    "_real",
    "_fake",
)
"""The suffixes that the official program appends to a test picture's name for its results."""
_LOSSY = ("JPEG", "MPO", "JPEG2000", "AVIF", "WEBP")
PALETTE = "a palette of at most 256 colours, read as its colours"


@dataclass(frozen=True)
class ForeignTranslations:
    """The translations of a split that a folder holds.

    Attributes:
        pictures: by the name of the source picture, uint8 [H, W, C], all of one size.
        told: what was guessed, skipped and done to the pictures, one line each.
        facts: the same for programs.
    """

    pictures: dict[str, np.ndarray]
    told: list[str]
    facts: dict[str, Any]


def read_folder(
    folder: Path, split: Split, direction: str, *, suffix: str = "", channels: int | None = None
) -> ForeignTranslations:
    """Reads the translations of all of the split's pictures.

    Args:
        folder: of the translations, in any format that `intake` reads.
        split: that they are translations of.
        direction: "ab" or "ba".
        suffix: what follows a picture's name; empty for nothing, or what the official program
            writes where all names have that.
        channels: to give; None takes 1 where all translations are gray, else 3.

    Raises:
        UserError: no folder, no pictures in it, damaged ones, names that are not the split's, or
            pictures of several sizes.
    """
    names = [name for name, _ in pictures_of_split(split.source, split.name)]
    chosen, told, facts = _choose(folder, names, direction, suffix)
    own, how, of_reading = _read(folder, chosen, names)
    told += of_reading
    sizes = {picture.shape[:2]: name for name, picture in own.items()}
    if len(sizes) > 1:
        some = ", ".join(
            f"{name} {size[1]}x{size[0]}" for size, name in list(sizes.items())[:_LISTED]
        )
        raise UserError(
            f"--translations={folder}: pictures of several sizes ({some}); bring them to one"
        )
    gray = sum(picture.shape[-1] == 1 for picture in own.values())
    own_channels = channels or (1 if gray == len(own) else 3)
    if channels is None and own_channels == 1:
        told.append(
            "translations: all are gray, so real pictures are taken by luminance; "
            "--translations_channels=3 scores in colours"
        )
    elif gray and own_channels == 3:
        told.append(f"translations: {gray} of {len(own)} are gray, taken as R=G=B")
    return ForeignTranslations(
        {name: in_channels(picture, own_channels) for name, picture in own.items()},
        [*told, *_told_sizes(split, Size(*next(iter(sizes))))],
        {"folder": str(folder), **facts, **how},
    )


def _choose(
    folder: Path, names: Sequence[str], direction: str, suffix: str
) -> tuple[dict[str, Path], list[str], dict[str, Any]]:
    """Which files are the translations, by the names of the pictures that they are translations of;
    what was guessed and passed over, a line each; the same for programs.
    """
    if not folder.is_dir():
        raise UserError(f"--translations={folder}: no such folder")
    hidden: Counter[str] = Counter()
    there = sorted((Path(entry.path) for entry in picture_files.walk(folder, hidden)), key=str)
    pictures = [path for path in there if picture_files.is_picture(path.name)]
    if not pictures:
        others = (
            f"; {len(there)} files with other extensions, such as {there[0].relative_to(folder)}"
            if there
            else ""
        )
        raise UserError(f"--translations={folder}: no pictures found{others}")
    told = []
    guessed = "" if suffix else _guessed(pictures, folder, names, direction)
    suffix = suffix or guessed
    if guessed:
        told.append(
            f"translations: pictures whose names end in {guessed}, a guess from the official "
            "program's names; --translations_suffix selects others"
        )
    translations = [path for path in pictures if path.stem.endswith(suffix)]
    if not translations:
        raise UserError(
            f"--translations_suffix={suffix}: no picture in {folder} has it, such as "
            f"{pictures[0].name}"
        )
    taken = set(translations)
    unused = [path for path in there if path not in taken]
    passed = Counter(_kind(path, pictures) for path in unused) + hidden
    if passed:
        kinds = ", ".join(f"{count} {kind}" for kind, count in passed.items())
        example = f", such as {unused[0].relative_to(folder)}" if unused else ""
        told.append(f"translations: {sum(passed.values())} files skipped ({kinds}){example}")
    # the folder itself, or its only subfolder if it holds everything and the split has no such
    # folder
    below = {path.relative_to(folder).parent.parts[:1] for path in translations}
    first = below.pop() if len(below) == 1 else ()
    inside = first and not any(name.startswith(f"{first[0]}/") for name in names)
    root = folder.joinpath(*first) if inside else folder
    if inside:
        told.append(
            f"translations: taken from its folder {root.relative_to(folder)}, which holds all "
            "pictures"
        )
    files: dict[str, Path] = {}
    for path in translations:
        name = path.relative_to(root).with_suffix("").as_posix().removesuffix(suffix)
        if name in files:
            raise UserError(
                f"--translations={folder}: two files for {name}: {files[name].name} and "
                f"{path.name}; keep one of them"
            )
        files[name] = path
    without_folders = {PurePosixPath(name).name: name for name in names}
    if (
        not files.keys() & set(names)
        and files.keys() <= without_folders.keys()
        and len(without_folders) == len(names)
    ):
        files = {without_folders[name]: path for name, path in files.items()}
        told.append(
            "translations: matched by file names only, since the split has folders but the "
            "translations have none"
        )
    facts = {"suffix": suffix, "suffix_guessed": bool(guessed), "passed_over": dict(passed)}
    return files, told, facts


def _guessed(pictures: Sequence[Path], folder: Path, names: Sequence[str], direction: str) -> str:
    """The suffix of the translations if all names are the official program's; otherwise empty.
    UserError if they are of the other direction.
    """
    stems = {path.relative_to(folder).with_suffix("").as_posix() for path in pictures}
    if stems & set(names) or not all(path.stem.endswith(_OFFICIAL) for path in pictures):
        return ""
    wanted, other = (f"_fake_{direction[1].upper()}", "_fake"), f"_fake_{direction[0].upper()}"
    found = next(
        (suffix for suffix in wanted if any(path.stem.endswith(suffix) for path in pictures)), ""
    )
    if not found and any(path.stem.endswith(other) for path in pictures):
        raise UserError(
            f"--direction={direction}: {folder} has pictures whose names end in {other}; give "
            f"--direction={direction[::-1]}"
        )
    return found


def _kind(path: Path, pictures: Sequence[Path]) -> str:
    if not picture_files.is_picture(path.name):
        return "that are not pictures by their extensions"
    return next((suffix for suffix in _OFFICIAL if path.stem.endswith(suffix)), "other pictures")


def _read(
    folder: Path, files: Mapping[str, Path], names: Sequence[str]
) -> tuple[dict[str, np.ndarray], dict[str, Any], list[str]]:
    """The pictures of `names`, uint8 [H, W, 1 or 3], how they were read, and lines that report
    it.
    """
    known = set(names)
    strange = {
        "of the split are missing": [name for name in names if name not in files],
        "are not in the split": [name for name in files if name not in known],
    }
    told = [
        f"{len(some)} {what}: {', '.join(some[:_LISTED])}{', ...' if len(some) > _LISTED else ''}"
        for what, some in strange.items()
        if some
    ]
    if len(told) == 2:
        told.append("--translations_suffix accepts names with a suffix")
    if told:
        raise UserError(f"--translations={folder}: names do not match; {'; '.join(told)}")
    pictures, formats, conversions, left_out = {}, Counter[str](), Counter[str](), Counter[str]()
    lossy = 0
    for name in names:
        try:
            content = picture_files.read(files[name])
            decoded = intake.decode(content, max_pixels=MAX_PIXELS)
        except OSError as error:
            raise UserError(f"{files[name]}: cannot be read ({error.strerror or error})") from error
        except intake.BadPicture as error:
            raise UserError(f"{files[name]}: {error}") from error
        kind, has_palette = _kind_of(content)
        formats[kind] += 1
        lossy += kind in _LOSSY and b"VP8L" not in content[:32]
        conversions.update([*notes.conversions(decoded.notes), *([PALETTE] if has_palette else [])])
        left_out.update(notes.left_out(decoded.notes))
        pictures[name] = images.to_array(decoded.image)
    counted = notes.count(conversions, left_out)
    told = [f"translations: {line}" for line in notes.lines(counted)]
    if lossy:
        kinds = ", ".join(kind for kind in formats if kind in _LOSSY)
        told.append(
            f"translations: {lossy} of {len(names)} are {kinds}, whose compression artefacts "
            "affect every score, above all texture, checkerboards and KID, but no control; save "
            "PNGs to get comparable scores"
        )
    return pictures, {"formats": dict(formats), "lossy": lossy, **counted}, told


def _kind_of(content: bytes) -> tuple[str, bool]:
    """The format of a picture that `intake` has decoded, and whether its pixels are palette
    indices.
    """
    try:
        with Image.open(io.BytesIO(content), formats=intake.FORMATS) as header:
            return header.format or "", header.mode == "P"
    except Exception:  # Pillow knows fewer kinds of TIFF than intake
        return "TIFF", False


def _told_sizes(split: Split, size: Size) -> list[str]:
    """Reports whether the pictures that translations are scored against are resized."""
    sizes = {
        name: intake.size_of(encoded)
        for name, encoded in pictures_of_split(split.source, split.name)
    }
    others = [
        f"{name} {width}x{height}"
        for name, (width, height) in sizes.items()
        if (width, height) != (size.width, size.height)
    ]
    if not others:
        return []
    return [
        f"sizes: translations are {size.width}x{size.height}, so real pictures are resized to "
        f"that; {len(others)} of {split.count} inputs have another size, such as {others[0]}"
    ]
