"""What users of other programs reported of wrong results and of input that was not used, tried on
this one.

OFF is junyanz/pytorch-CycleGAN-and-pix2pix, CUT taesungp/contrastive-unpaired-translation. The
cases of issue 17 have tests elsewhere.
"""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data_prep import folders as preparing
from tests.test_intake import encoded, png_16
from tests.test_keras_model import compiled_model
from tests.test_training import config
from tests.test_unpaired import picture, prepare
from tfcyclegan.config import Size
from tfcyclegan.data import arrays, images, intake
from tfcyclegan.data.domains import open_domains
from tfcyclegan.data.source import open_source
from tfcyclegan.data.unpaired import UnpairedBatches
from tfcyclegan.errors import UserError
from tfcyclegan.networks import make_generator
from tfcyclegan.optimization.schedules import rate_factor
from tfcyclegan.training import assumptions
from tfcyclegan.training.batches import open_batches
from tfcyclegan.training.checkpoints import tell_untrained
from tfcyclegan.training.runs import Run
from tfcyclegan.translation.translators import Translator, translate_path, translate_split

SAME = Translator({"direction": "ab", "weights": "same"}, 3, 4, lambda batch: batch)
SQUARE = images.Scale("resize_and_crop", Size(16, 16), Size(16, 16))


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder for pictures."""
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Path:
    """A data set of which testA has one picture of trainA, testB one of trainB, and trainB one of
    trainA.
    """
    splits = {
        "trainA": [picture(number, 16, 16) for number in (1, 2, 3)],
        "trainB": [picture(number, 16, 16) for number in (11, 12, 3)],
        "testA": [picture(number, 16, 16) for number in (2, 21)],
        "testB": [picture(number, 16, 16) for number in (12, 31)],
    }
    return prepare(tmp_path_factory.mktemp("shared"), splits)


def record(output: Path) -> dict:
    return json.loads((output / "translation.json").read_text())


def result(path: Path) -> list:
    return np.asarray(Image.open(path)).tolist()


@pytest.mark.parametrize("values", [(0, 300, 65535), (0, 255, 256)])
def test_deep_pictures_are_scaled_and_not_cut_off(values):
    """OFF#1398, OFF#321: depth pictures of 16 bit lost all values above 255, or came out black."""
    decoded = intake.decode(png_16(np.array([values], np.uint16), 0), max_pixels=100)
    assert (
        np.asarray(decoded.image).ravel().tolist() == [round(value / 257) for value in values]
        and intake.SCALED in decoded.notes
    )


def test_signed_values_are_refused():
    """OFF#1209: values from -1024 to 3072 were made pictures of 8 bit in whatever way."""
    content = encoded(Image.fromarray(np.array([[-1024, 3072]], np.int32)), "TIFF")
    with pytest.raises(intake.BadPicture, match=r"32-bit|range"):
        intake.decode(content, max_pixels=100)


def test_photos_of_telephones_stand_upright(folder, tmp_path):
    """OFF#334, OFF#1233: pictures came out turned, since the turn stood in their EXIF alone."""
    photo = Image.fromarray(picture(5, 20, 32))
    exif = photo.getexif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    photo.save(folder / "photo.png", exif=exif)
    translate_path([SAME], folder, tmp_path / "out")
    assert result(tmp_path / "out/photo.png") == np.rot90(picture(5, 20, 32), -1).tolist()


def test_all_pictures_of_a_folder_are_translated(folder, tmp_path):
    """OFF#235, OFF#994, CUT#108: of larger folders 50 pictures were translated, since another
    number had to be asked for.
    """
    for number in range(60):
        Image.fromarray(picture(number, 4, 4)).save(folder / f"{number}.png")
    translate_path([SAME], folder, tmp_path / "out")
    assert {int(path.stem): result(path)[0][0][0] for path in (tmp_path / "out").glob("*.png")} == {
        one: one for one in range(60)
    }


def test_the_other_domain_does_not_limit_what_is_translated(tmp_path):
    """OFF#801: fewer results than test pictures, as the number came from both domains. OFF#1373:
    and under names of another order.
    """
    splits = {
        "trainA": [picture(1)],
        "trainB": [picture(2)],
        "testA": [picture(40 + number) for number in range(7)],
        "testB": [picture(3)],
    }
    data = prepare(tmp_path, splits)
    translate_split([SAME], open_source(data), "testA", tmp_path / "out")
    assert {path.stem: result(path)[0][0][0] for path in (tmp_path / "out").glob("*.png")} == {
        f"{one:03d}": 40 + one for one in range(7)
    }


def test_nothing_is_cropped_in_translating(folder, tmp_path):
    """OFF#1517: results of a model trained on crops were crops. Here the right edge, in another
    colour, is there.
    """
    wide = np.zeros((24, 48, 3), np.uint8)
    wide[:, -6:] = 255
    Image.fromarray(wide).save(folder / "wide.png")
    translate_path(
        [SAME],
        folder,
        tmp_path / "out",
        scale=images.Scale("scale_width_and_crop", Size(24, 24), Size(8, 8)),
    )
    found = np.asarray(Image.open(tmp_path / "out/wide.png"))
    assert found.shape == (12, 24, 3) and found[:, -2:].min() > 200 and found[:, :18].max() < 20


def test_results_of_another_size_or_shape_are_told(folder, tmp_path, capsys):
    """OFF#1016, OFF#1115, phillipi/pix2pix#14: results had another size than pictures, and squares
    were made of all shapes.
    """
    for name, size in (("wide", (12, 24)), ("large", (32, 32)), ("right", (16, 16))):
        Image.fromarray(picture(1, *size)).save(folder / f"{name}.png")
    translate_path([SAME], folder, tmp_path / "out", scale=SQUARE)
    assert record(tmp_path / "out")["conversions"] == {images.RESHAPED: 1, images.RESIZED: 2}
    said = capsys.readouterr().out
    assert (
        "resized as the training resized its pictures: 2 pictures; --scale=original keeps sizes"
        in said
    )
    assert "pictures whose shape changes: 1 picture" in said
    translate_path([SAME], folder, tmp_path / "whole")
    assert record(tmp_path / "whole")["conversions"] == {} and np.shape(
        result(tmp_path / "whole/wide.png")
    ) == (12, 24, 3)


@pytest.mark.parametrize(
    "channels, mode, note", [(1, "RGB", images.COLOUR_MADE_GRAY), (3, "L", images.GRAY_IN_COLOUR)]
)
def test_colours_that_a_model_does_not_take_are_told(folder, tmp_path, channels, mode, note):
    """OFF#98, OFF#1114: gray pictures and networks of other channels went together without a word,
    or not at all.
    """
    Image.fromarray(picture(9, 8, 8)).convert(mode).save(folder / "one.png")
    translate_path(
        [Translator(SAME.identity, channels, 4, lambda batch: batch)], folder, tmp_path / "out"
    )
    assert record(tmp_path / "out")["conversions"] == {note: 1}
    made = prepare(
        tmp_path / "set",
        {"trainA": [picture(9)[..., 0] if mode == "L" else picture(9)], "trainB": [picture(2)]},
    )
    translate_split(
        [Translator(SAME.identity, channels, 4, lambda batch: batch)],
        open_source(made),
        "trainA",
        tmp_path / "of_set",
    )
    assert record(tmp_path / "of_set")["conversions"] == {note: 1}


def test_red_stays_red(folder, tmp_path):
    """open-mmlab/mmgeneration#210, bryandlee/animegan2-pytorch#32: red and blue changed places
    between reading, network and file.
    """
    Image.new("RGB", (8, 8), (200, 30, 10)).save(folder / "red.png")
    seen: list[float] = []
    translate_path(
        [Translator(SAME.identity, 3, 4, lambda batch: (seen.append(batch[0, 0, 0, 0]), batch)[1])],
        folder,
        tmp_path / "out",
    )
    assert seen == [pytest.approx(200 / 127.5 - 1)] and result(tmp_path / "out/red.png")[0][0] == [
        200,
        30,
        10,
    ]


def test_both_ends_of_the_range_are_stored():
    """simontomaskarlsson/GAN-MRI#13: negative values were lost.
    SystemErrorWang/White-box-Cartoonization#24: those outside wrapped.
    """
    assert images.to_uint8(np.array([-3, -1, -0.5, 0, 0.5, 1, 3])).tolist() == [
        0,
        0,
        64,
        128,
        191,
        255,
        255,
    ]


def test_pictures_of_another_range_are_refused_or_told(capsys):
    """simontomaskarlsson/CycleGAN-Keras#2, Lornatang/CycleGAN-PyTorch#9: [0, 1] or 0..255 in, [-1,
    1] out, and all trained on.
    """
    pictures = np.random.default_rng(0).uniform(0, 1, (1, 16, 16, 3)).astype(np.float32)

    def batches(factor: float, kind: type = np.float32) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensors(
            ((pictures * factor).astype(kind), (pictures * factor).astype(kind))
        )

    model = compiled_model()
    for wrong in (batches(255), batches(255, np.uint8)):
        with pytest.raises(
            UserError,
            match=(
                r"^x: real_a: pictures must be floats in \[-1, 1\]; convert values 0..255 by "
                r"pixels / 127.5 - 1$"
            ),
        ):
            model.fit(wrong, verbose=0)
    with pytest.raises(
        UserError, match=r"^x: a tf.data.Dataset must have batches \(real_a, real_b\)"
    ):
        model.fit(tf.data.Dataset.from_tensors(pictures), verbose=0)
    assert "below 0" not in capsys.readouterr().out
    arrays.check_batches(batches(1))
    said = capsys.readouterr().out
    assert all(
        f"x: {name}: no value is below 0, but black is -1; convert pictures in [0, 1] by" in said
        for name in ("real_a", "real_b")
    )
    arrays.pictures(pictures * 2 - 1, pictures)
    said = capsys.readouterr().out
    assert "y: no value is below 0" in said and "x: no value" not in said


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_a_translation_depends_on_its_picture_alone(norm):
    """OFF#555, OFF#395, phillipi/pix2pix#176: results changed with the batch and with the mode in
    which the network was asked.
    """
    generator = make_generator("resnet_1blocks", base_filters=4, norm=norm, dropout=True, seed=0)
    batch = np.random.default_rng(1).uniform(-1, 1, (3, 16, 16, 3)).astype(np.float32)
    alone = [generator(batch[index : index + 1], training=False).numpy()[0] for index in range(3)]
    np.testing.assert_allclose(generator(batch, training=False), alone, atol=1e-5)
    np.testing.assert_array_equal(
        generator(batch, training=False), generator(batch, training=False)
    )


def test_the_rate_of_an_epoch_does_not_depend_on_stops():
    """OFF#1095, OFF#1686, OFF#448: a training that went on began at epoch 1 and at the full rate.
    Here epoch 151 of 200, by hand.
    """
    assert rate_factor("linear", 150, epochs=100, decay_epochs=100) == pytest.approx(1 - 51 / 101)


class _Pixels(list):
    """Pictures of one size in memory, as `UnpairedBatches` takes them."""

    common_size = Size(8, 8)


def test_every_picture_is_seen_and_partners_change():
    """OFF#1263: sorted files met the same partner in each epoch. sian-wusidi/StegoGAN#2: both
    domains had to be of equal number.
    """
    batches = UnpairedBatches(_Pixels(range(20)), _Pixels(range(7)), None, False, 1, seed=0)
    epochs = [
        dict(batches.indices(sample) for sample in range(first, first + 20)) for first in (0, 20)
    ]
    assert all(sorted(epoch) == list(range(20)) for epoch in epochs) and epochs[0] != epochs[1]
    assert {partner for epoch in epochs for partner in epoch.values()} == set(range(7))
    assert list(epochs[0]) != list(epochs[1])


def test_pictures_in_two_splits_are_told_and_stand_in_the_manifest(shared, capsys):
    """zalandoresearch/fashion-mnist#44, p2irc/rgb2nir#2: test pictures were in training. OFF#291:
    one picture set for both domains.
    """
    assert json.loads((shared / "manifest.json").read_text())["twins"] == {
        "testA in trainA": 1,
        "testB in trainB": 1,
        "trainB in trainA": 1,
    }
    open_domains(str(shared))
    assert (
        f"{shared}: warning: the same pictures are in two splits, byte for byte: testA in trainA: "
        "1, testB" in capsys.readouterr().out
    )


def test_the_same_folder_twice_is_told(tmp_path, capsys):
    """OFF#291: with trainA and trainB alike there is nothing to learn, whatever comes out."""
    prepare(tmp_path, {split: [picture(1), picture(2)] for split in ("trainA", "trainB")})
    said = capsys.readouterr().out
    assert (
        "warning: pictures are in both domains, byte for byte: trainB/000.png is trainA/000.png, "
        "trainB/001.png is trainA/001.png" in said
    )
    assert "scores" not in said


def test_hidden_files_of_other_systems_are_no_pictures(folder, tmp_path):
    """OpenNeuroOrg/openneuro#2520, microsoft/Bringing-Old-Photos-Back-to-Life#167: `._1.png` and
    .DS_Store stopped work silently.
    """
    Image.fromarray(picture(1)).save(folder / "1.png")
    for name in ("._1.png", ".DS_Store"):
        (folder / name).write_bytes(b"\0\5\x16\7")
    translate_path([SAME], folder, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").glob("*.png")] == ["1.png"]
    assert record(tmp_path / "out")["left_out"] == {"hidden files and folders": 1}, (
        "those of the Finder and of Windows are nobody's"
    )


def test_pictures_that_cannot_be_read_stand_in_the_record(folder, tmp_path):
    """microsoft/Bringing-Old-Photos-Back-to-Life#167: after one such file the others were not
    worked on.
    """
    Image.fromarray(picture(1)).save(folder / "b.png")
    (folder / "a.png").write_bytes(b"no picture")
    (folder / "c.png").write_bytes(b"")
    with pytest.raises(
        UserError, match=r"^a: .*; 2 of 3 pictures could not be read; the others are in"
    ):
        translate_path([SAME], folder, tmp_path / "out")
    assert record(tmp_path / "out")["left_out"] == {"pictures that could not be read": 2}
    Image.fromarray(picture(2)).save(folder / "a.png")
    (folder / "c.png").unlink()
    translate_path([SAME], folder, tmp_path / "out")
    assert record(tmp_path / "out")["left_out"] == {}


def test_results_that_would_meet_or_lie_on_their_pictures_are_refused(folder, tmp_path):
    """nihui/waifu2x-ncnn-vulkan#27, axondeepseg/axondeepseg#69: of equal names one result was lost.
    CompVis/depth-fm#12: and the input.
    """
    for name in ("one.png", "one.jpg"):
        Image.fromarray(picture(1)).save(folder / name)
    with pytest.raises(UserError, match=r"two pictures are called one \(one.jpg and one.png\)"):
        translate_path([SAME], folder, tmp_path / "out")
    before = (folder / "one.jpg").read_bytes()
    (folder / "one.png").unlink()
    with pytest.raises(UserError, match="is not empty and not from this command"):
        translate_path([SAME], folder, folder)
    assert (folder / "one.jpg").read_bytes() == before and not (
        folder / "translation.json"
    ).exists()


@pytest.mark.parametrize("preprocess", ["none", "scale_width"])
def test_pictures_too_small_for_the_networks_are_named(tmp_path, preprocess):
    """OFF#570, OFF#776: a size for which the discriminator has no patch ended in an error of a
    convolution, after the start.
    """
    data = prepare(
        tmp_path,
        {"trainA": [picture(1, 40, 40), picture(2, 20, 21)], "trainB": [picture(3, 40, 40)]},
    )
    changes = {
        "load_size": Size(20, 20),
        "crop_size": Size(12, 12),
        "pool_size": 0,
        "discriminator_layers": 3,
    }
    options = config(
        data, tmp_path / "run", preprocess=preprocess, cache_dir=str(tmp_path / "cache"), **changes
    )
    with pytest.raises(
        UserError,
        match=(
            rf"^--preprocess={preprocess}: trainA/00\d.png is 20x20 here, but the networks need "
            rf".* at least 24"
        ),
    ):
        open_batches(options, open_domains(options.data_dir))


def test_sides_that_are_rounded_are_told_with_their_reason(tmp_path):
    """OFF#1016: with whole pictures sizes changed all the same, to multiples of 4; no size option
    decides that.
    """
    data = prepare(tmp_path, {"trainA": [picture(1, 41, 43)], "trainB": [picture(2, 40, 40)]})
    changes = {
        "load_size": Size(36, 36),
        "crop_size": Size(32, 32),
        "pool_size": 0,
        "discriminator_layers": 1,
    }
    options = config(
        data, tmp_path / "run", preprocess="none", cache_dir=str(tmp_path / "cache"), **changes
    )
    domains = open_domains(options.data_dir)
    lines = assumptions.of_data(options, domains, open_batches(options, domains)[0], 1)
    assert "domain a: enlarged pictures: 1 of 1 (sides become multiples of 4)" in lines and not any(
        "load_size" in line for line in lines
    )


def test_random_weights_are_told(tmp_path, monkeypatch, capsys):
    """OFF#336: samples of the training were good and results of the checkpoint that was loaded were
    not; nothing said which it was.
    """
    monkeypatch.setattr(
        "tfcyclegan.training.checkpoints.find_checkpoint",
        lambda directory, which: f"{directory}/step-{which}",
    )
    for which, said in (("0", True), ("20", False)):
        tell_untrained(Run(tmp_path, config(tmp_path, tmp_path), "float32", "x"), which)
        assert (
            "its checkpoint is of step 0, with random, untrained weights" in capsys.readouterr().out
        ) == said
    tell_untrained(
        Run(tmp_path, config(tmp_path, tmp_path, init_from="other"), "float32", "x"), "0"
    )
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("settings", [{}, {"max_value": "4095"}])
def test_dark_pictures_of_12_bit_are_not_taken_for_label_maps(tmp_path, capsys, settings):
    """OFF#903: pictures of 12 bit in 16 look black, and have few levels of 8 bit; they are pictures
    all the same.
    """
    deep = np.random.default_rng(0).integers(0, 4096, (2, 40, 40)).astype(np.uint16)
    for split in ("trainA", "trainB"):
        (tmp_path / "raw" / split).mkdir(parents=True)
        (tmp_path / "raw" / split / "0.png").write_bytes(
            png_16(deep[0 if split == "trainA" else 1], 0)
        )
    preparing.run(
        preparing.Config(
            input_dir=str(tmp_path / "raw"), output_dir=str(tmp_path / "data"), **settings
        )
    )
    said = capsys.readouterr().out
    assert "label maps" not in said and ("--max_value=4095 makes 4095 white" in said) == (
        not settings
    )
    assert (
        "16 bit, scaled to 8: 2 pictures; --max_value=VALUE gives the value of white" in said
    ) == (not settings)
    with Image.open(
        io.BytesIO(next(iter(open_source(tmp_path / "data").pictures("trainA")))[1])
    ) as stored:
        expected = deep[0] / (4095 if settings else 65535) * 255
        np.testing.assert_allclose(np.asarray(stored), expected, atol=0.51)
