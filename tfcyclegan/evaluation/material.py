"""What one direction is scored on: the test pictures, their translations, the controls', and the
truths that are known.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tfcyclegan.config import TrainConfig
from tfcyclegan.data import images, stored
from tfcyclegan.data.domains import Domains, Split
from tfcyclegan.data.images import Scale
from tfcyclegan.data.labels import ClassTable
from tfcyclegan.data.notes import LeftOut, without_counts
from tfcyclegan.data.picture_folders import picture_name, pictures_of_split
from tfcyclegan.errors import RunError
from tfcyclegan.evaluation.pairs import Pairs, Partners, find_partners
from tfcyclegan.measures.controls import make_controls
from tfcyclegan.system import files
from tfcyclegan.system.progress import log
from tfcyclegan.training.checkpoint_files import BEST, DIRECTORY, newest
from tfcyclegan.training.checkpoints import find_checkpoint
from tfcyclegan.training.runs import Run
from tfcyclegan.translation.translators import (
    RECORD,
    Translator,
    copies_on_devices,
    from_run,
    record_of,
    scale_of,
    translate_split,
)

OWN = "CycleGAN"
FLOOR = "real (floor)"
REFERENCE_PICTURES = 1000

Pictures = dict[str, np.ndarray]
Function = Callable[[np.ndarray], np.ndarray]
"""float32 [1, H, W, C] in [-1, 1] to the same of the other domain, of any size."""


@dataclass(frozen=True)
class Material:
    """All that the measures of one direction need. Pictures are uint8 [H, W, C] at the scale of the
    training.

    Attributes:
        direction: "ab" or "ba".
        checkpoint: which one translated; empty for translations of unknown origin.
        inputs: the pictures translated, by name.
        sets: what is made of the inputs, by name of the set: OWN and the controls; all have the
            inputs' names.
        held_out: real pictures of the target domain that no training saw; empty if there are none.
        source_train: real training pictures of the inputs' domain, at most REFERENCE_PICTURES.
        target_train: the same of the target domain.
        truths: by an input's name the true picture of the target domain; empty where no pairs are
            known.
        ids: by an input's name the class ids of what it shows, [H, W] as stored; empty where there
            are no labels.
        held_out_ids: by the name of a held-out picture its class ids; empty where the target domain
            has no labels.
        source_is_label_maps: whether the inputs are label maps.
        target_is_label_maps: whether translations are to be label maps.
        cycle: the generators there and back; or why they cannot be had.
        data: the data set's name.
        left_out: what could not be had, and why.
        classes: the table of the ids and of label maps; None where neither is known.
        assumed: what was taken for granted, chosen by default or done to the pictures, a line each,
            with the flag that decides.
        facts: the same for programs: scale, channels, splits, pairs, and of a folder of
            translations how it was read.
        partners: what the truths rest on.
        config: the run's options; None for translations of unknown origin.
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
    assumed: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    partners: Partners = Partners({}, "file", True, "")
    config: TrainConfig | None = None

    @property
    def table(self) -> ClassTable:
        """`classes`, for what has ids or label maps of known classes."""
        assert self.classes is not None
        return self.classes

    @property
    def title(self) -> str:
        return f"{self.direction[0].upper()} to {self.direction[1].upper()}"

    @property
    def sure_truths(self) -> Pictures:
        """The truths, unless their pairs are a guess that the pictures cannot bear out: then
        none.
        """
        return self.truths if self.partners.sure else {}

    @property
    def sure_labels(self) -> bool:
        """Whether the class ids are the inputs' own, or those of pairs that a verdict may count."""
        return self.partners.sure or self.facts.get("labels") != "of the partners"

    @property
    def tells_classes(self) -> bool:
        """Whether translations are label maps by whose colours classes are told, which gray ones of
        colours do not.
        """
        if not self.target_is_label_maps or self.classes is None:
            return False
        palette = self.classes.palette
        return next(iter(self.sets[OWN].values())).shape[-1] == 3 or bool(
            (palette == palette[:, :1]).all()
        )


def gather(
    run: Run,
    domains: Domains,
    purpose: str,
    checkpoint: str,
    direction: str,
    output: Path,
    pairs: Pairs,
    alone: bool,
) -> Material:
    """Translates what `output` lacks of the split of `purpose`, and loads what it is scored
    against.

    `alone` says that the other direction is not scored.

    Raises:
        UserError: no such checkpoint or split, or pairs that name pictures which are not there.
    """
    split = domains.require(purpose, direction[0])
    scale, folder = scale_of(run), output / direction
    translators = copies_on_devices(run, checkpoint, direction)
    translator = translators[0]
    if (folder / RECORD).exists() and without_counts(files.read_json(folder / RECORD)) != record_of(
        translator, scale
    ):
        log(
            f"{folder}: holds translations by another checkpoint or at another scale; they are "
            "made anew"
        )
        shutil.rmtree(folder)
    translate_split(translators, split.source, split.name, folder, scale=scale)
    own = {
        name: read_png(folder / f"{name}.png")
        for name, _ in pictures_of_split(split.source, split.name)
    }
    notes = []
    if run.config.measures and run.config.eval_split == "val" and purpose == "test":
        used = [
            found
            for domain in direction
            if (found := domains.find(purpose, domain)) and "val" in found.name
        ]
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
        assumed=[
            f"scale: {scale}, as the training resized whole pictures; translations and real "
            "pictures are scored so",
            *_of_the_run(run, domains, checkpoint),
            *(_of_the_other_direction(run, direction) if alone else []),
        ],
        facts={"chosen": checkpoint},
        config=run.config,
    )


def _of_the_run(run: Run, domains: Domains, checkpoint: str) -> list[str]:
    """What the choice of checkpoint and data rests on."""
    told = []
    if checkpoint == "latest" and newest(run.directory / DIRECTORY / BEST):
        steps = {
            which: Path(find_checkpoint(run.directory, which)).name for which in ("latest", "best")
        }
        if steps["latest"] != steps["best"]:
            told.append(
                f"checkpoint: {steps['latest']}, the latest; {steps['best']} measured best, and "
                "--checkpoint=best scores it"
            )
    if run.data_fingerprint and domains.fingerprint != run.data_fingerprint:
        told.append(
            f"data: {domains.title} ({domains.fingerprint[:8]}), not what the run was trained on "
            f"({run.data_fingerprint[:8]})"
        )
    return told


def _cycle(
    run: Run, checkpoint: str, direction: str, forward: Translator
) -> tuple[Function, Function] | str:
    back = direction[::-1]
    if f"gen_{back}" not in run.networks:
        return f"cycle honesty: the run has no generator {back}"
    backward = from_run(run, checkpoint, back)

    def named(name: str, translator: Translator) -> Function:
        def translate(batch: np.ndarray) -> np.ndarray:
            try:
                return translator.in_floats(batch)
            except RunError as error:
                raise RunError(f"{run.directory}: {name}, in the cycle: {error}") from error

        return translate

    return named(f"gen_{direction}", forward), named(f"gen_{back}", backward)


def _of_the_other_direction(run: Run, direction: str) -> list[str]:
    there = f"gen_{direction[::-1]}" in run.networks
    return (
        ["direction: this one alone is scored; --direction=both scores the way back as well"]
        if there
        else []
    )


def assemble(
    domains: Domains,
    purpose: str,
    direction: str,
    scale: Scale,
    own: Pictures,
    pairs: Pairs,
    *,
    channels: Mapping[str, int],
    checkpoint: str,
    cycle: tuple[Function, Function] | str,
    notes: Sequence[str] = (),
    assumed: Sequence[str] = (),
    facts: Mapping[str, Any] | None = None,
    config: TrainConfig | None = None,
) -> Material:
    """Loads what the translations `own` are scored against, all at `scale`.

    `notes`, `assumed` and `facts` are what is known already of the attributes `left_out`, `assumed`
    and `facts` of `Material`.

    Raises:
        UserError: no such split, or pairs that name pictures which are not there.
    """
    source, target = direction[0], direction[1]
    split, target_split = domains.require(purpose, source), domains.find(purpose, target)
    train, source_train = domains.require("train", target), domains.require("train", source)
    noted: Counter[str] = Counter()
    inputs = _load(split, channels[source], scale, noted)
    held_out = _load(target_split, channels[target], scale, noted) if target_split else {}
    target_train = _some(train, channels[target], scale, noted)
    of_source_train = _some(source_train, channels[source], scale, noted)
    partners = find_partners(inputs, held_out, pairs, direction, purpose)
    classes, why_not = _common_classes(split, target_split or train)
    held_out_ids = (
        dict(_ids(target_split)) if target_split and target_split.labelled and not why_not else {}
    )
    ids = dict(_ids(split)) if split.labelled and not why_not else {}
    of_partners = not ids and bool(held_out_ids)
    if of_partners:
        ids = {name: held_out_ids[other] for name, other in partners.names.items()}
    controls = make_controls(target_train)
    sets = {OWN: own} | {
        name: {key: control(picture) for key, picture in inputs.items()}
        for name, control in controls.items()
    }
    tested = [one for one in (split, target_split) if one]
    told = [
        *assumed,
        *(
            f"split: {one.source.directory} has no {purpose} split, so {one.name} is scored"
            for one in tested
            if purpose not in one.name
        ),
        *(
            f"held out: {count} of the {one.count} pictures of {one.name} are in training "
            f"({where}), so scores on them are too good"
            for one in tested
            for where, count in one.source.twins.items()
            if where.startswith(f"{one.name} in ")
        ),
        *_told_channels(channels, source, target),
        *(
            f"references: {len(range(0, one.count, _step(one)))} of the {one.count} pictures of "
            f"{one.name}, evenly spread"
            for one in (source_train, train)
            if one.count > REFERENCE_PICTURES
        ),
        *([partners.told] if partners.names else []),
        *(
            f"stored pictures: {'not used, ' * isinstance(note, LeftOut)}{note}: {count}"
            for note, count in noted.items()
        ),
    ]
    return Material(
        direction,
        checkpoint,
        inputs,
        sets,
        held_out,
        of_source_train,
        target_train,
        {name: held_out[other] for name, other in partners.names.items()},
        ids,
        held_out_ids,
        split.holds_label_maps,
        domains.require("train", target).holds_label_maps,
        cycle,
        domains.name,
        [*notes, *([] if partners.names else [partners.told]), *([why_not] if why_not else [])],
        classes,
        told,
        {
            "scale": str(scale),
            "channels": dict(channels),
            "splits": {
                domain: found.name
                for domain, found in ((source, split), (target, target_split))
                if found
            },
            "references": {
                source: len(range(0, source_train.count, _step(source_train))),
                target: len(target_train),
            },
            "pairs": partners.to_json(),
            "labels": "of the partners" if of_partners else "of the inputs" if ids else None,
            **(facts or {}),
        },
        partners,
        config,
    )


def _told_channels(channels: Mapping[str, int], source: str, target: str) -> list[str]:
    """How gray pictures and colours stand beside each other."""
    if set(channels.values()) == {3}:
        return []
    if channels[source] == channels[target]:
        return ["channels: both domains are gray here; stored colours are taken by their luminance"]
    way = "inputs as R=G=B" if channels[source] == 1 else "the luminance of the inputs"
    gray = (source if channels[source] == 1 else target).upper()
    return [
        f"channels: {gray} is gray here, stored colours of it are taken by their luminance; "
        f"controls start from {way}"
    ]


def _common_classes(split: Split, target: Split) -> tuple[ClassTable | None, str]:
    """The table of both domains' ids and label maps, that of the target where they differ; and why
    then no labels are compared.
    """
    tables = [
        one.source.require_labels(one.name)
        if one.labelled
        else one.source.classes
        if one.holds_label_maps
        else None
        for one in (target, split)
    ]
    ours, theirs = tables
    if ours is not None and theirs is not None and (difference := ours.difference(theirs)):
        return (
            ours,
            f"labels: the classes of {split} are not those of {target}: {difference}; no scores "
            "by class",
        )
    return ours or theirs, ""


def _load(split: Split, channels: int, scale: Scale, noted: Counter[str]) -> Pictures:
    """All pictures; what `intake` notes on those that data_prep did not store is counted in
    `noted`.
    """
    return {
        name: _decode(split, encoded, channels, scale, noted)
        for name, encoded in pictures_of_split(split.source, split.name)
    }


def _some(split: Split, channels: int, scale: Scale, noted: Counter[str]) -> list[np.ndarray]:
    """At most REFERENCE_PICTURES pictures, evenly spread."""
    step = _step(split)
    return [
        _decode(split, encoded, channels, scale, noted)
        for index, (_, encoded) in enumerate(split.pictures())
        if index % step == 0
    ]


def _decode(
    split: Split, encoded: bytes, channels: int, scale: Scale, noted: Counter[str]
) -> np.ndarray:
    image, decoded = stored.decode(split.source, encoded, channels)
    noted.update(decoded.notes if decoded else ())
    return images.to_array(scale(image, nearest=split.holds_label_maps))


def _step(split: Split) -> int:
    return max(1, -(-split.count // REFERENCE_PICTURES))


def _ids(split: Split) -> Iterator[tuple[str, np.ndarray]]:
    for filename, _, label in split.source.labelled_pictures(split.name):
        yield picture_name(filename, split.name), images.decode_ids(label)


def read_png(path: Path) -> np.ndarray:
    """The pixels as they were saved, uint8 [H, W, C] of our own PNGs; whatever Pillow raises for a
    damaged file.
    """
    with Image.open(path, formats=("PNG",)) as image:
        return images.to_array(image)
