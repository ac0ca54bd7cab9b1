"""`tfcyclegan compare`."""

from pathlib import Path

from tfcyclegan import quiet
from tfcyclegan.config import CompareConfig

Config = CompareConfig
EXAMPLES = """
    tfcyclegan compare --run_dirs=runs/full,runs/no_cycle --output=compare.html
"""


def run(config: CompareConfig) -> None:
    quiet.import_tensorflow()
    from tfcyclegan.evaluation.comparing import compare

    compare([Path(name) for name in config.run_dirs.split(",") if name], Path(config.output), pictures=config.pictures)
