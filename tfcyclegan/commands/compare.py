"""`tfcyclegan compare`."""

from pathlib import Path

from tfcyclegan.config import CompareConfig
from tfcyclegan.errors import UserError
from tfcyclegan.system import tensorflow_setup

Config = CompareConfig
EXAMPLES = """
    tfcyclegan compare --run_dirs=runs/full,runs/no_cycle --output=compare.html
"""


def run(config: CompareConfig) -> None:
    runs = [Path(name) for name in config.run_dirs.split(",") if name]
    for directory in runs:
        if not directory.is_dir():
            raise UserError(
                f"--run_dirs={config.run_dirs}: {directory} is not a directory; give evaluated runs"
            )
    if len({directory.resolve() for directory in runs}) < len(runs):
        raise UserError(f"--run_dirs={config.run_dirs}: names a run twice; give each once")
    if Path(config.output).is_dir():
        raise UserError(
            f"--output={config.output}: is a directory; give the page to write, such as "
            "compare.html"
        )
    tensorflow_setup.import_tensorflow()
    from tfcyclegan.evaluation.comparison import compare

    compare(runs, Path(config.output), pictures=config.pictures)
