"""The families of measures: each turns the material of a direction into a table, or into the reason why it cannot."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from tfcyclegan.config import Size
from tfcyclegan.data import images, labels
from tfcyclegan.evaluation.material import FLOOR, OWN, Material, Pictures
from tfcyclegan.evaluation.tables import Column, Table
from tfcyclegan.measures import label_protocols, paired, segmentation, similarity
from tfcyclegan.measures.appearance import Appearance
from tfcyclegan.measures.segmentation import Confusion
from tfcyclegan.measures.statistics import Interval, interval_of_confusion, interval_of_mean

CEILING = "ceiling (truth through the protocol)"
SHUFFLED = "CycleGAN, labels of other pictures"
RAW, MATCHED = "class IoU", "class IoU, classes matched"

_SATELLITE = "satellite2map"


def look(material: Material) -> Table:
    """How far the sets look from real training pictures of the target domain, needing no pairs."""
    table = Table(
        "Look",
        "Sliced Wasserstein distance to real training pictures of the target domain, in Lab units. The floor: held-out real ones.",
        (Column("colour", decides=True), Column("texture", decides=True)),
    )
    look = Appearance(material.target_train)
    sets = material.sets | ({FLOOR: material.held_out} if material.held_out else {})
    for name, pictures in sets.items():
        listed = list(pictures.values())
        table.rows[name] = {
            "colour": Interval(look.colour_distance(listed), np.nan, np.nan, len(listed)),
            "texture": Interval(look.texture_distance(listed), np.nan, np.nan, len(listed)),
        }
    return table


def truth(material: Material) -> Table | str:
    """Against the true picture of the same place, by picture."""
    truths = material.truths
    if not truths:
        return ""  # the material says why
    land = _land(material)
    with_classes = bool(material.ids)
    lab = Column("Lab error", decides=not land)
    columns = [lab, Column("L1", decides=not land), Column("PSNR", "higher", digits=2), Column("SSIM", "higher")]
    scores: dict[str, Callable[[str, np.ndarray, np.ndarray], float]] = {
        "Lab error": lambda _, picture, true: paired.lab_error(picture, true),
        "L1": lambda _, picture, true: paired.absolute_error(picture, true),
        "PSNR": lambda _, picture, true: similarity.psnr(picture, true),
        "SSIM": lambda _, picture, true: similarity.ssim(picture, true),
    }
    if land:
        columns.append(Column("Lab error on land", decides=True))
        scores["Lab error on land"] = lambda name, picture, true: paired.lab_error(picture, true, land[name])
        if material.direction == "ab":
            columns.append(Column("water IoU", "higher"))
            scores["water IoU"] = lambda name, picture, true: paired.overlap(paired.water(picture), ~land[name])
    if with_classes:
        columns.append(Column("class colour", decides=True, digits=2))
        regions = {name: _fitted(material.ids[name], true) for name, true in truths.items()}
        scores["class colour"] = lambda name, picture, true: similarity.class_colour_difference(picture, true, regions[name])
    note = "Against the true picture of the same scene. L1 on the scale [-1, 1]; PSNR in dB"
    if with_classes:
        note += "; class colour: Lab distance of a class's mean colours, mean over the classes in the picture"
    table = Table("Truth", note + ".", columns)
    for name, pictures in material.sets.items():
        table.rows[name] = {
            column: interval_of_mean(np.array([score(key, pictures[key], true) for key, true in truths.items()]), seed=0)
            for column, score in scores.items()
        }
    return table


def _fitted(ids: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """Ids in the size of the picture."""
    return images.to_array(images.resize(Image.fromarray(ids), Size(*picture.shape[:2]), nearest=True))[..., 0]


def _land(material: Material) -> Pictures:
    """By name where the map of satellite2map shows land: scored by itself, since nearly anything gets the sea right."""
    if material.data != _SATELLITE:
        return {}
    maps = material.truths if material.direction == "ab" else material.inputs
    return {name: ~paired.water(picture) for name, picture in maps.items()}


def label_maps(material: Material) -> list[Table] | str:
    """Translations that are label maps: nearest palette colour, then the scores of the paper's Table 3, by both protocols."""
    if not material.target_is_label_maps:
        return ""
    if not material.ids:
        return "label scores: neither domain's test pictures have labels; prepare them with --content=photos_and_labels or label_maps"
    truths = {name: labels.to_train_ids(ids) for name, ids in material.ids.items()}
    return [_label_table(material, protocol, truths) for protocol in label_protocols.PROTOCOLS]


def _label_table(material: Material, protocol: str, truths: Pictures) -> Table:
    columns = (
        Column("pixel accuracy", "higher", decides=True),
        Column("class accuracy", "higher", decides=True),
        Column(RAW, "higher", decides=True),
        Column(MATCHED, "higher"),
        Column("class IoU, absent left out", "higher"),
    )
    table = Table(
        f"Labels: {protocol}",
        "Nearest palette colour gives the class, brought to the labels' own size; classes absent from both sides count as 0, as in the "
        "paper's table (official pix2pix), but for the last column, which leaves them out (cityscapesScripts). 'Classes matched': after "
        "the best one-to-one relabelling (Hungarian); what it gains is permutation.",
        columns,
    )
    classify = label_protocols.PROTOCOLS[protocol]

    def score(predictions: Pictures, answers: Pictures) -> dict[str, Interval]:
        confusion = Confusion(absent="pix2pix")
        for name, truth_ids in answers.items():
            confusion.add(predictions[name], truth_ids)
        return _confusion_scores(confusion)

    classified = {
        name: {key: classify(pictures[key], Size(*truths[key].shape)) for key in truths} for name, pictures in material.sets.items()
    }
    for name, predictions in classified.items():
        table.rows[name] = score(predictions, truths)
    names = list(truths)
    if len(names) > 1:
        others = segmentation.other_frames(len(names), seed=0)
        moved = {name: classified[OWN][names[other]] for name, other in zip(names, others, strict=True)}
        if all(moved[name].shape == truths[name].shape for name in names):
            table.rows[SHUFFLED] = score(moved, truths)
    own = material.sets[OWN]
    perfect = {name: label_protocols.ceiling(ids, Size(*own[name].shape[:2]))[protocol] for name, ids in material.ids.items()}
    table.rows[CEILING] = score(perfect, truths)
    return table


def _confusion_scores(confusion: Confusion) -> dict[str, Interval]:
    pictures = confusion.pictures
    matched = segmentation.hungarian(confusion.counts, absent="pix2pix")

    def iou(absent: str) -> Callable[[np.ndarray], float]:
        return lambda counts: segmentation.class_iou(counts, absent=absent)

    return {
        "pixel accuracy": interval_of_confusion(pictures, segmentation.pixel_accuracy, seed=0),
        "class accuracy": interval_of_confusion(pictures, lambda counts: segmentation.class_accuracy(counts, absent="pix2pix"), seed=0),
        RAW: interval_of_confusion(pictures, iou("pix2pix"), seed=0),
        MATCHED: Interval(matched.matched_iou, np.nan, np.nan, len(pictures)),
        "class IoU, absent left out": interval_of_confusion(pictures, iou("cityscapes"), seed=0),
    }
