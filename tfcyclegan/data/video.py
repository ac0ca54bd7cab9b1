"""Video files as pictures with times, and back: size, frame rate, times, colours and sound are
kept.

PyAV (`pip install 'tfcyclegan[video]'`) decodes and encodes. Colours are converted by the matrix
and range that the file declares; what it does not declare is assumed as players do, and reported:
BT.709 from 720 rows on and BT.601 below, and the limited range. Results are H.264 of limited range,
tagged with the matrix used.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np

from tfcyclegan.data.intake import BadPicture
from tfcyclegan.errors import RunError, UserError

ENDINGS = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi"})
QUALITY = 18
"""H.264's constant rate factor; 18 is considered visually lossless."""
_UNSPECIFIED, _BT709 = 2, 1
_UNSPECIFIED_RANGE, _LIMITED_RANGE, _FULL_RANGE = 0, 1, 2
_BT601 = (5, 6)  # for 625 and 525 lines: the same matrix
_KNOWN = {_BT709: "ITU709", **dict.fromkeys(_BT601, "ITU601")}
_SPEAKERS = {1: "mono", 2: "stereo"}
_HIGH_DEFINITION = 720  # rows


def is_video(path: Path) -> bool:
    """Whether a file's extension is that of a video."""
    return path.suffix.lower() in ENDINGS


def _library() -> Any:
    try:
        import av
    except ModuleNotFoundError as error:
        raise UserError("videos need PyAV: pip install 'tfcyclegan[video]'") from error
    return av


@dataclass(frozen=True)
class Frame:
    """A picture of a video.

    Attributes:
        pixels: uint8 [H, W, 3], upright.
        time: its presentation time, in units of the video's `time_base`.
    """

    pixels: np.ndarray
    time: int


class _Clock:
    """Makes times rise: one that is missing or does not is `step` after the one before."""

    def __init__(self, step: Fraction):
        self._step = step
        self._last: int | None = None
        self._due = Fraction(0)  # unrounded, so that a step of 33.37 units does not drift
        self.replaced = 0

    def time(self, stored: int | None) -> int:
        """The time of the next picture, for which the file has `stored`."""
        if stored is not None and (self._last is None or stored > self._last):
            self._last, self._due = stored, stored + self._step
            return stored
        self.replaced += 1
        time = round(self._due)
        self._last = time if self._last is None else max(time, self._last + 1)
        self._due += self._step
        return self._last


class VideoReader:
    """A video opened for reading.

    Attributes:
        height: height of its upright pictures.
        width: width of its upright pictures.
        rate: mean number of pictures per second.
        time_base: unit of time in seconds.
        count: the number of pictures that the file declares, or an estimate; only for progress.
        notes: what was assumed, and what of the file is not used, one phrase each; `frames` may add
            to them.

    Raises:
        BadPicture: it is not a video, or its colours cannot be converted.
        UserError: PyAV is not installed.
    """

    def __init__(self, path: Path):
        av = _library()
        self.path = path
        self.notes: list[str] = []
        try:
            self._container = av.open(str(path))
        except av.FFmpegError as error:
            raise BadPicture(f"is not a video that PyAV can open ({error.strerror})") from error
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self._container.close)
            self._read_properties()
            on_failure.pop_all()

    def _read_properties(self) -> None:
        if not self._container.streams.video:
            raise BadPicture("holds no video")
        self._stream = stream = self._container.streams.video[0]
        stream.thread_type = "AUTO"
        context = stream.codec_context
        self.rate: Fraction = stream.average_rate or stream.guessed_rate or Fraction(25)
        self.time_base: Fraction = stream.time_base
        seconds = float((stream.duration or 0) * stream.time_base)
        self.count: int = stream.frames or max(1, round(seconds * float(self.rate)))
        first = self._first_frame()
        # PyAV gives the counterclockwise rotation to apply, in degrees
        self._quarter_turns = round(first.rotation / 90) % 4
        sides = first.height, first.width
        self.height, self.width = sides if self._quarter_turns % 2 == 0 else sides[::-1]
        self.matrix = self._matrix_of(int(context.colorspace), first.height)
        self._full_range = self._is_full_range(int(context.color_range), first.format.name)
        self.audio = self._container.streams.audio[0] if self._container.streams.audio else None
        left_out = [each for each in self._container.streams if each not in (stream, self.audio)]
        self.notes += [f"a stream of {each.type}, not used" for each in left_out]
        self._times = self._times_in_order_of_storage() if context.has_b_frames else None
        if self._times is not None:
            self.notes.append(
                "stores its pictures in another order than they are shown, but no times of showing "
                "them: those of storage are used, in order"
            )

    def _first_frame(self) -> Any:
        try:
            for frame in self._container.decode(self._stream):
                self._container.seek(0)
                return frame
        except _library().FFmpegError as error:
            raise BadPicture(f"cannot be decoded ({error.strerror})") from error
        raise BadPicture("holds no picture")

    def _times_in_order_of_storage(self) -> list[int] | None:
        """The times of all pictures if they rise in the order of storage, though the codec stores
        pictures in another order than they are shown: AVI's are those of decoding. None otherwise.
        """
        times: list[int] = []
        try:
            with _library().open(str(self.path)) as again:
                for packet in again.demux(again.streams.video[0]):
                    if packet.is_discard or not packet.size:  # the last packet is an empty one
                        continue
                    if packet.pts is None or (times and packet.pts <= times[-1]):
                        return None
                    times.append(packet.pts)
        except _library().FFmpegError as error:
            raise BadPicture(f"cannot be read ({error.strerror})") from error
        return times

    def _matrix_of(self, told: int, rows: int) -> str:
        if told in _KNOWN:
            return _KNOWN[told]
        if told != _UNSPECIFIED:
            raise BadPicture(
                f"uses colour matrix {told} of ITU-T H.273; convert it to BT.709 first"
            )
        guess = "ITU709" if rows >= _HIGH_DEFINITION else "ITU601"
        self.notes.append(f"declares no colour matrix: BT.{guess.removeprefix('ITU')} assumed")
        return guess

    def _is_full_range(self, told: int, pixel_format: str) -> bool:
        if told == _UNSPECIFIED_RANGE and pixel_format.startswith("yuv4"):
            # such as gray H.264, which FFmpeg's decoder hands out as yuv420p
            self.notes.append(
                "declares no colour range: limited assumed, so levels below 16 become 0 and those "
                "above 235 become 255"
            )
        return told == _FULL_RANGE or pixel_format.startswith("yuvj")

    def frames(self) -> Iterator[Frame]:
        """All pictures in presentation order, at times that rise.

        Raises:
            BadPicture: a picture cannot be decoded, or its size differs from the first.
        """
        av = _library()
        expected = None
        clock = _Clock(1 / (self.rate * self.time_base))
        # the decoder gives a picture the time of its own packet, which has that of another one
        stored = None if self._times is None else iter(self._times)
        try:
            for frame in self._container.decode(self._stream):
                expected = expected or (frame.height, frame.width)
                if (frame.height, frame.width) != expected:
                    raise BadPicture(
                        f"changes its size from {expected[1]}x{expected[0]} to "
                        f"{frame.width}x{frame.height}; cut it there"
                    )
                source = "JPEG" if self._full_range else "MPEG"
                pixels = frame.reformat(
                    format="rgb24",
                    src_colorspace=self.matrix,
                    src_color_range=source,
                    dst_color_range="JPEG",
                ).to_ndarray()
                time = clock.time(frame.pts if stored is None else next(stored, None))
                yield Frame(np.rot90(pixels, self._quarter_turns), time)
        except av.FFmpegError as error:
            raise BadPicture(f"cannot be decoded ({error.strerror})") from error
        if clock.replaced:
            self.notes.append(
                f"{clock.replaced} pictures have no time or one that does not rise: placed by the "
                "frame rate after the pictures before them"
            )

    def sound(self) -> Iterator[Any]:
        """The packets of its sound, unchanged.

        Raises:
            BadPicture: they cannot be read.
        """
        if self.audio is None:
            return
        av = _library()
        try:
            with av.open(str(self.path)) as again:
                stream = again.streams.audio[0]
                yield from (packet for packet in again.demux(stream) if packet.dts is not None)
        except av.FFmpegError as error:
            raise BadPicture(f"its sound cannot be read ({error.strerror})") from error

    def close(self) -> None:
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class VideoWriter:
    """Writes a video with the times, frame rate and sound of another one.

    Args:
        file: a seekable file to write MP4 to.
        path: its name when it is complete, for messages.
        like: the video that provides times, frame rate and sound.
        height: height of the pictures.
        width: width of the pictures. Odd sides are kept by not subsampling colours, which fewer
            players support.

    Raises:
        BadPicture: MP4 does not hold the sound.
    """

    def __init__(self, file: IO[bytes], path: Path, like: VideoReader, height: int, width: int):
        av = _library()
        self._path = path
        self._like = like
        self._container = av.open(file, "w", format="mp4")
        self._stream = stream = self._container.add_stream("libx264", rate=like.rate)
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv420p" if height % 2 == width % 2 == 0 else "yuv444p"
        stream.options = {"crf": str(QUALITY)}
        context = stream.codec_context
        context.time_base = like.time_base
        tag = _BT709 if like.matrix == "ITU709" else _BT601[1]
        context.colorspace = context.color_primaries = context.color_trc = tag
        context.color_range = _LIMITED_RANGE
        self._size = height, width
        self._sound = self._sound_like(like.audio) if like.audio is not None else None

    def _sound_like(self, audio: Any) -> Any:
        try:
            sound = self._container.add_stream_from_template(audio)
        except ValueError as error:
            raise BadPicture(
                f"has sound of {audio.codec_context.name}, which MP4 does not hold; convert it "
                "first, for example to AAC"
            ) from error
        context = audio.codec_context
        # WAVE headers tell the number of channels only, and MP4 does not take uncompressed sound so
        if context.layout.name == f"{context.channels} channels" and context.channels in _SPEAKERS:
            sound.codec_context.layout = _SPEAKERS[context.channels]
        return sound

    def write(self, frame: Frame) -> None:
        """Adds a picture, uint8 [H, W, 3] of the declared size.

        Raises:
            RunError: FFmpeg does not take it.
        """
        if frame.pixels.shape[:2] != self._size:  # FFmpeg would stretch it
            raise ValueError(f"a frame of {frame.pixels.shape[:2]} in a video of {self._size}")
        av = _library()
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame.pixels), format="rgb24")
        converted = picture.reformat(
            format=self._stream.pix_fmt,
            dst_colorspace=self._like.matrix,
            src_color_range="JPEG",
            dst_color_range="MPEG",
        )
        converted.pts, converted.time_base = frame.time, self._like.time_base
        with self._refusals_told():
            self._container.mux(self._stream.encode(converted))

    def finish(self) -> None:
        """Adds the sound and completes the file.

        Raises:
            BadPicture: the sound cannot be read.
            RunError: FFmpeg does not take it, or cannot complete the file.
        """
        with self._refusals_told():
            self._container.mux(self._stream.encode())
            for packet in self._like.sound():
                packet.stream = self._sound
                self._container.mux(packet)
            self._container.close()

    @contextlib.contextmanager
    def _refusals_told(self) -> Iterator[None]:
        try:
            yield
        except _library().FFmpegError as error:
            if isinstance(error, OSError):  # such as a full disk, which is told as for any file
                raise
            raise RunError(
                f"{self._path}: cannot be written ({error.strerror}); convert the video first, for "
                f"example by ffmpeg -i {self._like.path.name} CONVERTED.mp4, and translate that"
            ) from error

    def abandon(self) -> None:
        """Closes the file without completing it."""
        self._container.close()
