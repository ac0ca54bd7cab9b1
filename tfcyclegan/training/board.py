"""A run's events for TensorBoard: values in the groups of the report's curves, sample strips,
options, and a profile on request.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hyper_parameters

from tfcyclegan.config import TrainConfig
from tfcyclegan.system.progress import log
from tfcyclegan.training.figures import group_of
from tfcyclegan.training.runs import config_to_dict

_PROFILE_AFTER_STEPS = 10  # of this process; the first ones trace graphs


class Board:
    """Writes events into a directory.

    Args:
        directory: receives the events of this process and of those that resume the run.
        config: all options; they become hyper-parameters.
        flag_file: the same as the text of a flag file.
        first_step: the step that this process starts from.
    """

    def __init__(self, directory: Path, config: TrainConfig, flag_file: str, first_step: int):
        self._directory, self._writer = directory, tf.summary.create_file_writer(str(directory))
        self._profiled = range(0)
        if config.profile_steps:
            begin = first_step + _PROFILE_AFTER_STEPS
            self._profiled = range(begin, begin + config.profile_steps)
        self._profiling = False
        values = {
            name: "" if value is None else value for name, value in config_to_dict(config).items()
        }
        with self._writer.as_default(step=first_step):
            hyper_parameters.hparams(values, trial_id=str(config.run_dir))
            if flag_file:
                # Markdown shows indented lines verbatim
                tf.summary.text("flags", "    " + flag_file.replace("\n", "\n    "))
        self._writer.flush()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes a line of the history; values that no curve shows go to the group "run"."""
        with self._writer.as_default(step=step):
            for name, value in values.items():
                if name != "step":
                    tf.summary.scalar(f"{group_of(name)}/{name}", value)
        self._writer.flush()

    def picture(self, step: int, name: str, picture: np.ndarray) -> None:
        """Writes uint8 [H, W, 3]."""
        with self._writer.as_default(step=step):
            tf.summary.image(name, picture[np.newaxis])
        self._writer.flush()

    def tell_of_profile(self, end: int) -> None:
        """Tells if the training ends, at step `end`, before the profile that was asked for."""
        if self._profiled and end <= self._profiled.start:
            log(
                f"--profile_steps={len(self._profiled)}: has no effect; a profile begins after "
                f"{_PROFILE_AFTER_STEPS} steps of this process, and no more are left"
            )

    def before_step(self, step: int) -> None:
        """Starts and stops the profiler if the options ask for a profile; `step` counts the steps
        done.
        """
        wanted = step in self._profiled
        if wanted and not self._profiling:
            tf.profiler.experimental.start(str(self._directory))
        if self._profiling and not wanted:
            tf.profiler.experimental.stop()
        self._profiling = wanted

    def close(self) -> None:
        """Stops a profile that is still running."""
        if self._profiling:
            tf.profiler.experimental.stop()
            self._profiling = False
