"""Options dataclass <-> absl flags <-> flag file. The only module that touches absl's flags.

Differences from plain absl, each in a place where absl misleads:
- flag files are read first wherever they stand, so the command line always takes precedence;
- a flag that a file or the command line gives twice is reported, since only the last one counts;
- words without dashes, byte-order marks, unreadable and circular flag files are errors instead of
  being ignored;
- a flag file named in a flag file is looked up beside that file first, then in the working
  directory;
- a flag file that does not exist is looked up among those that come with this program, so
  configs/satellite2map.cfg works anywhere;
- `--help` exits with 0 and needs no TensorFlow.
"""

import collections
import dataclasses
import difflib
import errno
import inspect
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from absl import flags as absl_flags

from tfcyclegan.config import Options, Size, flag_name, option_type
from tfcyclegan.config.official_names import OFFICIAL_NAMES
from tfcyclegan.errors import UserError
from tfcyclegan.system import places
from tfcyclegan.system.progress import log

Config = TypeVar("Config", bound=Options)

_PACKAGE = Path(__file__).parent
# where an installed package has them; where a source checkout has them
_OWN_CONFIGS = (_PACKAGE / "configs", _PACKAGE.parent / "configs")
_COMMENT_BEHIND = re.compile(r"\s(#|//)")
_LARGEST_FLAG_FILE = 2**20
_MOST_FLAG_FILES = 100
_COMMAND_LINE = "command line"
_LONGEST_NAME = 80
_HELP_WORDS = {"--help", "-help", "-h", "--helpfull", "--helpshort"}


class _SizeParser(absl_flags.ArgumentParser[Size]):
    syntactic_help = "one number, or HEIGHTxWIDTH"

    def parse(self, argument: str | Size) -> Size:
        return argument if isinstance(argument, Size) else Size.parse(argument)

    def flag_type(self) -> str:
        return "size"


_PARSERS: dict[type, absl_flags.ArgumentParser[Any]] = {
    bool: absl_flags.BooleanParser(),
    int: absl_flags.IntegerParser(),
    float: absl_flags.FloatParser(),
    Size: _SizeParser(),
    str: absl_flags.ArgumentParser(),
}


def _define(config_class: type[Options]) -> absl_flags.FlagValues:
    values = absl_flags.FlagValues()
    for field in dataclasses.fields(config_class):
        name, kind, default = flag_name(field), option_type(field), cast(Any, field.default)
        told = field.metadata["help"]
        if kind is bool:  # also defines --noNAME
            absl_flags.DEFINE_bool(name, default, told, flag_values=values)
        else:
            absl_flags.DEFINE(_PARSERS[kind], name, default, told, flag_values=values)
        if field.metadata["alias"]:
            absl_flags.DEFINE_alias(field.metadata["alias"], name, flag_values=values)
    return values


def from_text(field: dataclasses.Field[Any], text: str) -> Any:
    """Parses the text of an option's value.

    Raises:
        UserError: the option has no such value.
    """
    try:
        return _PARSERS[option_type(field)].parse(text)
    except (ValueError, TypeError) as error:
        raise UserError(f"flag --{flag_name(field)}={text}: {error}") from error


def unknown(config_class: type[Options], name: str) -> UserError:
    """The error for an option that does not exist; it translates those of the official PyTorch
    programs.
    """
    if name in OFFICIAL_NAMES:
        return UserError(
            f"--{name}: no such flag; the official program's --{name} {OFFICIAL_NAMES[name]}"
        )
    names = [flag_name(field) for field in dataclasses.fields(config_class)]
    close = difflib.get_close_matches(name, names, n=1)
    mend = f"did you mean --{close[0]}?" if close else "--help lists the flags"
    return UserError(f"--{name}: no such flag; {mend}")


def expand_flag_files(arguments: Sequence[str]) -> list[str]:
    """Replaces each `--flagfile` by its lines and puts these first, in the order of the files.

    Raises:
        UserError: a file is missing, unreadable or circular, or has a line that is neither a flag
            nor a comment.
    """
    return [argument for _, argument in _placed_arguments(arguments)]


def _placed_arguments(arguments: Sequence[str]) -> list[tuple[str, str]]:
    """The arguments that `expand_flag_files` returns, each with the file that holds it or
    _COMMAND_LINE.
    """
    from_files: list[tuple[str, str]] = []
    read: list[Path] = []
    direct: list[tuple[str, str]] = []
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if name in ("--flagfile", "-flagfile"):
            path = value if equals else next(rest, "")
            if not path:
                raise UserError("--flagfile: needs the path of a file")
            from_files += _read_flag_file(_find(Path(places.in_home(path))), (), read)
        else:
            direct.append((_COMMAND_LINE, argument))
    return from_files + direct


def _find(path: Path) -> Path:
    """`path`, or if it does not exist, the file of that name that comes with this program, with or
    without a leading `configs/`.
    """
    name = path.relative_to("configs") if path.parts[:1] == ("configs",) else path
    if _is_file(path) or path.is_absolute() or ".." in path.parts:
        return path
    return next((own / name for own in _OWN_CONFIGS if _is_file(own / name)), path)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long or holds a NUL, or circular links
        return False


def _read_flag_file(
    path: Path, including: tuple[Path, ...], read: list[Path]
) -> list[tuple[str, str]]:
    """The flags in `path`, each with the file that holds it; the files `including` include it,
    `read` lists the files read so far.
    """
    try:
        resolved = path.resolve()
        with open(path, "rb") as stream:
            content = stream.read(_LARGEST_FLAG_FILE + 1)
        text = content.decode() if len(content) <= _LARGEST_FLAG_FILE else None
    except (OSError, ValueError, RuntimeError) as error:
        reasons = {UnicodeDecodeError: "not UTF-8 text", ValueError: "a name with a NUL"}
        reason = getattr(error, "strerror", reasons.get(type(error)))
        if isinstance(error, RuntimeError) or getattr(error, "errno", 0) == errno.ELOOP:
            reason = "links in a circle"  # before Python 3.13 pathlib tells them by a RuntimeError
        raise UserError(f"--flagfile={path}: cannot be read ({reason})") from error
    if resolved in including:
        raise UserError(
            f"{path}: this flag file includes itself; remove one of the --flagfile lines"
        )
    if text is None:
        raise UserError(
            f"--flagfile={path}: larger than {_LARGEST_FLAG_FILE} bytes; give a text file with one "
            "flag per line"
        )
    if len(read) == _MOST_FLAG_FILES:
        raise UserError(
            f"--flagfile={path}: more than {_MOST_FLAG_FILES} flag files include each other; use "
            "fewer"
        )
    read.append(path)
    if "\0" in text:
        raise UserError(f"{path}: has a NUL character; save it as plain text")
    if text.startswith("\ufeff"):
        raise UserError(f"{path}: starts with a byte-order mark; save it as plain UTF-8")
    lines: list[tuple[str, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if not line or line.startswith(("#", "//")):
            continue
        if not line.startswith("-"):
            raise UserError(
                f"{path}:{number}: {line!r} is not a flag; write --name=value, or start a comment "
                "with #"
            )
        name, _, value = line.partition("=")
        if " " in name:
            raise UserError(
                f"{path}:{number}: write {name.split()[0]}=VALUE, with = instead of a space"
            )
        if _COMMENT_BEHIND.search(value):
            raise UserError(
                f"{path}:{number}: a comment must stand on a line of its own, not after {name}"
            )
        if name in ("--flagfile", "-flagfile"):
            named = Path(places.in_home(value))
            beside = path.parent / named
            lines += _read_flag_file(
                beside if _is_file(beside) else _find(named), (*including, resolved), read
            )
        else:
            lines.append((str(path), line))
    return lines


def parse(config_class: type[Config], arguments: Sequence[str]) -> Config:
    """The options that `arguments` (without the program's name) give.

    Raises:
        UserError: an unknown flag, a bad value, or a word that is not a flag.
    """
    return config_class(**read(config_class, arguments))


def read(config_class: type[Options], arguments: Sequence[str]) -> dict[str, Any]:
    """The values of all options by field name, including defaults. Like `parse`, but without the
    checks that the dataclass makes.
    """
    values = _define(config_class)
    placed = _placed_arguments(arguments)
    expanded = [argument for _, argument in placed]
    if "--" in expanded:
        raise UserError("'--': only flags are accepted; write --name=value")
    for word in expanded:
        name = word.partition("=")[0]
        # absl would search for similar names, which takes long
        if len(name) > _LONGEST_NAME and name.startswith("-"):
            raise UserError(f"{name[:_LONGEST_NAME]}...: no such flag; --help lists the flags")
    try:
        leftovers = values(["tfcyclegan", *expanded])[1:]
    except absl_flags.UnrecognizedFlagError as error:
        raise unknown(config_class, error.flagname) from error
    except (absl_flags.Error, ValueError) as error:  # ValueError: from --noNAME=
        raise UserError(" ".join(str(error).split())) from error
    if leftovers:
        raise UserError(f"{leftovers[0]!r}: not a flag; write --name=value")
    _tell_repeated(config_class, placed)
    return {
        field.name: values[flag_name(field)].value for field in dataclasses.fields(config_class)
    }


def _tell_repeated(config_class: type[Options], placed: Sequence[tuple[str, str]]) -> None:
    """Warns of flags that one file or the command line gives several times; a file may override a
    file that it includes, and the command line may override both.
    """
    names: dict[str, str] = {}
    for field in dataclasses.fields(config_class):
        name = flag_name(field)
        names |= dict.fromkeys((name, f"no{name}", field.metadata["alias"] or name), name)
    given = collections.Counter(
        (place, names.get(word.partition("=")[0].lstrip("-")))
        for place, word in placed
        if word.startswith("-")
    )
    for (place, repeated), count in given.items():
        if repeated and count > 1:
            log(f"{place}: --{repeated} is given {count} times; the last one counts")


def asks_for_help(arguments: Sequence[str]) -> bool:
    """Whether `arguments` ask for help, in any of absl's forms."""
    return any(argument in _HELP_WORDS for argument in arguments)


def to_flag_file(config: Options) -> str:
    """The text of a flag file that parses to an equal `config`.

    Raises:
        UserError: a value that a flag file cannot hold: one with a line break, with spaces at its
            ends, or with what looks like a comment.
    """
    lines = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, str) and (
            value != value.strip() or len(value.splitlines()) > 1 or _COMMENT_BEHIND.search(value)
        ):
            raise UserError(
                f"--{flag_name(field)}={value!r}: spaces at the ends, line breaks and ' #' are not "
                "allowed; choose another value"
            )
        if value is not None:
            lines.append(
                f"--{flag_name(field)}={str(value).lower() if isinstance(value, bool) else value}"
            )
    return "\n".join(lines) + "\n"


def help_text(command: str, summary: str, examples: str, config_class: type[Options]) -> str:
    """The page that `command --help` prints."""
    required = [
        f"--{flag_name(field)}"
        for field in dataclasses.fields(config_class)
        if field.metadata["required"]
    ]
    lines = [
        f"{command}: {summary}",
        "",
        "Examples:",
        textwrap.indent(textwrap.dedent(examples).strip(), "  "),
        "",
    ]
    lines += [f"Required, here or in a flag file: {', '.join(required)}", ""] if required else []
    lines += [
        "Flags:",
        "  --flagfile=FILE",
        "      reads flags from a file, one per line; the command line takes precedence",
    ]
    lines.append("      (this program's configs/... are found from any directory)")
    group: type = config_class
    for field in dataclasses.fields(config_class):
        owner = next(
            kind
            for kind in reversed(config_class.__mro__)
            if field.name in inspect.get_annotations(kind)
        )
        if owner is not group:
            group = owner
            lines += ["", f"{(owner.__doc__ or '').splitlines()[0].rstrip('.')}:"]
        kind = option_type(field)
        metadata = field.metadata
        notes = []
        if metadata["required"]:
            notes.append("required")
        elif metadata["default"] not in (None, ""):
            notes.append(f"default: {_default_text(field)}")
        if metadata["methods"]:
            notes.append(f"with --method={' or '.join(metadata['methods'])}")
        if metadata["choices"]:
            notes.append(
                "one of: "
                f"{', '.join(str(choice) for choice in metadata['choices'] if choice != '')}"
            )
        if metadata["alias"]:
            notes.append(f"also --{metadata['alias']}")
        shown = (
            f"--[no]{flag_name(field)}"
            if kind is bool
            else f"--{flag_name(field)}={kind.__name__.upper()}"
        )
        text = metadata["help"] + (f" ({'; '.join(notes)})" if notes else "")
        lines += [
            f"  {shown}",
            *textwrap.wrap(text, width=100, initial_indent="      ", subsequent_indent="      "),
        ]
    return "\n".join(lines) + "\n"


def _default_text(field: dataclasses.Field[Any]) -> str:
    metadata = field.metadata

    def text(value: Any) -> str:
        return str(value).lower() if isinstance(value, bool) else str(value)

    others: dict[str, list[str]] = {}
    for method, value in metadata["of_method"].items():
        others.setdefault(text(value), []).append(method)
    return ", ".join(
        [
            text(metadata["default"]),
            *(f"{value} with {' and '.join(methods)}" for value, methods in others.items()),
        ]
    )
