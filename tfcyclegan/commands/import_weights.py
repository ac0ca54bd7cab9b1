"""`tfcyclegan import_weights`."""

from pathlib import Path

from tfcyclegan.config import ImportConfig
from tfcyclegan.errors import UserError
from tfcyclegan.system import files, tensorflow_setup

Config = ImportConfig
EXAMPLES = """
    tfcyclegan import_weights --from=pytorch --weights=checkpoints/horse2zebra/latest_net_G_A.pth \\
        --output=runs/horse2zebra
    tfcyclegan import_weights --from=pytorch --weights=checkpoints/mine --output=runs/mine
    tfcyclegan import_weights --from=tfa --weights=generator.h5 --output=runs/old
"""


def run(config: ImportConfig) -> None:
    if not Path(config.weights).exists():
        raise UserError(f"--weights={config.weights}: no such file")
    files.require_no_file("output", Path(config.output))
    tensorflow_setup.import_tensorflow()
    from tfcyclegan.interop import importing

    weights, output = Path(config.weights), Path(config.output)
    if config.from_ == "pytorch":
        importing.import_pytorch(weights, config.network, output, config.epoch)
    elif config.epoch:
        raise UserError(f"--epoch={config.epoch}: only for --from=pytorch")
    else:
        importing.import_tfa(weights, config.network, output)
