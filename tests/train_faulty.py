"""A training with one fault that no flag gives: `python -m tests.train_faulty FAULT FLAGS OF
tfcyclegan train`.

Faults: `frozen` leaves out the discriminators' updates; `scaled` feeds pictures in [0, 1] instead
of [-1, 1]; `four` trains on the
first four pictures of each domain alone.
"""

import sys

import tensorflow as tf

from tfcyclegan import cli
from tfcyclegan.data.unpaired import UnpairedBatches
from tfcyclegan.methods.cyclegan import CycleGAN


def freeze_discriminators() -> None:
    update = CycleGAN._update_discriminators

    def without_applying(self, *arguments):
        self.discriminator_optimizer.apply_if_finite = lambda loss, gradients, variables: (
            tf.constant(True)
        )
        try:
            return update(self, *arguments)
        finally:
            del self.discriminator_optimizer.apply_if_finite

    CycleGAN._update_discriminators = without_applying


def scale_wrongly() -> None:
    dataset = UnpairedBatches.dataset
    UnpairedBatches.dataset = lambda self, *steps, **parts: dataset(self, *steps, **parts).map(
        lambda a, b: ((a + 1) / 2, (b + 1) / 2)
    )


def take_four() -> None:
    UnpairedBatches._index_a = lambda self, sample: sample % 4
    UnpairedBatches._index_b = lambda self, generator: int(generator.integers(4))


FAULTS = {"frozen": freeze_discriminators, "scaled": scale_wrongly, "four": take_four}

if __name__ == "__main__":
    FAULTS[sys.argv[1]]()
    sys.exit(cli.main(["train", *sys.argv[2:]]))
