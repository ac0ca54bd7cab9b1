#!/usr/bin/env bash
# Gaps (NaN) in a float TIFF compressed by LERC, as elevation and satellite scenes often are.
# Guess: whoever reads it gives NaN where NaN was written; at least tifffile reads back what it has written itself.
# Seen (tifffile 2026.3.3 with imagecodecs 2026.3.6, rasterio 1.4.4 with its GDAL 3.10.3): GDAL gives NaN, tifffile 0.0, of files by GDAL and
# of its own alike, without a warning; LERC over zstd and over deflate too. Numbers such as -9999 as nodata come back from both.
# Why: LERC keeps a mask of valid pixels beside the values; imagecodecs gives it only if asked (`lerc_decode(..., masks=True)`), and tifffile
# does not ask. The value below the mask is 0.
# Who meets it: a mean, a range by percentiles or a loss over the scene takes all gaps for sea level, black or 0 kelvin.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 rasterio==1.4.4 tifffile==2026.3.3 imagecodecs==2026.3.6
venv/bin/python -W ignore - <<'END_OF_PYTHON'
import imagecodecs
import numpy as np
import rasterio
import tifffile

print("rasterio", rasterio.__version__, "GDAL", rasterio.__gdal_version__, "tifffile", tifffile.__version__, "imagecodecs", imagecodecs.__version__)
values = np.linspace(200, 300, 64 * 64, dtype=np.float32).reshape(64, 64)
values[:5] = np.nan
for compression in ("lerc", "lerc_zstd", "lerc_deflate"):
    with rasterio.open(f"{compression}.tif", "w", driver="GTiff", width=64, height=64, count=1, dtype="float32", compress=compression) as file:
        file.write(values, 1)
tifffile.imwrite("tifffile.tif", values, compression="lerc")
for name in ("lerc", "lerc_zstd", "lerc_deflate", "tifffile"):
    with rasterio.open(f"{name}.tif") as file:
        by_gdal = file.read(1)
    by_tifffile = tifffile.imread(f"{name}.tif")
    print(f"{name:13} NaN by GDAL {np.isnan(by_gdal).sum()}, by tifffile {np.isnan(by_tifffile).sum()}; mean {np.nanmean(by_gdal):.1f}, {np.nanmean(by_tifffile):.1f}")
    np.testing.assert_array_equal(by_gdal, values)
    assert (by_tifffile[:5] == 0).all() and (by_tifffile[5:] == values[5:]).all()
_, mask = imagecodecs.lerc_decode(imagecodecs.lerc_encode(values), masks=True)
assert not mask[:5].any() and mask[5:].all()
END_OF_PYTHON
