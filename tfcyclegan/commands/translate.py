"""`tfcyclegan translate`."""

import shlex
from pathlib import Path

from tfcyclegan import flags, quiet
from tfcyclegan.config import TranslateConfig

Config = TranslateConfig
EXAMPLES = """
    tfcyclegan translate --run_dir=runs/satellite2map --input=PICTURES --output=translated
    tfcyclegan translate --run_dir=runs/satellite2map --direction=ba --data_dir=data/satellite2map --split=testB --output=translated/ba
    tfcyclegan translate --model=saved_models/satellite2map --input=tile.png --output=translated
    tfcyclegan translate --run_dir=runs/satellite2map --scale=original --input=huge.tif --output=translated --tile=256
    tfcyclegan translate --run_dir=runs/gta2city --data_dir=data/gta5 --split=train,val --output_data=data/gta5_as_city
"""


def run(config: TranslateConfig) -> None:
    quiet.import_tensorflow()
    from tfcyclegan import translation
    from tfcyclegan.data.source import open_source
    from tfcyclegan.data_translation import translate_data
    from tfcyclegan.training.runs import read_run

    scale = None
    if config.run_dir:
        trained = read_run(Path(config.run_dir))
        translators = translation.copies_on_devices(trained, config.checkpoint, config.direction, tile=config.tile)
        scale = translation.scale_of(trained) if config.scale == "trained" else None
    else:
        translators = [translation.from_model(Path(config.model))]
    if config.output_data:
        command = f"tfcyclegan translate {shlex.join(flags.to_flag_file(config).splitlines())}"
        splits = config.split.split(",")
        translate_data(translators, open_source(config.data_dir), splits, Path(config.output_data), scale=scale, command=command)
    elif config.data_dir:
        translation.translate_split(translators, open_source(config.data_dir), config.split, Path(config.output), scale=scale)
    else:
        translation.translate_path(translators, Path(config.input), Path(config.output), scale=scale)
