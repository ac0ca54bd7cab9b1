"""CUT and FastCUT in PyTorch, with the official program's mathematics, for comparison with ours.

Written from the paper (Park et al. 2020, Eq. 3 to 5) under the official program's names of weights;
`tests/test_torch_reference.py` replays numbers that the official program itself computed. Keys come
from a separate pass, as there, but without its graph, which is not needed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.torch_reference import Residual, lsgan, tensors_of

NETWORKS = ("gen_ab", "disc_b", "patch_sampler")
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "cut": {},
    "fastcut": {"lambda_nce": 10.0, "nce_identity": False, "flip_equivariance": True},
}
"""Of `TorchCUT`, by method."""


class _BlurDown(nn.Module):
    """[1 2 1] x [1 2 1] / 16 at every second pixel, with mirrored edges."""

    def __init__(self, channels: int):
        super().__init__()
        taps = torch.tensor([1.0, 2.0, 1.0]) / 4
        kernel = torch.outer(taps, taps).repeat(channels, 1, 1, 1)
        self.register_buffer("kernel", kernel, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padded = functional.pad(x, (1, 1, 1, 1), "reflect")
        return functional.conv2d(padded, self.kernel, stride=2, groups=x.shape[1])


class BlurredResnet(nn.Module):
    """The anti-aliased ResNet generator, with access to features by index of the layer."""

    def __init__(self, blocks: int, width: int):
        super().__init__()
        layers: list[nn.Module] = [
            nn.ReflectionPad2d(3),
            nn.Conv2d(3, width, 7),
            nn.InstanceNorm2d(width),
            nn.ReLU(True),
        ]
        for filters in (width, width * 2):
            layers += _convolution(filters, filters * 2)
            layers.append(_BlurDown(filters * 2))
        layers += [Residual(width * 4) for _ in range(blocks)]
        for filters in (width * 4, width * 2):
            # between the centres of pixels: the official [1 3 3 1] blur, edges repeated
            layers.append(nn.Upsample(scale_factor=2, mode="bilinear"))
            layers += _convolution(filters, filters // 2)
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x)

    def features(self, x: torch.Tensor, layers: Sequence[int]) -> list[torch.Tensor]:
        """The outputs of `layers`, in ascending order; layers after the last of them are not
        computed.
        """
        found = []
        for index, layer in enumerate(self.model[: layers[-1] + 1]):
            x = layer(x)
            if index in layers:
                found.append(x)
        return found


def _convolution(source: int, target: int) -> list[nn.Module]:
    convolution = nn.Conv2d(source, target, 3, padding=1)
    return [convolution, nn.InstanceNorm2d(target), nn.ReLU(True)]


class BlurredPatchGAN(nn.Module):
    """The anti-aliased PatchGAN, with patches of 84x84 pixels."""

    def __init__(self, width: int):
        super().__init__()
        widths = [width, width * 2, width * 4]
        layers: list[nn.Module] = [
            nn.Conv2d(3, width, 4, padding=1),
            nn.LeakyReLU(0.2, True),
            _BlurDown(width),
        ]
        for source, target in zip(widths, [*widths[1:], width * 8], strict=True):
            layers += [
                nn.Conv2d(source, target, 4, padding=1),
                nn.InstanceNorm2d(target),
                nn.LeakyReLU(0.2, True),
            ]
            if target < width * 8:
                layers.append(_BlurDown(target))
        layers.append(nn.Conv2d(width * 8, 1, 4, padding=1))
        self.model = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x)


class PatchSampler(nn.Module):
    """Maps features at chosen positions to unit vectors [B * P, width], with one perceptron per
    feature map.
    """

    def __init__(self, channels: Sequence[int], width: int):
        super().__init__()
        for index, source in enumerate(channels):
            layers = [nn.Linear(source, width), nn.ReLU(), nn.Linear(width, width)]
            self.add_module(f"mlp_{index}", nn.Sequential(*layers))

    def forward(
        self, features: Sequence[torch.Tensor], positions: Sequence[torch.Tensor]
    ) -> list[torch.Tensor]:
        made = []
        for perceptron, x, ids in zip(self.children(), features, positions, strict=True):
            # Channels are moved behind the choice of positions: PyTorch's instance norm has a wrong
            # gradient on CPUs at batch 1 where it is handed one whose channels lie last.
            patches = x.flatten(2)[:, :, ids].transpose(1, 2).flatten(0, 1)
            vectors = perceptron(patches)
            made.append(vectors / (vectors.norm(dim=1, keepdim=True) + 1e-7))
        return made


class TorchCUT:
    """Three networks, their Adam optimizers and the step: first the discriminator, then the
    generator with least squares and PatchNCE.

    Args:
        blocks: residual blocks of the generator.
        width: filters of the first convolutions.
        lambda_nce: weight of PatchNCE; 10 in FastCUT.
        nce_identity: whether pictures of domain b are also compared with their translations.
        flip_equivariance: whether half of the batches are mirrored before translation.
        nce_layers: the layers whose features are compared.
        num_patches: number of positions drawn in each of them.
        patch_width: length of the vectors.
        autocast: whether the networks and losses run under PyTorch's bfloat16 autocast.
        device: PyTorch device.
    """

    def __init__(
        self,
        blocks: int = 9,
        width: int = 64,
        *,
        lambda_nce: float = 1.0,
        nce_identity: bool = True,
        flip_equivariance: bool = False,
        nce_layers: Sequence[int] = (0, 4, 8, 12, 16),
        num_patches: int = 256,
        temperature: float = 0.07,
        patch_width: int = 256,
        learning_rate: float = 2e-4,
        beta_1: float = 0.5,
        autocast: bool = False,
        device: str = "cpu",
    ):
        self.lambda_nce, self.nce_identity = lambda_nce, nce_identity
        self.flip_equivariance, self.nce_layers = flip_equivariance, tuple(nce_layers)
        self.num_patches, self.temperature = num_patches, temperature
        self.autocast, self.device = autocast, device
        self.gen_ab = BlurredResnet(blocks, width)
        channels = [
            map_.shape[1]
            for map_ in self.gen_ab.features(torch.zeros(1, 3, 16, 16), self.nce_layers)
        ]
        self.disc_b = BlurredPatchGAN(width)
        self.patch_sampler = PatchSampler(channels, patch_width)
        self.networks = {name: getattr(self, name).to(device) for name in NETWORKS}
        for network in self.networks.values():
            network.apply(_initialize)
        settings = {"lr": learning_rate, "betas": (beta_1, 0.999)}
        learners = nn.ModuleList([self.gen_ab, self.patch_sampler])
        self.generators = torch.optim.Adam(learners.parameters(), **settings)
        self.judges = list(self.disc_b.parameters())
        self.discriminators = torch.optim.Adam(self.judges, **settings)

    def load(self, states: Mapping[str, Mapping[str, np.ndarray]]) -> None:
        """Loads weights, by our names of the networks and the official names within them, and
        converts the networks to their type; the kernels of the blurs are fixed.
        """
        for name, state in states.items():
            tensors = tensors_of(
                {key: value for key, value in state.items() if not key.endswith(".filt")}
            )
            self.networks[name].to(next(iter(tensors.values())).dtype).load_state_dict(tensors)

    def batch(self, images: np.ndarray) -> torch.Tensor:
        """Converts [B, H, W, 3] to the input of `step`."""
        return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().to(self.device)

    def step(self, real_a: torch.Tensor, real_b: torch.Tensor) -> dict[str, torch.Tensor]:
        """Updates all three networks once from [B, 3, H, W] in [-1, 1]; returns the weighted
        losses.
        """
        cast = torch.autocast(self.device, torch.bfloat16, enabled=self.autocast)
        mirrored = self.flip_equivariance and self.is_mirrored()
        with cast:
            seen = torch.cat([real_a, real_b]) if self.nce_identity else real_a
            made = self.gen_ab(seen.flip(3) if mirrored else seen)
        fake_b, same_b = made[: len(real_a)], made[len(real_a) :]

        self._judges_learn(True)
        self.discriminators.zero_grad()
        with cast:
            fake, real = self.disc_b(fake_b.detach()), self.disc_b(real_b)
            losses = {"disc_b": (lsgan(fake, 0) + lsgan(real, 1)) / 2}
        losses["disc_b"].backward()
        self.discriminators.step()

        self._judges_learn(False)
        self.generators.zero_grad()
        share = self.lambda_nce / (2 if self.nce_identity else 1)
        with cast:
            learnt = {
                "gan_ab": lsgan(self.disc_b(fake_b), 1),
                "nce_a": share * self._patch_nce("a", real_a, fake_b, mirrored),
            }
            if self.nce_identity:
                learnt["nce_b"] = share * self._patch_nce("b", real_b, same_b, mirrored)
        sum(learnt.values()).backward()
        self.generators.step()
        return {name: loss.detach() for name, loss in (losses | learnt).items()}

    def is_mirrored(self) -> bool:
        """Draws whether a batch is mirrored."""
        return bool(torch.rand(()) < 0.5)

    def positions(self, domain: str, index: int, pixels: int) -> torch.Tensor:
        """Draws positions in the feature map `index` of a term."""
        return torch.randperm(pixels, device=self.device)[: self.num_patches]

    def _judges_learn(self, learn: bool) -> None:
        for parameter in self.judges:
            parameter.requires_grad_(learn)

    def _patch_nce(
        self, domain: str, real: torch.Tensor, fake: torch.Tensor, mirrored: bool
    ) -> torch.Tensor:
        """Mean over layers of the mean loss over their patches."""
        found = self.gen_ab.features(fake, self.nce_layers)
        found = [map_.flip(3) for map_ in found] if mirrored else found
        with torch.no_grad():
            known = self.gen_ab.features(real, self.nce_layers)
            ids = [
                self.positions(domain, index, map_[0, 0].numel())
                for index, map_ in enumerate(known)
            ]
            keys = self.patch_sampler(known, ids)
        queries = self.patch_sampler(found, ids)
        losses = [
            self._contrast(query, key, len(real)) for query, key in zip(queries, keys, strict=True)
        ]
        return torch.stack(losses).mean()

    def _contrast(self, queries: torch.Tensor, keys: torch.Tensor, pictures: int) -> torch.Tensor:
        """Cross-entropy of identifying each query's key among the keys of its picture (Eq. 3)."""
        queries, keys = (x.unflatten(0, (pictures, -1)) for x in (queries, keys))
        right = (queries * keys).sum(2, keepdim=True)
        others = queries @ keys.transpose(1, 2)
        same = torch.eye(others.shape[1], dtype=torch.bool, device=others.device)
        others = others.masked_fill(same, -10.0)
        logits = torch.cat([right.to(others.dtype), others], dim=2).flatten(0, 1) / self.temperature
        return functional.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.long))


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_normal_(module.weight, 0.02)
        nn.init.zeros_(module.bias)
