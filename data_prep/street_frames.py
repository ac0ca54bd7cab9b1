"""Frames of street scenes with label maps: code that data_prep.gta5 and data_prep.cityscapes share.

A frame is a photo, or a label map in its place, optionally with the class ids of its pixels. Photos
are resized by --interpolation, ids to the same size by the nearest pixel.
"""

import collections
import dataclasses
import functools
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data_prep import prepare, street_labels, street_survey
from tfcyclegan import flags
from tfcyclegan.config import INTERPOLATION_HELP, INTERPOLATIONS, Size, option
from tfcyclegan.config.engines import EngineOptions
from tfcyclegan.data import intake, labels, manifest, picture_files, records
from tfcyclegan.data.labels import CITYSCAPES, Labelling
from tfcyclegan.data.source import SYNTHETIC
from tfcyclegan.engines import open_engine
from tfcyclegan.errors import UserError
from tfcyclegan.system import files
from tfcyclegan.system.progress import log

WITHOUT_IMAGE = "labels without an image"
LABEL_RESIZED = "label resized to its image's size"
_USUAL = {"interpolation": "bicubic", "label_format": street_labels.AUTO}
"""Settings that are recorded only if they differ from these values, which are those of 0.1.0."""
SHAPES_DIFFER = 1.05  # in GTA5 the height of some labels is a few pixels off their image's


@dataclass(frozen=True, kw_only=True)
class FrameOptions(EngineOptions):
    """What is read and written, and how much."""

    input_dir: str = option("", "the data set's directory", required=True)
    output_dir: str = option("", "directory to write; a rerun continues there", required=True)
    name: str = option("", "the data set's name: lower-case letters, digits and _")
    size: Size | None = option(None, "size to store, height x width; default: each frame's own")
    interpolation: str = option(
        _USUAL["interpolation"], f"for --size, {INTERPOLATION_HELP}", choices=INTERPOLATIONS
    )
    sample: int = option(
        0,
        "number of frames to draw for the split train; 0 uses all frames, in their own splits",
        minimum=0,
    )
    test_sample: int = option(
        0, "number of frames to draw for the split test from those that --sample leaves", minimum=0
    )
    seed: int = option(0, "random seed of the samples", minimum=0)
    max_bad: int = option(
        0,
        "number of bad frames that may be left out, all of which are listed; more fail the run",
        minimum=0,
    )
    max_pixels: int = option(
        100_000_000,
        "a picture with more pixels is bad and is not decoded",
        minimum=1,
    )
    shards: int = option(
        0, "files per split; 0 makes files of about 100 MB", minimum=0, maximum=99_999
    )
    label_format: str = option(
        _USUAL["label_format"],
        "meaning of the label files' pixels; auto accepts class ids and the table's colours if "
        "only one of them fits",
        choices=street_labels.FORMATS,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.interpolation != _USUAL["interpolation"] and self.size is None:
            raise UserError(
                f"--interpolation={self.interpolation}: nothing is resized without --size; give "
                "both, or neither"
            )
        if self.test_sample and not self.sample:
            raise UserError(
                f"--test_sample={self.test_sample}: draws from the frames that --sample leaves; "
                "give --sample too"
            )


@dataclass(frozen=True)
class File:
    """A file, by its path below the input directory."""

    path: str
    size: int
    changed: int

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Frame:
    """The contents of one record.

    Attributes:
        name: the name under which the picture is stored.
        image: the photo; if None, the label map in the table's colours is the picture.
        label: the label map, if it is to be stored and exists.
        missing_label: the path of a label map that should exist but does not.
        label_format: how to read the label map, one of street_labels.FORMATS.
        named: whether the label map's name says what its numbers are.
    """

    name: str
    image: File | None
    label: File | None = None
    missing_label: str = ""
    label_format: str = street_labels.AUTO
    named: bool = False


def find_files(root: Path, folder: str, passed: "PassedOver") -> list[File]:
    """All files below a folder of `root`, in the order of their paths; hidden files are added to
    `passed`.
    """
    found = []
    hidden: collections.Counter[str] = collections.Counter()
    for entry in picture_files.walk(root / folder, hidden):
        name = Path(entry.path).relative_to(root).as_posix()
        found.append(File(name, *picture_files.size_and_time(entry)))
    passed.add_kinds(folder, hidden)
    return sorted(found, key=lambda file: file.path)


def require_folders(root: Path, needed: Sequence[str], hints: Mapping[str, str]) -> None:
    """Raises UserError with what was expected and what was found, unless the directory `root` holds
    all of `needed`.

    Args:
        root: the input directory.
        needed: names of folders.
        hints: what to say if an entry of this name exists.
    """
    if not root.is_dir():
        raise UserError(f"--input_dir={root}: no such directory")
    if all((root / name).is_dir() for name in needed):
        return
    there = sorted(entry.name for entry in root.iterdir() if not entry.name.startswith("."))
    found = listed([manifest.printable(name) for name in there]) or "nothing"
    hint = next((f": {hint}" for name, hint in hints.items() if name in there), "")
    raise UserError(
        f"--input_dir={root}: expects {' and '.join(f'{name}/' for name in needed)}; found: "
        f"{found}{hint}"
    )


def listed(names: Sequence[str]) -> str:
    """The first few of `names`, and how many more there are."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


class PassedOver:
    """Parts of the input directory that are not used: reported when found, and counted in `counts`
    for the manifest.
    """

    def __init__(self, root: Path):
        self._root = root
        self.counts: collections.Counter[str] = collections.Counter()

    def add(self, paths: Sequence[str], why: str) -> None:
        """Adds files or folders below the directory, if there are any."""
        if paths:
            log(f"{self._root}: skipped, {why}: {manifest.printable(listed(paths))}")
            self.counts[why] += len(paths)

    def add_kinds(self, folder: str, kinds: Mapping[str, int]) -> None:
        """Adds parts of a folder that have no names: {what: count}."""
        for what, count in kinds.items():
            log(f"{self._root / folder}: skipped, {what}: {count}")
            self.counts[what] += count

    def add_others(self, folder: str, taken: Collection[str], why: str) -> None:
        """Adds the entries of a folder that are not in `taken`."""
        there = sorted(
            entry.name
            for entry in (self._root / folder).iterdir()
            if entry.name.lower() not in picture_files.SYSTEM_FILES
        )
        names = [name for name in there if not name.startswith(".")]
        self.add_kinds(
            folder,
            {picture_files.HIDDEN: len(there) - len(names)} if len(names) < len(there) else {},
        )
        self.add(
            [f"{folder}/{name}" if folder else name for name in names if name not in taken], why
        )


def log_counts(
    root: Path, name: str, found: Mapping[str, int], published: Mapping[str, int]
) -> None:
    """Reports it if the number of frames differs from the published data set."""
    if any(count != published[part] for part, count in found.items()):
        here = ", ".join(f"{part} {count:,}" for part, count in found.items())
        whole = ", ".join(f"{part} {published[part]:,}" for part in found)
        log(f"{root}: {here}; the published {name} has {whole}")


def draw(
    frames: Sequence[Frame], config: FrameOptions, passed: PassedOver, *, short: str
) -> dict[str, list[Frame]]:
    """Draws `config.sample` frames for "train" and `config.test_sample` other frames for "test",
    both in the order of `frames`.

    The training sample does not depend on the size of the test sample.

    Args:
        frames: the frames to draw from.
        config: the numbers of frames and the seed.
        passed: receives the frames that are not drawn.
        short: what to add after the number of frames if there are too few.
    """
    wanted = config.sample + config.test_sample
    if wanted > len(frames):
        asked = f"--sample={config.sample}" + (
            f" --test_sample={config.test_sample}" if config.test_sample else ""
        )
        raise UserError(f"{asked}: needs {wanted} frames, found {len(frames)}{short}")
    order = np.random.default_rng(config.seed).permutation(len(frames))
    passed.add(
        [frames[index].name for index in np.sort(order[wanted:]).tolist()], "not drawn by --sample"
    )
    parts = {"train": order[: config.sample], "test": order[config.sample : wanted]}
    return {
        split: [frames[index] for index in np.sort(part).tolist()]
        for split, part in parts.items()
        if part.size
    }


@dataclass(frozen=True)
class _Source(prepare.Source):
    """A frame, read and resized."""

    frame: Frame
    root: Path
    stored_size: Size | None
    interpolation: str

    def take(self, max_pixels: int) -> tuple[records.Picture, frozenset[str]]:
        frame = self.frame
        if frame.missing_label:
            raise intake.BadPicture(f"no label {frame.missing_label}")
        if frame.image is None:
            ids, notes = self._ids(max_pixels)
            ids = self._resize(ids, self.stored_size or Size(ids.height, ids.width))
            encoded = intake.encode_png(Image.fromarray(labels.colorize(np.asarray(ids))))
            picture = records.Picture(encoded, "png", frame.name, ids.height, ids.width)
            return self._with_label(picture, ids), notes
        decoded = intake.decode(self.read(), max_pixels=max_pixels)
        picture = decoded.picture(frame.name, self.stored_size, self.interpolation)
        if frame.label is None:
            return picture, decoded.notes
        ids, notes = self._ids(max_pixels)
        if ids.size != decoded.image.size:
            self._refuse_other_shape(ids.size, decoded.image.size)
            notes |= {LABEL_RESIZED}
        return self._with_label(
            picture, self._resize(ids, Size(picture.height, picture.width))
        ), notes | decoded.notes

    def _ids(self, max_pixels: int) -> tuple[Image.Image, frozenset[str]]:
        assert self.frame.label is not None
        path = self.frame.label.path
        try:
            return street_labels.read_ids(
                picture_files.read(self.root / path),
                label_format=self.frame.label_format,
                max_pixels=max_pixels,
            )
        except OSError as error:
            raise OSError(f"label {path}: {error.strerror or error}") from error
        except intake.BadPicture as error:
            raise intake.BadPicture(f"label {path}: {error}") from error

    def _refuse_other_shape(self, label: tuple[int, int], image: tuple[int, int]) -> None:
        """Raises BadPicture if the aspect ratio shows that a label belongs to another frame."""
        assert self.frame.label is not None
        ratio = label[0] * image[1] / (label[1] * image[0])
        if not 1 / SHAPES_DIFFER <= ratio <= SHAPES_DIFFER:
            raise intake.BadPicture(
                f"label {self.frame.label.path}: {label[0]}x{label[1]} pixels, another aspect "
                f"ratio than the image, {image[0]}x{image[1]}"
            )

    def _resize(self, ids: Image.Image, size: Size) -> Image.Image:
        return ids.resize((size.width, size.height), Image.Resampling.NEAREST)

    def _with_label(self, picture: records.Picture, ids: Image.Image) -> records.Picture:
        assert self.frame.label is not None
        return dataclasses.replace(
            picture, label=records.Label(intake.encode_png(ids), self.frame.label.path)
        )


def _source(root: Path, frame: Frame, config: FrameOptions) -> _Source:
    file = frame.image or frame.label
    assert file is not None
    size = config.size
    # a photo as PNG has about 2 bytes per pixel
    stored_bytes = min(file.size, 2 * size.height * size.width) if size else file.size
    return _Source(
        frame.name,
        stored_bytes,
        functools.partial(picture_files.read, root / file.path),
        frame,
        root,
        size,
        config.interpolation,
    )


def run(
    script: str,
    config: FrameOptions,
    splits: Mapping[str, Sequence[Frame]],
    passed: PassedOver,
    *,
    labelled: bool,
    without: str = "",
) -> None:
    """Prepares `splits` according to `config`.

    Args:
        script: the script's name, for the manifest.
        config: its flags.
        splits: frames by split.
        passed: the parts of the input that are not used.
        labelled: whether every frame must have a label.
        without: the flag that uses no labels, for the message if some are missing.
    """
    root = Path(config.input_dir)
    missing = [frame for frames in splits.values() for frame in frames if frame.missing_label]
    if len(missing) > config.max_bad:
        many = (
            f"{len(missing)} "
            f"{'image lacks its label' if len(missing) == 1 else 'images lack their labels'}"
        )
        orphans = passed.counts[WITHOUT_IMAGE]
        many += (
            f", and {orphans} "
            f"{'label lacks its image' if orphans == 1 else 'labels lack their images'}: are they "
            "named alike?"
            if orphans
            else ""
        )
        mend = f"--max_bad={len(missing)} leaves them out" + (
            f", {without} uses all images without labels" if without else ""
        )
        raise UserError(f"{root / missing[0].missing_label}: no such file; {many}; {mend}")
    if config.seed and not config.sample:
        log(f"--seed={config.seed}: has no effect without --sample")
    not_deciding = (
        "input_dir",
        "output_dir",
        "name",
        "max_bad",
        "max_pixels",
        "shards",
        *(field.name for field in dataclasses.fields(EngineOptions)),
    )
    settings: dict[str, Any] = {
        field.name: str(value) if isinstance(value := getattr(config, field.name), Size) else value
        for field in dataclasses.fields(config)
        if field.name not in not_deciding
    }
    if _is_drawn(root):
        settings[SYNTHETIC] = True
    asked = [
        street_survey.Asked(frame.label.path, frame.label_format, frame.named)
        for frames in splits.values()
        for frame in frames
        if frame.label
    ]
    remarks = (
        {"labels": street_survey.survey(root, asked, max_pixels=config.max_pixels)} if asked else {}
    )
    request = prepare.Request(
        name=config.name,
        command=shlex.join(["python", "-m", script, *flags.to_flag_file(config).splitlines()]),
        splits={
            split: [_source(root.absolute(), frame, config) for frame in frames]
            for split, frames in splits.items()
        },
        settings=settings,
        usual=_USUAL,
        inputs={split: _digest(frames) for split, frames in splits.items()},
        max_bad=config.max_bad,
        max_pixels=config.max_pixels,
        shards=config.shards,
        labelling=Labelling(CITYSCAPES) if labelled else Labelling(),
        remarks=remarks,
        left_out=passed.counts,
        engine=open_engine(config),
    )
    prepare.run(request, Path(config.output_dir))
    log(
        f"next: tfcyclegan train --data_dir={config.output_dir},OTHER --run_dir=runs/mine, where "
        "OTHER is the data set of the other domain"
    )


def _is_drawn(root: Path) -> bool:
    """Whether data_prep.toy_street drew the frames, which a file beside their folder says."""
    try:
        about = files.read_json(root.resolve().parent / "about.json")
    except (OSError, UserError):  # there is none, or another program's
        return False
    return isinstance(about, dict) and bool(about.get(SYNTHETIC))


def _digest(frames: Iterable[Frame]) -> str:
    """A digest of the names, sizes and times of all files."""
    return files.sha256_of_json(
        [
            [
                frame.name,
                *(
                    dataclasses.astuple(file) if file else None
                    for file in (frame.image, frame.label)
                ),
                frame.missing_label,
            ]
            for frame in frames
        ]
    )
