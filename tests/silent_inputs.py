"""Inputs of tests/test_nothing_silent.py: each maker fills a folder with something of which a part
is not used, or is read by a guess.
"""

import importlib
import io
import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.io
import tifffile
from PIL import Image

from tests.street_folders import make_city, make_gta, photo, save
from tests.test_foreign_data import make_foreign
from tests.test_intake import encoded, png_16
from tests.test_intake_choices import DISPLAY_P3, FRAMES, RGBA, chunk
from tests.test_own_labels import CSV, TABLE
from tests.test_street_labels import deep_png
from tfcyclegan import cli

SIDE = 16
Maker = Callable[[Path, Path], None]
"""Fills the first folder; the second one holds what all rows share: `data`, `run`, `model`."""


def noise(number: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, shape or (SIDE, SIDE, 3), dtype=np.uint8)


STACK = encoded(FRAMES[0], "TIFF", save_all=True, append_images=FRAMES[1:])
MOVING = encoded(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:])
VIEWS = encoded(
    Image.fromarray(noise(5)), "MPO", save_all=True, append_images=[Image.fromarray(noise(6))]
)
DEEP = encoded(Image.fromarray(np.full((8, 8), 4000, np.uint16)), "PNG")
PLAIN = encoded(Image.fromarray(noise(0)), "PNG")


def write(folder: Path, contents: dict[str, bytes]) -> None:
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def run(name: str, *arguments: str) -> int:
    """A command, or a script of data_prep, in this process; its exit code."""
    if not name.startswith("data_prep."):
        return cli.main([name, *arguments])
    script = importlib.import_module(name)
    return cli.run_command(
        name, script.SUMMARY, script.EXAMPLES, script.Config, script.run, list(arguments)
    )


def sets(folder: Path, numbers: dict[str, int] | None = None) -> None:
    """Folders of noise, 16x16, for `data_prep.folders`; pictures of testA and testB have equal
    names.
    """
    for place, (split, count) in enumerate((numbers or {"trainA": 3, "trainB": 3}).items()):
        write(
            folder,
            {
                f"{split}/{n}.png": encoded(Image.fromarray(noise(100 * place + n)), "PNG")
                for n in range(count)
            },
        )


def prepared(folder: Path, **numbers: int) -> Path:
    sets(folder / "raw", numbers)
    assert (
        run("data_prep.folders", f"--input_dir={folder / 'raw'}", f"--output_dir={folder / 'data'}")
        == 0
    )
    return folder / "data"


# --- what all rows share
# --------------------------------------------------------------------------------------------------


def training(folder: Path, _: Path) -> None:
    """trainA: gray, small, of one colour; trainB: twice as many, of other shapes."""
    sets(folder / "raw", {"trainA": 3, "trainB": 6, "testA": 6, "testB": 6, "valA": 2, "valB": 2})
    gray, flat, wide = (
        noise(1, 8, 8),
        np.full((SIDE, SIDE, 3), 7, np.uint8),
        noise(2, SIDE, 2 * SIDE, 3),
    )
    for name, picture in {"trainA/0": gray, "trainA/1": flat, "trainB/0": wide}.items():
        write(folder / "raw", {f"{name}.png": encoded(Image.fromarray(picture), "PNG")})
    assert (
        run("data_prep.folders", f"--input_dir={folder / 'raw'}", f"--output_dir={folder / 'data'}")
        == 0
    )


# --- pictures
# --------------------------------------------------------------------------------------------------


def turned(picture: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(picture, "JPEG", exif=exif)


def tiff(samples: np.ndarray, **options) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, samples, **options)
    return stream.getvalue()


FOUR_BANDS = tiff(noise(3, SIDE, SIDE, 4), photometric="rgb", extrasamples=["unspecified"])
CMYK = encoded(Image.new("CMYK", (SIDE, SIDE), (0, 255, 255, 0)), "JPEG")


def pictures(folder: Path, _: Path) -> None:
    """All that is taken, and told."""
    sets(folder)
    plain = Image.fromarray(noise(5))
    kinds = {
        "stack.tif": STACK,
        "moving.gif": MOVING,
        "views.jpg": VIEWS,
        "clear.png": RGBA,
        "dark.png": DEEP,
        "ink.jpg": CMYK,
        "p3.png": encoded(plain, "PNG", icc_profile=DISPLAY_P3),
        "linear.png": PLAIN[:33] + chunk(b"gAMA", struct.pack(">I", 100_000)) + PLAIN[33:],
        "hdr.png": PLAIN[:33] + chunk(b"cICP", bytes((9, 16, 0, 1))) + PLAIN[33:],
        "turned.jpg": turned(plain),
        "planar.tif": tiff(
            noise(6, 3, SIDE, SIDE).astype(np.uint16) * 15,
            photometric="rgb",
            planarconfig="separate",
        ),
        "fourth.bmp": encoded(Image.fromarray(noise(8, SIDE, SIDE, 4)), "BMP"),
        "deep.ppm": b"P6 1 1 65535\n" + np.array([9, 65535, 0], ">u2").tobytes(),
        "gray.png": encoded(Image.fromarray(noise(7, SIDE, SIDE)), "PNG"),
    }
    others = dict.fromkeys(
        (
            "a.heic",
            "b.dcm",
            "c.npy",
            "all.zip",
            "no_ending",
            ".hidden.png",
            ".git/x.png",
            "Thumbs.db",
        ),
        b"x",
    )
    write(folder / "trainA", kinds | others)
    write(
        folder,
        {
            "trainB/0.jpg": encoded(plain, "JPEG"),
            "trainC/0.png": PLAIN,
            "readme.txt": b"x",
            ".cache/x": b"x",
        },
    )


def by_flags(folder: Path, _: Path) -> None:
    """What is left out where a flag says so."""
    sets(folder)
    kinds = {
        "stack.tif": STACK,
        "clear.png": RGBA,
        "nir.tif": FOUR_BANDS,
        "deep.png": png_16(np.full((8, 8, 3), 4095, np.uint16), 2),
    }
    write(folder / "trainA", kinds)


def without_adobe(jpeg: bytes) -> bytes:
    mark = jpeg.index(b"\xff\xee")
    return jpeg[:mark] + jpeg[mark + 2 + int.from_bytes(jpeg[mark + 2 : mark + 4], "big") :]


def refused(folder: Path, _: Path) -> None:
    """All that is refused, since leaving it out would change what is seen."""
    sets(folder)
    kinds = {
        "nir.tif": FOUR_BANDS,
        "two.tif": tiff(noise(3, SIDE, SIDE, 2), photometric="minisblack", planarconfig="contig"),
        "float.tif": tiff(np.ones((SIDE, SIDE), np.float32)),
        "signed.tif": tiff(np.ones((SIDE, SIDE), np.int16)),
        "ink.jpg": without_adobe(CMYK),
        "nothing.png": encoded(Image.new("RGBA", (4, 4), (1, 2, 3, 0)), "PNG"),
        "empty.png": b"",
        "words.png": b"words",
        "scan.png": b"\0" * 128 + b"DICM" + b"\0" * 100,
        "phone.jpg": b"\0\0\0\x18ftypheic" + b"\0" * 20,
        "cut.png": PLAIN[:200],
        "several.pgm": 2 * b"P5 2 1 65535\n\1\0P\0",
    }
    write(folder / "trainA", kinds)


# --- labels
# --------------------------------------------------------------------------------------------------


def drawn(seed: int, squares: int = 2) -> np.ndarray:
    """Ids of the table of tests/test_own_labels.py in squares of 8x8 pixels."""
    return (
        np.random.default_rng(seed)
        .choice(np.array([10, 20, 30], np.uint8), (squares, squares))
        .repeat(8, axis=0)
        .repeat(8, axis=1)
    )


def label_maps(folder: Path, _: Path) -> None:
    """Domain B is label maps, and nobody says so."""
    sets(folder, {"trainA": 3})
    write(
        folder,
        {
            f"trainB/{n}.png": encoded(Image.fromarray(TABLE.colorize(drawn(n))), "PNG")
            for n in range(3)
        },
    )


def id_maps(folder: Path, _: Path) -> None:
    """The same as ids in gray, which are nearly black."""
    sets(folder, {"trainA": 3})
    write(folder, {f"trainB/{n}.png": encoded(Image.fromarray(drawn(n)), "PNG") for n in range(3)})


def lossy_maps(folder: Path, _: Path) -> None:
    """Label maps that were saved as JPEG."""
    sets(folder, {"trainA": 3})
    maps = [TABLE.colorize(drawn(n, 4).repeat(4, axis=0).repeat(4, axis=1)) for n in range(3)]
    write(
        folder,
        {
            f"trainB/{n}.jpg": encoded(Image.fromarray(picture), "JPEG", quality=90)
            for n, picture in enumerate(maps)
        },
    )


def own_labels(folder: Path, _: Path) -> None:
    """Labels of one's own, one of them with opacity; one label has no picture, one file is none."""
    sets(folder, {"trainA": 3, "trainB": 3})
    ids = {f"trainA_labels/{n}.png": encoded(Image.fromarray(drawn(n)), "PNG") for n in (1, 2, 7)}
    clear = np.dstack([TABLE.colorize(drawn(0)), np.full((SIDE, SIDE), 99, np.uint8)])
    write(
        folder,
        {
            **ids,
            "trainA_labels/0.png": encoded(Image.fromarray(clear), "PNG"),
            "trainA_labels/notes.txt": b"x",
        },
    )
    (folder.parent / "classes.csv").write_text(CSV)


def strange_labels(folder: Path, shared: Path) -> None:
    own_labels(folder, shared)
    write(folder, {"trainA_labels/1.png": encoded(Image.fromarray(drawn(1) + 5), "PNG")})


def street(folder: Path, _: Path) -> None:
    """GTA5 with hidden files, labels of another kind, one label more, folders that are not read and
    frames that are not there.
    """
    make_gta(folder)
    write(
        folder,
        {
            "images/._00001.png": b"x",
            "labels/note.txt": b"x",
            "labels/99.png": PLAIN,
            "depth/1.png": PLAIN,
            ".cache/x": b"x",
        },
    )
    scipy.io.savemat(
        folder / "split.mat", {"trainIds": np.arange(1, 12), "valIds": [40], "testIds": []}
    )


def deep_street(folder: Path, _: Path) -> None:
    for number in range(2):
        save(folder / f"images/{number}.png", photo(number))
        classes = np.random.default_rng(number).integers(0, 23, (32, 64)).astype(np.uint16)
        write(
            folder,
            {f"labels/{number}.png": deep_png(np.dstack([classes, classes * 40, 0 * classes]))},
        )


def trained_ids(folder: Path, _: Path) -> None:
    for number in range(2):
        save(folder / f"images/{number}.png", photo(number))
        ids = np.random.default_rng(number).choice(np.array([0, 2, 255], np.uint8), (32, 64))
        write(folder, {f"labels/{number}.png": encoded(Image.fromarray(ids), "PNG")})


def city(folder: Path, _: Path) -> None:
    make_city(folder)


# --- data sets
# --------------------------------------------------------------------------------------------------


DARK = encoded(Image.fromarray(np.full((SIDE, SIDE, 3), 3, np.uint8)), "PNG")


def foreign(folder: Path, _: Path) -> None:
    """A TFDS data set of another program's: further features and splits, transparency, a domain
    that is nearly black.
    """
    import tensorflow_datasets as tfds

    splits = {
        "trainA": [RGBA],
        "trainB": [DARK],
        "testA": [RGBA, PLAIN],
        "testB": [PLAIN],
        "validation": [PLAIN],
    }
    label = tfds.features.ClassLabel(num_classes=3), 1
    make_foreign(folder / "data", splits, tfds.features.Image(shape=(None, None, 4)), label=label)


def val_alone(folder: Path, _: Path) -> None:
    prepared(folder, trainA=1, trainB=1, valA=2, valB=2)


def grown(folder: Path, _: Path) -> None:
    """The data of the shared run, and one picture more."""
    prepared(folder, trainA=4, trainB=6)


def best_apart(folder: Path, shared: Path) -> None:
    """The shared run, of which another checkpoint than the latest measured best."""
    shutil.copytree(shared / "run", folder / "run")
    (folder / "run" / "checkpoints" / "best").mkdir()
    for path in (folder / "run" / "checkpoints").glob("step-0*"):
        shutil.copy(path, folder / "run" / "checkpoints" / "best")


def later(folder: Path, shared: Path) -> None:
    """A data set and a run by a later version, and a run with an option that nobody knows."""
    for name, edit in {
        "data/manifest.json": lambda made: made.update(format=99),
        "run/config.json": lambda made: made.update(format=99),
        "odd/config.json": lambda made: made["options"].update(zoom=2),
    }.items():
        origin = shared / "data" if name.startswith("data") else shared / "run"
        shutil.copytree(origin, folder / Path(name).parent)
        made = json.loads((folder / name).read_text())
        edit(made)
        (folder / name).write_text(json.dumps(made))


# --- translations, models, weights
# --------------------------------------------------------------------------------------------------


def translations(folder: Path, shared: Path) -> None:
    """Results of the official program: PNG with a palette, 16 bit, JPEG, other kinds of pictures, a
    page and hidden files.
    """
    picture = Image.fromarray(noise(1))
    write(
        folder,
        {
            "0_fake_B.png": encoded(picture.quantize(64), "PNG"),
            "1_fake_B.png": png_16(noise(2).astype(np.uint16) * 257, 2),
            "2_fake_B.jpg": encoded(picture, "JPEG"),
            **{f"{n}_fake_B.png": encoded(Image.fromarray(noise(n)), "PNG") for n in range(3, 6)},
            **{f"{n}_real_A.png": PLAIN for n in range(6)},
            "index.html": b"x",
            ".hidden.png": b"x",
        },
    )


def model_ahead(folder: Path, shared: Path) -> None:
    """An export that holds a version of the other direction."""
    shutil.copytree(shared / "model", folder / "model")
    path = folder / "model" / "1" / "metadata.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"direction": "ba"}))


def unnamed_model(folder: Path, shared: Path) -> None:
    shutil.copytree(shared / "model", folder / "model")
    (folder / "model" / "1" / "metadata.json").unlink()
    large(folder, shared)


def large(folder: Path, _: Path) -> None:
    write(folder, {"testB/large.png": encoded(Image.fromarray(noise(3, 24, 40, 3)), "PNG")})


def weights(folder: Path, _: Path) -> None:
    """Files of PyTorch: a network in a checkpoint beside others, CUT's, a whole model; and a folder
    of the official program's.
    """
    import torch

    from tests.test_foreign_weights import Whole, cut_networks, plain

    own, blurred = plain(), cut_networks()["latest_net_G.pth"]
    blurred["model.7.filt"] *= 2
    kinds = {
        "checkpoint.pth": {
            "state_dict": {f"module.{key}": value for key, value in own.items()},
            "epoch": 3,
        },
        "cut.pth": blurred,
        "whole.pth": Whole(),
        "folder/latest_net_G_A.pth": own,
        "folder/5_net_G_A.pth": own,
    }
    (folder / "folder").mkdir(parents=True)
    for name, content in kinds.items():
        torch.save(content, folder / name)
    write(folder, {"folder/loss_log.txt": b"x"})


def keras_weights(folder: Path, _: Path) -> None:
    import h5py

    from tests.conftest import GOLDEN

    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(GOLDEN / "tfa_generator.h5", folder / "a.h5")
    with h5py.File(folder / "a.h5", "a") as file:
        file.require_group("optimizer_weights")


def flag_file(folder: Path, _: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.cfg").write_text("--scale=original\n--scale=trained\n")
    (folder / "b.cfg").write_text("--zoom=2\n")


def nothing(folder: Path, _: Path) -> None:
    """For what the shared data and run are enough."""
