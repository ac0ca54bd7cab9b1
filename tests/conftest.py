"""What several tests share: quiet TensorFlow, and a small data set of real tiles."""

import os
from pathlib import Path

import pytest

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden"


@pytest.fixture(scope="session")
def tiles(tmp_path_factory) -> Path:
    """Real satellite and map tiles of 40x40 pixels, prepared by `data_prep.satellite_map`."""
    from data_prep import satellite_map

    directory = tmp_path_factory.mktemp("tiles") / "data"
    satellite_map.run(satellite_map.Config(output_dir=str(directory), output_size=40, stride=96))
    return directory


@pytest.fixture(scope="session")
def imported(tmp_path_factory) -> Path:
    """A run directory made of the official program's generator in tests/golden."""
    pytest.importorskip("torch")
    from tfcyclegan.interop import importing

    directory = tmp_path_factory.mktemp("imported") / "run"
    return importing.import_pytorch(GOLDEN / "latest_net_G_A.pth", "", directory)
