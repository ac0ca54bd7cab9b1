"""A run's report in headless Chromium, from disk: sliders, phones, dark mode, and nothing asked of
other servers.
"""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.test_training import config
from tfcyclegan.training.trainer import train

pytestmark = pytest.mark.browser

PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def report(tiles, tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("report") / "run"
    train(
        config(tiles, directory, max_steps=12, log_every_steps=2, eval_every_steps=4, eval_images=8)
    )
    return directory / "report.html"


@pytest.fixture
def opened(chromium, report):
    """Opens the report; whatever it asks for but itself fails the test."""
    pages, asked = [], []

    def open_page(**settings):
        page = chromium.new_context(**settings).new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        page.goto(report.as_uri())
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.context.close()
    assert {url for url in asked if not url.startswith("data:")} == {report.as_uri()}


def shot(element) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(element.screenshot())).convert("RGB"), np.int16)


@pytest.mark.parametrize(("index", "name"), [(0, "translated"), (1, "cycled")])
def test_a_slider_moves_from_the_real_pictures_to_the_others(opened, report, index, name):
    page = opened(viewport=DESKTOP)
    strip = np.asarray(
        Image.open(max((report.parent / "samples").glob("test-*-ab.png"))).convert("RGB"), np.int16
    )
    slider = page.locator(".slider").nth(index)
    assert name in slider.locator("h3").inner_text()
    # one pixel of the strip a pixel of the screen
    width = int(slider.evaluate("element => getComputedStyle(element).getPropertyValue('--width')"))
    layers = slider.locator(".layers")
    layers.evaluate(
        f"element => {{ element.style = 'position: fixed; inset: 0 auto auto 0; border-radius: 0; "
        f"width: {width}px' }}"
    )
    gap = (strip.shape[1] - 4 * width) // 3
    columns = [strip[:, start : start + width] for start in range(0, strip.shape[1], width + gap)]
    for value, expected in ((0, columns[0]), (100, columns[index + 1])):
        slider.locator("input").evaluate(
            f"element => {{ element.value = {value}; element.oninput() }}"
        )
        assert np.abs(shot(layers) - expected).mean() < 1, f"at {value} %"
    slider.locator("input").evaluate("element => { element.value = 50; element.oninput() }")
    halves = np.concatenate(
        [columns[0][:, : width // 2], columns[index + 1][:, width // 2 :]], axis=1
    )
    assert np.abs(shot(layers) - halves).mean() < 1
    assert np.abs(columns[0] - columns[index + 1]).mean() > 5, (
        "the columns differ, so the comparisons say something"
    )


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP])
def test_nothing_sticks_out_of_the_page(opened, viewport):
    page = opened(viewport=viewport)
    page.locator("summary").click()
    assert page.evaluate("document.scrollingElement.scrollWidth") <= viewport["width"]
    assert page.locator(".curve svg").count() >= 4
    widths = page.evaluate(
        "[...document.querySelectorAll('.curve svg, .strip img, .slider')].map(e => "
        "e.getBoundingClientRect().width)"
    )
    assert min(widths) > 100


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_it_follows_the_systems_colours(opened, scheme, dark):
    page = opened(viewport=DESKTOP, color_scheme=scheme)
    top = shot(page)[:20].mean()
    assert (top < 60) == dark
    ink = page.evaluate("getComputedStyle(document.body).color")
    assert (int(ink.split("(")[1].split(",")[0]) > 128) == dark
