#!/usr/bin/env bash
# SimpleITK reads TIFF through ITK's own reader.
# Guess: a colour picture has three components of 8 bit, in whatever way its TIFF was stored; a palette TIFF reads like a palette PNG.
# Seen (SimpleITK 2.5.7): stored plainly or by Deflate 3 components of 8 bit; stored by JPEG **4** components, the fourth 255 everywhere;
# a palette TIFF 3 components of **16** bit up to 65280, where the same picture as PNG has 8 bit up to 255.
# Why: what libtiff paints has an alpha channel, and ITK keeps it; TIFF's colour maps have 16-bit entries, and ITK keeps those.
# Who meets it: folders of mixed scans, where a network's first layer fails on some, or z-scoring hides a factor of 256.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 simpleitk==2.5.7 tifffile==2026.3.3 imagecodecs==2026.3.6
venv/bin/python - <<'END'
import numpy as np
import SimpleITK
import tifffile
from PIL import Image


def read(name: str) -> np.ndarray:
    return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(name))


smooth = np.linspace(0, 255, 64).astype(np.uint8)
colour = np.dstack([np.tile(smooth, (64, 1)), np.tile(smooth[:, None], (1, 64)), np.full((64, 64), 90, np.uint8)])
shapes = {}
for name, compression in (("plain", None), ("deflate", "zlib"), ("jpeg", "jpeg")):
    tifffile.imwrite(f"{name}.tif", colour, photometric="rgb", compression=compression)
    found = read(f"{name}.tif")
    shapes[name] = found.shape
    print(f"{name}: {found.shape} {found.dtype}, mean difference {abs(found[..., :3].astype(int) - colour).mean():.2f}")
    assert found.dtype == np.uint8 and abs(found[..., :3].astype(int) - colour).mean() < 3
assert shapes == {"plain": (64, 64, 3), "deflate": (64, 64, 3), "jpeg": (64, 64, 4)}
assert (read("jpeg.tif")[..., 3] == 255).all()
indexed = Image.fromarray(np.array([[0, 1, 2, 3] * 8] * 32, np.uint8))
indexed.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
indexed.save("palette.png")
indexed.save("palette.tif")
png, tif = read("palette.png"), read("palette.tif")
print("palette:", "PNG", png.shape, png.dtype, png.max(), "TIFF", tif.shape, tif.dtype, tif.max())
assert png.dtype == np.uint8 and tif.dtype == np.uint16 and (tif == png.astype(np.uint16) * 256).all() and tif.max() == 65280
END
