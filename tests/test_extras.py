"""What an installation without extras lacks is asked for in one line that names the extra. Others:
test_serving_models.py (serve), test_beam.py (beam), test_runtimes.py (onnx, openvino).
"""

import importlib.util
import sys

import pytest

from data_prep import satellite_map
from tests.conftest import GOLDEN
from tfcyclegan import cli
from tfcyclegan.cli import run_command
from tfcyclegan.errors import UserError
from tfcyclegan.networks import inception


def test_weights_of_pytorch(tmp_path, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "torch", None)
    weights = GOLDEN / "latest_net_G_A.pth"
    words = ["import_weights", "--from=pytorch", f"--weights={weights}", f"--output={tmp_path}/run"]
    assert cli.main(words) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.endswith("pip install 'tfcyclegan[pytorch]'") and not (tmp_path / "run").exists()
    with pytest.raises(UserError, match=r"pip install 'tfcyclegan\[pytorch\]'"):
        inception.read_weights(weights)


def test_pictures_of_the_demo(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    command = satellite_map.SUMMARY, satellite_map.EXAMPLES, satellite_map.Config, satellite_map.run
    assert run_command("satellite_map", *command, [f"--output_dir={tmp_path}/data"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "pip install 'tfcyclegan[demo]'" in line and not (tmp_path / "data").exists()
