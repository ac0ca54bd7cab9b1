"""Everything that one direction is scored on: the test pictures, their translations, the controls'
outputs, and the known truths.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from tfcyclegan.config import TrainConfig
from tfcyclegan.data.display import Display
from tfcyclegan.data.labels import ClassTable
from tfcyclegan.measures.measured_set import MeasuredSet
from tfcyclegan.measures.partners import Partners
from tfcyclegan.measures.pictures import Pictures
from tfcyclegan.measures.statistics import (
    INPUTS,
    REAL,
    SOURCE,
    TRUTHS,
    Gathered,
    Row,
)

if TYPE_CHECKING:  # measures load no TensorFlow
    from tfcyclegan.networks.feature_networks import Features, Lpips

OWN = "translated"
FORMER_OWN = "CycleGAN"
"""Name of the row OWN in metrics.json files written by 0.1.0."""
FLOOR = "real (floor)"

# Maps float32 [1, H, W, C] in [-1, 1], of any size, to the other domain.
Function = Callable[[np.ndarray], np.ndarray]
Result = TypeVar("Result")


class Judge(Protocol):
    """A segmentation network trained on real photos."""

    @property
    def name(self) -> str:
        """The network and its training data, printed beside every score."""
        ...

    def predict(self, pictures: Sequence[np.ndarray], /) -> list[np.ndarray]:
        """Predicts train ids, uint8 [h, w], for pictures uint8 [H, W, 3]; if their size differs
        from the truth's, the caller resizes them by nearest neighbour.
        """
        ...


@dataclass(frozen=True)
class Conversions:
    """Conversions between the saved form of pictures or measurements and what networks see.

    Attributes:
        source: from the saved form of the source domain to network input, -1 in gaps.
        target: the same for the target domain.
        save: from a network's output, given its gaps, to the saved form of the target domain.
        source_gaps: the gaps of a saved array of the source domain, bool [H, W, 1]; None for
            pictures.
        target_gaps: the same for the target domain.
    """

    source: Callable[[np.ndarray], np.ndarray]
    target: Callable[[np.ndarray], np.ndarray]
    save: Callable[[np.ndarray, np.ndarray | None], np.ndarray]
    source_gaps: Callable[[np.ndarray], np.ndarray | None]
    target_gaps: Callable[[np.ndarray], np.ndarray | None]


@dataclass(frozen=True)
class MeasuredCycle:
    """The cycle of generators where at least one domain consists of measurements.

    Attributes:
        there: generator into the target domain.
        back: generator back into the source domain.
        inputs: source measurements or pictures, in their saved form.
        others: real ones of the target domain, in their saved form.
        convert: converts both domains.
    """

    there: Function
    back: Function
    inputs: Sequence[np.ndarray]
    others: Sequence[np.ndarray]
    convert: Conversions


@dataclass(frozen=True)
class Tools:
    """Networks that some measures need. A string in place of a tool is the reason why it is
    missing; "" means that it was not requested.

    Attributes:
        features: for KID and FID.
        lpips: for the table of paired pictures.
        judges: for the FCN-score, by direction.
    """

    features: "Features | str" = ""
    lpips: "Lpips | str" = ""
    judges: Mapping[str, Judge | str] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluationSet:
    """Everything that the measures of one direction need. Pictures are uint8 [H, W, C] at the
    training scale; for measurements they are the displayed pictures, used by the measures made for
    pictures.

    Pictures need not be in memory: each is read or computed when accessed. Measures that need all
    of them go through `rows`.

    Attributes:
        direction: "ab" or "ba".
        checkpoint: the checkpoint that translated; empty if the translations are of unknown origin.
        inputs: the translated pictures, by name.
        sets: the translations (OWN) and the controls' outputs, by name of the set; each has the
            names of the inputs.
        held_out: real pictures of the target domain that were not used in training; empty if there
            are none.
        source_train: real training pictures of the source domain.
        target_train: real training pictures of the target domain.
        truths: the true target picture by the name of its input; empty where no pairs are known.
        ids: class ids of the scene by the name of its input, [H, W] at the stored size; empty if
            there are no labels.
        held_out_ids: class ids by the name of the held-out picture; empty if the target domain has
            no labels.
        source_is_label_maps: whether the inputs are label maps.
        target_is_label_maps: whether the translations should be label maps.
        cycle: the generators forward and back, for pictures, or the reason why they are not
            available.
        answers: generators by drawn latents, each with another answer to a picture; empty where
            there is one answer.
        data: name of the data set.
        left_out: what is missing, and why, one line each.
        classes: the class table of the ids and label maps; None if there are neither.
        assumed: assumptions, defaults and conversions, one line each, with the flag that changes
            them.
        facts: the same in machine-readable form: scale, channels, splits, pairs and, for a folder
            of translations, how it was read.
        partners: the pairs, and what they are based on.
        config: the run's options; None if the translations are of unknown origin.
        history: the run's training history; may be empty.
        tools: feature networks and judges.
        is_cityscapes: whether the data are the complete official Cityscapes, so that published
            scores are comparable.
        measured: the set in the units of the data, if the target domain consists of measurements.
        measured_cycle: the cycle, if either domain consists of measurements.
        displays: how measurements are displayed, by domain, "a" or "b".
        shown: the pictures in example strips: "input", "translation", "truth" and "cycled", each by
            the input's name, uint8 [H, W, 1 or 3]; empty if the sets above can be shown as they
            are.
        known: results of `once`.
        gathered: rows gathered by `rows`.
    """

    direction: str
    checkpoint: str
    inputs: Pictures
    sets: dict[str, Pictures]
    held_out: Pictures
    source_train: Sequence[np.ndarray]
    target_train: Sequence[np.ndarray]
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
    history: Sequence[Mapping[str, Any]] = ()
    tools: Tools = Tools()
    is_cityscapes: bool = False
    answers: Sequence[Function] = ()
    measured: MeasuredSet | None = None
    measured_cycle: MeasuredCycle | None = None
    displays: Mapping[str, Display] = field(default_factory=dict)
    shown: Mapping[str, Pictures] = field(default_factory=dict)
    known: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    gathered: Gathered = field(default_factory=Gathered, init=False, repr=False, compare=False)

    def once(self, function: Callable[["EvaluationSet"], Result]) -> Result:
        """The result of `function(self)`, computed on the first call and remembered."""
        if function not in self.known:
            self.known[function] = function(self)
        result: Result = self.known[function]
        return result

    def of_statistics(self) -> "EvaluationSet":
        """What statistics need: no page, no table of the cycle and no results of `once`, but the
        rows that are gathered, on which others may depend.
        """
        made = replace(self, measured_cycle=None, shown={}, history=())
        made.gathered.rows |= self.gathered.rows
        return made

    def rows(self, *requests: tuple[Any, ...]) -> list[list[Row]]:
        """The statistics' rows of some sets, in the order of their pictures. A measure should
        request everything it needs in a single call, so that one pass gathers it.

        Args:
            requests: (statistic, name of the set), optionally followed by the names of the
                pictures.

        Raises:
            UserError: a statistic could not be computed for a picture.
        """
        whole = [
            (statistic, of, tuple(names[0]) if names else None)
            for statistic, of, *names in requests
        ]
        return self.gathered.of(self, whole)

    def rows_by_name(self, statistic: Any, names: tuple[str, ...] | None = None) -> dict[str, Row]:
        """The statistic's rows of the translations, or of those in `names`, by name; see `rows`."""
        (rows,) = self.rows((statistic, OWN, *([] if names is None else [names])))
        return dict(zip(self.names_of(OWN, names), rows, strict=True))

    def names_of(self, of: str, names: Sequence[Any] | None) -> Sequence[Any]:
        """`names`, or all names of the set if None."""
        if names is not None:
            return names
        pictures = self.all_sets[of]
        return list(pictures) if isinstance(pictures, Mapping) else range(len(pictures))

    @property
    def all_sets(self) -> dict[str, Pictures | Sequence[np.ndarray]]:
        """All sets of pictures, by name."""
        return {
            **self.sets,
            INPUTS: self.inputs,
            TRUTHS: self.truths,
            FLOOR: self.held_out,
            REAL: self.target_train,
            SOURCE: self.source_train,
        }

    def ids_of(self, of: str) -> Pictures:
        """The class ids of a set's pictures."""
        return self.held_out_ids if of == FLOOR else self.ids

    def references(self, most: int) -> range:
        """Indices of at most `most` real training pictures of the target domain, evenly spread."""
        count = len(self.target_train)
        return range(0, count, max(1, -(-count // most)))

    @property
    def own(self) -> Pictures:
        """The translations."""
        return self.sets[OWN]

    @property
    def table(self) -> ClassTable:
        """`classes`, where they are known to exist."""
        assert self.classes is not None
        return self.classes

    @property
    def of_measurements(self) -> bool:
        """Whether the inputs or the translations are measurements."""
        return bool(self.displays)

    @property
    def title(self) -> str:
        return f"{self.direction[0].upper()} to {self.direction[1].upper()}"

    @property
    def with_floor(self) -> dict[str, Pictures]:
        """`sets`, plus the held-out real pictures if there are any."""
        return self.sets | ({FLOOR: self.held_out} if self.held_out else {})

    @property
    def sure_truths(self) -> Pictures:
        """The truths; empty if their pairs are a guess that the pictures do not confirm."""
        return self.truths if self.partners.sure else {}

    @property
    def sure_labels(self) -> bool:
        """Whether the class ids belong to the inputs themselves, or to pairs that a verdict may
        rely on.
        """
        return self.partners.sure or self.facts.get("labels") != "of the partners"

    @property
    def tells_classes(self) -> bool:
        """Whether the translations are label maps whose colours identify the classes; gray
        translations do not if the palette is coloured.
        """
        if not self.target_is_label_maps or self.classes is None:
            return False
        palette = self.classes.palette
        return next(iter(self.own.values())).shape[-1] == 3 or bool(
            (palette == palette[:, :1]).all()
        )
