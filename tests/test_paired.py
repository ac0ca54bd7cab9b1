"""Batches of pairs, and what is drawn for pictures: windows, turns, colours, sizes of the decaying
epochs. Every picture says which one it is and where its pixels were.
"""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from data_prep import arrays
from tests.test_unpaired import CROP, describe, picture
from tfcyclegan.config import Size, TrainConfig
from tfcyclegan.data import augmentation, pairs
from tfcyclegan.data.batches import Decaying
from tfcyclegan.data.paired import PairedBatches
from tfcyclegan.data.source import open_source
from tfcyclegan.data.unpaired import UnpairedBatches
from tfcyclegan.errors import UserError

COUNT = 7
PAIRS = np.array([[0, 3], [1, 0], [2, 2], [4, 6], [5, 5], [6, 1]])


class Pixels(list):
    """Pictures in memory, as batches take them."""

    channels = 3
    values = None
    readers = 1

    def __init__(self, pictures, folder: str = "trainA"):
        super().__init__(pictures)
        self.sizes = self.original_sizes = np.array([each.shape[:2] for each in pictures])
        self.channels = pictures[0].shape[-1]
        self.folder = folder

    @property
    def common_size(self) -> Size | None:
        return Size(*self.sizes[0].tolist()) if (self.sizes == self.sizes[0]).all() else None

    def names(self) -> list[str]:
        return [f"{self.folder}/n{index}.png" for index in range(len(self))]


A = Pixels([picture(index) for index in range(COUNT)])
B = Pixels([picture(100 + index) for index in range(COUNT)], "trainB")


def batches(kind=PairedBatches, a=A, b=B, **settings):
    usual = {"crop_size": CROP, "flip": True, "batch_size": 2, "seed": 5}
    more = {"pairs": PAIRS} if kind is PairedBatches else {}
    return kind(a, b, **{**usual, **more, **settings})


def test_both_pictures_of_a_pair_have_one_window_and_one_flip():
    made, places = batches(), set()
    partners = dict(PAIRS.tolist())
    for step in range(60):
        for one, other in zip(*made.batch(step), strict=True):
            number, *place = describe(one)
            assert describe(other) == (100 + partners[number], *place)
            places.add(tuple(place))
    assert len({place[:2] for place in places}) > 20 and {place[2] for place in places} == {0, 1}


def test_an_epoch_is_every_pair_once_in_an_order_of_its_own():
    made = batches(batch_size=1)
    assert made.epoch_images == len(PAIRS)
    orders = [
        [describe(made.batch(epoch * 6 + position)[0][0])[0] for position in range(6)]
        for epoch in range(4)
    ]
    assert all(sorted(order) == PAIRS[:, 0].tolist() for order in orders)
    assert len(set(map(tuple, orders))) == 4


def test_pairs_follow_from_seed_and_step_alone_however_they_are_batched():
    single, forward = batches(batch_size=1), [batches().batch(step) for step in range(5)]
    for step in (4, 0, 3):
        for domain in range(2):
            expected = [single.batch(2 * step + part)[domain] for part in range(2)]
            np.testing.assert_array_equal(forward[step][domain], np.concatenate(expected))
            halves = [batches().batch(step, part, 2)[domain] for part in range(2)]
            np.testing.assert_array_equal(np.concatenate(halves), np.concatenate(expected))
    assert not np.array_equal(batches(seed=6).batch(0)[0], forward[0][0])


def test_pairs_beside_unpaired_batches_change_nothing_in_these():
    beside = batches(pairs=PAIRS[:3])
    both = batches(UnpairedBatches, beside=beside)
    made = list(both.dataset(3, 6).as_numpy_iterator())
    for step, batch in enumerate(made, start=3):
        expected = *batches(UnpairedBatches).batch(step), *beside.batch(step)
        assert len(batch) == 4
        for found, pixels in zip(batch, expected, strict=True):
            np.testing.assert_allclose(found, pixels / 127.5 - 1, atol=1e-6)


def test_an_epoch_without_its_remainder():
    made = batches(UnpairedBatches, batch_size=3, drop_remainder=True)
    whole = batches(UnpairedBatches, batch_size=1)
    assert (made.epoch_images, made.remainder, whole.remainder) == (6, 1, 0)
    for epoch in range(4):
        shown = [made.indices(epoch * 6 + position)[0] for position in range(6)]
        expected = [whole.indices(epoch * 7 + position)[0] for position in range(6)]
        assert shown == expected and len(set(shown)) == 6
    # an epoch is as many pictures less in all that counts epochs
    length = TrainConfig(data_dir="d", run_dir="r", epochs=2, batch_size=3).length(6)
    assert length.steps == 4
    with pytest.raises(
        UserError, match=r"--drop_remainder: an epoch of 7 images has no whole batch of 8"
    ):
        batches(UnpairedBatches, batch_size=8, drop_remainder=True)


@pytest.mark.parametrize("kind", [PairedBatches, UnpairedBatches])
def test_decaying_epochs_see_whole_pictures_of_the_size_of_the_crop(kind):
    small = [Pixels([p[: CROP.height, : CROP.width] for p in pixels]) for pixels in (A, B)]
    plain, made = batches(kind), batches(kind, decaying=Decaying(4, *small))
    for step in range(8):
        for one, other in zip(made.batch(step), plain.batch(step), strict=True):
            if step < 4:
                np.testing.assert_array_equal(one, other)
            else:
                told = [describe(window) for window in one]
                assert all(place[1:3] == (0, 0) for place in told)
                # the order and the flips go on as they would have
                expected = [describe(window) for window in other]
                assert [place[::3] for place in told] == [place[::3] for place in expected]


def test_quarter_turns_are_drawn_after_the_window_and_equally_often():
    square = {"crop_size": Size(6, 6), "batch_size": 1}
    plain, made = batches(**square), batches(**square, rotations=True)
    counts = [0] * 4
    for step in range(200):
        for turns in range(4):
            if np.array_equal(made.batch(step)[0][0], np.rot90(plain.batch(step)[0][0], turns)):
                expected = np.rot90(plain.batch(step)[1][0], turns)
                np.testing.assert_array_equal(made.batch(step)[1][0], expected)
                counts[turns] += 1
    assert sum(counts) == 200 and min(counts) > 30


def flat(level: int, channels: int = 3) -> Pixels:
    return Pixels([np.full((8, 8, channels), level, np.uint8)] * COUNT)


def test_a_pair_has_one_jitter_and_unpaired_pictures_each_their_own():
    options = {"crop_size": None, "colour_jitter": (0.5, 0.5), "batch_size": 1}
    paired = batches(a=flat(120, 1), b=flat(60), **options)
    unpaired = batches(UnpairedBatches, a=flat(120, 1), b=flat(60), **options)
    ratios = {"paired": [], "unpaired": []}
    levels = []
    for step in range(40):
        for name, made in (("paired", paired), ("unpaired", unpaired)):
            one, other = (float(batch.mean()) for batch in made.batch(step))
            ratios[name].append(one / other)
        levels.append(one)
    assert min(levels) < 80 and max(levels) > 160, "1 - 0.5 to 1 + 0.5"
    assert np.allclose(ratios["paired"], 2, atol=0.05)
    assert np.std(ratios["unpaired"]) > 0.3
    kept = batches(
        UnpairedBatches, a=flat(120), b=flat(60), **options | {"colour_jitter": (0.5, 0)}
    )
    assert {float(kept.batch(step)[1].mean()) for step in range(9)} == {60.0}


@pytest.mark.parametrize("factor", [0.6, 1.4])
@pytest.mark.parametrize("place", range(3))
def test_colours_are_scaled_as_by_pillow(place, factor):
    pixels = np.random.default_rng(0).integers(40, 180, (16, 16, 3), np.uint8)
    factors = [1.0] * 3
    factors[place] = factor
    enhance = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)[place]
    expected = np.asarray(enhance(Image.fromarray(pixels)).enhance(factor)).astype(int)
    # Pillow truncates, and takes the mean gray and each pixel's gray as whole numbers
    assert np.abs(augmentation.jittered(pixels, *factors) - expected).max() <= 1
    gray = augmentation.jittered(pixels[..., :1], 1, 1, 0)
    np.testing.assert_array_equal(gray, pixels[..., :1])


# --- which pairs are known
# --------------------------------------------------------------------------------------------------


def known(given: str = "", a: Pixels = A, b: Pixels = B, share: float = 1, **settings):
    usual = {"aligned": False, "splits": ("trainA", "trainB"), "seed": 1}
    return pairs.known_pairs(given, pixels=(a, b), share=share, **usual | settings)


def csv(tmp_path: Path, *lines: str) -> str:
    path = tmp_path / "pairs.csv"
    path.write_text("\n".join(["a,b", *lines]))
    return str(path)


def test_pairs_of_a_file_and_of_equal_names(tmp_path):
    given = csv(tmp_path, "n4,n0", "n1,n6")
    found = known(given)
    assert found.indices.tolist() == [[1, 6], [4, 0]]
    assert found.told == f"pairs: 2, by --pairs={given}"
    for equal in (known("names"), known(aligned=True)):
        assert equal.indices.tolist() == [[index, index] for index in range(COUNT)]
    assert known(aligned=True).told == "pairs: 7, by aligned data"
    assert known() is None


def test_a_share_of_the_pairs_follows_from_the_seed_and_grows():
    half, more = known("names", share=0.4), known("names", share=0.8)
    assert half.told == "pairs: 3 of 7, by --pairs=names and --paired_share=0.4, drawn with --seed"
    chosen = [{pair[0] for pair in found.indices.tolist()} for found in (half, more)]
    assert len(chosen[0]) == 3 and chosen[0] < chosen[1] and len(chosen[1]) == 6
    assert known("names", share=0.4).indices.tolist() == half.indices.tolist()
    others = {str(known("names", share=0.4, seed=seed).indices) for seed in range(9)}
    assert len(others) > 3
    assert len(known("names", share=0.01).indices) == 1


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        (["n0,n1", "x,n2"], "1 names of the column a are not in split trainA: x"),
        (["n0,n1", "n2,y"], "1 names of the column b are not in split trainB: y"),
        (["n0,n1", "n0,n2"], "1 names occur in several lines of the column a, such as n0"),
        (["n0,n1", "n3,n1"], "1 names occur in several lines of the column b, such as n1"),
        (["n0"], "needs the header line a,b and a line for each pair"),
        (["n0,n0", "n1,n5"], r"unequal sizes, such as trainA/n1.png \(10x14\) and trainB/n5.png "),
    ],
)
def test_what_are_no_pairs_is_refused_in_one_line(tmp_path, lines, line):
    odd = Pixels([*B[:5], picture(0, 12, 14), B[6]], "trainB")
    with pytest.raises(UserError, match=line) as caught:
        known(csv(tmp_path, *lines), b=odd)
    assert "\n" not in str(caught.value) and "--pairs=" in str(caught.value)


def test_pairs_of_unequal_sizes_are_refused_even_where_resizing_makes_them_equal():
    squeezed = Pixels(list(B), "trainB")
    squeezed.original_sizes = np.add(squeezed.sizes, [0, 1])
    with pytest.raises(UserError, match=r"pictures of 7 pairs have unequal sizes"):
        known("names", b=squeezed)


def test_names_that_stand_for_several_pictures_or_none_are_refused(tmp_path):
    twice = Pixels(list(A))
    twice.names = lambda: ["trainA/n0.png", "trainA/n0.jpg", *A.names()[2:]]
    with pytest.raises(UserError, match="several pictures are called n0; rename them"):
        known("names", a=twice)
    assert known(csv(tmp_path, "n5,n0"), a=twice).indices.tolist() == [[5, 0]]
    elsewhere = Pixels(list(A), "other")
    with pytest.raises(UserError, match="no names of trainA and trainB are equal"):
        known("names", a=elsewhere)


def test_pairs_of_measurements_have_equal_names_whatever_their_endings(tmp_path):
    for folder, save in (("trainA", np.save), ("trainB", np.savez)):
        (tmp_path / folder).mkdir()
        for name in ("s1", "s2", "s3"):
            drawn = np.random.default_rng(len(list(tmp_path.rglob("*"))))
            save(tmp_path / folder / name, drawn.random((2, 8, 9), np.float32))
    out = tmp_path / "out"
    arrays.run(
        arrays.Config(input_dir=str(tmp_path), output_dir=str(out), aligned=True, axes="NHW")
    )
    source = open_source(out)
    a, b = (Pixels([A[0]] * 6, f"train{letter}") for letter in "AB")
    for pixels in (a, b):
        pixels.values = source.values[pixels.folder[-1]]
        stored = [name for name, _ in source.arrays(pixels.folder)]
        pixels.names = lambda stored=stored: stored
    found = known(aligned=True, a=a, b=b)
    assert found.indices.tolist() == [[index, index] for index in range(6)]
    given = csv(tmp_path, "s2.npy,s3.npz", "s1,s1")
    assert known(given, a=a, b=b).indices.tolist() == [[0, 0], [1, 1], [2, 4], [3, 5]]
    b.names = lambda: ["trainB/s0_0001.npz", *stored[1:]]
    told = known(aligned=True, a=a, b=b).told
    assert told == "pairs: 5, by aligned data; 1 of trainA and 1 of trainB have no partner"


def test_pairs_are_known_by_their_content(tmp_path):
    one, same = csv(tmp_path, "n0,n1"), tmp_path / "same.csv"
    same.write_bytes(Path(one).read_bytes())
    assert pairs.pairs_identity(one) == pairs.pairs_identity(str(same))
    assert pairs.pairs_identity("names") == "names" and pairs.pairs_identity("") == ""
    with pytest.raises(UserError, match=r"--pairs=nowhere.csv: cannot be read"):
        pairs.pairs_identity("nowhere.csv")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"rotations": True, "preprocess": "none"}, "--rotations: .* not --preprocess=none"),
        ({"rotations": True, "crop_size": Size(64, 128)}, "--rotations: .* --crop_size=64x128"),
        (
            {"decay_load_size": "crop", "preprocess": "crop"},
            "--decay_load_size=crop: requires .* not crop",
        ),
        ({"diffaugment": "colour,blur"}, "unknown choice 'blur'; valid are colour, translation,"),
        (
            {"diffaugment": "cutout,cutout"},
            "--diffaugment=cutout,cutout: names an augmentation twice",
        ),
        ({"paired_share": 0.0}, "--paired_share=0.0: must be greater than 0"),
    ],
)
def test_options_that_do_not_go_together(changes, line):
    with pytest.raises(UserError, match=line):
        TrainConfig(data_dir="d", run_dir="r", **changes)
