"""Places on stores, here in fsspec's store in memory; tests/test_store_chain.py runs the commands
on an S3 server.
"""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import fsspec
import pytest

from tfcyclegan.cli import run_command
from tfcyclegan.config import Options, option
from tfcyclegan.errors import RunError, UserError
from tfcyclegan.exports import model_metadata
from tfcyclegan.interop import official_options
from tfcyclegan.system import files, mirrors, places
from tfcyclegan.system.downloads import CACHE_VARIABLE
from tfcyclegan.system.progress import log

PLACE = "memory://bucket/run"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Options):
    run_dir: str = option("", "a run")
    data_dir: str = option("", "data sets")
    cache_dir: str = option("", "a cache")
    engine: str = option("", "an engine")


@pytest.fixture(autouse=True)
def machines(tmp_path, monkeypatch):
    """Switches to another machine: one with other copies and the same stores."""
    yield lambda name: monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / name))
    places._roots.clear()


@pytest.fixture(autouse=True)
def store(machines):
    machines("one")
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    yield memory
    memory.store.clear()


def names(store) -> list[str]:
    return sorted(name.removeprefix("/bucket/run/") for name in store.find("/bucket"))


def test_files_are_on_the_store_in_the_order_in_which_they_were_finished(store, machines):
    order = []
    put = store.put_file
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            type(store),
            "put_file",
            lambda self, here, there, **more: (order.append(there), put(here, there, **more))[1],
        )
        with places.at_hand(Config(run_dir=PLACE)) as config:
            run = Path(config.run_dir)
            with files.exclusive_lock(run):
                files.write_json(run / "config.json", {"run_dir": str(run), "data_dir": "data"})
                files.write_bytes(run / "shards" / "one", b"1")
                assert names(store) == ["config.json", "shards/one"]  # at once, not at the end
                (run / "events").write_text("grows")
                (run / ".cache").mkdir()
                (run / ".cache" / "pixels").write_bytes(b"large")
                files.write_text(run / "manifest.json", "{}")
    assert [name.rpartition("/")[2] for name in order] == [
        "config.json",
        "one",
        "manifest.json",
        "events",
    ]
    assert json.loads(store.cat("/bucket/run/config.json"))["run_dir"] == PLACE
    machines("two")
    with places.at_hand(Config(run_dir=PLACE + "/")) as config:
        run = Path(config.run_dir)
        assert "/two/" in str(run)
        assert files.read_json(run / "config.json") == {"run_dir": str(run), "data_dir": "data"}
        assert (run / "events").read_text() == "grows"
        assert not (run / ".cache").exists() and not (run / ".lock").exists()


def test_a_later_command_brings_only_what_has_changed(store, machines, capsys):
    with places.at_hand(Config(run_dir=PLACE)) as config:
        for name in "abc":
            files.write_text(Path(config.run_dir) / name, name)
    assert "bringing" not in capsys.readouterr().out
    machines("two")
    with places.at_hand(Config(run_dir=PLACE)) as config:
        assert "memory://bucket/run: bringing 3 files" in capsys.readouterr().out
        files.write_text(Path(config.run_dir) / "b", "new")
        files.remove(Path(config.run_dir) / "c")
    assert names(store) == ["a", "b"]
    machines("one")
    with places.at_hand(Config(run_dir=PLACE)) as config:
        assert "bringing 1 file," in capsys.readouterr().out
        run = Path(config.run_dir)
        assert sorted(path.name for path in run.iterdir()) == ["a", "b"]
        assert (run / "b").read_text() == "new"


def test_a_copy_may_be_deleted(store):
    with places.at_hand(Config(run_dir=PLACE)) as config:
        files.write_text(Path(config.run_dir) / "a", "a")
    shutil.rmtree(config.run_dir)
    with places.at_hand(Config(run_dir=PLACE)) as config:
        assert (Path(config.run_dir) / "a").read_text() == "a"
    assert names(store) == ["a"]


def killed(mirror) -> None:
    """What a killed command leaves: no settling, and locks that the kernel has released."""
    places._mirrors.remove(mirror)
    mirror.close()


def test_what_a_killed_command_could_not_send_is_sent_by_the_next(store, capsys):
    run = Path(places.localized(PLACE))
    places.bring(run)
    files.write_text(run / "config.json", "{}")
    (run / "left").write_text("not sent")
    killed(*places._mirrors)
    assert names(store) == ["config.json"]
    with places.at_hand(Config(run_dir=PLACE)):
        assert (run / "left").read_text() == "not sent"
    assert names(store) == ["config.json", "left"]
    assert capsys.readouterr().out == ""


def test_killed_between_sending_and_noting(store):
    run = Path(places.localized(PLACE))
    places.bring(run)
    files.write_text(run / "a", "first")
    (mirror,) = places._mirrors
    mirror._journal.note("bucket/run/a")
    store.pipe_file("/bucket/run/a", b"second")
    (run / "a").write_text("second")
    killed(mirror)
    with places.at_hand(Config(run_dir=PLACE)):
        assert (run / "a").read_text() == "second"
    assert store.cat("/bucket/run/a") == b"second"


def test_work_that_only_the_copy_has_is_kept_where_another_machine_went_on(store, machines, capsys):
    run = Path(places.localized(PLACE))
    places.bring(run)
    files.write_text(run / "step", "1")
    (run / "step").write_text("2 here")
    killed(*places._mirrors)
    machines("two")
    with places.at_hand(Config(run_dir=PLACE)) as config:
        files.write_text(Path(config.run_dir) / "step", "2 there")
    machines("one")
    with places.at_hand(Config(run_dir=PLACE)):
        assert (run / "step").read_text() == "2 there"
    told = capsys.readouterr().out
    assert "1 file that only this one had: memory/bucket/.run.1.aside in " in told
    assert (run.with_name(".run.1.aside") / "run" / "step").read_text() == "2 here"
    assert names(store) == ["step"]


def test_folders_are_complete_or_marked(store, machines, capsys):
    def kill():
        raise KeyboardInterrupt

    def export(text: str, *, cut: bool = False) -> None:
        put = type(store).put_file
        with pytest.MonkeyPatch.context() as patch, places.at_hand(Config(run_dir=PLACE)) as config:
            if cut:
                patch.setattr(
                    type(store),
                    "put_file",
                    lambda self, here, there, **more: (
                        put(self, here, there, **more) if "variables" in there else kill()
                    ),
                )
            with files.atomic_directory(Path(config.run_dir) / "1") as temporary:
                files.write_text(temporary / "model.pb", text)
                files.write_text(temporary / "variables" / "data", text)
                if text == "old":
                    files.write_text(temporary / "stale", text)

    export("old")
    assert names(store) == ["1/model.pb", "1/stale", "1/variables/data"]
    with pytest.raises(KeyboardInterrupt):  # after the first object
        export("new", cut=True)
    assert names(store) == [".1.partial", "1/model.pb", "1/variables/data"]
    machines("two")
    with places.at_hand(Config(run_dir=PLACE)) as config:
        assert not (Path(config.run_dir) / "1").exists()
    assert "memory://bucket/run/1: is being written" in capsys.readouterr().out
    assert ".1.partial" in names(store)  # a reader leaves it alone
    machines("one")
    with places.at_hand(Config(run_dir=PLACE)):
        pass  # its writer completes it
    assert names(store) == ["1/model.pb", "1/variables/data"]
    assert store.cat("/bucket/run/1/model.pb") == b"new"


def test_a_store_that_fails_for_a_while_does_not_stop_a_command(store, capsys, monkeypatch):
    put = type(store).put_file

    def fails(*_, **__):
        raise TimeoutError("gone for lunch")

    with places.at_hand(Config(run_dir=PLACE)) as config:
        run = Path(config.run_dir)
        files.write_text(run / "a", "a")
        monkeypatch.setattr(type(store), "put_file", fails)
        for name in "bcd":
            files.write_text(run / name, name)
        places.settle()
        monkeypatch.setattr(type(store), "put_file", put)
    assert names(store) == ["a", "b", "c", "d"]
    told = capsys.readouterr().out
    assert told.count("gone for lunch") == 1 and "going on here" in told
    with (
        pytest.raises(RunError, match=r"cannot be written.*nothing is lost"),
        places.at_hand(Config(run_dir=PLACE)) as config,
    ):
        files.write_text(Path(config.run_dir) / "e", "e")
        monkeypatch.setattr(type(store), "put_file", fails)
        files.write_text(Path(config.run_dir) / "f", "f")


def test_two_machines_do_not_overwrite_each_other(store):
    with (
        pytest.raises(RunError, match="another program has changed it"),
        places.at_hand(Config(run_dir=PLACE)) as config,
    ):
        files.write_text(Path(config.run_dir) / "step", "1")
        store.pipe_file("/bucket/run/step", b"3")
        files.write_text(Path(config.run_dir) / "step", "2")
    assert store.cat("/bucket/run/step") == b"3"


def test_two_machines_do_not_overwrite_each_others_new_objects(store):
    with (
        pytest.raises(RunError, match="another program has changed it"),
        places.at_hand(Config(run_dir=PLACE)) as config,
    ):
        store.pipe_file("/bucket/run/step", b"3")
        files.write_text(Path(config.run_dir) / "step", "1")
    assert store.cat("/bucket/run/step") == b"3"


def test_a_place_inside_another_of_the_same_command_is_part_of_it(store):
    with places.at_hand(Config(run_dir=f"{PLACE}/out", data_dir=PLACE)) as config:
        files.write_text(Path(config.run_dir) / "new", "1")
    assert names(store) == ["out/new"]


def test_two_commands_on_one_machine_share_the_copy(store, capsys):
    with places.at_hand(Config(run_dir=PLACE)) as config:
        run = Path(config.run_dir)
        files.write_text(run / "report", "of training")
        (owner,) = places._mirrors
        places._mirrors.clear()  # as in another process
        with places.at_hand(Config(run_dir=PLACE)):
            files.write_text(run / "report", "of evaluation")
        places._mirrors.append(owner)
        files.write_text(run / "report", "of training again")
    assert "another command here uses it" in capsys.readouterr().out
    assert store.cat("/bucket/run/report") == b"of training again"


def test_one_file_comes_with_those_that_belong_to_it(store):
    for name in ("scan.hdr", "scan.img", "other.img", "metadata.json"):
        store.pipe_file(f"/bucket/scans/{name}", b"1")
    with places.at_hand(Config(data_dir="memory://bucket/scans/scan.hdr,here")) as config:
        scan, here = config.data_dir.split(",")
        assert here == "here"
        there = sorted(path.name for path in Path(scan).parent.iterdir())
        assert there == ["metadata.json", "scan.hdr", "scan.img"]


@pytest.mark.parametrize("folder", ["", "onnx/", "openvino/", "rejected/", "rejected/onnx/"])
def test_a_model_file_comes_with_the_description_of_its_version(store, folder):
    for name in ("metadata.json", "labels.json", f"{folder}float32.onnx"):
        store.pipe_file(f"/bucket/models/1/{name}", b'{"direction": "ab"}')
    place = f"memory://bucket/models/1/{folder}float32.onnx"
    with places.at_hand(Config(run_dir=place)) as config:
        model = Path(config.run_dir)
        assert model_metadata.read(model) == {"direction": "ab"}
        version = model.parents[folder.count("/")]
        assert sorted(path.name for path in version.rglob("*.*")) == [
            "float32.onnx",
            "metadata.json",
        ]


def test_models_lie_in_folders_that_mirrors_know():
    assert set(model_metadata.FOLDERS) == set(mirrors.FOLDERS_OF_MODELS)


def test_weights_come_with_the_options_of_their_training(store):
    for name in ("latest_net_G_A.pth", "latest_net_G_B.pth", "train_opt.txt"):
        store.pipe_file(f"/bucket/weights/{name}", b"1")
    place = "memory://bucket/weights/latest_net_G_A.pth"
    with places.at_hand(Config(run_dir=place)) as config:
        there = sorted(path.name for path in Path(config.run_dir).parent.iterdir())
        assert there == ["latest_net_G_A.pth", official_options.FILE]


def test_names_that_no_file_can_have_are_told(store, capsys, monkeypatch):
    store.pipe_file("/bucket/run/good", b"1")
    content = store.store["/bucket/run/good"]
    for name in ("a/../../../../outside", "file", "file/below", "x" * 300):
        store.store[f"/bucket/run/{name}"] = content
    listed = {
        f"/bucket/run/{name}": store.info("/bucket/run/good") | {"name": f"/bucket/run/{name}"}
        for name in ("good", "a/../../../../outside", "file", "file/below", "x" * 300)
    }
    monkeypatch.setattr(type(store), "find", lambda *_, **__: listed)
    with places.at_hand(Config(run_dir=PLACE)) as config:
        assert sorted(path.name for path in Path(config.run_dir).iterdir()) == ["file", "good"]
    told = "left out, since files cannot have such names: 3 objects, first 'bucket/run/a/"
    assert told in capsys.readouterr().out


def test_a_comma_separates_places(store):
    with (
        pytest.raises(UserError, match="choose one without a comma"),
        places.at_hand(Config(run_dir=f"{PLACE},2")) as config,
    ):
        files.write_text(Path(config.run_dir) / "a", "a")


def test_messages_name_the_store(capsys):
    def run(config):
        log(f"{config.run_dir}: opened")
        raise UserError(f"--run_dir={config.run_dir}: holds no run")

    assert run_command("program", "", "", Config, run, [f"--run_dir={PLACE}"]) == 2
    told = capsys.readouterr()
    assert told.out == "memory://bucket/run: opened\n"
    assert told.err == "program: --run_dir=memory://bucket/run: holds no run\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--cache_dir=memory://b/cache"], "mapped into memory; give a local folder"),
        (["--run_dir=az://b/run"], "az:// is no store that is known; give a path, or a string"),
        (["--data_dir=here,s3:/b/x"], "s3:/ is no store that is known"),
        (["--run_dir=memory://"], "memory://: names no bucket; write memory://BUCKET/FOLDER"),
        (["--run_dir=gs://b/run"], "needs the extra gcs: pip install 'tfcyclegan[gcs]'"),
        (
            ["--data_dir=memory://b/x", "--engine=beam"],
            "--engine=beam: its workers share files by their paths, but --data_dir=memory://b/x",
        ),
    ],
)
def test_refusals(arguments, told, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gcsfs", None)
    assert run_command("program", "", "", Config, lambda _: None, arguments) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (
            FileNotFoundError("The specified bucket does not exist"),
            UserError,
            "not found (The specified bucket does not exist); make the bucket bucket, or",
        ),
        (PermissionError("Access Denied"), UserError, "refuses access (Access Denied); check"),
        (TimeoutError("slow"), RunError, "cannot be read (slow); run the same command"),
    ],
)
def test_errors_of_the_store(store, monkeypatch, error, kind, told):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr(type(store), "find", fails)
    with pytest.raises(kind, match=re.escape(told)), places.at_hand(Config(run_dir=PLACE)):
        pass


def test_too_little_room(store, monkeypatch):
    store.pipe_file("/bucket/run/a", b"12345")
    free = mirrors.shutil.disk_usage("/")._replace(free=4)
    monkeypatch.setattr(mirrors.shutil, "disk_usage", lambda _: free)
    with (
        pytest.raises(UserError, match="set TFCYCLEGAN_CACHE"),
        places.at_hand(Config(run_dir=PLACE)),
    ):
        pass


def test_local_places_are_untouched(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "bring", lambda _: None)
    config = Config(run_dir=str(tmp_path), data_dir="tfds:cycle_gan/horse2zebra,my.own:pictures")
    with places.at_hand(config) as given:
        assert given is config
    text = 'see https://a.b/c, {"x": "http://a"} or s3:/x'
    assert places.localized(text) == text and places.named(text) == text
