"""One picture through a trained model by every way there is: they show the same."""

import io
import threading

import numpy as np
import pytest
from PIL import Image

from tests.browser import canvas, give, upload
from tests.exports import assert_same_picture, encode, sampled, shown_by_each
from tests.servers import serving
from tests.test_training import config
from tfcyclegan import cli
from tfcyclegan.demo.web_server import open_server
from tfcyclegan.serving import client
from tfcyclegan.training.trainer import train

pytestmark = pytest.mark.browser
STEPS = 200


@pytest.fixture(scope="module")
def run_dir(tiles, tmp_path_factory):
    directory = tmp_path_factory.mktemp("trained") / "run"
    rarely = {"sample_every_steps": STEPS, "checkpoint_every_steps": STEPS, "log_every_steps": 50}
    train(
        config(
            tiles,
            directory,
            max_steps=STEPS,
            precision="mixed_bfloat16",
            upsampling="resize",
            **rarely,
        )
    )
    return directory


def test_training_sample_to_browser_canvas(run_dir, tmp_path, chromium):
    model_dir = tmp_path / "model"
    assert cli.main(["export", f"--run_dir={run_dir}", f"--output={model_dir}"]) == 0
    source, drawn = sampled(run_dir, STEPS)
    shown = shown_by_each(model_dir / "1", run_dir, source)
    with serving(model_dir) as server:
        shown["REST"] = np.asarray(
            Image.open(io.BytesIO(client.translate(server.url, [encode(source)])[0]))
        )
    assert cli.main(["demo", f"--model={model_dir}", f"--export={tmp_path / 'site'}"]) == 0
    with open_server(tmp_path / "site", 0) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        page = chromium.new_page()
        page.goto(f"http://127.0.0.1:{site.server_port}/")
        page.wait_for_selector("#facts:not(:empty)")
        give(page, upload("tile.png", "image/png", encode(source)))
        assert np.array_equal(canvas(page, "input"), source)
        shown["browser"] = canvas(page, "output")
        site.shutdown()
    assert_same_picture(shown, drawn)
