"""The demo's page with a model that takes latents, in headless Chromium: its slider chooses the
answer that LiteRT computes in Python for the same latent.
"""

import numpy as np
import pytest

from tests.browser import canvas, give, serving_site, upload
from tests.test_augmented import generator
from tfcyclegan import cli
from tfcyclegan.config import Size
from tfcyclegan.data import images
from tfcyclegan.exporting import tflite, tflite_latents
from tfcyclegan.translation.answers import drawn

pytestmark = pytest.mark.browser

SIDE = 32


def test_the_slider_chooses_among_the_answers(chromium, tmp_path):
    made = generator()
    content = tflite_latents.convert(made, Size(SIDE, SIDE))
    (tmp_path / "many.tflite").write_bytes(content)
    site = tmp_path / "site"
    assert cli.main(["demo", f"--model={tmp_path / 'many.tflite'}", f"--export={site}"]) == 0
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    program, latents = tflite.Program(content), drawn(2, 0, made.latent_size)
    mixture = np.sqrt(0.5) * (latents[0] + latents[1])
    shown = {0: np.zeros_like(mixture), 1: latents[0], 1.5: mixture, 2: latents[1]}
    with serving_site(site) as address:
        page = chromium.new_page()
        page.goto(address)
        page.wait_for_selector("#message:has-text('Choose a picture')")
        assert page.is_visible("#answer") and page.get_attribute("#answer", "max") == "8"
        give(page, upload("picture.png", "image/png", images.encode_png(pixels)))
        outputs = []
        for place, latent in shown.items():
            page.evaluate("document.getElementById('facts').textContent = ''")
            page.evaluate(
                """(place) => {
                  const slider = document.getElementById("answer");
                  slider.value = place;
                  slider.dispatchEvent(new Event("input"));
                }""",
                place,
            )
            page.wait_for_selector("#facts:not(:empty)")
            told = "the mean answer" if not place else f"answer {place}"
            assert page.inner_text("#answer_told") == told
            wanted = images.to_uint8(
                program(images.to_float(pixels)[np.newaxis], np.float32(latent)[np.newaxis])[0]
            )
            outputs.append(canvas(page, "output").astype(int))
            assert np.abs(outputs[-1] - wanted).max() <= 2
        assert min(np.abs(one - outputs[0]).max() for one in outputs[1:]) > 8, "they differ"
