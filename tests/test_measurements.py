"""Files of measurements -> TFRecords of arrays: types, ranges, gaps, groups, stacks, refusals."""

import errno
import json
import os

import numpy as np
import pytest

from data_prep import arrays, measured_files, measurements
from data_prep.value_ranges import Sketch
from tfcyclegan.data import shards
from tfcyclegan.data.records import stored_type
from tfcyclegan.data.source import open_source
from tfcyclegan.data.values import Values
from tfcyclegan.errors import UserError


def write(root, files) -> None:
    for name, array in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(root / name, array)


def prepare(root, out, **options):
    arrays.run(arrays.Config(input_dir=str(root), output_dir=str(out), **options))
    return json.loads((out / "manifest.json").read_text())


def field(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 20, shape).astype(np.float32)


def refusing(refused):
    """`np.load` as of a user without permission to read `refused`."""
    load = np.load

    def load_or_refuse(path, **options):
        if path == refused:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return load(path, **options)

    return load_or_refuse


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A: two volumes of three int16 planes in stacks of 3; B: float32 with a hole of NaN."""
    place = tmp_path_factory.mktemp("measured")
    planes = np.arange(3, dtype=np.int16)[:, None, None] * 100 + np.zeros((3, 4, 6), np.int16)
    hole = field(1, 1, 4, 6)
    hole[0, 0, :2] = np.nan
    files = {
        "trainA/p1/scan.npy": planes,
        "trainA/p2/scan.npy": planes.astype(">i2") - 50,
        "trainB/p1/scan.npy": hole,
        "testA/p3/scan.npy": planes + 1,
    }
    write(place / "root", files)
    (place / "root/trainA/notes.txt").write_text("words")
    options = {"axes": "NHW", "neighbours": "1,0", "group_by": "parent", "range_a": "0:150"}
    return prepare(place / "root", place / "out", **options), place / "out", files


def test_tfds_reads_the_arrays_as_they_were(made):
    import tensorflow_datasets as tfds

    _, out, files = made
    builder = tfds.builder_from_directory(str(out))
    read = [each["image"] for each in tfds.as_numpy(builder.as_dataset(split="trainB"))]
    # int16 and float32 in one set are stored as float32
    assert read[0]["array"].dtype == np.float32
    np.testing.assert_array_equal(read[0]["array"][..., 0], files["trainB/p1/scan.npy"][0])


def test_a_set_is_read_in_each_domains_own_type(made):
    _, out, _ = made
    source = open_source(out)
    examples = list(source.examples("trainA"))
    assert [each.filename for each in examples[:2]] == [
        "trainA/p1/scan_0001.npy",
        "trainA/p1/scan_0002.npy",
    ]
    assert [(each.group, each.plane) for each in examples] == [
        (group, plane) for group in ("p1", "p2") for plane in range(3)
    ]
    assert {each.array.dtype for each in examples} == {np.dtype("int16")}
    # edges repeat the plane; big-endian values are what they were
    stacks = [each.array[0, 0].tolist() for each in examples]
    assert stacks[:3] == [[0, 0, 100], [0, 100, 200], [100, 200, 200]]
    assert stacks[3] == [-50, -50, 50]
    values = source.values["A"]
    assert (values.channels, values.neighbours, values.centre) == (3, 1, slice(1, 2))
    assert (values.low, values.high) == ((0, 0, 0), (150, 150, 150))
    with pytest.raises(UserError, match="holds measurements"):
        source.pictures("trainA")


def test_the_manifest_counts_what_is_clipped_and_missing_and_lists_groups(made):
    manifest, _, _ = made
    assert manifest["groups"] == {
        "trainA": ["p1", "p2"],
        "trainB": ["p1"],
        "testA": ["p3"],
    }
    assert manifest["ranges"] == {"A": "given", "B": "p0.5:p99.5 of trainB"}
    # of 3 stacks of p1 (0 0 100, 0 100 200, 100 200 200) 3 channels of 24 pixels are above 150;
    # of p2 (-50 -50 50, -50 50 150, 50 150 150) 3 are below 0
    assert manifest["counted_values"]["trainA"] == {"all": 18 * 24, "clipped": 6 * 24}
    assert manifest["counted_values"]["trainB"]["invalid"] == 2
    assert manifest["left_out"] == {".txt files": 1}


def test_percentiles_are_those_of_the_distribution_function():
    whole, halves = Sketch(), Sketch()
    for part in np.split(np.random.default_rng(0).permutation(1000).astype(np.int16) - 500, 4):
        whole.add(part)
        halves.add((part / 2).astype(np.float16))
    assert [whole.percentile(share) for share in (0, 0.5, 50, 99.5, 100)] == [
        -500, -496, -1, 494, 499,
    ]  # fmt: skip
    assert halves.percentile(50) == -0.5
    values = np.random.default_rng(1).normal(0, 1, 10_001).astype(np.float32)
    sketch = Sketch()
    sketch.add(values)
    assert sketch.percentile(100) == values.max()
    for share in (1, 25, 75, 99):
        wanted = np.percentile(values, share, method="inverted_cdf")
        assert sketch.percentile(share) == pytest.approx(wanted, rel=1 / 4096)


def test_percentiles_far_from_zero_are_as_fine_as_the_range(tmp_path):
    """Pressures in Pa: their keys by themselves are 8 Pa wide."""
    pressure = np.random.default_rng(0).normal(101325, 10, (40, 40)).astype(np.float32)
    write(tmp_path / "root", {"trainA/p.npy": pressure, "trainB/f.npy": field(0, 4, 4)})
    manifest = prepare(tmp_path / "root", tmp_path / "out")
    found = [manifest["values"]["A"][end][0] for end in ("low", "high")]
    wanted = np.percentile(pressure, (0.5, 99.5), method="inverted_cdf")
    np.testing.assert_allclose(found, wanted, atol=0.03)


def test_training_files_of_another_scale_are_told(tmp_path, capsys):
    write(tmp_path / "root", {
        "trainA/a.npy": field(0, 8, 8), "trainA/b.npy": 400 * field(1, 8, 8),
        "trainB/a.npy": field(2, 8, 8), "trainB/b.npy": 4 * field(3, 8, 8),
    })  # fmt: skip
    prepare(tmp_path / "root", tmp_path / "out")
    told = [line for line in capsys.readouterr().out.splitlines() if "span less" in line]
    assert len(told) == 1
    assert "domain A: values of 1 of 2 training files" in told[0]
    assert "such as trainA/a.npy: " in told[0]


def test_what_headers_show_is_told_before_values_are_read(tmp_path, capsys):
    files = {"trainA/a.npy": field(0, 4, 4), "trainB/a.npy": field(1, 4, 4)}
    write(tmp_path / "root", files | {"trainB/b.npy": field(2, 4, 4, 2)})
    with pytest.raises(UserError, match=r"trainB/b\.npy: has 2 channels.* convert or remove"):
        prepare(tmp_path / "root", tmp_path / "out")
    assert "range" not in capsys.readouterr().out


def test_masks_and_nodata_are_gaps_and_empty_tiles_are_left_out(tmp_path):
    scene = np.arange(64, dtype=np.uint16).reshape(8, 8)
    mask = np.ones((8, 8), np.uint8)
    mask[:4, :4] = 0
    write(tmp_path / "root", {
        "trainA/s.npy": scene, "trainA_mask/s.npy": mask,
        "trainB/s.npy": scene + 100, "trainB_mask/s.npy": np.ones((8, 8), np.uint8),
    })  # fmt: skip
    manifest = prepare(
        tmp_path / "root", tmp_path / "out", mask=True, nodata_a=63, nodata_b=9, range_a="p0:p100",
        tile=arrays.measurements.Size(4, 4),
    )  # fmt: skip
    source = open_source(tmp_path / "out")
    names = [name for name, _ in source.arrays("trainA")]
    assert names == [f"trainA/s_y{top:04d}_x{left:04d}.npy" for top, left in
                     ((0, 4), (4, 0), (4, 4))]  # fmt: skip
    assert list(manifest["left_out"]) == [
        "planes and windows without any measurement (NaN, nodata, mask)"
    ]
    # 63 is nodata, and what is masked is in no percentile
    assert (source.values["A"].low, source.values["A"].high) == ((4.0,), (62.0,))
    assert manifest["counted_values"]["trainA"] == {"all": 48, "invalid": 1}


def test_arrays_in_two_splits_are_told_but_not_planes_of_air(tmp_path, capsys):
    air = np.zeros((1, 4, 4), np.uint8)
    body = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    volume = np.concatenate([air, body])
    write(tmp_path / "root", {
        "trainA/a.npy": volume, "trainB/b.npy": air, "testA/c.npy": np.concatenate([body, air]),
    })  # fmt: skip
    manifest = prepare(tmp_path / "root", tmp_path / "out", axes="NHW")
    assert manifest["twins"] == {"testA in trainA": 1}
    assert "testA/c_0001.npy is trainA/a_0002.npy; scores would be" in capsys.readouterr().out


@pytest.mark.parametrize("shard_bytes", [15_000, 10_000])  # as many shards then, and one more
def test_a_file_that_is_repaired_is_stored_and_no_other_twice(tmp_path, monkeypatch, shard_bytes):
    """As when the command is repeated after chmod, which changes neither size nor time."""
    names = [f"trainA/{letter}.npy" for letter in "abcd"]
    write(tmp_path / "root", {name: field(seed, 40, 40) for seed, name in enumerate(names)})
    write(tmp_path / "root", {"trainB/a.npy": field(9, 40, 40)})
    monkeypatch.setattr(shards, "SHARD_BYTES", shard_bytes)
    with monkeypatch.context() as context:
        context.setattr(np, "load", refusing(tmp_path / "root/trainA/b.npy"))
        with pytest.raises(UserError, match=r"trainA/b\.npy: cannot be read: Permission denied"):
            prepare(tmp_path / "root", tmp_path / "out")
    manifest = prepare(tmp_path / "root", tmp_path / "out")
    assert manifest["splits"]["trainA"]["records"] == 4
    stored = dict(open_source(tmp_path / "out").arrays("trainA"))
    assert list(stored) == names
    for seed, name in enumerate(names):
        np.testing.assert_array_equal(stored[name][..., 0], field(seed, 40, 40))
    listed = {shard["file"] for split in manifest["splits"].values() for shard in split["shards"]}
    assert {path.name for path in (tmp_path / "out").glob("*.tfrecord*")} == listed


@pytest.mark.parametrize("masked", [False, True])
def test_a_complete_set_says_which_files_it_lacks_that_may_be_readable_now(
    tmp_path, monkeypatch, capsys, masked
):
    """As when the command is repeated after chmod and `--max_bad` has let the set be completed."""
    names = [f"train{letter}/{name}.npy" for letter in "AB" for name in "ab"]
    write(tmp_path / "root", {name: field(seed, 4, 4) for seed, name in enumerate(names)})
    if masked:
        ones = {name.replace("/", "_mask/"): np.ones((4, 4), np.uint8) for name in names}
        write(tmp_path / "root", ones)
    options = {"max_bad": 1, "mask": masked}
    with monkeypatch.context() as context:
        context.setattr(np, "load", refusing(tmp_path / "root/trainA/b.npy"))
        made = prepare(tmp_path / "root", tmp_path / "out", **options)
    assert made["splits"]["trainA"]["records"] == 1
    capsys.readouterr()
    assert prepare(tmp_path / "root", tmp_path / "out", **options) == made
    assert (
        f"{tmp_path}/out: left out then, since they could not be read: 1 file, listed in "
        f"quarantine.jsonl; if that has changed, remove {tmp_path}/out and run the same command "
        "again\n"
    ) in capsys.readouterr().out


def test_a_set_whose_masks_an_older_version_recorded_stays_usable(tmp_path, capsys):
    """It recorded the masks of those files alone that it could open."""
    names = [f"train{letter}/{name}.npy" for letter in "AB" for name in "ab"]
    write(tmp_path / "root", {name: field(seed, 4, 4) for seed, name in enumerate(names)})
    ones = {name.replace("/", "_mask/"): np.ones((4, 4), np.uint8) for name in names}
    write(tmp_path / "root", ones)
    (tmp_path / "root/trainA/b.npy").write_bytes(b"garbage")
    made = prepare(tmp_path / "root", tmp_path / "out", mask=True, max_bad=1)
    of_opened = measurements._digest(tmp_path / "root", [tmp_path / "root/trainA_mask/a.npy"])
    assert made["request"]["inputs"]["trainA_mask"] != of_opened
    made["request"]["inputs"]["trainA_mask"] = of_opened
    (tmp_path / "out/manifest.json").write_text(json.dumps(made))
    prepare(tmp_path / "root", tmp_path / "out", mask=True, max_bad=1)
    assert "already complete" in capsys.readouterr().out
    write(tmp_path / "root", {"trainA_mask/a.npy": np.ones((4, 4), np.uint16)})
    with pytest.raises(UserError, match="trainA_mask: the input has changed"):
        prepare(tmp_path / "root", tmp_path / "out", mask=True, max_bad=1)


def test_a_bad_file_that_is_stored_in_parts_is_one(tmp_path, monkeypatch):
    monkeypatch.setattr(measured_files, "_SOURCE_BYTES", 2 * 40 * 40 * 4)  # two planes
    monkeypatch.setattr(shards, "SHARD_BYTES", 30_000)
    empty = np.full((9, 40, 40), np.nan, np.float32)
    write(tmp_path / "root", {f"train{letter}/a.npy": field(0, 1, 40, 40) for letter in "AB"})
    write(tmp_path / "root", {"testA/a.npy": field(1, 1, 40, 40), "testA/b.npy": empty})
    with pytest.raises(UserError) as error:
        prepare(tmp_path / "root", tmp_path / "out", axes="NHW")
    assert "; 1 bad picture in all" in str(error.value)
    assert "remove it, or leave out what is bad by --max_bad=1" in str(error.value)
    manifest = prepare(tmp_path / "root", tmp_path / "out", axes="NHW", max_bad=1)
    assert manifest["splits"]["testA"]["quarantined"] == 1
    assert len((tmp_path / "out/quarantine.jsonl").read_text().splitlines()) == 1


def test_a_damaged_file_of_a_pair_is_named_with_its_reason_and_left_out_as_a_pair(tmp_path):
    write(tmp_path / "root", {
        f"train{letter}/{name}.npy": field(seed, 4, 4)
        for letter in "AB" for seed, name in enumerate("ab")
    })  # fmt: skip
    (tmp_path / "root/trainA/b.npy").write_bytes(b"garbage")
    with pytest.raises(
        UserError, match=r"^trainA/b\.npy: not a NumPy array: .*; 2 bad pictures in all"
    ):
        prepare(tmp_path / "root", tmp_path / "out", aligned=True)
    manifest = prepare(tmp_path / "root", tmp_path / "out", aligned=True, max_bad=2)
    assert {split: each["records"] for split, each in manifest["splits"].items()} == {
        "trainA": 1,
        "trainB": 1,
    }
    assert manifest["aligned"] == ["train"]
    listed = (tmp_path / "out/quarantine.jsonl").read_text().splitlines()
    of_a, of_b = map(json.loads, listed)
    assert of_b == {
        "file": "trainB/b.npy",
        "reason": f"its partner trainA/b.npy: {of_a['reason']}",
    }


def test_a_pair_of_which_one_file_could_not_be_read_is_tried_again(tmp_path, monkeypatch):
    write(tmp_path / "root", {
        f"train{letter}/{name}.npy": field(seed, 4, 4)
        for letter in "AB" for seed, name in enumerate("ab")
    })  # fmt: skip
    with monkeypatch.context() as context:
        context.setattr(np, "load", refusing(tmp_path / "root/trainB/b.npy"))
        with pytest.raises(
            UserError,
            match=r"^trainA/b\.npy: cannot be read: partner trainB/b\.npy: Permission den",
        ):
            prepare(tmp_path / "root", tmp_path / "out", aligned=True)
    manifest = prepare(tmp_path / "root", tmp_path / "out", aligned=True)
    assert {split: each["records"] for split, each in manifest["splits"].items()} == {
        "trainA": 2,
        "trainB": 2,
    }


BAD = {
    "names": (
        {"trainA/v.npy": field(0, 2, 4, 4, 1), "trainA/v_0001.npy": field(1, 4, 4)},
        {},
        "trainA/v.npy and trainA/v_0001.npy: both have an array v_0001; rename one",
    ),
    "channels": ({"trainA/b.npy": field(0, 4, 4, 2)}, {}, "trainA/b.npy: has 2 channels"),
    "empty": (
        {"trainA/b.npy": np.full((4, 4), np.nan, np.float32)},
        {},
        "trainA/b.npy: holds no measurement at all",
    ),
    "type": (
        {"trainA/b.npy": np.zeros((4, 4), np.complex64)},
        {},
        "trainA/b.npy: values of type complex64",
    ),
    "groups": ({"testB/a.npy": field(0, 4, 4)}, {"group_by": ".+"}, "a.npy is in two splits"),
    "expression": ({}, {"group_by": "p[0-9]+"}, "does not match trainA/a.npy"),
    "range": ({}, {"range_a": "5:5"}, "--range_a=5:5"),
    "ranges": ({}, {"range_b": "0:1,0:2"}, "--range_b: gives 2 ranges"),
    "nodata": (
        {"trainA/a.npy": np.zeros((4, 4), np.uint8)},
        {"nodata_a": -9999.0},
        "--nodata_a=-9999: is not a value of uint8",
    ),
    "mask": ({}, {"mask": True}, "trainA_mask/a.npy: no such file"),
    "partners": ({"trainB/c.npy": field(0, 4, 4)}, {"aligned": True}, "trainB/c: --aligned"),
    "neighbours": ({}, {"neighbours": "40"}, "--neighbours=40"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_go_together_is_refused_by_name(tmp_path, case):
    files, options, message = BAD[case]
    write(tmp_path / "root", {"trainA/a.npy": field(1, 4, 4), "trainB/a.npy": field(2, 4, 4)})
    write(tmp_path / "root", files)
    with pytest.raises(UserError) as error:
        prepare(tmp_path / "root", tmp_path / "out", **options)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_float32_holds_all_types_that_share_a_set():
    for name in ("uint8", "uint16", "int16"):
        limits = np.iinfo(name)
        every = np.arange(limits.min, limits.max + 1)
        np.testing.assert_array_equal(every.astype(np.float32).astype(name), every)
    assert stored_type(["int16", "int16"]) == "int16"
    assert stored_type(["int16", "uint8"]) == "float32"


def test_values_are_told_in_short():
    values = Values("int16", (-1000.0,) * 3, (2000.0,) * 3, units="HU")
    assert values.ranges() == "range -1000:2000 HU"
    stored = Values("float32", (0.0, 1.0, 2.0), (1.0, 2.0, 3.0), neighbours=1)
    assert Values.from_json(stored.to_json()) == stored


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (Values("uint16", (0.0,), (400.0,), nodata=0), [1, 0, 200, 400]),
        (Values("uint8", (0.0,), (255.0,), nodata=255), [0, 255, 128, 254]),
        (Values("int16", (-10.0,), (10.0,), nodata=1), [-10, 1, 0, 10]),
        (Values("uint8", (-10.0,), (900.0,), nodata=255), [0, 255, 254, 254]),
        (
            Values("float32", (-1.0,), (1.0,), nodata=-1),
            [np.nextafter(np.float32(-1), 0), -1, 0, 1],
        ),
        (Values("float32", (-1.0,), (1.0,)), [-1, np.nan, 0, 1]),
        (Values("float16", (0.0,), (1e5,)), [0, np.nan, 5e4, 65504]),
    ],
)
def test_a_translation_never_looks_like_a_gap(values, wanted):
    seen = np.array([-1, 0.3, 0, 1]).reshape(4, 1)
    found = values.from_network(seen, np.array([[False], [True], [False], [False]]))
    np.testing.assert_array_equal(found[:, 0], np.array(wanted, values.dtype))


def test_a_gap_that_cannot_be_marked_is_the_lowest_value_of_its_channel():
    """Of those that the type has: no translation lies below it."""
    values = Values("uint8", (-1000.0, 3.6, 10.0), (900.0, 9.0, 250.0))
    seen = np.array([[0.5] * 3, [-1] * 3])
    found = values.from_network(seen, np.array([[True], [False]]))
    assert found.tolist() == [[0, 4, 10], [0, 4, 10]] and values.gap_or_none is None
    foreign = Values("uint8", (3.0,), (9.0,), nodata=-9999)  # which uint8 does not hold
    assert foreign.gap_or_none is None and foreign.gap.tolist() == [3]


def test_an_end_of_the_range_is_inside_of_it():
    """0.1 in float32 is above 0.1."""
    values = Values("float32", (-0.1,), (0.1,))
    assert values.outside(np.array([[-0.1], [0.1], [0.1001]], np.float32)) == 1
