"""What an engine's workers make is what this process makes, whatever the engine repeats or loses.
Beam itself: test_beam.py; clusters of two workers: test_clusters.py.
"""

import dataclasses
import functools
import json
import shutil

import pytest

from tests.engine_parts import Idle, Twice, slow_negatives, squares
from tests.test_data_translation import HALF, contents
from tests.test_segmentation import city, data  # noqa: F401 - fixtures
from tfcyclegan import flags
from tfcyclegan.config import EvaluateConfig, TranslateConfig
from tfcyclegan.data.source import open_source
from tfcyclegan.engines import open_engine, results
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.system import places
from tfcyclegan.translation import data_sets
from tfcyclegan.translation.data_sets import translate_data
from tfcyclegan.translation.elsewhere import Elsewhere

pytest.importorskip("cloudpickle")


def test_an_item_is_done_once_and_results_are_in_order(tmp_path):
    finished = []
    make = functools.partial(squares, tmp_path / "log")
    found = results(Twice(), make, [3, 1, 2], tmp_path / "job", finished=finished.append)
    assert found == [9, 1, 4] and sorted(finished) == [1, 2, 3]
    made, *items = (tmp_path / "log").read_text().splitlines()
    assert made.startswith("made") and items == ["item 2", "item 1", "item 3"]
    assert not list((tmp_path / "job").iterdir())


def test_an_error_of_an_item_is_that_of_the_job_and_ends_it(tmp_path):
    make = functools.partial(squares, tmp_path / "log")
    with pytest.raises(UserError, match=r"^--number=-1: negative$"):
        results(Twice(), make, [5, -1, 4], tmp_path / "job")
    assert "item 5" not in (tmp_path / "log").read_text()


def test_workers_that_write_elsewhere_are_noticed(tmp_path):
    with pytest.raises(RunError, match=r"workers of an engine did not write there"):
        results(Idle(), functools.partial(squares, tmp_path / "log"), [1], tmp_path / "job")


def test_a_data_set_is_the_local_one_and_finished_shards_stay(data, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(data_sets, "SHARD_PICTURES", 5)
    source, splits = open_source(data), ["train", "val"]
    open_ = functools.partial(slow_negatives, tmp_path / "log", 0)
    translate_data(open_(), source, splits, tmp_path / "here", scale=HALF)
    there, elsewhere = tmp_path / "there", Elsewhere(Twice(), open_)
    opened = len((tmp_path / "log").read_text().splitlines())

    def translate() -> None:
        translate_data(open_(), source, splits, there, scale=HALF, elsewhere=elsewhere)

    with monkeypatch.context() as patched:
        patched.setattr(data_sets.manifest, "make", lambda **_: 1 / 0)  # after all shards
        with pytest.raises(ZeroDivisionError):
            translate()
    (there / "data_translated-val.tfrecord-00001-of-00002").unlink()
    when = {path.name: path.stat().st_mtime_ns for path in there.glob("*.tfrecord*")}
    translate()
    assert contents(there) == contents(tmp_path / "here") and len(contents(there)) == 7
    assert all((there / name).stat().st_mtime_ns == time for name, time in when.items())
    assert len((tmp_path / "log").read_text().splitlines()) == opened + 4, "once a job and here"
    manifests = [
        json.loads((place / "manifest.json").read_text()) for place in (there, tmp_path / "here")
    ]
    assert manifests[0] == manifests[1]
    assert sorted(path.name for path in there.iterdir() if path.name.startswith(".")) == [".lock"]


def test_another_model_at_a_worker_is_refused(data, tmp_path):  # noqa: F811
    of_worker = functools.partial(slow_negatives, tmp_path / "log", 0, {"weights": "other"})
    with pytest.raises(RunError, match=r"^a worker opens another model .*'other'.*'negative'"):
        translate_data(
            slow_negatives(tmp_path / "log", 0),
            open_source(data),
            ["val"],
            tmp_path / "out",
            scale=None,
            elsewhere=Elsewhere(Twice(), of_worker),
        )


def test_a_part_of_a_split_reads_its_own_shards_alone(data, tmp_path):  # noqa: F811
    copy = shutil.copytree(data, tmp_path / "data")
    source = open_source(copy)
    names = [example.filename for example in source.examples("train")]
    part = source.part("train", range(5, 13))
    assert [example.filename for example in part.examples("train")] == names[5:13]
    assert part.fingerprint == source.fingerprint and source.counts["train"] == 24


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--engine=spark", "--beam_flags=--x"], r"^--beam_flags=--x: requires --engine=beam$"),
        (["--spark_conf=spark.a=b"], r"^--spark_conf=spark.a=b: requires --engine=spark$"),
        (["--engine=spark", "--spark_conf=master=b"], r"'master=b' is not a property; write each"),
        (["--engine=spark", "--spark_conf=spark.a='b"], r"^--spark_conf=.*No closing quotation"),
    ],
)
def test_options_of_the_other_engine(words, told):
    with pytest.raises(UserError, match=told):
        flags.parse(EvaluateConfig, ["--run_dir=r", *words])


def test_pictures_in_a_folder_are_translated_here_alone():
    words = ["--run_dir=r", "--input=i", "--output=o", "--engine=beam"]
    with pytest.raises(UserError, match=r"^--engine=beam: translates a data set into a data set"):
        flags.parse(TranslateConfig, words)


def test_a_store_is_refused():
    parsed = flags.parse(
        EvaluateConfig, ["--run_dir=r", "--data_dir=a,s3://bucket/b", "--engine=spark"]
    )
    parsed = dataclasses.replace(parsed, data_dir=places.localized("a,s3://bucket/b"))
    with pytest.raises(UserError, match=r"^--data_dir=.*bucket/b: is on a store, but the workers"):
        open_engine(parsed)


def test_properties_of_spark():
    words = ["--run_dir=r", "--engine=spark", "--spark_conf=spark.master=local[2] spark.x='a b=c'"]
    parsed = flags.parse(EvaluateConfig, words)
    assert parsed.spark_properties == {"spark.master": "local[2]", "spark.x": "a b=c"}
    assert parsed.engine_name == "spark"
    assert flags.parse(EvaluateConfig, ["--run_dir=r", "--beam_flags=--a"]).engine_name == "beam"
