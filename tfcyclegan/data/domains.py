"""The two domains that a translator connects, each a split of a data set.

`--data_dir` names one data set with the splits trainA, trainB, testA, ... or, separated by a comma,
one data set for each domain with the splits train, test, ...: `data/gta5,data/cityscapes`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfcyclegan.config.measured_reading import OPENING
from tfcyclegan.data.source import DataSource, is_function, open_source
from tfcyclegan.data.tfds_sets import CATALOGUE
from tfcyclegan.data.values import Values
from tfcyclegan.errors import UserError
from tfcyclegan.system import files
from tfcyclegan.system.places import bring
from tfcyclegan.system.progress import log

PURPOSES = ("train", "val", "test")
_NAMING = "followed by A or B if one data set holds both domains"
_DOMAIN_SPLIT = re.compile("(train|test|val)([AB])")


def purpose_of(split: str) -> str:
    """The purpose of a split by its name: "test" of "testA" and of "test"."""
    found = _DOMAIN_SPLIT.fullmatch(split)
    return found[1] if found else split


@dataclass(frozen=True)
class Split:
    """One split of one data set: the pictures of a domain for one purpose."""

    source: DataSource
    name: str

    @property
    def count(self) -> int:
        return self.source.counts[self.name]

    @property
    def labelled(self) -> bool:
        """Whether its pictures have maps of class ids."""
        return self.name in self.source.labelled

    @property
    def holds_label_maps(self) -> bool:
        """Whether its pictures are label maps, which are only resized by nearest neighbour."""
        return self.name in self.source.label_maps

    @property
    def values(self) -> Values | None:
        """The meaning of its measurements' numbers; None for pictures."""
        return self.source.values_of(self.name)

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        """See `DataSource.pictures`."""
        return self.source.pictures(self.name)

    def __str__(self) -> str:
        return f"{self.source.directory}, split {self.name}"


@dataclass(frozen=True)
class Domains:
    """Both domains' data sets; they may be the same.

    Attributes:
        a: the data set of domain a.
        b: the data set of domain b.
    """

    a: DataSource
    b: DataSource

    @property
    def name(self) -> str:
        return self.a.name if self.a is self.b else f"{self.a.name}, {self.b.name}"

    @property
    def title(self) -> str:
        """The name shown with results, which says if the data is synthetic."""
        return f"{self.name} (synthetic)" if self.a.synthetic or self.b.synthetic else self.name

    @property
    def fingerprint(self) -> str:
        """Identity of the content of both data sets."""
        return (
            self.a.fingerprint
            if self.a is self.b
            else files.sha256_of_json([self.a.fingerprint, self.b.fingerprint])
        )

    @property
    def label_maps(self) -> str:
        """The domains ("a", "b") whose training pictures are label maps, such as "b"."""
        found = {domain: self.find("train", domain) for domain in "ab"}
        return "".join(
            domain
            for domain, split in found.items()
            if split is not None and split.holds_label_maps
        )

    @property
    def values(self) -> dict[str, Values]:
        """The meaning of measurements' numbers, by domain ("A", "B"); domains of pictures are not
        included.
        """
        found = {domain: self.find("train", domain) for domain in "ab"}
        return {
            domain.upper(): split.values
            for domain, split in found.items()
            if split is not None and split.values is not None
        }

    def aligned(self, purpose: str) -> bool:
        """Whether the data set declares that the pictures of both domains for `purpose` are pairs
        with equal names.
        """
        splits = [self.find(purpose, domain) for domain in "ab"]
        names = {split.name[:-1] for split in splits if split is not None}
        return (
            self.a is self.b and None not in splits and len(names) == 1 and names <= self.a.aligned
        )

    def find(self, purpose: str, domain: str) -> Split | None:
        """The split of `purpose` ("train", "val" or "test") of `domain` ("a" or "b"), or None.

        If there is no test split, "val" serves as one: Cityscapes, whose test labels are withheld,
        is scored on val.
        """
        source = self.a if domain == "a" else self.b
        names = []
        for kind in (purpose, "val") if purpose == "test" else (purpose,):
            names += [f"{kind}{domain.upper()}"] + ([kind] if self.a is not self.b else [])
        return next((Split(source, name) for name in names if source.counts.get(name)), None)

    def require(self, purpose: str, domain: str) -> Split:
        """Like `find`; UserError if there is none."""
        found = self.find(purpose, domain)
        if found is None:
            source = self.a if domain == "a" else self.b
            found = Split(source, f"{purpose}{domain.upper()}" if self.a is self.b else purpose)
            source.require(found.name)
        return found

    def choose(
        self, direction: str, splits: Sequence[str], *, cross_domain: bool = False
    ) -> tuple[DataSource, list[str]]:
        """The data set and the splits whose pictures a translator of `direction` translates.

        Args:
            direction: "ab" or "ba".
            splits: names; if empty, the test pictures of the direction's source domain, or its val
                pictures.
            cross_domain: whether splits of the other domain are allowed.

        Raises:
            UserError: no such split, or one of the other domain.
        """
        domain = direction[0]
        source = self.a if domain == "a" else self.b
        default = self.find("test", domain)
        # a data set of one domain
        if default is None and not any(_DOMAIN_SPLIT.fullmatch(name) for name in source.counts):
            default = next(
                (Split(source, name) for name in ("test", "val") if source.counts.get(name)), None
            )
        if not splits:
            return source, [default.name if default else self.require("test", domain).name]
        for name in splits:
            found = _DOMAIN_SPLIT.fullmatch(name)
            if (
                found
                and found[2].lower() != domain
                and source.counts.get(name)
                and not cross_domain
            ):
                mend = f"leave --split out for {default.name}, or " if default else ""
                raise UserError(
                    f"--split={name}: is of domain {found[2]}, but --direction={direction} starts "
                    f"from domain {domain.upper()}; {mend}--cross_domain translates it anyway"
                )
        return source, list(splits)

    def reading(self, domain: str) -> dict[str, Any]:
        """How `domain` was read where it was not by the defaults: fields of `Rules`, and of
        `config.measured_reading.OPENING`.
        """
        stored = (self.a if domain == "a" else self.b).settings
        found: dict[str, Any] = {
            name: stored[name] for name in ("alpha", "extra_bands") if name in stored
        } | {
            name: stored[name]
            for name, usual in OPENING.items()
            if stored.get(name, usual) != usual
        }
        if stored.get("max_value"):
            values = str(stored["max_value"]).split(",")
            found["max_value"] = int(values[0] if domain == "a" else values[-1])
        return found


def open_domains(data_dir: str, *, recipe: str = "") -> Domains:
    """Opens the data sets that `--data_dir` names.

    Args:
        data_dir: one place, or two separated by a comma; see `open_source` for places.
        recipe: how to make the data, shown if they are missing.

    Raises:
        UserError: a data set is missing, incomplete or in another format.
    """
    places = [data_dir] if Path(data_dir).is_dir() else data_dir.split(",")
    if len(places) > 2 or not all(places):
        raise UserError(
            f"--data_dir={data_dir}: give one data set with trainA and trainB, or two separated by "
            "a comma"
        )
    for place in places:
        bring(Path(place))
    missing = [
        place
        for place in places
        if not place.startswith(CATALOGUE)
        and not is_function(place)
        and not (Path(place) / "dataset_info.json").exists()
    ]
    if missing and recipe:
        raise UserError(f"--data_dir={data_dir}: {' and '.join(missing)} not found; {recipe}")
    sources = [open_source(place) for place in places]
    domains = Domains(sources[0], sources[-1])
    train = [domains.find("train", domain) for domain in "ab"]
    if (
        train[0]
        and train[1]
        and (train[0].source.fingerprint, train[0].name)
        == (train[1].source.fingerprint, train[1].name)
    ):
        raise UserError(
            f"--data_dir={data_dir}: both domains have the same pictures, {train[0]}; give each "
            "domain its own"
        )
    _tell_splits(domains)
    return domains


def _tell_splits(domains: Domains) -> None:
    """Reports splits that serve as test splits, have no counterpart, or are not used."""
    found = {
        (purpose, domain): domains.find(purpose, domain) for purpose in PURPOSES for domain in "ab"
    }
    tests = {domain: found["test", domain] for domain in "ab"}
    for domain, split in tests.items():
        place = (domains.a if domain == "a" else domains.b).directory
        if split and split == found["val", domain]:
            log(f"{split}: serves as the test split of domain {domain}, which has none")
        elif split is None and tests["b" if domain == "a" else "a"]:
            log(
                f"{place}: domain {domain} has no test split, but the other has; scores and "
                "pictures that need one are left out"
            )
    for source in (domains.a,) if domains.a is domains.b else (domains.a, domains.b):
        taken = {split.name for split in found.values() if split and split.source is source}
        others = [f"{name} ({count})" for name, count in source.counts.items() if name not in taken]
        if others:
            log(
                f"{source.directory}: splits that are not read: {', '.join(others)}; splits must "
                f"be called train, val and test, {_NAMING}"
            )
