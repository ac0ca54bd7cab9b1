"""Measures of translated pictures. Each file holds one idea: its score, its range on real pictures,
its limits, its advice and its table or finding. Measures take NumPy arrays from an `EvaluationSet`;
they know nothing of runs and do not load TensorFlow.
"""
