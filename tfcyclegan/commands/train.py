"""`tfcyclegan train`."""

from pathlib import Path
from typing import Any

from tfcyclegan import flags
from tfcyclegan.config import TrainConfig
from tfcyclegan.data.source import check_places
from tfcyclegan.system import files, tensorflow_setup
from tfcyclegan.system.progress import log

Config = TrainConfig
EXAMPLES = """
    tfcyclegan train --flagfile=configs/satellite2map.cfg
    tfcyclegan train --data_dir=data/mine --run_dir=runs/mine --load_size=143 --crop_size=128 \\
        --residual_blocks=6
    (the same command again resumes)
"""


def run(config: TrainConfig) -> Path:
    files.require_no_file("run_dir", Path(config.run_dir))
    if not config.data_recipe:
        check_places(config.data_dir)
    tensorflow_setup.import_tensorflow()
    from tfcyclegan.methods.cyclegan import Segment
    from tfcyclegan.training.trainer import train

    def load_segment() -> tuple[Segment, dict[str, Any]]:
        from tfcyclegan.data.domains import open_domains
        from tfcyclegan.segmentation.segmenter import load_segmenter

        segmenter = load_segmenter(Path(config.segmenter), flag="segmenter")
        split = open_domains(config.data_dir).require("train", "a")
        if split.labelled:
            segmenter.require_classes(split)
        return segmenter.logits, segmenter.identity

    report = train(config, flags.to_flag_file(config), load_segment if config.segmenter else None)
    log(f"report: {report}")
    log(
        f"next: tfcyclegan translate --run_dir={config.run_dir} --input=PICTURES "
        "--output=translated"
    )
    return report
