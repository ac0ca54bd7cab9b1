"""Preparing pictures on Apache Beam gives what this machine alone gives. Needs Beam, which fits not
all of constraints.txt.
"""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

from data_prep import folders, prepare
from tests.test_prepare import config, root  # noqa: F401 - root is a fixture
from tfcyclegan.data import shards
from tfcyclegan.engines.beam import Beam
from tfcyclegan.errors import RunError, UserError

needs_beam = pytest.mark.skipif(
    importlib.util.find_spec("apache_beam") is None, reason="Apache Beam is not installed"
)
LOCAL = "--runner=FnApiRunner"


def files_of(output_dir: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in output_dir.iterdir()
        if path.is_file() and path.name != "manifest.json"
    }


def manifest_of(output_dir: Path) -> dict:
    return {
        key: value
        for key, value in json.loads((output_dir / "manifest.json").read_text()).items()
        if key != "command"
    }


@needs_beam
@pytest.mark.parametrize(
    "flags", [LOCAL, f"{LOCAL} --direct_num_workers=2 --direct_running_mode=multi_processing"]
)
def test_beam_makes_the_same_bytes(root, flags):  # noqa: F811
    (root / "trainA/3.png").write_bytes(b"no picture")
    for name, beam_flags in (("here", ""), ("beam", flags)):
        folders.run(
            config(
                root, output_dir=str(root.parent / name), shards=3, max_bad=1, beam_flags=beam_flags
            )
        )
    here, beam = root.parent / "here", root.parent / "beam"
    assert files_of(here) == files_of(beam) and "quarantine.jsonl" in files_of(beam)
    assert manifest_of(here) == manifest_of(beam)
    assert not (beam / shards.WORK).exists()


@needs_beam
def test_beam_goes_on_from_what_is_finished(root, monkeypatch):  # noqa: F811
    """A worker that fails at one shard leaves the others; the rerun makes that one alone."""
    out, asked = root.parent / "out", []
    shutil.copytree(root, root.parent / "same", copy_function=shutil.copy2)
    take = prepare._take

    def fail(source, max_pixels):
        asked.append(source.filename)
        if source.filename == "trainB/deep/er/4.BMP":
            raise RuntimeError("the machine is gone")
        return take(source, max_pixels)

    monkeypatch.setattr(prepare, "_take", fail)
    with pytest.raises(
        RunError, match=r"^Apache Beam: .*the machine is gone.*the same command continues"
    ):
        folders.run(config(root, shards=2, beam_flags=LOCAL))
    finished = {path.name for path in out.glob("pictures-*")}
    assert not (out / "manifest.json").exists()
    monkeypatch.setattr(
        prepare,
        "_take",
        lambda source, max_pixels: asked.append(source.filename) or take(source, max_pixels),
    )
    asked.clear()
    folders.run(config(root, shards=2, beam_flags=LOCAL))
    assert "trainB/deep/er/4.BMP" in asked and len(asked) == 12 - sum(
        len_of(name) for name in finished
    )


def len_of(shard: str) -> int:
    """Pictures of a shard of the fixture: five a domain in two shards, one in each of the test
    splits.
    """
    return 1 if "-test" in shard else (2 if "-00000-of" in shard else 3)


def test_without_beam_its_flag_is_refused(root, monkeypatch):  # noqa: F811
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "apache_beam" else find_spec(name)
    )
    with pytest.raises(UserError, match="Apache Beam is not installed"):
        folders.run(config(root, beam_flags=LOCAL))
    assert not (root.parent / "out").exists()


@needs_beam
@pytest.mark.parametrize("flags", ["FnApiRunner", "--runner", "--runner='open"])
def test_flags_that_beam_does_not_take(root, flags):  # noqa: F811
    with pytest.raises(UserError, match=r"^--beam_flags="):
        folders.run(config(root, beam_flags=flags))


@needs_beam
def test_flags_that_are_left_out():
    assert Beam.of("").flags == ("--runner=FnApiRunner",)
    dask = "--runner=apache_beam.runners.dask.dask_runner.DaskRunner"
    assert Beam.of(dask).flags == (dask, "--dask_partition_size=1")
    assert Beam.of(f"{dask} --dask_npartitions=4").flags == (dask, "--dask_npartitions=4")
