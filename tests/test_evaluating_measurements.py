"""`evaluate` of measurements as a user meets it: arrays of another program, what a run makes."""

import base64
import contextlib
import functools
import io
import json
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep import arrays
from tests.engine_parts import Twice
from tests.test_measurements import write
from tests.test_training import config
from tfcyclegan import cli, engines
from tfcyclegan.config import Size
from tfcyclegan.data.display import GAP_COLOUR
from tfcyclegan.data.domains import open_domains
from tfcyclegan.data.images import Scale
from tfcyclegan.data.picture_folders import measurement_name
from tfcyclegan.errors import UserError
from tfcyclegan.evaluation import comparison, gathering, scores_page
from tfcyclegan.evaluation.region_maps import read_regions
from tfcyclegan.evaluation.scoring import measure
from tfcyclegan.evaluation.spool import Spool
from tfcyclegan.evaluation.task import Task
from tfcyclegan.evaluation.translated_arrays import translate_arrays
from tfcyclegan.measures import cycle_consistency, measured_errors
from tfcyclegan.measures.evaluation_set import OWN
from tfcyclegan.training.runs import Run
from tfcyclegan.translation.elsewhere import Elsewhere
from tfcyclegan.translation.foreign_measurements import read_arrays
from tfcyclegan.translation.translators import Translator
from tfcyclegan.translation.value_pair import ValuePair

GENERATOR = np.random.default_rng(8)
OFF = 40  # by which our translations are too high


def scan(planes: int) -> np.ndarray:
    """Blobs of values 0 to 1, as no two scans have them."""
    coarse = GENERATOR.random((planes, 4, 4)).astype(np.float32)
    return np.kron(coarse, np.ones((1, 6, 6), np.float32)) + 0.01 * GENERATOR.random(
        (planes, 24, 24), np.float32
    )


def target_of(volume: np.ndarray) -> np.ndarray:
    """What the other domain shows of it: inverted, in units of its own."""
    return np.rint(1000 - 1900 * volume).astype(np.int16)


def prepare(raw: Path, out: Path, range_a: str, range_b: str) -> None:
    arrays.run(
        arrays.Config(
            input_dir=str(raw),
            output_dir=str(out),
            axes="NHW",
            group_by="parent",
            range_a=range_a,
            range_b=range_b,
        )
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A: float32 scans with a gap; B: int16, inverted. Two test subjects of four and three planes,
    and translations that are OFF too high.
    """
    place = tmp_path_factory.mktemp("scores")
    tests = {"p1": scan(4), "p2": scan(3)}
    tests["p1"][:, :3, :3] = np.nan
    files = {f"trainA/t{index}/scan.npy": scan(4) for index in range(2)}
    files |= {f"trainB/u{index}/scan.npy": target_of(scan(4)) for index in range(2)}
    files |= {f"testA/{name}/scan.npy": volume for name, volume in tests.items()}
    truths = {name: target_of(np.nan_to_num(volume)) for name, volume in tests.items()}
    files |= {f"testB/{name}/scan.npy": truth for name, truth in truths.items()}
    write(place / "raw", files)
    prepare(place / "raw", place / "data", "0:1", "-1000:1000")
    made = {name: truth.astype(np.float32) + OFF for name, truth in truths.items()}
    for name, volume in made.items():
        volume[np.isnan(tests[name])] = np.nan
    write(place / "made", {f"{name}/scan.npy": volume for name, volume in made.items()})
    halves = np.zeros((4, 24, 24), np.uint8)
    halves[:, 12:] = 7
    write(place / "regions", {"p1/scan.npy": halves, "p2/scan.npy": halves[:3]})
    return place


def evaluate(place, *flags: str) -> int:
    return cli.main(
        [
            "evaluate",
            f"--data_dir={place / 'data'}",
            f"--output={place / 'scores'}",
            "--features=none",
            *flags,
        ]
    )


@pytest.fixture(scope="module")
def metrics(place):
    flags = (f"--translations={place / 'made'}", f"--regions={place / 'regions'}")
    assert evaluate(place, *flags, "--display_range=0:1/-500:500") == 0
    return json.loads((place / "scores" / "metrics.json").read_text())


def test_arrays_of_another_program_are_scored_in_units(metrics):
    (result,) = metrics["directions"]
    tables = {table["title"]: table["rows"] for table in result["tables"]}
    own = tables["Truth"][OWN]
    assert own["MAE"]["value"] == own["RMSE"]["value"] == OFF and own["MAE"]["n"] == 2
    assert own["PSNR"]["value"] == pytest.approx(20 * np.log10(2000 / OFF))
    assert own["correlation"]["value"] == pytest.approx(1)
    assert set(tables["Truth by subject"]) == {"p1", "p2"}
    assert tables["Truth by subject"]["p1"]["MAE"]["n"] == 4
    assert list(tables["Truth by region"]) == ["region 7"]
    controls = set(tables["Truth"]) - {OWN}
    assert controls == {
        "identity",
        "mean and deviation matching",
        "histogram matching",
        "nearest real",
        "constant",
        "linear fit to the test pairs (ceiling)",
    }
    assert tables["Truth"]["linear fit to the test pairs (ceiling)"]["MAE"]["value"] < 1
    assert tables["Truth"]["identity"]["correlation"]["value"] < -0.9, "the contrast inverts"
    assert tables["Values"][OWN]["distance"]["value"] > 0
    assert result["reached"], "the ceiling, which saw the truth, is not counted"
    assert "Lab error" not in json.dumps(tables)


def test_units_ranges_windows_and_what_was_assumed_are_told(metrics, place):
    (result,) = metrics["directions"]
    assert result["values"]["B"]["low"] == [-1000] and result["values"]["A"]["dtype"] == "float32"
    assert result["display"]["B"]["low"] == [-500]
    told = "\n".join(result["assumed"])
    for line in (
        "display of A: window 0 to 1, channel 1 in gray; gaps in magenta",
        "display of B: window -500 to 500, channel 1 in gray; gaps in magenta",
        "assumed to be in the units of the data (range -1000:1000)",
        "36 of 4032 values are missing",
        "a ceiling that no verdict relies on",
        "identity keeps a value's position in its range",
    ):
        assert line in told
    left_out = "\n".join(result["left_out"])
    assert "Lab error and LPIPS are only for pictures" in left_out
    assert "by luminance: only for pictures" in left_out
    page = (place / "scores" / "index.html").read_text()
    assert "B: window -500 to 500, channel 1 in gray" in page and "MAE to the truth" in page


def peak_of(function: Callable[[], object]) -> int:
    """The most memory in bytes that it held at once."""
    function()  # modules are loaded once
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("what", ["regions", "translations"])
def test_maps_of_regions_and_translations_are_held_on_disk(tmp_path, what):
    peaks = []
    for count in (4, 40):
        names = [f"p{index}/scan" for index in range(count)]
        ids = {
            f"{name}.npy": np.full((256, 256), index, np.float32)
            for index, name in enumerate(names)
        }
        folder = tmp_path / str(count)
        write(folder, ids)
        wanted = dict.fromkeys(names, (256, 256))
        spool = Spool(tmp_path)
        read = functools.partial(read_regions, folder, wanted, {}, spool)
        if what == "translations":
            read = functools.partial(
                read_arrays,
                folder,
                wanted,
                "--translations",
                channels=1,
                settings={},
                keep=spool.keep,
            )
        peaks.append(peak_of(read))
    assert peaks[1] < 1.2 * peaks[0]


def test_region_ids_take_few_bytes_and_are_whole_numbers(tmp_path):
    """In another order than the files', which are opened one after the other."""
    stack = np.array([[[7.0, np.nan]], [[-1, 200]]], np.float32)
    write(tmp_path / "maps", {"b/scan.npy": stack, "a/scan.npy": np.array([[0, 300]], np.int16)})
    names = ["b/scan_0002", "a/scan", "b/scan_0001"]
    wanted = dict.fromkeys(names, (1, 2))

    def read():
        return read_regions(tmp_path / "maps", wanted, {"axes": "NHW"}, Spool(tmp_path))

    write(tmp_path / "maps", {"c/scan.npy": np.zeros((1, 2), np.uint8)})
    assert read().told == ["regions: 1 files skipped (c/scan.npy)"]
    found = read().arrays
    assert list(found) == names
    assert [found[name].tolist() for name in names] == [[[-1, 200]], [[0, 300]], [[7, 0]]]
    assert [found[name].dtype for name in names] == [np.int16, np.uint16, np.uint8]
    for odd, shown in ((1.5, "1.5"), (3e38, "3e+38")):
        stack[1, 0, 0] = odd
        write(tmp_path / "maps", {"b/scan.npy": stack})
        with pytest.raises(UserError, match="ids must be whole numbers") as caught:
            read()
        assert f"b/scan_0002 has {shown};" in str(caught.value)


def test_files_are_found_by_plane_window_and_suffix_and_refused_in_a_line(tmp_path):
    wanted = {f"p1/scan_{plane:04d}": (4, 6) for plane in (1, 3)} | {"p2/scan": (4, 6)}
    volume = np.arange(3 * 4 * 6, dtype=np.float32).reshape(3, 4, 6)
    scene = np.arange(10 * 12, dtype=np.float32).reshape(10, 12)
    files = {
        "p1/scan_fake.npy": volume,
        "p2/scan_fake.npy": volume[0],
        "p3/scene_fake.npy": scene[np.newaxis],
    }

    def read(folder, names=wanted, **more):
        settings = {"axes": "NHW", "aligned": True}
        return read_arrays(folder, names, "--translations", channels=1, settings=settings, **more)

    write(tmp_path / "made", files | {"p1/scan_rec.npy": volume})
    window = {"p3/scene_y0004_x0006": (4, 6)}
    found = read(tmp_path / "made", wanted | window, suffix="_fake")
    np.testing.assert_array_equal(found.arrays["p1/scan_0003"][..., 0], volume[2])
    np.testing.assert_array_equal(found.arrays["p3/scene_y0004_x0006"][..., 0], scene[4:8, 6:12])
    assert "1 files skipped (1 without _fake at the end of their names)" in found.told[-1]

    def refused(files, names=wanted):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        write(folder, files)
        with pytest.raises(UserError) as caught:
            read(folder, names)
        return str(caught.value)

    assert "no files of measurements found" in refused({})
    assert "1 of 3 measurements of the split have no file: p2/scan" in refused(
        {"p1/scan.npy": volume}
    )
    small = refused({"p1/scan.npy": volume, "p2/scan.npy": volume[0, :2]})
    assert "p2/scan.npy: is 6x2, the measurement 6x4; values are not resampled" in small
    deep = refused({"p1/scan.npy": volume[:2], "p2/scan.npy": volume[0]})
    assert "p1/scan.npy: has 2 planes, but the split needs plane 3" in deep
    assert "p2/scan.npy: has 3 planes, but the measurement of this name has one" in refused(
        {"p1/scan.npy": volume, "p2/scan.npy": volume}
    )


@contextlib.contextmanager
def trained(place: Path, network: Callable[[np.ndarray], np.ndarray]) -> Iterator[Run]:
    """A run on the place's data, both of whose generators are `network`."""
    data = open_domains(str(place / "data"))
    run = Run(
        place / "run",
        config(place / "data", place / "run", preprocess="none"),
        "float32",
        data.fingerprint,
    )
    values = ValuePair.of_domains(data.values, "ab")
    identity = {"checkpoint": "step-0", "weights": "x"}
    translator = Translator(identity, 1, 1, network, values=values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gathering, "copies_on_devices", lambda *_: [translator])
        patch.setattr(gathering, "from_run", lambda *_: translator)
        yield run


@pytest.fixture(scope="module")
def inverting(place):
    """A run of which the network is known: what is -1 for one domain is 1 for the other."""
    with trained(place, np.negative) as run:
        task = Task(open_domains(str(place / "data")), "test", "ab", place / "made_by_run")
        yield gathering.gather(run, "latest", task, alone=False)


def _negating(identity: dict, values: ValuePair) -> list[Translator]:
    return [Translator(identity, 1, 1, np.negative, values=values)]


def test_workers_of_an_engine_translate_and_score_alike(
    inverting, place, metrics, tmp_path, monkeypatch
):
    pytest.importorskip("cloudpickle")
    data = open_domains(str(place / "data"))
    open_ = functools.partial(
        _negating,
        {"checkpoint": "step-0", "weights": "x"},
        ValuePair.of_domains(data.values, "ab"),
    )
    split = data.require("test", "a")
    inputs = dict(split.source.arrays(split.name))
    inputs = {measurement_name(name, split.name): array for name, array in inputs.items()}
    scale = Scale("none", Size(24, 24), Size(24, 24))
    identity = split.source.identity_of(split.name)
    translate_arrays(open_(), inputs, tmp_path / "ab", scale, identity, Elsewhere(Twice(), open_))
    for path in (place / "made_by_run" / "ab").rglob("*.npy"):
        there = tmp_path / "ab" / path.relative_to(place / "made_by_run" / "ab")
        assert there.read_bytes() == path.read_bytes()
    monkeypatch.setattr(engines, "open_engine", lambda options: Twice())
    flags = (f"--translations={place / 'made'}", f"--regions={place / 'regions'}")
    shown = "--display_range=0:1/-500:500"
    assert evaluate(place, *flags, shown, f"--output={tmp_path / 'scores'}") == 0
    found = json.loads((tmp_path / "scores" / "metrics.json").read_text())["directions"][0]
    for part in ("tables", "detectors", "examples"):
        assert found[part] == metrics["directions"][0][part], part


def test_a_run_is_scored_on_what_it_saved_in_units(inverting, place):
    """Read back, and with the gaps of the inputs."""
    saved = np.load(place / "made_by_run" / "ab" / "p1" / "scan_0001.npy")
    assert saved.dtype == np.int16 and saved.shape == (24, 24, 1)
    scan = np.load(place / "raw" / "testA" / "p1" / "scan.npy")[0]
    # from 0..1 to 1000..-1000, where the truth is 1000 - 1900 of it
    known = np.isfinite(scan)
    np.testing.assert_allclose(
        saved[..., 0][known], np.clip(1000 - 2000 * scan[known], -1000, 1000), atol=0.5
    )
    (table, *_), *_ = measure(inverting, [("truth", measured_errors.found)])
    assert 30 < table.rows[OWN]["MAE"].value < 70, "the mean of 100 times the scan"
    # integers without nodata cannot tell a gap: it is that of the input
    assert inverting.shown["translation"]["p1/scan_0001"][0, 0].tolist() == list(GAP_COLOUR)
    assert inverting.own["p1/scan_0001"][0, 0].tolist() == [0], "black for measures"
    assert inverting.partners.basis == "guess"


def test_the_cycle_of_measurements_is_closed_through_what_was_saved(inverting):
    """Negation there and back: int16 takes half a step of the fake, and gaps count nowhere."""
    table = cycle_consistency.table(inverting)
    assert table.rows[cycle_consistency.CLEAN]["cycle error"].value == 0
    saved = table.rows[cycle_consistency.SAVED]["cycle error"].value
    assert 0 < saved < 0.5 / 1000
    # sigma 8/255 of the range 2, whose absolute mean is sqrt(2 / pi) of it; clipped at the ends
    noise = table.rows["noise 8/255 of the range"]
    wanted = 2 * 8 / 255 * np.sqrt(2 / np.pi)
    assert noise["cycle error"].value == pytest.approx(wanted, rel=0.1)
    assert noise["ratio"].value == pytest.approx(1, abs=0.1)
    assert "JPEG 75" not in table.rows
    assert list(scores_page.panels(inverting)) == ["input", "translation", "truth", "cycled"]
    shown = [inverting.shown[what]["p2/scan_0001"].astype(int) for what in ("input", "cycled")]
    assert np.abs(shown[0] - shown[1]).max() <= 1
    assert inverting.shown["cycled"]["p1/scan_0001"][0, 0].tolist() == list(GAP_COLOUR)


def test_the_cycle_sees_the_ranges_of_the_training_also_on_data_with_others(place, tmp_path):
    """A network that clips is another function of the arrays if they are scaled otherwise."""
    prepare(place / "raw", tmp_path / "wide", "0:4", "-1500:4000")
    found = []
    with trained(place, lambda seen: np.clip(-seen, -0.5, 0.5)) as run:
        for data in (place / "data", tmp_path / "wide"):
            shown = {"window": "0:1/-1000:1000"}
            output = tmp_path / f"made_of_{data.name}"
            task = Task(open_domains(str(data)), "test", "ab", output, shown=shown)
            found.append(gathering.gather(run, "latest", task, alone=False))
    own, other = (cycle_consistency.table(one) for one in found)
    assert own.rows[cycle_consistency.CLEAN]["cycle error"].value > 0.05
    assert other == own
    for name in found[0].inputs:
        cycled = [one.shown["cycled"][name] for one in found]
        np.testing.assert_array_equal(*cycled)
    told = [[line for line in one.assumed if line.startswith("ranges: ")] for one in found]
    assert not told[0]
    assert [line.partition(";")[0] for line in told[1]] == [
        "ranges: the data of A have range 0:4, the run was trained on range 0:1",
        "ranges: the data of B have range -1500:4000, the run was trained on range -1000:1000",
    ]
    assert found[1].measured.values.low == (-1500,), "scores in units are those of the data"


def test_compare_shows_both_translations_as_the_scores_displayed_them(metrics, inverting, place):
    runs = [place / name for name in ("one", "two")]
    for run in runs:
        shutil.copytree(place / "made_by_run" / "ab", run / "evaluation" / "ab")
        shutil.copy(place / "scores" / "metrics.json", run / "evaluation" / "metrics.json")
    (found,) = comparison.compare(runs, place / "compare.html", pictures=1)
    assert any(
        "Truth: MAE" in name and values[0].startswith("40.0") for name, _, values in found.lines
    )
    assert "display of B: window -500 to 500, channel 1 in gray; gaps in magenta" in found.notes
    ((name, picture),) = found.strips
    with Image.open(io.BytesIO(base64.b64decode(picture.url.partition(",")[2]))) as strip:
        pixels = np.asarray(strip)
    assert name == "p2/scan_0001" or name == "p1/scan_0001"
    assert pixels.shape == (24, 3 * 24 + 2 * 2, 3)
    np.testing.assert_array_equal(pixels[:, 26:50], pixels[:, 52:])
    assert not np.array_equal(pixels[:, :24], pixels[:, 26:50])
