"""The report of an adaptation: the table, gains, IoU by class, training curves and the arms'
predictions for some pictures.
"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from tfcyclegan import pages
from tfcyclegan.adaptation.arm_scores import SOURCE_ONLY, ArmResult
from tfcyclegan.adaptation.arms import TITLES
from tfcyclegan.config import AdaptConfig, Size
from tfcyclegan.data import images
from tfcyclegan.data.domains import Split
from tfcyclegan.data.labels import IGNORED
from tfcyclegan.data.pixels import spread
from tfcyclegan.segmentation.segmenter import load_segmenter
from tfcyclegan.system import files
from tfcyclegan.training.figures import svg
from tfcyclegan.training.history import HISTORY, read_history

_EXAMPLES = 4
_SHOWN_WIDTH = 256


def shown(row: ArmResult) -> list[str]:
    """Mean, spread, gain, its spread and gap recovered as printed."""
    own = row.name == SOURCE_ONLY
    gain, gain_spread = (
        ("", "") if own else (_number(row.gain, "+.1f"), _number(row.gain_spread, ".1f"))
    )
    return [
        _number(row.mean, ".1f"),
        _number(row.spread, ".1f"),
        gain,
        gain_spread,
        "" if own else _number(100 * row.gap_recovered, ".0f", " %"),
    ]


def _number(value: float, form: str, unit: str = "") -> str:
    return format(value, form) + unit if np.isfinite(value) else ""


def write_report(
    config: AdaptConfig,
    directory: Path,
    results: dict[str, Any],
    table: list[ArmResult],
    scored: Split,
) -> None:
    """Makes `report.html`, one file that opens from disk."""
    page = pages.render(
        "adaptation.html",
        results=results,
        rows=[(row, shown(row)) for row in table],
        classes=scored.source.require_labels(scored.name).names,
        bars=svg(_bars(table)),
        curves=svg(_curves(config, directory)),
        arms=[TITLES[arm] for arm in config.arm_names],
        seed=config.seed_numbers[0],
        examples=_examples(config, directory, scored),
    )
    files.write_text(directory / "report.html", page)


def _bars(table: list[ArmResult]) -> Figure:
    figure = Figure(figsize=(7, 0.5 + 0.45 * len(table)), layout="constrained")
    axes = figure.add_subplot()
    names = [row.name for row in table][::-1]
    axes.barh(names, [row.mean for row in table][::-1], color="#2f6fde", alpha=0.35)
    for index, row in enumerate(table[::-1]):
        axes.plot(
            list(row.scores.values()), [index] * len(row.scores), "o", color="#d9622b", markersize=4
        )
    axes.set_xlabel("mIoU %; a dot for each seed")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _curves(config: AdaptConfig, directory: Path) -> Figure:
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.add_subplot()
    for arm in config.arm_names:
        lines = read_history(directory / "arms" / arm / f"seed-{config.seed_numbers[0]}" / HISTORY)
        axes.plot(
            [line["step"] for line in lines],
            [line["loss"] for line in lines],
            linewidth=1,
            label=TITLES[arm],
        )
    axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("training loss")
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _examples(config: AdaptConfig, directory: Path, scored: Split) -> list[list[str]]:
    """Rows of data URLs: picture, truth, and each arm's labels of the first seed, for pictures
    evenly spaced over the scored split.
    """
    wanted = set(spread(scored.count, _EXAMPLES))
    segmenters = [
        load_segmenter(directory / "arms" / arm / f"seed-{config.seed_numbers[0]}")
        for arm in config.arm_names
    ]
    classes = scored.source.require_labels(scored.name)
    rows = []
    for index, (_, encoded, label) in enumerate(scored.source.labelled_pictures(scored.name)):
        if index not in wanted:
            continue
        picture = images.decode(encoded, 3)
        ids = images.decode_ids(label)
        predictions = [segmenter.label(picture, Size(*ids.shape)) for segmenter in segmenters]
        scored_pixels = classes.to_train_ids(ids) != IGNORED
        drawn = [
            classes.colorize(ids),
            *(
                classes.colorize(
                    np.where(scored_pixels, classes.to_ids(p), classes.void_id).astype(np.uint8)
                )
                for p in predictions
            ),
        ]
        rows.append([_url(np.asarray(picture)), *map(_url, drawn)])
    return rows


def _url(picture: np.ndarray) -> str:
    image = Image.fromarray(picture)
    height = max(1, round(image.height * _SHOWN_WIDTH / image.width))
    return pages.data_url(
        images.encode_png(
            images.to_array(images.resize(image, Size(height, _SHOWN_WIDTH), nearest=True))
        )
    )
