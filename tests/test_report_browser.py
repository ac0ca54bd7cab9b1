"""The pages of runs in headless Chromium, from disk: sharp pictures, sliders, phones, dark mode,
keyboard and screen reader, and nothing asked of other servers.
"""

import base64
import io
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.browser import barriers
from tests.conftest import eagerly
from tests.test_training import config
from tfcyclegan import cli, pages
from tfcyclegan.training.trainer import train

pytestmark = pytest.mark.browser

PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 900}
WIDE = {"width": 1920, "height": 1080}


@pytest.fixture(scope="module")
def report(tiles, tmp_path_factory) -> Path:
    """A run's report with a whole picture, its evaluation, and a comparison of it with itself."""
    place = tmp_path_factory.mktemp("report")
    run = place / "run"
    with eagerly():
        train(config(tiles, run, max_steps=4, log_every_steps=1, eval_every_steps=2, eval_images=8))
    noise = np.random.default_rng(0).integers(0, 256, (24, 60, 3), np.uint8)
    Image.fromarray(noise).save(place / "region.png")
    of_run = f"--run_dir={run}"
    region = [f"--input={place}/region.png", f"--output={place}/out", "--scale=original"]
    assert cli.main(["translate", of_run, *region, "--report"]) == 0
    assert cli.main(["evaluate", of_run, "--direction=both", "--features=none"]) == 0
    shutil.copytree(run, place / "again")
    runs = f"--run_dirs={run},{place / 'again'}"
    assert cli.main(["compare", runs, f"--output={run / 'compare.html'}"]) == 0
    return run / "report.html"


@pytest.fixture
def opened(chromium, report):
    """Opens the report, or another page of the run; whatever it asks for but itself fails the
    test.
    """
    contexts, asked, wanted = [], [], set()

    def open_page(name: str = "report.html", **settings):
        page = chromium.new_context(**settings).new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        url = (report.parent / name).as_uri()
        page.goto(url)
        page.wait_for_function(
            "[...document.querySelectorAll('.tiles > *')].every(e => e.style.width)"
        )
        contexts.append(page.context)
        wanted.add(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert {url for url in asked if not url.startswith("data:")} == wanted


def pixels_of(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), np.int16)


def shot(element) -> np.ndarray:
    return pixels_of(element.screenshot())


def source(image) -> np.ndarray:
    """The pixels that an <img> holds."""
    return pixels_of(base64.b64decode(image.get_attribute("src").split(",")[1]))


def enlarged(pixels: np.ndarray, element, ratio: float = 1) -> np.ndarray:
    """Pixels as large as an element is, each a square."""
    times = round(element.bounding_box()["width"] * ratio / pixels.shape[1])
    return pixels.repeat(times, axis=0).repeat(times, axis=1)


def assert_shows(element, expected: np.ndarray, ratio: float = 1) -> None:
    """A screenshot begins and ends at whole CSS pixels, before and after the element."""
    found = shot(element)
    height, width = expected.shape[:2]
    around = range(math.ceil(ratio) + 1)
    cut = [found[top : top + height, left : left + width] for top in around for left in around]
    whole = [part for part in cut if part.shape == expected.shape]
    assert min(np.abs(part - expected).mean() for part in whole) < 1


@pytest.mark.parametrize(
    ("name", "viewport", "ratio"),
    [
        ("report.html", DESKTOP, 1),
        ("report.html", WIDE, 1.5),
        ("report.html", PHONE, 3),
        ("evaluation/index.html", DESKTOP, 1),
        ("compare.html", DESKTOP, 2),
    ],
)
def test_pictures_are_sharp_and_use_the_width(opened, name, viewport, ratio):
    page = opened(name, viewport=viewport, device_scale_factor=ratio)
    groups = page.evaluate(
        """[...document.querySelectorAll('.tiles')].map((group) => [group.clientWidth, [
          ...group.children].map((tile) => [Number(tile.dataset.panels),
            tile.querySelector('img').naturalWidth, tile.getBoundingClientRect().width])])"""
    )
    assert groups
    for room, tiles in groups:
        for panels, own, width in tiles:
            times = width * ratio / own
            assert times == pytest.approx(round(times), abs=0.01) and round(times) >= 1
            across = min(len(tiles), int((room + 13) / (width + 12.8)))
            assert across * width > room / 2 or width + own / ratio > 256 * panels
    image = page.locator(".tiles figure img").first
    assert_shows(image, enlarged(source(image), image, ratio), ratio)


def test_larger_pictures_are_shrunk_smoothly(opened):
    page = opened(viewport={"width": 320, "height": 740})
    group = page.locator(".tiles").first
    group.evaluate("e => e.querySelectorAll('img').forEach((i) => i.setAttribute('width', 4000))")
    page.set_viewport_size({"width": 319, "height": 740})
    page.wait_for_selector(".tiles:first-of-type > .shrunk")
    tile = group.locator("> *").first
    assert tile.bounding_box()["width"] == pytest.approx(319 - 32, abs=1)
    rendering = "e => getComputedStyle(e).imageRendering"
    assert tile.locator("img").evaluate(rendering) == "auto"


@pytest.mark.parametrize(("index", "name"), [(0, "translated"), (1, "cycled")])
def test_a_slider_moves_from_the_real_pictures_to_the_others(opened, index, name):
    page = opened(viewport=DESKTOP)
    slider = page.locator(".slider").nth(index)
    assert name in slider.locator("h3").inner_text()
    layers = slider.locator(".layers").first
    real, other = (source(layers.locator("img").nth(each)) for each in (0, 1))
    assert np.abs(real - other).mean() > 5, "they differ, so the comparison says something"
    real, other = (enlarged(each, layers) for each in (real, other))
    middle = real.shape[1] // 2
    halves = np.concatenate([real[:, :middle], other[:, middle:]], axis=1)
    handle = slider.locator("input")
    for key, share, expected in (("Home", 0, real), ("End", 100, other), (None, 50, halves)):
        if key:
            handle.press(key)
        else:
            handle.fill("50")
        assert handle.get_attribute("aria-valuetext") == f"{share} %"
        assert_shows(layers, expected)


@pytest.mark.parametrize("name", ["report.html", "evaluation/index.html", "compare.html"])
@pytest.mark.parametrize(
    ("viewport", "scheme"), [(PHONE, "dark"), (DESKTOP, "light"), (WIDE, "dark")]
)
def test_it_fits_and_bars_nobody(opened, name, viewport, scheme):
    page = opened(name, viewport=viewport, color_scheme=scheme)
    if name == "report.html":
        page.locator("summary").click()
    assert page.evaluate("document.scrollingElement.scrollWidth") <= viewport["width"]
    assert barriers(page) == []


def test_the_page_of_an_adaptation_bars_nobody(opened, report):
    arms, url = (
        ["source only", "translated"],
        pages.data_url((report.parents[1] / "region.png").read_bytes()),
    )
    results = {"source": "toy", "target": "city", "segmenter": "U-Net", "seeds": [0], "note": "one"}
    page = pages.render(
        "adaptation.html",
        results=results | {"class_ious": {arm: {"road": 0.5} for arm in arms}},
        rows=[({"name": arm, "scores": [50.0]}, ["50.0", "", "", "", ""]) for arm in arms],
        classes=["road"],
        bars="<svg></svg>",
        curves="<svg></svg>",
        arms=arms,
        seed=0,
        examples=[[url] * 4],
    )
    (report.parent / "adaptation.html").write_text(page)
    assert barriers(opened("adaptation.html", viewport=PHONE)) == []


def test_wide_tables_are_scrolled_by_keyboard(opened):
    page = opened("evaluation/index.html", viewport=PHONE)
    table = page.locator(".scrolled").first
    table.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.activeElement.scrollLeft > 0")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_it_follows_the_systems_colours(opened, scheme, dark):
    page = opened(viewport=DESKTOP, color_scheme=scheme)
    top = shot(page)[:20].mean()
    assert (top < 60) == dark
    ink = page.evaluate("getComputedStyle(document.body).color")
    assert (int(ink.split("(")[1].split(",")[0]) > 128) == dark
