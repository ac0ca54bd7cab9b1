#!/usr/bin/env bash
# Colour maps by which measurements are shown: OpenCV's applyColorMap and Matplotlib's maps of the same names, over all 256 levels.
# Guess: a map of one name is one table, so that both agree within rounding; and Matplotlib's "gray" gives level k back as k.
# Seen (OpenCV 5.0.0, Matplotlib 3.11.2): viridis, magma, inferno, plasma, turbo and cividis agree within half a level; jet is up to 33
# levels apart, pink 30, hot 51, ocean 128, twilight 197, rainbow 255. Matplotlib's gray as bytes is one too low at 24 of 256 levels.
# Why: OpenCV interpolates maps of its own under the older names; its twilight starts elsewhere. Matplotlib multiplies its table by 255 and
# cuts, and 33 / 255 * 255 is 32.999.
# Who meets it: values that are read off a picture by a colour bar of the other library, previews that are compared byte by byte, and
# 8-bit pictures that pass through a gray map and come back darker.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 opencv-python-headless==5.0.0.93 matplotlib==3.11.2
venv/bin/python - <<'END'
import cv2
import matplotlib
import numpy as np

levels = np.arange(256)
seen = {
    "viridis": 0.5, "magma": 0.5, "inferno": 0.5, "plasma": 0.5, "turbo": 0.5, "cividis": 0.5,
    "pink": 30, "jet": 33.5, "hot": 51.1, "ocean": 127.5, "twilight": 197.3, "rainbow": 255,
}
for name, expected in seen.items():
    flag = getattr(cv2, f"COLORMAP_{name.upper()}")
    ours = cv2.applyColorMap(levels.astype(np.uint8)[None], flag)[0, :, ::-1]
    theirs = matplotlib.colormaps[name](levels)[:, :3] * 255
    apart = np.abs(ours - theirs).max()
    print(f"{name}: up to {apart:.1f} levels apart")
    assert abs(apart - expected) < 0.1, name
gray = matplotlib.colormaps["gray"](levels / 255, bytes=True)[:, 0].astype(int)
lower = np.flatnonzero(gray != levels)
print("Matplotlib's gray is one lower at", lower.tolist())
assert len(lower) == 24 and (gray[lower] == lower - 1).all()
END
