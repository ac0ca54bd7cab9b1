"""`tfcyclegan adapt`."""

from pathlib import Path

from tfcyclegan.config import AdaptConfig
from tfcyclegan.data.source import check_places
from tfcyclegan.system import files, tensorflow_setup

Config = AdaptConfig
EXAMPLES = """
    tfcyclegan adapt --flagfile=configs/toy_uda.cfg
    tfcyclegan adapt --flagfile=configs/gta2city_uda.cfg --arms=source_only,translated,oracle \\
        --seeds=0
    (the same command again continues; finished arms are not trained again)
"""


def run(config: AdaptConfig) -> None:
    if not config.data_recipe:
        check_places(config.source_dir)
        check_places(config.target_dir)
    files.require_no_file("output_dir", Path(config.output_dir))
    tensorflow_setup.import_tensorflow()
    from tfcyclegan.adaptation.adapt import adapt

    adapt(config)
