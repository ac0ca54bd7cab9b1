"""CycleGAN in PyTorch, with the official program's mathematics, for comparison with ours.

Written from the papers (Zhu et al. 2017; Isola et al. 2017; Shrivastava et al. 2017) under the
official program's names of weights; `tests/test_torch_reference.py` replays numbers that the
official program itself computed.
"""

import random
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

NETWORKS = ("gen_ab", "gen_ba", "disc_a", "disc_b")


class Resnet(nn.Module):
    """The ResNet generator (Zhu et al. 2017, section 7.2)."""

    def __init__(self, blocks: int, width: int):
        super().__init__()
        layers: list[nn.Module] = [
            nn.ReflectionPad2d(3),
            nn.Conv2d(3, width, 7),
            nn.InstanceNorm2d(width),
            nn.ReLU(True),
        ]
        for filters in (width, width * 2):
            down = nn.Conv2d(filters, filters * 2, 3, stride=2, padding=1)
            layers += [down, nn.InstanceNorm2d(filters * 2), nn.ReLU(True)]
        layers += [Residual(width * 4) for _ in range(blocks)]
        for filters in (width * 4, width * 2):
            up = nn.ConvTranspose2d(filters, filters // 2, 3, stride=2, padding=1, output_padding=1)
            layers += [up, nn.InstanceNorm2d(filters // 2), nn.ReLU(True)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x)


class Residual(nn.Module):
    """A residual block."""

    def __init__(self, width: int):
        super().__init__()
        halves = [
            [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width)]
            for _ in range(2)
        ]
        self.conv_block = nn.Sequential(*halves[0], nn.ReLU(True), *halves[1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv_block(x)


class PatchGAN(nn.Module):
    """The 70x70 PatchGAN, which halves the size three times: scores [B, 1, h, w]."""

    def __init__(self, width: int):
        super().__init__()
        widths = [width, width * 2, width * 4, width * 8]
        layers: list[nn.Module] = [
            nn.Conv2d(3, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2, True),
        ]
        for source, target, stride in zip(widths, widths[1:], (2, 2, 1), strict=False):
            convolution = nn.Conv2d(source, target, 4, stride=stride, padding=1)
            layers += [convolution, nn.InstanceNorm2d(target), nn.LeakyReLU(0.2, True)]
        layers.append(nn.Conv2d(widths[-1], 1, 4, padding=1))
        self.model = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x)


class ImagePool:
    """The last `size` fakes; once it is full, half of the new fakes are swapped for older ones."""

    def __init__(self, size: int):
        self.size, self.images, self.random = size, [], random.Random(0)

    def query(self, batch: torch.Tensor) -> torch.Tensor:
        return torch.stack([self._one(image) for image in batch]) if self.size else batch

    def _one(self, image: torch.Tensor) -> torch.Tensor:
        if len(self.images) < self.size:
            self.images.append(image)
            return image
        if self.random.random() <= 0.5:
            return image
        slot = self.random.randrange(self.size)
        old, self.images[slot] = self.images[slot], image
        return old


class TorchCycleGAN:
    """Four networks, two Adam optimizers and the step: least squares, L1 cycles and identity
    losses, generators first.

    Args:
        blocks: residual blocks of the generators.
        width: filters of the first convolutions.
        lambda_cycle: weight of both cycles.
        lambda_identity: weight of the identity losses, relative to it.
        pool_size: number of fakes kept for the discriminators.
        autocast: whether the networks and losses run under PyTorch's bfloat16 autocast.
        channels_last: memory format of weights and pictures.
        device: PyTorch device.
    """

    def __init__(
        self,
        blocks: int = 9,
        width: int = 64,
        *,
        learning_rate: float = 2e-4,
        beta_1: float = 0.5,
        lambda_cycle: float = 10.0,
        lambda_identity: float = 0.5,
        pool_size: int = 50,
        autocast: bool = False,
        channels_last: bool = False,
        device: str = "cpu",
    ):
        self.lambda_cycle, self.lambda_identity, self.autocast, self.device = (
            lambda_cycle,
            lambda_identity,
            autocast,
            device,
        )
        self.memory = torch.channels_last if channels_last else torch.contiguous_format
        made = [Resnet(blocks, width), Resnet(blocks, width), PatchGAN(width), PatchGAN(width)]
        for network in made:
            network.apply(_initialize)
        self.networks = {
            name: network.to(device, memory_format=self.memory)
            for name, network in zip(NETWORKS, made, strict=True)
        }
        self.gen_ab, self.gen_ba, self.disc_a, self.disc_b = self.networks.values()
        generators, discriminators = (
            nn.ModuleList([self.gen_ab, self.gen_ba]),
            nn.ModuleList([self.disc_a, self.disc_b]),
        )
        self.generators = torch.optim.Adam(generators.parameters(), learning_rate, (beta_1, 0.999))
        self.discriminators = torch.optim.Adam(
            discriminators.parameters(), learning_rate, (beta_1, 0.999)
        )
        self.judges = list(discriminators.parameters())
        self.pool_a, self.pool_b = ImagePool(pool_size), ImagePool(pool_size)

    def load(self, states: Mapping[str, Mapping[str, np.ndarray]]) -> None:
        """Loads weights, by our names of the networks and the official names within them, and
        converts the networks to their type.
        """
        for name, state in states.items():
            tensors = tensors_of(state)
            self.networks[name].to(next(iter(tensors.values())).dtype).load_state_dict(tensors)

    def batch(self, images: np.ndarray) -> torch.Tensor:
        """Converts [B, H, W, 3] to the input of `step`."""
        return (
            torch.from_numpy(images)
            .permute(0, 3, 1, 2)
            .contiguous(memory_format=self.memory)
            .to(self.device)
        )

    def step(self, real_a: torch.Tensor, real_b: torch.Tensor) -> dict[str, torch.Tensor]:
        """Updates all four networks once from [B, 3, H, W] in [-1, 1]; returns the weighted
        losses.
        """
        cast = torch.autocast(self.device, torch.bfloat16, enabled=self.autocast)
        for parameter in self.judges:
            parameter.requires_grad_(False)
        self.generators.zero_grad()
        with cast:
            fake_b, fake_a = self.gen_ab(real_a), self.gen_ba(real_b)
            losses = {
                "gan_ab": lsgan(self.disc_b(fake_b), 1),
                "gan_ba": lsgan(self.disc_a(fake_a), 1),
            }
            losses["cycle_a"] = self.lambda_cycle * nn.functional.l1_loss(
                self.gen_ba(fake_b), real_a
            )
            losses["cycle_b"] = self.lambda_cycle * nn.functional.l1_loss(
                self.gen_ab(fake_a), real_b
            )
            if self.lambda_identity:
                weight = self.lambda_cycle * self.lambda_identity
                losses["identity_a"] = weight * nn.functional.l1_loss(self.gen_ba(real_a), real_a)
                losses["identity_b"] = weight * nn.functional.l1_loss(self.gen_ab(real_b), real_b)
        sum(losses.values()).backward()
        self.generators.step()
        for parameter in self.judges:
            parameter.requires_grad_(True)
        self.discriminators.zero_grad()
        for name, judge, pool, real, fake in (
            ("disc_b", self.disc_b, self.pool_b, real_b, fake_b),
            ("disc_a", self.disc_a, self.pool_a, real_a, fake_a),
        ):
            shown = pool.query(fake.detach())
            with cast:
                losses[name] = (lsgan(judge(real), 1) + lsgan(judge(shown), 0)) / 2
            losses[name].backward()
        self.discriminators.step()
        return {name: loss.detach() for name, loss in losses.items()}


def lsgan(scores: torch.Tensor, target: float) -> torch.Tensor:
    """The mean squared distance of scores from `target`."""
    return nn.functional.mse_loss(scores, torch.full_like(scores, target))


def tensors_of(state: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Converts a state dict of arrays to tensors."""
    return {key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in state.items()}


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        nn.init.zeros_(module.bias)
