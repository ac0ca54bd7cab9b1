"""One direction of an evaluation, as it was requested."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tfcyclegan.data.display import displays_of
from tfcyclegan.data.domains import Domains, Split
from tfcyclegan.data.images import Scale
from tfcyclegan.data.shards import WORK
from tfcyclegan.data.values import Values
from tfcyclegan.engines import Engine
from tfcyclegan.errors import UserError
from tfcyclegan.evaluation.sides import Side
from tfcyclegan.evaluation.spool import Spool
from tfcyclegan.measures.partners import AUTO, Pairs


@dataclass(frozen=True)
class Task:
    """What to score, and how.

    Attributes:
        domains: the data.
        purpose: purpose of the split to score, "test" or "val".
        direction: "ab" or "ba".
        output: folder for the translations and the scores.
        pairs: {name of a picture of a: name of its partner in b}; or "auto", "names" or "none", see
            `find_partners`.
        shown: how measurements are displayed, see `displays_of`.
        regions: folder with maps of region ids, to score measurements by region as well, or None.
        engine: whose workers translate and score, with files in the folder `work`; None does both
            here.
    """

    domains: Domains
    purpose: str
    direction: str
    output: Path = Path()
    pairs: Pairs = AUTO
    shown: Mapping[str, str] = field(default_factory=dict)
    regions: Path | None = None
    engine: Engine | None = None

    @property
    def split(self) -> Split:
        """The split to translate.

        Raises:
            UserError: it does not exist.
        """
        return self.domains.require(self.purpose, self.direction[0])

    @property
    def work(self) -> Path:
        """Folder below `output` for what the engine's workers read and write meanwhile."""
        return self.output / WORK

    def spool(self) -> Spool:
        """Keeps what is loaded, for the workers too if there are any."""
        return Spool(self.output) if self.engine is None else Spool(self.work, shared=True)

    def values_of(self, domain: str) -> Values | None:
        """The values of a domain's measurements; None for pictures."""
        split = self.domains.find(self.purpose, domain) or self.domains.require("train", domain)
        return split.values

    def sides(self, channels: Mapping[str, int], scale: Scale | None) -> dict[str, Side]:
        """Both domains, "a" and "b".

        Args:
            channels: channels of pictures, by domain.
            scale: size of pictures, used if both domains consist of pictures.

        Raises:
            UserError: `shown` does not match the data.
        """
        values = {domain: self.values_of(domain) for domain in "ab"}
        measured = {domain.upper(): one for domain, one in values.items() if one is not None}
        displays = displays_of(measured, **self.shown)
        return {
            domain: Side(
                channels[domain], None if measured else scale, one, displays.get(domain.upper())
            )
            for domain, one in values.items()
        }

    def check_regions(self) -> None:
        """Raises UserError if there are `regions` but the translations are pictures."""
        if self.regions is not None and self.values_of(self.direction[1]) is None:
            raise UserError(
                f"--regions={self.regions}: only for translations that are measurements; pictures "
                "are scored by class if they have labels"
            )
