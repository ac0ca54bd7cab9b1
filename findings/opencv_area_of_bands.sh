#!/usr/bin/env bash
# OpenCV's INTER_AREA makes a scene of bands half as large, each new pixel the mean of four, as overviews and thumbnails are made.
# Guess: 13 bands at once are the 13 bands one by one, as 4 are; uint8 and uint16 are rounded to the nearest.
# Seen (OpenCV 5.0.0): one in eight values is another. Of 1 to 4 channels a mean of x.5 is rounded up, so that the result is an eighth of a level
# bright on average; of 5 or more it goes to the even number, without a bias. By 3 all are alike.
# Why: by 2 there is vectorized code for 1 to 4 channels, which adds 2 and shifts; what has more goes the general way, in float.
# Who meets it: whoever compares, or trains and infers, with another selection of bands: the same band of the same scene differs.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 opencv-python-headless==5.0.0.93
venv/bin/python - <<'END_OF_PYTHON'
import cv2
import numpy as np

print("OpenCV", cv2.__version__)


def shrunk(scene: np.ndarray, by: int) -> np.ndarray:
    side = len(scene) // by
    return cv2.resize(scene, (side, side), interpolation=cv2.INTER_AREA)


for kind in ("uint8", "uint16"):
    scene = np.random.default_rng(0).integers(0, 256, (96, 96, 13)).astype(kind)
    exact = scene.reshape(48, 2, 48, 2, 13).mean((1, 3))
    bands = [np.ascontiguousarray(scene[..., band]) for band in range(13)]
    one_by_one = np.stack([shrunk(band, 2) for band in bands], -1)
    for count in (1, 3, 4, 5, 13):
        found = shrunk(np.ascontiguousarray(scene[..., :count]), 2).reshape(48, 48, count)
        other = (found != one_by_one[..., :count]).mean()
        bias = (found - exact[..., :count]).mean()
        print(f"{kind}: {count:2} bands at once: {100 * other:4.1f} % are not as one by one, {bias:+.3f} levels from the mean")
        if count <= 4:
            assert other == 0 and 0.1 < bias < 0.15
        else:
            np.testing.assert_array_equal(found, np.rint(exact[..., :count]))
            assert 0.1 < other < 0.15 and abs(bias) < 0.02
    at_once = shrunk(scene, 3)
    np.testing.assert_array_equal(at_once, np.stack([shrunk(band, 3) for band in bands], -1))
END_OF_PYTHON
