"""The sdist and the wheel: what lies in them, and that the wheel works away from the repository."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tfcyclegan import __version__

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The two files; the wheel is made out of the sdist, so that neither can lack what the other
    needs.
    """
    pytest.importorskip("build")
    directory = tmp_path_factory.mktemp("dist")
    command = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--outdir",
        str(directory),
        str(ROOT),
    ]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    return directory


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory) -> Path:
    """The wheel alone, unpacked where only PYTHONPATH finds it."""
    target = tmp_path_factory.mktemp("site")
    wheel = built / f"tfcyclegan-{__version__}-py3-none-any.whl"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(target),
        str(wheel),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return target


def tracked(*places: str) -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", *places], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return set(listed.splitlines())


def test_the_wheel_holds_every_file_of_the_packages_and_the_configs(built):
    with zipfile.ZipFile(built / f"tfcyclegan-{__version__}-py3-none-any.whl") as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    expected = tracked("tfcyclegan", "data_prep") | {
        f"tfcyclegan/{name}" for name in tracked("configs")
    }
    assert names == expected


def test_the_sdist_holds_the_repository_without_its_saved_models(built):
    with tarfile.open(built / f"tfcyclegan-{__version__}.tar.gz") as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    aside = {name for name in tracked() if name.startswith(("saved_models/", "."))}
    assert tracked() - aside - names == set()


def python(installed: Path, place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, *words], cwd=place, env=environment, capture_output=True, text=True
    )


def run(installed: Path, place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return python(installed, place, "-m", *words)


def test_the_street_is_drawn_in_a_checkout_alone(installed, tmp_path):
    command = run(installed, tmp_path, "data_prep.toy_street", "--output_dir=street", "--quirks")
    (line,) = command.stderr.splitlines()
    assert (command.returncode, command.stdout) == (2, "")
    assert line.startswith("data_prep.toy_street: ")
    assert f"in the unpacked source distribution tfcyclegan-{__version__}.tar.gz" in line
    code = (
        "from tfcyclegan import api, errors\n"
        "try: api.prepare('toy_street', output_dir='street')\n"
        "except errors.UserError as error: print(error)"
    )
    function = python(installed, tmp_path, "-c", code)
    assert (function.returncode, function.stderr) == (0, "")
    assert function.stdout.strip() == line.removeprefix("data_prep.toy_street: ")
    assert not list(tmp_path.iterdir())


def test_the_wheel_works_from_an_empty_directory(installed, tmp_path):
    where = run(installed, tmp_path, "tfcyclegan.cli", "--version")
    assert (where.returncode, where.stdout) == (0, f"tfcyclegan {__version__}\n")
    assert run(installed, tmp_path, "tfcyclegan.cli", "train", "--help").returncode == 0
    missing = run(
        installed, tmp_path, "tfcyclegan.cli", "train", "--flagfile=configs/satellite2map.cfg"
    )
    assert (
        missing.returncode == 2
        and "--data_dir=data/satellite2map: no such directory" in missing.stderr
    )
    prepared = run(
        installed, tmp_path, "data_prep.satellite_map", "--output_dir=data/satellite2map"
    )
    assert (prepared.returncode, (tmp_path / "data/satellite2map/manifest.json").is_file()) == (
        0,
        True,
    ), prepared.stderr
    steps = ["--max_steps=2", "--sample_images=1", "--eval_every_steps=0", "--eval_every_epochs=0"]
    trained = run(
        installed, tmp_path, "tfcyclegan.cli", "train", "--flagfile=satellite2map.cfg", *steps
    )
    assert trained.returncode == 0 and (tmp_path / "runs/satellite2map/report.html").is_file(), (
        trained.stderr
    )
    code = "import tfcyclegan, data_prep; print(tfcyclegan.__file__, data_prep.__file__)"
    shown = python(installed, tmp_path, "-c", code).stdout.split()
    assert all(Path(name).is_relative_to(installed) for name in shown)
