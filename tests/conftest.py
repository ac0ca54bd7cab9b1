"""What several tests share: quiet TensorFlow, and a small data set of real tiles."""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden"

# Where Python is told to write no byte code, every process would compile TensorFlow anew, which
# takes twice as long as importing it. It is kept where pytest keeps its own.
if sys.dont_write_bytecode:
    sys.dont_write_bytecode, sys.pycache_prefix = False, str(ROOT / ".pytest_cache" / "bytecode")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix


def pytest_configure(config):
    """Several test workers share the processor: each computes with one thread, which they and the
    processes that they start inherit.
    """
    if config.getoption("numprocesses", None):
        for library in ("TF_NUM_INTRAOP", "TF_NUM_INTEROP", "OPENBLAS_NUM", "OMP_NUM"):
            os.environ.setdefault(f"{library}_THREADS", "1")


@contextlib.contextmanager
def eagerly() -> Iterator[None]:
    """Runs what is compiled as it stands while the block lasts: a step or two are done sooner than
    their graph is traced.
    """
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.fixture
def eager():
    """`eagerly`, for a whole test."""
    with eagerly():
        yield


@pytest.fixture(scope="session")
def tiles(tmp_path_factory) -> Path:
    """Real satellite and map tiles of 40x40 pixels, prepared by `data_prep.satellite_map`."""
    from data_prep import satellite_map

    directory = tmp_path_factory.mktemp("tiles") / "data"
    satellite_map.run(
        satellite_map.Config(output_dir=str(directory), output_size=40, stride=96, hold_out=False)
    )
    return directory


@pytest.fixture(scope="session")
def satellite(tiles):
    """Satellite tiles with land, uint8 [40, 40, 3] each."""
    from tests.defects import land_tiles

    return land_tiles(tiles, "trainA")


@pytest.fixture(scope="session")
def maps(tiles):
    """Maps with land, of other places."""
    from tests.defects import land_tiles

    return land_tiles(tiles, "trainB")


@pytest.fixture(scope="session")
def imported(tmp_path_factory) -> Path:
    """A run directory made of the official program's generator in tests/golden."""
    pytest.importorskip("torch")
    from tfcyclegan.interop import importing

    directory = tmp_path_factory.mktemp("imported") / "run"
    return importing.import_pytorch(GOLDEN / "latest_net_G_A.pth", "", directory)


@pytest.fixture(scope="session")
def street(tmp_path_factory):
    """A directory with the toy street and the data sets that the toy experiments name, prepared by
    the scripts for the real data.
    """
    from data_prep import cityscapes, gta5, toy_street
    from tfcyclegan.config import Size

    place = tmp_path_factory.mktemp("street")
    shutil.copytree(ROOT / "configs", place / "configs")
    raw = str(place / "data" / "toy_street")
    toy_street.run(
        toy_street.Config(
            output_dir=raw,
            train_scenes=10,
            val_scenes=2,
            test_scenes=4,
            size=Size(32, 64),
            quirks=True,
        )
    )
    gta5.run(
        gta5.Config(
            input_dir=f"{raw}/gta5",
            output_dir=str(place / "data" / "toy_gta5"),
            name="toy_gta5",
            max_bad=1,
        )
    )
    for content, name in (
        ("photos_and_labels", "toy_cityscapes"),
        ("label_maps", "toy_label_maps"),
    ):
        output = str(place / "data" / name)
        cityscapes.run(
            cityscapes.Config(
                input_dir=f"{raw}/cityscapes", output_dir=output, name=name, content=content
            )
        )
    return place


@pytest.fixture
def gta(tmp_path) -> Path:
    """A small GTA5, see `street_folders.make_gta`."""
    from tests.street_folders import make_gta

    return make_gta(tmp_path / "gta")


@pytest.fixture
def city(tmp_path) -> Path:
    """A small Cityscapes, see `street_folders.make_city`."""
    from tests.street_folders import make_city

    return make_city(tmp_path / "city")


@pytest.fixture(scope="module")
def chromium():
    """A browser for the tests marked `browser`."""
    from tests.browser import CHROMIUM, SWITCHES

    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


# Files that take longest, begun first so that both processes end together.
LONGEST = (
    "test_training",
    "test_numerical_guards",
    "test_exact_resume",
    "test_distribution",
    "test_golden",
    "test_segmentation",
    "test_contract",
    "test_street_chain",
    "test_bad_input_catalogue",
    "test_export",
    "test_scoring",
    "test_trust",
    "test_nothing_silent",
    "test_interop",
    "test_ways_of_a_step",
    "test_own_classes",
    "test_compatibility",
    "test_keras_model",
    "test_adaptation",
    "test_fuzz",
    "test_foreign_translations",
    "test_known_pairs",
    "test_api",
    "test_prepare",
    "test_serving",
)


def pytest_collection_modifyitems(items):
    order = {name: position for position, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))
