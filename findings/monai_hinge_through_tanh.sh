#!/usr/bin/env bash
# MONAI's PatchAdversarialLoss(criterion="hinge") of a discriminator's raw output d.
# Guess: the hinge loss of GANs: relu(1 - d) for real and relu(1 + d) for made pictures, -d for the generator, each as a mean.
# Seen (MONAI 1.6.1): d goes through tanh first, and the generator has the discriminator's term: 1 - tanh(d), 1 + tanh(d), and 1 - tanh(d) for
# the generator. Where the discriminator is sure (d = -5) the generator's gradient is -0.0002 instead of -1, where it is fooled by far its
# loss ends at 0 instead of falling on, and real pictures at d = 5 still have a loss. (By default, least squares, d goes through a leaky ReLU
# of slope 0.05; no_activation_leastsq removes it, and nothing removes the tanh.)
# Why: the class documents that it has the activation inside, for which a good guess is the sigmoid of cross entropy; the hinge needs none,
# since the margin is its bound.
# Who meets it: a hinge that is taken over from SAGAN, BigGAN, SPADE or GauGAN with its weights and learning rates: the generator no longer
# learns from pictures that the discriminator rejects, which at the beginning are all.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check numpy==2.4.6 torch==2.13.0 monai==1.6.1
venv/bin/python - <<'END_OF_PYTHON'
import monai
import torch
from monai.losses import PatchAdversarialLoss

print("MONAI", monai.__version__, "PyTorch", torch.__version__)
scores = torch.tensor([-5.0, -2.0, -0.5, 0.0, 0.5, 2.0, 5.0])
hinge = PatchAdversarialLoss(criterion="hinge")
cases = {
    "real": ((True, True), lambda d: torch.relu(1 - d), lambda d: 1 - torch.tanh(d)),
    "made": ((False, True), lambda d: torch.relu(1 + d), lambda d: 1 + torch.tanh(d)),
    "generator": ((True, False), lambda d: -d, lambda d: 1 - torch.tanh(d)),
}
for name, (arguments, expected, seen) in cases.items():
    for score in scores:
        d = torch.full((1, 1, 2, 2), score.item(), requires_grad=True)
        loss = hinge(d, *arguments)
        (slope,) = torch.autograd.grad(loss, d)
        other = d.detach().requires_grad_()
        (right_slope,) = torch.autograd.grad(expected(other).mean(), other)
        print(
            f"{name:9} d = {score:+.1f}: loss {loss.item():.4f}, slope {slope.sum().item():+.4f};"
            f" hinge {expected(score).item():.4f}, slope {right_slope.sum().item():+.4f}"
        )
        torch.testing.assert_close(loss.detach(), seen(score), atol=1e-5, rtol=1e-5)
        if name == "generator":
            torch.testing.assert_close(slope.sum(), torch.tanh(score) ** 2 - 1, atol=1e-5, rtol=1e-4)
            assert right_slope.sum() == -1

d = torch.tensor([[[[-2.0, 3.0]]]])
default = PatchAdversarialLoss()(d, False, True).item()
plain = PatchAdversarialLoss(no_activation_leastsq=True)(d, False, True).item()
print(f"least squares of made pictures at -2 and 3: {default:.3f}; without the leaky ReLU {plain:.3f}")
assert abs(default - (0.1**2 + 9) / 2) < 1e-5 and abs(plain - 13 / 2) < 1e-5
END_OF_PYTHON
