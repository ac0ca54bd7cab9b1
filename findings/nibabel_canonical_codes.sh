#!/usr/bin/env bash
# nibabel.as_closest_canonical (and a crop by .slicer) of an image in MNI space: sform_code and qform_code 4, or 1 for a scanner's space.
# Guess: axes are exchanged and reversed, both matrices follow, and the codes stay, since the space is the same.
# Seen (nibabel 5.4.2): the codes are 2 (aligned to another image) for the sform and 0 (no qform), whatever they were, and the volume is
# no longer said to be in MNI space. An image that lies canonically already keeps 4 and 4, so one folder holds both afterwards.
# Why: the new image is made with another affine than its header has, and nibabel then writes what it knows of an affine from nowhere:
# "aligned", in the sform alone. Placing the codes again (set_sform(affine, code), set_qform(affine, code)) is left to the caller.
# Who meets it: preparation that turns volumes to RAS+ and saves them. Programs that ask the code whether a volume is in MNI or Talairach
# space (AFNI's view, FSLeyes' atlases) no longer see it, and those that read the qform alone lose the geometry.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 nibabel==5.4.2
venv/bin/python - <<'END_PYTHON'
import nibabel
import numpy as np


def codes(image: nibabel.Nifti1Image) -> tuple[int, int]:
    """Of sform and qform, as they are on the disk."""
    nibabel.save(image, "image.nii")
    header = nibabel.load("image.nii").header
    return int(header["sform_code"]), int(header["qform_code"])


found = {}
for code in (1, 4):
    for name, side in (("RAS", 2.0), ("LAS", -2.0)):
        affine = np.diag([side, 2, 2, 1])
        image = nibabel.Nifti1Image(np.zeros((4, 5, 6), np.int16), affine)
        image.set_sform(affine, code)
        image.set_qform(affine, code)
        found[name, code] = codes(image), codes(nibabel.as_closest_canonical(image)), codes(image.slicer[1:])
        print(f"{name} sform and qform codes {found[name, code][0]}: canonical {found[name, code][1]}, cropped {found[name, code][2]}")
for code in (1, 4):
    assert found["RAS", code] == ((code, code), (code, code), (2, 0))
    assert found["LAS", code] == ((code, code), (2, 0), (2, 0))
END_PYTHON
