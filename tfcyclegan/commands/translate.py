"""`tfcyclegan translate`."""

from pathlib import Path

from tfcyclegan import quiet
from tfcyclegan.config import TranslateConfig

Config = TranslateConfig
EXAMPLES = """
    tfcyclegan translate --run_dir=runs/satellite2map --input=PICTURES --output=translated
    tfcyclegan translate --run_dir=runs/satellite2map --direction=ba --data_dir=data/satellite2map --split=testB --output=translated/ba
    tfcyclegan translate --model=saved_models/satellite2map --input=tile.png --output=translated
"""


def run(config: TranslateConfig) -> None:
    quiet.import_tensorflow()
    from tfcyclegan import translation
    from tfcyclegan.data.source import open_source
    from tfcyclegan.training.runs import read_run

    scale = None
    if config.run_dir:
        trained = read_run(Path(config.run_dir))
        translator = translation.from_run(trained, config.checkpoint, config.direction)
        scale = translation.scale_of(trained) if config.scale == "trained" else None
    else:
        translator = translation.from_model(Path(config.model))
    output = Path(config.output)
    if config.data_dir:
        translation.translate_split(translator, open_source(config.data_dir), config.split, output, scale=scale)
    else:
        translation.translate_path(translator, Path(config.input), output, scale=scale)
