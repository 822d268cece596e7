"""Random numbers that belong to a sample, not to the batch it stands in.

Each row of a batch has a seed of its own and a counter; a number is a hash of both (SplitMix64:
Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014). So batch size,
order, processes and resuming change nothing, and no generator state has to be stored.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import torch
from torch import Tensor

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed 64-bit integer
_MIX = (-4658895280553007687, -7723592293110705685)  # 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


class Noise:
    """Draws for B samples, one seed each; each call continues where the last one ended.

    >>> both, alone = Noise.of(1, ["a", "b"]), Noise.of(1, ["b"])
    >>> bool((both.normal(3)[1] == alone.normal(3)[0]).all())
    True
    """

    def __init__(self, seeds: Sequence[int], device: str | torch.device = "cpu") -> None:
        self._seeds = torch.tensor(list(seeds), dtype=torch.int64, device=device)
        self._drawn = 0

    @classmethod
    def of(cls, seed: int, names: Sequence[object], device: str | torch.device = "cpu") -> Noise:
        """Seeds from the run's seed and each sample's name (an image id, a place in training)."""
        return cls([_seed(seed, name) for name in names], device)

    def __len__(self) -> int:
        return len(self._seeds)

    def uniform(self, *shape: int) -> Tensor:
        """`(B, *shape)` float32 in (0, 1]."""
        count = math.prod(shape)
        steps = torch.arange(self._drawn, self._drawn + count, device=self._seeds.device)
        self._drawn += count
        bits = _hash(self._seeds[:, None] + (steps + 1) * _GOLDEN)
        return (((bits >> 40) & 0xFFFFFF).float() + 1).div(2**24).view(-1, *shape)

    def normal(self, *shape: int) -> Tensor:
        """`(B, *shape)` float32, standard normal (Box-Muller)."""
        radius, angle = self.uniform(2, *shape).unbind(1)
        return (-2 * radius.log()).sqrt() * (2 * math.pi * angle).cos()


def _seed(seed: int, name: object) -> int:
    content = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return int.from_bytes(content[:8], "little", signed=True)


def _hash(x: Tensor) -> Tensor:
    for shift, factor in zip((30, 27), _MIX, strict=True):
        x = (x ^ _right(x, shift)) * factor
    return x ^ _right(x, 31)


def _right(x: Tensor, shift: int) -> Tensor:
    """Shift without sign: torch's shift of signed integers copies it."""
    return (x >> shift) & ((1 << (64 - shift)) - 1)
