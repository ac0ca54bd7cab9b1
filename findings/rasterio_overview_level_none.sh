#!/usr/bin/env bash
# OVERVIEW_LEVEL=NONE, GDAL's open option that hides a file's overviews, as whoever must read true pixels gives it.
# Guess: pixels of decimated reads change, and nothing else: names and tags are those of the file.
# Seen (rasterio 1.4.4 with its GDAL 3.10.3): the names of all bands are gone (`descriptions` are None), and the namespaces of tags are
# not listed any more (each still answers when it is asked by name). With or without overviews.
# Why: the option puts a second data set in front of the file's, which hands on only what it thinks of.
# Who meets it: satellite scenes, whose bands are then chosen by names that are not there.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 rasterio==1.4.4
venv/bin/python -W ignore - <<'END_OF_PYTHON'
import numpy as np
import rasterio

print("rasterio", rasterio.__version__, "GDAL", rasterio.__gdal_version__)
with rasterio.open("x.tif", "w", driver="GTiff", width=8, height=8, count=2, dtype="uint16", nodata=5) as file:
    file.write(np.arange(128, dtype=np.uint16).reshape(2, 8, 8))
    file.descriptions, file.units, file.scales = ("red", "near infrared"), ("W", "W"), (2, 2)
    file.update_tags(ns="MINE", FLIGHT="7")


def told(**options) -> dict:
    with rasterio.open("x.tif", **options) as file:
        return {
            "descriptions": file.descriptions,
            "namespaces": sorted(file.tag_namespaces()),
            "units": file.units,
            "scales": file.scales,
            "nodata": file.nodata,
            "flight": file.tags(ns="MINE"),
            "pixels": file.read().tolist(),
        }


plain, hidden = told(), told(OVERVIEW_LEVEL="NONE")
for name in ("descriptions", "namespaces"):
    print(f"{name:12} {plain[name]}\n{'':12} {hidden[name]} with OVERVIEW_LEVEL=NONE")
assert plain["descriptions"] == ("red", "near infrared") and hidden["descriptions"] == (None, None)
assert "MINE" in plain["namespaces"] and "MINE" not in hidden["namespaces"]
for name in ("units", "scales", "nodata", "flight", "pixels"):
    assert plain[name] == hidden[name], name
END_OF_PYTHON
