"""The demo's page in headless Chromium: what it shows is what LiteRT computes in Python, and
nothing leaves this machine.

`make test_browser`, or `pytest -n 0 -m browser`; needs Chromium and pip install
tfcyclegan[browser].
"""

import base64
import functools
import http.server
import io
import json
import threading
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from tests.browser import (
    SIDE,
    assert_translated,
    canvas,
    give,
    noise,
    png,
    serving_site,
    upload,
)
from tests.test_training import config
from tfcyclegan import cli
from tfcyclegan.config import Size
from tfcyclegan.data import images
from tfcyclegan.exporting import tflite
from tfcyclegan.exporting.exporter import export
from tfcyclegan.training import whole_pictures
from tfcyclegan.training.checkpoints import load_generator
from tfcyclegan.training.runs import read_run
from tfcyclegan.training.trainer import train

pytestmark = pytest.mark.browser

WHOLE = np.random.default_rng(9).integers(0, 256, (SIDE, 3 * SIDE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def models(tiles, tmp_path_factory) -> list[Path]:
    """Both directions of a run of a few steps on real tiles: an export, and a bare file."""
    place = tmp_path_factory.mktemp("trained")
    train(config(tiles, place / "run", max_steps=4, upsampling="resize"))
    run = read_run(place / "run")
    whole_pictures.write(run.directory, "region", "ab", {"input": WHOLE}, checkpoint="latest")
    version = export(run, "latest", "ab", place / "exported", None)
    bare = place / "back.tflite"
    bare.write_bytes(
        tflite.convert(load_generator(run, "latest", "ba"), "float32", Size(SIDE, SIDE))
    )
    return [version / "float16.tflite", bare]


@pytest.fixture(scope="module")
def site(models, tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("demo") / "site"
    assert (
        cli.main(["demo", f"--model={models[0].parents[1]},{models[1]}", f"--export={directory}"])
        == 0
    )
    return directory


@pytest.fixture(scope="module")
def address(site):
    with serving_site(site) as address:
        yield address


@pytest.fixture
def open_page(chromium, address):
    """Opens the demo; at the end of the test, no request may have gone anywhere else, and no script
    have failed.
    """
    contexts, hosts, failures = [], set(), []

    def open_it(url: str = "", *, ready: bool = True, script: str = "", routes=(), **options):
        context = chromium.new_context(
            **{
                "viewport": {"width": 1280, "height": 800},
                "permissions": ["camera"],
                "service_workers": "block",  # they would answer before a test's routes
                **options,
            }
        )
        contexts.append(context)
        context.on(
            "request",
            lambda request: hosts.add(
                urlsplit(request.url).hostname or urlsplit(request.url).scheme
            ),
        )
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: failures.append(str(error)))
        for pattern, handler in routes:
            context.route(pattern, handler)
        if script:
            page.add_init_script(script)
        page.goto(url if url.startswith("http") else address + url)
        if ready:
            page.wait_for_selector("#facts:not(:empty)")
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert hosts <= {"127.0.0.1", "blob", "data"} and "127.0.0.1" in hosts
    assert failures == []


@pytest.mark.parametrize(
    ("backends", "told"), [("", "WebAssembly, "), ("?backends=wasm", "WebAssembly \N{MIDDLE DOT} ")]
)
def test_the_canvas_shows_what_litert_computes_in_python(open_page, models, backends, told):
    page = open_page(backends)
    pixels = noise()
    give(page, png(pixels))
    assert_translated(page, models[0], pixels)
    facts = page.inner_text("#facts")
    assert (
        told in facts
        and "ms a picture" in facts
        and facts.endswith(f"{SIDE}\N{MULTIPLICATION SIGN}{SIDE}")
    )
    assert float(page.get_attribute("#facts", "data-milliseconds")) > 0


def test_a_static_host_without_headers_serves_it_too(open_page, site, models):
    class Plain(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Plain, directory=str(site.parent))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = open_page(f"http://127.0.0.1:{server.server_port}/{site.name}/")
        assert not page.evaluate("crossOriginIsolated")
        give(page, png(noise()))
        assert_translated(page, models[0], noise())
        assert "threads" not in page.inner_text("#facts")
        page.context.close()
        server.shutdown()


def test_the_direction_can_be_switched(open_page, models, site):
    page = open_page()
    first, second = json.loads((site / "demo.json").read_text())["models"]
    assert (first["title"], second["title"]) == (
        "satellite → map",
        "back",
    ) and "satellite → map" in page.title()
    assert page.locator("#samples button").count() == len(first["samples"]) > 1
    assert "satellite2map, a whole picture and test pictures" in page.inner_text("#about")
    assert np.array_equal(canvas(page, "input"), WHOLE[:, SIDE : 2 * SIDE])
    assert page.get_attribute("#samples button >> nth=0", "aria-pressed") == "true", (
        "the first sample is shown at once"
    )
    page.evaluate("document.getElementById('facts').textContent = ''")
    page.click("#samples button >> nth=1")
    page.wait_for_selector("#facts:not(:empty)")
    assert page.get_attribute("#samples button >> nth=1", "aria-pressed") == "true"
    assert_translated(page, models[0], canvas(page, "input"))
    page.click("#directions label >> nth=1")
    page.wait_for_selector("#message:has-text('Choose a picture')")
    assert page.locator("#samples button").count() == 0 and "back" in page.title()
    give(page, png(noise()))
    assert_translated(page, models[1], noise())
    page.evaluate("document.getElementById('facts').textContent = ''")
    page.click("#directions label >> nth=0")
    page.wait_for_selector("#facts:not(:empty)")
    assert_translated(page, models[0], noise())


def test_pictures_are_upright_on_white_and_cut_from_the_middle(open_page):
    page = open_page()
    wide = np.zeros((SIDE, 3 * SIDE, 3), np.uint8)
    wide[:, SIDE : 2 * SIDE] = noise()
    give(page, png(wide))
    assert np.array_equal(canvas(page, "input"), noise())

    clear = io.BytesIO()
    Image.new("RGBA", (SIDE, SIDE), (255, 0, 0, 0)).save(clear, "PNG")
    give(page, upload("clear.png", "image/png", clear.getvalue()))
    assert (canvas(page, "input") == 255).all()

    top_red = np.zeros((SIDE, SIDE, 3), np.uint8)
    top_red[: SIDE // 2] = (255, 0, 0)
    turned, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 8  # the camera was turned: upright, what is on top lies at the left
    Image.fromarray(top_red).save(turned, "JPEG", quality=95, exif=exif)
    give(page, upload("turned.jpg", "image/jpeg", turned.getvalue()))
    shown = canvas(page, "input").astype(int)
    assert shown[SIDE // 2, 4, 0] > 200 and shown[SIDE // 2, -4, 0] < 50


def test_a_dropped_picture_is_translated(open_page, models):
    page = open_page()
    encoded = base64.b64encode(images.encode_png(noise(seed=1))).decode()
    page.evaluate("document.getElementById('facts').textContent = ''")
    page.evaluate(
        """(encoded) => {
          const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], "dropped.png", { type: "image/png" }));
          dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, cancelable: true }));
        }""",
        encoded,
    )
    page.wait_for_selector("#facts:not(:empty)")
    assert_translated(page, models[0], noise(seed=1))


def test_what_is_no_picture_is_named_and_the_last_one_stays(open_page):
    page = open_page()
    give(page, png(noise()))
    before = canvas(page, "output")
    whole = io.BytesIO()
    Image.fromarray(noise(64, 64)).save(whole, "JPEG")
    for file, words in (
        (upload("notes.txt", "text/plain", b"words"), "notes.txt is not a picture"),
        (upload("empty.png", "image/png", b""), "empty.png is damaged"),
        (
            upload("half.jpg", "image/jpeg", whole.getvalue()[: len(whole.getvalue()) // 2]),
            "half.jpg is damaged",
        ),
        (
            upload("half.png", "image/png", images.encode_png(noise(64, 64))[:-400]),
            "half.png is damaged",
        ),
    ):
        page.set_input_files("#file", file)
        page.wait_for_selector(f"#message.bad:has-text('{words}')")
        assert np.array_equal(canvas(page, "output"), before)
    give(page, png(noise(seed=2)))
    assert page.inner_text("#message") == "" and not np.array_equal(canvas(page, "output"), before)


def broken(route) -> None:
    route.fulfill(body=b"x" * len(route.fetch().body()))


def half(route) -> None:
    content = route.fetch().body()
    route.fulfill(body=content[: len(content) // 2])


@pytest.mark.parametrize(
    ("pattern", "handler", "words"),
    [
        ("**/models/*", broken, "cannot be run in this browser"),
        ("**/models/*", half, "did not arrive whole"),
        ("**/models/*", lambda route: route.fulfill(status=404), "cannot be loaded (HTTP 404)"),
        (
            "**/models/*",
            lambda route: route.abort(),
            "cannot be loaded; is the server still running?",
        ),
        ("**/demo.json", lambda route: route.abort(), "demo.json cannot be loaded"),
        ("**/litert/*.wasm", lambda route: route.abort(), "cannot be run in this browser"),
        ("**/litert/index.js", lambda route: route.abort(), "cannot be run in this browser"),
        ("**/worker.js", lambda route: route.fulfill(status=404), "cannot be run in this browser"),
    ],
)
def test_files_that_do_not_come_are_told(open_page, pattern, handler, words):
    page = open_page(ready=False, routes=[(pattern, handler)])
    page.wait_for_selector("#message.bad")
    assert words in page.inner_text("#message")
    assert page.is_disabled("#choose") and not page.is_visible("#progress")


def test_a_broken_second_model_leaves_the_first_usable(open_page, models):
    page = open_page(routes=[("**/models/2-*", broken)])
    page.click("#directions label >> nth=1")
    page.wait_for_selector("#message.bad:has-text('cannot be run')")
    page.click("#directions label >> nth=0")
    page.wait_for_selector("#facts:not(:empty)")
    give(page, png(noise()))
    assert_translated(page, models[0], noise())
    assert "threads" in page.inner_text("#facts"), (
        "the backend is not given up for a model that none can run"
    )


def test_a_backend_that_fails_gives_way_to_the_next(open_page, models):
    page = open_page(routes=[("**/litert_wasm_threaded_internal.js", lambda route: route.abort())])
    give(page, png(noise()))
    assert_translated(page, models[0], noise())
    assert "threads" not in page.inner_text("#facts")


def test_a_browser_without_webassembly_is_told(open_page):
    page = open_page(ready=False, script="delete window.WebAssembly")
    page.wait_for_selector("#message.bad:has-text('lacks WebAssembly')")


def test_the_slider_and_the_views(open_page):
    page = open_page()
    covered = "getComputedStyle(document.querySelector('.after')).clipPath"
    assert "50%" in page.evaluate(covered)
    page.focus("#split")
    page.keyboard.press("End")
    assert "100%" in page.evaluate(covered)
    box = page.locator("#input").bounding_box()
    page.mouse.move(box["x"] + box["width"], box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    assert float(page.input_value("#split")) == pytest.approx(25, abs=1)
    page.click("#view >> text=Side by side")
    before, after = page.locator("#input").bounding_box(), page.locator("#output").bounding_box()
    assert before["x"] + before["width"] <= after["x"] and before["y"] == after["y"]
    assert page.evaluate(covered) == "none" and not page.is_visible("#split")


def test_a_phones_screen(open_page):
    page = open_page(viewport={"width": 320, "height": 740}, has_touch=True, is_mobile=True)
    for width, view in (
        (320, "Side by side"),
        (360, "Slider"),
        (400, "Side by side"),
        (320, "Slider"),
    ):
        page.set_viewport_size({"width": width, "height": 740})
        page.click(f"#view >> text={view}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for element in ("#choose", "#camera", "#download", "#output", "#samples button >> nth=0"):
            box = page.locator(element).bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= width and box["height"] >= 40, (
                element
            )


def luminance(colour: str) -> float:
    channels = [
        int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(", ")
    ]
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in channels
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_light_and_dark_text_can_be_read(open_page):
    page = open_page()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        paper = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert (paper < 0.1) == (scheme == "dark")
        for element in ("h1", "#facts", "#about", "#camera", "footer"):
            ink = luminance(
                page.evaluate(
                    "name => getComputedStyle(document.querySelector(name)).color", element
                )
            )
            assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) >= 4.5, (
                f"{element}: contrast of WCAG AA"
            )


def test_the_download_is_the_canvas(open_page):
    page = open_page()
    give(page, png(noise()))
    with page.expect_download() as caught:
        page.click("#download")
    assert caught.value.suggested_filename.startswith(
        "picture-"
    ) and caught.value.suggested_filename.endswith(".png")
    with Image.open(caught.value.path()) as picture:
        assert picture.format == "PNG" and np.array_equal(
            np.asarray(picture.convert("RGB")), canvas(page, "output")
        )


def test_the_browser_refuses_requests_to_other_hosts(open_page, address):
    """The page's own policy, beside what the other tests see of its requests: from the page and
    from its worker.
    """
    page = open_page()
    elsewhere = address.replace("127.0.0.1", "localhost")
    attempt = "url => fetch(url).then(() => 'sent', (error) => error.name)"
    assert page.evaluate(attempt, elsewhere) == "TypeError"
    assert page.evaluate(attempt, f"{address}demo.json") == "sent"
    # its threads are busy waiting
    worker = next(worker for worker in page.workers if worker.url.endswith("/worker.js"))
    assert worker.evaluate(attempt, elsewhere) == "TypeError"
