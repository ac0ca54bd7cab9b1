"""The PyTorch program that benchmarks run beside ours does what the official one does."""

import ast

import numpy as np
import pytest

from benchmarks.fidelity import LOSS_NAMES, NETWORKS, nhwc, relative_difference
from tests.conftest import GOLDEN

torch = pytest.importorskip("torch")

from benchmarks.torch_reference import ImagePool, TorchCycleGAN  # noqa: E402


@pytest.mark.parametrize("name", ["trajectory_paper", "trajectory_batch2_noidentity"])
def test_replays_the_official_program(name):
    arrays = dict(np.load(GOLDEN / f"{name}.npz"))
    meta = ast.literal_eval(str(arrays["meta"]))
    model = TorchCycleGAN(
        blocks=6,
        width=4,
        learning_rate=meta["lr"],
        beta_1=meta["beta1"],
        lambda_cycle=meta["lambda_A"],
        lambda_identity=meta["lambda_identity"],
        pool_size=meta["pool_size"],
    )
    start = {
        ours: {
            key.removeprefix(f"start/{theirs}/"): np.float64(value)
            for key, value in arrays.items()
            if key.startswith(f"start/{theirs}/")
        }
        for theirs, ours in NETWORKS.items()
    }
    model.load(start)
    for step, reference in enumerate(arrays["losses"]):
        losses = model.step(
            *(
                model.batch(np.float64(nhwc(arrays[f"step{step}/real_{domain}_nchw"])))
                for domain in "AB"
            )
        )
        ours = [float(losses.get(LOSS_NAMES[str(name)], 0.0)) for name in arrays["loss_names"]]
        assert relative_difference(ours, reference) < 1e-10
    for theirs, ours in NETWORKS.items():
        state = model.networks[ours].state_dict()
        # biases before a norm drift on rounding alone, so kernels are compared
        assert (
            max(
                relative_difference(value, arrays[f"end/{theirs}/{key}"])
                for key, value in state.items()
                if value.ndim == 4
            )
            < 1e-9
        )


def test_a_full_pool_swaps_half():
    pool = ImagePool(4)
    fakes = [torch.full((1, 1, 1, 1), float(index)) for index in range(404)]
    shown = [float(pool.query(fake)) for fake in fakes]
    assert shown[:4] == [0, 1, 2, 3]
    swapped = [index for index in range(4, 404) if shown[index] != index]
    assert 160 < len(swapped) < 240
    assert all(shown[index] < index for index in swapped)
    assert len(set(shown[4:])) == 400  # what was given away is kept no longer
