"""Groups of files of measurements, such as subjects or scenes, none of which may be in two splits:
slices of one volume are so alike that scores on some of them mean nothing after training on others.
"""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from tfcyclegan.data.manifest import printable
from tfcyclegan.errors import UserError
from tfcyclegan.system.progress import log

FILE, PARENT = "file", "parent"


def group_of(rule: str, split: str, name: str, stem: str) -> str:
    """The group of a file.

    Args:
        rule: FILE, each file is a group; PARENT, the folder that holds it; or a regular expression,
            whose first group (or else its whole match) names the group.
        split: the split, such as "trainA".
        name: the file's path below the split's folder, with "/" between the parts.
        stem: its last part without the extension.

    Raises:
        UserError: an invalid expression, one that does not match, or a file that is not in a
            folder.
    """
    if rule == FILE:
        return f"{split}/{PurePosixPath(name).with_name(stem)}"
    if rule == PARENT:
        parent = PurePosixPath(name).parent.as_posix()
        if parent == ".":
            raise UserError(
                f"--group_by=parent: {split}/{printable(name)} is not in a folder of its own below "
                f"{split}; give --group_by an expression"
            )
        return parent
    try:
        found = re.search(rule, name)
    except re.error as error:
        raise UserError(
            f"--group_by={rule}: not a regular expression ({error}); correct it, or give file or "
            "parent"
        ) from error
    if found is None:
        raise UserError(f"--group_by={rule}: does not match {split}/{printable(name)}")
    return next((part for part in found.groups() if part), found[0])


def check_disjoint(rule: str, groups: Mapping[str, Mapping[str, str]]) -> None:
    """Raises UserError if a group is in splits of two purposes (train, val, test), in any domain.
    With the rule FILE, only warns of equal names, since each split may number its files from the
    start.

    Args:
        rule: see `group_of`.
        groups: for each split, the group of each file by name.
    """
    seen: dict[str, tuple[str, str]] = {}
    shared = []
    for split, of_split in groups.items():
        for name, group in of_split.items():
            known = group.partition("/")[2] if rule == FILE else group
            where = seen.setdefault(known, (split, name))
            if where[0][:-1] != split[:-1]:
                shared.append((known, where, (split, name)))
    if not shared:
        return
    group, *both = shared[0]
    one, other = ("/".join((split, printable(name))) for split, name in both)
    many = f" ({len(shared)} such files)" if len(shared) > 1 else ""
    if rule != FILE:
        raise UserError(
            f"--group_by={rule}: {group} is in two splits: {one} and {other}{many}; move all of "
            "its files into one"
        )
    log(
        f"warning: {one} and {other} have the same name{many}: if they are of one subject, scores "
        "will be too good; --group_by='.+' refuses such files"
    )
