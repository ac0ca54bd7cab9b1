"""The definition of options: dataclass fields with a default, a help text and bounds.

A command's options are one frozen, keyword-only dataclass; `flags.py` turns its fields into flags
of the same names.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tfcyclegan.errors import UserError


@dataclass(frozen=True)
class Size:
    """Height and width in pixels, written `64` or `180x360`."""

    height: int
    width: int

    @staticmethod
    def parse(text: str) -> "Size":
        numbers = text.lower().split("x")
        if len(numbers) not in (1, 2) or not all(
            number.isascii() and number.isdigit() and int(number) > 0 for number in numbers
        ):
            raise UserError(f"{text!r} is not a size; write one number or HEIGHTxWIDTH")
        return Size(int(numbers[0]), int(numbers[-1]))

    def __str__(self) -> str:
        return str(self.height) if self.height == self.width else f"{self.height}x{self.width}"


def option(
    default: Any,
    help: str,  # noqa: A002 - the name that flags use
    *,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    choices: tuple[Any, ...] = (),
    required: bool = False,
    alias: str = "",
    on_resume: str = "fixed",
    methods: tuple[str, ...] = (),
    of_method: Mapping[str, Any] | None = None,
) -> Any:
    """A dataclass field with its help and bounds.

    Args:
        default: the value when the flag is not given.
        help: one sentence for `--help`.
        minimum: smallest value allowed.
        above: the value must be greater than this.
        maximum: greatest value allowed.
        choices: the valid values, if they can be enumerated.
        required: whether an empty string is refused.
        alias: a second name of the flag.
        on_resume: how a resumed run may change the value: "fixed" (not at all), "free", "grow" or
            "warn".
        methods: the training methods that have the option, if not all do; its value is None for the
            others.
        of_method: the defaults of methods that differ from `default`.
    """
    metadata = {
        "default": default,
        "methods": methods,
        "of_method": of_method or {},
        "help": help,
        "minimum": minimum,
        "above": above,
        "maximum": maximum,
        "choices": choices,
        "required": required,
        "alias": alias,
        "on_resume": on_resume,
    }
    # None stands for "not given", until the method is known.
    given = None if methods or of_method else default
    return dataclasses.field(default=given, metadata=metadata)


def option_of(options: "type[Options]", name: str, **changes: Any) -> Any:
    """An option of another command, for one that hands it on.

    Args:
        options: whose it is.
        name: of the field.
        changes: what of it is otherwise, of the arguments of `option`. It goes with no training
            method in particular.
    """
    (metadata,) = (field.metadata for field in dataclasses.fields(options) if field.name == name)
    return option(**{**metadata, "methods": (), "of_method": None, **changes})


def option_type(field: dataclasses.Field[Any]) -> type:
    """The type of an option's value; for `int | None` that is int."""
    if isinstance(field.type, types.UnionType):
        return next(kind for kind in typing.get_args(field.type) if kind is not type(None))
    assert isinstance(field.type, type), (
        "options modules must not postpone the evaluation of annotations"
    )
    return field.type


def flag_name(field: dataclasses.Field[Any]) -> str:
    """The flag of an option: the field's name, without the underscore that keeps it from being a
    Python keyword.
    """
    return field.name.rstrip("_")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Checks each field against its bounds on construction; subclasses add checks across fields."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            check(field, getattr(self, field.name))


def check(field: dataclasses.Field[Any], value: Any) -> None:
    """Raises UserError if the option cannot have this value, whatever the others are."""
    name, bounds = f"--{flag_name(field)}", field.metadata
    if bounds["required"] and not value:
        raise UserError(f"{name}: required; {bounds['help']}")
    if value is None:
        return
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{name}={value}: must be a finite number")
    if bounds["choices"] and value not in bounds["choices"]:
        raise UserError(
            f"{name}={value}: unknown choice; valid are {', '.join(map(str, bounds['choices']))}"
        )
    if bounds["minimum"] is not None and value < bounds["minimum"]:
        raise UserError(f"{name}={value}: must be at least {bounds['minimum']}")
    if bounds["above"] is not None and value <= bounds["above"]:
        raise UserError(f"{name}={value}: must be greater than {bounds['above']}")
    if bounds["maximum"] is not None and value > bounds["maximum"]:
        raise UserError(f"{name}={value}: must be at most {bounds['maximum']}")
