"""A procedural street: `scene` draws it from a seed, `render` shows it as A, as B and as labels,
`frames` puts it on disk.
"""
