"""`tfcyclegan translate`."""

import shlex
from pathlib import Path

from tfcyclegan import files, flags, quiet
from tfcyclegan.config import TranslateConfig
from tfcyclegan.errors import UserError
from tfcyclegan.progress import say

Config = TranslateConfig
EXAMPLES = """
    tfcyclegan translate --run_dir=runs/satellite2map --input=PICTURES --output=translated
    tfcyclegan translate --run_dir=runs/satellite2map --direction=ba --data_dir=data/satellite2map --split=testB --output=translated/ba
    tfcyclegan translate --model=saved_models/satellite2map --input=tile.png --output=translated
    tfcyclegan translate --run_dir=runs/satellite2map --scale=original --input=huge.tif --output=translated --tile=256
    tfcyclegan translate --run_dir=runs/gta2city --data_dir=data/gta5 --split=train,val --output_data=data/gta5_as_city
"""


def run(config: TranslateConfig) -> None:
    from tfcyclegan.data.source import check_places, open_source
    from tfcyclegan.training.runs import read_run

    trained = read_run(Path(config.run_dir)) if config.run_dir else None
    if trained is None and not Path(config.model).exists():
        raise UserError(f"--model={config.model}: no such file or directory; make one with tfcyclegan export")
    if config.input and not Path(config.input).exists():
        raise UserError(f"--input={config.input}: no such file or directory")
    check_places(config.data_dir)
    files.require_no_file("output_data" if config.output_data else "output", Path(config.output or config.output_data))
    quiet.import_tensorflow()
    from tfcyclegan import translation
    from tfcyclegan.data_translation import translate_data

    scale = None
    if trained is not None:
        translators = translation.copies_on_devices(trained, config.checkpoint, config.direction, tile=config.tile)
        scale = translation.scale_of(trained) if config.scale == "trained" else None
    else:
        translators = [translation.from_model(Path(config.model), trusted=config.trust_model)]
    if config.output_data:
        command = f"tfcyclegan translate {shlex.join(flags.to_flag_file(config).splitlines())}"
        splits = config.split.split(",")
        translate_data(translators, open_source(config.data_dir), splits, Path(config.output_data), scale=scale, command=command)
    elif config.data_dir:
        translation.translate_split(translators, open_source(config.data_dir), config.split, Path(config.output), scale=scale)
    else:
        nearest = trained is not None and config.direction[0] in trained.label_maps
        translation.translate_path(translators, Path(config.input), Path(config.output), scale=scale, nearest=nearest)
    if trained is not None and config.output:
        say(f"next: tfcyclegan evaluate --run_dir={config.run_dir} scores the run on its test pictures, beside controls")
