"""Domain adaptation: segmenters for a target domain without labels, out of a labelled source
domain.
"""
