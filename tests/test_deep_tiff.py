"""TIFF of 16 bit and float, of any axes, written by tifffile; PNG of 16 bit by imagecodecs: through
an identity, read back by the same libraries.
"""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

imagecodecs = pytest.importorskip("imagecodecs")

from data_prep import folders  # noqa: E402
from tests.conftest import ROOT  # noqa: E402
from tests.identity import translated, values_of  # noqa: E402
from tfcyclegan.data.intake import BadPicture  # noqa: E402
from tfcyclegan.data.source import open_source  # noqa: E402
from tfcyclegan.data.values import Values  # noqa: E402
from tfcyclegan.errors import UserError  # noqa: E402
from tfcyclegan.formats import open_measurement  # noqa: E402
from tfcyclegan.formats.base import Shape, Window  # noqa: E402

MINISBLACK = {"photometric": "minisblack"}
CONTIG, SEPARATE = {"planarconfig": "contig"}, {"planarconfig": "separate"}


def samples(dtype, *shape):
    drawn = np.random.default_rng(0).random(shape)
    return (drawn * 60000 - 30000 * (dtype == "int16")).astype(dtype) if dtype[0] in "ui" else (
        drawn.astype(dtype)
    )  # fmt: skip


# type, sizes, options of tifffile -> planes and channels
LAYOUTS = {
    "gray": ("uint16", (20, 24), MINISBLACK, (1, 1)),
    "signed": ("int16", (20, 24), {**MINISBLACK, "metadata": None}, (1, 1)),
    "white is zero": ("uint16", (20, 24), {"photometric": "miniswhite"}, (1, 1)),
    "bands whose zero is white": (
        "uint16", (20, 24, 3), {"photometric": "miniswhite", **CONTIG}, (1, 3),
    ),
    "colours": ("uint16", (20, 24, 3), {"photometric": "rgb"}, (1, 3)),
    "planar colours": (
        "uint16", (3, 20, 24), {"photometric": "rgb", **SEPARATE, "compression": "lzw"}, (1, 3),
    ),
    "6 bands": ("uint16", (20, 24, 6), {**MINISBLACK, **CONTIG, "compression": "zlib"}, (1, 6)),
    "13 planar bands, big-endian": (
        "int16", (13, 20, 24), {**MINISBLACK, **SEPARATE, "byteorder": ">"}, (1, 13),
    ),
    "tiled floats by a predictor": (
        "float32", (40, 24, 2),
        {**MINISBLACK, **CONTIG, "tile": (16, 16), "compression": "zstd", "predictor": 3}, (1, 2),
    ),
    "differences, big-endian": (
        "uint16", (20, 24), {**MINISBLACK, "compression": "zlib", "predictor": 2, "byteorder": ">"},
        (1, 1),
    ),
    "half precision": ("float16", (5, 20, 24), {**MINISBLACK, "byteorder": ">"}, (5, 1)),
    "compressed pages": ("uint16", (5, 20, 24), {**MINISBLACK, "compression": "lzw"}, (5, 1)),
    "OME": (
        "uint16", (2, 3, 20, 24),
        {**MINISBLACK, "ome": True, "metadata": {
            "axes": "CZYX", "PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "nm", "PhysicalSizeZ": 2.0,
            "Channel": {"Name": ["DAPI", "GFP"]},
        }}, (3, 2),
    ),
    "OME of colours in time": (
        "uint8", (4, 20, 24, 3), {"photometric": "rgb", "ome": True, "metadata": {"axes": "TYXS"}},
        (4, 3),
    ),
    "hyperstack": (
        "float32", (2, 3, 2, 20, 24),
        {**MINISBLACK, "imagej": True, "resolution": (10, 20), "metadata": {
            "axes": "TZCYX", "spacing": 3.5, "unit": "um", "finterval": 0.5, "min": 0.0, "max": 9.0,
        }}, (6, 2),
    ),
}  # fmt: skip


def write(path, array, options):
    options = dict(options)
    kind = {name: options.pop(name) for name in ("ome", "imagej", "byteorder") if name in options}
    with tifffile.TiffWriter(path, **kind) as writer:
        writer.write(array, **options)
    return path


def described(path):
    """What a file says of its values and their layout."""
    with tifffile.TiffFile(path) as file:
        series, page = file.series[0], file.pages.first
        ome = file.ome_metadata and re.findall(r'<Pixels.*?>|Name="[^"]*"', file.ome_metadata)
        said = {
            "kind": series.kind,
            "axes": series.axes,
            "dtype": series.dtype,
            "order": file.byteorder,
            "ome": [re.sub(r' ID="[^"]*"', "", each) for each in ome or ()],
            "imagej": dict(file.imagej_metadata or {}),
            "tags": {
                tag.name: str(tag.value)
                for tag in page.tags
                if not re.search("Offsets|ByteCounts|ImageDescription|DateTime", tag.name)
            },
        }
        return series.asarray(), said


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_comes_back_as_the_same_kind(tmp_path, layout):
    dtype, sizes, options, (planes, channels) = LAYOUTS[layout]
    given = samples(dtype, *sizes)
    source = write(tmp_path / "in.tif", given, options)
    is_float = given.dtype.kind == "f"
    low, high = (0, 1) if is_float else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    with open_measurement(source) as stack:
        assert (stack.shape.planes, stack.shape.channels) == (planes, channels)
        assert stack.dtype == np.dtype(dtype) and stack.read().dtype.isnative
        values = values_of(stack, low, high)
        values = Values(values.dtype, values.low, values.high, names=stack.names)
        translated(stack, tmp_path / "out.tif", values)
    before, said = described(source)
    after, says = described(tmp_path / "out.tif")
    for name in ("min", "max", "ImageJ"):
        said["imagej"].pop(name, None), says["imagej"].pop(name, None)
    assert says == said
    if is_float:
        assert np.abs(after.astype(float) - before).max() <= (
            2**-12 if dtype == "float16" else 1e-6
        )
    else:
        np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize(
    ("stored", "kept"),
    [
        ("0.3 µm".encode(), "0.3 µm".encode()),
        ("Müller µm".encode("latin-1"), "Müller µm".encode()),
        (b"in neither \x81", b"in neither \x81"),
    ],
)
def test_a_description_beyond_ascii_is_kept(tmp_path, stored, kept):
    """Text in UTF-8, which tifffile and ImageJ read; bytes of neither code as they are."""
    options = {**MINISBLACK, "description": stored, "metadata": None}
    source = write(tmp_path / "in.tif", samples("uint16", 20, 24), options)
    with open_measurement(source) as picture:
        translated(picture, tmp_path / "out.tif", values_of(picture, 0, 65535))
    assert kept + b"\0" in (tmp_path / "out.tif").read_bytes()
    with tifffile.TiffFile(source) as given, tifffile.TiffFile(tmp_path / "out.tif") as made:
        assert made.pages[0].description == given.pages[0].description


def test_a_description_beside_the_axes_that_tifffile_writes_is_kept(tmp_path):
    options = {**MINISBLACK, "description": "stained", "metadata": {"axes": "ZYX"}}
    source = write(tmp_path / "in.tif", samples("uint16", 2, 20, 24), options)
    with open_measurement(source) as stack:
        translated(stack, tmp_path / "out.tif", values_of(stack, 0, 65535))
    with tifffile.TiffFile(tmp_path / "out.tif") as made:
        assert made.pages[0].description == "stained" and made.series[0].axes == "ZYX"


@pytest.mark.parametrize("code", ["utf-8", "latin-1"])
def test_a_unit_of_imagej_beyond_ascii_is_escaped_as_imagej_does(tmp_path, code):
    description = "ImageJ=1.54f\nimages=1\nunit=µm\nyunit=Å\n".encode(code)
    options = {**MINISBLACK, "description": description, "metadata": None}
    source = write(tmp_path / "in.tif", samples("uint16", 20, 24), options)
    with open_measurement(source) as picture:
        translated(picture, tmp_path / "out.tif", values_of(picture, 0, 65535))
    with tifffile.TiffFile(tmp_path / "out.tif") as made:
        said = made.imagej_metadata
        assert (said["unit"], said["yunit"]) == (r"\u00b5m", r"\u00c5")


def test_names_and_units_of_ome_beyond_ascii_are_kept(tmp_path):
    metadata = {"axes": "YX", "PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "µm"}
    options = {**MINISBLACK, "ome": True, "metadata": metadata | {"Channel": {"Name": ["β"]}}}
    source = write(tmp_path / "in.ome.tif", samples("uint16", 20, 24), options)
    with open_measurement(source) as picture:
        values = Values("uint16", (0.0,), (65535.0,), names=picture.names)
        translated(picture, tmp_path / "out.ome.tif", values)
    assert described(tmp_path / "out.ome.tif")[1]["ome"] == described(source)[1]["ome"]


def test_planes_are_read_by_axes_not_by_shape(tmp_path):
    given = samples("uint16", 2, 3, 4, 20, 24)
    source = write(
        tmp_path / "in.tif", given, {**MINISBLACK, "ome": True, "metadata": {"axes": "TCZYX"}}
    )
    with open_measurement(source) as stack:
        assert stack.shape == Shape(8, 20, 24, 3)
        for plane in range(8):
            wanted = np.moveaxis(given[plane // 4, :, plane % 4], 0, -1)
            np.testing.assert_array_equal(stack.read(plane), wanted)
        np.testing.assert_array_equal(
            stack.read(7, Window(3, 5, 9, 11)), np.moveaxis(given[1, :, 3, 3:9, 5:11], 0, -1)
        )


@pytest.mark.parametrize(
    ("kind", "axes", "wanted"),
    [
        ("ome", "ZYX", ("ZCYX", (2, 4, 20, 24))),
        ("imagej", "ZYX", ("ZCYX", (2, 4, 20, 24))),
        ("plain", "QYX", ("QYXS", (2, 20, 24, 4))),
    ],
)
def test_one_channel_becomes_four_of_half_precision(tmp_path, kind, axes, wanted):
    """OME and ImageJ have no half precision: float32 holds it exactly."""
    options = {
        **MINISBLACK,
        "metadata": {"axes": axes},
        **({kind: True} if kind != "plain" else {}),
    }
    source = write(tmp_path / "in.tif", samples("uint16", 2, 20, 24), options)
    made = samples("float16", 2, 20, 24, 4)
    with open_measurement(source) as stack:
        values = Values("float16", (0.0,) * 4, (1.0,) * 4)
        with stack.create(tmp_path / "out.tif", values) as out:
            for plane in range(2):
                out.write(made[plane, :7], plane)
                out.write(made[plane, 7:], plane, top=7)
    after, says = described(tmp_path / "out.tif")
    assert (says["axes"], after.shape) == wanted
    found = np.moveaxis(after, 1, -1) if "C" in says["axes"] else after
    np.testing.assert_array_equal(found, made)
    assert says["tags"].get("ExtraSamples", "").count("UNSPECIFIED") == (
        3 if kind == "plain" else 0
    )


def test_three_channels_become_one(tmp_path):
    source = write(tmp_path / "in.tif", samples("uint16", 20, 24, 3), {"photometric": "rgb"})
    values = Values("uint16", (0.0,), (1.0,))
    with (
        open_measurement(source) as picture,
        picture.create(tmp_path / "out.tif", values) as out,
    ):
        out.write(np.full((20, 24, 1), 7, np.uint16))
    after, says = described(tmp_path / "out.tif")
    assert after.shape == (20, 24) and (after == 7).all()
    assert "MINISBLACK" in says["tags"]["PhotometricInterpretation"].upper() or (
        says["tags"]["PhotometricInterpretation"] == "1"
    )


def test_twelve_bits_packed_are_read(tmp_path):
    rasterio = pytest.importorskip("rasterio")
    given = samples("uint16", 20, 24) % 4096
    options = {"height": 20, "width": 24, "count": 1, "dtype": "uint16", "nbits": 12}
    with rasterio.open(tmp_path / "in.tif", "w", driver="GTiff", **options) as file:
        file.write(given, 1)
    with open_measurement(tmp_path / "in.tif") as picture:
        assert picture.dtype == np.uint16
        np.testing.assert_array_equal(picture.read()[..., 0], given)


REFUSED = {
    "columns": (samples("uint16", 40, 30, 5), {}, "40 pages of 30x5 pixels: looks like channels"),
    "palette": (
        samples("uint8", 20, 24),
        {"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16)},
        "class ids with a table of colours",
    ),
    "complex": (
        samples("float32", 20, 24).astype(np.complex64),
        MINISBLACK,
        "values of type complex64",
    ),
    "alpha": (
        samples("uint16", 20, 24, 4),
        {"photometric": "rgb", "extrasamples": ["unassalpha"]},
        "band 4 of 4 is declared as transparency; --alpha_band=values",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_measured_is_refused(tmp_path, case):
    array, options, message = REFUSED[case]
    path = write(tmp_path / "in.tif", array, options)
    with pytest.raises(BadPicture) as error:
        open_measurement(path)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_file_cut_short_is_refused_at_once(tmp_path):
    for name, options in {"a": {}, "b": {"compression": "zlib"}}.items():
        path = write(tmp_path / f"{name}.tif", samples("uint16", 3, 40, 40), MINISBLACK | options)
        path.write_bytes(path.read_bytes()[:-900])
        with pytest.raises(BadPicture, match="damaged"):
            open_measurement(path)
    path = write(tmp_path / "circle.tif", samples("uint16", 20, 24), MINISBLACK)
    content = bytearray(path.read_bytes())
    place = 8 + 2 + 12 * content[8]  # of what follows the tags of the only page
    assert content[place : place + 4] == bytes(4)
    content[place] = 8
    path.write_bytes(bytes(content))
    with pytest.raises(BadPicture, match="its pages form a cycle"):
        open_measurement(path)
    (tmp_path / "text.tif").write_text("no picture")
    with pytest.raises(BadPicture, match="damaged"):
        open_measurement(tmp_path / "text.tif")


def test_alpha_by_choice(tmp_path):
    given = samples("uint16", 20, 24, 4)
    given[:3, ..., 3] = 0
    path = write(tmp_path / "in.tif", given, {"photometric": "rgb", "extrasamples": ["unassalpha"]})
    with open_measurement(path, alpha_band="values") as picture:
        np.testing.assert_array_equal(picture.read(), given)
    with open_measurement(path, alpha_band="drop") as picture:
        np.testing.assert_array_equal(picture.read(), given[..., :3])
        translated(picture, tmp_path / "out.tif", values_of(picture, 0, 65535))
    after, says = described(tmp_path / "out.tif")
    np.testing.assert_array_equal(after, given[..., :3])
    assert "ExtraSamples" not in says["tags"]
    with open_measurement(path, alpha_band="mask") as picture:
        found = picture.read()
    assert np.isnan(found[given[..., 3] == 0]).all() and found.dtype == np.float32
    np.testing.assert_array_equal(found[3:], given[3:, :, :3])


def test_files_like_those_of_users(tmp_path):
    """Colours and near infrared without a word on the fourth band; six pages; 12 bits in 16."""
    bands = samples("uint8", 20, 24, 4)
    options = {"photometric": "rgb", "extrasamples": ["unspecified"]}
    with open_measurement(write(tmp_path / "nir.tif", bands, options)) as picture:
        np.testing.assert_array_equal(picture.read(), bands)
        translated(picture, tmp_path / "out.tif", values_of(picture, 0, 255))
    after, says = described(tmp_path / "out.tif")
    np.testing.assert_array_equal(after, bands)
    assert "UNSPECIFIED" in says["tags"]["ExtraSamples"] and "ALPHA" not in str(says["tags"])
    pages = samples("uint8", 6, 20, 24)
    path = write(tmp_path / "pages.tif", pages, MINISBLACK)
    with open_measurement(path) as stack:
        assert stack.shape == Shape(6, 20, 24, 1) and "--stack=channels" in stack.notes[0]
    with open_measurement(path, stack="channels") as stack:
        assert stack.shape == Shape(1, 20, 24, 6)
        np.testing.assert_array_equal(stack.read(), np.moveaxis(pages, 0, -1))
    twelve = (samples("uint16", 20, 24) % 4096).astype(np.uint16)
    Image.fromarray(twelve).save(tmp_path / "twelve.png")
    with open_measurement(tmp_path / "twelve.png") as picture:
        np.testing.assert_array_equal(picture.read()[..., 0], twelve)


@pytest.mark.parametrize("shape", [(20, 24), (20, 24, 3)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_png_keeps_its_depth(tmp_path, dtype, shape):
    given = samples(dtype, *shape)
    (tmp_path / "in.png").write_bytes(imagecodecs.png_encode(given))
    with open_measurement(tmp_path / "in.png") as picture:
        assert picture.dtype == np.dtype(dtype)
        translated(picture, tmp_path / "out.png", values_of(picture, 0, np.iinfo(dtype).max))
        floats = Values("float32", (0.0,) * 2, (1.0,) * 2)
        assert picture.other_ending(floats) == ".tif"
        with pytest.raises(UserError, match="PNG cannot hold float32 with 2 channels"):
            picture.create(tmp_path / "not.png", floats)
        with picture.create(tmp_path / "not.tif", floats) as out:
            out.write(np.full((20, 24, 2), 0.3, np.float32))
    after = imagecodecs.png_decode((tmp_path / "out.png").read_bytes())
    np.testing.assert_array_equal(after, given)
    assert (tifffile.imread(tmp_path / "not.tif") == np.float32(0.3)).all()


def test_png_with_transparency_is_asked_about(tmp_path):
    given = samples("uint16", 20, 24, 4)
    (tmp_path / "in.png").write_bytes(imagecodecs.png_encode(given))
    with pytest.raises(BadPicture, match="--alpha_band"):
        open_measurement(tmp_path / "in.png")
    with open_measurement(tmp_path / "in.png", alpha_band="values") as picture:
        np.testing.assert_array_equal(picture.read(), given)


def test_the_library_of_compressed_files_is_named_where_it_is_missing(tmp_path):
    write(tmp_path / "in.tif", samples("uint16", 20, 24), MINISBLACK | {"compression": "lzw"})
    code = (
        "import sys, pathlib; sys.modules['imagecodecs'] = None\n"
        "import importlib.util; found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: None if name == 'imagecodecs' else found(name)\n"
        "from tfcyclegan.formats import open_measurement\n"
        "open_measurement(pathlib.Path(sys.argv[1])).read()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "in.tif")],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    last = result.stderr.strip().splitlines()[-1]
    assert "in.tif: needs imagecodecs" in last and "tfcyclegan[measurements]" in last


# of the whole data path: data_prep.folders --depth=keep


def test_folders_keep_their_depth(tmp_path):
    deep, shallow = samples("uint16", 2, 20, 24), samples("uint8", 20, 24, 3)
    for name in ("trainA", "trainB"):
        (tmp_path / "in" / name).mkdir(parents=True)
    write(tmp_path / "in/trainA/stack.tif", deep, MINISBLACK)
    (tmp_path / "in/trainB/x.png").write_bytes(imagecodecs.png_encode(shallow))
    options = {"input_dir": str(tmp_path / "in"), "output_dir": str(tmp_path / "out")}
    folders.run(folders.Config(**options, depth="keep", range_a="0:65535"))
    source = open_source(tmp_path / "out")
    stored = [array for _, array in source.arrays("trainA")]
    np.testing.assert_array_equal(stored, deep[..., None])
    assert (source.values["A"].dtype, source.values["B"].dtype) == ("uint16", "uint8")
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert "--depth=keep" in manifest["command"]
    assert any("--stack=channels" in note for note in manifest["conversions"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"range_a": "0:1"}, "--range_a: needs --depth=keep"),
        ({"depth": "keep", "alpha": "drop"}, "--alpha: is for 8-bit pictures"),
        ({"depth": "keep", "label_maps_b": True}, "--label_maps_b: is for 8-bit pictures"),
    ],
)
def test_options_of_the_other_depth_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        folders.Config(input_dir="in", output_dir="out", **options)


def test_colours_of_imagej_become_channels_of_floats(tmp_path):
    """Its colours are of 8 bit alone."""
    colours = {"imagej": True, "photometric": "rgb", "metadata": {"axes": "ZYXS"}}
    source = write(tmp_path / "in.tif", samples("uint8", 2, 20, 24, 3), colours)
    floats = samples("float32", 2, 20, 24, 3)
    values = Values("float32", (0.0,) * 3, (1.0,) * 3)
    with (
        open_measurement(source) as stack,
        stack.create(tmp_path / "out.tif", values) as out,
    ):
        for plane, array in enumerate(floats):
            out.write(array, plane)
    after, says = described(tmp_path / "out.tif")
    assert says["axes"] == "ZCYX"
    np.testing.assert_array_equal(after, np.moveaxis(floats, -1, 1))
