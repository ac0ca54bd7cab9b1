#!/usr/bin/env bash
# Sample pictures at an experiment tracker: a generator's output, float32 in [-1, 1], given to MLflow's log_image and to wandb.Image.
# Guess: MLflow clips to its range [0, 1]; W&B maps [-1, 1] by (x + 1) / 2, and [0, 1] by x.
# Seen (mlflow-skinny 3.17.2, wandb 0.31.0): MLflow stretches each picture by its own least and greatest value, if one is below 0 or
# above 1, and takes it as [0, 1] if none is. W&B scales nothing: it casts to uint8, so that everything in (-1, 1) is 0, 1 is 1 and -1
# is 255: a black picture with white dots in its darkest places; one in [0, 1] is black too.
# Why: MLflow's documentation says "auto-scale with min/max" of floats out of range; wandb.Image expects [0, 255] and no longer guesses.
# Who meets it: whoever logs samples as the network gives them. At MLflow a fog of [-0.1, 0.1] looks as a picture of full contrast,
# the same as one of [-1, 1], and brightness cannot be compared between steps. Bytes are shown as they are by both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 pillow==13.0.0 mlflow-skinny==3.17.2 wandb==0.31.0
export WANDB_MODE=offline WANDB_SILENT=true MLFLOW_ALLOW_FILE_STORE=true
venv/bin/python - <<'END_PYTHON' 2>errors || { cat errors; exit 1; }
import warnings
from pathlib import Path

import numpy as np
import wandb
from mlflow import MlflowClient
from PIL import Image

warnings.simplefilter("ignore")
client = MlflowClient(f"file:{Path('runs').resolve()}")
run = client.create_run(client.create_experiment("samples"))
artifacts = Path(run.info.artifact_uri.removeprefix("file://"))


def row(low: float, high: float, count: int = 5) -> np.ndarray:
    """A picture [2, 5, 3] from low to high."""
    return np.tile(np.linspace(low, high, count, dtype=np.float32)[None, :, None], (2, 1, 3))


def by_mlflow(picture: np.ndarray, name: str) -> list[int]:
    client.log_image(run.info.run_id, picture, f"{name}.png")
    return np.asarray(Image.open(artifacts / f"{name}.png"))[0, :, 0].tolist()


def by_wandb(picture: np.ndarray) -> list[int]:
    return np.asarray(wandb.Image(picture).image)[0, :, 0].tolist()


found = {}
for name, low, high in (("all", -1, 1), ("fog", -0.1, 0.1), ("bright", 0.2, 1)):
    picture = row(low, high)
    meant = np.rint((picture[0, :, 0] + 1) * 127.5).astype(int).tolist()
    found[name] = by_mlflow(picture, name), by_wandb(picture)
    print(f"{name:7} meant {meant}\n        MLflow {found[name][0]}\n        W&B {found[name][1]}")
assert found["all"][0] == found["fog"][0] == [0, 63, 127, 191, 255]
assert found["bright"][0] == [51, 102, 153, 204, 255]
assert found["all"][1] == [255, 0, 0, 0, 1] and found["fog"][1] == [0] * 5 and found["bright"][1] == [0, 0, 0, 0, 1]
given = np.rint((row(-1, 1) + 1) * 127.5).astype(np.uint8)
print("uint8:", given[0, :, 0].tolist())
assert by_mlflow(given, "bytes") == by_wandb(given) == [0, 64, 128, 191, 255]
END_PYTHON
