"""`tfcyclegan export`."""

from pathlib import Path

from tfcyclegan.config import ExportConfig
from tfcyclegan.system import files, tensorflow_setup
from tfcyclegan.system.progress import log

Config = ExportConfig
EXAMPLES = """
    tfcyclegan export --run_dir=runs/satellite2map --output=saved_models/satellite2map
    tfcyclegan export --run_dir=runs/mine --direction=ba --checkpoint=best --tflite_size=256 \\
        --output=saved_models/mine_back
    tfcyclegan export --run_dir=runs/mine --output=saved_models/mine --hub_dir=hub/mine
"""


def run(config: ExportConfig) -> Path:
    from tfcyclegan.data.source import check_places
    from tfcyclegan.training.runs import read_run

    trained = read_run(Path(config.run_dir))
    check_places(config.data_dir)
    files.require_no_file("output", Path(config.output))
    tensorflow_setup.import_tensorflow()
    from tfcyclegan.exporting import hub_folder
    from tfcyclegan.exporting.exporter import export

    if config.hub_dir:
        hub_folder.require_room(Path(config.hub_dir))
    directory = export(
        trained,
        config.checkpoint,
        config.direction,
        Path(config.output),
        config.tflite_size,
        min_psnr=config.min_psnr,
        data_dir=config.data_dir,
        formats=config.format_names,
        tflite_converter=config.tflite_converter,
        hub_dir=config.hub_dir,
    )
    if config.hub_dir:
        hub_folder.write(
            trained, config.checkpoint, config.direction, directory, Path(config.hub_dir)
        )
    first = (
        f"tfcyclegan translate --model={config.output}"
        if trained.values
        else f"tfcyclegan demo --model={config.output} in a browser"
    )
    log(f"next: {first}, or tfcyclegan serve --model_dir={config.output}")
    return directory
