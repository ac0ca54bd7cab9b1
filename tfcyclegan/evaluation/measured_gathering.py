"""What translations are scored against where a domain is one of measurements: in its units, and as
displayed for what is made for pictures.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfcyclegan.data import display
from tfcyclegan.data.display import displays_of
from tfcyclegan.data.domains import Domains, Split
from tfcyclegan.data.images import Scale
from tfcyclegan.data.values import Values
from tfcyclegan.errors import UserError
from tfcyclegan.evaluation.sides import Side, subjects_of_split
from tfcyclegan.measures.controls import make_controls
from tfcyclegan.measures.evaluation_set import OWN, EvaluationSet, Pictures
from tfcyclegan.measures.measured_set import MeasuredSet
from tfcyclegan.measures.value_controls import ValueControls, make_value_controls
from tfcyclegan.translation.foreign_measurements import read_arrays
from tfcyclegan.translation.value_pair import ValuePair

NO_CYCLE = "cycle honesty: its disturbances, such as JPEG, are those of 8-bit pictures"
_ON_DISPLAYED = (
    "display: look, distribution and the failures looked for are measured on displayed pictures, "
    "8 bit in that window, gaps black; truth and values in the units of the data"
)


@dataclass(frozen=True)
class Loaded:
    """What was read of the data, by name, and the translations: measurements in units, with their
    neighbouring planes but for `own`; pictures uint8 [H, W, C].
    """

    inputs: Pictures
    own: Pictures
    held_out: Pictures
    source_train: Pictures
    target_train: Pictures


def values_of(domains: Domains, purpose: str, domain: str) -> Values | None:
    """What the numbers of a domain's measurements mean; None of pictures."""
    return (domains.find(purpose, domain) or domains.require("train", domain)).values


def sides_of(
    domains: Domains,
    purpose: str,
    channels: Mapping[str, int],
    scale: Scale | None,
    shown: Mapping[str, str],
) -> dict[str, Side]:
    """Both domains by letter, "a" and "b".

    Args:
        domains: the data.
        purpose: of the split that is scored.
        channels: of pictures, by domain.
        scale: to which pictures are resized where both domains are of pictures.
        shown: how measurements are displayed, as `displays_of` takes it.

    Raises:
        UserError: `shown` does not go with the data.
    """
    values = {domain: values_of(domains, purpose, domain) for domain in "ab"}
    measured = {domain.upper(): one for domain, one in values.items() if one is not None}
    displays = displays_of(measured, **shown)
    return {
        domain: Side(
            channels[domain], None if measured else scale, one, displays.get(domain.upper())
        )
        for domain, one in values.items()
    }


def refuse_regions(regions: Path | None, target: Values | None) -> None:
    """UserError where there are `regions` and translations are pictures."""
    if regions is not None and target is None:
        raise UserError(
            f"--regions={regions}: goes with translations that are measurements; pictures are "
            "scored by class where their labels are known"
        )


def require_values(known: ValuePair, sides: Mapping[str, Side], direction: str) -> None:
    """UserError where the data are of other channels, units or gaps than those a translator
    `known` was trained on.
    """
    pair = zip(direction, (known.source, known.target), strict=True)
    for domain, trained in pair:
        told = [
            one and f"{one.channels} channels, units {one.units!r}, nodata {one.nodata}"
            for one in (trained, sides[domain].stored)
        ]
        if told[0] != told[1]:
            raise UserError(
                f"--data_dir: domain {domain.upper()} has {told[1] or 'pictures'}, and the run was "
                f"trained on {told[0] or 'pictures'}; its scores would mean nothing"
            )


def measure(
    found: EvaluationSet,
    raw: Loaded,
    sides: Mapping[str, Side],
    split: Split,
    *,
    aligned: bool,
    regions: Path | None,
) -> EvaluationSet:
    """`found`, whose sets are the displayed pictures, with what is scored in units.

    Args:
        found: of it inputs, held-out and training pictures are displayed already, and `sets` has
            the translations as they were saved.
        raw: what was loaded.
        sides: the domains.
        split: of the inputs.
        aligned: whether training pictures of equal names are pairs.
        regions: folder of region maps, or None.

    Raises:
        UserError: region maps that do not fit.
    """
    source, target = (sides[domain] for domain in found.direction)
    truths = {name: raw.held_out[other] for name, other in found.partners.names.items()}
    left_out = list(found.left_out)
    if odd := [name for name, one in truths.items() if one.shape[:2] != raw.own[name].shape[:2]]:
        left_out.append(
            f"truth: {len(odd)} of {len(truths)} pairs are of different sizes, such as {odd[0]}; "
            "values are not resampled"
        )
        truths = {}
    own_planes = {name: target.own(truth) for name, truth in truths.items()}
    measured = None
    assumed = [*found.assumed, *display.told(_displays(sides)), _ON_DISPLAYED]
    sets = {OWN: raw.own}
    if target.stored is not None:
        gaps = {name: source.gaps(array) for name, array in raw.inputs.items()}
        sets = {OWN: {name: _with_gaps(array, gaps[name]) for name, array in raw.own.items()}}
    if target.stored is None:
        controls = make_controls(found.target_train)
        sets |= {
            name: {key: control(picture) for key, picture in found.inputs.items()}
            for name, control in controls.items()
        }
        shown_sets = sets
    else:
        made = _value_controls(raw, source, target, own_planes, found, aligned=aligned)
        sets |= {
            name: {
                key: _with_gaps(control(source.own(array)), gaps[key])
                for key, array in raw.inputs.items()
            }
            for name, control in made.controls.items()
        }
        measured = MeasuredSet(
            target.values,
            sets,
            {name: target.own(array) for name, array in raw.held_out.items()},
            [target.own(array) for array in raw.target_train.values()],
            own_planes,
            subjects_of_split(split) if source.stored else {},
            {} if regions is None else _regions(regions, raw.inputs, split),
            made.to_beat,
        )
        shown_sets = {
            name: {key: target.levels_of_own(array) for key, array in pictures.items()}
            for name, pictures in sets.items()
        }
        assumed += made.told
        left_out += made.left_out
    return dataclasses.replace(
        found,
        sets=shown_sets,
        truths={name: target.levels(truth) for name, truth in truths.items()},
        measured=measured,
        displays={domain: one.display for domain, one in sides.items() if one.display},
        shown={
            "input": {name: source.picture(array) for name, array in raw.inputs.items()},
            "translation": {
                name: target.picture_of_own(array) for name, array in sets[OWN].items()
            },
            "truth": {name: target.picture(truth) for name, truth in truths.items()},
        },
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


def _with_gaps(array: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """NaN where the input has gaps, [H, W, 1], of which integers may be able to tell none."""
    if not gaps.any():
        return array
    # float32 holds all types of measurements exactly
    return np.where(gaps, np.nan, array.astype(np.result_type(array, np.float32)))


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
        [target.own(array) for array in raw.target_train.values()],
        train_pairs=[
            (source.own(raw.source_train[name]), target.own(raw.target_train[name]))
            for name in sorted(train_names)
        ],
        test_pairs=[
            (source.own(raw.inputs[name]), truth)
            for name, truth in truths.items()
            if found.partners.sure
        ],
    )


def _regions(folder: Path, inputs: Pictures, split: Split) -> Pictures:
    """Region ids by the inputs' names, [H, W]; 0 where a map has none."""
    sizes = {name: (array.shape[0], array.shape[1]) for name, array in inputs.items()}
    settings = split.source.settings
    read = read_arrays(folder, sizes, "--regions", channels=1, settings=settings)
    ids = {name: np.nan_to_num(array[..., 0]) for name, array in read.arrays.items()}
    if odd := [name for name, array in ids.items() if not (array == np.rint(array)).all()]:
        raise UserError(f"--regions={folder}: {odd[0]} has fractions, and ids are whole numbers")
    return {name: array.astype(np.int64) for name, array in ids.items()}
