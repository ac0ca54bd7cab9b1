"""Pure measures on uint8 pictures [H, W, C]; NumPy in, numbers out. They know nothing of runs or
models.
"""
