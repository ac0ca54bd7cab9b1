"""A disk that is full while measurements are translated: one line that names the file, and nothing
left behind. Formats keep their values in a mapped file, which would end the process by SIGBUS.
"""

import errno
import os
import resource
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
import tifffile

from tests.dicom_files import save_series, volume
from tests.identity import translated, values_of
from tests.test_translating_measurements import identity, values
from tfcyclegan.errors import RunError
from tfcyclegan.formats import open_measurement
from tfcyclegan.system import files
from tfcyclegan.translation.measurements import translate_measurements

rasterio = pytest.importorskip("rasterio")

NUMBERS = np.random.default_rng(0).integers(0, 60000, (2, 200, 200)).astype(np.uint16)
BYTES = NUMBERS.nbytes


def hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["x"] = NUMBERS


def geotiff(path: Path, **options) -> None:
    size = {"count": 2, "height": 200, "width": 200, "dtype": "uint16", "crs": "EPSG:32632"}
    with rasterio.open(path, "w", driver="GTiff", **size, **options) as file:
        file.write(NUMBERS)


MAKE = {
    "a.npy": lambda path: np.save(path, NUMBERS),
    "a.npz": lambda path: np.savez(path, x=NUMBERS),
    "a.h5": hdf5,
    "a.tif": lambda path: tifffile.imwrite(path, NUMBERS, photometric="minisblack"),
    "a.nii": lambda path: nibabel.save(nibabel.Nifti1Image(NUMBERS, np.eye(4)), path),
    "series": lambda path: save_series(path, volume(3)),
    "scene.tif": geotiff,
    "packed.tif": lambda path: geotiff(path, compress="deflate", tiled=True, blockxsize=64,
                                       blockysize=64),
}  # fmt: skip


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def translate(path: Path) -> Path:
    options = {"axes": "NHW"} if path.suffix in (".npy", ".npz", ".h5") else {}
    with open_measurement(path, **options) as source:
        return translated(source, path.parent / "out" / path.name, values_of(source, 0, 60000))


@pytest.mark.parametrize("name", [name for name in MAKE if name not in ("scene.tif", "packed.tif")])
def test_room_is_reserved_before_anything_is_written(tmp_path, monkeypatch, name):
    MAKE[name](tmp_path / name)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(RunError) as caught:
        translate(tmp_path / name)
    line = f"{tmp_path / 'out' / name}: cannot be written (No space left on device); "
    assert str(caught.value) == line + files.MAKE_ROOM
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("room", [BYTES // 2, BYTES - 500, BYTES + 100])
@pytest.mark.parametrize("name", [name for name in MAKE if name != "series"])
def test_a_file_that_is_cut_gets_no_name(tmp_path, name, room):
    """A limit of the system on files does what a full disk does, wherever writing is."""
    MAKE[name](tmp_path / name)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises(RunError, match="cannot be written") as caught:
            translate(tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(tmp_path / "out" / name) in str(caught.value) and "\n" not in str(caught.value)
    assert not list((tmp_path / "out").iterdir())


def test_the_run_ends_and_is_continued(tmp_path, monkeypatch):
    np.save(tmp_path / "scene.npy", NUMBERS)
    model = identity(*[values("uint16", 0, 65535)] * 2)

    def run() -> None:
        translate_measurements(
            [model], tmp_path / "scene.npy", tmp_path / "out", options={"axes": "NHW"}
        )

    with monkeypatch.context() as context:
        context.setattr(os, "posix_fallocate", full)
        with pytest.raises(RunError, match=r"scene\.npy: cannot be written \(No space left"):
            run()
    run()
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "scene.npy"), NUMBERS)
