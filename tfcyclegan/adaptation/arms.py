"""The training data of each arm of an adaptation. Except for the oracle, arms only see pictures of
the target domain, not its labels.

source_only          source pictures and their labels
colour_matching      the same, each picture's channels matched to the target's mean and deviation
fda                  the same, each with the low frequencies of a target picture (Yang and Soatto
                     2020)
translated           source pictures translated once to the style of the target, with the source's
                     labels
translated_semantic  the same with a translator trained with the semantic losses of CyCADA (Hoffman
                     et al. 2018)
self_training        translated, and target pictures with labels predicted by the previous
                     segmenter, where it was confident
oracle               target pictures and their labels: the upper bound of adaptation
"""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np

from tfcyclegan.adaptation.fourier import fourier_transform
from tfcyclegan.adaptation.pseudo_labels import class_thresholds, pseudo_label
from tfcyclegan.config import AdaptConfig, SegmenterOptions
from tfcyclegan.data.domains import Split, open_domains
from tfcyclegan.data.labels import IGNORED
from tfcyclegan.data.pixels import Pixels, spread
from tfcyclegan.data.source import open_source
from tfcyclegan.errors import UserError
from tfcyclegan.formats.scratch import mapped_beside
from tfcyclegan.measures.controls import make_controls
from tfcyclegan.segmentation.labelled_pictures import LabelledPictures, open_labelled, open_pictures
from tfcyclegan.segmentation.segmenter import Segmenter
from tfcyclegan.segmentation.training import train_segmenter
from tfcyclegan.system import files
from tfcyclegan.system.progress import log, track
from tfcyclegan.training.checkpoints import find_checkpoint, told_choice
from tfcyclegan.training.runs import CONFIG, Run, read_run
from tfcyclegan.training.trainer import train
from tfcyclegan.translation.data_sets import translate_data
from tfcyclegan.translation.translators import copies_on_devices, scale_of

TITLES = {
    "source_only": "source only",
    "colour_matching": "source + colour matching",
    "fda": "source + FDA",
    "translated": "source + translated",
    "translated_semantic": "source + translated with semantic loss",
    "self_training": "translated + self-training",
    "oracle": "target oracle",
}
_COLOUR_PICTURES = 500  # target pictures used for the mean and deviation of channels


class Arms:
    """The training data of all arms, each made when it is first needed and kept in the adaptation's
    directory.

    Args:
        config: all options.
        source: labelled pictures.
        target: pictures; only the arm `oracle` can access their labels.
        interpolation: the filter that resizes pictures of both to `load_size`.
    """

    def __init__(
        self, config: AdaptConfig, source: Split, target: Split, interpolation: str = "bicubic"
    ):
        self.config, self.source, self._labelled_target = config, source, target
        # the view of all other arms, whose labels cannot be read
        self.target = Split(dataclasses.replace(target.source, labelled=frozenset()), target.name)
        self.directory = Path(config.output_dir)
        self._cache = Path(config.cache_dir) if config.cache_dir else None
        # one filter for both domains: two would add a difference that the data does not have
        self.interpolation = interpolation
        self._sizes: dict[str, Any] = {"size": config.load_size, "interpolation": interpolation}
        self.source_pictures = open_labelled(source.source, source.name, self._cache, **self._sizes)

    @functools.cached_property
    def target_pictures(self) -> Pixels:
        """The target's training pictures, without labels."""
        return open_pictures(self.target.source, self.target.name, self._cache, **self._sizes)

    def check(self) -> None:
        """Raises UserError, before any training, if a translator or the pictures' sizes do not fit
        the requested arms.
        """
        for arm in ("fda", "self_training"):
            if arm in self.config.arm_names:
                self._require_one_size(arm)
        if not self.config.needs_translator:
            return
        run, size = self.translator_run, self.source_pictures.common_size
        if "translated_semantic" in self.config.arm_names and run.config.method != "cyclegan":
            raise UserError(
                "--arms=translated_semantic: semantic losses require --method=cyclegan, but "
                f"{run.directory} is a run of {run.config.method}; leave the arm out of --arms, or "
                "give another translator"
            )
        if "translated_semantic" in self.config.arm_names and not self._semantic_begun:
            try:
                open_domains(run.config.data_dir).require("train", "a")
            except UserError as error:
                raise UserError(
                    "--arms=translated_semantic: trains on the translator's data, which are not "
                    f"there ({error}); leave the arm out of --arms, or give another translator"
                ) from error
        if self.config.load_size is None and size is not None:
            works_at = scale_of(run).size_of(size)
            if works_at != size:
                raise UserError(
                    f"--translator={run.directory}: works at {works_at}, but the source's pictures "
                    f"are {size}; give --load_size={size}, or another translator"
                )

    def parts(self, arm: str, seed: int) -> list[LabelledPictures]:
        """The training data of the segmenter of `arm` with `seed`.

        Raises:
            UserError: the arm's translator does not fit the pictures, or the oracle's target has no
                labels.
        """
        if arm == "source_only":
            return [self.source_pictures]
        if arm == "colour_matching":
            return [self._colour_matched]
        if arm == "fda":
            fourier = fourier_transform(self.target_pictures, self.config.fda_beta)
            return [
                self.source_pictures.transformed(
                    fourier, f"FDA {self.config.fda_beta} to {self._target_identity}"
                )
            ]
        if arm == "translated":
            return [self._translated_by(self.translator_run)]
        if arm == "translated_semantic":
            return [self._translated_by(self._semantic_run)]
        if arm == "self_training":
            return self._self_training_parts(seed)
        return [
            open_labelled(
                self._labelled_target.source,
                self._labelled_target.name,
                self._cache,
                **self._sizes,
            )
        ]

    def run_directory(self, arm: str, seed: int) -> Path:
        """The directory of the segmenter of an arm and a seed."""
        return self.directory / "arms" / arm / f"seed-{seed}"

    def segmenter(self, arm: str, seed: int) -> Segmenter:
        """The trained segmenter of an arm and a seed; its training is started or continued if it is
        not finished.
        """
        return train_segmenter(
            self._options(seed),
            self.parts(arm, seed),
            self.run_directory(arm, seed),
            interpolation=self.interpolation,
        )

    def _options(self, seed: int) -> SegmenterOptions:
        return dataclasses.replace(self.config, seed=seed)

    @functools.cached_property
    def _colour_matched(self) -> LabelledPictures:
        pictures = self.target_pictures
        match = make_controls(
            [pictures[index] for index in spread(len(pictures), _COLOUR_PICTURES)]
        )["colour matching"]
        return self.source_pictures.transformed(
            lambda picture, _: match(picture), f"colours of {self._target_identity}"
        )

    @property
    def _target_identity(self) -> str:
        return f"{self.target.source.fingerprint} {self.target.name}"

    def _require_one_size(self, arm: str) -> None:
        ours, theirs = self.source_pictures.common_size, self.target_pictures.common_size
        if ours is None or ours != theirs:
            sizes = f"{ours or 'several'} and {theirs or 'several'}"
            raise UserError(
                f"--arms={arm}: needs pictures of the same size in both domains, not {sizes}; give "
                "--load_size"
            )

    @functools.cached_property
    def translator_run(self) -> Run:
        """The translator from source to target.

        Raises:
            UserError: it is missing, or does not translate RGB pictures to RGB ones.
        """
        try:
            run = read_run(Path(self.config.translator))
        except UserError as error:
            raise UserError(
                f"--translator={self.config.translator}: holds no run; "
                f"{self.config.data_recipe or 'train one'}"
            ) from error
        if "gen_ab" not in run.networks:
            raise UserError(
                f"--translator={self.config.translator}: has no generator from a to b; give one "
                "that translates the source to the target"
            )
        if run.config.channels_of("a") != 3 or run.config.channels_of("b") != 3:
            raise UserError(
                f"--translator={self.config.translator}: it has {run.config.channels_of('a')} and "
                f"{run.config.channels_of('b')} channels, not 3"
            )
        return run

    @property
    def translator_weights(self) -> str:
        """What identifies the translator's weights: the index of its checkpoint, which holds their
        checksums.
        """
        checkpoint = find_checkpoint(self.translator_run.directory, self.config.checkpoint)
        return files.sha256_of(Path(f"{checkpoint}.index"))

    @property
    def _semantic_directory(self) -> Path:
        return self.directory / "semantic_translator"

    @property
    def _semantic_begun(self) -> bool:
        return (self._semantic_directory / CONFIG).is_file()

    @functools.cached_property
    def _semantic_run(self) -> Run:
        """A translator trained like the other one, and also to preserve the predictions of the
        source-only segmenter of the first seed, or of the one with which its training began.
        """
        seed, before = self.config.seed_numbers[0], self.translator_run.config
        length: dict[str, Any] = {
            "epochs": before.epochs,
            "decay_epochs": before.decay_epochs,
            "max_steps": before.max_steps,
            "init_from": "",
        }
        if self.config.semantic_steps:
            length = {
                "epochs": None,
                "decay_epochs": None,
                "max_steps": self.config.semantic_steps,
                "init_from": self.config.translator,
            }
        if self._semantic_begun:
            begun = read_run(self._semantic_directory).config
            seed = int(Path(begun.segmenter).name.removeprefix("seed-"))
            # the translator may have been trained further since
            length = {name: getattr(begun, name) for name in length}
        segmenter = self.segmenter("source_only", seed)
        config = dataclasses.replace(
            before,
            run_dir=str(self._semantic_directory),
            segmenter=str(self.run_directory("source_only", seed)),
            lambda_semantic=self.config.lambda_semantic,
            eval_every_steps=0,
            eval_every_epochs=0,
            **length,
        )
        train(config, load_segment=lambda: (segmenter.logits, segmenter.identity))
        return read_run(Path(config.run_dir))

    def _translated_by(self, run: Run) -> LabelledPictures:
        """The source's pictures, translated by that translator, with the source's labels."""
        own = run.directory == self._semantic_directory
        checkpoint = "latest" if own else self.config.checkpoint
        output = self.directory / ("translated_semantic" if own else "translated")
        log(
            f"{run.directory}: translating ab with checkpoint "
            f"{told_choice(run.directory, checkpoint)}"
        )
        translators = copies_on_devices(run, checkpoint, "ab")
        translate_data(
            translators,
            self.source.source,
            [self.source.name],
            output,
            scale=scale_of(run),
            command="tfcyclegan adapt",
        )
        return open_labelled(open_source(output), self.source.name, self._cache, **self._sizes)

    def _self_training_parts(self, seed: int) -> list[LabelledPictures]:
        """Translated pictures, and target pictures labelled by the arm `translated`, or by the
        previous round.
        """
        segmenter = self.segmenter("translated", seed)
        translated = self._translated_by(self.translator_run)
        for number in range(1, self.config.pseudo_rounds + 1):
            directory = (
                self.run_directory("self_training", seed).parent / f"seed-{seed}-round-{number}"
            )
            label_maps = self._pseudo_labels(segmenter, directory / "labels.npy")
            target = LabelledPictures(
                self.target_pictures,
                label_maps,
                f"{self._target_identity} labelled {_hash(label_maps)}",
                segmenter.classes,
            )
            if number < self.config.pseudo_rounds:
                segmenter = train_segmenter(
                    self._options(seed),
                    [translated, target],
                    directory / "segmenter",
                    interpolation=self.interpolation,
                )
        return [translated, target]

    def _pseudo_labels(self, segmenter: Segmenter, path: Path) -> np.ndarray:
        """Train ids of all target pictures, IGNORED where the segmenter is not confident, uint8 [N,
        H, W]; kept in a file.
        """
        if not path.exists():
            self._write_pseudo_labels(segmenter, path)
        return np.load(path, mmap_mode="r")

    def _write_pseudo_labels(self, segmenter: Segmenter, path: Path) -> None:
        """Writes the file; predictions pass through files too, since memory may not hold all."""
        pictures, config = self.target_pictures, self.config
        shape = (len(pictures), *pictures[0].shape[:2])
        ids_file, ids = mapped_beside(path, "uint8", shape)
        confidence_file, confidence = mapped_beside(path, "float16", shape)
        with ids_file, confidence_file:
            for index in track(
                range(len(pictures)), total=len(pictures), unit="image", label="pseudo-labels"
            ):
                chances = segmenter.probabilities(pictures[index][np.newaxis])[0]
                ids[index], confidence[index] = chances.argmax(axis=-1), chances.max(axis=-1)
            thresholds = class_thresholds(
                zip(ids, confidence, strict=True),
                classes=segmenter.classes.count,
                threshold=config.pseudo_threshold,
                kept=config.pseudo_kept,
            )
            labelled = 0
            for labels, sure in zip(ids, confidence, strict=True):
                labels[:] = pseudo_label(labels, sure, thresholds)
                labelled += int(np.count_nonzero(labels != IGNORED))
            if not labelled:
                raise UserError(
                    f"--pseudo_threshold={config.pseudo_threshold}: the segmenter is as sure of no "
                    "pixel of the target; give a lower one, or a higher --pseudo_kept, and another "
                    "--output_dir"
                )
            with files.atomic_file(path) as stream:
                np.save(stream, ids)


def _hash(array: np.ndarray) -> str:
    return files.sha256_of_bytes(np.ascontiguousarray(array).data)[:16]
