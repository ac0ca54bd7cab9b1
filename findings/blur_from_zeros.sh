#!/usr/bin/env bash
# Gaussian blur by Keras (keras.ops.image.gaussian_blur, RandomGaussianBlur) and, seen beside it, by MONAI (GaussianSmooth), of a flat picture.
# Guess: a flat picture stays flat: the border is mirrored or repeated, as in SciPy, OpenCV, torchvision and kornia.
# Seen (Keras 3.15.1, MONAI 1.6.1): both take zeros from outside. Of 100 Keras leaves 39 in the corners and 62 along the edges (5x5, sigma 2),
# of air at -1000 HU MONAI leaves -331 in the corners of a volume and -691 on its sides (sigma 1): lung, where there is nothing.
# Why: both are convolutions with "same" padding, and no argument says otherwise.
# Who meets it: blur as augmentation or degradation: pictures in [-1, 1] get a frame that fades to middle gray, others one that fades to
# black, by which a discriminator tells blurred ones from all others; crops of tiles show it as a grid.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 scipy==1.17.1 keras==3.15.1 torch==2.13.0 monai==1.6.1
KERAS_BACKEND=torch venv/bin/python - <<'END_PYTHON'
import keras
import monai
import numpy as np
import torch
from monai.transforms import GaussianSmooth
from scipy import ndimage

print("Keras", keras.__version__, "MONAI", monai.__version__)
flat = np.full((1, 24, 24, 1), 100, "float32")
operation = keras.ops.image.gaussian_blur(flat, (5, 5), (2.0, 2.0), data_format="channels_last")
layer = keras.layers.RandomGaussianBlur(factor=(1.0, 1.0), kernel_size=5, sigma=(1.0, 1.0), data_format="channels_last")
for name, blurred in (("gaussian_blur", operation), ("RandomGaussianBlur", layer(flat, training=True))):
    picture = keras.ops.convert_to_numpy(blurred)[0, ..., 0]
    print(f"Keras {name} of 100: corner {picture[0, 0]:.1f}, edge {picture[0, 12]:.1f}, middle {picture[12, 12]:.1f}")
    assert abs(picture[12, 12] - 100) < 0.01 and picture[0, 0] < 60 and picture[0, 12] < 80
assert np.allclose(ndimage.gaussian_filter(flat[0, ..., 0], 2), 100, atol=1e-3)

air = np.full((24, 24, 24), -1000, "float32")
smooth = GaussianSmooth(1.0)(torch.tensor(air)[None]).numpy()[0]
print(f"MONAI GaussianSmooth of -1000: corner {smooth[0, 0, 0]:.0f}, side {smooth[0, 12, 12]:.0f}, middle {smooth[12, 12, 12]:.0f}")
assert abs(smooth[12, 12, 12] + 1000) < 0.1 and smooth[0, 0, 0] > -400 and smooth[0, 12, 12] > -750
assert np.allclose(ndimage.gaussian_filter(air, 1), -1000, atol=1e-2)
END_PYTHON
