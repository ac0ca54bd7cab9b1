"""`tfcyclegan adapt`: trains and scores all arms with all seeds, and summarizes them in a table.

OUTPUT/
    request.json          every option that affects the numbers
    translated/           the source data set in the style of the target;
                        translated_semantic/ likewise
    semantic_translator/  the run of the translator with semantic losses
    arms/ARM/seed-N/      a segmenter's run directory and its scores.json; a finished one is not
                          trained again
    results.json  results.csv  report.html
"""

import csv
import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from tfcyclegan.adaptation import arms_page
from tfcyclegan.adaptation.arm_scores import ArmResult, summarize
from tfcyclegan.adaptation.arms import TITLES, Arms
from tfcyclegan.config import AdaptConfig
from tfcyclegan.data.domains import Split
from tfcyclegan.data.source import DataSource, open_source
from tfcyclegan.errors import UserError
from tfcyclegan.measures.confusion import Confusion
from tfcyclegan.segmentation.runs import interpolation_for
from tfcyclegan.system import files
from tfcyclegan.system.progress import log, log_table
from tfcyclegan.training.runs import config_to_dict

REQUEST = "request.json"
SCORES = "scores.json"
INTERPOLATION = "interpolation"
TRANSLATOR = "translator"
# options that may differ between two calls in one directory: paths, and the requested arms and
# seeds
_FREE = [
    field.name for field in dataclasses.fields(AdaptConfig) if field.metadata["on_resume"] == "free"
]
_DEFAULTS = {field.name: field.default for field in dataclasses.fields(AdaptConfig)}

_BY_TRANSLATION = ("translated", "translated_semantic", "self_training")
_TAKEN_BY = {
    "translator": _BY_TRANSLATION,
    "checkpoint": _BY_TRANSLATION,
    "fda_beta": ("fda",),
    "lambda_semantic": ("translated_semantic",),
    "semantic_steps": ("translated_semantic",),
    **dict.fromkeys(("pseudo_threshold", "pseudo_kept", "pseudo_rounds"), ("self_training",)),
}
"""The arms to which an option applies."""

_NOTE = (
    "mIoU in percent over the {count} classes, without those in neither ground truth nor "
    "prediction. Every arm has the same segmenter, seeds and steps, and is scored with the weights "
    "of its last step: no target label influences any choice. Translators are trained once and "
    "shared by all seeds, so the spread is that of the segmenter. Gain: mean difference from "
    "'source only' with the same seed; gap recovered: that gain over the oracle's."
)


def adapt(config: AdaptConfig) -> list[ArmResult]:
    """Does the part of `config` that is not done yet; the same command continues.

    Returns:
        A row for each arm.

    Raises:
        UserError: data, labels or translator are missing or do not fit, or the directory belongs to
            another request.
        RunError: a training failed.
        Stopped: SIGINT or SIGTERM, after a checkpoint.
    """
    if config.seed:
        raise UserError(
            f"--seed={config.seed}: segmenters are trained with several seeds; give --seeds"
        )
    source, target = _open(config.source_dir, config), _open(config.target_dir, config)
    for data, split in (
        (source, config.source_split),
        (target, config.target_split),
        (target, config.target_score_split),
    ):
        data.require(split)
    _require_one_table(config, source, target)
    for line in _without_effect(config):
        log(line)
    directory = Path(config.output_dir)
    arms = Arms(
        config,
        Split(source, config.source_split),
        Split(target, config.target_split),
        _interpolation(config, directory, target),
    )
    arms.check()
    _claim(config, directory, source, target, arms)
    scored = Split(target, config.target_score_split)
    classes = target.require_labels(scored.name)
    done = {}
    for arm in config.arm_names:
        for seed in config.seed_numbers:
            path = arms.run_directory(arm, seed) / SCORES
            if not path.exists():
                log(f"{TITLES[arm]}, seed {seed}")
                confusion = arms.segmenter(arm, seed).score_split(
                    scored, note=f"scoring {arm} seed {seed}"
                )
                files.write_json(path, _scores(confusion, classes.names))
            done[arm, seed] = files.read_json(path)
    table = summarize(
        {
            TITLES[arm]: {s: 100 * done[arm, s]["mean_iou"] for s in config.seed_numbers}
            for arm in config.arm_names
        }
    )
    _write(config, directory, table, done, target, scored)
    return table


def _without_effect(config: AdaptConfig) -> list[str]:
    """Options that were given but that no arm uses."""
    lines = []
    for name, arms in _TAKEN_BY.items():
        value = getattr(config, name)
        if value != AdaptConfig.__dataclass_fields__[name].default and not set(arms) & set(
            config.arm_names
        ):
            lines.append(f"--{name}={value}: has no effect; needs {' or '.join(arms)} in --arms")
    return lines


def _open(data_dir: str, config: AdaptConfig) -> DataSource:
    if config.data_recipe and not (Path(data_dir) / "dataset_info.json").exists():
        raise UserError(f"{data_dir}: not found; {config.data_recipe}")
    return open_source(data_dir)


def _require_one_table(config: AdaptConfig, source: DataSource, target: DataSource) -> None:
    """Raises UserError if labels for training or scoring are missing, or the ids of both domains
    mean different classes.
    """
    classes, theirs = (
        source.require_labels(config.source_split),
        target.require_labels(config.target_score_split),
    )
    if "oracle" in config.arm_names and config.target_split not in target.labelled:
        raise UserError(
            f"--arms: the oracle learns from {target.directory}, split {config.target_split}, "
            "which has no labels; leave it out"
        )
    if difference := classes.difference(theirs):
        raise UserError(
            f"--target_dir={config.target_dir}: its classes are not those of "
            f"--source_dir={config.source_dir}: {difference}; "
            "prepare both with one table"
        )


def _interpolation(config: AdaptConfig, directory: Path, target: DataSource) -> str:
    """The filter that resizes pictures: the one with which the adaptation in the directory began,
    otherwise the one with which the target's data was prepared, which is reported.
    """
    if (directory / REQUEST).is_file():
        with files.understanding(directory / REQUEST):
            return files.read_json_object(directory / REQUEST).get(INTERPOLATION, "bicubic")
    return interpolation_for(directory, config.load_size, target)


def _claim(
    config: AdaptConfig, directory: Path, source: DataSource, target: DataSource, arms: Arms
) -> None:
    """Reserves the directory for this request, or raises UserError if it belongs to another."""
    options = {name: value for name, value in config_to_dict(config).items() if name not in _FREE}
    request = {
        "options": options,
        "source": source.fingerprint,
        "target": target.fingerprint,
        INTERPOLATION: arms.interpolation,
    }
    if config.needs_translator:
        request[TRANSLATOR] = arms.translator_weights
    path = directory / REQUEST
    if path.exists():
        there = files.read_json(path)
        with files.understanding(path):
            # an option that did not exist then had its default
            before = _DEFAULTS | there["options"]
            changed = [
                f"--{name} was {before[name]}, now {value}"
                for name, value in options.items()
                if before[name] != value
            ]
            changed += [
                f"the {name} data have changed"
                for name in ("source", "target")
                if there[name] != request[name]
            ]
            known = there.get(TRANSLATOR)
            old = there["options"].get("checkpoint", config.checkpoint)
            if not known and old != config.checkpoint:  # of an older version
                changed.append(f"--checkpoint was {old}, now {config.checkpoint}")
            if known and request.setdefault(TRANSLATOR, known) != known:
                changed.append(
                    f"--translator={config.translator} has other weights than that of the arms "
                    "there; give the step that they are of as --checkpoint"
                )
        if changed:
            raise UserError(
                f"--output_dir={directory}: holds arms with other settings: {'; '.join(changed)}; "
                "choose another"
            )
    elif directory.exists() and any(directory.iterdir()):
        raise UserError(
            f"--output_dir={directory}: is not empty but holds no adaptation; choose another"
        )
    files.write_json(path, request)


def _scores(confusion: Confusion, names: Sequence[str]) -> dict[str, Any]:
    ious = [None if np.isnan(iou) else float(iou) for iou in confusion.class_ious]
    return {
        "mean_iou": confusion.class_iou,
        "pixel_accuracy": confusion.pixel_accuracy,
        "class_ious": dict(zip(names, ious, strict=True)),
        "pictures": len(confusion.pictures),
    }


def _write(
    config: AdaptConfig,
    directory: Path,
    table: list[ArmResult],
    done: dict[Any, Any],
    target: DataSource,
    scored: Split,
) -> None:
    names = scored.source.require_labels(scored.name).names
    classes = {
        TITLES[arm]: {
            name: _mean([done[arm, seed]["class_ious"][name] for seed in config.seed_numbers])
            for name in names
        }
        for arm in config.arm_names
    }
    results = {
        "note": _NOTE.format(count=len(names)),
        "synthetic": target.synthetic,
        "source": f"{config.source_dir}, split {config.source_split}",
        "target": (
            f"{config.target_dir}, split {config.target_split}; scored on "
            f"{config.target_score_split} (n = {scored.count})"
        ),
        "segmenter": f"U-Net of width {config.width}, {config.steps} steps of {config.batch_size}",
        "seeds": list(config.seed_numbers),
        "arms": [dataclasses.asdict(row) for row in table],
        "class_ious": classes,
    }
    files.write_json(directory / "results.json", _without_nan(results))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    seeds = [f"seed {seed}" for seed in config.seed_numbers]
    writer.writerow(
        ["arm", "mean_iou", "spread", "gain", "gain_spread", "gap_recovered", *seeds, *names]
    )
    for row in table:
        ious = [classes[row.name][name] for name in names]
        scores = [row.scores[seed] for seed in config.seed_numbers]
        writer.writerow(
            [
                row.name,
                row.mean,
                row.spread,
                row.gain,
                row.gain_spread,
                row.gap_recovered,
                *scores,
                *ious,
            ]
        )
    files.write_text(directory / "results.csv", text.getvalue())
    arms_page.write_report(config, directory, results, table, scored)
    printed = Table(
        "mIoU %",
        "mean",
        "spread",
        "gain",
        "its spread",
        "gap recovered",
        title=(
            f"{target.name}{' (synthetic)' if target.synthetic else ''}, n = {scored.count}, "
            f"seeds {config.seeds}"
        ),
    )
    for row in table:
        printed.add_row(row.name, *arms_page.shown(row))
    log_table(printed)
    log(f"report: {directory / 'report.html'}, numbers: {directory / 'results.csv'}")


def _mean(values: list[float | None]) -> float:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else float("nan")


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
