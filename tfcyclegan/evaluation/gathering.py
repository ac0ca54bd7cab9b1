"""Loads what the translations of a run, or of another program, are scored against, at the size of
the translations.
"""

import collections
import dataclasses
import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfcyclegan.config import Size, TrainConfig
from tfcyclegan.data.domains import Domains
from tfcyclegan.data.images import Scale
from tfcyclegan.data.notes import LeftOut, without_counts
from tfcyclegan.data.picture_folders import named_once, pictures_of_split
from tfcyclegan.data.source import MANIFEST, DataSource
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.evaluation import shared_pictures
from tfcyclegan.evaluation.class_ids import common_classes, read_ids
from tfcyclegan.evaluation.measured_gathering import Loaded, measure, require_values
from tfcyclegan.evaluation.sides import Side
from tfcyclegan.evaluation.spool import Spool
from tfcyclegan.evaluation.task import Task
from tfcyclegan.evaluation.translated_arrays import read_translations, translate_arrays
from tfcyclegan.measures import diversity
from tfcyclegan.measures.controls import make_controls
from tfcyclegan.measures.evaluation_set import OWN, EvaluationSet, Function
from tfcyclegan.measures.partners import find_partners, names_of_pairs, told_of_sizes
from tfcyclegan.measures.pictures import InOrder, Made, Pictures, Renamed
from tfcyclegan.networks import LatentGenerator
from tfcyclegan.system import files
from tfcyclegan.system.progress import log
from tfcyclegan.training.checkpoint_files import BEST, DIRECTORY, newest
from tfcyclegan.training.checkpoints import find_checkpoint
from tfcyclegan.training.run_page import METRICS
from tfcyclegan.training.runs import Run
from tfcyclegan.translation.answers import functions
from tfcyclegan.translation.elsewhere import of_run, translate_split_elsewhere
from tfcyclegan.translation.foreign_measurements import read_arrays, sizes_of, told_of_values
from tfcyclegan.translation.foreign_translations import read_folder
from tfcyclegan.translation.translators import (
    RECORD,
    Translator,
    copies_on_devices,
    from_run,
    record_of,
    scale_of,
    translate_split,
)
from tfcyclegan.translation.value_pair import ValuePair

ZERO_LATENT = (
    "latent: zero, there and back, whose answer is the mean one; only the diversity of answers is "
    "of drawn latents, and tfcyclegan translate --samples=N draws them too"
)
# Number of pictures in the official splits.
_OF_CITYSCAPES = {"train": 2975, "val": 500}


def gather(run: Run, checkpoint: str, task: Task, *, alone: bool) -> EvaluationSet:
    """Makes the translations that the task's output folder lacks, and loads what they are scored
    against. `alone` means that only this direction is scored.

    Raises:
        UserError: the checkpoint or split does not exist, or pairs name pictures that do not exist.
    """
    split, direction = task.split, task.direction
    scale, folder = scale_of(run), task.output / direction
    translators = copies_on_devices(run, checkpoint, direction)
    sides = task.sides({domain: run.config.channels_of(domain) for domain in "ab"}, scale)
    task.check_regions()
    translator = translators[0]
    require_values(translator.values, sides, direction)
    of_measurements = any(side.stored for side in sides.values())
    identity = record_of(translator, scale) | split.source.identity_of(split.name)
    record = folder / RECORD
    if record.exists() and without_counts(files.read_json(record)) != identity:
        own_place = task.output.resolve() == (run.directory / METRICS.parent).resolve()
        if not own_place and not (task.output / METRICS.name).exists():
            raise UserError(
                f"--output={task.output}: {folder.name} holds translations that no finished "
                "evaluation made, and they are other ones; choose another folder, or remove them"
            )
        log(
            f"{folder}: replacing the translations there, which are by another checkpoint, of "
            "other pictures or at another scale"
        )
        files.remove(folder)
    spool = task.spool()
    inputs = sides[direction[0]].load(split, spool)
    held_out = _held_out(task, sides, spool)
    # names that do not match are told before hours of translating
    names_of_pairs(inputs, held_out, task.pairs, direction, task.purpose)
    # what else is opened is of this step, though a training may have written later ones meanwhile
    opened = translator.identity["checkpoint"]
    same = opened.removeprefix("step-") if checkpoint == "latest" else checkpoint
    elsewhere = of_run(task.engine, run, same, direction) if task.engine else None
    if of_measurements:
        translate_arrays(translators, inputs, folder, scale, identity, elsewhere)
    elif elsewhere:
        if len(inputs) < split.count:
            collections.deque(named_once(pictures_of_split(split.source, split.name)), maxlen=0)
        translate_split_elsewhere(translators, split, folder, scale, elsewhere)
    else:
        translate_split(translators, split.source, split.name, folder, scale=scale)
    own = read_translations(folder.absolute(), list(inputs))
    chosen_on = [
        found
        for domain in direction
        if run.config.measures
        and run.config.eval_split == "val"
        and task.purpose == "test"
        and (found := task.domains.find(task.purpose, domain))
        and "val" in found.name
    ]
    assembled = assemble(
        task,
        sides,
        inputs,
        own,
        held_out,
        spool,
        checkpoint=opened,
        cycle=_cycle(run, same, direction, translator),
        scale=scale,
        trained=translator.values,
        notes=[f"{one} is scored, but the best checkpoint was chosen on it" for one in chosen_on],
        assumed=[
            _told_scale(scale, measured=of_measurements),
            *_of_the_run(run, task.domains, checkpoint),
            *([ZERO_LATENT] if isinstance(translator.generator, LatentGenerator) else []),
            *(
                ["direction: only this one is scored; --direction=both scores the other as well"]
                if alone and f"gen_{direction[::-1]}" in run.networks
                else []
            ),
        ],
        facts={"chosen": checkpoint, "scale": str(scale)},
        config=run.config,
    )
    if not isinstance(translator.generator, LatentGenerator):
        return assembled
    drawn = functions(translator, diversity.ANSWERS, run.config.seed)
    again = functools.partial(_answers, _placed(run), same, direction)
    those = _Opened(again, drawn)
    return dataclasses.replace(
        assembled, answers=[_Reopened(those, number) for number in range(len(drawn))]
    )


def gather_folder(
    folder: Path, task: Task, *, suffix: str = "", channels: int | None = None
) -> EvaluationSet:
    """Loads a folder of translations by another program, and what they are scored against.

    Pictures are read by `read_folder`, and real ones resized to their size; measurements are read
    by `read_arrays`. For pairs see `find_partners`.

    Raises:
        UserError: the split does not exist, or the folder has no translations of it.
    """
    split, spool = task.split, task.spool()
    source, target = task.direction[0], task.direction[1]
    task.check_regions()
    own: Pictures
    if task.values_of(target) is not None:
        sides, scale = task.sides({"a": 3, "b": 3}, None), None
        inputs, values = sides[source].load(split, spool), sides[target].values
        arrays = read_arrays(
            folder,
            sizes_of(inputs),
            "--translations",
            channels=values.channels,
            settings=split.source.settings,
            suffix=suffix,
            keep=spool.keep,
        )
        own, facts = arrays.arrays, arrays.facts
        told = [*arrays.told, *told_of_values(arrays.arrays, values)]
    elif split.values is not None:
        raise UserError(
            f"--translations={folder}: pictures made from measurements can only be scored with "
            "--run_dir"
        )
    else:
        found = read_folder(
            folder, split, task.direction, suffix=suffix, channels=channels, keep=spool.keep
        )
        own, told, facts = found.pictures, found.told, found.facts
        height, width, own_channels = next(iter(own.values())).shape
        scale = Scale("resize_and_crop", Size(height, width), Size(height, width))
        sides = task.sides({source: 3, target: own_channels}, scale)
        inputs = sides[source].load(split, spool)
    return assemble(
        task,
        sides,
        inputs,
        own,
        _held_out(task, sides, spool),
        spool,
        checkpoint="",
        cycle="cycle honesty: needs both generators of a run; a folder of translations has none",
        assumed=told,
        facts={"translations": facts, "scale": str(scale or "original")},
    )


def _told_scale(scale: Scale, *, measured: bool) -> str:
    if scale.keeps_sizes:
        return "scale: that of the pictures, which training did not resize"
    return f"scale: {scale}, to which training resized whole pictures; " + (
        "translations are resized back, and everything is scored at its original size"
        if measured
        else "translations and real pictures are scored at this size"
    )


def _held_out(task: Task, sides: Mapping[str, Side], spool: Spool) -> Pictures:
    """The target domain's pictures of the purpose; none if it has no such split."""
    target = task.direction[1]
    split = task.domains.find(task.purpose, target)
    return sides[target].load(split, spool) if split else {}


def _of_the_run(run: Run, domains: Domains, checkpoint: str) -> list[str]:
    """Assumptions about the choice of checkpoint and data."""
    told = []
    if checkpoint == "latest" and newest(run.directory / DIRECTORY / BEST):
        steps = {
            which: Path(find_checkpoint(run.directory, which)).name for which in ("latest", "best")
        }
        if steps["latest"] != steps["best"]:
            told.append(
                f"checkpoint: {steps['latest']}, the latest; {steps['best']} measured best "
                "(--checkpoint=best scores it)"
            )
    if run.data_fingerprint and domains.fingerprint != run.data_fingerprint:
        told.append(
            f"data: {domains.title} ({domains.fingerprint[:8]}), not the data that the run was "
            f"trained on ({run.data_fingerprint[:8]})"
        )
    return told


def _cycle(
    run: Run, checkpoint: str, direction: str, forward: Translator
) -> tuple[Function, Function] | str:
    back = direction[::-1]
    if f"gen_{back}" not in run.networks:
        return f"cycle honesty: the run has no generator {back}"
    again = functools.partial(_both_ways, _placed(run), checkpoint, direction)
    opened = _Opened(again, _both_ways(run, checkpoint, direction, forward))
    return _Reopened(opened, 0), _Reopened(opened, 1)


def _placed(run: Run) -> Run:
    """The run as a process in another working directory sees it."""
    return dataclasses.replace(run, directory=run.directory.absolute())


def _answers(run: Run, checkpoint: str, direction: str) -> Sequence[Function]:
    return functions(from_run(run, checkpoint, direction), diversity.ANSWERS, run.config.seed)


def _both_ways(
    run: Run, checkpoint: str, direction: str, forward: Translator | None = None
) -> Sequence[Function]:
    """The generators there and back; the first may be open already."""
    back = direction[::-1]
    forward, backward = (
        forward or from_run(run, checkpoint, direction),
        from_run(run, checkpoint, back),
    )

    def named(name: str, translator: Translator) -> Function:
        def translate(batch: np.ndarray) -> np.ndarray:
            try:
                return translator.in_floats(batch)
            except RunError as error:
                raise RunError(f"{run.directory}: {name}, in the cycle: {error}") from error

        return translate

    return named(f"gen_{direction}", forward), named(f"gen_{back}", backward)


class _Opened:
    """Functions of open networks, which another process opens again when it first needs one.

    Args:
        open_: opens them; pickled.
        known: the open ones, in this process.
    """

    def __init__(
        self, open_: Callable[[], Sequence[Function]], known: Sequence[Function] | None = None
    ):
        self._open, self._known, self._lock = open_, known, threading.Lock()

    def function(self, number: int) -> Function:
        with self._lock:
            if self._known is None:
                self._known = self._open()
            return self._known[number]

    def __reduce__(self) -> Any:
        return _Opened, (self._open,)


@dataclass(frozen=True)
class _Reopened:
    """One of those functions."""

    opened: _Opened
    number: int

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        return self.opened.function(self.number)(batch)


def assemble(
    task: Task,
    sides: Mapping[str, Side],
    inputs: Pictures,
    own: Pictures,
    held_out: Pictures,
    spool: Spool,
    *,
    scale: Scale | None = None,
    trained: ValuePair | None = None,
    checkpoint: str,
    cycle: tuple[Function, Function] | str,
    notes: Sequence[str] = (),
    assumed: Sequence[str] = (),
    facts: Mapping[str, Any] | None = None,
    config: TrainConfig | None = None,
) -> EvaluationSet:
    """Loads what the translations `own` of `inputs` are scored against, beside the target domain's
    pictures `held_out`, as described by the domains' `sides`.

    `spool` stores what is loaded; `scale` is the size of measurements as network input, and
    `trained` are the values that the run was trained on. `notes`, `assumed` and `facts` are first
    entries of the attributes `left_out`, `assumed` and `facts` of `EvaluationSet`.

    Raises:
        UserError: the split does not exist, or pairs name pictures that do not exist.
    """
    domains, purpose, direction = task.domains, task.purpose, task.direction
    source, target = direction[0], direction[1]
    split, target_split = task.split, domains.find(purpose, target)
    trains = {domain: domains.require("train", domain) for domain in direction}
    train = trains[target]
    steps = {domain: sides[domain].step(one) for domain, one in trains.items()}
    raw = Loaded(
        inputs=inputs,
        own=own,
        held_out=held_out,
        source_train=sides[source].load(trains[source], spool, steps[source]),
        target_train=sides[target].load(train, spool, steps[target]),
    )
    inputs = sides[source].displayed(raw.inputs)
    held_out = sides[target].displayed(raw.held_out)
    target_train = InOrder(sides[target].displayed(raw.target_train))
    of_source_train = InOrder(sides[source].displayed(raw.source_train))
    noted = sides[source].noted + sides[target].noted
    channels = {domain: sides[domain].channels for domain in direction}
    aligned = domains.aligned(purpose)
    partners = find_partners(inputs, held_out, task.pairs, direction, purpose, aligned=aligned)
    classes, why_not = common_classes(split, target_split or train)
    ids, held_out_ids = (
        read_ids(one, classes, spool) if one and one.labelled and classes and not why_not else {}
        for one in (split, target_split)
    )
    of_partners = not ids and bool(held_out_ids)
    if of_partners:
        known = {name: one for name, one in partners.names.items() if one in held_out_ids}
        ids = Renamed(held_out_ids, known)
    tested = [one for one in (split, target_split) if one]
    of_measurements = any(side.stored for side in sides.values())
    told = [
        *assumed,
        *(
            f"split: {one.source.directory} has no {purpose} split, so {one.name} is scored"
            for one in tested
            if purpose not in one.name
        ),
        *(line for one in tested for line in shared_pictures.told(one)),
        *([] if of_measurements else _told_channels(channels, source, target)),
        *(
            f"references: {-(-one.count // steps[domain])} of the {one.count} pictures of "
            f"{one.name}, evenly spread"
            for domain, one in trains.items()
            if steps[domain] > 1
        ),
        *([partners.told] if partners.names else []),
        *(
            f"stored pictures: {'not used, ' * isinstance(note, LeftOut)}{note}: {count}"
            for note, count in noted.items()
        ),
    ]
    truths: Pictures = Renamed(held_out, partners.names)
    one_size = scale is None or scale.mode == "resize_and_crop"
    odd = "" if of_measurements or one_size else told_of_sizes(truths, inputs)
    found = EvaluationSet(
        direction=direction,
        checkpoint=checkpoint,
        inputs=inputs,
        sets={OWN: own}
        if of_measurements
        else {OWN: own}
        | {name: Made(control, inputs) for name, control in make_controls(target_train).items()},
        held_out=held_out,
        source_train=of_source_train,
        target_train=target_train,
        truths={} if odd else truths,
        ids=ids,
        held_out_ids=held_out_ids,
        source_is_label_maps=split.holds_label_maps,
        target_is_label_maps=train.holds_label_maps,
        cycle=cycle,
        data=domains.name,
        left_out=[
            *notes,
            *([] if partners.names else [partners.told]),
            *([why_not] if why_not else []),
            *([f"{odd}; prepare both domains at one size"] if odd else []),
        ],
        classes=classes,
        assumed=told,
        facts={
            "channels": {domain: sides[domain].values.channels for domain in sorted(sides)},
            "splits": {domain: one.name for domain, one in zip(direction, tested, strict=False)},
            "references": {source: len(of_source_train), target: len(target_train)},
            "pairs": partners.to_json(),
            "labels": "of the partners" if of_partners else "of the inputs" if ids else None,
            **(facts or {}),
        },
        partners=partners,
        config=config,
        is_cityscapes=are_cityscapes(domains),
    )
    return measure(found, raw, sides, task, scale, trained) if of_measurements else found


def _told_channels(channels: Mapping[str, int], source: str, target: str) -> list[str]:
    """How gray and colour pictures are compared."""
    if set(channels.values()) == {3}:
        return []
    if channels[source] == channels[target]:
        return ["channels: both domains are gray; stored colours are converted to luminance"]
    way = "inputs as R=G=B" if channels[source] == 1 else "the luminance of the inputs"
    gray = (source if channels[source] == 1 else target).upper()
    return [
        f"channels: {gray} is gray, its stored colours are converted to luminance; controls start "
        f"from {way}"
    ]


def are_cityscapes(domains: Domains) -> bool:
    """Whether both domains are the complete official data set, according to the manifests of
    `data_prep.cityscapes`, not just the name.
    """
    return all(_is_cityscapes(source) for source in (domains.a, domains.b))


def _is_cityscapes(source: DataSource) -> bool:
    path = source.directory / MANIFEST
    if source.name != "cityscapes" or not path.exists():
        return False
    settings = files.read_json(path).get("request", {}).get("settings", {})
    return (
        "content" in settings
        and not settings.get("sample")
        and not settings.get("test_sample")
        and {split: source.counts.get(split) for split in _OF_CITYSCAPES} == _OF_CITYSCAPES
    )
