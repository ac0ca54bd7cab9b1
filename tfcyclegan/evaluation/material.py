"""What one direction is scored on: the test pictures, their translations, the controls', and the truths that are known."""

import csv
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tfcyclegan import files
from tfcyclegan.data import images
from tfcyclegan.data.domains import Domains, Split
from tfcyclegan.data.images import Scale
from tfcyclegan.data.labels import ClassTable
from tfcyclegan.data.notes import without_counts
from tfcyclegan.errors import UserError
from tfcyclegan.measures.controls import make_controls
from tfcyclegan.picture_folders import picture_name, pictures_of_split
from tfcyclegan.training.runs import Run
from tfcyclegan.translation import RECORD, Translator, copies_on_devices, from_run, record_of, scale_of, translate_split

OWN = "CycleGAN"
FLOOR = "real (floor)"
REFERENCE_PICTURES = 1000

Pictures = dict[str, np.ndarray]
Pairs = Mapping[str, str]
Function = Callable[[np.ndarray], np.ndarray]
"""float32 [1, H, W, C] in [-1, 1] to the same of the other domain, of any size."""


@dataclass(frozen=True)
class Material:
    """All that the measures of one direction need. Pictures are uint8 [H, W, C] at the scale of the training.

    Attributes:
        direction: "ab" or "ba".
        checkpoint: which one translated; empty for translations of unknown origin.
        inputs: the pictures translated, by name.
        sets: what is made of the inputs, by name of the set: OWN and the controls; all have the inputs' names.
        held_out: real pictures of the target domain that no training saw; empty if there are none.
        source_train: real training pictures of the inputs' domain, at most REFERENCE_PICTURES.
        target_train: the same of the target domain.
        truths: by an input's name the true picture of the target domain; empty where no pairs are known.
        ids: by an input's name the class ids of what it shows, [H, W] as stored; empty where there are no labels.
        held_out_ids: by the name of a held-out picture its class ids; empty where the target domain has no labels.
        source_is_label_maps: whether the inputs are label maps.
        target_is_label_maps: whether translations are to be label maps.
        cycle: the generators there and back; or why they cannot be had.
        data: the data set's name.
        left_out: what could not be had, and why.
        classes: the table of the ids and of label maps; None where neither is known.
    """

    direction: str
    checkpoint: str
    inputs: Pictures
    sets: dict[str, Pictures]
    held_out: Pictures
    source_train: list[np.ndarray]
    target_train: list[np.ndarray]
    truths: Pictures
    ids: Pictures
    held_out_ids: Pictures
    source_is_label_maps: bool
    target_is_label_maps: bool
    cycle: tuple[Function, Function] | str
    data: str
    left_out: list[str]
    classes: ClassTable | None = None

    @property
    def table(self) -> ClassTable:
        """`classes`, for what has ids or label maps of known classes."""
        assert self.classes is not None
        return self.classes

    @property
    def title(self) -> str:
        return f"{self.direction[0].upper()} to {self.direction[1].upper()}"


def read_pairs(path: Path) -> dict[str, str]:
    """A CSV file with the columns a and b: {name of a picture of a: name of the picture of b that shows the same}.

    Raises:
        UserError: no such file, or no such columns.
    """
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"--pairs={path}: cannot be read ({error})") from error
    if not rows or not {"a", "b"} <= rows[0].keys() or any(row["a"] is None or row["b"] is None for row in rows):
        raise UserError(f"--pairs={path}: needs a head line a,b and a line for each pair")
    return {row["a"]: row["b"] for row in rows}


def gather(run: Run, domains: Domains, purpose: str, checkpoint: str, direction: str, output: Path, pairs: Pairs | None) -> Material:
    """Translates what `output` lacks of the split of `purpose`, and loads what it is scored against.

    Raises:
        UserError: no such checkpoint or split, or pairs that name pictures which are not there.
    """
    split = domains.require(purpose, direction[0])
    scale, folder = scale_of(run), output / direction
    translators = copies_on_devices(run, checkpoint, direction)
    translator = translators[0]
    if (folder / RECORD).exists() and without_counts(files.read_json(folder / RECORD)) != record_of(translator, scale):
        shutil.rmtree(folder)  # our own translations by an older checkpoint
    translate_split(translators, split.source, split.name, folder, scale=scale)
    own = {name: read_png(folder / f"{name}.png") for name, _ in pictures_of_split(split.source, split.name)}
    notes = []
    if run.config.measures and run.config.eval_split == "val" and purpose == "test":
        used = [found for domain in direction if (found := domains.find(purpose, domain)) and "val" in found.name]
        notes = [f"{found} is scored, on which the best checkpoint was chosen" for found in used]
    return assemble(
        domains,
        purpose,
        direction,
        scale,
        own,
        pairs,
        channels={"a": run.config.channels_a, "b": run.config.channels_b},
        checkpoint=translator.identity["checkpoint"],
        cycle=_cycle(run, checkpoint, direction, translator),
        notes=notes,
    )


def _cycle(run: Run, checkpoint: str, direction: str, forward: Translator) -> tuple[Function, Function] | str:
    back = direction[::-1]
    if f"gen_{back}" not in run.networks:
        return f"cycle honesty: the run has no generator {back}"
    return forward.in_floats, from_run(run, checkpoint, back).in_floats


def assemble(
    domains: Domains,
    purpose: str,
    direction: str,
    scale: Scale,
    own: Pictures,
    pairs: Pairs | None,
    *,
    channels: Mapping[str, int],
    checkpoint: str,
    cycle: tuple[Function, Function] | str,
    notes: list[str],
) -> Material:
    """Loads what the translations `own` are scored against, all at `scale`.

    Raises:
        UserError: no such split, or pairs that name pictures which are not there.
    """
    source, target = direction[0], direction[1]
    split, target_split = domains.require(purpose, source), domains.find(purpose, target)
    inputs = _load(split, channels[source], scale)
    held_out = _load(target_split, channels[target], scale) if target_split else {}
    target_train = _some(domains.require("train", target), channels[target], scale)
    partner, reason = _partners(inputs, held_out, pairs, direction, purpose)
    classes, why_not = _common_classes(split, target_split or domains.require("train", target))
    held_out_ids = dict(_ids(target_split)) if target_split and target_split.labelled and not why_not else {}
    ids = dict(_ids(split)) if split.labelled and not why_not else {}
    if not ids and held_out_ids:
        ids = {name: held_out_ids[other] for name, other in partner.items()}
    controls = make_controls(target_train)
    sets = {OWN: own} | {name: {key: control(picture) for key, picture in inputs.items()} for name, control in controls.items()}
    return Material(
        direction,
        checkpoint,
        inputs,
        sets,
        held_out,
        _some(domains.require("train", source), channels[source], scale),
        target_train,
        {name: held_out[other] for name, other in partner.items()},
        ids,
        held_out_ids,
        split.holds_label_maps,
        domains.require("train", target).holds_label_maps,
        cycle,
        domains.name,
        notes + [told for told in (reason, why_not) if told],
        classes,
    )


def _common_classes(split: Split, target: Split) -> tuple[ClassTable | None, str]:
    """The table of both domains' ids and label maps, that of the target where they differ; and why then no labels are compared."""
    tables = [
        one.source.require_labels(one.name) if one.labelled else one.source.classes if one.holds_label_maps else None
        for one in (target, split)
    ]
    ours, theirs = tables
    if ours is not None and theirs is not None and (difference := ours.difference(theirs)):
        return ours, f"labels: the classes of {split} are not those of {target}: {difference}; no scores by class"
    return ours or theirs, ""


def _partners(inputs: Pictures, held_out: Pictures, pairs: Pairs | None, direction: str, purpose: str) -> tuple[dict[str, str], str]:
    """By an input's name that of its truth; and why there is none."""
    if not held_out:
        return {}, f"no true pictures: the target domain has no split for {purpose}"
    if pairs is None:
        if held_out.keys() == inputs.keys():
            return {name: name for name in inputs}, ""
        return {}, "no true pictures: the names of the two domains' test pictures differ; give --pairs where they show the same"
    ordered = pairs if direction == "ab" else {b: a for a, b in pairs.items()}
    unknown = [name for name in ordered if name not in inputs] + [name for name in ordered.values() if name not in held_out]
    if unknown:
        raise UserError(f"--pairs: {len(unknown)} names are not in the data: {', '.join(unknown[:5])}{', ...' if len(unknown) > 5 else ''}")
    return dict(ordered), ""


def _load(split: Split, channels: int, scale: Scale) -> Pictures:
    nearest = split.holds_label_maps
    return {
        name: images.to_array(scale(images.decode(encoded, channels), nearest=nearest))
        for name, encoded in pictures_of_split(split.source, split.name)
    }


def _some(split: Split, channels: int, scale: Scale) -> list[np.ndarray]:
    """At most REFERENCE_PICTURES pictures, evenly spread."""
    step = max(1, -(-split.count // REFERENCE_PICTURES))
    nearest = split.holds_label_maps
    return [
        images.to_array(scale(images.decode(encoded, channels), nearest=nearest))
        for index, (_, encoded) in enumerate(split.pictures())
        if index % step == 0
    ]


def _ids(split: Split) -> Iterator[tuple[str, np.ndarray]]:
    for filename, _, label in split.source.labelled_pictures(split.name):
        yield picture_name(filename, split.name), images.decode_ids(label)


def read_png(path: Path) -> np.ndarray:
    """The pixels as they were saved, uint8 [H, W, C] of our own PNGs; whatever Pillow raises for a damaged file."""
    with Image.open(path, formats=("PNG",)) as image:
        return images.to_array(image)
