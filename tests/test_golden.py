"""The official program's numbers, replayed: see benchmarks/fidelity.py."""

import numpy as np
import pytest

from benchmarks import fidelity
from tests.conftest import GOLDEN

CASES = [
    (path, reader)
    for path in sorted(GOLDEN.glob("*.npz"))
    if (reader := fidelity.reader_of(path)) is not None
]


def test_every_file_is_read_by_what_it_holds():
    names = {path.name: reader for path, reader in CASES}
    assert names["fastcut_trajectory.npz"] == names["trajectory_pool3.npz"]
    assert names["cut_networks.npz"] != names["networks.npz"]
    others = {"feature_networks.npz", "opencv_bilinear.npz", "tfa_generator_io.npz"}
    assert {path.name for path in GOLDEN.glob("*.npz")} - names.keys() == others | {
        "latest_net_G_A_io.npz"
    }


@pytest.mark.parametrize(("path", "reader"), CASES, ids=[path.stem for path, _ in CASES])
def test_equals_the_official_program(path, reader):
    rows = list(reader(path))
    assert rows and all(row.case.startswith(f"{path.name}: ") for row in rows)
    assert [row for row in rows if not row.ok] == []


def test_official_pth_file():
    pytest.importorskip("torch")
    assert [row for row in fidelity.pth_rows(GOLDEN / "latest_net_G_A.pth") if not row.ok] == []


def test_a_wrong_number_is_found(tmp_path, capsys):
    arrays = dict(np.load(GOLDEN / "learning_rates.npz"))
    arrays["linear"][5] *= 1 + 1e-9
    np.savez(tmp_path / "learning_rates.npz", **arrays)
    assert fidelity.main(["--golden", str(tmp_path)]) == 1
    assert "NO" in capsys.readouterr().out


def test_an_empty_directory_is_refused(tmp_path):
    assert fidelity.main(["--golden", str(tmp_path)]) == 2


@pytest.mark.slow  # CI runs it by itself
def test_the_wrong_pool_draws_would_show(tmp_path):
    """The replay depends on the recorded draws: with others the losses part."""
    arrays = dict(np.load(GOLDEN / "trajectory_pool3.npz"))
    arrays["pool_decisions"] = np.array(
        str(arrays["pool_decisions"]).replace("['i', 2]", "['i', 1]")
    )
    worst = {part: difference for part, difference, _ in fidelity.replay(arrays)}
    assert worst["losses of 16 steps"] > 1e-4
