#!/usr/bin/env bash
# albumentations' PixelDistributionAdaptation, which gives a picture the colour statistics of a reference from the other domain.
# Guess: at a blend of 1 the means of the channels are the reference's, at 0.5 they lie halfway, bytes and floats alike; a picture that is its
# own reference comes back. HistogramMatching and FDA, its neighbours, do so.
# Seen (albumentations 2.0.8): of bytes the result is the picture times (1 - blend), whatever the reference: darker, and black at 1. By default,
# where the blend is drawn from 0.25 to 1, it is a random darkening. Of floats in [0, 1] it is right at a blend of exactly 1 and white
# everywhere below it. Nothing is raised; "pca", "standard" and "minmax" alike.
# Why: the adapted picture has the range [0, 1] and is mixed with bytes in 0..255 without being scaled to them. Floats are turned into bytes
# for it, and back by a conversion that leaves floats alone, so that the mixture is cut at 1.
# Who meets it: domain adaptation by augmentation: a segmentation network is trained on darkened pictures of its own domain, not on ones in
# the colours of the other, and a baseline comes out low.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 opencv-python-headless==5.0.0.93 albumentations==2.0.8 albucore==0.0.24
NO_ALBUMENTATIONS_UPDATE=1 venv/bin/python - <<'END_OF_PYTHON'
import albumentations
import numpy as np

print("albumentations", albumentations.__version__)
random = np.random.default_rng(0)


def colours(means: tuple[int, ...], deviations: tuple[int, ...]) -> np.ndarray:
    return np.clip(random.normal(means, deviations, (64, 64, 3)), 10, 245).astype(np.uint8)


def means(image: np.ndarray) -> np.ndarray:
    """Of the channels, in levels of bytes."""
    return image.reshape(-1, 3).mean(0, dtype=float) * (1 if image.dtype == np.uint8 else 255)


day, dusk = colours((150, 110, 60), (35, 25, 12)), colours((80, 120, 160), (20, 28, 30))
day_floats, dusk_floats = (image.astype(np.float32) / 255 for image in (day, dusk))
assert abs(means(day) - means(dusk)).max() > 60

matching = albumentations.HistogramMatching(metadata_key="other", blend_ratio=(1, 1), p=1)
assert abs(means(matching(image=day, other=[dusk])["image"]) - means(dusk)).max() < 1
spectra = albumentations.FDA(metadata_key="other", beta_limit=(0.1, 0.1), p=1)
assert abs(means(spectra(image=day, other=[dusk])["image"]) - means(dusk)).max() < 10

for kind in ("pca", "standard", "minmax"):
    for blend in (0.25, 0.5, 1.0):
        adapt = albumentations.PixelDistributionAdaptation(
            metadata_key="other", blend_ratio=(blend, blend), transform_type=kind, p=1
        )
        of_bytes = adapt(image=day, other=[dusk])["image"]
        of_floats = adapt(image=day_floats, other=[dusk_floats])["image"]
        right = means(day) * (1 - blend) + means(dusk) * blend
        print(
            f"{kind:8} blend {blend:4}: means should be {right.round()}, bytes have {means(of_bytes).round()},"
            f" floats {means(of_floats).round()}"
        )
        assert of_bytes.dtype == np.uint8 and of_floats.dtype == np.float32
        assert abs(of_bytes - day * (1 - blend)).max() <= 1
        itself = adapt(image=day, other=[day])["image"]
        assert abs(itself.astype(float) - of_bytes).max() <= 1, "the reference counts for nothing"
        if blend < 1:
            assert of_floats.min() > 0.99
        elif kind != "minmax":  # which goes by the extremes
            assert abs(means(of_floats) - right).max() < 1.5

default = albumentations.Compose([albumentations.PixelDistributionAdaptation(metadata_key="other", p=1)], seed=0)
brightness = [means(default(image=day, other=[dusk])["image"])[0] / means(day)[0] for _ in range(200)]
print(f"by default: red is {min(brightness):.2f} to {max(brightness):.2f} of what it was, {np.mean(brightness):.2f} on average")
assert max(brightness) < 0.76 and min(brightness) < 0.05 and 0.3 < np.mean(brightness) < 0.45
END_OF_PYTHON
