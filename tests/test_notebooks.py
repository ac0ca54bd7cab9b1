"""The notebooks run from top to bottom, and lie in the repository without what they made."""

import json
import os
import re

import pytest

from tests.conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_no_outputs_are_kept(path):
    cells = json.loads(path.read_text())["cells"]
    assert len(cells) > 5
    assert all(
        cell["outputs"] == [] and cell["execution_count"] is None
        for cell in cells
        if cell["cell_type"] == "code"
    )


@pytest.mark.slow  # CI runs it by itself
def test_the_quickstart_runs_from_top_to_bottom(tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(ROOT / "notebooks/quickstart.ipynb", as_version=4)
    for cell in notebook.cells:  # the same cells, with a fifth of the training
        cell.source = cell.source.replace("max_steps=100", "max_steps=20").replace(
            "sample_every_steps=50", "sample_every_steps=10"
        )
    client = nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute(env=dict(os.environ))  # raises with the cell and its error
    outputs = [
        output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
    ]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 4
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    assert "--lerning_rate: no such flag; did you mean --learning_rate?" in printed
    assert re.search(r"satellite to map|A to B", printed) and "Traceback" not in printed
    noise = [
        line
        for line in printed.splitlines()
        if re.match(r"WARNING|[IWEF]0000 |.*(UserWarning|oneDNN|cudart)", line)
    ]
    assert noise == []
    for made in ("data/manifest.json", "run/report.html", "run/evaluation/index.html"):
        assert (tmp_path / "quickstart" / made).is_file()
    assert list((tmp_path / "quickstart/model").glob("*/saved_model.pb")), "exported"
