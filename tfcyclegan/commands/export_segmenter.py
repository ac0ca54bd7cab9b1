"""`tfcyclegan export_segmenter`."""

from pathlib import Path

from tfcyclegan import quiet
from tfcyclegan.config import ExportSegmenterConfig

Config = ExportSegmenterConfig
EXAMPLES = """
    tfcyclegan export_segmenter --segmenter_dir=runs/segmenter --output=saved_models/segmenter
"""


def run(config: ExportSegmenterConfig) -> None:
    quiet.import_tensorflow()
    from tfcyclegan.export.segmenter import export_segmenter

    export_segmenter(Path(config.segmenter_dir), Path(config.output), config.tflite_size)
