"""Volumes of an average brain: what is cut from where, on a small package of the same form."""

import gzip
import io
import zipfile

import numpy as np
import pytest

from data_prep import citi168
from tfcyclegan.errors import UserError

nibabel = pytest.importorskip("nibabel", reason="volumes need tfcyclegan[measurements]")

AFFINE = np.array([[-0.3, 0, 0, 41.5], [0, 0.3, 0, -50.5], [0, 0, 0.3, -31.5], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A package with volumes whose values are the numbers of their coronal planes."""
    directory = tmp_path_factory.mktemp("citi168")
    with zipfile.ZipFile(directory / "package.whl", "w") as archive:
        for contrast, kind in (("T1w", np.float32), ("T2w", np.uint8)):
            for side in "LR":
                values = np.broadcast_to(np.arange(256, dtype=kind)[:, np.newaxis], (4, 256, 3))
                stream = io.BytesIO()
                nibabel.Nifti1Image(values, AFFINE).to_stream(stream)
                member = citi168.MEMBER.format(contrast=contrast, side=side)
                archive.writestr(member, gzip.compress(stream.getvalue()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(citi168, "is_cached", lambda package: True)
        patch.setattr(citi168, "cached", lambda package: directory / "package.whl")
        citi168.volume.cache_clear()
        yield
        citi168.volume.cache_clear()


@pytest.fixture(scope="module")
def volumes(package, tmp_path_factory):
    """What is made of the package."""
    output = tmp_path_factory.mktemp("volumes")
    citi168.run(citi168.Config(output_dir=str(output)))
    return {
        path.relative_to(output).as_posix(): nibabel.load(path) for path in output.rglob("*.nii.gz")
    }


def planes(image) -> list[int]:
    return sorted(set(np.asarray(image.dataobj).ravel().astype(int).tolist()))


def test_no_plane_is_in_two_sets_and_a_gap_lies_between(volumes):
    sets = {purpose: set() for purpose in ("train", "val", "test")}
    for path, image in volumes.items():
        sets[path.split("/")[0][:-1]] |= set(planes(image))
    assert {name: len(found) for name, found in sets.items()} == {
        "train": 184,
        "val": 12,
        "test": 32,
    }
    names = list(sets)
    for one, other in zip(names, names[1:] + names[:1], strict=True):
        assert min(abs(a - b) for a in sets[one] for b in sets[other]) > 8


def test_domains_are_contrasts_of_different_sides_in_training(volumes):
    assert {path for path in volumes if path.startswith("trainA")} == {
        "trainA/left_anterior.nii.gz",
        "trainA/left_posterior.nii.gz",
    }
    assert {path for path in volumes if path.startswith("trainB")} == {
        "trainB/right_anterior.nii.gz",
        "trainB/right_posterior.nii.gz",
    }
    for path, image in volumes.items():
        of_a = path.split("/")[0].endswith("A")
        assert image.get_data_dtype() == (np.float32 if of_a else np.uint8)


def test_parts_lie_where_they_lay_in_the_whole(volumes):
    for image in volumes.values():
        first = planes(image)[0]
        np.testing.assert_allclose(image.affine[:3, :3], AFFINE[:3, :3], rtol=1e-6)
        np.testing.assert_allclose(
            image.affine[:3, 3], AFFINE[:3, 3] + [0, 0.3 * first, 0], atol=1e-4
        )


def test_pairs_are_volumes_of_the_same_places():
    cuts = citi168.parts(pairs=True)
    for path, (contrast, *place) in cuts.items():
        if "A/" in path:
            assert cuts[path.replace("A/", "B/")] == ("T2w", *place) and contrast == "T1w"
    assert len(cuts) == len(citi168.parts())


@pytest.mark.parametrize("pairs", [False, True])
def test_volumes_for_pairs_and_for_unpaired_training_never_share_a_folder(package, tmp_path, pairs):
    """With both, trainB would show the places of trainA to training that is called unpaired."""
    citi168.run(citi168.Config(output_dir=str(tmp_path), pairs=pairs))
    made = sorted(tmp_path.rglob("*.nii.gz"))
    side = "left" if pairs else "right"
    with pytest.raises(
        UserError,
        match=rf"--output_dir=.*: holds trainB/{side}_anterior\.nii\.gz, .*choose another folder$",
    ):
        citi168.run(citi168.Config(output_dir=str(tmp_path), pairs=not pairs))
    assert sorted(tmp_path.rglob("*.nii.gz")) == made
    citi168.run(citi168.Config(output_dir=str(tmp_path), pairs=pairs))
