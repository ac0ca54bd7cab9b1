"""Learning rates: one number per epoch, a pure function of the epoch. A step has the rate of its
epoch.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcyclegan.config import SCHEDULES
from tfcyclegan.errors import UserError


def rate_factor(
    kind: str, epoch: int, *, epochs: int, decay_epochs: int, step_epochs: int = 50
) -> float:
    """The factor on the base rate in `epoch`, counted from 0.

    Args:
        kind: "linear": constant for `epochs`, then down to 0 over `decay_epochs`, by the official
            formula; "cosine": constant for `epochs`, then half a cosine down over `decay_epochs`
            (Rao et al. 2023); "step": times 0.1 every `step_epochs`; "constant"; "cosine_official":
            PyTorch's CosineAnnealingLR with T_max = `epochs` as the official program sets it, which
            rises again afterwards.
        epoch: at least 0.
        epochs: epochs at the full learning rate.
        decay_epochs: epochs of decay after them.
        step_epochs: for "step".

    Raises:
        UserError: unknown kind.
    """
    match kind:
        case "linear":
            return 1.0 - max(0, epoch + 1 - epochs) / (decay_epochs + 1)
        case "cosine":
            return float(1 + np.cos(np.pi * max(0, epoch - epochs) / max(1, decay_epochs))) / 2
        case "step":
            return float(0.1 ** (epoch // step_epochs))
        case "constant":
            return 1.0
        case "cosine_official":
            return float(1 + np.cos(np.pi * epoch / epochs)) / 2
    raise UserError(f"schedule {kind!r}: unknown choice; valid are {', '.join(SCHEDULES)}")


STEP_SCHEDULES = ("poly", "cosine", "constant")


def step_factor(kind: str, step: int, *, steps: int, warmup_steps: int = 0) -> float:
    """The factor on the base rate in `step`, counted from 0, of a training of `steps`: a linear
    warm-up, then `kind`.

    Args:
        kind: "poly": (1 - progress)^0.9 (Chen et al. 2017); "cosine": half a cosine down;
            "constant".
        step: at least 0.
        steps: length of the training.
        warmup_steps: steps of the warm-up, whose factor multiplies the schedule.

    Raises:
        UserError: unknown kind.
    """
    rise = min(1.0, (step + 1) / (warmup_steps + 1))
    progress = min(1.0, step / steps)
    match kind:
        case "poly":
            return float(rise * (1 - progress) ** 0.9)
        case "cosine":
            return float(rise * (1 + np.cos(np.pi * progress)) / 2)
        case "constant":
            return rise
    raise UserError(f"schedule {kind!r}: unknown choice; valid are {', '.join(STEP_SCHEDULES)}")


@keras.saving.register_keras_serializable("tfcyclegan")
class EpochRates(keras.optimizers.schedules.LearningRateSchedule):
    """The rate as a function of the optimizer's step, looked up in a table of one rate per epoch,
    in float64.

    Args:
        rates: the rate of each epoch; the last one also applies afterwards.
        epoch_images: images per epoch.
        batch_size: images per step, over all replicas.
    """

    def __init__(self, rates: list[float], *, epoch_images: int, batch_size: int):
        super().__init__()
        self.rates, self.epoch_images, self.batch_size = list(rates), epoch_images, batch_size

    def __call__(self, step: Any) -> tf.Tensor:
        epoch = tf.cast(step, tf.int64) * self.batch_size // self.epoch_images
        return tf.gather(
            tf.constant(self.rates, tf.float64), tf.minimum(epoch, len(self.rates) - 1)
        )

    def get_config(self) -> dict[str, Any]:
        return {
            "rates": self.rates,
            "epoch_images": self.epoch_images,
            "batch_size": self.batch_size,
        }
