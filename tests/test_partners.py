"""Which pictures are pairs: what the user says, or a guess that the pictures must bear out."""

import dataclasses
import json

import numpy as np
import pytest

from tests.street_set import rendered, street_set
from tfcyclegan import cli
from tfcyclegan.data import images, labels
from tfcyclegan.data.pairs import of_arrays, read_pairs
from tfcyclegan.data.source import open_source
from tfcyclegan.errors import UserError
from tfcyclegan.measures import paired
from tfcyclegan.measures import partners as pairing
from tfcyclegan.measures.colour import inversion
from tfcyclegan.measures.evaluation_set import OWN
from tfcyclegan.measures.findings import BAD, SUSPICIOUS
from tfcyclegan.measures.partners import Partners, find_partners

COUNT = 12
GAME, PHOTO = ([rendered(number, domain) for number in range(COUNT)] for domain in "ab")
LABELS = [labels.colorize(rendered(number, "ids")) for number in range(COUNT)]
NIGHT = [picture // 6 for picture in PHOTO]
NEGATIVE = [255 - picture for picture in PHOTO]
GRAY = [
    images.to_array(images.with_channels(images.Image.fromarray(picture), 1)) for picture in PHOTO
]
VIEWS = {"photo": PHOTO, "labels": LABELS, "night": NIGHT, "negative": NEGATIVE, "gray": GRAY}


@pytest.mark.parametrize("view", VIEWS)
def test_views_of_one_scene_are_pairs_and_of_others_are_none(view):
    found = pairing.permutation_test(GAME, VIEWS[view])
    assert found.holds and found.p < 0.001 and found.nearer > 0.9, found
    for moved in (1, 2, 5):
        strangers = VIEWS[view][moved:] + VIEWS[view][:moved]
        found = pairing.permutation_test(GAME, strangers)
        assert not found.holds and 0.2 < found.nearer < 0.8, found


def test_tiles_and_their_maps_are_pairs(tiles):
    tile, of_map = (
        [
            images.to_array(images.decode(one, 3))
            for _, one in open_source(tiles).pictures(f"test{d}")
        ]
        for d in "AB"
    )
    assert pairing.permutation_test(tile, of_map).holds
    assert not pairing.permutation_test(tile, of_map[::-1]).holds


def test_the_share_of_permutations():
    """Of six pictures that are like their partners alone, one order of 720 is as good."""
    generator = np.random.default_rng(0)
    pictures = [
        generator.integers(0, 256, (32, 32, 1), dtype=np.uint8) for _ in range(pairing.LEAST)
    ]
    likeness = pairing.likenesses(pictures, pictures)
    np.testing.assert_allclose(
        np.diag(likeness), 3 / 5, atol=1e-3, err_msg="of five maps, gray has three"
    )
    found = pairing.permutation_test(pictures, pictures)
    assert found.count == 6 and found.nearer == 1 and 0.5 / 720 < found.p < 2 / 720
    flat = [np.full((16, 16, 3), 90, np.uint8)] * 6
    assert pairing.permutation_test(flat, flat).p == 1, "what tells nothing is no pair"


def named(pictures, names=None):
    return dict(
        zip(names or [f"{index:04d}" for index in range(len(pictures))], pictures, strict=True)
    )


def test_equal_names_are_a_guess():
    inputs, photos = named(GAME), named(PHOTO)
    found = find_partners(inputs, photos, "auto", "ab", "test")
    assert found.names == {name: name for name in inputs} and found.sure and found.basis == "guess"
    assert (
        "guessed from equal names, and the pictures confirm it (n = 12, 9999 permutations, p = "
        "0.0001, seed 0" in found.told
    )
    assert "--pairs=none" in found.told and found.to_json()["test"]["holds"] is True


def test_unpaired_pictures_numbered_alike_have_no_truth():
    inputs, photos = named(GAME), named(PHOTO[3:] + PHOTO[:3])
    found = find_partners(inputs, photos, "auto", "ab", "test")
    assert (
        not found.names
        and "not more similar than random pairs (n = 12" in found.told
        and "--pairs=names" in found.told
    )
    assert found.to_json() | {"told": "", "test": ""} == {
        "basis": "guess",
        "count": 0,
        "in_verdicts": False,
        "told": "",
        "test": "",
    }
    said = find_partners(inputs, photos, "names", "ab", "test")
    assert (
        len(said.names) == COUNT
        and said.sure
        and "given by --pairs, but the pictures are not more similar" in said.told
    )
    assert not find_partners(inputs, photos, "none", "ab", "test").names


def test_volumes_are_pairs_plane_by_plane():
    t1, t2 = (
        [f"s{n}/{name}_{plane:04d}.nii.gz" for n in "12" for plane in (1, 2)]
        for name in ("t1", "t2")
    )
    planes = {f"s1/t1_{plane:04d}.nii.gz": f"s1/t2_{plane:04d}.nii.gz" for plane in (1, 2)}
    for pair in ({"s1/t1": "s1/t2"}, {"s1/t1.nii.gz": "s1/t2"}, planes):
        assert of_arrays(pair, t1, t2) == planes
    assert of_arrays({"s1/t1_0002": "s2/t2_0001"}, t1, t2) == {
        "s1/t1_0002.nii.gz": "s2/t2_0001.nii.gz"
    }
    assert of_arrays({"s1/t1": "s3/t2"}, t1, t2) == {"s1/t1": "s3/t2"}
    tiles = [f"a_y{top:04d}_x0000.tif" for top in (0, 64)]
    assert of_arrays({"a": "a"}, tiles, tiles) == dict(zip(tiles, tiles, strict=True))
    with pytest.raises(UserError, match="s1/t1 has 2 planes or windows and s1/t2 1"):
        of_arrays({"s1/t1": "s1/t2"}, t1, t2[1:])


def test_of_few_pictures_nothing_is_known():
    found = find_partners(named(GAME[:5]), named(PHOTO[:5]), "auto", "ab", "test")
    assert len(found.names) == 5 and not found.sure and found.test is None
    assert "n = 5 is too few to test" in found.told and "no verdict relies on them" in found.told
    assert find_partners(named(GAME[:5]), named(PHOTO[:5]), "names", "ab", "test").sure
    known = find_partners(named(GAME[:5]), named(PHOTO[:5]), "auto", "ab", "test", aligned=True)
    assert known.sure and known.basis == "aligned" and len(known.names) == 5
    assert known.told.startswith("pairs: declared by the aligned data set; n = 5")


def test_a_file_of_pairs_and_names_that_differ(tmp_path):
    inputs, photos = named(GAME), named(PHOTO, [f"photo{index}" for index in range(COUNT)])
    assert (
        "names of the two domains' test pictures differ; give --pairs"
        in find_partners(inputs, photos, "auto", "ab", "test").told
    )
    with pytest.raises(UserError, match="the two domains' test pictures have no names in common"):
        find_partners(inputs, photos, "names", "ab", "test")
    path = tmp_path / "pairs.csv"
    path.write_text(
        "\ufeffa,b\n" + "".join(f"{index:04d},photo{index}\n" for index in range(8)),
        encoding="utf-8",
    )
    forward, back = (
        find_partners(*sides, read_pairs(path), direction, "test")
        for sides, direction in (((inputs, photos), "ab"), ((photos, inputs), "ba"))
    )
    assert forward.names["0003"] == "photo3" and back.names["photo3"] == "0003"
    assert "given by --pairs, 8 of 12 pictures, and the pictures confirm it" in forward.told
    path.write_text("a,b\n0001,photo1\n0001,photo2\n")
    with pytest.raises(
        UserError, match="1 names occur in several lines of the column a, such as 0001"
    ):
        read_pairs(path)
    some = find_partners(
        inputs,
        named(PHOTO, ["0000", *(f"x{index}" for index in range(1, COUNT))]),
        "auto",
        "ab",
        "test",
    )
    assert not some.names and "1 of 12 are equal; --pairs=names uses those" in some.told


def test_pairs_that_nobody_knows_decide_nothing():
    scored = street_set(lambda _, picture, true: 255 - true, count=4)
    unsure = dataclasses.replace(
        scored,
        partners=Partners({name: name for name in scored.inputs}, "guess", False, "a guess"),
    )
    assert any(column.decides for column in paired.table(scored).columns)
    found = paired.table(unsure)
    assert (
        not any(column.decides for column in found.columns)
        and "a guess" in found.note
        and found.rows[OWN]
    )
    assert inversion(scored).verdict == BAD and inversion(unsure).verdict == SUSPICIOUS


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    """Unpaired sets, numbered alike."""
    from data_prep import folders

    place = tmp_path_factory.mktemp("strangers")
    for split, pictures, first in (
        ("trainA", GAME, 0),
        ("trainB", PHOTO, 0),
        ("testA", GAME, 0),
        ("testB", PHOTO, 3),
    ):
        (place / "raw" / split).mkdir(parents=True)
        for index in range(8):
            picture = images.Image.fromarray(pictures[(first + index) % COUNT])
            picture.save(place / "raw" / split / f"{index:03d}.png")
    folders.run(folders.Config(input_dir=str(place / "raw"), output_dir=str(place / "data")))
    return place


def test_the_command_tells_it_in_all_places(strangers, tmp_path, capsys):
    command = [
        "evaluate",
        f"--translations={strangers / 'raw' / 'testB'}",
        f"--data_dir={strangers / 'data'}",
        f"--output={tmp_path}",
    ]
    assert cli.main([*command, "--features=none"]) == 0
    result = json.loads((tmp_path / "metrics.json").read_text())["directions"][0]
    told = (
        "no true pictures: names are equal, but the pictures are not more similar than "
        "random pairs (n = 8, 9999 permutations"
    )
    assert told in result["pairs"]["told"] and "Truth" not in [
        table["title"] for table in result["tables"]
    ]
    assert told in capsys.readouterr().out and told in (tmp_path / "index.html").read_text()
