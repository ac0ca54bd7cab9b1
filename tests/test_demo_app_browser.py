"""The demo's page in headless Chromium: kept for use without a network, camera and videos at even
intervals, keyboard and screen reader.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.browser import (
    SIDE,
    assert_translated,
    barriers,
    canvas,
    canvas_of,
    expected,
    give,
    noise,
    png,
    serving_site,
    upload,
)
from tests.test_demo_browser import address, models, open_page, site  # noqa: F401 - fixtures

pytestmark = pytest.mark.browser


def test_it_works_without_a_network_once_it_was_seen(open_page, site, models):  # noqa: F811
    with serving_site(site) as served:
        page = open_page(served, service_workers="allow")
        page.wait_for_selector("#offline:has-text('Works offline')")
    page.reload()
    page.wait_for_selector("#facts:not(:empty)")
    assert page.evaluate("crossOriginIsolated"), "headers are kept, too"
    for direction, model in enumerate(models):
        page.evaluate("document.getElementById('facts').textContent = ''")
        page.click(f"#directions label >> nth={direction}")
        give(page, png(noise()))
        assert_translated(page, model, noise())


def test_it_can_be_installed(open_page, site):  # noqa: F811
    page = open_page(service_workers="allow")
    page.wait_for_selector("#offline:has-text('Works offline')")
    browser = page.context.new_cdp_session(page)
    found = browser.send("Page.getAppManifest")
    assert found["errors"] == [] and found["url"].endswith("/app.webmanifest")
    manifest = json.loads(found["data"])
    assert all((site / icon["src"]).is_file() for icon in manifest["icons"])
    errors = browser.send("Page.getInstallabilityErrors")["installabilityErrors"]
    # contexts of tests are incognito ones, in which browsers install nothing
    assert {error["errorId"] for error in errors} <= {"in-incognito"}


def test_a_new_export_replaces_what_was_kept(open_page, site, models, tmp_path):  # noqa: F811
    with serving_site(tmp_path / "site") as served:
        shutil.copytree(site, tmp_path / "site")
        page = open_page(served, service_workers="allow")
        page.wait_for_selector("#offline:has-text('Works offline')")
        described = json.loads((tmp_path / "site" / "demo.json").read_text())
        described["models"] = described["models"][1:]
        (tmp_path / "site" / "demo.json").write_text(json.dumps(described))
        page.reload()
        page.wait_for_selector("#offline:has-text('Works offline')")
        kept = page.evaluate(
            "caches.open('tfcyclegan-demo').then((c) => c.keys()).then((k) => k.map((r) => r.url))"
        )
    (name,) = [url.split("/")[-1] for url in kept if "/models/" in url]
    assert name.startswith("2-back-")
    page.reload()
    page.wait_for_selector("#choose:enabled")
    give(page, png(noise()))
    assert_translated(page, models[1], noise())


def test_the_command_itself_leaves_nothing_in_the_browser(open_page, site, tmp_path):  # noqa: F811
    shutil.copytree(site, tmp_path / "site")
    described = json.loads((tmp_path / "site" / "demo.json").read_text())
    assert described.pop("offline") is True, "an export is for use without a network"
    (tmp_path / "site" / "demo.json").write_text(json.dumps(described | {"offline": False}))
    with serving_site(tmp_path / "site") as served:
        page = open_page(served, service_workers="allow")
        assert page.evaluate("caches.keys()") == [] and page.inner_text("#offline") == ""
        assert (
            page.evaluate("navigator.serviceWorker.getRegistrations().then((r) => r.length)") == 0
        )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_bars_nobody(open_page, scheme):  # noqa: F811
    page = open_page(color_scheme=scheme)
    assert barriers(page) == []


def test_the_camera_runs_live_until_it_is_stopped(open_page):  # noqa: F811
    page = open_page()
    page.click("#camera")
    page.wait_for_selector("#facts:has-text('a second')")
    assert page.inner_text("#camera") == "Stop"
    frames = []
    for _ in range(3):
        page.wait_for_timeout(400)
        frames.append(canvas(page, "output"))
    assert any(not np.array_equal(frames[0], later) for later in frames[1:]), (
        "Chromium's fake camera moves"
    )
    page.click("#camera")
    assert page.inner_text("#camera") == "Camera"
    assert page.evaluate("document.getElementById('video').srcObject") is None
    give(page, png(noise()))
    assert "a second" not in page.inner_text("#facts")


def clip(path: Path, frames: list[np.ndarray]) -> dict:
    """A VP8 video of 10 frames a second."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=10)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 2_000_000
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())
    return upload(path.name, "video/webm", path.read_bytes())


def test_a_video_is_translated_frame_by_frame_until_it_is_stopped(open_page, models, tmp_path):  # noqa: F811
    page = open_page()
    plain = [np.full((SIDE, SIDE, 3), level, np.uint8) for level in (40, 200)]
    page.set_input_files("#file", clip(tmp_path / "clip.webm", plain * 10))
    page.wait_for_selector("#facts:has-text('a second')")
    assert page.inner_text("#camera") == "Stop" and "ms a frame" in page.inner_text("#facts")
    levels = set()
    for _ in range(60):
        page.wait_for_timeout(50)
        shown, output = page.evaluate(
            "['input', 'output'].map((name) => document.getElementById(name).toDataURL())"
        )
        shown, output = (canvas_of(url) for url in (shown, output))
        levels.add(round(float(shown.mean()), -1))
        # what is shown belongs together
        assert np.abs(output.astype(int) - expected(models[0], shown)).max() <= 2
        if len(levels) > 1:
            break
    assert len(levels) > 1, "it moves on"
    with page.expect_download() as caught:
        page.click("#download")
    assert caught.value.suggested_filename.startswith("clip-")
    page.click("#camera")
    assert page.inner_text("#camera") == "Camera"
    assert page.evaluate("document.getElementById('video').readyState") == 0


def test_a_video_that_cannot_be_played_is_told(open_page):  # noqa: F811
    page = open_page()
    page.set_input_files("#file", upload("clip.mp4", "video/mp4", b"no video" * 100))
    page.wait_for_selector("#message.bad:has-text('clip cannot be played by this browser')")
    assert page.inner_text("#camera") == "Camera"
    give(page, png(noise()))


def test_frames_come_at_even_intervals(open_page):  # noqa: F811
    """20 frames that take 50 ms, every tenth 100: nine of ten, and so the interval, take 50."""
    times = open_page().evaluate(
        """async () => {
          const { Pace } = await import("./pace.js");
          const pace = new Pace();
          const shown = [];
          for (let now = 0, frame = 0; frame < 40; frame++) {
            const took = frame % 20 === 19 ? 100 : 50;
            now += took;
            now += pace.wait(now, took);
            shown.push(now);
          }
          return [shown, pace.interval];
        }"""
    )
    shown, interval = times
    assert interval == 50
    steps = np.diff(shown)
    assert steps.tolist() == [50] * 18 + [100] + [50] * 19 + [100]


def test_quick_frames_are_shown_30_times_a_second(open_page):  # noqa: F811
    interval = open_page().evaluate(
        """async () => {
          const { Pace } = await import("./pace.js");
          const pace = new Pace();
          let now = 0;
          for (let frame = 0; frame < 10; frame++) now += 5 + pace.wait(now + 5, 5);
          return now / 10;
        }"""
    )
    assert interval == pytest.approx(1000 / 30, rel=0.1)


def test_a_camera_that_is_not_there_is_told(open_page):  # noqa: F811
    refuse = (
        "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', "
        "'NotAllowedError'))"
    )
    page = open_page(script=refuse)
    page.click("#camera")
    page.wait_for_selector("#message.bad:has-text('The camera cannot be used: it was not allowed')")
    assert page.is_enabled("#camera") and page.inner_text("#camera") == "Camera"
