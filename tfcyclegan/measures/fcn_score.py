"""What a segmentation network sees in translations into photos: the FCN-score of the paper's Table
2, with a judge of our own, and whether objects change.

The judge was trained on real training photos of the target domain, never on translations. The truth
is never resized.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from tfcyclegan.config import Size
from tfcyclegan.measures import advice, confusion, label_maps
from tfcyclegan.measures.advice import advise
from tfcyclegan.measures.confusion import Cells, Confusion
from tfcyclegan.measures.cycle_consistency import LIMITS
from tfcyclegan.measures.evaluation_set import FLOOR, OWN, EvaluationSet
from tfcyclegan.measures.findings import Finding, range_of_means, worst_of
from tfcyclegan.measures.label_maps import SHUFFLED, Published
from tfcyclegan.measures.statistics import View
from tfcyclegan.measures.tables import Assumed, Table, decided_if

PREFIX = "Labels by the judge"
CEILING = "real photos (ceiling)"
_CHANGES_TOLD = 3
# Labels to photos: Zhu et al. 2017, Table 2. Their judge was Caffe's FCN-8s.
PUBLISHED: Published = {
    "CoGAN (figure recalled, not re-read)": (0.40, 0.10, 0.06),
    "BiGAN/ALI (figure recalled, not re-read)": (0.19, 0.06, 0.02),
    "SimGAN (figure recalled, not re-read)": (0.20, 0.10, 0.04),
    "feature loss + GAN (figure recalled, not re-read)": (0.06, 0.04, 0.01),
    "CycleGAN, paper": (0.52, 0.17, 0.11),
    "CycleGAN, an independent reproduction": (0.537, 0.136, 0.089),
    "pix2pix (paired, upper bound)": (0.71, 0.25, 0.18),
}


def confusions(scored: EvaluationSet) -> dict[str, Confusion] | str:
    """The judge's predictions against the labels, by row of the table. A reason if this is not
    possible; "" if no judge was requested or the target domain is not photos.
    """
    judge = scored.tools.judges.get(scored.direction, "")
    if isinstance(judge, str):
        return judge
    if scored.target_is_label_maps:
        return ""
    if not scored.ids:
        return f"judge: {label_maps.no_labels(scored)}"
    names, real = tuple(scored.ids), tuple(scored.held_out_ids)
    asked: label_maps.Asked = {name: (_judged, name, names) for name in scored.sets}
    asked |= {SHUFFLED: (label_maps.OfAnother(_judged), OWN, names)}
    asked |= {CEILING: (_judged, FLOOR, real)} if real else {}
    return {
        name: label_maps.confusion_of(rows, scored.table.count)
        for name, rows in label_maps.rows_of_all(scored, asked).items()
    }


def _judged(view: View, name: str | None = None) -> Cells:
    """Confusion matrix of the judge's predictions for the picture, or for another picture of its
    set, at the size of the ids.
    """
    judge = view.scored.tools.judges[view.scored.direction]
    assert not isinstance(judge, str)
    picture = view.look(view.scored.all_sets[view.of], name)
    colour = np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:2], 3)))
    (seen,) = judge.predict([colour])
    size = Size(*view.train_ids.shape)
    resized = label_maps.resized(seen.astype(np.uint8), size, Image.Resampling.NEAREST)
    return label_maps.against_ids(view, resized)


def tables(scored: EvaluationSet) -> Sequence[Table | str] | str:
    """The table of scores and the table by class; a reason if there are none."""
    found, judge = scored.once(confusions), scored.tools.judges.get(scored.direction, "")
    if isinstance(found, str) or isinstance(judge, str):
        return found if isinstance(found, str) else ""
    ceiling = (
        "its score on real held-out photos is the ceiling"
        if CEILING in found
        else "there are no labelled held-out photos for a ceiling"
    )
    table = label_maps.label_table(
        f"{PREFIX}: {judge.name}",
        "The judge's predictions for each row's pictures against the labels of the input, at the "
        f"labels' own size; {ceiling}. {label_maps.CONVENTIONS}",
        found,
        {f"{name}, judged by FCN-8s": values for name, values in PUBLISHED.items()}
        if scored.is_cityscapes
        else {},
    )
    shown = (OWN, "identity", CEILING)
    classes = label_maps.by_class(f"{PREFIX}, by class", found, shown, scored.table.names)
    gray = Assumed(
        "judge: it was trained on colour photos and gets gray ones as R=G=B, also for its ceiling"
    )
    found_tables = [decided_if(scored.sure_labels, one) for one in (table, classes)]
    return [*found_tables, *([gray] if scored.target_train[0].shape[-1] == 1 else [])]


def changed_objects(scored: EvaluationSet) -> Finding | str:
    """Whether the translation shows different objects from the input: a judge of the target's
    photos against the input's labels.

    Translations can be read only by a network trained on the target's photos. For the inputs their
    labels are used: wherever a network could be trained to read the inputs, these are known.
    """
    if scored.target_is_label_maps:
        return ""  # covered by the label scores
    found = scored.once(confusions)
    if isinstance(found, str):
        needed = "needs a judge; --judge=auto trains one if the target has labelled photos"
        return f"detector changed objects: {found or needed}"
    if not scored.sure_labels:
        return (
            "detector changed objects: the labels are those of guessed partners, which the "
            "pictures do not confirm; --pairs=names if they are pairs"
        )
    if not {OWN, CEILING, SHUFFLED} <= found.keys():
        return (
            "detector changed objects: needs labelled real photos, which give the judge's own "
            "error, and two labelled inputs"
        )
    # Share of each picture's labelled pixels that are wrong; NaN if there are none.
    own, real, other = (
        1 - confusion.pixel_accuracy(found[name].pictures) for name in (OWN, CEILING, SHUFFLED)
    )
    value, of_another = float(np.nanmean(own)), float(np.nanmean(other))
    low, high = range_of_means(real[~np.isnan(real)], len(own))
    changes = [
        f"{one} seen as {another} {share:.1%}"
        for share, one, another in _changes(found[OWN], found[CEILING], scored.table.names)
    ]
    return Finding(
        "changed objects",
        value,
        low,
        high,
        # 0 at the judge's own error on real photos, 1 at the error with another picture's labels.
        # There were no labelled photos to set separate limits on, so those of the cycle error,
        # which has the same scale, are used.
        LIMITS.verdict((value - high) / max(of_another - high, 1e-9)),
        "share of pixels where the judge sees another class in the translation than the input has",
        advise(
            scored.config, advice.SEMANTIC, advice.IDENTITY, advice.ALIKE_LAYOUTS, advice.LONGER
        ),
        worst_of(scored.ids, own),
        "range: the judge's own error on real photos; its error with another picture's labels is "
        f"{of_another:.3f}" + (f"; {', '.join(changes)}" if changes else ""),
    )


def _changes(own: Confusion, real: Confusion, names: Sequence[str]) -> list[tuple[float, str, str]]:
    """(share of all pixels, class, predicted as) of the most frequent confusions in translations,
    less their share on real photos.
    """
    excess = own.counts / max(own.counts.sum(), 1) - real.counts / max(real.counts.sum(), 1)
    excess = excess[:, : len(names)]
    np.fill_diagonal(excess, 0)
    most = np.argsort(-excess, axis=None)[:_CHANGES_TOLD]
    places = [np.unravel_index(index, excess.shape) for index in most]
    return [(float(excess[i, j]), names[i], names[j]) for i, j in places if excess[i, j] > 0]
