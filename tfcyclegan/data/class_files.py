"""A user's table of classes, `--classes=FILE.csv`, which `segment` also writes beside its pictures.

    name,color,id,ignored water,#0000ff,0, land,"0,128,0",1, unknown,#000000,255,yes

`name` and `color` are required; a colour is #rrggbb or three levels separated by commas, in
quotation marks. Without the column `id`, ids are 0, 1, 2, ... in the order of the lines; a class
with `ignored` yes is neither learned nor scored.
"""

import csv
import io
import re
from pathlib import Path

from tfcyclegan.data.labels import CITYSCAPES, IGNORED, ClassTable, LabelClass
from tfcyclegan.errors import UserError
from tfcyclegan.system import files

CITYSCAPES_NAME = "cityscapes"
COLUMNS = ("name", "color", "id", "ignored")
_REQUIRED = COLUMNS[:2]
_YES, _NO = ("yes", "true", "1"), ("", "no", "false", "0")


def read_classes(place: str) -> ClassTable:
    """The table in the file `place`, or that of Cityscapes, given by name.

    Raises:
        UserError: the file is missing, or a line is wrong, which the message names.
    """
    if place == CITYSCAPES_NAME and not Path(place).exists():
        return CITYSCAPES
    path = Path(place)
    flag = f"--classes={place}"
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = list(csv.reader(io.StringIO(text), strict=True, skipinitialspace=True))
    except (OSError, ValueError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UserError(
            f"{flag}: cannot be read ({reason}); needs a CSV file with the columns name,color, or "
            f"{CITYSCAPES_NAME}"
        ) from error
    head = [column.strip().lower() for column in rows[0]] if rows else []
    if (
        not set(_REQUIRED) <= set(head)
        or not set(head) <= set(COLUMNS)
        or len(set(head)) < len(head)
    ):
        raise UserError(
            f"{flag}: its first line must name the columns name,color and optionally id,ignored; "
            f"it is {','.join(head)[:80]!r}"
        )
    classes: list[LabelClass] = []
    for number, cells in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in cells):
            continue
        try:
            if len(cells) != len(head):
                raise ValueError(
                    f"has {len(cells)} cells, not {len(head)}; a colour such as 255,0,0 needs "
                    "quotation marks"
                )
            classes.append(
                _class(
                    {column: cell.strip() for column, cell in zip(head, cells, strict=True)},
                    classes,
                )
            )
        except ValueError as error:
            raise UserError(f"{flag}: line {number} {error}") from error
    try:
        return ClassTable(tuple(classes))
    except UserError as error:
        raise UserError(f"{flag}: {error}") from error


def write_classes(path: Path, table: ClassTable) -> None:
    """Writes a table in the form that `read_classes` reads."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in table.classes:
        color = "#{:02x}{:02x}{:02x}".format(*entry.color)
        writer.writerow([entry.name, color, entry.id, "yes" if entry.train_id == IGNORED else ""])
    files.write_text(path, text.getvalue())


def _class(row: dict[str, str], before: list[LabelClass]) -> LabelClass:
    if not row["name"]:
        raise ValueError("has no name")
    given = row.get("id", str(len(before)))
    if not re.fullmatch("[0-9]{1,3}", given) or int(given) > 255:
        raise ValueError(f"has the id {given!r}; ids are whole numbers from 0 to 255")
    ignored = row.get("ignored", "").lower()
    if ignored not in _YES + _NO:
        raise ValueError(f"has {ignored!r} under ignored; write yes or no")
    color = _color(row["color"])
    for other in before:
        for what, mine, theirs in (
            ("name", row["name"], other.name),
            ("colour", color, other.color),
            ("id", int(given), other.id),
        ):
            if mine == theirs:
                raise ValueError(
                    f"({row['name']}) has the same {what} as {other.name}; each class needs its own"
                )
    train_id = IGNORED if ignored in _YES else sum(entry.train_id != IGNORED for entry in before)
    if ignored not in _YES and train_id == IGNORED:
        raise ValueError(
            f"is the {IGNORED + 1}th class that is not ignored; a table has at most {IGNORED}"
        )
    return LabelClass(row["name"], int(given), train_id, color)


def _color(text: str) -> tuple[int, int, int]:
    if found := re.fullmatch("#?([0-9a-fA-F]{6})", text):
        red, green, blue = bytes.fromhex(found[1])
    else:
        parts = re.split(r"[\s,;]+", text.strip("()[] "))
        if len(parts) != 3 or not all(
            re.fullmatch("[0-9]{1,3}", part) and int(part) <= 255 for part in parts
        ):
            raise ValueError(
                f'has the colour {text!r}; write #rrggbb, or three levels 0..255 such as "255,0,0"'
            )
        red, green, blue = map(int, parts)
    return red, green, blue
