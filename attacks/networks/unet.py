"""U-Nets of the restoring attacks: diffusers' `UNet2DModel` in a few fixed sizes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from diffusers import UNet2DModel
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from reid_audit.metrics.errors import InputError

STEPS = 1000.0
"""Conditions are scaled to 0 .. STEPS, the range that sinusoidal embeddings are made for."""
SIGMA = (0.01, 0.5)
"""Range of blur strength in face widths that a condition can tell apart."""


@dataclass(frozen=True)
class Preset:
    """size: side of the frame. patch: pixels a side that are folded into channels first."""

    size: int
    channels: tuple[int, ...]
    layers: int
    patch: int = 1
    head: int = 16
    groups: int = 8


PRESETS = {
    # At half resolution 1.8 times as fast as the same number of parameters at full resolution.
    "small": Preset(64, (32, 64, 96), 1, patch=2),
    # Twice as fast again; diffusion takes many evaluations.
    "light": Preset(64, (64, 96), 1, patch=4),
    # Faces of 128 pixels at half resolution: a fifth of the numbers of "large".
    "medium": Preset(128, (48, 96, 144), 2, patch=2, head=16, groups=8),
    "large": Preset(128, (64, 128, 256, 256), 2, head=32, groups=32),
    "paper": Preset(128, (64, 128, 256, 512), 2, head=32, groups=32),  # Palette's widths
    # Faces of 128 pixels at a quarter of that, and few numbers: the anonymiser `identity-shift`.
    "slim": Preset(128, (24, 40, 56), 1, patch=4, head=8),
    "tiny": Preset(32, (8, 16), 1, patch=2, head=8, groups=4),  # for tests
}


def preset(name: str) -> Preset:
    """The preset of a name.

    Raises:
        InputError: there is none.
    """
    if name not in PRESETS:
        raise InputError(f"no network size {name!r}: choose among {', '.join(PRESETS)}.")
    return PRESETS[name]


class UNet(nn.Module):
    """Pictures and up to two conditions in, pictures out; starts by answering zero.

    Args:
        size: name of a preset.
        inputs, outputs: channels.
        conditions: 1 (time or strength) or 2 (time and strength).
    """

    def __init__(self, size: str, inputs: int = 6, outputs: int = 3, conditions: int = 1) -> None:
        super().__init__()
        chosen = preset(size)
        self.patch, self.size = chosen.patch, chosen.size
        depth = len(chosen.channels)
        self.net = UNet2DModel(
            sample_size=chosen.size // chosen.patch,
            in_channels=inputs * chosen.patch**2,
            out_channels=outputs * chosen.patch**2,
            layers_per_block=chosen.layers,
            block_out_channels=chosen.channels,
            down_block_types=("DownBlock2D",) * depth,
            up_block_types=("UpBlock2D",) * depth,  # attention stands in the bottleneck alone
            norm_num_groups=chosen.groups,
            attention_head_dim=chosen.head,
            resnet_time_scale_shift="scale_shift",
            class_embed_type="timestep" if conditions == 2 else None,
        )
        nn.init.zeros_(self.net.conv_out.weight)
        nn.init.zeros_(self.net.conv_out.bias)

    def forward(self, pictures: Tensor, first: Tensor, second: Tensor | None = None) -> Tensor:
        """`(B, inputs, S, S)` and conditions `(B,)` in 0 .. STEPS to `(B, outputs, S, S)`."""
        folded = pixel_unshuffle(pictures, self.patch)
        answer = self.net(folded, first, class_labels=second).sample
        return pixel_shuffle(answer, self.patch)


def strength(log_sigma: Tensor) -> Tensor:
    """Condition `(B,)` in 0 .. STEPS of log blur strength in face widths.

    >>> import torch
    >>> strength(torch.tensor([0.01, 0.5]).log()).round().tolist()
    [0.0, 1000.0]
    """
    low, high = map(math.log, SIGMA)
    return STEPS * ((log_sigma - low) / (high - low)).clamp(0, 1)


def parameters(network: nn.Module) -> int:
    """How many numbers a network holds."""
    return sum(value.numel() for value in network.parameters())


__all__ = ["PRESETS", "STEPS", "UNet", "parameters", "preset", "strength"]
