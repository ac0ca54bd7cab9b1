"""What a row of tests/test_nothing_silent.py says."""

from dataclasses import dataclass

from tests.silent_inputs import Maker


@dataclass(frozen=True)
class Line:
    """One thing that might pass unseen.

    Attributes:
        about: the reader or the default.
        said: what stands on the terminal.
        key: of the JSON in the case's file, where it stands afterwards; empty where it need not, or
            for a file of lines.
        stands: what is found there; by default what is said.
    """

    about: str
    said: str
    key: str = ""
    stands: str = ""


@dataclass(frozen=True)
class Case:
    """A command, and all that it must tell.

    Attributes:
        input: makes the folder {i} of the command; {s} is what all cases share, {o} the output.
        command: what is typed.
        file: where the lines stand afterwards; empty where nothing is made.
        lines: what must be told.
        code: the exit code; a refusal is one line on standard error.
    """

    input: Maker
    command: str
    file: str
    lines: list[Line]
    code: int = 0


def done(about: str, what: str, count: int) -> Line:
    """A conversion."""
    return Line(about, f"{what}: {count}", "conversions", f'"{what}": {count}')


def unused(about: str, what: str, count: int, hint: str = "") -> Line:
    """What is left out."""
    return Line(about, f"not used, {what}: {count}{hint}", "left_out", f'"{what}": {count}')


def tells(about: str, maker: Maker, command: str, said: str) -> Case:
    """A command that tells one thing."""
    return Case(maker, command, "", [Line(about, said)])


def refused(about: str, maker: Maker, command: str, said: str) -> Case:
    """A command that is refused."""
    return Case(maker, command, "", [Line(about, said)], code=2)


def bad(name: str, reason: str) -> Line:
    """A picture that is refused, as quarantine.jsonl lists it."""
    return Line(f"bad {name}", "12 bad pictures left out, listed in quarantine.jsonl", "", reason)
