"""The command `tfcyclegan demo` without a browser: models, samples, the exported site, the
server.
"""

import hashlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from email.message import Message
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tfcyclegan import cli
from tfcyclegan.config import Size
from tfcyclegan.demo import litert_js
from tfcyclegan.demo.models import find_model
from tfcyclegan.demo.web_server import open_server
from tfcyclegan.errors import UserError
from tfcyclegan.exporting import tflite
from tfcyclegan.system import downloads


def tflite_model(height: int, width: int, channels_out: int = 3) -> bytes:
    picture = keras.Input(batch_shape=(1, height, width, 3))
    return tflite.convert_model(
        keras.Model(picture, keras.layers.Conv2D(channels_out, 1, activation="tanh")(picture)),
        "float32",
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "tiny.tflite"
    path.write_bytes(tflite_model(16, 24))
    return path


@pytest.fixture(scope="module")
def litert():
    try:
        litert_js.fetch()
    except UserError as error:
        pytest.skip(str(error))


def export_folder(directory: Path, model: Path, variants: dict[str, dict], **metadata) -> Path:
    (directory / "1").mkdir(parents=True)
    for name in variants:
        (directory / "1" / f"{name}.tflite").write_bytes(model.read_bytes())
    (directory / "1" / "metadata.json").write_text(json.dumps({"variants": variants, **metadata}))
    return directory


def test_a_folder_gives_its_newest_versions_best_usable_variant(model, tmp_path):
    variants = {
        "float32": {"status": "usable"},
        "float16": {"status": "usable"},
        "int8": {"status": "usable"},
    }
    folder = export_folder(
        tmp_path / "mine", model, variants, domains={"from": "satellite", "to": "map"}
    )
    found = find_model(folder)
    assert (found.path.name, found.title, found.slug) == (
        "float16.tflite",
        "satellite → map",
        "satellite_to_map",
    )
    assert found.input_size == found.output_size == Size(16, 24)
    variants["float16"]["status"] = "unproven"
    (folder / "1").rename(folder / "9")
    export_folder(folder, model, {}).joinpath("1").rename(folder / "10")
    export_folder(tmp_path / "other", model, variants).joinpath("1").rename(folder / "11")
    found = find_model(folder)
    assert (found.path, found.title) == (folder / "11" / "float32.tflite", "mine"), (
        "11 is newer than 9, and its float16 is not usable"
    )
    assert find_model(folder / "9").path == folder / "9" / "float16.tflite"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such file; make one with tfcyclegan export"),
        (lambda path: path.write_bytes(b""), "broken.tflite is not a TFLite model, or damaged"),
        (
            lambda path: path.write_bytes(b"no model" * 100),
            "broken.tflite is not a TFLite model, or damaged",
        ),
        (
            lambda path: path.write_bytes(tflite_model(16, 16)[:-50]),
            "broken.tflite is not a TFLite model, or damaged",
        ),
        (
            lambda path: path.write_bytes(tflite_model(16, 16, 19)),
            r"gives float32 \[1, 16, 16, 19\]; the page runs translators of pictures",
        ),
        (lambda path: path.mkdir(), "no .tflite file found"),
    ],
)
def test_a_model_that_cannot_be_used_ends_in_one_line(make, message, tmp_path, capsys):
    path = tmp_path / "broken.tflite"
    make(path)
    assert cli.main(["demo", f"--model={path}", f"--export={tmp_path / 'site'}"]) == 2
    error = capsys.readouterr().err
    assert re.search(f"^tfcyclegan demo: --model={path}: .*{message}.*\n$", error), error
    assert not (tmp_path / "site").exists()


def test_other_wrong_requests(model, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "note.png").write_text("no picture")
    (tmp_path / "model.onnx").write_bytes(b"onnx")
    with open_server(tmp_path, 0) as taken:
        for arguments, message in (
            ([f"--model={tmp_path / 'model.onnx'}"], "not a .tflite file"),
            ([f"--model={tmp_path / 'nowhere'}"], "no such file or folder"),
            (
                [f"--model={model}", "--samples=a,b"],
                "--samples=a,b: give one folder, or one for each of the 1 models",
            ),
            (
                [f"--model={model}", "--export=site", "--port=80"],
                "--export: writes the page without serving it",
            ),
            (
                [f"--model={model}", f"--samples={tmp_path / 'empty'}"],
                f"--samples={tmp_path / 'empty'}: no pictures found",
            ),
            ([f"--model={model}", f"--samples={tmp_path / 'bad'}"], "note: text, not a picture"),
            (
                [f"--model={model}", f"--export={tmp_path}"],
                f"--export={tmp_path}: holds other files",
            ),
            (
                [f"--model={model}", f"--port={taken.server_port}"],
                f"--port={taken.server_port}: cannot be used",
            ),
        ):
            assert cli.main(["demo", *arguments]) == 2, arguments
            error = capsys.readouterr().err
            assert message in error and error.count("\n") == 1, error


def test_without_a_network_one_line_says_what_to_do(model, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(downloads.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9/")
    monkeypatch.setenv("NPM_CONFIG_CACHE", str(tmp_path / "npm"))
    monkeypatch.setenv("NPM_CONFIG_FETCH_RETRY_MINTIMEOUT", "1")
    arguments = ["demo", f"--model={model}", f"--export={tmp_path / 'site'}"]
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert (
        "files of @litertjs/core@2.5.3: cannot be downloaded (npm error code ECONNREFUSED); go "
        "online, or put litertjs-core" in error
    )
    assert error.count("\n") == 1 and [path.name for path in (tmp_path / "cache").iterdir()] == [
        ".lock"
    ]
    monkeypatch.setenv("PATH", "")
    assert cli.main(arguments) == 2
    assert (
        "npm downloads them but is not installed; install it, or go online"
        in capsys.readouterr().err
    )
    (tmp_path / "cache" / litert_js.CORE.filename).write_bytes(b"something else")
    assert cli.main(arguments) == 2
    assert "wrong SHA-256" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()


def test_the_exported_site_is_whole_and_relative(litert, model, tmp_path, capsys):
    samples = tmp_path / "samples"
    samples.mkdir()
    for number in range(3):
        Image.new("RGB", (30, 20), (number, 0, 0)).save(
            samples / f"{number}.{('png', 'jpg', 'webp')[number]}", lossless=True
        )
    site = tmp_path / "site"
    arguments = ["demo", f"--model={model},{model}", f"--samples={samples}", f"--export={site}"]
    assert cli.main(arguments) == 0
    assert f"exported to {site}" in capsys.readouterr().out
    described = json.loads((site / "demo.json").read_text())
    first, second = described["models"]
    digest = hashlib.sha256(model.read_bytes()).hexdigest()[:8]
    assert (first["width"], first["height"]) == (24, 16)
    assert first["file"] == f"models/1-tiny-{digest}.tflite", "other weights have another name"
    assert (site / second["file"]).read_bytes() == model.read_bytes() and first[
        "bytes"
    ] == model.stat().st_size
    without = [re.sub("-[0-9a-f]{8}", "", name) for name in first["samples"]]
    assert without == ["samples/1/1.png", "samples/1/2.jpeg", "samples/1/3.png"]
    with Image.open(site / second["samples"][2]) as third:
        assert third.size == (30, 20) and third.getpixel((0, 0)) == (2, 0, 0)
    for page in (
        "index.html",
        "app.js",
        "engine.js",
        "pictures.js",
        "worker.js",
        "style.css",
        "litert/index.js",
        "litert/LICENSE.txt",
    ):
        assert (site / page).stat().st_size > 1000, page
    wasm = {path.name for path in (site / "litert").glob("*.wasm")}
    assert wasm == {
        f"litert_wasm_{kind}internal.wasm" for kind in ("", "compat_", "jspi_", "threaded_")
    }
    imports = re.findall(
        r'^import .* from "(.+)";', (site / "litert/index.js").read_text(), re.MULTILINE
    )
    assert imports == ["./wasm-utils.js"]
    for path in site.glob("*.*"):
        assert not re.search(
            r"""(src|href|from|url\()\s*[=(]?\s*["']?(https?:)?//?\w""", path.read_text()
        ), f"{path} names an absolute place"
    (site / "demo.json").write_text("{}")
    assert cli.main(arguments) == 0, "an older export is replaced"
    assert json.loads((site / "demo.json").read_text()) == described
    assert sorted(path.name for path in tmp_path.iterdir()) == ["samples", "site"], (
        "nothing half-written stays"
    )
    (site / ".git").mkdir()
    assert cli.main(arguments) == 2 and (site / ".git").is_dir()
    assert "holds other files, such as .git, which a new export" in capsys.readouterr().err


def test_an_export_that_fails_leaves_the_old_one(litert, model, tmp_path, monkeypatch):
    site = tmp_path / "site"
    assert cli.main(["demo", f"--model={model}", f"--export={site}"]) == 0
    before = {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}

    def fail(directory: Path) -> None:
        raise OSError(28, "No space left on device", str(directory))

    monkeypatch.setattr(litert_js, "unpack", fail)
    assert cli.main(["demo", f"--model={model}", f"--export={site}"]) == 1
    assert {path: path.read_bytes() for path in site.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_the_server_gives_the_folders_files_with_headers_and_nothing_else(tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    (site / "worker.js").write_text("1")
    (site / "folder").mkdir()
    (tmp_path / "secret.txt").write_text("secret")

    def ask(path: str, method: str = "GET", host: str = "") -> tuple[int, Message, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        connection.request(method, path, headers={"Host": host} if host else {})
        response = connection.getresponse()
        return response.status, response.headers, response.read()

    with open_server(site, 0) as server:
        assert server.server_address[0] == "127.0.0.1"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        status, headers, content = ask("/worker.js")
        assert (status, content, headers["Content-Type"]) == (200, b"1", "text/javascript")
        assert (
            headers["Cross-Origin-Opener-Policy"] == "same-origin"
            and headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        )
        assert "connect-src 'self'" in headers["Content-Security-Policy"]
        for path in (
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/folder/../../secret.txt",
            "/..%2fsecret.txt",
            f"/{tmp_path}/secret.txt",
        ):
            status, _, content = ask(path)
            assert status == 404 and b"secret" not in content, path
        assert ask("/folder/")[0] == ask("/")[0] == ask("/nothing")[0] == 404, "no listings"
        assert ask("/worker.js", method="POST")[0] == 501
        assert ask("/worker.js", host="evil.example")[0] == 403
        assert ask("/worker.js", host=f"localhost:{server.server_port}")[0] == 200
        server.shutdown()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_demo_cleanly(litert, model, number, tmp_path):
    command = [sys.executable, "-m", "tfcyclegan.cli", "demo", f"--model={model}"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        said = ""
        while "the demo is at http://127.0.0.1:" not in said:
            said = process.stdout.readline()
            assert said, process.stderr.read()
        assert len(list(tmp_path.glob("tfcyclegan-demo-*/index.html"))) == 1
        process.send_signal(number)
        out, error = process.communicate(timeout=20)
    assert (process.returncode, out, error) == (0, "stopped\n", "")
    assert list(tmp_path.iterdir()) == []


def test_gray_pictures_are_read_as_pillow_reads_them():
    """The formula of worker.js for models of one channel, computed here; it is Pillow's."""
    weights = tuple(
        map(
            int,
            re.search(
                r"(\d+) \* red \+ (\d+) \* green \+ (\d+) \* blue",
                (ROOT / "tfcyclegan/demo/site/worker.js").read_text(),
            ).groups(),
        )
    )
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    ours = (pixels.astype(int) @ weights + 32768) >> 16
    assert np.array_equal(ours, np.asarray(Image.fromarray(pixels).convert("L")))
