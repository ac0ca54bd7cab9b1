"""Observes the generators during training: sample strips of fixed pictures, and the measure that
selects the best checkpoint.
"""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from tfcyclegan.config import MODES_WITH_CROP, Size, TrainConfig
from tfcyclegan.data.display import Display, displays_of, seen_to_picture, told
from tfcyclegan.data.domains import Domains, Split
from tfcyclegan.data.images import resize, to_array, to_float, to_uint8
from tfcyclegan.data.labels import IGNORED, ClassTable
from tfcyclegan.data.pixels import open_labels, open_pixels, spread
from tfcyclegan.data.values import Values
from tfcyclegan.errors import UserError
from tfcyclegan.measures.kid_fid import mmd
from tfcyclegan.methods.base import Method
from tfcyclegan.networks import LatentGenerator
from tfcyclegan.networks.feature_networks import NAMES as feature_names
from tfcyclegan.networks.feature_networks import FeatureNetwork, feature_network
from tfcyclegan.system import files
from tfcyclegan.system.progress import log
from tfcyclegan.training import strips
from tfcyclegan.training.batches import cache_dir
from tfcyclegan.training.board import Board
from tfcyclegan.training.looks import Look

PURPOSES = ("test", "train")
"""The purposes of the pictures in strips; "test" only if the data has such a split."""


def strip_name(purpose: str, step: int, direction: str) -> str:
    """The file of a strip in the run's folder of samples."""
    return f"{purpose}-{step:07d}-{direction}.png"


class Observer:
    """Draws and measures translations of pictures that are fixed for the whole run.

    Args:
        model: the networks in training.
        config: all options.
        domains: the source of the pictures.
        directory: directory for the strips.
        board: also shows the strips.
    """

    def __init__(
        self, model: Method, config: TrainConfig, domains: Domains, directory: Path, board: Board
    ):
        self.model, self.config, self.domains, self.directory, self.board = (
            model,
            config,
            domains,
            directory,
            board,
        )
        values = domains.values
        displays = displays_of(values, **config.display)
        self._shows = {
            domain: functools.partial(
                _shown, values.get(domain.upper()), displays.get(domain.upper())
            )
            for domain in "ab"
        }
        for line in told(displays):
            log(line)
        self._pictures = {
            (purpose, domain): self._fixed_pictures(split, domain, config.sample_images)
            for purpose in PURPOSES
            for domain in "ab"
            if (split := domains.find(purpose, domain))
        }
        self._measured: dict[str, Split] = {}
        self._looks: dict[str, Look] = {}
        self._truths: dict[str, list[np.ndarray]] = {}
        self._network: FeatureNetwork | None = None
        self._features: dict[str, np.ndarray] = {}
        self._translators: dict[str, strips.Translate] = {}
        self._of_latents: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {}

    def draw_samples(self, step: int) -> None:
        """Writes the strips of all directions; before the first step, which waits for them, with
        only one picture each.
        """
        identity = self.config.has_identity
        for direction in self.model.directions:
            forward, backward = self._translator(direction), None
            if direction[::-1] in self.model.directions:
                backward = self._translator(direction[::-1])
            for purpose in PURPOSES:
                pictures = self._pictures.get((purpose, direction[0]))
                if pictures is None:
                    continue
                strip = strips.strip(
                    pictures[: 1 if step == 0 else None],
                    forward,
                    backward,
                    identity=identity,
                    answers=self._answers(direction),
                    shows=(self._shows[direction[0]], self._shows[direction[1]]),
                )
                path = self.directory / strip_name(purpose, step, direction)
                files.write_bytes(path, strips.png_bytes(strip, enlarge_below=600))
                self.board.picture(step, f"samples_{purpose}/{direction}", strip)

    def open_measured(self) -> None:
        """Opens what `measure` needs: called at the start, so that an error shows before hours of
        training.
        """
        if not self._looks:
            self._open_measured()

    def measure(self) -> dict[str, float]:
        """The measures that select the best checkpoint, and others; never on test data.

        Returns:
            By direction: "appearance", the distance of fakes from real pictures in appearance,
            which is 1 for untranslated ones; "kid", with `--eval_features`; "label_accuracy", if
            fakes are label maps of pictures whose labels are known and count.
        """
        self.open_measured()
        values = {}
        for direction in self.model.directions:
            source, target, translate = (
                self._looks[direction[0]],
                self._looks[direction[1]],
                self._translator(direction),
            )
            fakes = [_translation(translate, picture) for picture in source.seen]
            (colour, texture), of_inputs = map(target.distances, (fakes, source.seen))
            values[f"appearance_{direction}"] = (colour / of_inputs[0] + texture / of_inputs[1]) / 2
            if self._network is not None:
                values[f"kid_{direction}"] = mmd(
                    self._network.features(list(map(to_uint8, fakes))),
                    self._features[direction[1]],
                )
            truths, classes = self._truths.get(direction[0]), self._classes(direction)
            if truths is not None and classes is not None:
                right = [
                    classes.nearest_class(to_uint8(fake))[truth != IGNORED]
                    == truth[truth != IGNORED]
                    for fake, truth in zip(fakes, truths, strict=True)
                ]
                if (counted := np.concatenate(right)).size:
                    values[f"label_accuracy_{direction}"] = float(counted.mean())
        return values

    def _classes(self, direction: str) -> ClassTable | None:
        """The class table of the target's label maps, if it has one that agrees with the source's
        labels.
        """
        source, target = self._measured[direction[0]], self._measured[direction[1]]
        if not target.holds_label_maps or target.source.classes is None or not source.labelled:
            return None
        theirs = source.source.require_labels(source.name)
        return None if target.source.classes.difference(theirs) else target.source.classes

    def _open_measured(self) -> None:
        for domain in "ab":
            split = self.domains.find(self.config.eval_split, domain) or self.domains.require(
                "train", domain
            )
            if self.config.eval_split not in split.name:
                what = f"no {self.config.eval_split} split of {domain.upper()}"
                log(
                    f"{split.source.directory}: {what}, so the best checkpoint is chosen on "
                    f"{split.name}"
                )
            self._measured[domain] = split
            self._looks[domain] = Look(self._fixed_pictures(split, domain, self.config.eval_images))
            if self.config.eval_features != "none" and len(self._looks[domain].seen) < 2:
                raise UserError(
                    f"--eval_features={self.config.eval_features}: {split} has one picture, but "
                    "KID needs two or more; add pictures, or leave the flag out"
                )
            if split.labelled:
                shapes = {picture.shape[:2] for picture in self._looks[domain].seen}
                size = Size(*shapes.pop()) if len(shapes) == 1 else None
                count = self.config.eval_images
                ids = open_labels(
                    split.source, split.name, cache_dir(self.config, split), size=size, count=count
                )
                self._truths[domain] = [
                    _resized(ids[index][..., 0], picture)
                    for index, picture in zip(
                        spread(len(ids), count), self._looks[domain].seen, strict=True
                    )
                ]
        if self.config.eval_features != "none":
            name = next(
                name for name in feature_names if name.startswith(self.config.eval_features)
            )
            self._network = feature_network(name)
            self._features = {
                domain: self._network.features(self._looks[domain].pictures) for domain in "ab"
            }

    def _translator(self, direction: str) -> strips.Translate:
        """The generator of a direction, applied to pictures, with its running mean if there is
        one.
        """
        if direction not in self._translators:
            network = self.model.generator(direction)
            function = tf.function(
                lambda images: tf.cast(network(images, training=False), tf.float32),
                autograph=False,
                reduce_retracing=True,
            )
            self._translators[direction] = lambda images: function(tf.constant(images)).numpy()
        return self._translators[direction]

    def _answers(self, direction: str) -> list[strips.Translate]:
        """Translators by the same drawn latents at each step; none for one answer to a picture."""
        network = self.model.generator(direction)
        if not isinstance(network, LatentGenerator):
            return []
        function = self._of_latents.get(direction) or tf.function(
            lambda images, latents: tf.cast(
                network(images, training=False, latents=latents), tf.float32
            ),
            autograph=False,
            reduce_retracing=True,
        )
        self._of_latents[direction] = function
        seed = [self.config.seed, 0]
        latents = tf.random.stateless_normal([strips.ANSWERS, 1, network.latent_size], seed)

        def at(latent: tf.Tensor) -> strips.Translate:
            return lambda images: function(tf.constant(images), latent).numpy()

        return [at(latent) for latent in latents]

    def _fixed_pictures(self, split: Split, domain: str, count: int) -> list[np.ndarray]:
        """At most `count` pictures, evenly spaced over `split`, as networks see them: floats [H, W,
        C] in [-1, 1] with NaN where there is no measurement, resized as outside of training.

        That is to the crop size, or by the mode, uncropped.
        """
        config = self.config
        keeps_shape = config.preprocess == "scale_width_and_crop" and config.size_multiple == 4
        crops = config.preprocess in MODES_WITH_CROP and not keeps_shape
        pixels = open_pixels(
            split.source,
            split.name,
            cache_dir(config, split),
            mode="resize_and_crop" if crops else config.preprocess.removesuffix("_and_crop"),
            load_size=config.crop_size if crops else config.load_size,
            crop_size=config.crop_size,
            channels=config.channels_of(domain),
            interpolation=config.interpolation,
            count=count,
        )
        to_network = to_float if pixels.values is None else pixels.values.to_network
        return [to_network(pixels[index]) for index in spread(len(pixels), count)]


def _translation(translate: strips.Translate, picture: np.ndarray) -> np.ndarray:
    """The translation of one picture, NaN where there is no measurement."""
    gaps = np.isnan(picture).any(axis=-1, keepdims=True)
    made = translate(np.nan_to_num(picture, nan=-1)[np.newaxis])[0]
    return np.where(gaps, np.float32(np.nan), made) if gaps.any() else made


def _resized(ids: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """The ids of a picture's pixels, resized to its size by the nearest."""
    height, width = picture.shape[:2]
    return to_array(resize(Image.fromarray(ids), Size(height, width), nearest=True))[..., 0]


def _shown(values: Values | None, display: Display | None, seen: np.ndarray) -> np.ndarray:
    """A network's input or output as shown; in a picture, missing measurements are black."""
    if values is None:
        return to_uint8(np.nan_to_num(seen, nan=-1))
    return seen_to_picture(seen, values, display)
