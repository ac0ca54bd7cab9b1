"""Imports TensorFlow without its greetings: 2.21 writes some to stderr whatever TF_CPP_MIN_LOG_LEVEL says."""

import importlib
import logging
import os
import sys


def import_tensorflow() -> None:
    """Imports TensorFlow and TFDS with the process's stderr put aside, and mutes warnings that no user can act on."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        importlib.import_module("tensorflow_datasets").disable_progress_bar()
        importlib.import_module("tensorflow")
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
