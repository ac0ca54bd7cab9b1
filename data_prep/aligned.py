"""Aligned pictures for data_prep.folders: each picture of domain A has a partner in B that shows
the same scene, pixel by pixel.

    ROOT/
        train/  val/  test/          files with A in the left half and B in the right half
    or
        trainA/  trainB/  valA/ ...  files with equal names in both, whatever their extensions

A file of the first kind is cut at int(width / 2), as in the official program; if its width is odd,
the last column is left out, so that both halves have the same size. A pair is bad if one of its
pictures is bad or if their sizes differ.
"""

import dataclasses
import functools
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from data_prep import class_maps, own_labels
from data_prep.picture_sources import PictureSource
from data_prep.request import Source, Taken
from tfcyclegan.data import intake, manifest, pages
from tfcyclegan.data.notes import LeftOut
from tfcyclegan.errors import UserError
from tfcyclegan.system.progress import log

PURPOSES = ("train", "test", "val")
CUT = "half of a file that holds A and B side by side"
ODD_COLUMN = LeftOut("last column of files of odd width")
_STORED_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")


@dataclass(frozen=True)
class _Half(PictureSource):
    """The left or right half of a file.

    Attributes:
        file: its path below the input directory; `filename` is the name of the half.
        whole: returns the whole file's bytes. `read` returns those of the half, for label maps.
        right: whether this is the right half.
    """

    file: str
    whole: Callable[[], bytes]
    right: bool

    def take_all(self, max_pixels: int) -> list[Taken]:
        source = PictureSource(self.filename, self.size, self.whole, self.rules, self.every_page)
        try:
            return [self._cut(name, decoded) for name, decoded in source.decode_all(max_pixels)]
        except intake.BadPicture as error:
            raise intake.BadPicture(f"half of {manifest.printable(self.file)}: {error}") from error

    def _cut(self, name: str, decoded: intake.Decoded) -> Taken:
        cut = dataclasses.replace(decoded, image=_half(decoded.image, self.right), kept=b"")
        odd = {ODD_COLUMN} if self.right and decoded.image.width % 2 else set()
        return Taken(cut.picture(name), decoded.notes | {CUT} | odd, decoded.largest)


def halves(
    files_there: Sequence[PictureSource],
    purpose: str,
    rules: Mapping[str, intake.Rules],
    *,
    max_pixels: int,
    a_at_right: bool = False,
) -> dict[str, list[Source]]:
    """The sources of both domains, from files that hold them side by side.

    Args:
        files_there: the files.
        purpose: the folder that holds them: "train", "test" or "val".
        rules: by split ("trainA").
        max_pixels: a file with more pixels is bad.
        a_at_right: whether A is the right half.
    """
    made: dict[str, list[Source]] = {}
    for domain in "AB":
        split, right = f"{purpose}{domain}", (domain == "B") != a_at_right
        made[split] = [
            _Half(
                f"{split}/{source.filename.removeprefix(f'{purpose}/')}",
                source.size // 2,
                functools.partial(_half_of_file, source, right, max_pixels),
                rules[split],
                source.every_page,
                source.filename,
                source.read,
                right,
            )
            for source in files_there
        ]
    return made


def by_names(
    input_dir: Path, purpose: str, sources: Mapping[str, Sequence[Source]], left_out: Counter[str]
) -> dict[str, list[Source]]:
    """The sources of both domains that have a partner of the same name, in the same order; those
    without one are counted in `left_out` and reported.

    Raises:
        UserError: two pictures of a domain have the same name, or no picture has a partner.
    """
    named: dict[str, dict[str, Source]] = {}
    for split in (f"{purpose}A", f"{purpose}B"):
        named[split] = {}
        for source in sources[split]:
            key = own_labels.bare_name(source.filename.removeprefix(f"{split}/"))
            if key in named[split]:
                raise UserError(
                    f"{input_dir / split}: several pictures are called {manifest.printable(key)}, "
                    "so their partner is ambiguous; rename them"
                )
            named[split][key] = source
    one, other = named.values()
    common = [key for key in one if key in other]
    alone = {split: sorted(there.keys() - set(common)) for split, there in named.items()}
    told = ", ".join(
        f"{len(keys)} of {split}, such as {manifest.printable(keys[0])}"
        for split, keys in alone.items()
        if keys
    )
    if not common:
        raise UserError(
            f"{input_dir}: --aligned: no picture of {purpose}A has a partner of the same name in "
            f"{purpose}B ({told}); give partners equal names"
        )
    if told:
        log(f"{input_dir}: pictures without a partner are left out: {told}")
    for split, keys in alone.items():
        if keys:
            left_out[f"pictures of {split} without a partner"] += len(keys)
    return {split: [there[key] for key in common] for split, there in named.items()}


def paired(splits: Mapping[str, Sequence[Source]]) -> dict[str, list[Source]]:
    """The same sources, each of which is bad if its partner is bad or has a different size."""
    made: dict[str, list[Source]] = {}
    for split, sources in splits.items():
        partners = splits[split[:-1] + ("B" if split[-1] == "A" else "A")]
        made[split] = [
            _Paired(source.filename, source.size, source.read, source, partner)
            for source, partner in zip(sources, partners, strict=True)
        ]
    return made


@dataclass(frozen=True)
class _Paired(Source):
    """A picture that is bad if its partner is bad."""

    inner: Source
    partner: Source

    def take_all(self, max_pixels: int) -> list[Taken]:
        all_taken, name = self.inner.take_all(max_pixels), manifest.printable(self.partner.filename)
        try:
            others = self.partner.take_all(max_pixels)
        except OSError as error:
            raise OSError(f"partner {name}: {error.strerror or error}") from error
        except intake.BadPicture as error:
            raise intake.BadPicture(f"its partner {name}: {error}") from error
        if len(all_taken) != len(others):
            raise intake.BadPicture(
                f"{len(all_taken)} pages or frames, its partner {name} has {len(others)}; "
                "--pages=first uses the first of each"
            )
        for taken, other in zip(all_taken, others, strict=True):
            own, its = (f"{one.picture.width}x{one.picture.height}" for one in (taken, other))
            if own != its:
                raise intake.BadPicture(
                    f"is {own}, its partner {name} {its} (width x height); aligned pictures must "
                    "have the same size"
                )
        return all_taken


def _half(image: Image.Image, right: bool) -> Image.Image:
    middle = image.width // 2
    if not middle:
        raise intake.BadPicture("1 pixel wide, so that it cannot hold A and B side by side")
    return image.crop((middle * right, 0, middle * (1 + right), image.height))


def _half_of_file(source: PictureSource, right: bool, max_pixels: int) -> bytes:
    """The half as a file of its own with the exact pixel values, for reading label maps."""
    content = source.read()
    with intake.reading(content):
        if source.every_page and len(pages.of_bytes(content).places) > 1:
            raise intake.BadPicture(
                "several pages or frames side by side; --pages=first uses the first"
            )
        opened = intake.open_picture(content, max_pixels)
        if opened.mode not in _STORED_MODES and opened.mode.startswith(("I", "F")):
            raise intake.BadPicture(f"mode {opened.mode}; save it as 8-bit PNG")
        class_maps.refuse_deep_colours(opened, content)
        image = ImageOps.exif_transpose(opened)
        half = _half(image if image.mode in _STORED_MODES else image.convert("RGB"), right)
        stream = io.BytesIO()
        if opened.format == "JPEG":  # the half stays a JPEG: as a PNG it would pass for lossless
            half.convert("RGB").save(stream, "JPEG", quality=100, subsampling=0)
        else:
            half.save(stream, "PNG")
        return stream.getvalue()
