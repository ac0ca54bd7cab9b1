"""Distribution distances in the features of a network, KID and FID, beside controls and the floor
of real against real pictures.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tfcyclegan.errors import UserError
from tfcyclegan.evaluation.material import FLOOR, Material
from tfcyclegan.evaluation.tables import Column, Table
from tfcyclegan.measures import distribution, inception
from tfcyclegan.measures.features import FeatureNetwork, feature_network
from tfcyclegan.measures.statistics import Interval, interval_of_halves
from tfcyclegan.system.progress import Progress

NETWORKS = {
    "alexnet": "alexnet-conv5-256",
    "vgg16": "vgg16-conv5_3-512",
    "inception": inception.NAME,
}
"""What --features names."""

PREFIX = "Distribution"
HALVES = "real (two halves of the training pictures)"
LEAST_FOR_KID = 16
LEAST_FOR_FID = 50
REFERENCES = 400
"""Real training pictures on the other side, evenly spread: more would take longer and tell no more
at some 100 translations.
"""
_BATCH = 16


@dataclass
class Features:
    """A feature network that looks at each picture once, however many sets it is in."""

    network: FeatureNetwork
    _known: dict[bytes, np.ndarray] = field(default_factory=dict)

    def __call__(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """float32 [N, D]."""
        keys = [
            hashlib.blake2b(repr(picture.shape).encode() + picture.tobytes()).digest()
            for picture in pictures
        ]
        new = {
            key: picture
            for key, picture in zip(keys, pictures, strict=True)
            if key not in self._known
        }
        with Progress(len(new), unit="image", label=f"features of {self.network.name}") as progress:
            for start in range(0, len(new), _BATCH):
                some = list(new)[start : start + _BATCH]
                self._known.update(
                    zip(some, self.network.features([new[key] for key in some]), strict=True)
                )
                progress.advance(len(some))
        return np.stack([self._known[key] for key in keys])

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.network.name,
            "dimension": self.network.dimension,
            "sha256": self.network.sha256,
        }


def open_features(name: str, weights_file: str) -> Features | str:
    """The network that --features names; a reason where its weights cannot be had, empty for
    "none".

    Raises:
        UserError: a weights file that was given cannot be read.
    """
    if name == "none":
        return ""
    try:
        return Features(
            feature_network(
                NETWORKS[name], weights_file=Path(weights_file) if weights_file else None
            )
        )
    except UserError as error:
        if weights_file:
            raise
        return f"KID and FID: {error}"


def references(material: Material) -> list[np.ndarray]:
    """Real training pictures of the target domain, at most `REFERENCES`, evenly spread."""
    step = max(1, -(-len(material.target_train) // REFERENCES))
    return material.target_train[::step]


def table(material: Material, features: Features) -> Table | str:
    """The family's table; a reason where there are too few pictures."""
    real = references(material)
    fewest = min(len(material.inputs), len(real))
    if fewest < LEAST_FOR_KID:
        return (
            f"KID and FID: {len(material.inputs)} translations and {len(real)} real pictures; "
            f"they need {LEAST_FOR_KID} on each side"
        )
    with_fid = fewest >= LEAST_FOR_FID
    found = Table(
        f"{PREFIX}: {features.network.name}",
        _note(material, features, len(real), with_fid),
        [Column("KID x 1000", decides=True), *([Column("FID", digits=2)] if with_fid else [])],
    )
    sets: Mapping[str, Mapping[str, np.ndarray]] = material.sets | (
        {FLOOR: material.held_out} if material.held_out else {}
    )
    # all at once, under one progress line
    features([*real, *(picture for pictures in sets.values() for picture in pictures.values())])
    real_features = features(real)
    for name, pictures in sets.items():
        if len(pictures) >= LEAST_FOR_KID:
            found.rows[name] = _row(
                features(list(pictures.values())),
                real_features,
                with_fid and len(pictures) >= LEAST_FOR_FID,
            )
    if len(real) >= 2 * LEAST_FOR_KID:
        found.rows[HALVES] = _halves(real_features, with_fid and len(real) >= 2 * LEAST_FOR_FID)
    return found


def kid_interval(one: np.ndarray, other: np.ndarray) -> Interval:
    """KID times 1000 of two sets of features, with its interval."""
    score = distribution.kid(one, other, seed=0)
    return Interval(1000 * score.mean, 1000 * score.low, 1000 * score.high, len(one))


def _row(own: np.ndarray, real: np.ndarray, with_fid: bool) -> dict[str, Interval]:
    values = {"KID x 1000": kid_interval(own, real)}
    if with_fid:
        values["FID"] = _fid_interval(distribution.fid(own, real), own, real)
    return values


def _halves(real: np.ndarray, with_fid: bool) -> dict[str, Interval]:
    """Mean of some random splits; the intervals are those of the first."""
    order = np.random.default_rng((0, 33)).permutation(len(real))
    first, second = real[order[: len(real) // 2]], real[order[len(real) // 2 :]]
    values = {"KID x 1000": kid_interval(first, second)}
    if with_fid:
        fids = distribution.split_floor(real, distribution.fid, seed=0)
        values["FID"] = _fid_interval(float(np.mean(fids)), first, second)
    return values


def _fid_interval(value: float, own: np.ndarray, real: np.ndarray) -> Interval:
    return interval_of_halves(value, distribution.fids_of_halves(own, real, seed=0), len(own))


def _note(material: Material, features: Features, reals: int, with_fid: bool) -> str:
    network = features.network
    note = (
        f"Between n = {len(material.inputs)} pictures of each row and {reals} real training "
        "pictures of the target domain, in d = "
        f"{network.dimension} features of {network.name} (weights {network.sha256[:12]}). Numbers "
        "of different networks cannot be compared"
    )
    if network.name != inception.NAME:
        note += ", so none of these with published ones"
    note += (
        ". KID is unbiased, 0 for equal distributions; its interval is of random subsets of "
        "half the pictures"
    )
    if with_fid:
        note += (
            "; FID is biased upwards, the more the fewer pictures, so read it beside its floor "
            "alone; its interval is the scatter over "
            "random halves of a row's pictures, moved onto the value of all"
        )
    else:
        note += f"; FID is left out, since it needs {LEAST_FOR_FID} pictures on each side"
    return note + "."
