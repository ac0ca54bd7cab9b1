"""What a file of measurements is of, a subject or a scene, and that none is in two splits: slices
of one volume are much alike, so that scores on some of them say nothing after training on others.
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
        rule: FILE, each is one; PARENT, the folder that it lies in; or a regular expression, whose
            first group (or all that it matches) names it.
        split: such as "trainA".
        name: of the file below the split's folder, "/" between the parts.
        stem: its last part without the ending.

    Raises:
        UserError: no expression, one that does not match, or a file that lies in no folder.
    """
    if rule == FILE:
        return f"{split}/{PurePosixPath(name).with_name(stem)}"
    if rule == PARENT:
        parent = PurePosixPath(name).parent.as_posix()
        if parent == ".":
            raise UserError(
                f"--group_by=parent: {split}/{printable(name)} lies in no folder of its own below "
                f"{split}; give --group_by an expression"
            )
        return parent
    try:
        found = re.search(rule, name)
    except re.error as error:
        raise UserError(
            f"--group_by={rule}: no regular expression ({error}); or give file or parent"
        ) from error
    if found is None:
        raise UserError(f"--group_by={rule}: does not match {split}/{printable(name)}")
    return next((part for part in found.groups() if part), found[0])


def check_disjoint(rule: str, groups: Mapping[str, Mapping[str, str]]) -> None:
    """Raises UserError where a group is in splits of two purposes (train, val, test), of whichever
    domains. By the rule FILE tells of equal names, since files may be numbered anew in each split.

    Args:
        rule: see `group_of`.
        groups: by split the group of each file, by the file's name.
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
            "it into one"
        )
    log(
        f"warning: {one} and {other} have one name{many}: if they are of one subject, scores are "
        "too good; --group_by='.+' refuses that"
    )
