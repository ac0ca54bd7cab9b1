"""Videos as pictures with times, and back: written and read by PyAV on its own as well."""

import errno
import json
import os
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tests.test_bad_input import SHIPPED
from tfcyclegan import cli
from tfcyclegan.data import images, video
from tfcyclegan.data.intake import BadPicture
from tfcyclegan.data.video import Frame, VideoReader, VideoWriter
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.networks import make_generator
from tfcyclegan.networks.operations import Operations
from tfcyclegan.translation.frozen_statistics import with_frozen_statistics
from tfcyclegan.translation.translators import Translator
from tfcyclegan.translation.video import Flicker, _spread, translate_video

av = pytest.importorskip("av", reason="videos need tfcyclegan[video]")

RATE = Fraction(30000, 1001)
COLOUR = (200, 40, 20)
BT601, BT709 = 6, 1


def made(path, matrix: int, *, size=(48, 64), sound=True, times=range(10), tagged=True):
    """A video of one colour whose values are of `matrix`, with or without a tag that says so."""
    name = {BT601: "ITU601", BT709: "ITU709"}[matrix]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "4"})
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        if tagged:
            context = stream.codec_context
            context.colorspace = context.color_primaries = context.color_trc = matrix
            context.color_range = 1
        audio = container.add_stream("aac", rate=48000) if sound else None
        pixels = np.full((*size, 3), COLOUR, np.uint8)
        for time in times:
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
                format="yuv420p", dst_colorspace=name, dst_color_range="MPEG"
            )
            frame.pts, frame.time_base = time, 1 / RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if audio is not None:
            tone = np.zeros((1, 1024), np.float32)
            for number in range(15):
                heard = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
                heard.sample_rate, heard.pts = 48000, 1024 * number
                container.mux(audio.encode(heard))
            container.mux(audio.encode())
    return path


def copied(source, target):
    with VideoReader(source) as reader, open(target, "wb") as file:
        writer = VideoWriter(file, Path(target), reader, reader.height, reader.width)
        for frame in reader.frames():
            writer.write(frame)
        writer.finish()
    return target


def numbered(path, count=60, times=None):
    """Pictures that show their number, as libx264 stores them by default: not in order."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for number, time in enumerate(times or range(count)):
            pixels = np.full((48, 64, 3), 40, np.uint8)
            pixels[12:36, number % 40 : number % 40 + 24] = 220
            for bit in range(8):
                pixels[:8, 8 * bit : 8 * bit + 8] = 255 * (number >> bit & 1)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def number_of(frame) -> int:
    return sum(int(frame.pixels[4, 8 * bit + 4, 0] > 128) << bit for bit in range(8))


def test_pictures_of_an_avi_that_are_stored_out_of_order_get_times_that_rise(tmp_path):
    """AVI stores no times of presentation, and FFmpeg takes those of storage for them."""
    source = numbered(tmp_path / "in.avi")
    with VideoReader(source) as reader:
        frames = list(reader.frames())
        assert [number_of(frame) for frame in frames] == list(range(60))
        assert [frame.time - frames[0].time for frame in frames] == list(range(60))
        assert [note for note in reader.notes if "no times of showing them" in note]
    with VideoReader(copied(source, tmp_path / "out.mp4")) as again:
        assert [number_of(frame) for frame in again.frames()] == list(range(60))


def test_a_pause_in_such_an_avi_is_kept(tmp_path):
    """To within the pictures by which storage is ahead."""
    times = [*range(20), *range(120, 140)]
    with VideoReader(numbered(tmp_path / "in.avi", times=times)) as reader:
        read = [frame.time for frame in reader.frames()]
        (pause,) = [at for at in range(39) if read[at + 1] - read[at] > 90]
        assert abs(pause - 19) <= 3 and read[-1] - read[0] in range(137, 142)
        assert read == sorted(set(read))


def test_times_of_an_mp4_whose_pictures_are_stored_out_of_order_are_its_own(tmp_path):
    times = [0, 1, 2, 5, 6, 9, 10, 20, 21, 22]
    with VideoReader(numbered(tmp_path / "in.mp4", times=times)) as reader:
        assert [frame.time * reader.time_base * 25 for frame in reader.frames()] == times
        assert not [note for note in reader.notes if "time" in note]


@pytest.mark.parametrize(
    ("stored", "expected", "replaced"),
    [
        ([None, None, None], [0, 512, 1024], 3),
        ([0, 512, 100, 1536], [0, 512, 1024, 1536], 1),
        ([7, 7, None, 7 + 3 * 512], [7, 519, 1031, 1543], 2),
    ],
)
def test_times_that_are_missing_or_do_not_rise_are_placed_by_the_rate_and_counted(
    tmp_path, monkeypatch, stored, expected, replaced
):
    source = numbered(tmp_path / "in.mp4", len(stored))
    with VideoReader(source) as reader:
        decoded = [
            SimpleNamespace(pts=time, height=48, width=64, reformat=frame.reformat)
            for time, frame in zip(stored, reader._container.decode(video=0), strict=True)
        ]
        monkeypatch.setattr(
            reader,
            "_container",
            SimpleNamespace(decode=lambda _: decoded, close=reader._container.close),
        )
        known = list(reader.notes)
        assert [frame.time for frame in reader.frames()] == expected
        (note,) = reader.notes[len(known) :]
        assert note.startswith(f"{replaced} pictures have no time or one that does not rise")


def sounding(path, codec: str):
    """An AVI of ten pictures with sound of two channels."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        audio = container.add_stream(codec, rate=44100, layout="stereo")
        level = np.uint8(128) if codec == "pcm_u8" else np.int16(0)
        heard = av.AudioFrame.from_ndarray(
            np.full((1, 2 * 4410), level),
            format=codec.removeprefix("pcm_").removesuffix("le"),
            layout="stereo",
        )
        for _ in range(10):
            picture = np.full((48, 64, 3), 40, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
        heard.sample_rate = 44100
        container.mux([*audio.encode(heard), *audio.encode()])
    return path


def test_uncompressed_sound_of_an_avi_is_copied(tmp_path):
    """AVI tells how many channels it has, not where they are heard, which MP4 must."""
    source = sounding(tmp_path / "in.avi", "pcm_s16le")
    with av.open(str(copied(source, tmp_path / "out.mp4"))) as container:
        (audio,) = container.streams.audio
        assert audio.codec_context.layout.name == "stereo"
        assert sum(packet.size for packet in container.demux(audio)) == 4410 * 2 * 2


def test_sound_that_mp4_does_not_hold_is_told_before_a_picture_is_translated(tmp_path):
    source = sounding(tmp_path / "in.avi", "pcm_u8")
    with pytest.raises(UserError, match=r"in\.avi: has sound of pcm_u8, which MP4 does not hold"):
        translate_video([shaking(0)], source, tmp_path / "out")


def test_what_is_noted_while_pictures_are_read_is_told_and_recorded(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(VideoReader, "_times_in_order_of_storage", lambda self: None)
    target = translate_video([shaking(0)], numbered(tmp_path / "in.avi", 12), tmp_path / "out")
    (note,) = [
        note
        for note in json.loads(target.with_suffix(".json").read_text())["notes"]
        if "have no time or one that does not rise" in note
    ]
    assert f"in.avi: {note}" in capsys.readouterr().out


def test_what_ffmpeg_does_not_take_names_the_result_and_the_mend(tmp_path):
    source = numbered(tmp_path / "in.mp4")
    with VideoReader(source) as reader, open(tmp_path / "part", "wb") as file:
        writer = VideoWriter(file, tmp_path / "out.mp4", reader, 48, 64)
        falling = [Frame(frame.pixels, -frame.time) for frame in reader.frames()]
        with pytest.raises(
            RunError, match=r"out\.mp4: cannot be written \(.+\); convert the video"
        ):
            for frame in falling:
                writer.write(frame)
            writer.finish()
        writer.abandon()


@pytest.mark.parametrize("matrix", [BT601, BT709])
def test_colours_follow_the_matrix_that_the_file_tells(tmp_path, matrix):
    with VideoReader(made(tmp_path / "in.mp4", matrix)) as reader:
        assert reader.notes == []
        for frame in reader.frames():
            np.testing.assert_allclose(frame.pixels[20, 20], COLOUR, atol=3)


def test_a_matrix_and_a_range_that_are_not_told_are_guesses_that_are(tmp_path):
    with VideoReader(made(tmp_path / "in.mp4", BT601, tagged=False)) as reader:
        matrix, colour_range = reader.notes
        assert matrix == "declares no colour matrix: BT.601 assumed"
        assert colour_range.startswith("declares no colour range: limited assumed")
        np.testing.assert_allclose(next(reader.frames()).pixels[20, 20], COLOUR, atol=3)


@pytest.mark.parametrize("told", [True, False])
def test_gray_of_full_range_is_read_as_it_is_or_the_guess_is_told(tmp_path, told):
    levels = np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))
    path = tmp_path / "gray.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"qp": "0"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "gray"
        stream.codec_context.colorspace = BT709
        if told:
            stream.codec_context.color_range = 2
        container.mux(stream.encode(av.VideoFrame.from_ndarray(levels, format="gray")))
        container.mux(stream.encode())
    with VideoReader(path) as reader:
        read = next(reader.frames()).pixels[..., 0].astype(int)
        assert any("no colour range" in note for note in reader.notes) is not told
    if told:
        np.testing.assert_allclose(read, levels, atol=1)
    else:
        assert (read[:, :5] == 0).all() and (read[:, 59:] == 255).all()


@pytest.mark.parametrize("matrix", [BT601, BT709])
def test_a_copy_keeps_colours_tag_rate_size_times_and_sound(tmp_path, matrix):
    times = [0, 1, 2, 5, 6, 9]  # of a variable rate
    source = made(tmp_path / "in.mp4", matrix, times=times)
    target = copied(source, tmp_path / "out.mp4")
    with av.open(str(source)) as before, av.open(str(target)) as after:
        own, new = before.streams.video[0], after.streams.video[0]
        assert (new.width, new.height) == (own.width, own.height)
        assert int(new.codec_context.colorspace) == matrix
        assert int(new.codec_context.color_range) == 1
        shown = [frame.pts * frame.time_base for frame in after.decode(new)]
        assert shown == [time / RATE for time in times]
    with av.open(str(source)) as before, av.open(str(target)) as after:
        sounds = [
            b"".join(bytes(packet) for packet in each.demux(each.streams.audio[0]))
            for each in (before, after)
        ]
        assert sounds[0] == sounds[1] and sounds[0]
    with VideoReader(target) as again:
        np.testing.assert_allclose(next(again.frames()).pixels[20, 20], COLOUR, atol=4)


def test_odd_sides_are_kept(tmp_path):
    source = made(tmp_path / "in.mp4", BT709)
    with VideoReader(source) as reader, open(tmp_path / "odd.mp4", "wb") as file:
        writer = VideoWriter(file, tmp_path / "odd.mp4", reader, 47, 63)
        for frame in reader.frames():
            writer.write(Frame(frame.pixels[:47, :63], frame.time))
        writer.finish()
    with VideoReader(tmp_path / "odd.mp4") as again:
        assert (again.height, again.width) == (47, 63)


def test_what_is_no_video_is_refused(tmp_path):
    (tmp_path / "words.mp4").write_bytes(b"words")
    with pytest.raises(BadPicture, match="is not a video that PyAV can open"):
        VideoReader(tmp_path / "words.mp4")


def test_a_refused_colour_matrix_leaves_no_file_open(tmp_path, monkeypatch):
    path = made(tmp_path / "in.mp4", BT709, times=range(1), sound=False)
    monkeypatch.setattr(video, "_KNOWN", {})
    with pytest.raises(BadPicture, match=r"uses colour matrix 1 of ITU-T H\.273") as refused:
        VideoReader(path)
    opened = {os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()}
    assert refused.value.__traceback__ and os.path.realpath(path) not in opened


def moving(path, frames=8):
    """A textured square that moves by two pixels a picture over a dark ground."""
    texture = np.random.default_rng(0).integers(60, 255, (24, 24, 3)).astype(np.uint8)
    texture = np.repeat(np.repeat(texture[::4, ::4], 4, axis=0), 4, axis=1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv444p"
        for number in range(frames):
            pixels = np.full((48, 64, 3), 40, np.uint8)
            pixels[12:36, 8 + 2 * number : 32 + 2 * number] = texture
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


def shaking(amplitude: float) -> Translator:
    """Turns pictures of `moving` negative, and every other one darker by `amplitude` levels."""

    def function(batch):
        left = int(np.argmax(batch[0, 16:32].mean(axis=(0, 2)) > -0.5))  # where the square begins
        return -batch - (round((left - 8) / 2) % 2) * amplitude / 127.5

    return Translator({"model": "shaking"}, 3, 1, function)


@pytest.mark.parametrize(("temporal_ema", "least", "most"), [(0.0, 18, 22), (0.6, 5, 14)])
def test_flicker_is_told_and_lowered_by_the_moved_picture_before(
    tmp_path, temporal_ema, least, most
):
    """Of 20 levels between neighbours a share of (1 - ema) / (1 + ema) remains in the end."""
    source = moving(tmp_path / "in.mp4")
    target = translate_video([shaking(20)], source, tmp_path / "out", temporal_ema=temporal_ema)
    flicker = json.loads(target.with_suffix(".json").read_text())["flicker"]
    assert flicker["pairs"] == 7 and flicker["of_input"] < 4
    assert least < flicker["of_output"] < most
    with VideoReader(target) as reader:
        first = next(reader.frames()).pixels
    assert abs(int(first[2, 2, 0]) - (255 - 40)) < 6  # the ground, turned negative


def test_frames_that_show_nothing_in_common_have_no_flicker(tmp_path):
    """They were counted as pairs without any difference."""
    source = tmp_path / "in.mp4"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "4"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for number in range(4):
            pixels = np.full((48, 64, 3), 255 * (number % 2), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    target = translate_video([shaking(0)], source, tmp_path / "out")
    flicker = json.loads(target.with_suffix(".json").read_text())["flicker"]
    assert (flicker["pairs"], flicker["unlike"]) == (0, 3)
    assert str(Flicker()) == "not measured, since no two successive frames show the same"
    assert str(Flicker(1.0, 2.0, 3, 1)).endswith("not in it: 1 pair of unlike frames")


class Noted(Operations):
    """Notes what each norm is given; with `moments`, normalises by these as the formula says."""

    def __init__(self, moments=None):
        super().__init__()
        self.given, self.moments = [], moments

    def norm(self, norm, x):
        self.given.append(np.asarray(x))
        if self.moments is None:
            return super().norm(norm, x)
        mean, variance = self.moments[len(self.given) - 1]
        return (x - mean) / np.sqrt(variance + 1e-5)


def test_frozen_statistics_are_those_of_all_measured_frames_together(eager):
    generator = make_generator("resnet_1blocks", base_filters=4, seed=1, init_gain=0.2)
    translator = Translator({}, 3, 4, generator, generator=generator)
    frames = list(np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8))
    frames[1] //= 4
    given = []
    for frame in frames:
        noted = Noted()
        generator.compute(tf.constant(images.to_float(frame)[np.newaxis]), noted)
        given.append(noted.given)
    together = [np.concatenate(of_norm) for of_norm in zip(*given, strict=True)]
    assert len(together) == 7
    moments = [(x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))) for x in together]
    (frozen,) = with_frozen_statistics([translator], frames)
    for frame in frames:
        seen = images.to_float(frame)[np.newaxis]
        expected = generator.compute(tf.constant(seen), Noted(moments))
        np.testing.assert_allclose(frozen.in_floats(seen), expected, atol=1e-4)
        assert np.abs(frozen.in_floats(seen) - translator.in_floats(seen)).max() > 0.02
    (alone,) = with_frozen_statistics([translator], frames[:1])
    first = images.to_float(frames[0])[np.newaxis]
    np.testing.assert_allclose(alone.in_floats(first), translator.in_floats(first), atol=1e-4)


def test_a_full_disk_is_not_blamed_on_the_video(tmp_path, monkeypatch):
    def full(self, frame):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tfcyclegan.translation.video.VideoWriter.write", full)
    with pytest.raises(OSError, match="No space left on device"):
        translate_video([shaking(0)], moving(tmp_path / "in.mp4"), tmp_path / "out")
    assert not (tmp_path / "out" / "in.mp4").exists()


def test_statistics_that_cannot_be_frozen_are_told(tmp_path):
    source = moving(tmp_path / "in.mp4")
    plain = make_generator("resnet_1blocks", base_filters=4, norm="none")
    for translator, words in (
        (shaking(0), "an exported model keeps each picture's own; give its --run_dir"),
        (Translator({}, 3, 4, plain, generator=plain), "has no effect on a generator without"),
    ):
        with pytest.raises(UserError, match=f"--frozen_statistics: {words}"):
            translate_video([translator], source, tmp_path / "out", frozen_statistics=True)
        assert not (tmp_path / "out").exists()


def test_measured_frames_are_spread_over_the_video(tmp_path):
    """17 pictures, of which at most 16 are measured: every other one."""
    source = moving(tmp_path / "in.mp4", frames=17)
    frames = list(_spread(source, None))
    starts = [int(np.argmax(frame[16:32].mean(axis=(0, 2)) > 60)) for frame in frames]
    assert starts == list(range(8, 41, 4))


def test_a_finished_video_is_kept_and_a_broken_one_named(tmp_path):
    source = moving(tmp_path / "in.mp4", frames=2)
    target = translate_video([shaking(0)], source, tmp_path / "out")
    changed = target.stat().st_mtime_ns
    translate_video([shaking(0)], source, tmp_path / "out")
    assert target.stat().st_mtime_ns == changed
    (tmp_path / "words.mp4").write_bytes(b"words")
    with pytest.raises(UserError, match=r"words\.mp4: is not a video"):
        translate_video([shaking(0)], tmp_path / "words.mp4", tmp_path / "no")
    assert not list((tmp_path / "no").glob("*.mp4"))


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_a_turned_video_is_read_upright_as_opencv_reads_it(tmp_path, quarter):
    """Phones store pictures as the sensor lies, and how to turn them in the track's header."""
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "in.mp4"
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:24, :32] = COLOUR
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "4"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40
    cosine, sine = [(0, 1), (-1, 0), (0, -1)][quarter - 1]
    turned = [cosine, sine, 0, -sine, cosine, 0, 0, 0]
    values = [value * 65536 for value in turned] + [0x40000000]
    content[matrix : matrix + 36] = b"".join(
        value.to_bytes(4, "big", signed=True) for value in values
    )
    path.write_bytes(content)
    with VideoReader(path) as reader:
        frame = next(reader.frames())
        assert frame.pixels.shape == (reader.height, reader.width, 3)
    _, expected = cv2.VideoCapture(str(path)).read()
    assert expected.shape == frame.pixels.shape
    bright = [np.asarray(each).mean(axis=-1) > 40 for each in (frame.pixels, expected)]
    np.testing.assert_array_equal(bright[0][2:-2, 2:-2], bright[1][2:-2, 2:-2])


@pytest.mark.parametrize("flag", ["--alpha=drop", "--max_value=1023", "--pages=first"])
def test_flags_for_reading_pictures_are_refused(tmp_path, capsys, flag):
    made(tmp_path / "in.mp4", BT709)
    words = [f"--model={SHIPPED}", f"--input={tmp_path / 'in.mp4'}", f"--output={tmp_path / 'out'}"]
    assert cli.main(["translate", *words, flag]) == 2
    assert f"{flag}: is for pictures, not for a video" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
