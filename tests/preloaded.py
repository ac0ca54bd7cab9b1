"""What the process has imported that `tests.processes` forks commands from."""

import importlib

from tfcyclegan.system.tensorflow_setup import import_tensorflow

import_tensorflow()
importlib.import_module("tfcyclegan.training.trainer")
