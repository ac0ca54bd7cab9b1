"""Emoji in two styles: which signs are taken, who goes to which set, and the pictures."""

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from data_prep import fluent_emoji

pytest.importorskip("resvg_py", reason="flat emoji are rendered with tfcyclegan[emoji]")

SIGNS = [f"{0x1F600 + number:x}" for number in range(60)]
WITH_PARTS = ["1f468", "1f468-200d-1f373", "1f468-200d-1f680"]
LEFT_OUT = ["1f1e9-1f1ea", "1f44d-1f3fd", "1f3f4-e0067-e0062-e0065-e006e-e0067-e007f"]


def archive(path, ending: str, drawings: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as package:
        for name, content in drawings.items():
            member = tarfile.TarInfo(f"package/assets/{name}.{ending}")
            member.size = len(content)
            package.addfile(member, io.BytesIO(content))


def svg(colour: str) -> bytes:
    """A square of one colour that leaves a quarter of the width free on each side."""
    head = '<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32" viewBox="0 0 32 32">'
    return f'{head}<rect x="8" y="8" width="16" height="16" fill="{colour}"/></svg>'.encode()


def webp(size: tuple[int, int]) -> bytes:
    stream = io.BytesIO()
    Image.new("RGBA", size, (0, 0, 255, 255)).save(stream, "WEBP", lossless=True)
    return stream.getvalue()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The data set of two small packages of the registry's form."""
    import tensorflow_datasets as tfds

    directory = tmp_path_factory.mktemp("emoji")
    names = [*SIGNS, *WITH_PARTS, *LEFT_OUT]
    archive(directory / "flat.tgz", "svg", {name: svg("red") for name in names})
    solid = {name: webp((256, 256)) for name in names} | {"1f600": webp((256, 264))}
    archive(directory / "solid.tgz", "webp", solid | {"2764": webp((256, 256))})
    packages = {
        fluent_emoji.FLAT: directory / "flat.tgz",
        fluent_emoji.SOLID: directory / "solid.tgz",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fluent_emoji, "is_cached", lambda package: True)
        patch.setattr(fluent_emoji, "cached", packages.get)
        config = fluent_emoji.Config(output_dir=str(directory / "data"), size=32)
        fluent_emoji.run(config)
    builder = tfds.builder_from_directory(directory / "data")
    pictures = {
        split: {
            example["image"]["filename"].decode().split("/")[1].removesuffix(".png"): example[
                "image"
            ]["encoded"]
            for example in builder.as_dataset(split=split).as_numpy_iterator()
        }
        for split in builder.info.splits
    }
    return pictures, json.loads((directory / "data" / "manifest.json").read_text())


def test_flags_and_skin_tones_are_left_out_and_counted(prepared):
    pictures, manifest = prepared
    names = set().union(*pictures.values())
    assert names == {*SIGNS, *WITH_PARTS}
    assert manifest["left_out"] == {"flag of a country": 2, "skin tone": 1, "3D alone": 1}


def test_a_first_code_point_is_in_one_set_and_domains_share_none(prepared):
    pictures, _ = prepared
    points = {
        split: {name.split("-")[0] for name in of_split} for split, of_split in pictures.items()
    }
    assert points["testA"] == points["testB"] and points["valA"] == points["valB"]
    sets = [points[split] for split in ("trainA", "trainB", "testA", "valA")]
    assert sum(map(len, sets)) == len(set().union(*sets))
    assert len(points["trainA"]) > 2 * len(points["testA"]) > 0


def test_signs_stand_on_white_at_the_size_that_is_asked_for(prepared):
    pictures, _ = prepared
    for split in ("trainA", "testA"):
        for picture in pictures[split].values():
            assert picture.shape == (32, 32, 3)
            assert (picture[0, 0] == 255).all() and picture[16, 16].tolist() == [255, 0, 0]


def test_a_drawing_that_is_no_square_stays_in_the_middle(prepared):
    tall = fluent_emoji.on_white(Image.new("RGBA", (256, 264), (0, 0, 255, 255)), 264)
    pixels = np.asarray(Image.open(io.BytesIO(tall)))
    assert pixels.shape == (264, 264, 3)
    assert pixels[99, 3].tolist() == pixels[99, 260].tolist() == [255, 255, 255]
    assert pixels[0, 4].tolist() == [0, 0, 255]
