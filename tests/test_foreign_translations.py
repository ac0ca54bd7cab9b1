"""Folders of translations by other programs: read as their pictures look, whatever the file; what
was passed over is counted.
"""

import json
import shutil
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from tfcyclegan import cli
from tfcyclegan.data import images
from tfcyclegan.data.domains import open_domains
from tfcyclegan.data.picture_folders import picture_name
from tfcyclegan.data.source import open_source
from tfcyclegan.errors import UserError
from tfcyclegan.evaluation.gathering import gather_folder
from tfcyclegan.evaluation.task import Task
from tfcyclegan.measures.evaluation_set import OWN
from tfcyclegan.translation.foreign_translations import PALETTE


@pytest.fixture(scope="module")
def data(tiles):
    domains = open_domains(str(tiles))
    pictures = {}
    for domain in "AB":
        for filename, encoded in open_source(tiles).pictures(f"test{domain}"):
            pictures[domain, picture_name(filename, f"test{domain}")] = images.decode(encoded, 3)
    return domains, pictures


@pytest.fixture
def maps(data):
    """The true maps by the names of the tiles: perfect translations."""
    return {name: picture for (domain, name), picture in data[1].items() if domain == "B"}


def saved(folder, pictures, save: Callable[[Image.Image, str], None]):
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        save(picture, f"{folder}/{name}")
    return folder


def png(picture: Image.Image, path: str) -> None:
    picture.save(f"{path}.png")


def gathered(data, folder, direction="ab", **how):
    scored = gather_folder(folder, Task(data[0], "test", direction), **how)
    return scored, scored.facts["translations"], "\n".join(scored.assumed)


def official(folder, data):
    """A results folder of the official program, both ways, with its page."""
    for (domain, name), picture in data[1].items():
        for kind in (f"real_{domain}", f"fake_{domain}", f"rec_{domain}"):
            saved(folder / "images", {f"{name}_{kind}": picture}, png)
    (folder / "index.html").write_text("results")
    return folder


@pytest.mark.parametrize(("direction", "suffix"), [("ab", "_fake_B"), ("ba", "_fake_A")])
def test_results_of_the_official_program(data, tmp_path, direction, suffix):
    scored, facts, told = gathered(data, official(tmp_path / "results", data), direction)
    count = len(scored.inputs)
    assert (
        scored.sets[OWN].keys() == scored.inputs.keys()
        and facts["suffix"] == suffix
        and facts["suffix_guessed"]
    )
    assert all((scored.truths[name] == picture).all() for name, picture in scored.sets[OWN].items())
    assert (
        f"end in {suffix}, a guess from the official program's names; --translations_suffix "
        "selects others" in told
    )
    assert (
        f"{5 * count + 1} files skipped" in told
        and f"{count} _rec_A" in told
        and facts["passed_over"]["_real_A"] == count
    )
    assert (
        facts["passed_over"]["that are not pictures by their extensions"] == 1
        and "taken from its folder images" in told
    )


def test_official_results_of_the_other_direction(data, maps, tmp_path):
    folder = saved(
        tmp_path / "single",
        {
            f"{name}_{kind}": picture
            for name, picture in maps.items()
            for kind in ("real_B", "fake_A")
        },
        png,
    )
    with pytest.raises(UserError, match=r"--direction=ab: .*_fake_A; give --direction=ba"):
        gathered(data, folder)
    for path in folder.glob("*_fake_A.png"):
        path.rename(f"{path}".replace("_fake_A", "_fake"))
    _, facts, _ = gathered(data, folder)
    assert facts["suffix"] == "_fake" and facts["passed_over"] == {"_real_B": len(maps)}


def test_a_suffix_of_ones_own(data, maps, tmp_path):
    folder = saved(
        tmp_path / "own", {f"{name}-out": picture for name, picture in maps.items()}, png
    )
    shutil.copy(folder / "0001-out.png", folder / "grid.png")
    with pytest.raises(UserError, match=r"names do not match.*--translations_suffix"):
        gathered(data, folder)
    _, facts, told = gathered(data, folder, suffix="-out")
    assert (
        facts["passed_over"] == {"other pictures": 1}
        and "such as grid.png" in told
        and "guess" not in told.replace("pairs: guess", "")
    )
    with pytest.raises(UserError, match="--translations_suffix=_fake: no picture in"):
        gathered(data, folder, suffix="_fake")


def in_palette(picture: Image.Image, path: str) -> None:
    picture.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
        f"{path}.png"
    )


def in_16_bit(picture: Image.Image, path: str) -> None:
    # rounds to the same level
    Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257 + 120).save(
        f"{path}.png"
    )


def nearly_opaque(picture: Image.Image, path: str) -> None:
    picture = picture.copy()
    picture.putalpha(254)
    picture.save(f"{path}.png")


@pytest.mark.parametrize(
    ("save", "note", "error"),
    [
        (in_palette, PALETTE, 12),
        (in_16_bit, "16 bit, scaled to 8", 0),
        (lambda picture, path: picture.save(f"{path}.tif"), "", 0),
        (lambda picture, path: picture.save(f"{path}.webp", lossless=True), "", 0),
        (nearly_opaque, "transparent, laid on white", 1),
    ],
    ids=["palette", "16bit", "tif", "webp", "alpha"],
)
def test_pictures_are_read_as_they_look(data, maps, tmp_path, save, note, error):
    scored, facts, told = gathered(data, saved(tmp_path / "pictures", maps, save))
    own, count = scored.sets[OWN], len(maps)
    assert facts["conversions"] == ({note: count} if note else {}) and facts["lossy"] == 0
    assert (f"translations: {note}: {count} pictures" in told) == bool(note)
    for name, picture in maps.items():
        expected = np.asarray(
            picture.convert("L") if own[name].shape[-1] == 1 else picture
        ).reshape(own[name].shape)
        assert np.abs(own[name].astype(int) - expected).mean() <= error


def test_gray_translations(data, maps, tmp_path):
    gray = {name: picture.convert("L") for name, picture in maps.items()}
    scored, _, told = gathered(data, saved(tmp_path / "gray", gray, png))
    assert (
        "all are gray, so real pictures are taken by luminance; --translations_channels=3" in told
    )
    assert {
        picture.shape[-1]
        for pictures in (*scored.sets.values(), scored.truths)
        for picture in pictures.values()
    } == {1}
    scored, _, told = gathered(data, tmp_path / "gray", channels=3)
    assert {picture.shape[-1] for picture in scored.sets[OWN].values()} == {
        3
    } and f"{len(gray)} of {len(gray)} are gray" in told
    png(maps["0001"], f"{tmp_path / 'gray'}/0001")  # an optimiser makes gray what has no colours
    scored, _, told = gathered(data, tmp_path / "gray")
    assert {picture.shape[-1] for picture in scored.sets[OWN].values()} == {
        3
    } and f"{len(gray) - 1} of {len(gray)} are gray" in told


def test_sizes_twins_and_damage(data, maps, tmp_path):
    small = {name: picture.resize((32, 24)) for name, picture in maps.items()}
    _, _, told = gathered(data, saved(tmp_path / "small", small, png))
    assert (
        f"translations are 32x24, so real pictures are resized to that; {len(maps)} of "
        f"{len(maps)} inputs have another size" in told
    )
    folder = saved(tmp_path / "maps", maps, png)
    maps["0001"].save(folder / "0001.jpg")
    with pytest.raises(UserError, match=r"two files for 0001: 0001.jpg and 0001.png"):
        gathered(data, folder)
    (folder / "0001.jpg").unlink()
    content = (folder / "0001.png").read_bytes()
    (folder / "0001.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"0001.png: damaged"):
        gathered(data, folder)


def test_a_split_that_stands_in_is_told(street, tmp_path):
    places = ",".join(str(street / "data" / name) for name in ("toy_gta5", "toy_cityscapes"))
    domains = open_domains(places)
    gray = Image.new("RGB", (64, 32), "gray")
    names = [
        picture_name(filename, "test") for filename, _ in domains.require("test", "a").pictures()
    ]
    folder = saved(tmp_path / "street", dict.fromkeys(names, gray), png)
    scored = gather_folder(folder, Task(domains, "test", "ab"))
    assert f"split: {domains.b.directory} has no test split, so val is scored" in scored.assumed
    assert (
        scored.facts["splits"] == {"a": "test", "b": "val"}
        and scored.facts["pairs"]["basis"] == "none"
    )
    nested = [
        picture_name(filename, "val") for filename, _ in domains.require("test", "b").pictures()
    ]
    flat = saved(
        tmp_path / "flat", {f"{name.rpartition('/')[2]}_fake_A": gray for name in nested}, png
    )
    back = gather_folder(flat, Task(domains, "test", "ba"))
    assert back.sets[OWN].keys() == set(nested) and any(
        "matched by file names only" in line for line in back.assumed
    )


def test_a_part_of_the_real_pictures_is_told(data, maps, tmp_path, monkeypatch):
    monkeypatch.setattr("tfcyclegan.evaluation.sides.REFERENCES", 20)
    scored, _, told = gathered(data, saved(tmp_path / "maps", maps, png))
    count = data[0].require("train", "b").count
    assert (
        f"references: {len(scored.target_train)} of the {count} pictures of trainB, evenly spread"
        in told
    )
    assert scored.facts["references"] == {
        "a": len(scored.source_train),
        "b": len(scored.target_train),
    }


def test_jpegs_are_scored_and_marked(data, maps, tiles, tmp_path, capsys):
    folder = saved(
        tmp_path / "jpegs",
        {f"{name}_fake_B": picture for name, picture in maps.items()},
        lambda p, path: p.save(f"{path}.jpg"),
    )
    output = tmp_path / "scores"
    assert (
        cli.main(
            [
                "evaluate",
                f"--translations={folder}",
                f"--data_dir={tiles}",
                f"--output={output}",
                "--features=none",
            ]
        )
        == 0
    )
    metrics = json.loads((output / "metrics.json").read_text())
    result = metrics["directions"][0]
    assert result["translations"]["formats"] == {"JPEG": len(maps)} and result["translations"][
        "lossy"
    ] == len(maps)
    told = f"{len(maps)} of {len(maps)} are JPEG, whose compression artefacts affect every score"
    assert result["verdict"].endswith("saved with lossy compression, which may explain this.")
    assert (
        any(told in line for line in result["assumed"])
        and "saved with lossy compression" in metrics["note"]
    )
    page = (output / "index.html").read_text()
    assert (
        told in page and "saved with lossy compression" in page and told in capsys.readouterr().out
    )
