"""Scores that others published on Cityscapes, printed beside ours only when the data really are
Cityscapes.

Zhu et al. 2017, Tables 2 and 3, at 128x128: pixel accuracy, class accuracy, class IoU (absent
classes count as 0).
"""

from tfcyclegan.data.domains import Domains
from tfcyclegan.data.source import MANIFEST, DataSource
from tfcyclegan.system import files

COLUMNS = ("pixel accuracy", "class accuracy", "class IoU")
COUNTS = {"train": 2975, "val": 500}
"""Pictures in the official splits."""

PHOTO_TO_LABELS = {
    "CoGAN": (0.45, 0.11, 0.08),
    "BiGAN/ALI": (0.41, 0.13, 0.07),
    "SimGAN": (0.47, 0.11, 0.07),
    "feature loss + GAN": (0.50, 0.10, 0.06),
    "CycleGAN, paper": (0.58, 0.22, 0.16),
    "CycleGAN, an independent reproduction (batch 20)": (0.51, 0.16, 0.10),
    "pix2pix (paired, upper bound)": (0.85, 0.40, 0.32),
}
LABELS_TO_PHOTO = {
    "CoGAN (figure recalled, not re-read)": (0.40, 0.10, 0.06),
    "BiGAN/ALI (figure recalled, not re-read)": (0.19, 0.06, 0.02),
    "SimGAN (figure recalled, not re-read)": (0.20, 0.10, 0.04),
    "feature loss + GAN (figure recalled, not re-read)": (0.06, 0.04, 0.01),
    "CycleGAN, paper": (0.52, 0.17, 0.11),
    "CycleGAN, an independent reproduction": (0.537, 0.136, 0.089),
    "pix2pix (paired, upper bound)": (0.71, 0.25, 0.18),
}


def are_cityscapes(domains: Domains) -> bool:
    """Whether both domains are the official data set, whole, by the manifests of
    `data_prep.cityscapes`, never by the name alone.
    """
    return all(_is_cityscapes(source) for source in (domains.a, domains.b))


def _is_cityscapes(source: DataSource) -> bool:
    path = source.directory / MANIFEST
    if source.name != "cityscapes" or not path.exists():
        return False
    made = files.read_json(path)
    settings = made.get("request", {}).get("settings", {})
    whole = not settings.get("sample") and not settings.get("test_sample")
    return (
        whole
        and "content" in settings
        and {split: source.counts.get(split) for split in COUNTS} == COUNTS
    )
