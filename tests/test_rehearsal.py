"""The rehearsal of GTA5 -> Cityscapes: its frames, and its order of commands."""

import argparse
import re

import numpy as np
import pytest
from PIL import Image

from benchmarks import rehearsal


def test_a_label_moves_with_its_frame(tmp_path):
    draw = np.random.default_rng(0)
    ids = draw.integers(0, 34, (8, 30), dtype=np.uint8)
    label = Image.fromarray(ids)
    label.putpalette(bytes(range(256)) * 3)
    label.save(tmp_path / "label.png")
    Image.fromarray(np.repeat(ids[..., np.newaxis] * 5 + 40, 3, axis=2)).save(
        tmp_path / "frame.png"
    )
    for number in range(6):
        for name in ("label", "frame"):
            rehearsal._shifted(
                number, tmp_path / f"{name}.png", tmp_path / "made" / name, noisy=name == "frame"
            )
        with Image.open(tmp_path / "made" / "label") as made:
            assert made.mode == "P" and made.getpalette() == label.getpalette()
            moved = np.asarray(made)
        with Image.open(tmp_path / "made" / "frame") as made:
            frame = np.asarray(made).astype(int)
        noise = frame - (moved[..., np.newaxis] * 5 + 40)
        assert 2 < noise.std() < 4 and np.abs(noise).max() < 20
        assert sorted(moved[0]) == sorted(ids[0])


@pytest.mark.slow
def test_the_whole_chain(tmp_path, monkeypatch, capsys):
    output = tmp_path / "results.json"
    monkeypatch.setattr(
        "sys.argv", ["rehearsal", "--short", f"--directory={tmp_path}", f"--output={output}"]
    )
    rehearsal.main()
    shown = capsys.readouterr().out
    for part in rehearsal.parts(
        tmp_path, argparse.Namespace(short=True, frames=12, test_frames=6, steps=8)
    ):
        assert re.search(rf"^│ {part.name} ", shown, re.MULTILINE), part.name
    assert len(list((tmp_path / "translated").rglob("*.png"))) == 6
    rehearsal.main()  # everything is kept: the same table at once
    assert output.exists()
