"""Label maps as classes: the coding, the losses and the samples by hand, a generator with a channel
for each class wherever generators are used, and some labelled pictures, as a user goes.
"""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data_prep import folders
from tests.conftest import eagerly
from tests.test_known_pairs import gradients_of_step
from tests.test_own_labels import COLORS, CSV, TABLE, drawn, photo, save
from tests.test_training import checkpoint, without_timing
from tfcyclegan import cli, flags
from tfcyclegan.config import Size, TrainConfig
from tfcyclegan.data import images
from tfcyclegan.data.domains import Split, open_domains
from tfcyclegan.data.label_coding import LabelCoding
from tfcyclegan.data.labels import CITYSCAPES, ClassTable, LabelClass
from tfcyclegan.errors import UserError
from tfcyclegan.evaluation.class_ids import read_ids
from tfcyclegan.evaluation.spool import Spool
from tfcyclegan.exports import onnx_graph
from tfcyclegan.exports.runtimes import ONNX, open_program
from tfcyclegan.losses import class_error
from tfcyclegan.methods.cyclegan import CycleGAN
from tfcyclegan.methods.label_samples import sampled
from tfcyclegan.networks import Discriminator, LabelGenerator, make_generator
from tfcyclegan.optimization.adam import Adam
from tfcyclegan.training.batches import open_batches, with_channels
from tfcyclegan.training.checkpoints import load_generator
from tfcyclegan.training.runs import read_run
from tfcyclegan.translation.tiling import Source, Tiler

CODING = LabelCoding.of(TABLE)  # water, land, roof, and void for all else
COUNTED = {entry.color for entry in TABLE.train_classes}


def network(direction: str, dtype: str = "float64", **more) -> LabelGenerator:
    """From photos to label maps ("ab") or back."""
    ends = {"in_channels": 3, "out_channels": 3}
    ends["out_channels" if direction == "ab" else "in_channels"] = CODING.count
    size = {"base_filters": 4, "init_gain": 0.3, "seed": 1, "dtype": dtype}
    side = {"target" if direction == "ab" else "source": CODING.to_json()}
    return LabelGenerator(network=make_generator("resnet_1blocks", **ends, **size), **side, **more)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, shape)


def label_map(side: int) -> np.ndarray:
    """[1, side, side, 3] in [-1, 1], with some void."""
    ids = np.random.default_rng(1).choice([10, 20, 30, 0], (1, side, side))
    return images.to_float(TABLE.colorize(ids.astype(np.uint8)))


# --- the mathematics
# -------------------------------------------------------------------------------------------


def test_colours_become_channels_and_back():
    assert (CODING.classes, CODING.count) == (3, 4)
    pictures = images.to_float(COLORS[np.newaxis])
    channels = tf.argmax(CODING.encode(pictures), axis=-1).numpy()
    assert channels.tolist() == [[[0, 1, 2], [3, 0, 2]]]
    assert tf.reduce_sum(CODING.encode(pictures)).numpy() == 6
    assert CODING.counted(pictures).numpy().tolist() == [[[True, True, True], [False, True, True]]]
    # 5700 and 12500 from roof, the nearest of all, though red is none of the table
    near = images.to_float(np.array([[[[250, 10, 10], [200, 0, 150]]]], np.uint8))
    assert tf.argmax(CODING.encode(near), axis=-1).numpy().tolist() == [[[2, 2]]]


def test_what_does_not_count_is_seen_and_never_given():
    scores = tf.constant([[[[0.0, 2.0, 1.0, 9.0], [1.0, 1.0, 0.0, 0.0]]]])
    made = images.to_uint8(CODING.decode(scores).numpy())
    assert made.tolist() == [[[[0, 128, 0], [0, 0, 255]]]], "land; of equal ones the first"


def test_the_table_of_cityscapes():
    coding = LabelCoding.of(CITYSCAPES)
    assert (coding.classes, coding.count) == (19, 20)
    for entry in CITYSCAPES.classes:
        color = images.to_float(np.array([[[entry.color]]], np.uint8))
        channel = tf.argmax(coding.encode(color), axis=-1).numpy().item()
        # those that do not count but are drawn as one that does cannot be told from it
        same = [one.train_id for one in CITYSCAPES.train_classes if one.color == entry.color]
        assert channel == (same[0] if same else 19), entry.name
    assert LabelCoding.from_json(json.loads(json.dumps(coding.to_json()))) == coding


def test_classes_of_one_colour_are_refused():
    classes = tuple(LabelClass(name, number, number, (1, 2, 3)) for number, name in enumerate("xy"))
    with pytest.raises(UserError, match="the classes x and y have the same colour"):
        LabelCoding.of(ClassTable(classes))


def test_the_cross_entropy_of_label_maps():
    logits = tf.math.log(tf.constant([[[[1.0, 3.0], [1.0, 3.0]]]]))
    classes = tf.constant([[[[1.0, 0.0], [0.0, 1.0]]]])
    assert float(class_error(logits, classes)) == pytest.approx((np.log(4) + np.log(4 / 3)) / 2)
    first = tf.constant([[[True, False]]])
    assert float(class_error(logits, classes, first)) == pytest.approx(np.log(4) / 2)


def test_straight_through_shows_the_class_and_passes_the_gradient_of_its_probability():
    logits = tf.math.log(tf.constant([[[[1.0, 3.0]]]]))
    for how, shown in (("straight_through", [0, 1]), ("softmax", [0.25, 0.75])):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            made = sampled(how, logits, lambda: pytest.fail("draws nothing"))
        np.testing.assert_allclose(made.numpy().ravel(), shown, atol=1e-7)
        if how == "straight_through":
            assert set(made.numpy().ravel()) == {0, 1}
        # of the sum with weights 1 and 0: p (1 - p) and -p q
        gradient = tape.gradient(made, logits, output_gradients=tf.constant([[[[1.0, 0.0]]]]))
        np.testing.assert_allclose(gradient.numpy().ravel(), [0.1875, -0.1875], rtol=1e-6)


def test_gumbel_draws_by_probability():
    shares = np.array([0.2, 0.5, 0.3])
    logits = tf.broadcast_to(tf.math.log(tf.constant(shares, tf.float32)), [1, 100, 200, 3])
    one, same, other = (
        sampled("gumbel", logits, lambda seed=seed: tf.constant([seed, 0])) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert np.any(one != other) and set(np.unique(one)) == {0, 1}
    deviation = np.sqrt(shares * (1 - shares) / 20_000)
    assert np.all(np.abs(np.mean(one, axis=(0, 1, 2)) - shares) < 4 * deviation)


def model(**settings) -> CycleGAN:
    size = {"base_filters": 4, "layers": 1, "dtype": "float64"}
    made = CycleGAN(
        network("ab"),
        network("ba"),
        Discriminator(**size, seed=3),
        Discriminator(**size, in_channels=CODING.count, seed=4),
        pool_size=0,
        lambda_identity=0,
        **settings,
    )
    made.compile(Adam(1e-3), Adam(1e-3))
    return made


def test_a_step_by_hand(monkeypatch):
    real_a, paired_a = tf.constant(noise(1, 16, 16, 3)), tf.constant(noise(1, 16, 16, 3)[:, ::-1])
    real_b = tf.constant(label_map(16))
    made = model(lambda_a=0.5, lambda_b=0.1, lambda_paired=2.0)
    values, _ = gradients_of_step(made, (real_a, real_b, paired_a, real_b), monkeypatch)
    to_labels, to_photo = made.gen_ab.inner(), made.gen_ba.inner()
    classes = tf.cast(CODING.encode(real_b), tf.float64)

    def cross_entropy(logits):
        return -tf.reduce_sum(classes * tf.nn.log_softmax(logits), axis=-1)

    fake_b = tf.one_hot(tf.argmax(to_labels(real_a), -1), CODING.count, dtype=tf.float64)
    fake_a = to_photo(classes)
    known = tf.cast(CODING.counted(real_b), tf.float64)
    by_hand = {
        "gan_ab": tf.square(made.disc_b(fake_b) - 1),
        "gan_ba": tf.square(made.disc_a(fake_a) - 1),
        "cycle_a": 0.5 * tf.abs(to_photo(fake_b) - real_a),
        "cycle_b": 0.1 * cross_entropy(to_labels(fake_a)),
        "paired_ab": 2 * cross_entropy(to_labels(paired_a)) * known,
        "paired_ba": 2 * tf.abs(to_photo(classes) - paired_a),
        "disc_b": (tf.square(made.disc_b(classes) - 1) + tf.square(made.disc_b(fake_b))) / 2,
    }
    assert 0.5 < float(tf.reduce_mean(known)) < 1
    for name, loss in by_hand.items():
        assert values[name] == pytest.approx(float(tf.reduce_mean(loss)), rel=1e-6), name


def test_known_pairs_alone_leave_the_discriminators_as_they_are():
    made = model(lambda_gan=0, lambda_a=0, lambda_b=0, lambda_paired=1.0)
    before = [weight.numpy() for weight in made.discriminator_variables]
    heads = [made.gen_ab.inner().head.kernel.numpy()]
    real_a, real_b = tf.constant(noise(1, 16, 16, 3)), tf.constant(label_map(16))
    values = made.train_step((real_a, real_b, real_a, real_b))
    assert float(values["paired_ab"]) > 0 == float(values["disc_b"]) == float(values["skipped"])
    for weight, old in zip(made.discriminator_variables, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), old)
    assert np.any(made.gen_ab.inner().head.kernel.numpy() != heads[0])


# --- the generator wherever generators are used
# -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["ab", "ba"])
def test_pictures_in_and_pictures_out(direction, tmp_path):
    generator = network(direction, "float32", name=f"gen_{direction}")
    batch = (noise(1, 32, 24, 3) if direction == "ab" else label_map(32)).astype(np.float32)
    expected = generator(batch).numpy()
    if direction == "ab":
        assert set(map(tuple, images.to_uint8(expected).reshape(-1, 3).tolist())) == COUNTED
    generator.save(tmp_path / "generator.keras")
    loaded = keras.models.load_model(tmp_path / "generator.keras")
    np.testing.assert_array_equal(loaded(batch).numpy(), expected)
    weight = generator.inner().stem.kernel  # the first layer's, one of which is no number
    weight.assign(np.where(np.arange(weight.shape[-1]) == 1, np.nan, weight.numpy()))
    assert np.isnan(generator(batch).numpy()).all(), "no class hides it"
    broken = open_program(onnx_graph.convert(generator).SerializeToString(), ONNX)
    assert np.isnan(broken(batch)).all()
    generator.set_weights(loaded.get_weights())
    for_phones = LabelGenerator.from_config({**generator.get_config(), "tflite_ops": True})
    assert for_phones.inner().settings["tflite_ops"]
    program = open_program(onnx_graph.convert(generator).SerializeToString(), ONNX)
    np.testing.assert_allclose(program(batch), expected, atol=1e-4)
    height, width = batch.shape[1:3]
    tiler, whole = Tiler(generator, tile=16), np.empty_like(expected[0])
    source = Source(height, width, 3, lambda at: batch[0, at.top : at.bottom, at.left : at.right])
    for at, part in tiler.parts(source, lambda at, values: values, tmp_path):
        whole[at.top : at.bottom, at.left : at.right] = part
    np.testing.assert_allclose(whole, expected[0], atol=1e-4)


# --- what is refused
# -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("--labels_b=onehot", "--lambda_identity=0.5: identity losses .* set --lambda_identity=0"),
        ("--method=cut --labels_b=onehot", "--labels_b=onehot: .*--method=cyclegan"),
        ("--method=augmented --labels_b=onehot", "--method=cyclegan, not augmented; leave it out"),
        ("--labels_b=onehot --input_skip", "--input_skip: adds pictures, and --labels_b=onehot"),
        ("--labels_a=onehot --channels_a=1 --channels_b=1", "--channels_a=1: --labels_a=onehot"),
        ("--labels_b=onehot --generator=graph.json", "goes with ResNet and U-Net generators"),
        ("--labels_b=onehot --segmenter=runs/s", "--segmenter=runs/s: segments pictures"),
        ("--labels_b=onehot --diffaugment=colour", "have no colour; leave colour out"),
        ("--labelled=0.1", "--labelled=0.1: needs --labels_b=onehot"),
        ("--labels_b=onehot --labelled=0.1 --pairs=names", "--pairs=names: --labelled=0.1 says"),
        ("--labels_b=onehot --labelled=0.1 --decay_load_size=crop", "does not go with --labelled"),
    ],
)
def test_options_that_make_no_sense(given, message):
    with pytest.raises(UserError, match=message):
        flags.parse(TrainConfig, ["--data_dir=d", "--run_dir=r", *given.split()])


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Photos with label files in A and label maps of other places in B, prepared."""
    home = tmp_path_factory.mktemp("home")
    (home / "c.csv").write_text(CSV)
    for split, seeds in (("train", range(4)), ("test", range(5, 7))):
        for seed in seeds:
            save(home / f"pictures/{split}A/{seed}.png", photo(seed))
            save(home / f"pictures/{split}A_labels/{seed}.png", drawn(seed))
            save(home / f"pictures/{split}B/{seed}.png", TABLE.colorize(drawn(seed + 10)))
    place = {"input_dir": str(home / "pictures"), "output_dir": str(home / "data")}
    folders.run(folders.Config(**place, classes=str(home / "c.csv")))
    return home


TINY = {
    "base_filters": 4,
    "residual_blocks": 1,
    "discriminator_filters": 4,
    "load_size": Size(40, 40),
    "crop_size": Size(32, 32),
    "lambda_identity": 0.0,
    "precision": "float32",
    "max_steps": 3,
    "sample_images": 1,
    "labels_b": "onehot",
}


def options(home: Path, run_dir: Path, **changes) -> list[str]:
    given = {"data_dir": home / "data", "run_dir": run_dir, **TINY, **changes}
    return [f"--{name}={value}" for name, value in given.items()]


def test_data_that_are_no_label_maps(home, tmp_path, capsys):
    wrong = options(home, tmp_path / "run", labels_a="onehot")
    assert cli.main(["train", *wrong]) == 2
    assert "--labels_a=onehot: " in (told := capsys.readouterr().err)
    assert "split trainA is not label maps; prepare it by" in told and told.count("\n") == 1
    assert not (tmp_path / "run").exists()


# --- some labelled pictures
# -------------------------------------------------------------------------------------------


def batches_of(home: Path, given: str, **changes):
    domains = open_domains(str(home / "data"))
    settings = {"data_dir": str(home / "data"), "run_dir": "r", **TINY, **changes}
    config = TrainConfig(**settings, labelled=given)
    return open_batches(with_channels(config, domains), domains)


def test_the_labelled_come_with_their_own_labels_and_the_others_without(home):
    whole = {"crop_size": Size(40, 40), "flip": False}
    batches, pairs = batches_of(home, "0.5", **whole)
    labelled = sorted(set(pairs.indices[:, 0].tolist()))
    assert len(labelled) == 2 and pairs.told.startswith("labelled: 2 of 4 pictures of domain a")
    photos = [photo(seed) for seed in range(4)]
    seen = {"beside": set(), "unpaired": set()}
    for step in range(12):
        picture, colors = (batch[0] for batch in batches.beside.batch(step))
        number = next(n for n, one in enumerate(photos) if (one == picture).all())
        seen["beside"].add(number)
        np.testing.assert_array_equal(colors, TABLE.colorize(drawn(number)))
        unpaired = batches.batch(step)[0][0]
        seen["unpaired"].add(next(n for n, one in enumerate(photos) if (one == unpaired).all()))
    assert seen == {"beside": set(labelled), "unpaired": set(range(4)) - set(labelled)}


def test_the_label_maps_of_the_labelled_alone(home):
    whole = {"crop_size": Size(40, 40), "flip": False, "unpaired_labels": "labelled"}
    batches, pairs = batches_of(home, "0.5", **whole)
    seen = {batches.batch(step)[1].tobytes() for step in range(12)}
    assert seen == {TABLE.colorize(drawn(number)).tobytes() for number in pairs.indices[:, 0]}


def test_shares_and_names(home, tmp_path):
    smaller, larger, all_of = (batches_of(home, share)[1] for share in ("25%", "0.75", "1"))
    assert [len(pairs.indices) for pairs in (smaller, larger, all_of)] == [1, 3, 4]
    assert set(smaller.indices[:, 0]) < set(larger.indices[:, 0])
    (tmp_path / "names.txt").write_text("3\n\n1\n")
    assert batches_of(home, str(tmp_path / "names.txt"))[1].indices.tolist() == [[1, 1], [3, 3]]
    for text, told in (
        ("3\n9\n", r"1 of its names are not in split trainA: 9"),
        ("", "no picture"),
    ):
        (tmp_path / "names.txt").write_text(text)
        with pytest.raises(UserError, match=told):
            batches_of(home, str(tmp_path / "names.txt"))
    for given, told in (("1.5", "a share is above 0"), ("none.txt", "cannot be read")):
        with pytest.raises(UserError, match=f"--labelled={given}: {told}"):
            batches_of(home, given)


def test_few_labels_beside_many_pictures(home, tmp_path, capsys):
    root = tmp_path / "pictures"
    shutil.copytree(home / "pictures", root)
    for seed in (0, 2):
        (root / f"trainA_labels/{seed}.png").unlink()
    place = {"input_dir": str(root), "output_dir": str(tmp_path / "data")}
    few = {**place, "classes": str(home / "c.csv")}
    with pytest.raises(UserError, match=r"2 of 4 .* and --missing_labels=ignored keeps them$"):
        folders.run(folders.Config(**few))
    folders.run(folders.Config(**few, missing_labels="ignored"))
    assert "labels of 2 of 4 pictures of trainA" in capsys.readouterr().out
    made = json.loads((tmp_path / "data/manifest.json").read_text())
    assert made["conversions"]["picture without a label, none of its pixels counts"] == 2

    batches, pairs = batches_of(tmp_path, "1", crop_size=Size(40, 40), flip=False)
    assert pairs.indices.tolist() == [[1, 1], [3, 3]]
    assert (
        "--labelled=1: 2 of 4 pictures have no label with a pixel that counts"
        in capsys.readouterr().out
    )
    unpaired = {batches.batch(step)[0][0].tobytes() for step in range(12)}
    assert unpaired == {photo(seed).tobytes() for seed in (0, 2)}
    source = open_domains(str(tmp_path / "data")).a
    scored = read_ids(Split(source, "trainA"), TABLE, Spool(tmp_path))
    assert list(scored) == ["1", "3"]
    np.testing.assert_array_equal(scored["3"], drawn(3))
    assert "2 labels of 4 without a pixel that counts" in capsys.readouterr().out
    (tmp_path / "names.txt").write_text("0\n")
    with pytest.raises(UserError, match="none of the 1 pictures has a label with a pixel"):
        batches_of(tmp_path, str(tmp_path / "names.txt"))

    for path in (root / "trainA_labels").iterdir():
        path.rename(path.with_stem(f"other_{path.stem}"))
    with pytest.raises(UserError, match=r"4 of 4 .* have no label .*; rename them$"):
        folders.run(folders.Config(**few, missing_labels="ignored"))


SEMI_SUPERVISED = {
    "labelled": 0.5,
    "lambda_a": 0.5,
    "lambda_b": 0.1,
    "label_samples": "gumbel",
    "checkpoint_every_steps": 2,
}


@pytest.fixture(scope="module")
def run(home) -> Path:
    with eagerly():
        assert cli.main(["train", *options(home, home / "run", **SEMI_SUPERVISED)]) == 0
    return home / "run"


def test_a_run_that_goes_on_ends_as_an_undisturbed_one(run, home, tmp_path, capsys):
    first = options(home, tmp_path / "run", **SEMI_SUPERVISED | {"max_steps": 2})
    with eagerly():
        assert cli.main(["train", *first]) == 0
        assert cli.main(["train", *first, "--max_steps=3"]) == 0
    straight, continued = checkpoint(run), checkpoint(tmp_path / "run")
    assert straight.keys() == continued.keys()
    for name, value in straight.items():
        np.testing.assert_array_equal(continued[name], value, err_msg=name)
    assert without_timing(run)[-1]["step"] == 3
    capsys.readouterr()
    assert cli.main(["train", *first, "--max_steps=4", "--labelled=0.25"]) == 2
    assert "the pairs of --labelled are not those" in capsys.readouterr().err


def test_from_the_run_to_the_scores(run, home, tmp_path):
    pictures = [f"--input={home}/pictures/testA", f"--output={tmp_path}/out"]
    assert cli.main(["translate", f"--run_dir={run}", *pictures]) == 0
    for seed in (5, 6):
        made = np.asarray(Image.open(tmp_path / f"out/{seed}.png"))
        assert made.shape == (40, 40, 3) and set(map(tuple, made.reshape(-1, 3))) <= COUNTED
    with eagerly():
        scores = ["evaluate", f"--run_dir={run}", "--features=none", f"--output={tmp_path}/scores"]
        assert cli.main(scores) == 0
    (direction,) = json.loads((tmp_path / "scores/metrics.json").read_text())["directions"]
    table = next(one for one in direction["tables"] if one["title"].startswith("Labels:"))
    assert 0 <= table["rows"]["translated"]["class IoU"]["value"] <= 1


def test_an_export_gives_what_the_run_gives(run, tmp_path):
    command = ["export", f"--run_dir={run}", f"--output={tmp_path}/model", "--tflite_size=32"]
    assert cli.main([*command, "--formats=saved_model,onnx"]) == 0
    metadata = json.loads((tmp_path / "model/1/metadata.json").read_text())
    assert metadata["label_maps"]["onehot"] and metadata["interface"]["channels_out"] == 3
    batch = noise(1, 36, 32, 3).astype(np.float32)
    expected = load_generator(read_run(run), "latest", "ab")(batch).numpy()
    served = tf.saved_model.load(str(tmp_path / "model/1")).signatures["tensor"]
    np.testing.assert_allclose(served(tf.constant(batch))["images"], expected, atol=1e-6)
