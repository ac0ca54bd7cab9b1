"""Domain adaptation: segmenters for a target domain without labels, from a labelled source
domain.
"""
