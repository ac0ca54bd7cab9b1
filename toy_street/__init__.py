"""A procedural street: `scene` draws it from a seed, `render` shows it as A, as B and as labels,
`frames` puts it on disk, and `command` is what `python -m data_prep.toy_street` runs. No part of
the wheel.
"""
