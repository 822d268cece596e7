"""Where a training batch comes from: faces degraded on the device, or pairs from a black box."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from reid_audit.attacks.checkpoint import GAIN
from reid_audit.attacks.linear.spectra import OPPONENT
from reid_audit.attacks.networks.pack import Pack
from reid_audit.attacks.operators.spectrum import basis, inverse_basis
from reid_audit.attacks.training.noise import Noise
from reid_audit.attacks.training.observe import (
    Degradation,
    Observed,
    Observer,
    OperatorRange,
    eight_bit,
)


class Source(Protocol):
    """Faces of a pack as an attacker sees them."""

    def batch(
        self, rows: np.ndarray, noise: Noise, mirror: bool, degradation: Degradation | None = None
    ) -> tuple[Tensor, Observed]:
        """Clear faces `(B, 3, S, S)` in the frame and what is observed of them; `degradation`
        instead of a random one, where the source can choose."""
        ...

    def kept(self) -> dict[str, Tensor]:
        """What a checkpoint needs to observe probes as this source did, by name."""
        ...


class Synthetic:
    """Known operators, drawn anew for every sample."""

    def __init__(self, pack: Pack, operators: OperatorRange, device: torch.device) -> None:
        self.pack, self.operators, self.device = pack, operators, device
        self.observer = Observer(pack.spectra, pack.side, pack.frame, pack.face_width, device)

    def batch(
        self, rows: np.ndarray, noise: Noise, mirror: bool, degradation: Degradation | None = None
    ) -> tuple[Tensor, Observed]:
        """Faces put through operators that are drawn for each, unless `degradation` gives them."""
        clear = _load(self.pack.faces, rows, self.device)
        if mirror:
            clear = _mirrored(clear, noise.uniform())
        observed = self.observer(clear, degradation or self.operators.draw(noise), noise)
        return self.observer.cut(clear), replace(observed, people=_people(self.pack, rows, clear))

    def kept(self) -> dict[str, Tensor]:
        """Nothing: the operator is told to a probe's observer."""
        return {}


class Paired:
    """An anonymiser known by its outputs alone; restored by linear regression on their moments."""

    def __init__(self, pack: Pack, device: torch.device) -> None:
        self.pack, self.device = pack, device
        gain = pack.spectra.regression(pack.side, pack.side)
        self.linear = LinearRestorer(torch.from_numpy(gain).float()).to(device)

    def batch(
        self, rows: np.ndarray, noise: Noise, mirror: bool, degradation: Degradation | None = None
    ) -> tuple[Tensor, Observed]:
        """Pairs as they are; `degradation` is left aside, since the box cannot be set."""
        assert self.pack.anonymized is not None
        pair = [
            _load(faces, rows, self.device) for faces in (self.pack.faces, self.pack.anonymized)
        ]
        if mirror:
            flip = noise.uniform()
            pair = [_mirrored(faces, flip) for faces in pair]
        clear, anonymized = pair
        unknown = torch.full((len(rows),), UNKNOWN, device=self.device)
        restored = self.linear(anonymized)
        clear, anonymized, restored = (
            middle(faces, self.pack.frame) for faces in (clear, anonymized, restored)
        )
        seen = Observed(anonymized, restored, unknown, _people(self.pack, rows, clear))
        return clear, seen

    def kept(self) -> dict[str, Tensor]:
        """The gain `(3, side, side)` of the linear restorer."""
        return {GAIN: self.linear.gain}


UNKNOWN = float(np.log(0.1))
"""Log strength that stands for a black box."""


class LinearRestorer(torch.nn.Module):
    """Least squares per mode from moments of pairs: gain `(3, side, side)` E[xy] / E[y^2]."""

    gain: Tensor
    opponent: Tensor
    into: Tensor
    out_of: Tensor

    def __init__(self, gain: Tensor) -> None:
        super().__init__()
        side = gain.shape[-1]
        self.register_buffer("gain", gain)
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


def _people(pack: Pack, rows: np.ndarray, like: Tensor) -> Tensor:
    return torch.from_numpy(pack.labels[rows]).to(like.device)


def middle(faces: Tensor, frame: int) -> Tensor:
    """The frame in the middle of `(..., side, side)`."""
    start = (faces.shape[-1] - frame) // 2
    return faces[..., start : start + frame, start : start + frame]


def _mirrored(faces: Tensor, chance: Tensor) -> Tensor:
    return torch.where((chance < 0.5)[:, None, None, None], faces.flip(3), faces)
