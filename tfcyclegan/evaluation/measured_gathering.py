"""Loads what translations are scored against if a domain consists of measurements: in units, and as
displayed for the measures made for pictures.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tfcyclegan.config import Size
from tfcyclegan.data import display
from tfcyclegan.data.images import Scale
from tfcyclegan.data.pixels import spread
from tfcyclegan.errors import UserError
from tfcyclegan.evaluation.region_maps import read_regions
from tfcyclegan.evaluation.sides import Side, subjects_of_split
from tfcyclegan.evaluation.task import Task
from tfcyclegan.measures.controls import make_controls
from tfcyclegan.measures.cycle_consistency import PICTURES as CYCLED
from tfcyclegan.measures.evaluation_set import (
    OWN,
    Conversions,
    EvaluationSet,
    Function,
    MeasuredCycle,
)
from tfcyclegan.measures.measured_set import MeasuredSet
from tfcyclegan.measures.partners import told_of_sizes
from tfcyclegan.measures.pictures import InOrder, Made, Pictures, Renamed
from tfcyclegan.measures.value_controls import Control, ValueControls, make_value_controls
from tfcyclegan.translation.foreign_measurements import sizes_of
from tfcyclegan.translation.value_pair import ValuePair, told_of_ranges

_ON_DISPLAYED = (
    "display: look, distribution and failures are measured on displayed pictures, 8 bit in that "
    "window, gaps black"
)
_IN_UNITS = "; truth and values in the units of the data"


@dataclass(frozen=True)
class Loaded:
    """The loaded data by name, and the translations. Measurements are in units, with their
    neighbouring planes except in `own`; pictures are uint8 [H, W, C].
    """

    inputs: Pictures
    own: Pictures
    held_out: Pictures
    source_train: Pictures
    target_train: Pictures


def require_values(known: ValuePair, sides: Mapping[str, Side], direction: str) -> None:
    """Raises UserError if the data differ in channels, units or gaps from those that the translator
    with values `known` was trained on.
    """
    pair = zip(direction, (known.source, known.target), strict=True)
    for domain, trained in pair:
        told = [
            one and f"{one.channels} channels, units {one.units!r}, nodata {one.nodata}"
            for one in (trained, sides[domain].stored)
        ]
        if told[0] != told[1]:
            raise UserError(
                f"--data_dir: domain {domain.upper()} has {told[1] or 'pictures'}, but the run was "
                f"trained on {told[0] or 'pictures'}; its scores would be meaningless"
            )


def measure(
    found: EvaluationSet,
    raw: Loaded,
    sides: Mapping[str, Side],
    task: Task,
    scale: Scale | None,
    trained: ValuePair | None,
) -> EvaluationSet:
    """Adds to `found`, which holds the displayed pictures, what is scored in units.

    Args:
        found: set whose inputs, held-out and training pictures are displayed already, and whose
            `sets` holds the translations in their saved form.
        raw: the loaded data.
        sides: the domains.
        task: what to score.
        scale: size of measurements as network input; None for translations by another program.
        trained: values that the run was trained on, whose ranges may differ from those of the data;
            None likewise.

    Raises:
        UserError: the region maps do not fit.
    """
    source, target = (sides[domain] for domain in found.direction)
    truths: Pictures = Renamed(raw.held_out, found.partners.names)
    left_out = list(found.left_out)
    if odd := told_of_sizes(truths, raw.own):
        left_out.append(f"{odd}; values are not resampled")
        truths = {}
    assumed = [*found.assumed, *display.told(_displays(sides))]
    assumed.append(_ON_DISPLAYED + (_IN_UNITS if target.stored else ""))
    assumed += [] if trained is None else _other_ranges(trained, sides, found.direction)
    own, measured = raw.own, None
    sets: dict[str, Pictures] = {OWN: own}
    if target.stored is None:
        controls = make_controls(found.target_train)
        sets |= {name: Made(one, found.inputs) for name, one in controls.items()}
    else:
        aligned = task.domains.aligned("train")
        of_controls = _value_controls(raw, source, target, truths, found, aligned=aligned)
        regions: Pictures = {}
        if task.regions is not None:
            settings = task.split.source.settings
            read = read_regions(task.regions, sizes_of(raw.inputs), settings, task.spool())
            regions, assumed = read.arrays, assumed + read.told
        measured = MeasuredSet(
            target.values,
            _in_units(raw, source, of_controls),
            Made(target.own, raw.held_out),
            InOrder(Made(target.own, raw.target_train)),
            Made(target.own, truths),
            subjects_of_split(task.split) if source.stored else {},
            regions,
            of_controls.to_beat,
        )
        own = measured.sets[OWN]
        sets = {name: Made(target.levels, some) for name, some in measured.sets.items()}
        assumed += of_controls.told
        left_out += of_controls.left_out
    shown = {
        "input": Made(source.picture, Made(source.own, raw.inputs)),
        "translation": Made(target.picture, own),
        "truth": Made(target.picture, Made(target.own, truths)),
    }
    cycle, measured_cycle = found.cycle, None
    if not isinstance(cycle, str) and scale is not None and trained is not None:
        measured_cycle = _measured_cycle(raw, trained, cycle, scale)
        if measured_cycle is not None:
            back = _cycled(measured_cycle, trained.back, source.display, scale)
            shown["cycled"] = Made(back, own)
        cycle = "cycle honesty: a saved fake has no neighbouring planes, which the way back needs"
    return dataclasses.replace(
        found,
        cycle=cycle,
        measured_cycle=measured_cycle,
        sets=sets,
        truths=target.displayed(truths),
        measured=measured,
        displays={domain: one.display for domain, one in sides.items() if one.display},
        shown=shown,
        assumed=assumed,
        left_out=left_out,
        facts=found.facts
        | {
            "values": {
                domain.upper(): one.values.to_json() if one.stored else None
                for domain, one in sides.items()
            },
            "display": {
                letter: one.to_json() | {"told": one.told}
                for letter, one in _displays(sides).items()
            },
        },
    )


def _in_units(raw: Loaded, source: Side, made: ValueControls) -> dict[str, Pictures]:
    """The translations and the controls' outputs, NaN where the inputs have gaps."""

    def with_gaps(control: Control, array: np.ndarray) -> np.ndarray:
        return _with_gaps(control(source.own(array)), source.gaps(array))

    names = {name: name for name in raw.inputs}
    own = Made(lambda name: _with_gaps(raw.own[name], source.gaps(raw.inputs[name])), names)
    sets: dict[str, Pictures] = {OWN: own}
    return sets | {
        name: Made(functools.partial(with_gaps, control), raw.inputs)
        for name, control in made.controls.items()
    }


def _with_gaps(array: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """The array with NaN in the gaps of its input, [H, W, 1], which an integer type may not be able
    to mark.
    """
    if not gaps.any():
        return array
    # float32 represents all types of measurements exactly
    return np.where(gaps, np.nan, array.astype(np.result_type(array, np.float32)))


def _other_ranges(known: ValuePair, sides: Mapping[str, Side], direction: str) -> list[str]:
    """A line for each domain whose data have another range than the run's."""
    return [
        f"{told}; the networks, also in the cycle, use the run's, controls, displays and scores "
        "relative to a range those of the data"
        for domain, trained in zip(direction, (known.source, known.target), strict=True)
        if trained is not None
        and (stored := sides[domain].stored) is not None
        and (told := told_of_ranges(domain, stored, trained))
    ]


def _displays(sides: Mapping[str, Side]) -> dict[str, display.Display]:
    return {domain.upper(): one.display for domain, one in sides.items() if one.display}


def _value_controls(
    raw: Loaded,
    source: Side,
    target: Side,
    truths: Pictures,
    found: EvaluationSet,
    *,
    aligned: bool,
) -> ValueControls:
    train_names = raw.source_train.keys() & raw.target_train.keys() if aligned else set()
    return make_value_controls(
        source.values,
        target.values,
        InOrder(Made(target.own, raw.target_train)),
        train_pairs=(
            (source.own(raw.source_train[name]), target.own(raw.target_train[name]))
            for name in sorted(train_names)
        ),
        test_pairs=(
            (source.own(raw.inputs[name]), target.own(truth))
            for name, truth in truths.items()
            if found.partners.sure
        ),
    )


def _measured_cycle(
    raw: Loaded, there: ValuePair, cycle: tuple[Function, Function], scale: Scale
) -> MeasuredCycle | None:
    """The cycle through both networks, which know the values `there` and no others; None if the way
    back needs neighbouring planes, which saved fakes do not have.
    """
    if there.target is not None and there.target.neighbours:
        return None
    back = there.back

    def at_scale(pair: ValuePair, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        some = [arrays[index] for index in spread(len(arrays), CYCLED)]
        return [_resized(pair, array, scale) for array in some]

    return MeasuredCycle(
        *cycle,
        at_scale(there, InOrder(raw.inputs)),
        at_scale(back, InOrder(raw.held_out) or InOrder(raw.target_train)),
        Conversions(there.to_network, back.to_network, there.from_network, there.gaps, back.gaps),
    )


def _resized(pair: ValuePair, array: np.ndarray, scale: Scale) -> np.ndarray:
    size = scale.size_of(Size(array.shape[0], array.shape[1]))
    return pair.resized(array, size, scale.interpolation)


def _cycled(
    cycle: MeasuredCycle, back: ValuePair, shown: display.Display | None, scale: Scale
) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function that translates a saved translation back by networks of the values `back`,
    and displays the result as `shown`.
    """

    def picture(saved: np.ndarray) -> np.ndarray:
        saved = _resized(back, saved, scale)
        seen = cycle.back(cycle.convert.target(saved)[np.newaxis])[0]
        gaps = cycle.convert.target_gaps(saved)
        if gaps is not None:
            seen = np.where(gaps, np.nan if back.target else -1, seen)
        return display.seen_to_picture(seen, back.target, shown)

    return picture
