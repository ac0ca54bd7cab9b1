"""`tfcyclegan evaluate`."""

from pathlib import Path

from tfcyclegan import quiet
from tfcyclegan.config import EvaluateConfig

Config = EvaluateConfig
EXAMPLES = """
    tfcyclegan evaluate --run_dir=runs/satellite2map
    tfcyclegan evaluate --run_dir=runs/satellite2map --direction=both --checkpoint=best
"""


def run(config: EvaluateConfig) -> None:
    quiet.import_tensorflow()
    from tfcyclegan.data.domains import open_domains
    from tfcyclegan.evaluation.material import read_pairs
    from tfcyclegan.evaluation.scoring import evaluate
    from tfcyclegan.training.runs import read_run

    run_directory = Path(config.run_dir)
    trained = read_run(run_directory)
    domains = open_domains(config.data_dir or trained.config.data_dir, recipe=trained.config.data_recipe)
    pairs = read_pairs(Path(config.pairs)) if config.pairs else None
    directions = ("ab", "ba") if config.direction == "both" else (config.direction,)
    output = Path(config.output) if config.output else run_directory / "evaluation"
    evaluate(trained, domains, config.split, config.checkpoint, directions, output, pairs=pairs)
