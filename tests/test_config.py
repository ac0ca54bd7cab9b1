"""Options as checked dataclasses: sizes, what does not go together, and the length of a
training.
"""

import re

import pytest

from tfcyclegan.config import Size, TrainConfig, TrainingLength, TranslateConfig
from tfcyclegan.errors import UserError
from tfcyclegan.methods.factory import discriminator_settings, generator_settings


def config(**changes) -> TrainConfig:
    return TrainConfig(**{"data_dir": "d", "run_dir": "r", **changes})


@pytest.mark.parametrize(
    ("text", "size"),
    [("64", Size(64, 64)), ("180x360", Size(180, 360)), ("3X4", Size(3, 4)), ("007", Size(7, 7))],
)
def test_sizes(text, size):
    assert Size.parse(text) == size
    assert Size.parse(str(size)) == size
    assert str(Size(5, 5)) == "5" and str(Size(5, 6)) == "5x6"


@pytest.mark.parametrize(
    "text", ["", "0", "-4", "4x0", "3x", "x3", "axb", "3x4x5", "3.5", "٣", "²", "4 x 5", "1_0"]
)
def test_no_sizes(text):
    with pytest.raises(UserError, match=re.escape(f"{text!r} is not a size")):
        Size.parse(text)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"crop_size": Size(126, 128)},
            "--crop_size=126x128: resnet_9blocks needs sides that are multiples of 4",
        ),
        (
            {"crop_size": Size(128, 126)},
            "--crop_size=128x126: resnet_9blocks needs sides that are multiples of 4",
        ),
        (
            {"generator": "unet_256", "crop_size": Size(128, 128)},
            "--crop_size=128: unet_256 needs sides that are multiples of 256",
        ),
        (
            {"generator": "unet_128", "preprocess": "none"},
            "--preprocess=none: unet_128 needs crops whose sides are multiples of 128",
        ),
        ({"crop_size": Size(256, 288)}, "--crop_size=256x288: larger than --load_size=286"),
        ({"crop_size": Size(288, 256)}, "--crop_size=288x256: larger than --load_size=286"),
        (
            {"preprocess": "scale_width_and_crop", "crop_size": Size(512, 288)},
            "--crop_size=512x288: wider than --load_size=286",
        ),
        (
            {"crop_size": Size(20, 20)},
            "--crop_size=20: the networks need sides of at least 24; raise it or lower "
            "--discriminator_layers",
        ),
        (
            {"generator": "unet_256", "residual_blocks": 6},
            "--residual_blocks=6: requires --generator=resnet, not unet_256",
        ),
        (
            {"generator": "resnet_6blocks", "residual_blocks": 9},
            "--residual_blocks=9: requires --generator=resnet, not resnet_6blocks",
        ),
        (
            {"generator": "unet_256", "upsampling": "resize"},
            "--upsampling=resize: requires ResNet generators",
        ),
        (
            {"generator": "unet_256", "input_skip": True},
            "--input_skip: requires ResNet generators",
        ),
        (
            {"channels_b": 1, "lambda_identity": 0, "input_skip": True},
            "--input_skip: needs domains with the same number of channels, not 3 and 1; leave it "
            "out",
        ),
        (
            {"channels_b": 1},
            "--lambda_identity=0.5: identity losses need domains with the same number of channels, "
            "not 3 and 1; set --lambda_identity=0",
        ),
        (
            {"decay_epochs": 3},
            "--decay_epochs: needs --epochs, the epochs before the learning rate falls",
        ),
        (
            {"schedule": "cosine_official", "epochs": 0},
            "--schedule=cosine_official: needs --epochs of at least 1",
        ),
    ],
)
def test_options_that_do_not_go_together(settings, message):
    with pytest.raises(UserError) as caught:
        config(**settings)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "settings",
    [
        {"crop_size": Size(24, 24)},
        {"crop_size": Size(20, 40), "discriminator_layers": 2},
        {"crop_size": Size(12, 12), "discriminator": "pixel"},
        {"generator": "unet_128", "crop_size": Size(256, 128)},
        {"preprocess": "none", "crop_size": Size(999, 999)},
        {"preprocess": "crop", "crop_size": Size(512, 512)},
        {"preprocess": "scale_width_and_crop", "crop_size": Size(512, 256)},
        {"channels_b": 1, "lambda_identity": 0.0},
        {"eval_every_steps": 75},
        {"generator": "runs/old/unet_graph.json"},
        {"generator": "unet_small.json"},
    ],
)
def test_options_that_go_together(settings):
    config(**settings)


@pytest.mark.parametrize(("own", "expected"), [("same", "batch"), ("none", "none")])
def test_discriminators_may_have_a_norm_of_their_own(own, expected):
    options = config(norm="batch", discriminator_norm=own)
    assert discriminator_settings(options, "a")["norm"] == expected
    assert generator_settings(options, "ab")["norm"] == "batch"


@pytest.mark.parametrize(
    ("own", "expected"), [("same", (True, False)), ("yes", (True, True)), ("no", (False, False))]
)
def test_discriminators_may_be_antialiased_apart(own, expected):
    for of_generators, found in zip((True, False), expected, strict=True):
        options = config(antialias=of_generators, discriminator_antialias=own)
        assert discriminator_settings(options, "a")["antialias"] is found
        assert generator_settings(options, "ab")["antialias"] is of_generators


def test_the_smallest_crops_are_those_that_leave_the_discriminator_a_score():
    """Each 4x4 convolution with padding 1 makes n into n // 2 at stride 2 and into n - 1 at stride
    1.
    """
    for layers in (1, 2, 3, 4):
        accepted = []
        for side in range(12, 100, 4):
            scores = side
            for _ in range(layers):
                scores //= 2
            try:
                config(crop_size=Size(side, side), discriminator_layers=layers)
            except UserError:
                assert scores - 2 < 1
            else:
                accepted.append(side)
                assert scores - 2 >= 1
        assert accepted


@pytest.mark.parametrize(
    ("settings", "images", "expected"),
    [
        ({}, 1000, TrainingLength(200_000, 100, 100)),
        ({"max_steps": 30}, 1000, TrainingLength(30, None, 0)),
        ({"epochs": 3, "max_steps": 30}, 100, TrainingLength(30, 3, 0)),
        ({"epochs": 3, "max_steps": 301}, 100, TrainingLength(300, 3, 0)),
        ({"epochs": 3, "decay_epochs": 2}, 7, TrainingLength(35, 3, 2)),
        ({"epochs": 3, "batch_size": 2}, 7, TrainingLength(11, 3, 0)),
        ({"epochs": 0, "decay_epochs": 1, "batch_size": 4}, 9, TrainingLength(3, 0, 1)),
    ],
)
def test_training_length(settings, images, expected):
    assert config(**settings).length(images) == expected


def test_no_length_at_all_is_refused():
    with pytest.raises(UserError, match="--epochs=0: nothing to train"):
        config(epochs=0).length(10)


@pytest.mark.parametrize("settings", [{}, {"run_dir": "r", "model": "m"}])
def test_translate_takes_one_model_and_one_input(settings):
    with pytest.raises(UserError, match="--run_dir or --model: give one of them"):
        TranslateConfig(output="o", input="i", **settings)
    with pytest.raises(UserError, match="--input or --data_dir: give one of them"):
        TranslateConfig(
            output="o", run_dir="r", **({"input": "i", "data_dir": "d"} if settings else {})
        )
