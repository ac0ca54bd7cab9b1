"""`tfcyclegan train_segmenter`."""

from pathlib import Path
from typing import Any

from tfcyclegan import flags
from tfcyclegan.config import TrainSegmenterConfig
from tfcyclegan.system import files, tensorflow_setup
from tfcyclegan.system.progress import log

Config = TrainSegmenterConfig
EXAMPLES = """
    tfcyclegan train_segmenter --data_dir=data/toy_cityscapes --run_dir=runs/segmenter
    tfcyclegan train_segmenter --data_dir=data/cityscapes --load_size=512x1024 --crop_size=512 \\
        --steps=40000 --run_dir=runs/city
    (the same command again resumes)
"""


def run(config: TrainSegmenterConfig) -> None:
    from tfcyclegan.data.source import check_places, open_source

    check_places(config.data_dir)
    check_places(config.val_dir)
    files.require_no_file("run_dir", Path(config.run_dir))
    tensorflow_setup.import_tensorflow()
    from tfcyclegan.segmentation.labelled_pictures import open_labelled
    from tfcyclegan.segmentation.runs import interpolation_for
    from tfcyclegan.segmentation.training import train_segmenter

    cache = Path(config.cache_dir) if config.cache_dir else None
    source = open_source(config.data_dir)
    interpolation = interpolation_for(Path(config.run_dir), config.load_size, source)
    sizes: dict[str, Any] = {"size": config.load_size, "interpolation": interpolation}
    part = open_labelled(source, config.split, cache, **sizes)
    scored = open_source(config.val_dir) if config.val_dir else source
    val = None
    if (
        config.val_every_steps
        and config.val_split in scored.labelled
        and scored.counts.get(config.val_split)
    ):
        val = open_labelled(scored, config.val_split, cache, **sizes)
    elif config.val_every_steps:
        log(
            f"{scored.directory}: no labelled pictures in split {config.val_split}, so there are "
            "no scores during training; --val_split selects another split"
        )
    train_segmenter(
        config,
        [part],
        Path(config.run_dir),
        val=val,
        flag_file=flags.to_flag_file(config),
        interpolation=interpolation,
    )
    log(
        f"finished: {config.steps} steps, {config.run_dir}; the segmenter has the last step's "
        "weights, whatever the val scores"
    )
    log(
        f"next: tfcyclegan segment --segmenter_dir={config.run_dir} --input=PICTURES "
        "--output=segmented"
    )
