"""Every flag of every command and data_prep script with values that it must refuse, made from the
tables in `config`. In this process.
"""

import dataclasses
import importlib

import pytest

from data_prep import SCRIPTS
from tfcyclegan import cli, flags
from tfcyclegan.config import Size, flag_name, option_type
from tfcyclegan.errors import UserError

MODULES = (
    *(f"tfcyclegan.commands.{name}" for name in cli.COMMANDS),
    *(f"data_prep.{name}" for name in SCRIPTS),
)


def refused_values(field: dataclasses.Field) -> set[str]:
    """What must not pass as the value of an option, from its type and its bounds."""
    kind, bounds = option_type(field), field.metadata
    numeric = kind in (int, float)
    values = {"words", "", "1 2"} if numeric or kind is Size else set()
    values |= {"nan", "inf", "-inf", "1e999"} if numeric else set()
    values |= {"1.5", "1e3"} if kind is int else set()
    values |= {"0", "-4", "4x", "3x4x5"} if kind is Size else set()
    values |= {"perhaps", "2"} if kind is bool else set()
    values |= {""} if bounds["required"] else set()
    values |= {"no such choice"} if bounds["choices"] and not numeric else set()
    values |= {str(max(bounds["choices"]) + 1)} if bounds["choices"] and numeric else set()
    values |= {str(bounds["minimum"] - 1)} if bounds["minimum"] is not None else set()
    values |= {str(bounds["above"])} if bounds["above"] is not None else set()
    values |= {str(bounds["maximum"] + 1)} if bounds["maximum"] is not None else set()
    return values


@pytest.mark.parametrize("module", MODULES)
def test_every_flag_refuses_what_its_type_and_bounds_exclude(module):
    config_class = importlib.import_module(module).Config
    required = {
        flag_name(field): (field.metadata["choices"] or ("x",))[0]
        for field in dataclasses.fields(config_class)
        if field.metadata["required"]
    }
    checked = 0
    for field in dataclasses.fields(config_class):
        name = flag_name(field)
        others = [f"--{other}={value}" for other, value in required.items() if other != name]
        for value in refused_values(field):
            with pytest.raises(UserError) as caught:
                flags.parse(config_class, [*others, f"--{name}={value}"])
            message = str(caught.value)
            assert f"--{name}" in message and "\n" not in message, (name, value, message)
            checked += 1
    assert checked >= len(required) + 1
