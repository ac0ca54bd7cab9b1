"""Augmented CycleGAN: its mathematics by hand, training and going on, and its answers through the
commands.
"""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.conftest import eagerly
from tests.exports import convolutions
from tests.test_layers import noise
from tests.test_training import checkpoint, without_timing
from tests.test_training import config as small_config
from tfcyclegan import cli, flags
from tfcyclegan.commands import translate
from tfcyclegan.config import Size, TrainConfig, TranslateConfig
from tfcyclegan.demo import page
from tfcyclegan.demo.models import find_model
from tfcyclegan.demo.sample_pictures import Samples
from tfcyclegan.errors import UserError
from tfcyclegan.exporting import saved_model, tflite_latents
from tfcyclegan.exports.exported_models import open_model
from tfcyclegan.exports.model_metadata import WITH_LATENTS
from tfcyclegan.measures import diversity, mode_collapse
from tfcyclegan.measures.evaluation_set import OWN
from tfcyclegan.methods.augmented import AugmentedCycleGAN
from tfcyclegan.methods.factory import build_model
from tfcyclegan.networks import AtLatent, LatentDiscriminator, LatentEncoder, LatentGenerator
from tfcyclegan.networks.latent_generator import LatentAffine
from tfcyclegan.networks.operations import Operations
from tfcyclegan.networks.resnet import ResnetGenerator
from tfcyclegan.optimization.adam import Adam
from tfcyclegan.training.observer import Observer
from tfcyclegan.training.trainer import train
from tfcyclegan.translation import answers

SIDE = 16
SMALL = {
    "method": "augmented",
    "latent_size": 3,
    "load_size": Size(SIDE, SIDE),
    "crop_size": Size(SIDE, SIDE),
    "discriminator_layers": 1,
}


def generator(**more) -> LatentGenerator:
    network = ResnetGenerator(blocks=1, base_filters=4, seed=1, init_gain=0.3)
    return LatentGenerator(network=network, latent_size=3, init_gain=0.5, seed=2, **more)


def config(**changes) -> TrainConfig:
    return small_config(Path("data"), Path("run"), **{**SMALL, "pool_size": 0, **changes})


@pytest.fixture(scope="module")
def model() -> AugmentedCycleGAN:
    made = build_model(config(lambda_a=2.0, lambda_b=3.0, lambda_latent=0.5), "float64", gaps=True)
    made.compile(Adam(1e-3), Adam(1e-3))
    return made


# --- the mathematics


def test_conditional_instance_norm_by_hand():
    """gamma = 1 + .5 + 2 z, beta = -1 + 3 z of the normalised -1 and 1."""
    layer = LatentAffine(1, 1, "zeros")
    layer.kernel.assign([[2.0, 3.0]])
    layer.bias.assign([0.5, -1.0])
    x = tf.constant([-1.0, 1.0, -1.0, 1.0], shape=[2, 1, 2, 1])
    for z, expected in (
        ([[0.0]], [[-2.5, 0.5]] * 2),
        ([[0.0], [0.25]], [[-2.5, 0.5], [-2.25, 1.75]]),
    ):
        found = Operations().affine(x, *layer(tf.constant(z)))
        np.testing.assert_allclose(found[:, 0, :, 0], expected)


def test_the_latent_sets_scale_and_shift_of_all_norms_but_the_second_of_a_block():
    """The network with its norms replaced by hand."""
    made, x, z = generator(), tf.constant(noise(1, SIDE, SIDE, 3), tf.float32), noise(1, 3)
    network, (stem, *_) = made._network, made.affines
    assert [affine.bias.shape[0] // 2 for affine in made.affines] == [4, 8, 16, 16, 8, 4]
    values = network.stem(x)
    mean, variance = tf.nn.moments(values, [1, 2], keepdims=True)
    gamma, beta = np.split(z @ stem.kernel.numpy() + stem.bias.numpy(), 2, axis=-1)
    expected = (1 + gamma) * (values - mean) / tf.sqrt(variance + 1e-5) + beta

    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Operations, "affine", lambda _, x, *both: seen.append(both[0] * x + both[1]) or seen[-1]
        )
        made(x, latents=tf.constant(z, tf.float32))
    np.testing.assert_allclose(seen[0], expected, atol=1e-4)


def test_without_a_latent_it_is_the_zero_one_and_at_first_the_network_alone():
    made, x = generator(), tf.constant(noise(2, SIDE, SIDE, 3), tf.float32)
    np.testing.assert_array_equal(made(x), made._network(x))
    np.testing.assert_allclose(made(x, latents=tf.zeros([2, 3])), made(x), atol=1e-6)
    z = tf.constant(noise(2, 3), tf.float32)
    of_each = made(x, latents=z)
    np.testing.assert_allclose(of_each[1:], AtLatent(made, z[1:])(x[1:]), atol=1e-5)
    assert np.abs(of_each - made(x)).mean() > 0.01


def test_recomputed_it_has_the_same_gradients_of_weights_and_latents():
    made, x = generator(), tf.constant(noise(1, SIDE, SIDE, 3), tf.float32)
    z, found = tf.constant(noise(1, 3), tf.float32), []
    for made.recompute in (False, True):
        with tf.GradientTape() as tape:
            tape.watch(z)
            loss = tf.reduce_mean(made(x, training=True, latents=z) ** 2)
        found.append(tape.gradient(loss, [z, *(each.value for each in made.trainable_variables)]))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert np.abs(found[0][0]).max() > 0


def test_the_losses_by_hand(model, monkeypatch):
    """Translators x / 2 + z and 2 x - z, encoders a + 3 b and a - b, of constant pictures: a = .5,
    z_b = .3, so fake_b = .55 and fake_za = 2.15; b = -.25, z_a = .1, so fake_a = -.6 and fake_zb =
    -.35.
    """
    translate = {"ab": lambda x, z: x / 2 + z, "ba": lambda x, z: 2 * x - z}
    read = {"a": lambda a, b: a + 3 * b, "b": lambda a, b: a - b}
    seen = {}

    def translated(way, given, latents, source):
        return translate[way](given, latents[:, :1, tf.newaxis, tf.newaxis])

    def judged(reals, fakes):
        seen.update({name: float(tf.reduce_mean(each)) for name, each in fakes.items()})
        seen.update({f"real {name}": float(tf.reduce_mean(each)) for name, each in reals.items()})
        return {}, tf.constant(True)

    patched = {
        "drawn": lambda which, _: tf.fill([1, 1], {"za": 0.1, "zb": 0.3}[which]),
        "translated": translated,
        "read": lambda domain, a, b: tf.reduce_mean(read[domain](a, b), axis=[1, 2]),
        "update_discriminators": judged,
        "update_generators": lambda loss, gradients: tf.constant(True),
        "marginal_matching": lambda fakes: {},
    }
    for name, function in patched.items():
        monkeypatch.setattr(model, name, function)
    losses, _ = model.learn(tf.fill([1, 4, 4, 1], 0.5), tf.fill([1, 4, 4, 1], -0.25))
    assert seen == pytest.approx(
        {"a": -0.6, "b": 0.55, "za": 2.15, "zb": -0.35}
        | {"real a": 0.5, "real b": -0.25, "real za": 0.1, "real zb": 0.3}
    )
    # 2 |2 .55 - 2.15 - .5|, 3 |-.3 - .35 + .25|, .5 |.5 - .55 - .3|, .5 |-.6 - .75 - .1|
    expected = {"cycle_a": 3.1, "cycle_b": 1.2, "cycle_zb": 0.175, "cycle_za": 0.725}
    assert {name: float(value) for name, value in losses.items()} == pytest.approx(expected)


def test_the_adversarial_losses_by_hand(model, monkeypatch):
    """LSGAN: (score - 1)^2, of discriminators that give one number each."""
    scores = {"a": 3.0, "b": 0.5, "za": -1.0, "zb": 2.0}
    judges = {name: lambda _, training, score=score: score for name, score in scores.items()}
    monkeypatch.setattr(type(model), "discriminators", judges)
    monkeypatch.setattr(model, "lambda_gan", 10.0)
    monkeypatch.setattr("tfcyclegan.methods.augmented.generator_loss", lambda _, s: (s - 1) ** 2)
    found = model.marginal_matching(dict.fromkeys(scores, tf.zeros([1, 1])))
    assert found == {"gan_ba": 40.0, "gan_ab": 2.5, "gan_za": 40.0, "gan_zb": 10.0}


def test_latents_follow_from_seed_and_step(model):
    model.step.assign(0)
    pictures = tf.zeros([4000, 1, 1, 1])
    one, same, other = (model.drawn(which, pictures).numpy() for which in ("za", "za", "zb"))
    model.step.assign(1)
    later = model.drawn("za", pictures).numpy()
    model.step.assign(0)
    np.testing.assert_array_equal(one, same)
    assert one.shape == (4000, 3) and one.dtype == np.float64
    for different in (other, later):
        assert abs(np.corrcoef(one.ravel(), different.ravel())[0, 1]) < 0.05
    assert one.mean() == pytest.approx(0, abs=0.05) and one.std() == pytest.approx(1, abs=0.05)


def test_a_step_moves_all_networks_though_not_all_was_measured(model):
    model.step.assign(0)
    before = {name: network.get_weights() for name, network in model.networks.items()}
    a, b = noise(1, SIDE, SIDE, 3), noise(1, SIDE, SIDE, 3, seed=1)
    a[:, :4, :4], b[:, -4:] = np.nan, np.nan
    step = model.train_step((tf.constant(a), tf.constant(b)))
    losses = np.array([float(step[name]) for name in model.loss_names])
    assert np.isfinite(losses).all() and (losses > 0).all() and float(step["skipped"]) == 0
    for name, network in model.networks.items():
        pairs = zip(before[name], network.get_weights(), strict=True)
        assert not any(np.array_equal(one, other) for one, other in pairs), name


def test_known_pairs_are_translated_by_their_own_latent(model, monkeypatch):
    monkeypatch.setattr(model, "lambda_paired", 4.0)
    a, b = (tf.constant(noise(1, SIDE, SIDE, 3, seed=seed)) for seed in (3, 4))
    fake = model.gen_ab(a, training=True, latents=model.enc_b(tf.concat([a, b], axis=-1)))
    losses, gradients = model.paired_pass(a, b)
    assert float(losses["paired_ab"]) == pytest.approx(4 * float(tf.reduce_mean(abs(fake - b))))
    places = [variable is model.enc_b.head.kernel for variable in model.generator_variables]
    assert np.abs(gradients[places.index(True)]).max() > 0, "the encoder learns by it as well"


@pytest.mark.parametrize("network", [LatentEncoder, LatentDiscriminator])
def test_networks_of_latents_are_made_again_by_their_config(network):
    made = network(base_filters=4, seed=3)
    again = network.from_config(made.get_config())
    for one, other in zip(made.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    drawn = [weight for weight in made.get_weights() if weight.ndim > 1]
    assert all(weight.std() > 0 for weight in drawn)


# --- what the measures say of answers


def test_diversity_by_hand():
    """Gray levels of which L* is known: 0, 50 and 100 (to a level of 8 bits) are 50, 50 and 100
    apart.
    """
    grays = [np.full((4, 4, 3), level, np.uint8) for level in (0, 119, 255)]
    scored = SimpleNamespace(tools=SimpleNamespace(lpips=""))
    apart, perceived = diversity.distances(scored, grays)
    assert apart == pytest.approx(200 / 3, abs=0.2) and np.isnan(perceived)
    lpips = SimpleNamespace(
        distance=lambda one, other: abs(float(one[0, 0, 0]) - float(other[0, 0, 0]))
    )
    scored = SimpleNamespace(tools=SimpleNamespace(lpips=lpips))
    assert diversity.distances(scored, grays)[1] == pytest.approx((119 + 136 + 255) / 3)


def test_inputs_that_share_their_output_are_grouped():
    """Of six: 0, 2 and 5 come out alike, 1 and 4 as well, and 3 and 1 only went in alike."""
    fakes = np.repeat(np.array([10, 200, 10, 120, 200, 11], np.uint8)[:, None, None], 256, 1)
    inputs = np.repeat(np.array([0, 60, 120, 61, 180, 240], np.uint8)[:, None, None], 256, 1)
    groups = mode_collapse.same_outputs(fakes, inputs)
    assert groups == [[0, 2, 5], [1, 4]]
    told = mode_collapse._told(groups, list("abcdef"))
    assert told == "5 different inputs share their output with others: a, c, f; b, e"
    assert mode_collapse.same_outputs(fakes, fakes) == [], "nothing else went in"


# --- training, and the commands


def run_of(tiles: Path, place: Path, **changes) -> Path:
    options = small_config(
        tiles,
        place,
        **{**SMALL, "checkpoint_every_steps": 1, "sample_images": 1, "ema_decay": 0.9, **changes},
    )
    train(options, flags.to_flag_file(options))
    return place


@pytest.fixture(scope="module")
def trained(tiles, tmp_path_factory) -> Path:
    with eagerly():
        return run_of(tiles, tmp_path_factory.mktemp("augmented") / "run", max_steps=2)


def test_a_run_shows_answers_and_tells_its_losses(trained):
    assert {"gan_zb", "cycle_za", "accuracy_disc_za"} <= without_timing(trained)[-1].keys()
    strip = np.asarray(Image.open(trained / "samples" / "train-0000002-ab.png"))
    assert strip.shape[1] % (7 * SIDE + 6 * 2) == 0, "real, three of CycleGAN's, three answers"
    assert "identity | answer 1 | answer 2 | answer 3" in (trained / "report.html").read_text()


@pytest.mark.slow
def test_a_run_goes_on_as_if_nothing_had_stopped_it(tiles, trained, tmp_path, eager, monkeypatch):
    monkeypatch.setattr(Observer, "draw_samples", lambda *_: None)
    for steps in (1, 2):
        run_of(tiles, tmp_path / "run", max_steps=steps)
    expected, found = checkpoint(trained), checkpoint(tmp_path / "run")
    assert expected.keys() == found.keys() and any("enc_b" in name for name in expected)
    assert [name for name in expected if not np.array_equal(expected[name], found[name])] == []


def translations(trained: Path, pictures: Path, output: Path, *more: str) -> dict[str, np.ndarray]:
    arguments = ["--run_dir", trained, "--input", pictures, "--output", output, *more]
    assert cli.main(["translate", *map(str, arguments)]) == 0
    return {path.stem: np.asarray(Image.open(path)) for path in output.glob("*.png")}


def test_answers_through_the_command(trained, tmp_path, capsys):
    pictures = tmp_path / "in"
    pictures.mkdir()
    for name in "xy":
        drawn = np.random.default_rng(ord(name)).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        Image.fromarray(drawn).save(pictures / f"{name}.png")
    three = translations(trained, pictures, tmp_path / "three", "--samples=3", "--seed=7")
    told = capsys.readouterr().out
    assert "3 answers to each picture, NAME_1 to NAME_3, by the same latents for all, drawn" in told
    assert three.keys() == {f"{name}_{number}" for name in "xy" for number in (1, 2, 3)}
    record = json.loads((tmp_path / "three" / "translation.json").read_text())
    assert (record["samples"], record["seed"]) == (3, 7)
    two = translations(trained, pictures, tmp_path / "two", "--samples=2", "--seed=7")
    other = translations(trained, pictures, tmp_path / "other", "--samples=2", "--seed=8")
    zero = translations(trained, pictures, tmp_path / "zero", "--latent=zero")
    assert (
        "the answer of the zero latent, the mean one; --samples=N draws" in capsys.readouterr().out
    )
    for name in "xy":
        assert not np.array_equal(three[f"{name}_1"], three[f"{name}_2"])
        for number in (1, 2):
            np.testing.assert_array_equal(two[f"{name}_{number}"], three[f"{name}_{number}"])
            assert not np.array_equal(other[f"{name}_{number}"], two[f"{name}_{number}"])
    assert zero.keys() == {"x", "y"}
    kept = translations(
        trained, pictures, tmp_path / "three", "--samples=3", "--seed=7", "--report"
    )
    page = (trained / "report.html").read_text()
    assert 'alt="x: answer 3"' in page
    assert "2 already existed" in capsys.readouterr().out and kept.keys() == three.keys()
    arguments = [f"--run_dir={trained}", f"--input={pictures}", f"--output={tmp_path / 'three'}"]
    assert cli.main(["translate", *arguments]) == 2
    assert "other settings" in capsys.readouterr().err


def test_a_latent_is_that_of_its_number_however_many_there_are():
    few, many = answers.drawn(2, 5, 16), answers.drawn(400, 5, 16)
    np.testing.assert_array_equal(few, many[:2])
    assert many.dtype == np.float32 and many.std() == pytest.approx(1, abs=0.03)
    assert not np.array_equal(few, answers.drawn(2, 6, 16))


def test_the_signatures_share_the_network(tmp_path):
    made = generator()
    saved_model.save(made, tmp_path / "mine" / "1")
    kernels = [variable for variable in made.variables if variable.ndim == 4]
    assert convolutions(tmp_path / "mine" / "1") == len(kernels)


def test_the_saved_model_takes_latents(eager):
    made = generator()
    functions = saved_model.ServedGenerator(made).functions()
    assert "tensor_with_latents" in functions
    plain = saved_model.ServedGenerator(made._network).functions()
    assert functions.keys() - plain.keys() == {"tensor_with_latents"}
    x, z = (
        tf.constant(noise(1, SIDE, SIDE + 4, 3), tf.float32),
        tf.constant(noise(1, 3), tf.float32),
    )
    found = functions["tensor_with_latents"](x, z)["images"]
    np.testing.assert_allclose(found, made(x, latents=z), atol=1e-5)
    specs = functions["tensor_with_latents"].input_signature
    gray = np.full((8, 8, 3), 128, np.uint8)
    assert [saved_model._example(spec, gray).shape for spec in specs] == [(1, 8, 8, 3), (1, 3)]


def test_one_tflite_file_takes_latents_and_the_demo_s_page_has_some(tmp_path):
    made = generator()
    content = tflite_latents.convert(made, Size(SIDE, SIDE))
    pictures = noise(2, SIDE, SIDE, 3).astype(np.float32)
    assert tflite_latents.largest_difference(content, made, pictures) < 2e-2
    version = tmp_path / "mine" / "1"
    version.mkdir(parents=True)
    (version / WITH_LATENTS).write_bytes(content)
    zero = open_model(version / WITH_LATENTS).function(pictures)
    np.testing.assert_allclose(zero, made(pictures), atol=2e-2)
    found = find_model(tmp_path / "mine")
    assert (found.path.name, found.latent_size) == (WITH_LATENTS, 3)
    shown = page._add_model(1, found, Samples([]), tmp_path / "site")
    np.testing.assert_allclose(shown["latents"], answers.drawn(page.ANSWERS, 0, 3))


def test_onnx_gives_the_answer_of_the_zero_latent():
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    from tfcyclegan.exports import onnx_graph

    made, x = generator(), noise(1, SIDE, SIDE, 3).astype(np.float32)
    for index, affine in enumerate(made.affines):
        affine.bias.assign(noise(*affine.bias.shape, seed=index) / 2)
    content = onnx_graph.convert(made).SerializeToString()
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {onnx_graph.INPUT: x})
    np.testing.assert_allclose(found, made(x), atol=1e-4)


# --- what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"generator": "unet_128", "residual_blocks": None},
            "--generator=unet_128: --method=augmented needs a ResNet generator",
        ),
        ({"norm": "batch"}, "--norm=batch: --method=augmented needs instance norms"),
        ({"xla": True}, "--xla: not with --method=augmented"),
        ({"lambda_identity": 0.5}, "--lambda_identity=0.5: requires --method=cyclegan"),
        ({"lambda_gan": 0.0, "lambda_a": 0.0, "lambda_b": 0.0}, "no loss is left"),
        ({"method": "cyclegan"}, "--latent_size=3: requires --method=augmented, not cyclegan"),
    ],
)
def test_options_that_do_not_go_together(options, message):
    with pytest.raises(UserError, match=message):
        config(**options)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seed=1"], "--seed=1: draws the latents of --samples; give --samples"),
        (["--samples=2", "--latent=zero"], "--latent=zero: has one answer"),
        (["--samples=-1"], "--samples=-1: must be at least 0"),
    ],
)
def test_bad_flags_of_answers(trained, tmp_path, capsys, words, message):
    arguments = [f"--run_dir={trained}", f"--input={tmp_path}", f"--output={tmp_path / 'out'}"]
    assert cli.main(["translate", *arguments, *words]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_run_of_another_method_has_one_answer(tmp_path):
    run = SimpleNamespace(directory=tmp_path, config=SimpleNamespace(method="cut"))
    for words, named in ({"samples": 2}, "--samples=2"), ({"latent": "zero"}, "--latent=zero"):
        asked = TranslateConfig(run_dir="run", input="x", output="y", **words)
        message = f"{named}: .* is a run of --method=cut, whose generators have one answer"
        with pytest.raises(UserError, match=message):
            translate._check_answers(asked, run)
        run.config.method = "augmented"
        translate._check_answers(asked, run)
        run.config.method = "cut"


def test_networks_that_do_not_fit(model):
    network = ResnetGenerator(blocks=1, base_filters=4, norm="none")
    with pytest.raises(UserError, match="norm 'none': a latent enters by instance norms"):
        LatentGenerator(network=network)
    others = {**model.networks, "enc_a": LatentEncoder(latent_size=4, base_filters=1)}
    with pytest.raises(UserError, match=r"enc_a, disc_za: of latents of 4 and 3 numbers, but .* 3"):
        AugmentedCycleGAN(**others)


def test_the_row_of_translations_is_that_of_answers():
    """Of a stand-in for the pictures of an evaluation: answers that differ by 10 levels."""
    picture = np.full((4, 4, 3), 119, np.uint8)
    levels = [tf.constant(level / 127.5) for level in (-10.0, 0.0, 10.0, 20.0)]
    moved = [lambda seen, level=level: seen + level.numpy() for level in levels]
    asked = {}

    def rows(*requests):
        asked["names"] = requests[0][2]
        made = [request[0].function(scored, [picture]) for request in requests[:2]]
        return [list(each) for each in made] + [[picture, 255 - picture]]

    scored = SimpleNamespace(
        answers=moved,
        of_measurements=False,
        inputs={"x": picture},
        target_train=[picture] * 2,
        rows=rows,
        cycle=(lambda seen: np.zeros_like(seen), None),
        tools=SimpleNamespace(lpips=""),
    )
    table = diversity.table(scored)
    assert asked["names"] == ("x",) and [column.name for column in table.columns] == [
        "Lab distance"
    ]
    assert table.rows[diversity.DISTURBED]["Lab distance"].value == 0
    assert 5 < table.rows[OWN]["Lab distance"].value < 9, "16.7 levels of about 0.4 units"
    scored.answers = []
    assert diversity.table(scored) == ""
