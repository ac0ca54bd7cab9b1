"""What keeps a server from starting: models that are none, ports that are taken, an extra that is
missing.
"""

import dataclasses
import io
import shutil
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.conftest import ROOT
from tests.test_serving import model_dir  # noqa: F401 - fixtures
from tfcyclegan import cli
from tfcyclegan.serving import client


class Foreign(tf.Module):
    """A SavedModel that is no translator."""

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32, name="images")])
    def __call__(self, images):
        return {"images": tf.reduce_mean(images, -1)}


def spoil(directory: Path, how: str) -> None:
    variables = directory / "1" / "variables"
    if how == "cut variables":
        data = next(variables.glob("*.data*"))
        data.write_bytes(data.read_bytes()[:1000])
    elif how == "no variables":
        shutil.rmtree(variables)
    elif how == "cut graph":
        graph = directory / "1" / "saved_model.pb"
        graph.write_bytes(graph.read_bytes()[:3000])
    elif how == "words":
        (directory / "1" / "saved_model.pb").write_text("words")
    elif how in ("foreign", "no signature"):
        shutil.rmtree(directory / "1")
        module = Foreign()
        tf.saved_model.save(
            module,
            str(directory / "1"),
            signatures={"tensor" if how == "foreign" else "other": module.__call__},
        )
    elif how == "empty":
        shutil.rmtree(directory / "1")


@pytest.mark.parametrize(
    "how",
    ["cut variables", "no variables", "cut graph", "words", "foreign", "no signature", "empty"],
)
def test_models_that_cannot_be_served(model_dir, tmp_path, capfd, how):  # noqa: F811
    shutil.copytree(model_dir / "3", tmp_path / "mine" / "1")
    spoil(tmp_path / "mine", how)
    assert (
        cli.main(["serve", f"--model_dir={tmp_path / 'mine'}", "--http_port=0", "--grpc_port=0"])
        == 2
    )
    lines = capfd.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and f"--model_dir={tmp_path / 'mine'}: " in lines[0]
    assert ("holds no exported model" in lines[0]) == (how == "empty")


def test_a_port_in_use(model_dir, capfd):  # noqa: F811
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert (
            cli.main(["serve", f"--model_dir={model_dir}", f"--http_port={port}", "--grpc_port=0"])
            == 2
        )
        assert f"--http_port={port}: cannot listen" in capfd.readouterr().err
        assert (
            cli.main(["serve", f"--model_dir={model_dir}", "--http_port=0", f"--grpc_port={port}"])
            == 2
        )
        assert f"--grpc_port={port}: cannot listen" in capfd.readouterr().err


def test_without_the_extra(model_dir, capfd, monkeypatch):  # noqa: F811
    monkeypatch.setitem(sys.modules, "kserve", None)
    monkeypatch.delitem(sys.modules, "tfcyclegan.serving.server", raising=False)
    assert cli.main(["serve", f"--model_dir={model_dir}"]) == 2
    assert "pip install 'tfcyclegan[serve]'" in capfd.readouterr().err


def test_the_model_list_for_tensorflow_serving():
    """Read by TensorFlow Serving's own schema; the package has none for batching and monitoring."""
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    text = (ROOT / "configs" / "serving" / "models.config").read_text()
    (served,) = text_format.Parse(
        text, model_server_config_pb2.ModelServerConfig()
    ).model_config_list.config
    assert (
        served.base_path == f"/models/{served.name}"
        and served.model_version_policy.latest.num_versions == 1
    )


def test_requests_are_read_as_the_training_read():
    from tests.test_names import NEGATIVE
    from tfcyclegan.serving import model, server  # noqa: F401 - the second keeps KServe from reading the command line

    stream = io.BytesIO()
    Image.fromarray(np.full((20, 16), 4095, np.uint16)).save(stream, "PNG")
    for reading, level in (({}, 16), ({"max_value": 4095}, 255)):
        translator = dataclasses.replace(NEGATIVE, reading=reading)
        (picture,), told = model._decode_all([stream.getvalue()], translator, 10**6, "instances")
        assert (picture == level).all() and ("so pictures become dark" in told) == (not reading), (
            reading
        )


def test_the_client_names_what_it_cannot_read_or_write(tmp_path, monkeypatch, capsys):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "in").mkdir()
    shutil.copy(tmp_path / "a.png", tmp_path / "in" / "b.png")
    url = "--url=http://127.0.0.1:1/v1/models/golden"
    monkeypatch.setattr(client, "translate", lambda url, pictures, **_: pictures)
    assert client.main([url, str(tmp_path / "in"), str(tmp_path / "a.png" / "out")]) == 1
    assert "b.png: cannot be written: Not a directory" in capsys.readouterr().err

    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", denied)
    assert client.main([url, str(tmp_path / "in"), str(tmp_path / "out")]) == 1
    told = capsys.readouterr().err
    assert f"{tmp_path / 'in' / 'b.png'}: cannot be read: Permission denied\n" in told
    assert "1 of 1 pictures were not translated" in told and not (tmp_path / "out").exists()


def test_the_client_does_not_send_its_own_results_again(tmp_path, monkeypatch, capsys):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    url = "--url=http://127.0.0.1:1/v1/models/golden"
    monkeypatch.setattr(client, "translate", lambda url, pictures, **_: pictures)
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        assert client.main([url, ".", "out"]) == 0
        told = capsys.readouterr().err
        assert ("out/a.png: not sent, since it lies in OUT" in told) == (number == 1)
        assert [path.name for path in (tmp_path / "out").rglob("*")] == ["a.png"]
    assert client.main([url, "out", "out"]) == 0, "the folder itself may be the input"
    assert "out/a.png: kept, since it already exists" in capsys.readouterr().err
    assert client.main([url, "out", "."]) == 0, "and may lie in the output"
    assert capsys.readouterr().err == "a.png: kept, since it already exists\n"
