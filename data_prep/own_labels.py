"""The user's own labels for data_prep.folders: folders of label files beside those of pictures, and
domains that consist of label maps.

    ROOT/
        trainA_labels/  testB_labels/ ...   label files of the pictures in trainA, testB, ...: equal
                                            names, whatever the extension

A domain of label maps needs no label files: its colours give the classes. Its pictures are stored
in the exact colours of the table.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from data_prep import class_maps
from data_prep.class_maps import Reader
from data_prep.request import Source, Taken
from tfcyclegan.config import Options, option
from tfcyclegan.data import class_files, intake, manifest, picture_files, records
from tfcyclegan.data.labels import Labelling
from tfcyclegan.data.pixels import spread
from tfcyclegan.errors import UserError
from tfcyclegan.system import files
from tfcyclegan.system.progress import log

FOLDER = "{split}_labels"
MISSING = ("refused", "ignored")
LABEL_MAP = "label map, resized by nearest pixels alone"
NO_LABEL = "picture without a label, none of its pixels counts"
_READ_BY = {"label_format": "auto", "unknown_labels": "refused", "missing_labels": "refused"}
_LOOKED_AT, _LOSSY_LOOKED_AT = 100, 10  # pictures of a domain to inspect for the guesses
_LEAST_SIDE = 16
_FEW_COLORS, _FEW_IN_ALL, _PIXELS_A_COLOR = 32, 64, 16


@dataclass(frozen=True, kw_only=True)
class LabelOptions(Options):
    """How label files and label maps are read."""

    input_dir: str = option(
        "", "directory that holds the folders of pictures and those of their labels", required=True
    )
    label_maps_a: bool | None = option(
        None,
        "domain A is label maps, which only nearest pixels resize; default: guessed and reported",
    )
    label_maps_b: bool | None = option(
        None, "domain B is label maps; default: guessed and reported"
    )
    classes: str = option(
        "",
        "CSV file of the labels' classes, with the columns name,color and optionally id,ignored; "
        "or cityscapes",
    )
    label_format: str = option(
        "auto", "what gray and palette label files hold", choices=class_maps.FORMATS
    )
    unknown_labels: str = option(
        "refused",
        "how to treat labels outside the table: as bad pictures, as ignored pixels, or as the "
        "class of the nearest colour",
        choices=class_maps.UNKNOWN,
    )
    missing_labels: str = option(
        "refused",
        "how to treat pictures without a label beside labelled ones: as bad pictures, or as "
        "pictures none of whose pixels count",
        choices=MISSING,
    )


@dataclass(frozen=True)
class Planned:
    """The labels' part of a request to `data_prep.prepare`.

    Attributes:
        splits: the sources, now with labels.
        settings: the settings that determine them.
        guessed: the settings that were guessed, not given by a flag.
        inputs: digests of the label files by split.
        labelling: a description of the labels.
        left_out: label files that are not used: {kind: count}.
    """

    splits: dict[str, Sequence[Source]]
    settings: dict[str, Any]
    guessed: frozenset[str]
    inputs: dict[str, str]
    labelling: Labelling
    left_out: Counter[str]


def plan(
    config: LabelOptions,
    input_dir: Path,
    splits: Mapping[str, Sequence[Source]],
    *,
    max_bad: int,
    max_pixels: int,
) -> Planned:
    """Finds the label files of `splits`, which are named by purpose and domain ("trainA"), and
    determines which domains are label maps.

    Raises:
        UserError: labels without a table or a table without labels, or more pictures than `max_bad`
            lack their labels.
    """
    classes = class_files.read_classes(config.classes) if config.classes else None
    reader = Reader(classes, config.label_format, config.unknown_labels) if classes else None
    labelled = {
        split: directory
        for split in splits
        if (directory := input_dir / FOLDER.format(split=split)).is_dir()
    }
    maps = [
        domain
        for domain in "AB"
        if _are_label_maps(config, domain, input_dir, splits, labelled, max_pixels)
    ]
    map_splits = [split for split in splits if split[-1] in maps]
    for split, directory in labelled.items():
        if split in map_splits:
            raise UserError(
                f"{directory}: {split} is label maps, whose colours are their labels; remove one, "
                f"or --label_maps_{split[-1].lower()}=false"
            )
        if reader is None:
            mend = (
                "--classes=FILE.csv with the columns name,color and optionally id,ignored, or "
                "--classes=cityscapes"
            )
            raise UserError(f"{directory}: labels need a table of their classes: {mend}")
    given = [
        f"--{name}={getattr(config, name)}"
        for name, usual in _READ_BY.items()
        if getattr(config, name) != usual
    ]
    if reader is None and given:
        raise UserError(f"{' '.join(given)}: also need --classes=FILE.csv")
    if reader is not None and not labelled and not map_splits:
        place = input_dir / FOLDER.format(split="trainA")
        raise UserError(
            f"--classes={config.classes}: no labels found; put label files into {place}, or give "
            "--label_maps_b"
        )
    made: dict[str, Sequence[Source]] = {}
    inputs: dict[str, str] = {}
    left_out: Counter[str] = Counter()
    for split, sources in splits.items():
        if split in map_splits:
            made[split] = [
                _LabelMap(
                    source.filename, source.size, source.read, source, reader, split[-1].lower()
                )
                for source in sources
            ]
        elif split in labelled:
            assert reader is not None
            made[split], inputs[split] = _with_labels(
                sources, split, labelled[split], reader, config.missing_labels, max_bad, left_out
            )
        else:
            made[split] = (
                [
                    _Unlabelled(source.filename, source.size, source.read, source)
                    for source in sources
                ]
                if reader
                else sources
            )
    settings: dict[str, Any] = {f"label_maps_{domain.lower()}": True for domain in maps}
    guessed = frozenset(name for name in settings if getattr(config, name) is None)
    if classes:
        settings |= {
            "classes": classes.digest,
            "label_format": config.label_format,
            "unknown_labels": config.unknown_labels,
        }
        if config.missing_labels != "refused":  # older data sets do not have it
            settings["missing_labels"] = config.missing_labels
    unlabelled = (
        tuple(split for split in splits if split not in labelled and split not in map_splits)
        if classes
        else ()
    )
    labelling = Labelling(classes, unlabelled, tuple(map_splits))
    return Planned(made, settings, guessed, inputs, labelling, left_out)


def _are_label_maps(
    config: LabelOptions,
    domain: str,
    input_dir: Path,
    splits: Mapping[str, Sequence[Source]],
    labelled: Mapping[str, Path],
    max_pixels: int,
) -> bool:
    """The domain's flag or, without it, a guess from its pictures, which is reported."""
    flag = f"label_maps_{domain.lower()}"
    if getattr(config, flag) is not None:
        return bool(getattr(config, flag))
    mine = [split for split in splits if split.endswith(domain)]
    if any(split in labelled for split in mine):
        return False
    sources = [source for split in mine for source in splits[split]]
    colors = _few_colors(sources, max_pixels)
    if not colors:
        if _like_lossy_maps(sources, max_pixels):
            mend = (
                f"--{flag} --classes=FILE.csv --unknown_labels=nearest maps them to the exact "
                "colours of a table"
            )
            log(
                f"{input_dir}: domain {domain} looks like label maps saved as JPEG, but is read as "
                f"pictures; if it is label maps: {mend}"
            )
        return False
    shown = ", ".join(sorted(colors)[:6]) + (", ..." if len(colors) > 6 else "")
    scores = "" if config.classes else "; --classes=FILE.csv gives them names and scores by class"
    log(
        f"{input_dir}: domain {domain} is read as label maps, a guess from its {len(colors)} "
        f"colours ({shown}): only nearest pixels resize them; --{flag}=false reads it as "
        f"pictures{scores}"
    )
    if (
        not config.classes
        and max(int(level, 16) for color in colors for level in (color[1:3], color[3:5], color[5:]))
        < 64
    ):
        log(
            f"{input_dir}: domain {domain} is nearly black; if its values are class ids, "
            "--classes=FILE.csv draws them in the colours of its table"
        )
    return True


def _few_colors(sources: Sequence[Source], max_pixels: int) -> set[str]:
    """The colours of evenly spaced pictures if each consists of a few large areas in few colours,
    as label maps do; otherwise none.
    """
    in_all: set[str] = set()
    several = seen = 0
    for index in spread(len(sources), _LOOKED_AT):
        try:
            content = sources[index].read()
            colors = class_maps.colors_of(content, max_pixels)
            width, height = intake.open_picture(content, max_pixels).size
        except (OSError, intake.BadPicture):
            continue  # reported when it is read
        if colors is None or len(colors) > min(_FEW_COLORS, width * height / _PIXELS_A_COLOR):
            return set()
        in_all |= colors
        if len(in_all) > _FEW_IN_ALL:
            return set()
        seen, several = seen + 1, several + (len(colors) > 1)
    return in_all if 2 * several >= seen > 0 else set()


def _like_lossy_maps(sources: Sequence[Source], max_pixels: int) -> bool:
    """Whether evenly spaced JPEGs are nearly flat, in few colours that are far apart, as label maps
    with blurred edges are.
    """
    alike = seen = 0
    for index in spread(len(sources), _LOSSY_LOOKED_AT):
        try:
            content = sources[index].read()
            if not content.startswith(b"\xff\xd8"):
                return False
            pixels = np.asarray(
                intake.decode(content, max_pixels=max_pixels).image.convert("RGB")
            ).astype(np.int16)
        except (OSError, intake.BadPicture):
            continue
        if min(pixels.shape[:2]) < _LEAST_SIDE:
            continue
        steps = np.abs(np.diff(pixels, axis=1)).max(axis=-1)
        _, counts = np.unique((pixels >> 4).reshape(-1, 3), axis=0, return_counts=True)
        held = np.cumsum(np.sort(counts)[::-1]) / counts.sum()
        strong = (steps > 32).mean()  # edges between classes
        alike += bool(
            (steps <= 4).mean() > 0.8
            and strong > 0.002
            and np.searchsorted(held, 0.8) < _FEW_COLORS
        )
        seen += 1
    return seen > 0 and alike > 0.8 * seen


def _with_labels(
    sources: Sequence[Source],
    split: str,
    directory: Path,
    reader: Reader,
    if_missing: str,
    max_bad: int,
    left_out: Counter[str],
) -> tuple[list[Source], str]:
    """The sources with the label files of equal names, and a digest of these files; unused label
    files are counted in `left_out`.
    """
    found: dict[str, str] = {}
    stated = []
    there = picture_files.find(directory)
    left_out += there.left_out
    if there.left_out:
        log(f"{directory}: {there.told()}")
    for entry in there.pictures:
        name = Path(entry.path).relative_to(directory).as_posix()
        stated.append((name, *picture_files.size_and_time(entry)))
        if bare_name(name) in found:
            raise UserError(
                f"{directory}: {found[bare_name(name)]} and {name} are labels of one picture; "
                "remove one"
            )
        found[bare_name(name)] = name
    keys = [bare_name(source.filename.removeprefix(f"{split}/")) for source in sources]
    twice = sorted(key for key, count in Counter(keys).items() if count > 1 and key in found)
    if twice:
        raise UserError(
            f"{directory.with_name(split)}: several pictures are called {twice[0]}, for one label; "
            "rename them"
        )
    missing = [key for key in keys if key not in found]
    alone = sorted(set(found) - set(keys))
    refused = if_missing == "refused"
    if len(missing) > (max_bad if refused else len(keys) - 1):
        many = (
            f"{len(missing)} of {len(keys)} pictures of {split} have no label of the same name, "
            f"such as {manifest.printable(missing[0])}"
        )
        more = (
            f" ({len(alone)} labels have no picture, such as {manifest.printable(found[alone[0]])})"
            if alone
            else ""
        )
        mend = (
            f"--max_bad={len(missing)} leaves them out, and --missing_labels=ignored keeps them"
            if refused
            else "rename them"
        )
        raise UserError(f"{directory}: {many}{more}; {mend}")
    if alone:
        left_out["labels without a picture"] += len(alone)
    more = (
        f"; {len(alone)} labels without a picture are left out, such as "
        f"{manifest.printable(found[alone[0]])}"
        if alone
        else ""
    )
    log(
        f"{directory}: labels of {len(keys) - len(missing)} of {len(keys)} pictures of {split}, "
        f"by equal names{more}"
    )

    def labelled(source: Source, key: str) -> Source:
        common = source.filename, source.size, source.read, source
        if key not in found and not refused:
            return _Ignored(*common, reader.classes.void_id)
        return _Labelled(*common, reader, directory.absolute(), found.get(key, ""))

    made = [labelled(source, key) for source, key in zip(sources, keys, strict=True)]
    return made, files.sha256_of_json(stated)


def bare_name(name: str) -> str:
    """A file's name without its extension, which pictures share with their labels and partners."""
    return PurePosixPath(name).with_suffix("").as_posix()


@dataclass(frozen=True)
class _Unlabelled(Source):
    """A picture without a label, in a data set where others have one."""

    inner: Source

    def take_all(self, max_pixels: int) -> list[Taken]:
        return [_labelled(taken, records.NO_LABEL) for taken in self.inner.take_all(max_pixels)]


@dataclass(frozen=True)
class _Ignored(Source):
    """A picture without a label in a folder where others have one: none of its pixels counts."""

    inner: Source
    void_id: int

    def take_all(self, max_pixels: int) -> list[Taken]:
        made = []
        for taken in self.inner.take_all(max_pixels):
            ids = np.full((taken.picture.height, taken.picture.width), self.void_id, np.uint8)
            made.append(_labelled(taken, _label(ids, ""), frozenset({NO_LABEL})))
        return made


@dataclass(frozen=True)
class _Labelled(Source):
    """A picture and its label file."""

    inner: Source
    reader: Reader
    directory: Path
    label: str

    def take_all(self, max_pixels: int) -> list[Taken]:
        name = f"{self.directory.name}/{self.label}"
        if not self.label:
            raise intake.BadPicture(f"no label of the same name in {self.directory.name}")
        all_taken = self.inner.take_all(max_pixels)
        if len(all_taken) > 1:
            raise intake.BadPicture(
                f"{len(all_taken)} pages or frames but one label; --pages=first uses the first"
            )
        try:
            ids, notes = self.reader.read(
                picture_files.read(self.directory / self.label), max_pixels
            )
        except OSError as error:
            raise OSError(f"label {name}: {error.strerror or error}") from error
        except intake.BadPicture as error:
            raise intake.BadPicture(f"label {name}: {error}") from error
        picture = all_taken[0].picture
        if ids.shape != (picture.height, picture.width):
            sizes = f"{ids.shape[1]}x{ids.shape[0]}, its picture {picture.width}x{picture.height}"
            raise intake.BadPicture(
                f"label {name}: is {sizes} (width x height); they must have the same size"
            )
        return [_labelled(all_taken[0], _label(ids, name), notes)]


@dataclass(frozen=True)
class _LabelMap(Source):
    """A label map that is a domain's picture; without a table it is stored unchanged."""

    inner: Source
    reader: Reader | None
    domain: str

    def take_all(self, max_pixels: int) -> list[Taken]:
        otherwise = f"--label_maps_{self.domain}=false reads it as a picture"
        content = self.read()
        if self.reader is None:
            if class_maps.colors_of(content, max_pixels) is None:
                reason = (
                    f"not a label map: it is a JPEG or has more than {class_maps.MOST_COLORS} "
                    "colours"
                )
                raise intake.BadPicture(f"{reason}; save it as PNG from its source, or {otherwise}")
            all_taken = self.inner.take_all(max_pixels)
            if any(intake.SCALED in taken.notes for taken in all_taken):
                raise intake.BadPicture(
                    "16-bit: if its values are class ids, --classes=FILE.csv reads them; "
                    f"{otherwise}"
                )
            return [
                dataclasses.replace(taken, notes=taken.notes | {LABEL_MAP}) for taken in all_taken
            ]
        try:
            ids, notes = self.reader.read(content, max_pixels)
        except intake.BadPicture as error:
            raise intake.BadPicture(f"{error}; {otherwise}") from error
        classes = self.reader.classes
        encoded = intake.encode_png(Image.fromarray(classes.colorize(ids)))
        height, width = ids.shape
        picture = records.Picture(
            encoded, "png", self.filename, height, width, _label(ids, self.filename)
        )
        return [Taken(picture, notes | {LABEL_MAP})]


def _labelled(taken: Taken, label: records.Label, notes: frozenset[str] = frozenset()) -> Taken:
    return dataclasses.replace(
        taken, picture=dataclasses.replace(taken.picture, label=label), notes=taken.notes | notes
    )


def _label(ids: np.ndarray, filename: str) -> records.Label:
    return records.Label(intake.encode_png(Image.fromarray(ids)), filename)
