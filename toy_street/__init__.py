"""A procedural street: `scene` draws it from a seed, `render` renders it as A, as B and as labels,
`frames` writes it to disk, and `command` is what `python -m data_prep.toy_street` runs. It is not
part of the wheel.
"""
