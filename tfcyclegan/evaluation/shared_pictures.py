"""What it means for scores that a scored split shares pictures with another one."""

from tfcyclegan.data.domains import Split, purpose_of


def told(split: Split) -> list[str]:
    """A line for each split that shares pictures with `split`, which is scored."""
    lines = []
    for where, count in split.source.twins.items():
        name, _, other = where.partition(" in ")
        if name != split.name:
            continue
        purpose = purpose_of(other)
        if purpose == purpose_of(name):
            meaning = (
                f"in the other domain ({where}), where a translation that changes nothing looks "
                "right"
            )
        elif purpose == "train":
            meaning = f"in training ({where}), so their scores are too good"
        else:
            meaning = (
                f"in {purpose} ({where}), where the best checkpoint is chosen, so their scores "
                "may be too good"
            )
        lines.append(
            f"held out: {count} of the {split.count} pictures of {name} are also {meaning}"
        )
    return lines
