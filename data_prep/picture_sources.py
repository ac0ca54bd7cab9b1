"""A picture file as a source: one picture, or one for each page or frame."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from data_prep.request import Source, Taken
from tfcyclegan.data import intake, pages


@dataclass(frozen=True)
class PictureSource(Source):
    """A picture file of a domain, read by the domain's rules.

    Attributes:
        rules: the rules of its domain.
        every_page: whether each page or frame is a picture; otherwise only the first is used.
    """

    rules: intake.Rules
    every_page: bool

    def decode_all(self, max_pixels: int) -> Iterator[tuple[str, intake.Decoded]]:
        """The name of each picture in the file, and the decoded picture with all notes on it, one
        by one, since decoded pages of a long stack may not fit in memory; raises the errors of
        `take`.
        """
        content = self.read()
        held = pages.of_bytes(content) if self.every_page else pages.ONE
        path = PurePosixPath(self.filename)
        notes = frozenset([intake.COPIES] if held.copies else [])
        for number, place in enumerate(held.places):
            try:
                decoded = intake.decode(
                    content, max_pixels=max_pixels, rules=self.rules, page=place
                )
            except intake.BadPicture as error:
                raise (
                    error
                    if place is None
                    else intake.BadPicture(f"picture {number + 1} of {len(held.places)}: {error}")
                ) from error
            name = path.with_name(held.name(path.stem, number) + path.suffix).as_posix()
            yield name, dataclasses.replace(decoded, notes=decoded.notes | notes)
            notes = frozenset()

    def take_all(self, max_pixels: int) -> list[Taken]:
        return [
            Taken(decoded.picture(name), decoded.notes, decoded.largest)
            for name, decoded in self.decode_all(max_pixels)
        ]
