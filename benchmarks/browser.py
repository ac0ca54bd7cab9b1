"""How long does each TFLite file take for a picture on the demo's page, in headless Chromium?

    pip install 'tfcyclegan[browser]'    # and Debian's chromium
    python -m benchmarks.browser --models=paper.tflite,student.tflite --rounds=5

Each file gets a page of its own, WebAssembly with two threads. In each round every page translates
one picture of noise, in turns, so that other load on the machine affects all alike; ratios to the
first file are taken within a round. The page's own time is told: the model, without reading and
drawing the picture.
"""

import argparse
import contextlib
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser import CHROMIUM, SWITCHES, give, noise, png, serving_site
from tfcyclegan import cli
from tfcyclegan.system.progress import track

_FIRST_MS = 300_000
"""How long a page may take to load its model and translate a first picture."""


@contextlib.contextmanager
def served(model: Path, browser: Browser) -> Iterator[Page]:
    """The demo's page of one model, which has no other."""
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as closing:
        site = Path(place) / "site"
        if code := cli.main(["demo", f"--model={model}", f"--export={site}"]):
            raise SystemExit(code)
        address = closing.enter_context(serving_site(site))
        page = browser.new_page()
        closing.callback(page.close)
        page.set_default_timeout(_FIRST_MS)
        page.goto(f"{address}?backends=threads")
        page.wait_for_selector("#choose:not([disabled])")  # the model is there
        yield page


def milliseconds(page: Page, picture: np.ndarray) -> float:
    """The page's time for the picture."""
    give(page, png(picture))
    return float(page.get_attribute("#facts", "data-milliseconds") or "nan")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", required=True, help="TFLite files, with commas between")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(arguments)
    if CHROMIUM is None:
        parser.error("Chromium is not installed; on Debian: apt-get install chromium")
    models = [Path(word) for word in given.models.split(",")]
    times: list[list[float]] = []
    with sync_playwright() as driver, contextlib.ExitStack() as closing:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        closing.callback(browser.close)
        pages = [closing.enter_context(served(model, browser)) for model in models]
        for index in track(range(given.rounds), total=given.rounds, unit="round", label="timing"):
            picture = noise(256, 256, seed=index)
            times.append([milliseconds(page, picture) for page in pages])
        print(f"Chromium {browser.version}")
        facts = [page.inner_text("#facts") for page in pages]
    print("| model | page | median ms | least ms | pictures a second | of the first |")
    print("| --- | --- | --- | --- | --- | --- |")
    for index, (model, told) in enumerate(zip(models, facts, strict=True)):
        own = [row[index] for row in times]
        ratio = statistics.median(row[index] / row[0] for row in times)
        median = statistics.median(own)
        name = "/".join(model.parts[-3:])
        print(
            f"| {name} | {told} | {median:.0f} | {min(own):.0f} | {1000 / median:.3g} "
            f"| 1/{1 / ratio:.3g} |"
        )


if __name__ == "__main__":
    main()
