"""`tfcyclegan evaluate`."""

from pathlib import Path
from typing import TYPE_CHECKING

from tfcyclegan.config import EvaluateConfig
from tfcyclegan.config.commands import PAIRS
from tfcyclegan.errors import UserError
from tfcyclegan.system import files, tensorflow_setup
from tfcyclegan.system.progress import log

if TYPE_CHECKING:
    from tfcyclegan.data.domains import Domains
    from tfcyclegan.measures.evaluation_set import Judge
    from tfcyclegan.training.runs import Run

Config = EvaluateConfig
EXAMPLES = """
    tfcyclegan evaluate --run_dir=runs/satellite2map
    tfcyclegan evaluate --run_dir=runs/satellite2map --direction=both --checkpoint=best
    tfcyclegan evaluate --translations=PNGS --data_dir=data/satellite2map --direction=ba \\
        --output=scores
"""


def run(config: EvaluateConfig) -> Path:
    from tfcyclegan.data.source import check_places
    from tfcyclegan.engines import open_engine, working_in
    from tfcyclegan.training.runs import read_run

    trained = read_run(Path(config.run_dir)) if config.run_dir else None
    if trained is None or not trained.config.data_recipe:
        check_places(config.data_dir)
    for name, kind in (
        ("translations", "folder"),
        ("pairs", "file"),
        ("features_weights", "file"),
        ("regions", "folder"),
    ):
        if getattr(config, name) not in ("", *PAIRS) and not Path(getattr(config, name)).exists():
            raise UserError(f"--{name}={getattr(config, name)}: no such {kind}")
    if config.output:
        files.require_no_file("output", Path(config.output))
    directions = ("ab", "ba") if config.direction == "both" else (config.direction,)
    if trained is not None:
        _check_directions(trained, directions)
    engine = open_engine(config)
    tensorflow_setup.import_tensorflow()
    from tfcyclegan.data.domains import open_domains
    from tfcyclegan.data.pairs import read_pairs
    from tfcyclegan.evaluation.scoring import evaluate, evaluate_folder
    from tfcyclegan.evaluation.task import Task
    from tfcyclegan.measures.evaluation_set import Tools
    from tfcyclegan.networks.feature_networks import open_networks

    pairs = config.pairs if config.pairs in PAIRS else read_pairs(Path(config.pairs))
    if trained is None:
        domains = open_domains(config.data_dir)
    else:
        domains = open_domains(
            config.data_dir or trained.config.data_dir, recipe=trained.config.data_recipe
        )
    regions = Path(config.regions) if config.regions else None
    judges = (
        {direction: _judge(domains, direction) for direction in directions}
        if config.judge == "auto"
        else {}
    )
    tools = Tools(*open_networks(config.features, config.features_weights), judges)
    output = (
        Path(config.output)
        if config.output or trained is None
        else trained.directory / "evaluation"
    )
    shown = config.display if trained is None else _shown(config, trained)
    tasks = [
        Task(domains, config.split, direction, output, pairs, shown, regions, engine)
        for direction in directions
    ]
    with working_in(tasks[0].work) if engine else files.exclusive_lock(output):
        if trained is None:
            evaluate_folder(
                Path(config.translations),
                tasks[0],
                suffix=config.translations_suffix,
                channels=config.translations_channels,
                tools=tools,
            )
            return output
        evaluate(trained, config.checkpoint, tasks, tools)
    log(
        f"next: tfcyclegan export --run_dir={config.run_dir} "
        f"--output=saved_models/{trained.directory.resolve().name}"
    )
    return output


def _check_directions(trained: "Run", directions: tuple[str, ...]) -> None:
    """Raises UserError if the run has no generator for one of the directions, before hours of
    scoring the others.
    """
    there = [name.removeprefix("gen_") for name in trained.networks if name.startswith("gen_")]
    if lacking := [direction for direction in directions if direction not in there]:
        raise UserError(
            f"--direction={'both' if len(directions) > 1 else lacking[0]}: {trained.directory} "
            f"only translates {' and '.join(there)}; give --direction={there[0]}"
        )


def _shown(config: EvaluateConfig, trained: "Run") -> dict[str, str]:
    """How measurements are displayed: as in training, unless the options say otherwise."""
    return config.display if config.displays_by_choice else trained.config.display


def _judge(domains: "Domains", direction: str) -> "Judge | str":
    """A segmenter of real photos of the direction's target domain, or the reason why there is
    none.
    """
    from tfcyclegan.segmentation.trained_judge import judge

    target = direction[1]
    train = domains.require("train", target)
    if train.values or domains.require("train", direction[0]).values:
        return "judge: left out, since it reads photos and these are measurements"
    if train.holds_label_maps:
        return (
            "judge: left out, since translations are label maps, which have label scores; "
            "--judge=auto is for photos"
        )
    try:
        return judge(train, train.source.cache)
    except UserError as error:
        return f"judge: {error}"
