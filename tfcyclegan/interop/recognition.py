"""Identifies PyTorch files that are not networks of the official CycleGAN program. Needs only
NumPy.
"""

import re
from collections.abc import Mapping
from typing import Any

from tfcyclegan.interop.official import StateDict, listed

_SPECTRAL = ("weight_orig", "weight_u", "weight_v", "parametrizations.weight.original")
_STYLEGAN = re.compile(r"(^|\.)(mapping|synthesis|style|modulation|to_rgb\w*|noises)\.")
_NESTED_IN = re.compile(r"(.*?)(?:model\.model\.0|model\.1|model\.0|net\.0)\.weight")


def foreign(state: StateDict) -> str:
    """What `state` is and why it cannot be imported, in one line; empty if it is not recognised."""
    spectral = [key for key in state if key.endswith(_SPECTRAL)]
    scales = [
        key
        for key, value in state.items()
        if re.fullmatch(r"model\..*\.weight", key)
        and value.ndim == 1
        and f"{key.removesuffix('weight')}running_mean" not in state
    ]
    if any(re.match(r"mlp_\d+\.", key) for key in state):
        return (
            f"the feature network F of CUT or FastCUT ({listed(state)}), which is only used in "
            "training and translates nothing; the generator is in latest_net_G.pth, or import the "
            "whole folder"
        )
    if spectral:
        return (
            f"a network with spectral or weight norm ({listed(spectral)}); remove it in PyTorch "
            "(remove_spectral_norm), then save again"
        )
    if any(_STYLEGAN.search(key) for key in state):
        return (
            f"a StyleGAN network ({listed(state)}); only ResNet and U-Net generators and PatchGAN "
            "discriminators are supported"
        )
    if scales:
        return (
            f"a network whose instance norms have learned scales ({listed(scales)}); the official "
            "program's have none"
        )
    return ""


def network_prefixes(state: Mapping[str, Any]) -> list[str]:
    """Prefixes of the official keys, such as "gen_ab." in checkpoints of PyTorch Lightning; more
    than one for several networks.
    """
    found = {
        match[1]
        for key, value in state.items()
        if value.ndim == 4 and (match := _NESTED_IN.fullmatch(key))
    }
    # U-Nets are nested
    return sorted(
        one for one in found if not any(one != other and one.startswith(other) for other in found)
    )
