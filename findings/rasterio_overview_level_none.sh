#!/usr/bin/env bash
# OVERVIEW_LEVEL=NONE, GDAL's open option that hides a file's overviews, as whoever must read true pixels gives it.
# Guess: pixels of decimated reads change, and nothing else: names, tags, transform are those of the file.
# Seen (rasterio 1.4.4 with its GDAL 3.10.3): the names of all bands are gone (`descriptions` are None), the namespaces of tags are not
# listed any more (each still answers when it is asked by name), and of a file that lies by control points `transform` is memory that nobody
# has set (numbers such as 4.6e-310, others in each run) where it is the identity without the option. With or without overviews.
# Why: the option puts a second data set in front of the file's, which hands on what it thinks of, and "no transform" without a transform.
# Who meets it: satellite scenes; bands are then chosen by names that are not there, or a result is placed by such a transform.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 rasterio==1.4.4
venv/bin/python -W ignore - <<'END_OF_PYTHON'
import numpy as np
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

print("rasterio", rasterio.__version__, "GDAL", rasterio.__gdal_version__)
points = [GroundControlPoint(0, 0, 7.0, 45.0), GroundControlPoint(0, 8, 7.1, 45.0), GroundControlPoint(8, 0, 7.0, 44.9)]
with rasterio.open("x.tif", "w", driver="GTiff", width=8, height=8, count=2, dtype="uint16", nodata=5) as file:
    file.write(np.arange(128, dtype=np.uint16).reshape(2, 8, 8))
    file.descriptions, file.units, file.scales = ("red", "near infrared"), ("W", "W"), (2, 2)
    file.update_tags(ns="MINE", FLIGHT="7")
    file.gcps = points, CRS.from_epsg(4326)


def told(**options) -> dict:
    with rasterio.open("x.tif", **options) as file:
        return {
            "descriptions": file.descriptions,
            "namespaces": sorted(file.tag_namespaces()),
            "transform": tuple(file.transform)[:6],
            "units": file.units,
            "scales": file.scales,
            "nodata": file.nodata,
            "points": len(file.gcps[0]),
            "flight": file.tags(ns="MINE"),
            "pixels": file.read().tolist(),
        }


plain, hidden = told(), told(OVERVIEW_LEVEL="NONE")
for name in ("descriptions", "namespaces", "transform"):
    print(f"{name:12} {plain[name]}\n{'':12} {hidden[name]} with OVERVIEW_LEVEL=NONE")
assert plain["descriptions"] == ("red", "near infrared") and hidden["descriptions"] == (None, None)
assert "MINE" in plain["namespaces"] and "MINE" not in hidden["namespaces"]
assert plain["transform"] == (1, 0, 0, 0, 1, 0) and hidden["transform"] != plain["transform"]
for name in ("units", "scales", "nodata", "points", "flight", "pixels"):
    assert plain[name] == hidden[name], name
END_OF_PYTHON
