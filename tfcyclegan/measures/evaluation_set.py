"""What one direction is scored on: the test pictures, their translations, the controls', and the
truths that are known.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
FORMER_OWN = "CycleGAN"  # as scores of before other methods have it
FLOOR = "real (floor)"

# float32 [1, H, W, C] in [-1, 1] to the same of the other domain, of any size.
Function = Callable[[np.ndarray], np.ndarray]
Result = TypeVar("Result")


class Judge(Protocol):
    """A segmenter of real photos."""

    @property
    def name(self) -> str:
        """Network, and what it was trained on, to be printed beside every number."""
        ...

    def predict(self, pictures: Sequence[np.ndarray], /) -> list[np.ndarray]:
        """uint8 [H, W, 3] each to train ids, uint8 [h, w]; of another size than the truth they are
        enlarged by nearest pixel.
        """
        ...


@dataclass(frozen=True)
class MeasuredCycle:
    """A cycle of which a domain is one of measurements.

    Attributes:
        there: the generator into the target domain.
        back: the one back.
        inputs: as they are saved, of the domain that is translated.
        others: real ones of the target domain, likewise.
        source: what is saved of the inputs' domain as networks see it, -1 in gaps.
        target: likewise of the target domain.
        save: what networks give as it is saved of the target domain, with gaps.
        source_gaps: where something saved of the inputs' domain has gaps, bool [H, W, 1]; None of
            pictures.
        target_gaps: likewise of the target domain.
    """

    there: Function
    back: Function
    inputs: Sequence[np.ndarray]
    others: Sequence[np.ndarray]
    source: Callable[[np.ndarray], np.ndarray]
    target: Callable[[np.ndarray], np.ndarray]
    save: Callable[[np.ndarray, np.ndarray | None], np.ndarray]
    source_gaps: Callable[[np.ndarray], np.ndarray | None]
    target_gaps: Callable[[np.ndarray], np.ndarray | None]


@dataclass(frozen=True)
class Tools:
    """What measures need besides the pictures. Where one cannot be had, the reason stands for it;
    "" where it was not asked for.

    Attributes:
        features: of KID and FID.
        lpips: of the table of paired pictures.
        judges: of the FCN-score, by direction.
    """

    features: "Features | str" = ""
    lpips: "Lpips | str" = ""
    judges: Mapping[str, Judge | str] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluationSet:
    """All that the measures of one direction need. Pictures are uint8 [H, W, C] at the scale of the
    training; of a domain of measurements these are as displayed, for what is made for pictures.
    They need not be in memory: each is read, or made, when it is looked at, and measures look at
    all of them by `rows` alone.

    Attributes:
        direction: "ab" or "ba".
        checkpoint: which one translated; empty for translations of unknown origin.
        inputs: the pictures translated, by name.
        sets: what is made of the inputs, by name of the set: OWN and the controls; all have the
            inputs' names.
        held_out: real pictures of the target domain that no training saw; empty if there are none.
        source_train: real training pictures of the inputs' domain.
        target_train: the same of the target domain.
        truths: by an input's name the true picture of the target domain; empty where no pairs are
            known.
        ids: by an input's name the class ids of what it shows, [H, W] as stored; empty where there
            are no labels.
        held_out_ids: by the name of a held-out picture its class ids; empty where the target domain
            has no labels.
        source_is_label_maps: whether the inputs are label maps.
        target_is_label_maps: whether translations are to be label maps.
        cycle: the generators there and back, for pictures; or why they cannot be had.
        answers: generators of several answers to a picture, each by a drawn latent; empty where it
            has one.
        measured_cycle: the same where a domain is one of measurements.
        data: the data set's name.
        left_out: what is missing, and why.
        classes: the table of the ids and of label maps; None where neither is known.
        assumed: what was taken for granted, chosen by default or done to the pictures, one line
            each, with the flag that decides.
        facts: the same for programs: scale, channels, splits, pairs, and of a folder of
            translations how it was read.
        partners: what the truths rest on.
        config: the run's options; None for translations of unknown origin.
        history: of the run's training; empty if there is none.
        tools: feature networks and judges.
        is_cityscapes: whether the data are the whole official Cityscapes, so that published scores
            stand beside.
        measured: the same in units, where the target domain is one of measurements.
        displays: how domains of measurements are displayed, by domain, "a" or "b".
        shown: what strips show, "input", "translation", "truth" and "cycled" by an input's name,
            uint8 [H, W, 1 or 3]; empty where these are the pictures themselves.
        known: what was asked `once`, by the question.
        gathered: the rows of pictures that measures asked for.
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

    def once(self, function: Callable[..., Result], *more: Any) -> Result:
        """What `function` says of this set (and of `more`): asked once, for all that need it."""
        key = (function, *more)
        if key not in self.known:
            self.known[key] = function(self, *more)
        return self.known[key]

    def rows(self, *requests: tuple[Any, ...]) -> list[list[Row]]:
        """What statistics make of the pictures of sets, in their order; all that a measure needs is
        asked for in one call, so that one pass gathers it.

        Args:
            requests: (statistic, name of the set), or with the names of some of its pictures third.

        Raises:
            UserError: a statistic cannot be had of a picture.
        """
        whole = [
            (statistic, of, tuple(names[0]) if names else None)
            for statistic, of, *names in requests
        ]
        return self.gathered.of(self, whole)

    def names_of(self, of: str, names: Sequence[Any] | None) -> Sequence[Any]:
        """Those of a set's pictures, where it is not given which."""
        if names is not None:
            return names
        pictures = self.all_sets[of]
        return list(pictures) if isinstance(pictures, Mapping) else range(len(pictures))

    @property
    def all_sets(self) -> dict[str, Pictures | Sequence[np.ndarray]]:
        """All pictures, by the name of the set."""
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
        """The places of real training pictures of the target domain, at most so many, evenly
        spread.
        """
        count = len(self.target_train)
        return range(0, count, max(1, -(-count // most)))

    @property
    def own(self) -> Pictures:
        """The translations."""
        return self.sets[OWN]

    @property
    def table(self) -> ClassTable:
        """`classes`, for what has ids or label maps of known classes."""
        assert self.classes is not None
        return self.classes

    @property
    def of_measurements(self) -> bool:
        """Whether inputs or translations are measurements."""
        return bool(self.displays)

    @property
    def title(self) -> str:
        return f"{self.direction[0].upper()} to {self.direction[1].upper()}"

    @property
    def with_floor(self) -> dict[str, Pictures]:
        """`sets`, and the held-out real pictures where there are some."""
        return self.sets | ({FLOOR: self.held_out} if self.held_out else {})

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
        return next(iter(self.own.values())).shape[-1] == 3 or bool(
            (palette == palette[:, :1]).all()
        )
