"""Recognisers as networks to be trained: behind the warp from the frame, with a stem that sees more
than they were made for."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from math import radians
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from reid_audit.attacks.networks.distillation import (
    RATE,
    RATE_WITHOUT_NORM,
    SCALE,
    SHIFT,
    TURN,
)
from reid_audit.attacks.networks.frame import crop_transform, to_crops
from reid_audit.attacks.networks.unet import STEPS, strength
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.training.noise import Noise
from reid_audit.attacks.training.observe import Observed
from reid_audit.metrics.errors import InputError

CONDITION = 32
"""Width of the layer between blur strength and what it does to the stem."""
NORMS = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm)


class Trunk(nn.Module):
    """A recogniser's own network on frames `(B, 3, S, S)` in [0, 1]; unit embeddings `(B, d)`."""

    def __init__(self, start: Recognizer, size: int) -> None:
        super().__init__()
        self.trunk = start.module()
        self.preprocess, self.side = start.preprocess, start.template.size
        self.theta = crop_transform(start.template, size)

    def forward(self, frames: Tensor, moves: Tensor | None = None) -> Tensor:
        """Unit embeddings `(B, d)`; `moves (B, 3, 3)` as `random_moves` draws them."""
        return normalize(self.trunk(self.prepared(frames, moves)).float())

    def prepared(self, frames: Tensor, moves: Tensor | None = None) -> Tensor:
        """Frames as the recogniser's input, each crop moved where that is wanted."""
        theta = self.theta.to(frames.device)
        if moves is not None:
            theta = theta @ moves.to(theta)
        return self.preprocess(to_crops(frames, theta, self.side) * 255)

    def train(self, mode: bool = True) -> Trunk:
        """Batch norm keeps its statistics: small batches would spoil them."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self


class WideTrunk(Trunk):
    """The same behind a wider stem, which sees the restored and the anonymised picture and knows
    the strength of the blur. At first it is the recogniser on restored pictures."""

    def __init__(self, start: Recognizer, size: int) -> None:
        super().__init__(start, size)
        widen(self.trunk)

    def forward(  # type: ignore[override]
        self, observed: Observed, moves: Tensor | None = None
    ) -> Tensor:
        """Unit embeddings `(B, d)` of what was observed of B faces."""
        pictures = [self.prepared(f, moves) for f in (observed.restored, observed.anonymized)]
        told = strength(observed.log_sigma) / STEPS
        plane = told.to(pictures[0])[:, None, None, None].expand_as(pictures[0][:, :1])
        return normalize(self.trunk(torch.cat([*pictures, plane], dim=1)).float())


class Stem(nn.Module):
    """A network's first convolution for `(B, 7, H, W)`: restored picture, anonymised picture, and
    a plane of blur strength in [0, 1] that scales and shifts what comes out (FiLM: Perez et al.
    2018). Everything new starts at zero, so that the network starts as it was."""

    def __init__(self, first: nn.Conv2d) -> None:
        super().__init__()
        self.first = first
        self.beside = deepcopy(first)
        self.beside.register_parameter("bias", None)
        nn.init.zeros_(self.beside.weight)
        out = nn.Linear(CONDITION, 2 * first.out_channels)
        nn.init.zeros_(out.weight)
        nn.init.zeros_(out.bias)
        self.film = nn.Sequential(nn.Linear(1, CONDITION), nn.SiLU(), out)

    def forward(self, seen: Tensor) -> Tensor:
        """`(B, C, H', W')`, as the first convolution gives it."""
        restored, anonymized, told = seen.split([3, 3, 1], dim=1)
        scale, shift = self.film(told[:, :, 0, 0])[..., None, None].chunk(2, dim=1)
        features: Tensor = (self.first(restored) + self.beside(anonymized)) * (1 + scale) + shift
        return features


def widen(network: nn.Module) -> None:
    """Put a wider stem in the place of the first convolution of a picture.

    Raises:
        InputError: the network has none.
    """
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d) and module.in_channels == 3:
            parent, _, own = name.rpartition(".")
            setattr(network.get_submodule(parent), own, Stem(module))
            return
    raise InputError(
        "The recogniser has no convolution of three channels at its beginning to widen: start from "
        "another one."
    )


def random_moves(noise: Noise) -> Tensor:
    """A small turn, scaling and shift of each sample's crop: `(B, 3, 3)` in the crop's coordinates
    from -1 to 1, drawn as for the students that learn in a run. Without them a network learns a few
    thousand faces pixel by pixel."""
    drawn = noise.normal(4)
    turn, scale = radians(TURN) * drawn[:, 0], (SCALE * drawn[:, 1]).exp()
    right, down = (2 * SHIFT * drawn[:, 2:]).unbind(1)
    along, across = scale * turn.cos(), scale * turn.sin()
    none = torch.zeros_like(along)
    rows = [along, -across, right, across, along, down, none, none, none + 1]
    return torch.stack(rows, dim=1).view(-1, 3, 3)


def rate(network: nn.Module) -> float:
    """Learning rate that fine-tunes a network instead of replacing it."""
    normalised = any(isinstance(module, NORMS) for module in network.modules())
    return RATE if normalised else RATE_WITHOUT_NORM


def described(recognizer: Recognizer) -> dict[str, Any]:
    """What a checkpoint's card says of a recogniser, so that a scan can tell it again."""
    return {
        "name": recognizer.name,
        "digest": recognizer.digest,
        "dimension": recognizer.dimension,
    }


def same(card: Mapping[str, Any], recognizers: tuple[Recognizer, ...]) -> Recognizer | None:
    """The one of these recognisers that a card describes."""
    return next(
        (recognizer for recognizer in recognizers if recognizer.digest == card["digest"]), None
    )
