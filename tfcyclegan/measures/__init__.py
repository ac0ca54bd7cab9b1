"""Measures of translated pictures, one file an idea: its number, its range on real pictures, its
limits, its advice and its row. NumPy in, numbers out; they know an `EvaluationSet`, no run and no
TensorFlow.
"""
