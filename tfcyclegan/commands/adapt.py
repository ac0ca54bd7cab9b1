"""`tfcyclegan adapt`."""

from tfcyclegan import quiet
from tfcyclegan.config import AdaptConfig

Config = AdaptConfig
EXAMPLES = """
    tfcyclegan adapt --flagfile=configs/toy_uda.cfg
    tfcyclegan adapt --flagfile=configs/gta2city_uda.cfg --arms=source_only,translated,oracle --seeds=0
    (the same command again goes on; finished arms are not trained again)
"""


def run(config: AdaptConfig) -> None:
    quiet.import_tensorflow()
    from tfcyclegan.adaptation.adapt import adapt

    adapt(config)
