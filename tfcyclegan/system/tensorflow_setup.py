"""Suppresses TensorFlow's messages that users can do nothing about. 2.21 writes to stderr on import
whatever TF_CPP_MIN_LOG_LEVEL is.
"""

import contextlib
import importlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Redirects the process's stdout and stderr, of C++ and Python alike; exceptions pass."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept, nowhere = [os.dup(1), os.dup(2)], os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        with warnings.catch_warnings(action="ignore"):  # notebooks show warnings in another way
            yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, descriptor in zip((1, 2), kept, strict=True):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.close(nowhere)


def import_tensorflow() -> None:
    """Imports TensorFlow and TFDS silently, and suppresses warnings that users can do nothing
    about.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with silenced():
        importlib.import_module("tensorflow_datasets").disable_progress_bar()
        importlib.import_module("tensorflow")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
