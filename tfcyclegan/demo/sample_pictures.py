"""The sample pictures on the page."""

from dataclasses import dataclass
from pathlib import Path

from tfcyclegan import pages
from tfcyclegan.config import Size
from tfcyclegan.data import intake
from tfcyclegan.data.picture_folders import MAX_PIXELS, pictures_of_path
from tfcyclegan.demo.models import DemoModel
from tfcyclegan.errors import UserError
from tfcyclegan.system import tensorflow_setup
from tfcyclegan.system.progress import log

MOST = 8


@dataclass(frozen=True)
class Samples:
    """Pictures for one model.

    Attributes:
        pictures: (JPEG or PNG bytes, file extension).
        origin: their source, for messages; empty for the user's folder.
    """

    pictures: list[tuple[bytes, str]]
    origin: str = ""


def of_folder(folder: Path) -> Samples:
    """The first pictures of a folder, upright, as JPEG or PNG.

    Raises:
        UserError: there is no folder, it has no pictures, or one cannot be read.
    """
    try:
        found = pictures_of_path(folder)
    except UserError as error:
        raise UserError(str(error).replace("--input=", "--samples=", 1)) from error
    found.log()
    if len(found.pictures) > MOST:
        log(f"{folder}: the first {MOST} of {len(found.pictures)} pictures are shown")
    pictures = []
    for name, read in list(found.pictures.items())[:MOST]:
        try:
            decoded = read()
            picture = decoded.picture(name)
            if decoded.notes:
                log(f"{folder}: {name}: {'; '.join(sorted(decoded.notes))}")
        except (intake.BadPicture, OSError) as error:
            raise UserError(f"--samples={folder}: {name}: {error}; repair or remove it") from error
        pictures.append((picture.encoded, picture.format))
    return Samples(pictures)


def of_run(model: DemoModel) -> Samples:
    """Test pictures of the run that the model was exported from; none if run or data no longer
    exist. A whole picture of its report comes first, if the model sees it at about its own scale.
    """
    if not model.metadata.get("run_dir"):
        return Samples([])
    tensorflow_setup.import_tensorflow()
    from tfcyclegan.data.domains import open_domains
    from tfcyclegan.training import whole_pictures
    from tfcyclegan.training.runs import read_run

    direction = model.metadata["direction"]
    try:
        run = read_run(Path(model.metadata["run_dir"]))
        domains = open_domains(run.config.data_dir)
        split = domains.require("test", direction[0])
    except UserError:
        return Samples([])
    whole = [
        (cell, "png")
        for shown in whole_pictures.read(run.directory)
        if shown.direction == direction
        for column, cell in shown.cells.items()
        if column == "input" and _at_its_scale(cell, model.input_size)
    ][:1]
    pictures = [
        intake.take(encoded, name, max_pixels=MAX_PIXELS)[0]
        for (name, encoded), _ in zip(split.pictures(), range(MOST - len(whole)), strict=False)
    ]
    return Samples(
        whole + [(picture.encoded, picture.format) for picture in pictures],
        f"{domains.title}, {'a whole picture and ' if whole else ''}test pictures",
    )


def _at_its_scale(png: bytes, size: Size) -> bool:
    """Whether the page, which cuts the middle out and resizes it, changes its scale little."""
    picture = pages.picture(png)
    return 0.75 <= max(size.width / picture.width, size.height / picture.height) <= 1.5
