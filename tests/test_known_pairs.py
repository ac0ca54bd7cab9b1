"""Training with some known pairs: their loss and gradient by hand, in any method; augmentation of
what discriminators see; the command with pairs, going on, and fine-tuning of an unpaired run.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from data_prep import folders
from tests.test_aligned import noise, save
from tests.test_training import SMALL, checkpoint, without_timing
from tfcyclegan.config import TrainConfig
from tfcyclegan.errors import UserError
from tfcyclegan.methods.base import FAKE, JUDGED, REAL
from tfcyclegan.methods.cyclegan import CycleGAN, DiscriminatorsFirst
from tfcyclegan.methods.pix2pix import Pix2Pix
from tfcyclegan.networks import Discriminator, make_generator
from tfcyclegan.networks.diffaugment import diffaugment
from tfcyclegan.optimization.adam import Adam
from tfcyclegan.training.trainer import train

SIDE = 16


def make(method=CycleGAN, spectral_norm: bool = False, **settings) -> CycleGAN:
    size = {"base_filters": 4, "dtype": "float64"}
    model = method(
        *(make_generator("resnet_1blocks", **size, seed=seed) for seed in (1, 2)),
        *(
            Discriminator(**size, layers=1, seed=seed, spectral_norm=spectral_norm)
            for seed in (3, 4)
        ),
        pool_size=0,
        **settings,
    )
    model.compile(Adam(1e-3), Adam(1e-3))
    return model


def pictures(count: int) -> list[tf.Tensor]:
    random = np.random.default_rng(0)
    return [tf.constant(random.uniform(-1, 1, (2, SIDE, SIDE, 3))) for _ in range(count)]


def gradients_of_step(model: CycleGAN, batch, monkeypatch) -> tuple[dict, list[np.ndarray]]:
    """What a step reports, and the gradients by which it moves the generators; nothing is moved."""
    seen = []

    def note(loss, gradients, variables):
        seen.append((float(loss), [gradient.numpy() for gradient in gradients]))
        return tf.constant(True)

    monkeypatch.setattr(model.generator_optimizer, "apply_if_finite", note)
    monkeypatch.setattr(
        model.discriminator_optimizer, "apply_if_finite", lambda *_: tf.constant(True)
    )
    values = {name: float(value) for name, value in model.train_step(batch).items()}
    (loss, gradients), *_ = seen
    generators = [n for n in model.loss_names if not n.startswith("disc_")]
    assert loss == pytest.approx(sum(values[name] for name in generators))
    return values, gradients


@pytest.mark.parametrize("method", [CycleGAN, DiscriminatorsFirst])
def test_the_l1_of_pairs_and_its_gradient_are_added_to_a_step(method, monkeypatch):
    batch = real_a, real_b, paired_a, paired_b = pictures(4)
    plain, own = gradients_of_step(make(method), (real_a, real_b), monkeypatch)
    model = make(method, lambda_paired=3.0)
    values, found = gradients_of_step(model, batch, monkeypatch)
    with tf.GradientTape() as tape:
        by_hand = {
            "paired_ab": 3 * tf.reduce_mean(tf.abs(model.gen_ab(paired_a) - paired_b)),
            "paired_ba": 3 * tf.reduce_mean(tf.abs(model.gen_ba(paired_b) - paired_a)),
        }
        total = sum(by_hand.values())
    more = tape.gradient(total, [variable.value for variable in model.generator_variables])
    assert values.keys() - plain.keys() == by_hand.keys()
    for name, value in {**plain, **by_hand}.items():
        assert values[name] == pytest.approx(float(value), rel=1e-9), name
    for one, other, both in zip(own, more, found, strict=True):
        np.testing.assert_allclose(both, one + other, rtol=1e-6, atol=1e-9)


def test_batches_without_pairs_are_refused():
    with pytest.raises(UserError, match=r"batches must be .*paired_a, paired_b"):
        make(lambda_paired=1.0).train_step(tuple(pictures(2)))


def test_all_that_discriminators_see_is_augmented_each_by_its_own_draws(monkeypatch):
    policy = ("colour", "translation", "cutout")
    model = make(diffaugment=policy, seed=9)
    shown = {"a": [], "b": []}
    for domain, network in model.discriminators.items():
        call = network.call

        def note(x, training=False, *, call=call, seen=shown[domain]):
            seen.append(x.numpy())
            return call(x, training=training)

        monkeypatch.setattr(network, "call", note)
    model.step.assign(5)
    real_a, real_b = pictures(2)
    reals, fakes = (
        {"a": real_a, "b": real_b},
        {"a": model.gen_ba(real_b), "b": model.gen_ab(real_a)},
    )
    seeds = {}
    for number, domain in enumerate("ab"):
        for purpose in (REAL, FAKE, JUDGED):
            key = tf.constant([9 * 2 + number, purpose], tf.int64)
            seeds[domain, purpose] = tf.random.experimental.stateless_fold_in(key, model.step.value)
    gradients_of_step(model, (real_a, real_b), monkeypatch)
    for domain in "ab":
        expected = [
            diffaugment(picture, policy, seeds[domain, purpose])
            for picture, purpose in (
                (fakes[domain], JUDGED),
                (reals[domain], REAL),
                (fakes[domain], FAKE),
            )
        ]
        for found, wanted in zip(shown[domain], expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-9)
        assert not np.allclose(shown[domain][0], shown[domain][2])


def test_both_pictures_that_pix2pix_shows_are_augmented_alike():
    size = {"base_filters": 4, "dtype": "float64"}
    judge = Discriminator(**size, layers=1, in_channels=6)
    model = Pix2Pix(make_generator("resnet_1blocks", **size), judge, diffaugment=["colour"])
    picture, other = pictures(2)
    shown = model.as_shown(tf.concat([picture, other], axis=-1), "b", FAKE)
    alike = model.as_shown(tf.concat([picture, picture], axis=-1), "b", FAKE)
    np.testing.assert_array_equal(alike[..., :3], alike[..., 3:])
    np.testing.assert_array_equal(shown[..., :3], alike[..., :3])


def test_a_step_moves_the_singular_vectors_once(monkeypatch):
    model, other = make(spectral_norm=True), make(spectral_norm=True)
    real_a, real_b = pictures(2)
    gradients_of_step(model, (real_a, real_b), monkeypatch)
    for network in other.discriminators.values():
        network.move_singular_vectors()
    for one, expected in zip(model.disc_a.weights, other.disc_a.weights, strict=True):
        np.testing.assert_array_equal(one, expected)


# --- the command
# --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def maps(tmp_path_factory) -> Path:
    """Twelve aligned pairs: a picture and its negative."""
    root = tmp_path_factory.mktemp("pairs") / "raw"
    scenes = [np.kron(noise(seed, 5, 5), np.ones((8, 8, 1), np.uint8)) for seed in range(12)]
    wide = {
        f"train/{index}.png": np.concatenate([scene, 255 - scene], axis=1)
        for index, scene in enumerate(scenes)
    }
    output = root.with_name("data")
    save(root, wide)
    folders.run(folders.Config(input_dir=str(root), output_dir=str(output), aligned=True))
    return output


OPTIONS = {
    **SMALL,
    "residual_blocks": 1,
    "batch_size": 4,
    "checkpoint_every_steps": 2,
    "sample_every_steps": 99,
    "pool_size": 3,
}
EVERYTHING = {
    "lambda_paired": 10.0,
    "paired_share": 0.5,
    "diffaugment": "colour,translation,cutout",
    "spectral_norm": True,
    "rotations": True,
    "colour_jitter": 0.2,
    "decay_load_size": "crop",
    "drop_remainder": True,
    "epochs": 1,
    "decay_epochs": 1,
    "max_steps": 4,
}


def config(data: Path, run_dir: Path, **changes) -> TrainConfig:
    return TrainConfig(data_dir=str(data), run_dir=str(run_dir), **OPTIONS | changes)


def test_a_run_with_pairs_goes_on_exactly_and_says_what_it_does(maps, tmp_path, capsys, eager):
    """From before the decaying epochs into them; an epoch is 3 steps, 12 pictures by 4."""
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    train(config(maps, straight, **EVERYTHING))
    told = capsys.readouterr().out
    assert "pairs: 6 of 12, by aligned data and --paired_share=0.5, drawn with --seed" in told
    assert "from step 3 on pictures are resized to 32 instead of 36" in told
    shutil.copytree(straight, stopped)
    for path in (stopped / "checkpoints").glob("step-4*"):
        path.unlink()
    train(config(maps, stopped, **EVERYTHING))
    assert "resuming at step 2 of 4" in capsys.readouterr().out
    whole, parts = checkpoint(straight), checkpoint(stopped)
    assert len(whole) > 80 and whole.keys() == parts.keys()
    assert [name for name in whole if not np.array_equal(whole[name], parts[name])] == []
    lines = without_timing(straight)
    assert [line["step"] for line in lines] == [2, 4] and lines == without_timing(stopped)
    assert all(line["paired_ab"] > 0 and line["paired_ba"] > 0 for line in lines)
    options = json.loads((straight / "config.json").read_text())["options"]
    assert options["lambda_paired"] == 10 and options["paired_share"] == 0.5


def test_an_unpaired_run_is_fine_tuned_on_pairs(maps, tmp_path, capsys, eager):
    first, second = tmp_path / "first", tmp_path / "second"
    train(config(maps, first, max_steps=1))
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("a,b\n" + "".join(f"{index},{index}\n" for index in (3, 8, 5)))
    tuned = config(
        maps, second, max_steps=1, lambda_paired=50.0, pairs=str(pairs), init_from=str(first)
    )
    train(tuned)
    told = capsys.readouterr().out
    assert f"pairs: 3, by --pairs={pairs}" in told and "weights of gen_ab, gen_ba" in told
    (before,), (after,) = without_timing(first), without_timing(second)
    assert "paired_ab" not in before and after["paired_ab"] > 1
    pairs.write_text("a,b\n3,3\n")
    with pytest.raises(UserError, match=r"the pairs of --pairs are not those that the run was"):
        train(tuned)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"lambda_paired": 1.0, "pairs": "nowhere.csv"}, "--pairs=nowhere.csv: cannot be read"),
        (
            {"drop_remainder": True, "batch_size": 14},
            "--drop_remainder: an epoch of 12 images has no whole batch of 14",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(maps, tmp_path, changes, line):
    with pytest.raises(UserError, match=line):
        train(config(maps, tmp_path / "run", max_steps=1, **changes))
    assert not (tmp_path / "run").exists()


def test_pairs_of_unaligned_data_must_be_given(tiles, tmp_path):
    with pytest.raises(UserError, match=r"--lambda_paired=1: no pairs are known for .* --aligned"):
        train(config(tiles, tmp_path / "run", max_steps=1, lambda_paired=1.0))
