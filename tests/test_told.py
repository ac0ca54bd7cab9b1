"""What training says before it begins: defaults that depend on other choices, options without
effect, what becomes of the pictures.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.test_training import config
from tests.test_unpaired import picture, prepare
from tfcyclegan import flags
from tfcyclegan.config import Size, TrainConfig
from tfcyclegan.data.domains import open_domains
from tfcyclegan.errors import UserError
from tfcyclegan.training import assumptions
from tfcyclegan.training.batches import open_batches
from tfcyclegan.training.runs import Run, check_resumable, read_run, write_run

CROP = {"load_size": Size(12, 12), "crop_size": Size(12, 12), "discriminator_layers": 1}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory) -> Path:
    """trainA: two gray pictures and one in colour, of 10x14; trainB: six of 24x24, two of them
    6x48; val pictures of b alone.
    """
    splits = {
        "trainA": [picture(1)[..., 0], picture(2)[..., 0], picture(3)],
        "trainB": [picture(10 + index, 24, 24) for index in range(4)]
        + [picture(20 + index, 6, 48) for index in range(2)],
        "valB": [picture(30, 24, 24)],
    }
    return prepare(tmp_path_factory.mktemp("mixed"), splits)


def lines_of(mixed: Path, cache: Path, replicas: int = 1, **changes) -> list[str]:
    options = config(
        mixed, cache / "run", cache_dir=str(cache), **{**CROP, "eval_every_steps": 3, **changes}
    )
    domains = open_domains(options.data_dir)
    return assumptions.of_data(options, domains, open_batches(options, domains)[0], replicas)


def test_what_is_done_to_pictures_is_counted_each_time(mixed, tmp_path):
    """By hand: 10x14 to 12x12 enlarges all three of a (by height) and changes 1.4 to 1; 6x48
    changes 8 to 1.
    """
    expected = [
        "domain a: enlarged pictures: 3 of 3 (--load_size changes this)",
        "domain a: pictures whose shape changes: 3 of 3 (the ratio of sides up to x1.40; "
        "--preprocess=scale_width_and_crop keeps aspect ratios)",
        "domain a: gray pictures shown in colour: 2 of 3 (--channels_a=1 keeps them gray)",
        "domain b: enlarged pictures: 2 of 6 (--load_size changes this)",
        "domain b: pictures whose shape changes: 2 of 6 (the ratio of sides up to x8.00; "
        "--preprocess=scale_width_and_crop keeps aspect ratios)",
        "an epoch is 6 images, as many as domain b has: the 3 of domain a are seen 2 times as "
        "often",
        "domain a: no val pictures, so the best checkpoint is chosen on training pictures; add a "
        "split val to change this",
    ]
    assert lines_of(mixed, tmp_path) == expected
    assert lines_of(mixed, tmp_path) == expected, "the same from the cache"


def test_pictures_that_choose_nothing_are_not_named(mixed, tmp_path):
    assert not any(
        "best checkpoint" in line for line in lines_of(mixed, tmp_path, eval_every_steps=7)
    )


def test_colour_made_gray_large_batches_and_pools(mixed, tmp_path):
    lines = lines_of(
        mixed, tmp_path, channels_a=1, channels_b=1, batch_size=4, replicas=2, eval_split="train"
    )
    assert "domain a: colour pictures made gray: 1 of 3 (by --channels_a=1)" in lines
    assert "domain b: colour pictures made gray: 6 of 6 (by --channels_b=1)" in lines
    assert "--batch_size=4: domain a has 3 pictures, so a batch holds some several times" in lines
    assert "--pool_size=3: each of the 2 devices has its own pool of this size" in lines
    assert not any("val pictures" in line or "gray pictures shown" in line for line in lines)


@pytest.mark.parametrize(
    "changes, line",
    [
        (
            {"schedule": "cosine"},
            "--schedule=cosine: has no effect; needs --epochs: without it, --max_steps keeps the "
            "learning rate constant",
        ),
        ({"step_epochs": 3}, "--step_epochs=3: has no effect; needs --schedule=step"),
        (
            {"preprocess": "crop", "load_size": Size(40, 40)},
            "--load_size=40: has no effect; needs a --preprocess that resizes",
        ),
        (
            {"preprocess": "crop", "interpolation": "area"},
            "--interpolation=area: has no effect; needs a --preprocess that resizes",
        ),
        ({"preprocess": "none"}, "--crop_size=32: has no effect; needs a --preprocess that crops"),
        (
            {"lambda_gan": 0.0, "discriminator_norm": "none"},
            "--discriminator_norm=none: has no effect; needs --lambda_gan",
        ),
        ({"lambda_semantic": 2.0}, "--lambda_semantic=2.0: has no effect; needs --segmenter"),
        (
            {"paired_share": 0.5},
            "--paired_share=0.5: has no effect; needs --lambda_paired",
        ),
        (
            {"discriminator": "pixel", "discriminator_layers": 2},
            "--discriminator_layers=2: has no effect; needs --discriminator=patch and --lambda_gan",
        ),
        (
            {"generator": "unet_256", "crop_size": Size(256, 256), "load_size": Size(256, 256)}
            | {"antialias_up": True, "residual_blocks": None},
            "--antialias_up=True: has no effect; needs ResNet generators",
        ),
        (
            {"generator": "tests.own_functions:generator", "antialias": True}
            | {"discriminator_antialias": "no", "residual_blocks": None, "base_filters": 64},
            "--antialias=True: has no effect; needs ResNet generators or patch discriminators "
            "that follow it",
        ),
        (
            {"eval_every_epochs": 0, "eval_images": 9},
            "--eval_images=9: has no effect; needs measurements (--eval_every_epochs)",
        ),
        (
            {"eval_every_epochs": 2, "eval_every_steps": 9},
            "--eval_every_epochs=2: has no effect; needs no --eval_every_steps",
        ),
        (
            {"method": "cut", "nce_all_negatives": True},
            "--nce_all_negatives=True: has no effect; needs --batch_size above 1",
        ),
        (
            {"lambda_gan": 0.0, "gan_mode": "hinge"},
            "--gan_mode=hinge: has no effect; needs --lambda_gan",
        ),
        (
            {"lambda_gan": 0.0, "discriminator_layers": 2},
            "--discriminator_layers=2: has no effect; needs --discriminator=patch and --lambda_gan",
        ),
    ],
    ids=str,
)
def test_options_without_effect_are_named(changes, line):
    assert line in assumptions.of_options(config(Path("d"), Path("r"), **changes))


def test_the_configs_that_come_along_give_no_option_without_effect():
    for path in sorted(ROOT.glob("configs/**/*.cfg")):
        if not path.stem.endswith("_uda"):
            places = ["--data_dir=d", "--run_dir=r"] if path.parent.name == "presets" else []
            assert (
                assumptions.of_options(flags.parse(TrainConfig, [f"--flagfile={path}", *places]))
                == []
            ), path


@pytest.mark.parametrize(
    "lengths, line",
    [
        (
            {"max_steps": None},
            "2000 steps: 100 epochs and 100 of falling learning rate, since neither --epochs nor "
            "--max_steps is given",
        ),
        ({"max_steps": 9}, "9 steps at a constant learning rate: only --max_steps is given"),
        (
            {"max_steps": None, "epochs": 2},
            "20 steps at a constant learning rate: --schedule=linear falls over --decay_epochs, "
            "which is not given",
        ),
        (
            {"max_steps": 15, "epochs": 1, "decay_epochs": 1},
            "ends at step 15 because of --max_steps, before its --epochs and --decay_epochs are "
            "over",
        ),
    ],
    ids=str,
)
def test_lengths_that_a_default_decides(lengths, line):
    """Of 10 images an epoch, in batches of 1."""
    (only,) = assumptions.of_length(
        config(Path("d"), Path("r"), eval_every_epochs=0, **lengths), 10
    )
    assert only.startswith(line)
    for steps in (None, 20):
        falling = {"max_steps": steps, "epochs": 1, "decay_epochs": 1}
        assert (
            assumptions.of_length(config(Path("d"), Path("r"), eval_every_steps=20, **falling), 10)
            == []
        )
    assert assumptions.of_length(config(Path("d"), Path("r"), **falling), 10) == [
        "no best checkpoint: measurements take place every 1000 steps, but there are only 20; "
        "--eval_every_steps changes this"
    ]


def test_a_blur_that_outlasts_the_training_is_told():
    falling = {"max_steps": None, "epochs": 1, "decay_epochs": 1, "eval_every_steps": 20}
    for steps, told in ((20, 0), (21, 1)):
        blurred = {"discriminator_blur": 1.0, "discriminator_blur_steps": steps}
        lines = assumptions.of_length(config(Path("d"), Path("r"), **falling, **blurred), 10)
        assert len(lines) == told
    assert lines[0].startswith("--discriminator_blur=1: is still there at the last step, 20,")


def test_the_default_weight_of_a_cycle_of_classes_is_told():
    classes = {"labels_b": "onehot", "lambda_identity": 0}
    (told,) = assumptions.of_options(config(Path("d"), Path("r"), **classes))
    assert told.startswith("--lambda_b=10 (the default) weights a cross-entropy")
    assert assumptions.of_options(config(Path("d"), Path("r"), **classes, lambda_b=1.0)) == []


def run_of(directory: Path, fingerprint: str = "x", **changes) -> Run:
    return Run(directory, config(Path("data"), directory, **changes), "float32", fingerprint)


def test_more_pictures_lead_to_a_new_run_from_these_weights(tmp_path):
    """OFF#774. The command in the refusal is one that can be given as it stands."""
    directory = tmp_path / "my run"
    directory.mkdir()
    (directory / "flags.cfg").write_text("--max_steps=6\n")
    with pytest.raises(UserError) as caught:
        check_resumable(run_of(directory), run_of(directory, "y"))
    assert str(caught.value) == (
        f"--run_dir={directory}: holds a run with other settings: the data in data is not the data "
        "that the run was started with; to start a new run from its weights, use --init_from: "
        f"tfcyclegan train '--flagfile={directory}/flags.cfg' '--run_dir={directory}-2' "
        f"'--init_from={directory}'"
    )
    with pytest.raises(
        UserError,
        match=(
            rf"--flip=false --learning_rate=0.001 '--run_dir={directory}-2' "
            rf"'--init_from={directory}'"
        ),
    ):
        check_resumable(run_of(directory), run_of(directory, learning_rate=1e-3, flip=False))


def test_other_networks_have_no_use_for_these_weights(tmp_path):
    with pytest.raises(
        UserError,
        match=(
            r"--base_filters was 4, now 8; its weights do not fit these networks; .* choose "
            r"another --run_dir"
        ),
    ):
        check_resumable(run_of(tmp_path), run_of(tmp_path, base_filters=8))


def test_what_a_resumed_run_may_change_is_told(tmp_path):
    before = run_of(tmp_path, epochs=1, decay_epochs=1)
    now = run_of(
        tmp_path,
        epochs=2,
        decay_epochs=1,
        log_every_steps=7,
        keep_checkpoints=9,
        xla=True,
        init_from="other",
    )
    assert check_resumable(before, now) == [
        "--epochs grows from 1 to 2, and the learning rate of future steps follows it",
        "continues with other options: --xla was False, now True; --keep_checkpoints was 3, now 9; "
        "--log_every_steps was 2, now 7",
        "--init_from=other: not read, since the run continues from its own checkpoint",
    ]
    assert check_resumable(before, before) == []


def test_what_was_told_stands_in_the_run(tmp_path):
    write_run(dataclasses.replace(run_of(tmp_path), told=("one", "two")))
    assert read_run(tmp_path).told == ("one", "two")
    stored = json.loads((tmp_path / "config.json").read_text())
    del stored["told"]
    (tmp_path / "config.json").write_text(json.dumps(stored))
    assert read_run(tmp_path).told == ()
    stored["options"] |= {"sampler": "another", "zoom": 2}
    (tmp_path / "config.json").write_text(json.dumps(stored))
    with pytest.raises(
        UserError,
        match=r"has options that this version does not know \(sampler, zoom\); install a newer one",
    ):
        read_run(tmp_path)


def test_gray_is_what_pillow_calls_so():
    from tfcyclegan.data import images

    for mode, channels, expected in (
        ("L", 3, {images.GRAY_IN_COLOUR}),
        ("L", 1, set()),
        ("RGB", 1, {images.COLOUR_MADE_GRAY}),
    ):
        notes: set[str] = set()
        images.decode(
            images.encode_png(
                images.to_array(Image.fromarray(np.zeros((4, 4, 3), np.uint8)).convert(mode))
            ),
            channels,
            notes,
        )
        assert notes == expected
