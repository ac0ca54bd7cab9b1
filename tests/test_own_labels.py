"""Label files by a table of one's own, in all ways in which they lie on disk; domains of label
maps; what is guessed and refused.
"""

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from data_prep import class_maps, folders
from data_prep.class_maps import BY_COLORS, BY_IDS, NOT_COUNTED, SNAPPED, Reader
from tfcyclegan import cli
from tfcyclegan.data import images
from tfcyclegan.data.intake import BadPicture
from tfcyclegan.data.labels import IGNORED, ClassTable, LabelClass
from tfcyclegan.data.source import open_source
from tfcyclegan.errors import UserError

TABLE = ClassTable(
    (
        LabelClass("water", 10, 0, (0, 0, 255)),
        LabelClass("land", 20, 1, (0, 128, 0)),
        LabelClass("void", 0, IGNORED, (0, 0, 0)),
        LabelClass("roof", 30, 2, (200, 50, 50)),
    )
)
CSV = """\
name,color,id,ignored
water,#0000ff,10,
land,#008000,20,
void,#000000,0,yes
roof,#c83232,30,
"""
IDS = np.array([[10, 20, 30], [0, 10, 30]], np.uint8)
COLORS = TABLE.colorize(IDS)
SIDE = 40


def file(pixels: np.ndarray, mode: str | None = None, form: str = "PNG", **more) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(stream, form, **more)
    return stream.getvalue()


def palette(indices: np.ndarray, colors: dict[int, tuple[int, int, int]]) -> bytes:
    image = Image.fromarray(indices).convert("P")
    image.putdata(indices.reshape(-1).tolist())
    flat = [0] * 768
    for index, color in colors.items():
        flat[3 * index : 3 * index + 3] = color
    image.putpalette(flat)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def read(
    content: bytes, form: str = "auto", unknown: str = "refused"
) -> tuple[list[list[int]], frozenset[str]]:
    ids, notes = Reader(TABLE, form, unknown).read(content, 10**6)
    assert ids.dtype == np.uint8
    return ids.tolist(), notes


OWN_COLORS = {entry.id: entry.color for entry in TABLE.classes}
SWAPPED = OWN_COLORS | {10: (0, 128, 0), 20: (0, 0, 255)}


@pytest.mark.parametrize(
    ("content", "notes"),
    [
        (file(IDS), {BY_IDS}),
        (file(IDS.astype(np.uint16)), {BY_IDS}),
        (file(IDS, form="TIFF"), {BY_IDS}),
        (file(COLORS), {BY_COLORS}),
        (file(COLORS, "RGBA"), {BY_COLORS}),
        (file(COLORS, form="BMP"), {BY_COLORS}),
        (palette(IDS, OWN_COLORS), {BY_IDS}),
        (palette(IDS, {10: (9, 9, 9)}), {BY_IDS}),
        (
            palette(
                np.array([[1, 2, 3], [4, 1, 3]], np.uint8),
                {1: (0, 0, 255), 2: (0, 128, 0), 3: (200, 50, 50)},
            ),
            {BY_COLORS},
        ),
    ],
    ids=range(9),
)
def test_every_way_in_which_labels_lie_on_disk(content, notes):
    assert read(content) == (IDS.tolist(), frozenset(notes))


def test_what_can_be_read_in_two_ways_is_refused_unless_told():
    content = palette(IDS, SWAPPED)
    with pytest.raises(
        BadPicture,
        match=(
            "can be read as ids and as colours of the table, with different results; choose "
            "--label_format=ids or colours"
        ),
    ):
        read(content)
    assert read(content, "ids")[0] == IDS.tolist()
    assert read(content, "colours")[0] == [[20, 10, 30], [0, 20, 30]]


@pytest.mark.parametrize(
    ("content", "form", "message"),
    [
        (
            file(IDS + 1),
            "auto",
            "ids outside the table: 1, 11, 21, 31; as colours: colours outside the table: "
            "#010101, #0b0b0b",
        ),
        (file(IDS.astype(np.uint16) * 100), "auto", "ids outside the table: 1000, 2000, 3000"),
        (file(COLORS + 1), "auto", "colours outside the table: #010100, #010101, #018101"),
        (
            file(COLORS, form="JPEG"),
            "auto",
            "a JPEG, whose colours are not exact; save it as PNG from its source, or "
            "--unknown_labels=nearest",
        ),
        (file(COLORS), "ids", "--label_format=ids: a picture of mode RGB holds no 8-bit ids"),
        (
            file(IDS.astype(np.float32), form="TIFF"),
            "auto",
            "a picture of mode F holds no 8-bit colours",
        ),
        (
            file(IDS.astype(np.uint16)),
            "colours",
            "a picture of mode I;16 holds no 8-bit colours",
        ),
        (b"", "auto", "the file is empty"),
        (file(COLORS)[:60], "auto", "damaged"),
    ],
    ids=range(9),
)
def test_what_is_outside_the_table_is_named(content, form, message):
    with pytest.raises(BadPicture) as caught:
        read(content, form)
    for part in message.split(", "):
        assert part in str(caught.value), str(caught.value)


def deep_colours(form):
    """The colours as 16-bit values 0..255: of these Pillow keeps the upper bytes, 0."""
    deep = COLORS.astype(np.uint16)
    if form == "PPM":
        return b"P6 3 2 65535\n" + deep.astype(">u2").tobytes()
    if form == "JPEG 2000":
        codecs = pytest.importorskip("imagecodecs")
        return codecs.jpeg2k_encode(np.kron(deep, np.ones((32, 32, 1), np.uint16)))
    stream, is_planar = io.BytesIO(), form == "planar TIFF"
    samples = np.moveaxis(deep, -1, 0) if is_planar else deep
    planes = "separate" if is_planar else "contig"
    tifffile.imwrite(stream, samples, photometric="rgb", planarconfig=planes)
    return stream.getvalue()


@pytest.mark.parametrize("form", ["TIFF", "planar TIFF", "JPEG 2000", "PPM"])
@pytest.mark.parametrize("unknown", ["refused", "nearest"])
def test_colours_of_16_bits_are_refused(form, unknown):
    with pytest.raises(BadPicture, match="colour with 16 bits per channel is not a known kind of"):
        read(deep_colours(form), unknown=unknown)


def test_shallow_gray_and_gray_with_opacity_hold_ids():
    """Four bits a pixel, which Pillow spreads over 0..255; opacity tells no class."""
    table = ClassTable((LabelClass("a", 3, 0, (1, 2, 3)), LabelClass("b", 9, 1, (4, 5, 6))))
    ids = np.array([[3, 9], [9, 3]], np.uint8)
    rows = b"".join(b"\0" + bytes([row[0] << 4 | row[1]]) for row in ids.tolist())

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", 2, 2, 4, 0, 0, 0, 0)
    shallow = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    for content in (shallow, file(ids, "LA")):
        assert Reader(table, "auto", "refused").read(content, 100)[0].tolist() == ids.tolist()


def test_unknown_values_by_the_flag():
    strange = COLORS.copy()
    strange[0, 0] = (0, 10, 250)
    assert read(file(strange), unknown="nearest") == (IDS.tolist(), frozenset({BY_COLORS, SNAPPED}))
    assert read(file(strange), unknown="ignored") == (
        [[0, 20, 30], [0, 10, 30]],
        frozenset({BY_COLORS, NOT_COUNTED}),
    )
    assert read(file(np.where(IDS == 20, 77, IDS).astype(np.uint8)), "ids", "ignored")[0] == [
        [10, 0, 30],
        [0, 10, 30],
    ]
    large = np.kron(IDS, np.ones((16, 16), np.uint8))
    ids, notes = Reader(TABLE, "auto", "nearest").read(
        file(TABLE.colorize(large), form="JPEG", quality=95, subsampling=0), 10**6
    )
    assert (ids == large).mean() > 0.99 and SNAPPED in notes


# --- folders
# --------------------------------------------------------------------------------------------------


def drawn(seed: int) -> np.ndarray:
    """Ids of some rectangles."""
    blocks = np.random.default_rng(seed).choice(np.array([10, 20, 30], np.uint8), (5, 5))
    return np.kron(blocks, np.ones((SIDE // 5, SIDE // 5), np.uint8))


def photo(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(-50, 50, (SIDE, SIDE, 3))
    return np.clip(TABLE.colorize(drawn(seed)) + noise, 0, 255).astype(np.uint8)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def root(tmp_path) -> Path:
    """Photos in A, label maps in B, of the same scenes in test."""
    for split, seeds in (("train", range(3)), ("test", range(5, 7))):
        for seed in seeds:
            save(tmp_path / f"root/{split}A/{seed}.png", photo(seed))
            save(
                tmp_path / f"root/{split}B/{seed}.png",
                TABLE.colorize(drawn(seed + (0 if split == "test" else 10))),
            )
    (tmp_path / "c.csv").write_text(CSV)
    return tmp_path / "root"


def prepare(root: Path, name: str = "out", **more) -> Path:
    folders.run(folders.Config(input_dir=str(root), output_dir=str(root.parent / name), **more))
    return root.parent / name


def colors_in(source, split: str) -> set[tuple[int, ...]]:
    return {
        tuple(color)
        for _, encoded in source.pictures(split)
        for color in np.array(images.decode(encoded, 3)).reshape(-1, 3).tolist()
    }


def test_label_maps_are_guessed_told_and_kept(root, capsys):
    out = prepare(root)
    told = capsys.readouterr().out
    assert (
        "domain B is read as label maps, a guess from its 3 colours (#0000ff, #008000, #c83232)"
        in told
    )
    assert (
        "--label_maps_b=false reads it as pictures; --classes=FILE.csv gives them names" in told
        and "domain A" not in told
    )
    source = open_source(out)
    assert (
        source.label_maps == {"trainB", "testB"} and not source.labelled and source.classes is None
    )
    made = json.loads((out / "manifest.json").read_text())
    assert made["conversions"] == {"label map, resized by nearest pixels alone": 5} and made[
        "label_maps"
    ] == ["trainB", "testB"]
    other = prepare(root, "pictures", label_maps_b=False)
    assert not open_source(other).label_maps and "a guess from" not in capsys.readouterr().out
    assert open_source(other).fingerprint != source.fingerprint, (
        "the same bytes mean something else"
    )
    with pytest.raises(UserError, match="--label_maps_b: False there, True here"):
        prepare(root, "pictures")
    capsys.readouterr()
    made = json.loads((other / "manifest.json").read_text())
    del made["format"]  # as 0.1.0 wrote it, which guessed nothing
    (other / "manifest.json").write_text(json.dumps(made))
    prepare(root, "pictures")
    told = capsys.readouterr().out
    assert "made before --label_maps_b was guessed, so it stays unchanged" in told
    assert "already complete: trainA 3, trainB 3, testA 2, testB 2 pictures" in told
    with pytest.raises(UserError, match="--label_maps_b: False there, True here"):
        prepare(root, "pictures", label_maps_b=True)


def test_label_maps_with_a_table_have_labels(root, capsys):
    source = open_source(prepare(root, classes=str(root.parent / "c.csv"), label_maps_b=True))
    assert (
        source.classes == TABLE
        and source.labelled == {"trainB", "testB"}
        and source.label_maps == source.labelled
    )
    assert colors_in(source, "testB") <= {entry.color for entry in TABLE.classes}
    for _, encoded, label in source.labelled_pictures("testB"):
        assert (
            TABLE.colorize(images.decode_ids(label)) == np.array(images.decode(encoded, 3))
        ).all()
    assert len(list(source.pictures("trainA"))) == 3
    with pytest.raises(UserError, match="has no labels in split trainA, only in testB, trainB"):
        next(source.labelled_pictures("trainA"))


def test_label_maps_of_ids_are_drawn(root):
    for path in root.glob("*B/*.png"):
        save(path, drawn(int(path.stem)))
    source = open_source(prepare(root, classes=str(root.parent / "c.csv"), label_maps_b=True))
    assert colors_in(source, "trainB") == {(0, 0, 255), (0, 128, 0), (200, 50, 50)}


def test_ids_as_label_maps_without_a_table_are_told(root, capsys):
    for path in root.glob("*B/*.png"):
        save(path, drawn(int(path.stem)))
    prepare(root)
    assert (
        "domain B is nearly black; if its values are class ids, --classes=FILE.csv"
        in capsys.readouterr().out
    )


def test_label_maps_saved_as_jpeg_are_told(root, capsys):
    for path in root.glob("*B/*.png"):
        large = np.kron(drawn(int(path.stem)), np.ones((4, 4), np.uint8))
        path.with_suffix(".jpg").write_bytes(file(TABLE.colorize(large), form="JPEG", quality=90))
        path.unlink()
    assert not open_source(prepare(root, "pictures")).label_maps
    assert (
        "domain B looks like label maps saved as JPEG, but is read as pictures; if it is label "
        "maps: --label_maps_b" in capsys.readouterr().out
    )
    with pytest.raises(
        UserError, match=r"a JPEG, whose colours are not exact; .* --unknown_labels=nearest"
    ):
        prepare(root, label_maps_b=True, classes=str(root.parent / "c.csv"))
    out = prepare(
        root,
        "snapped",
        label_maps_b=True,
        classes=str(root.parent / "c.csv"),
        unknown_labels="nearest",
    )
    assert colors_in(open_source(out), "trainB") <= {entry.color for entry in TABLE.classes}
    assert json.loads((out / "manifest.json").read_text())["conversions"][SNAPPED] == 5


def test_photos_saved_as_jpeg_are_not(root, capsys):
    for path in root.glob("*B/*.png"):
        path.with_suffix(".jpg").write_bytes(
            file(np.kron(photo(int(path.stem)), np.ones((2, 2, 1), np.uint8)), form="JPEG")
        )
        path.unlink()
    prepare(root)
    assert "label maps" not in capsys.readouterr().out


def test_photos_and_single_colours_are_no_label_maps(root, capsys):
    for index, path in enumerate(sorted(root.glob("*B/*.png"))):
        save(path, np.full((SIDE, SIDE, 3), 40 * index, np.uint8) if index % 2 else photo(index))
    assert (
        not open_source(prepare(root)).label_maps and "a guess from" not in capsys.readouterr().out
    )


def test_labels_beside_pictures(root, capsys):
    for path in root.glob("*A/*.png"):
        ids = drawn(int(path.stem))
        save(
            root / f"{path.parent.name}_labels/{path.name}",
            ids if path.parent.name == "trainA" else TABLE.colorize(ids),
        )
    save(root / "trainA_labels/extra.png", drawn(1))
    (root / "testA_labels/readme.txt").write_text("words")
    out = prepare(root, classes=str(root.parent / "c.csv"), label_maps_b=False)
    told = capsys.readouterr().out
    assert (
        "trainA_labels: labels of 3 of 3 pictures of trainA, by equal names; 1 labels without a "
        "picture are left out, such as extra.png" in told
    )
    source = open_source(out)
    assert source.labelled == {"trainA", "testA"} and source.classes == TABLE
    for split in ("trainA", "testA"):
        for name, _, label in source.labelled_pictures(split):
            assert (images.decode_ids(label) == drawn(int(Path(name).stem))).all(), (split, name)
    made = json.loads((out / "manifest.json").read_text())
    assert made["conversions"] == {BY_COLORS: 2, BY_IDS: 3} and made["left_out"] == {
        "labels without a picture": 1,
        ".txt files": 1,
    }


def test_a_label_that_is_a_broken_link_is_one_bad_picture(root):
    for seed in (0, 1):
        save(root / f"trainA_labels/{seed}.png", drawn(seed))
    (root / "trainA_labels/2.png").symlink_to("nowhere")
    table = str(root.parent / "c.csv")
    line = "trainA/2.png: cannot be read: label trainA_labels/2.png: No such file or directory"
    with pytest.raises(UserError, match=line):
        prepare(root, classes=table)
    assert open_source(prepare(root, classes=table, max_bad=1)).counts["trainA"] == 2


def test_what_is_refused_in_one_line(root, capsys):
    table = str(root.parent / "c.csv")

    def refused(message: str, **more) -> None:
        with pytest.raises(UserError) as caught:
            prepare(root, **more)
        assert message in str(caught.value) and "\n" not in str(caught.value), str(caught.value)

    refused("no labels found; put label files into", classes=table, label_maps_b=False)
    refused("also need --classes=FILE.csv", unknown_labels="nearest")
    refused("not a label map: it is a JPEG or has more than 256 colours", label_maps_a=True)
    (root.parent / "two.csv").write_text("name,color\nwater,#0000ff\nland,#008000\n")
    refused(
        "trainB/0.png: colours outside the table: #c83232; --unknown_labels=ignored or nearest "
        "accepts them",
        classes=str(root.parent / "two.csv"),
    )
    save(root / "trainA_labels/0.png", drawn(0))
    refused("labels need a table of their classes: --classes=FILE.csv")
    refused(
        "2 of 3 pictures of trainA have no label of the same name, such as 1; --max_bad=2 leaves "
        "them out",
        classes=table,
    )
    for seed in (1, 2):
        save(root / f"trainA_labels/{seed}.png", drawn(seed))
    save(root / "trainA_labels/2.png", drawn(2)[:20])
    refused(
        "trainA/2.png: label trainA_labels/2.png: is 40x20, its picture 40x40 (width x height)",
        classes=table,
    )
    save(root / "trainB_labels/0.png", drawn(0))
    refused(
        "trainB is label maps, whose colours are their labels", classes=table, label_maps_b=True
    )


def test_the_flags_of_the_command(root, capsys):
    out = root.parent / "out"
    arguments = [
        "-m",
        f"--input_dir={root}",
        f"--output_dir={out}",
        "--label_maps_b",
        "--nolabel_maps_a",
        f"--classes={root.parent / 'c.csv'}",
    ]
    assert (
        cli.run_command("data_prep.folders", "", "", folders.Config, folders.run, arguments[1:])
        == 0
    )
    assert open_source(out).label_maps == {"trainB", "testB"}
    assert (
        cli.run_command(
            "data_prep.folders",
            "",
            "",
            folders.Config,
            folders.run,
            [*arguments[1:-1], "--classes=no.csv"],
        )
        == 2
    )
    assert "--classes=no.csv: cannot be read (No such file or directory)" in capsys.readouterr().err


def test_guess_needs_few_colours():
    assert class_maps.colors_of(file(COLORS), 100) == {"#0000ff", "#008000", "#c83232", "#000000"}
    assert class_maps.colors_of(file(COLORS, form="JPEG"), 100) is None
    assert class_maps.colors_of(
        file(np.arange(768, dtype=np.uint16).astype(np.uint8).reshape(16, 16, 3)), 300
    ) == {f"#{3 * i % 256:02x}{(3 * i + 1) % 256:02x}{(3 * i + 2) % 256:02x}" for i in range(256)}
