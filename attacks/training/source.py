"""Where a training batch comes from: faces degraded on the device, or pairs from a black box."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from attacks.operators.spectrum import basis, inverse_basis
from attacks.restoration.spectra import OPPONENT, Spectra
from attacks.training.noise import Noise
from attacks.training.observe import Degradation, Observed, Observer, OperatorRange, eight_bit
from attacks.training.pack import Pack


class Source(Protocol):
    """Faces of a pack as an attacker sees them."""

    def batch(
        self, rows: np.ndarray, noise: Noise, mirror: bool, degradation: Degradation | None = None
    ) -> tuple[Tensor, Observed]:
        """Clear faces `(B, 3, S, S)` in the frame and what is observed of them; `degradation`
        instead of a random one, where the source can choose."""
        ...


class Synthetic:
    """Known operators, drawn anew for every sample."""

    def __init__(self, pack: Pack, operators: OperatorRange, device: torch.device) -> None:
        self.pack, self.operators, self.device = pack, operators, device
        self.observer = Observer(pack.spectra, pack.side, pack.frame, pack.face_width, device)

    def batch(
        self, rows: np.ndarray, noise: Noise, mirror: bool, degradation: Degradation | None = None
    ) -> tuple[Tensor, Observed]:
        clear = _load(self.pack.faces, rows, self.device)
        if mirror:
            clear = _mirrored(clear, noise.uniform())
        observed = self.observer(clear, degradation or self.operators.draw(noise), noise)
        return self.observer.cut(clear), observed


class Paired:
    """An anonymiser known by its outputs alone; restored by linear regression on their moments."""

    def __init__(self, pack: Pack, device: torch.device) -> None:
        self.pack, self.device = pack, device
        self.linear = LinearRestorer(pack.spectra, pack.side).to(device)

    def batch(
        self, rows: np.ndarray, noise: Noise, mirror: bool, degradation: Degradation | None = None
    ) -> tuple[Tensor, Observed]:
        assert self.pack.anonymized is not None
        pair = [
            _load(faces, rows, self.device) for faces in (self.pack.faces, self.pack.anonymized)
        ]
        if mirror:
            flip = noise.uniform()
            pair = [_mirrored(faces, flip) for faces in pair]
        clear, anonymized = pair
        start = (self.pack.side - self.pack.frame) // 2
        inside = slice(start, start + self.pack.frame)
        restored = self.linear(anonymized)
        unknown = torch.full((len(rows),), UNKNOWN, device=self.device)
        seen = Observed(anonymized[..., inside, inside], restored[..., inside, inside], unknown)
        return clear[..., inside, inside], seen


UNKNOWN = float(np.log(0.1))
"""Log strength that stands for a black box."""


class LinearRestorer(torch.nn.Module):
    """Least squares per mode from moments of pairs, E[xy] / E[y^2]."""

    def __init__(self, spectra: Spectra, side: int) -> None:
        super().__init__()
        self.register_buffer("gain", torch.from_numpy(spectra.regression(side, side)).float())
        self.register_buffer("opponent", torch.from_numpy(OPPONENT))
        self.register_buffer("into", torch.from_numpy(basis(side)).float())
        self.register_buffer("out_of", torch.from_numpy(inverse_basis(side)).float())

    def forward(self, anonymized: Tensor) -> Tensor:
        """`(B, 3, side, side)` in [0, 1] to the same, rounded to 8 bits."""
        colours = torch.einsum("oc,bchw->bohw", self.opponent, anonymized)
        modes = self.into @ colours @ self.into.T
        restored = self.out_of @ (modes * self.gain) @ self.out_of.T
        back = torch.einsum("oc,bohw->bchw", self.opponent, restored)
        return eight_bit(back.clamp(0, 1))


def source_of(pack: Pack, operators: OperatorRange, device: torch.device) -> Source:
    """Pairs where the pack has them, else known operators."""
    if pack.anonymized is not None:
        return Paired(pack, device)
    return Synthetic(pack, operators, device)


def _load(faces: np.ndarray, rows: np.ndarray, device: torch.device) -> Tensor:
    """`(B, 3, side, side)` float32 in [0, 1]; sent as bytes, made float on the device."""
    pictures = torch.from_numpy(np.ascontiguousarray(faces[rows])).to(device)
    return pictures.permute(0, 3, 1, 2).float() / 255


def _mirrored(faces: Tensor, chance: Tensor) -> Tensor:
    return torch.where((chance < 0.5)[:, None, None, None], faces.flip(3), faces)
