"""The PyTorch program that benchmarks run beside ours does what the official one does."""

import ast

import numpy as np
import pytest

from benchmarks import fidelity_one_way
from benchmarks.fidelity import LOSS_NAMES, NETWORKS, nhwc, relative_difference
from tests.conftest import GOLDEN

torch = pytest.importorskip("torch")

from benchmarks.torch_one_way import TorchCUT  # noqa: E402
from benchmarks.torch_reference import ImagePool, TorchCycleGAN  # noqa: E402


@pytest.mark.parametrize(
    ("name", "steps"),
    # a pool shows each fake itself until it is full; after that the program's draws were its own
    [("trajectory_pool3", 3), ("trajectory_batch2_noidentity", 5)],
)
def test_replays_the_official_program(name, steps):
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
    model.load(start_weights(arrays, NETWORKS))
    for step, reference in enumerate(arrays["losses"][:steps]):
        losses = model.step(*pictures(model, arrays, step))
        ours = [float(losses.get(LOSS_NAMES[str(name)], 0.0)) for name in arrays["loss_names"]]
        assert relative_difference(ours, reference) < 1e-10
    if steps == len(arrays["losses"]):
        assert kernels_differ_by(model, arrays, NETWORKS) < 1e-9


@pytest.mark.parametrize("name", ["cut_trajectory", "fastcut_trajectory"])
def test_replays_the_official_program_one_way(name):
    arrays = dict(np.load(GOLDEN / f"{name}.npz"))
    meta = ast.literal_eval(str(arrays["meta"]))

    class Recorded(TorchCUT):
        """With the draws that the official program made in `number`."""

        number = 0

        def is_mirrored(self):
            return bool(arrays["flipped"][self.number])

        def positions(self, domain, index, pixels):
            term = {"a": "NCE", "b": "NCE_Y"}[domain]
            return torch.from_numpy(arrays[f"step{self.number}/patch_ids/{term}/{index}"])

    model = Recorded(
        blocks=6,
        width=4,
        lambda_nce=meta["lambda_NCE"],
        nce_identity=meta["nce_idt"],
        flip_equivariance=meta["flip_equivariance"],
        patch_width=meta["netF_nc"],
        learning_rate=meta["lr"],
        beta_1=meta["beta1"],
    )
    model.load(start_weights(arrays, fidelity_one_way.NETWORKS))
    terms = 2 if meta["nce_idt"] else 1  # which the program tells before it halves them
    official = {"G_GAN": ("gan_ab", 1), "NCE": ("nce_a", terms), "NCE_Y": ("nce_b", terms)}
    official["D"] = ("disc_b", 1)
    for step, reference in enumerate(arrays["losses"]):
        model.number = step
        losses = model.step(*pictures(model, arrays, step))
        for name, theirs in zip(arrays["loss_names"], reference, strict=True):
            if str(name) in official:
                ours, factor = official[str(name)]
                assert factor * float(losses[ours]) == pytest.approx(theirs, rel=1e-9)
    assert kernels_differ_by(model, arrays, fidelity_one_way.NETWORKS) < 1e-7


def start_weights(arrays, names):
    return {
        ours: {
            key.removeprefix(f"start/{theirs}/"): np.float64(value)
            for key, value in arrays.items()
            if key.startswith(f"start/{theirs}/")
        }
        for theirs, ours in names.items()
    }


def pictures(model, arrays, step):
    return [
        model.batch(np.float64(nhwc(arrays[f"step{step}/real_{domain}_nchw"]))) for domain in "AB"
    ]


def kernels_differ_by(model, arrays, names):
    """Biases before a norm drift on rounding alone, so kernels are compared."""
    return max(
        relative_difference(value, arrays[f"end/{theirs}/{key}"])
        for theirs, ours in names.items()
        for key, value in model.networks[ours].state_dict().items()
        if value.ndim >= 2
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
