"""`tfcyclegan export_segmenter`."""

from pathlib import Path

from tfcyclegan.config import ExportSegmenterConfig
from tfcyclegan.errors import UserError
from tfcyclegan.system import files, tensorflow_setup

Config = ExportSegmenterConfig
EXAMPLES = """
    tfcyclegan export_segmenter --segmenter_dir=runs/segmenter --output=saved_models/segmenter
"""


def run(config: ExportSegmenterConfig) -> Path:
    if not Path(config.segmenter_dir).is_dir():
        raise UserError(
            f"--segmenter_dir={config.segmenter_dir}: holds no segmenter; train one with "
            "tfcyclegan train_segmenter"
        )
    files.require_no_file("output", Path(config.output))
    tensorflow_setup.import_tensorflow()
    from tfcyclegan.exporting.segmenter import export_segmenter

    return export_segmenter(Path(config.segmenter_dir), Path(config.output), config.tflite_size)
