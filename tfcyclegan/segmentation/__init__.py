"""Pictures to classes: a segmenter, its training on labelled pictures from anywhere, and its
scores.
"""
