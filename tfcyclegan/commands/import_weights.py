"""`tfcyclegan import_weights`."""

from pathlib import Path

from tfcyclegan import quiet
from tfcyclegan.config import ImportConfig

Config = ImportConfig
EXAMPLES = """
    tfcyclegan import_weights --from=pytorch --weights=checkpoints/horse2zebra/latest_net_G_A.pth --output=runs/horse2zebra
    tfcyclegan import_weights --from=pytorch --weights=checkpoints/mine --output=runs/mine
    tfcyclegan import_weights --from=tfa --weights=generator.h5 --output=runs/old
"""


def run(config: ImportConfig) -> None:
    quiet.import_tensorflow()
    from tfcyclegan.interop import importing

    read = importing.import_pytorch if config.from_ == "pytorch" else importing.import_tfa
    read(Path(config.weights), config.network, Path(config.output))
