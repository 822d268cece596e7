"""What an attacker would hold of clear faces: anonymised on the device, rounded, restored.

The same arithmetic as the operators and the Wiener attack, for a whole batch with a setting per
sample: a blur with reflected borders multiplies DCT-I modes, pixelation is a projection, and the
restoration is the linear estimate under the mean spectrum of faces.

A face in a file is usually wider than in the network's frame. Shrinking averages the rounding away,
so what an attacker holds of it is finer than 8 bits in the frame: `oversampling`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from reid_audit.attacks.linear.spectra import OPPONENT, Spectra
from reid_audit.attacks.operators.spectrum import basis, inverse_basis
from reid_audit.attacks.training.noise import Noise
from reid_audit.metrics.errors import InputError

GAUSSIAN, BOX, PIXELATE = range(3)
KINDS = ("gaussian", "box", "pixelate")
MARGIN = 0.22
"""Largest share of the frame that a processed box leaves clear on a side."""
SPREAD = math.sqrt(12)
"""A box or block is this many times as long as the standard deviation of a point in it."""


@dataclass(frozen=True)
class Degradation:
    """Settings of B samples.

    kind: `(B,)` index in KINDS.
    sigma: `(B, 2)` in face widths, down and across; of a box or block, its standard deviation.
    noise: `(B,)` standard deviation in grey levels, added before rounding.
    oversampling: `(B,)` how many times wider the face is in the file than in the frame, at least 1.
    phase: `(B, 2)` in [0, 1), where the first block of a pixelation is cut.
    box: `(B, 4)` left, top, right, bottom of the processed part as shares of the frame.
    """

    kind: Tensor
    sigma: Tensor
    noise: Tensor
    oversampling: Tensor
    phase: Tensor
    box: Tensor

    @property
    def log_sigma(self) -> Tensor:
        """`(B,)` logarithm of the mean of both axes, in face widths."""
        return self.sigma.log().mean(dim=1)

    def to(self, device: str | torch.device) -> Degradation:
        """The same settings on another device."""
        return Degradation(*(getattr(self, field.name).to(device) for field in fields(self)))

    def __getitem__(self, rows: Tensor) -> Degradation:
        return Degradation(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True)
class OperatorRange:
    """From which operators an attacker is trained, so that one network serves all of them.

    sigma: lowest and highest, in face widths; drawn log-uniformly.
    shares: of gaussian, box and pixelate among the samples.
    anisotropy: standard deviation of the log ratio between the axes.
    noise, noisy: range in grey levels, and the share of samples that have any.
    oversampling: range of file pixels a frame pixel.
    boxed: share of the samples where a box about the face was processed and the rest stayed clear.
    """

    sigma: tuple[float, float] = (0.03, 0.25)
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1)
    anisotropy: float = 0.05
    noise: tuple[float, float] = (0.5, 20.0)
    noisy: float = 0.2
    oversampling: tuple[float, float] = (1.0, 4.0)
    boxed: float = 0.2

    def __post_init__(self) -> None:
        for name in ("sigma", "noise", "oversampling"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise InputError(
                    f"{name}: give a range from low to high above 0, not {low}:{high}."
                )

    def draw(self, noise: Noise) -> Degradation:
        """Settings for as many samples as `noise` has."""
        picks = noise.uniform(7)
        limits = torch.tensor(self.shares, device=picks.device).cumsum(0)[:-1]
        ratio = (self.anisotropy / 2 * noise.normal(1)).exp()
        sigma = _log_uniform(picks[:, :1], self.sigma) * torch.cat([ratio, 1 / ratio], dim=1)
        disturbed = (picks[:, 1] < self.noisy) * _log_uniform(picks[:, 2], self.noise)
        margin = MARGIN * noise.uniform(4) * (noise.uniform(1) <= self.boxed)
        return Degradation(
            kind=torch.bucketize(picks[:, 3].contiguous(), limits),
            sigma=sigma,
            noise=disturbed,
            oversampling=_log_uniform(picks[:, 4], self.oversampling),
            phase=picks[:, 5:] - 2.0**-24,
            box=torch.cat([margin[:, :2], 1 - margin[:, 2:]], dim=1),
        )


def exactly(sigma: Sequence[float], kind: int = GAUSSIAN) -> Degradation:
    """Settings of one operator without noise at these strengths, for validation and tests."""
    strength = torch.tensor(list(sigma), dtype=torch.float32)
    none = torch.zeros_like(strength)
    return Degradation(
        torch.full_like(strength, kind, dtype=torch.int64),
        strength[:, None].expand(-1, 2).clone(),
        none,
        none + 1,
        none[:, None].expand(-1, 2).clone(),
        torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(len(strength), 4).clone(),
    )


def _log_uniform(picks: Tensor, bounds: tuple[float, float]) -> Tensor:
    low, high = map(math.log, bounds)
    return (low + (high - low) * picks).exp()


@dataclass(frozen=True)
class Observed:
    """What an attacker holds of B faces, in the network's frame.

    anonymized, restored: `(B, 3, S, S)` in [0, 1], rounded to 8 bits; `restored` is the linear
        estimate. log_sigma: `(B,)` strength of the blur in face widths, as the attacker believes.
        people: `(B,)` who each face shows, as `Pack.labels` has it; None outside of training.
    """

    anonymized: Tensor
    restored: Tensor
    log_sigma: Tensor
    people: Tensor | None = None

    def __len__(self) -> int:
        return len(self.log_sigma)

    def rows(self, places: Sequence[int]) -> Observed:
        """The faces at `places`, in that order."""
        people = None if self.people is None else self.people[places]
        return Observed(
            self.anonymized[places], self.restored[places], self.log_sigma[places], people
        )

    @property
    def both(self) -> Tensor:
        """`(B, 6, S, S)` in [-1, 1], what networks take in."""
        return torch.cat([self.anonymized, self.restored], dim=1) * 2 - 1


class Observer:
    """Degrades batches of faces and restores them linearly.

    Args:
        spectra: second moments of clear faces.
        side: of the pictures that are degraded; wider than the frame, so that the frame's border
            is as in a picture that goes on.
        frame: side of what is cut out of the middle of them.
        face_width: of the faces, in pixels of these pictures.
    """

    def __init__(
        self,
        spectra: Spectra,
        side: int,
        frame: int,
        face_width: float,
        device: str | torch.device = "cpu",
    ) -> None:
        self.side, self.frame, self.face_width = side, frame, face_width
        self._prior = torch.from_numpy(spectra.prior(side, side)).float().to(device)
        self._opponent = torch.from_numpy(OPPONENT).to(device)
        self._into = torch.from_numpy(basis(side)).float().to(device)
        self._out_of = torch.from_numpy(inverse_basis(side)).float().to(device)

    def __call__(self, clear: Tensor, degradation: Degradation, noise: Noise) -> Observed:
        """Observe `clear (B, 3, side, side)` in [0, 1]."""
        anonymized = self.anonymize(clear, degradation, noise)
        restored = self.restore(anonymized, degradation)
        around, inside = self.cut(clear), self.inside(degradation)
        return Observed(
            torch.where(inside, self.cut(eight_bit(anonymized)), around),
            torch.where(inside, self.cut(eight_bit(restored)), around),
            degradation.log_sigma,
        )

    def inside(self, degradation: Degradation) -> Tensor:
        """Mask `(B, 1, frame, frame)` of the processed part."""
        place = (torch.arange(self.frame, device=degradation.box.device) + 0.5) / self.frame
        left, top, right, bottom = degradation.box.unbind(1)
        across = (place >= left[:, None]) & (place <= right[:, None])
        down = (place >= top[:, None]) & (place <= bottom[:, None])
        return (down[:, :, None] & across[:, None, :])[:, None]

    def cut(self, pictures: Tensor) -> Tensor:
        """The frame in the middle of `(..., side, side)`."""
        start = (self.side - self.frame) // 2
        return pictures[..., start : start + self.frame, start : start + self.frame]

    def anonymize(self, clear: Tensor, degradation: Degradation, noise: Noise) -> Tensor:
        """`(B, 3, side, side)` as decoded from a file, at the resolution of the frame."""
        left = clear
        blurred = degradation.kind != PIXELATE
        if bool(blurred.any()):
            down, across = self.transfer(degradation[blurred])
            gain = (down[:, :, None] * across[:, None, :])[:, None]
            modes = self._into @ clear[blurred] @ self._into.T
            left = left.index_put((blurred,), self._out_of @ (modes * gain) @ self._out_of.T)
        if bool((~blurred).any()):
            down, across = self.blocks(degradation[~blurred])
            mean = down[:, None] @ clear[~blurred] @ across[:, None].mT
            left = left.index_put((~blurred,), mean)
        scale = degradation.oversampling[:, None, None, None]
        if bool((degradation.noise > 0).any()):
            strength = degradation.noise[:, None, None, None] / (255 * scale)
            left = left + strength * noise.normal(3, self.side, self.side)
        levels = 255 * scale
        return (left * levels).round().div(levels).clamp(0, 1)

    def restore(self, anonymized: Tensor, degradation: Degradation) -> Tensor:
        """The linear minimum mean square error estimate, mode by mode, in [0, 1]."""
        added = (degradation.noise**2 + 1 / 12) / degradation.oversampling**2
        added = added[:, None, None, None]
        gain = anonymized.new_empty(len(anonymized), 3, self.side, self.side)
        blurred = degradation.kind != PIXELATE
        if bool(blurred.any()):
            down, across = self.transfer(degradation[blurred])
            transfer = (down[:, :, None] * across[:, None, :])[:, None]
            seen = self._prior * transfer
            gain[blurred] = seen / (seen * transfer + added[blurred])
        if bool((~blurred).any()):
            # Sampling folds modes into each other: E[xy] and E[yy] of a projection D in mode space.
            down, across = (
                self._into @ block @ self._out_of for block in self.blocks(degradation[~blurred])
            )
            kept = (
                down.diagonal(dim1=1, dim2=2)[:, :, None] * across.diagonal(dim1=1, dim2=2)[:, None]
            )
            folded = (down**2)[:, None] @ self._prior @ (across**2)[:, None].mT
            gain[~blurred] = self._prior * kept[:, None] / (folded + added[~blurred])
        colours = torch.einsum("oc,bchw->bohw", self._opponent, anonymized)
        modes = self._into @ colours @ self._into.T
        restored = self._out_of @ (modes * gain) @ self._out_of.T
        return torch.einsum("oc,bohw->bchw", self._opponent, restored).clamp(0, 1)

    def transfer(self, degradation: Degradation) -> tuple[Tensor, Tensor]:
        """Eigenvalues `(B, side)` of the blurs, down and across."""
        length = degradation.sigma * self.face_width
        box = (degradation.kind == BOX)[:, None]
        down, across = (
            torch.where(box, box_response(axis, self.side), gaussian_response(axis, self.side))
            for axis in length.unbind(1)
        )
        return down, across

    def blocks(self, degradation: Degradation) -> tuple[Tensor, Tensor]:
        """Averaging matrices `(B, side, side)` of pixelations, down and across."""
        place = torch.arange(self.side, device=degradation.sigma.device)
        averages = []
        for sigma, phase in zip(
            degradation.sigma.unbind(1), degradation.phase.unbind(1), strict=True
        ):
            length = (sigma * self.face_width * SPREAD).clamp_min(1)
            block = (place / length[:, None] + phase[:, None]).floor()
            same = (block[:, :, None] == block[:, None, :]).float()
            averages.append(same / same.sum(dim=2, keepdim=True))
        return averages[0], averages[1]


def gaussian_response(sigma: Tensor, size: int) -> Tensor:
    """Eigenvalues `(B, size)` of Gaussians of `sigma (B,)` pixels, sampled and cut off as
    torchvision and OpenCV do under their rule for the kernel size."""
    half = ((sigma - 0.8) / 0.3 + 1).round().clamp(1, 2 * (size - 1))
    place = torch.arange(int(half.max()) + 1, device=sigma.device)
    weights = torch.exp(-0.5 * (place / sigma[:, None]) ** 2) * (place <= half[:, None])
    weights[:, 1:] *= 2  # both sides
    angle = math.pi / (size - 1) * torch.arange(size, device=sigma.device)
    return weights / weights.sum(dim=1, keepdim=True) @ torch.cos(place[:, None] * angle)


def box_response(sigma: Tensor, size: int) -> Tensor:
    """Eigenvalues `(B, size)` of boxes whose standard deviation is `sigma (B,)` pixels; where the
    length is no odd number the end pixels count in part."""
    length = (SPREAD * sigma).clamp_min(1)
    whole = ((length - 1) / 2).floor()
    place = torch.arange(int(whole.max()) + 2, device=sigma.device)
    weights = (place <= whole[:, None]).float()
    weights += (place == whole[:, None] + 1) * ((length - 1) / 2 - whole)[:, None]
    weights[:, 1:] *= 2
    angle = math.pi / (size - 1) * torch.arange(size, device=sigma.device)
    return weights / length[:, None] @ torch.cos(place[:, None] * angle)


def eight_bit(pictures: Tensor) -> Tensor:
    """Pictures in [0, 1] rounded as a file of 8 bits would."""
    return (pictures * 255).round() / 255
