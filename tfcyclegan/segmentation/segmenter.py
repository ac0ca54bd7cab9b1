"""A trained segmenter: pictures in, classes out."""

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from tfcyclegan.config import Size
from tfcyclegan.data import images
from tfcyclegan.data.domains import Split
from tfcyclegan.data.labels import ClassTable
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.measures.confusion import Confusion
from tfcyclegan.segmentation.network import logits_of, make_network
from tfcyclegan.segmentation.runs import read_segmenter_run
from tfcyclegan.system.progress import track
from tfcyclegan.training.checkpoint_files import DIRECTORY, NOT_RESTORED, newest, step_of
from tfcyclegan.training.checkpoints import find_checkpoint, variables, weights_hash


@dataclass(frozen=True)
class Segmenter:
    """Labels pictures. Its methods take uint8 pictures of any size; each size costs one trace.

    Attributes:
        network: float32 weights, [B, H, W, 3] in [-1, 1] to logits.
        load_size: size to which pictures are resized first, as in training; None keeps theirs.
        size: size of the pictures that it was trained on.
        classes: the table of its classes.
        identity: identifies the segmenter; equal for equal weights.
        interpolation: the filter that resizes pictures to `load_size`.
    """

    network: keras.Model
    load_size: Size | None
    size: Size
    classes: ClassTable
    identity: dict[str, Any]
    interpolation: str = "bicubic"
    _function: Callable[[tf.Tensor], tf.Tensor] = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        network = self.network

        @tf.function(autograph=False, reduce_retracing=True)
        def probabilities(pictures: tf.Tensor) -> tf.Tensor:
            return tf.nn.softmax(logits_of(network, tf.cast(pictures, tf.float32) / 127.5 - 1))

        object.__setattr__(self, "_function", probabilities)

    @property
    def scale(self) -> str:
        """The size to which pictures are resized, and the filter if it is not bicubic."""
        filtered = "" if self.interpolation == "bicubic" else f" {self.interpolation}"
        return f"{self.load_size}{filtered}" if self.load_size else "original"

    def logits(self, pictures: tf.Tensor) -> tf.Tensor:
        """Logits, float32 [B, H, W, C], of pictures in [-1, 1], [B, H, W, 3]; differentiable, for
        losses of other networks.
        """
        return logits_of(self.network, tf.cast(pictures, tf.float32))

    def probabilities(self, pictures: np.ndarray) -> np.ndarray:
        """Probabilities of the classes, float32 [B, H, W, C], of pictures uint8 [B, H, W, 3], which
        are not resized.
        """
        return self._function(tf.constant(pictures)).numpy()

    def predict(self, pictures: np.ndarray) -> np.ndarray:
        """Train ids, uint8 [B, H, W] or [H, W], of pictures uint8 [B, H, W, 3] or [H, W, 3], which
        are not resized.
        """
        batch = pictures if pictures.ndim == 4 else pictures[np.newaxis]
        ids = tf.argmax(self._function(tf.constant(batch)), -1, tf.int32).numpy().astype(np.uint8)
        return ids if pictures.ndim == 4 else ids[0]

    def label(self, picture: Image.Image, size: Size | None = None) -> np.ndarray:
        """Train ids, uint8 [H, W], of one picture of any size: computed at `load_size`, returned at
        `size` or the picture's own.

        If the two differ, the probabilities are resized bilinearly before the most probable class
        is chosen.
        """
        size = size or Size(picture.height, picture.width)
        seen = picture.convert("RGB")
        if self.load_size is not None:
            seen = images.resize(seen, self.load_size, self.interpolation)
        pixels = np.asarray(seen)
        if pixels.shape[:2] == (size.height, size.width):
            return self.predict(pixels)
        chances = tf.image.resize(
            self._function(tf.constant(pixels[np.newaxis])), (size.height, size.width), "bilinear"
        )
        return tf.argmax(chances[0], -1, tf.int32).numpy().astype(np.uint8)

    def score(
        self,
        pictures: Iterable[tuple[bytes, bytes]],
        *,
        total: int,
        note: str = "scoring",
        absent: str = "cityscapes",
    ) -> Confusion:
        """The confusion matrix over (encoded picture, encoded ids); predictions have the size of
        the ground truth, which is never resized.
        """
        confusion = Confusion(classes=self.classes.count, absent=absent)
        for picture, truth in track(pictures, total=total, unit="image", label=note):
            ids = images.decode_ids(truth)
            confusion.add(
                self.label(images.decode(picture, 3), Size(*ids.shape)),
                self.classes.to_train_ids(ids),
            )
        return confusion

    def score_split(
        self, split: Split, *, note: str = "scoring", absent: str = "cityscapes"
    ) -> Confusion:
        """`score` of a split of a data set with labels.

        Raises:
            UserError: the split has no labels, or labels of other classes.
        """
        split.source.require(split.name)
        self.require_classes(split)
        examples = (
            (picture, truth) for _, picture, truth in split.source.labelled_pictures(split.name)
        )
        return self.score(examples, total=split.count, note=note, absent=absent)

    def require_classes(self, split: Split) -> None:
        """Raises UserError if a split has no labels, or its ids do not mean this segmenter's
        classes.
        """
        difference = self.classes.difference(split.source.require_labels(split.name))
        if difference:
            raise UserError(
                f"{split}: its classes are not the segmenter's: {difference}; give a segmenter "
                "trained on these classes"
            )


def load_segmenter(directory: Path, *, flag: str = "segmenter_dir") -> Segmenter:
    """The segmenter of a finished run: the weights of its last step, or their running mean if it
    has one.

    The choice of checkpoint depends on no label: it is the last one of a length fixed beforehand.

    Args:
        directory: the run's directory.
        flag: the one that gave it, for messages.

    Raises:
        UserError: there is no run, or it is not finished.
        RunError: the checkpoint is damaged.
    """
    run = read_segmenter_run(directory, flag=flag)
    options = run.options
    latest = newest(directory / DIRECTORY)
    if latest is None or step_of(latest) < options.steps:
        step = 0 if latest is None else step_of(latest)
        raise UserError(
            f"--{flag}={directory}: its training is at step {step} of {options.steps}; run "
            "its command again"
        )
    network = make_network(width=options.width, classes=run.classes.count)
    holder = tf.train.Checkpoint(
        **{"average" if options.ema_decay else "network": variables(network)}
    )
    path = find_checkpoint(directory, "latest")
    try:
        holder.restore(path).assert_existing_objects_matched().expect_partial()
    except NOT_RESTORED as error:
        raise RunError(
            f"{path}: damaged ({str(error).splitlines()[0]}); train the segmenter again"
        ) from error
    return Segmenter(
        network,
        options.load_size,
        run.size,
        run.classes,
        {"step": options.steps, "weights": weights_hash(network)},
        run.interpolation,
    )
