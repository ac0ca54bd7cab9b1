"""`tfcyclegan segment`."""

from pathlib import Path

from tfcyclegan.config import SegmentConfig
from tfcyclegan.system import files, tensorflow_setup
from tfcyclegan.system.progress import log

Config = SegmentConfig
EXAMPLES = """
    tfcyclegan segment --segmenter_dir=runs/segmenter --input=PICTURES --output=segmented
    tfcyclegan segment --segmenter_dir=runs/segmenter --data_dir=data/toy_cityscapes --split=val \\
        --output=segmented/val
"""


def run(config: SegmentConfig) -> None:
    from tfcyclegan.data.source import open_source
    from tfcyclegan.segmentation.runs import read_segmenter_run

    files.require_no_file("output", Path(config.output))
    read_segmenter_run(Path(config.segmenter_dir))  # reports errors before TensorFlow is loaded
    tensorflow_setup.import_tensorflow()
    from tfcyclegan.data.domains import Split
    from tfcyclegan.data.picture_folders import reading_of
    from tfcyclegan.segmentation.labelling import label_path, label_split
    from tfcyclegan.segmentation.segmenter import load_segmenter

    segmenter = load_segmenter(Path(config.segmenter_dir))
    if segmenter.load_size:
        log(
            f"{config.segmenter_dir}: pictures are labelled at {segmenter.scale}, as in its "
            "training; label maps keep the pictures' sizes"
        )
    output, reading = Path(config.output), reading_of(config)
    if config.input:
        label_path(segmenter, Path(config.input), output, overlays=config.overlays, reading=reading)
        return
    split = Split(open_source(config.data_dir), config.split)
    confusion = label_split(segmenter, split, output, overlays=config.overlays, reading=reading)
    if confusion is None:
        log(f"{split}: has no labels, so there are no scores")
    else:
        for name, iou in zip(segmenter.classes.names, confusion.class_ious, strict=True):
            log(f"  {name:<14} {'absent' if iou != iou else f'{iou:.3f}'}")
        accuracy = f"pixel accuracy {confusion.pixel_accuracy:.4f}"
        log(
            f"mIoU {confusion.class_iou:.4f} (classes in neither truth nor prediction left out), "
            f"{accuracy}"
        )
