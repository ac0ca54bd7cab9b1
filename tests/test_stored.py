"""Pictures of data sets that data_prep did not make, and sets that are nearly constant: what is
told before training.
"""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.test_intake import encoded, png_16
from tests.test_intake_choices import RGBA
from tests.test_unpaired import open_trained, prepare
from tfcyclegan.config import Size
from tfcyclegan.data import manifest, records, shards
from tfcyclegan.data.labels import Labelling
from tfcyclegan.data.source import open_source
from tfcyclegan.errors import RunError
from tfcyclegan.system import files
from tfcyclegan.translation.data_sets import translate_data
from tfcyclegan.translation.translators import Translator

NEGATIVE = Translator({"direction": "ab", "weights": "negative"}, 3, 4, lambda batch: -batch)


def foreign(directory: Path, *pngs: bytes) -> Path:
    """A TFDS data set of these pictures in the split trainA, without a manifest."""
    directory.mkdir(parents=True)
    pictures = [
        records.Picture(png, "png", f"{number}.png", *Image.open(io.BytesIO(png)).size[::-1])
        for number, png in enumerate(pngs)
    ]
    ((file, _),) = shards.plan("strange", "trainA", len(pictures), 1)
    note = shards.write(directory / file, pictures) | {"bad": [], "notes": {}}
    made = manifest.make(
        name="strange",
        command="",
        request={},
        max_bad=0,
        notes={"trainA": [note]},
        labelling=Labelling(),
    )
    manifest.write_tfds_metadata(directory, directory / ".work", made)
    return directory


def test_deep_and_transparent_pictures_of_foreign_sets_are_read_as_files_are(tmp_path, capsys):
    """Pillow's conversion clips 16-bit gray at 255 and drops alpha: 1000 / 257 = 3.89, 4095 / 257 =
    15.93.
    """
    deep = encoded(Image.fromarray(np.array([[0, 1000, 4095]] * 4, dtype=np.uint16)), "PNG")
    opened = open_trained(
        foreign(tmp_path / "data", deep, RGBA), tmp_path / "cache", crop_size=Size(1, 1)
    )
    np.testing.assert_array_equal(opened[0][0, :, 0], [0, 4, 16])
    np.testing.assert_array_equal(opened[1][0], [[10, 20, 30], [255, 255, 255], [255, 127, 127]])
    said = capsys.readouterr().out
    assert (
        "split trainA: 16 bit, scaled to 8: 1 picture" in said
        and "split trainA: transparent, laid on white: 1 picture" in said
    )
    assert (
        "16-bit values end at 4095 of 65535, so pictures become dark; data_prep.folders "
        "--max_value=4095 makes 4095 white" in said
    )
    translate_data(
        [NEGATIVE], open_source(tmp_path / "data"), ["trainA"], tmp_path / "out", scale=None
    )
    made = files.read_json(tmp_path / "out" / "manifest.json")
    done = {
        "16 bit, scaled to 8": 1,
        "gray pictures shown in colour": 1,
        "transparent, laid on white": 1,
    }
    assert made["conversions"] == done and made["left_out"] == {}


def test_a_foreign_picture_that_cannot_be_used_is_named(tmp_path):
    nothing = encoded(Image.new("RGBA", (4, 4), (1, 2, 3, 0)), "PNG")
    with pytest.raises(RunError, match="of split trainA: transparent everywhere"):
        open_trained(foreign(tmp_path / "data", nothing), tmp_path / "cache", crop_size=Size(1, 1))


NOISE = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)


@pytest.mark.parametrize(
    "pictures, told",
    [
        ([np.zeros((16, 16, 3), np.uint8)] * 3, "warning: 100.0 % of its values are 0 of 255"),
        (
            [np.full((16, 16, 3), 255, np.uint8)] * 3,
            "warning: 100.0 % of its values are 255 of 255",
        ),
        ([NOISE // 16], "warning: 100.0 % of its values are 0 to 15 of 255"),
        ([NOISE // 16 + 100], "warning: 100.0 % of its values are 100 to 115 of 255"),
        ([NOISE // 8], ""),
        ([np.zeros((16, 16, 3), np.uint8), NOISE], ""),
    ],
)
def test_nearly_constant_sets_are_told_at_each_start(tmp_path, capsys, pictures, told):
    data = prepare(tmp_path / "data", {"trainA": pictures, "trainB": [NOISE]})
    for _ in range(2):  # made, and found again
        open_trained(data, tmp_path / "cache")
        assert (
            (told in capsys.readouterr().out)
            if told
            else ("of its values" not in capsys.readouterr().out)
        )


def test_deep_colours_of_foreign_sets_are_rounded(tmp_path):
    colour = png_16(np.array([[[0, 1000, 65407]]] * 4, dtype=np.uint16), 2)
    opened = open_trained(
        foreign(tmp_path / "data", colour), tmp_path / "cache", crop_size=Size(1, 1)
    )
    # 65407 / 257 = 254.502; its high byte is 255, of 1000 it is 3
    np.testing.assert_array_equal(opened[0][0, 0], [0, 4, 255])
