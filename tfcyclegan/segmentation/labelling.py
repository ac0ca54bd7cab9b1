"""Pictures in, PNGs of class ids and colour overlays out, as `cityscapesscripts` and people read them.

OUTPUT/labelIds/NAME.png    8-bit grayscale, the ids of the Cityscapes table, in the input's own size
OUTPUT/overlays/NAME.png    the colours of the classes over the picture
OUTPUT/segmentation.json    by which segmenter; written first
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tfcyclegan import files
from tfcyclegan.data import images, intake, labels
from tfcyclegan.data.domains import Split
from tfcyclegan.errors import UserError
from tfcyclegan.measures.segmentation import Confusion
from tfcyclegan.progress import Progress, say
from tfcyclegan.segmentation.pictures import require_labels
from tfcyclegan.segmentation.segmenter import Segmenter
from tfcyclegan.translation import MAX_PIXELS, picture_name, pictures_of_path

RECORD = "segmentation.json"
IDS, OVERLAYS = "labelIds", "overlays"
_OPACITY = 0.5


def label_path(segmenter: Segmenter, path: Path, output: Path, *, overlays: bool = True) -> None:
    """Labels a picture or all pictures in a folder tree; those already there by the same segmenter are kept.

    Raises:
        UserError: `output` holds another segmenter's work, or pictures that cannot be read (after all others were labelled).
    """
    found = pictures_of_path(path)
    _label_all(segmenter, ((name, read()) for name, read in found.items()), output, total=len(found), overlays=overlays)


def label_split(segmenter: Segmenter, split: Split, output: Path, *, overlays: bool = True) -> Confusion | None:
    """Labels a split of a data set as `label_path` does; where it has labels, scores the PNGs against them."""
    split.source.require(split.name)
    if split.source.labelled:
        require_labels(split.source)
    pictures = ((picture_name(name, split.name), encoded) for name, encoded in split.pictures())
    _label_all(segmenter, pictures, output, total=split.count, overlays=overlays)
    if not split.source.labelled:
        return None
    confusion = Confusion()
    for name, _, truth in split.source.labelled_pictures(split.name):
        drawn = images.decode_ids((output / IDS / f"{picture_name(name, split.name)}.png").read_bytes())
        confusion.add(labels.to_train_ids(drawn), labels.to_train_ids(images.decode_ids(truth)))
    return confusion


def _label_all(segmenter: Segmenter, pictures: Iterator[tuple[str, bytes]], output: Path, *, total: int, overlays: bool) -> None:
    record, identity = output / RECORD, {**segmenter.identity, "load_size": str(segmenter.load_size or "original")}
    if record.exists():
        if files.read_json(record) != identity:
            raise UserError(f"--output={output}: holds the work of another segmenter; choose another folder")
    elif output.exists() and any(output.iterdir()):
        raise UserError(f"--output={output}: is not empty and holds no segmentation; choose another folder")
    files.write_json(record, identity)
    bad: list[str] = []
    done = 0
    with Progress(total, unit="image", label="labelling") as progress:
        for name, content in pictures:
            targets = {kind: output / kind / f"{name}.png" for kind in ((OVERLAYS, IDS) if overlays else (IDS,))}
            if not all(target.exists() for target in targets.values()):
                try:
                    picture = intake.decode(content, max_pixels=MAX_PIXELS).image.convert("RGB")
                except intake.BadPicture as error:
                    bad.append(f"{name}: {error}")
                else:
                    ids = labels.to_ids(segmenter.label(picture))
                    if overlays:
                        files.write_bytes(targets[OVERLAYS], images.encode_png(overlay(np.asarray(picture), ids)))
                    files.write_bytes(targets[IDS], images.encode_png(ids[..., np.newaxis]))
                    done += 1
            progress.advance()
    if bad:
        raise UserError(f"{bad[0]}; {len(bad)} of {total} pictures could not be read, the others are in {output}")
    kept = f", {total - done} were there already" if done < total else ""
    say(f"{output}: {done} pictures labelled{kept}")


def overlay(picture: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The classes' colours over a picture, uint8 [H, W, 3]."""
    return np.rint((1 - _OPACITY) * picture + _OPACITY * labels.colorize(ids)).astype(np.uint8)
