"""Translates videos frame by frame, keeping size, frame rate, times and sound, and measures how
much the result flickers.

A generator that sees one frame at a time gives successive frames that differ by more than motion.
*Flicker* measures this: the mean absolute difference, in levels of 0..255, between a frame and the
previous one, moved by the optical flow of the input. The input's own flicker is the floor: what the
flow does not explain. `temporal_ema` lowers flicker by mixing in the previous translation, moved
likewise; `frozen_statistics` by normalising all frames alike.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage
from skimage.registration import optical_flow_ilk

from tfcyclegan.config import Size
from tfcyclegan.data import images
from tfcyclegan.data.intake import BadPicture
from tfcyclegan.data.picture_folders import recording
from tfcyclegan.data.video import Frame, VideoReader, VideoWriter
from tfcyclegan.system import files
from tfcyclegan.system.parallel import Stages
from tfcyclegan.system.progress import log, quantity, track
from tfcyclegan.translation.frozen_statistics import require_instance_norm, with_frozen_statistics
from tfcyclegan.translation.translators import (
    RECORD,
    Translator,
    give_up,
    machines,
    record_of,
)

MEASURED = 16
"""Frames whose statistics are measured to be frozen."""
FLOW_SIDE = 192
"""Largest side in pixels at which optical flow is estimated."""
_OCCLUDED = 24.0
"""Levels by which a moved frame of the input may differ from the next one; where the difference is
larger, something became visible and the flow is meaningless.
"""


@dataclass
class Flicker:
    """Mean differences between successive frames after motion compensation, in levels of 0..255.

    Attributes:
        of_input: flicker of the input.
        of_output: flicker of the translation.
        pairs: number of compared pairs.
        unlike: number of other pairs, whose frames show nothing in common, as at a cut.
    """

    of_input: float = 0.0
    of_output: float = 0.0
    pairs: int = 0
    unlike: int = 0

    def add(self, of_input: float, of_output: float) -> None:
        """Adds a pair of successive frames."""
        self.pairs += 1
        self.of_input += (of_input - self.of_input) / self.pairs
        self.of_output += (of_output - self.of_output) / self.pairs

    def __str__(self) -> str:
        if not self.pairs:
            return "not measured, since no two successive frames show the same"
        told = f"{self.of_output:.2f} levels between frames, {self.of_input:.2f} in the input"
        left_out = quantity(self.unlike, "pair")
        return f"{told}; not in it: {left_out} of unlike frames" if self.unlike else told


class Motion:
    """The motion from one frame to the next, estimated on the input.

    Args:
        before: a frame, uint8 [H, W, 3].
        after: the next frame, of the same size.
    """

    def __init__(self, before: np.ndarray, after: np.ndarray):
        height, width = after.shape[:2]
        step = -(-max(height, width) // FLOW_SIDE)
        small = [_gray(each)[::step, ::step] for each in (after, before)]
        # for each pixel of `after`, its displacement in `before`
        flow = optical_flow_ilk(small[0], small[1], radius=5, prefilter=True) * step
        scale = height / flow.shape[1], width / flow.shape[2]
        rows, columns = (
            ndimage.zoom(each, scale, order=1, grid_mode=True, mode="nearest") for each in flow
        )
        grid = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
        self._places = np.stack([grid[0] + rows, grid[1] + columns])
        missed = np.abs(self.moved(before) - after).mean(axis=-1)
        inside = (self._places >= 0).all(axis=0)
        inside &= (self._places[0] <= height - 1) & (self._places[1] <= width - 1)
        self.seen = inside & (missed <= _OCCLUDED)
        """Where both frames show the same, bool [H, W]."""

    def moved(self, before: np.ndarray) -> np.ndarray:
        """The previous picture moved to the current time, float32 [H, W, C]."""
        channels = [
            ndimage.map_coordinates(before[..., channel], self._places, np.float32, 1, "nearest")
            for channel in range(before.shape[-1])
        ]
        return np.stack(channels, axis=-1)

    def difference(self, before: np.ndarray, after: np.ndarray) -> float:
        """Mean absolute difference of two successive frames where both show the same; 0 if they
        never do.
        """
        if not self.seen.any():
            return 0.0
        return float(np.abs(self.moved(before) - after)[self.seen].mean())


def _gray(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float32).mean(axis=-1) / 255


def translate_video(
    translators: Sequence[Translator],
    path: Path,
    output: Path,
    *,
    scale: images.Scale | None = None,
    temporal_ema: float = 0.0,
    frozen_statistics: bool = False,
) -> Path:
    """Translates a video into `output`/NAME.mp4; an existing result of the same model is kept.

    Args:
        translators: copies of one translator of RGB pictures, one for each device.
        path: the video.
        output: folder of the result and its record.
        scale: how frames are resized for the network; the result keeps the input's size.
        temporal_ema: share of the previous translation, moved, that is mixed into each frame, in
            [0, 1).
        frozen_statistics: normalises all frames by the mean statistics of MEASURED of them, see
            `frozen_statistics`.

    Returns:
        The result's path.

    Raises:
        UserError: it cannot be read, `output` holds another model's results, or there is no
            instance norm to freeze.
        RunError: the model's output is not finite, or the result cannot be written.
    """
    target = output / f"{path.stem}.mp4"
    identity = {**record_of(translators[0], scale), "temporal_ema": temporal_ema}
    if frozen_statistics:
        require_instance_norm(translators[0])
        identity["frozen_statistics"] = True
    told = ("translating", "translated", "translations of another model or with other settings")
    with recording(output, RECORD, identity, told, total=1, unit="video") as ledger:
        if not target.exists():
            try:
                with VideoReader(path) as reader:
                    _tell(path, reader, scale)
                    if frozen_statistics:
                        translators = with_frozen_statistics(translators, _spread(path, scale))
                    known = len(reader.notes)
                    flicker = _translate(translators, reader, target, scale, temporal_ema)
                    for note in reader.notes[known:]:
                        log(f"{path}: {note}")
                log(f"{target}: flicker: {flicker}")
                about = {"flicker": dataclasses.asdict(flicker), "notes": reader.notes}
                files.write_json(target.with_suffix(".json"), about)
                ledger.made += 1
            except BadPicture as error:  # of reading; a full disk is no fault of the video
                ledger.bad.append(f"{path}: {error}")
    return target


def _spread(path: Path, scale: images.Scale | None) -> Iterator[np.ndarray]:
    """Frames of a video, evenly spread over it, as the network is given them."""
    with VideoReader(path) as reader:
        step = -(-reader.count // MEASURED)
        for frame in itertools.islice(reader.frames(), 0, step * MEASURED, step):
            image = images.to_image(frame.pixels)
            yield images.to_array(scale(image) if scale else image)


def _tell(path: Path, reader: VideoReader, scale: images.Scale | None) -> None:
    for note in reader.notes:
        log(f"{path}: {note}")
    size = Size(reader.height, reader.width)
    if scale is not None and scale.size_of(size) != size:
        log(
            f"{path}: pictures of {size} are translated at {scale.size_of(size)}, as in training, "
            "and resized back; --scale=original keeps their size"
        )


def _translate(
    translators: Sequence[Translator],
    reader: VideoReader,
    target: Path,
    scale: images.Scale | None,
    temporal_ema: float,
) -> Flicker:
    flicker = Flicker()
    size = Size(reader.height, reader.width)
    with files.atomic_file(target) as stream:
        writer = VideoWriter(stream, target, reader, size.height, size.width)
        try:
            before: tuple[np.ndarray, np.ndarray] | None = None
            for frame, made in _translated(translators, reader, scale, target.parent):
                made = made.astype(np.float32)
                if before is not None:
                    motion = Motion(before[0], frame.pixels)
                    if temporal_ema:
                        mixed = temporal_ema * motion.moved(before[1]) + (1 - temporal_ema) * made
                        made = np.where(motion.seen[..., None], mixed, made)
                    if motion.seen.any():
                        flicker.add(
                            motion.difference(before[0], frame.pixels),
                            motion.difference(before[1], made),
                        )
                    else:
                        flicker.unlike += 1
                before = frame.pixels, made
                writer.write(Frame(np.rint(made).astype(np.uint8), frame.time))
        except BaseException:
            writer.abandon()
            raise
        writer.finish()
    return flicker


def _translated(
    translators: Sequence[Translator],
    reader: VideoReader,
    scale: images.Scale | None,
    scratch: Path,
) -> Iterator[tuple[Frame, np.ndarray]]:
    """Each frame and its translation, uint8 of the same size, in order."""
    size = Size(reader.height, reader.width)

    def scaled(frame: Frame) -> tuple[Frame, np.ndarray]:
        image = images.to_image(frame.pixels)
        return frame, images.to_array(scale(image) if scale else image)

    def through(
        machine: Callable[[np.ndarray], np.ndarray], given: tuple[Frame, np.ndarray]
    ) -> tuple[Frame, np.ndarray]:
        return given[0], machine(given[1])

    def back(made: tuple[Frame, np.ndarray]) -> tuple[Frame, np.ndarray]:
        picture = images.with_channels(images.to_image(made[1]), 3)
        return made[0], images.to_array(images.resize(picture, size))

    placed = [functools.partial(through, machine) for machine in machines(translators, scratch)]
    stages = Stages(scaled, placed, back, lambda: give_up(translators))
    pictures = stages.of(reader.frames())
    yield from track(pictures, total=reader.count, unit="picture", label=reader.path.name)
