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
    from tfcyclegan.data.source import open_source
    from tfcyclegan.evaluation.scoring import evaluate
    from tfcyclegan.training.runs import read_run

    run_directory = Path(config.run_dir)
    trained = read_run(run_directory)
    source = open_source(Path(config.data_dir or trained.config.data_dir))
    directions = ("ab", "ba") if config.direction == "both" else (config.direction,)
    output = Path(config.output) if config.output else run_directory / "evaluation"
    evaluate(trained, source, config.split, config.checkpoint, directions, output)
