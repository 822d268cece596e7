"""The leakage limit of an operator: `metrics.leakage` with the operator's own eigenvalues."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from reid_audit.attacks.operators.base import ROUNDING_VARIANCE, Operator, rounded
from reid_audit.attacks.operators.ranged import Ranged
from reid_audit.attacks.operators.spectrum import analyse, synthesise
from reid_audit.metrics.errors import InputError
from reid_audit.metrics.leakage import (
    FRAME,
    FacePrior,
    Leakage,
    empirical_response,
    leakage,
    rounding_noise,
    shipped_prior,
    weakest,
)

TEXTURES = 8
MIDDLE = 128.0
STRENGTHS = (1 / 64, 64.0)


def limit(
    operator: Operator,
    face_width: float,
    bit_depth: int = 8,
    shape: tuple[int, int] | None = None,
    prior: FacePrior | None = None,
) -> Leakage:
    """What is left of a face `face_width` px wide after `operator`.

    Closed form where the operator has eigenvalues (of a masked one: under its mask, which is kind
    to it, since known surroundings tell an attacker more). Else the operator is run on random
    textures of a face's power spectrum: what depends linearly on the face counts, and of a sampled
    picture every sample does, mixed as it may be. Of a range of settings the one that leaves more
    counts, since an attacker identifies the draw.

    Args:
        bit_depth: bits per channel of the anonymised picture; 8 for ordinary files.
        shape: height and width of the region in px; a square of `FRAME` face widths by default.
        prior: power spectrum of faces; the shipped one by default.

    Raises:
        InputError: a face width or bit depth that no picture has.
    """
    if not 2 <= face_width <= 4096:
        raise InputError(f"Face width must lie in 2..4096 pixels, not {face_width:g}.")
    if not 1 <= bit_depth <= 32:
        raise InputError(f"Bit depth must lie in 1..32 bits per channel, not {bit_depth}.")
    if isinstance(operator, Ranged):
        ends = (
            limit(end, face_width, bit_depth, shape, prior) for end in (operator.low, operator.high)
        )
        return max(ends, key=lambda left: left.effective_resolution)
    height, width = shape or (round(FRAME * face_width),) * 2
    prior = prior or shipped_prior()
    face = _Textures(prior, height, width, face_width)
    step = 255 / (2**bit_depth - 1)
    rounding = (step**2 - 1) * ROUNDING_VARIANCE
    transfer = operator.transfer(height, width)
    if transfer is not None:
        noise = np.asarray(operator.noise(height, width)) + rounding
        dither = max(0.0, float(np.mean(noise)) - step**2 / 12)
        slow = rounding_noise(transfer, face.power, prior.contrast, step, dither)
        # Counted in white rounding noise, as effective resolution is defined; the PSNR, which is
        # to foretell a measurement, with the error as slow as it is.
        real = leakage(transfer, noise - step**2 / 12 + slow, face.power)
        return replace(leakage(transfer, noise, face.power), psnr=real.psnr)
    after = face.through(operator)
    transfer, noise = empirical_response(face.modes, analyse(after - after.mean()))
    left = leakage(transfer, noise + rounding, face.power)
    grid = operator.samples(height, width)
    if grid is None:
        return left
    rows, columns = (
        ((np.arange(n) + 0.5) * size / n).astype(int)
        for n, size in zip(grid, after.shape[1:], strict=True)
    )
    samples = after[:, rows[:, None], columns]
    kept = leakage(
        1.0, ROUNDING_VARIANCE + rounding, (analyse(samples - samples.mean()) ** 2).mean(axis=0)
    )
    return replace(kept, psnr=left.psnr)


@lru_cache(maxsize=4)
class _Textures:
    """Grey textures drawn from a face's power spectrum.

    power: `(H, W)`. pictures: `(M, H, W)` uint8. modes: their DCT-I.
    """

    def __init__(self, prior: FacePrior, height: int, width: int, face_width: float) -> None:
        self.power = prior.power(height, width, face_width)

    @cached_property
    def pictures(self) -> np.ndarray:
        draws = np.random.default_rng(0).normal(size=(TEXTURES, *self.power.shape))
        draws[:, 0, 0] = 0
        return rounded(MIDDLE + synthesise(draws * np.sqrt(self.power)))

    @cached_property
    def modes(self) -> np.ndarray:
        return analyse(self.pictures - MIDDLE)

    def through(self, operator: Operator) -> np.ndarray:
        """Grey levels `(M, H, W)` float of the textures after `operator`."""
        rng = np.random.default_rng(0)
        grey = (np.repeat(picture[..., None], 3, axis=2) for picture in self.pictures)
        return np.stack([operator.apply(picture, rng)[..., 1] for picture in grey]).astype(float)


def weakest_setting(
    operator: Operator, target: float, face_width: float, bit_depth: int = 8
) -> Operator | None:
    """The weakest setting of this tool whose effective resolution is at most `target`, or None
    when no strength gets there. `operator` says which tool; its own strength does not matter.

    Raises:
        InputError: as `limit`; a negative target.
    """
    if target < 0:
        raise InputError(f"Target resolution must not be negative: {target:g}.")
    known: dict[str, float] = {}

    def resolution(strength: float) -> float:
        setting = operator.strengthened(strength)
        spec = str(setting)  # whole-number settings repeat themselves
        if spec not in known:
            known[spec] = limit(setting, face_width, bit_depth).effective_resolution
        return known[spec]

    strength = weakest(resolution, target, *STRENGTHS)
    return None if strength is None else operator.strengthened(strength)


@dataclass(frozen=True)
class CurvePoint:
    """One setting of a tool and what it leaves."""

    operator: Operator
    sigma_over_face_width: float | None
    left: Leakage


def curve(
    operator: Operator,
    face_width: float,
    strengths: Sequence[float] = tuple(np.geomspace(1 / 8, 8, 13)),
    bit_depth: int = 8,
) -> list[CurvePoint]:
    """Settings of one tool, from weak to strong, against what they leave: the data of a chart.

    `strengths` multiply the strength of `operator`; settings that coincide appear once.
    """
    settings = {str(s): s for s in (operator.strengthened(float(f)) for f in strengths)}
    side = round(FRAME * face_width)
    points = []
    for setting in settings.values():
        sigma = blur_sigma(setting, side, side)
        relative = None if sigma is None else sigma / face_width
        points.append(CurvePoint(setting, relative, limit(setting, face_width, bit_depth)))
    return points


def blur_sigma(operator: Operator, height: int, width: int) -> float | None:
    """Standard deviation in px of the operator's blur kernel on a region, over both axes; None for
    what does not blur, or blurs beyond recognition of the kernel.

    From the eigenvalue H of the lowest mode, at w radians per px: H = exp(-sigma^2 w^2 / 2), which
    is exact for a Gaussian and 1 % too large for a box of half the region.
    """
    if isinstance(operator, Ranged):
        return None
    transfer = operator.transfer(height, width)
    if transfer is None or min(height, width) < 2:
        return None
    lowest = np.array([transfer[1, 0], transfer[0, 1]])
    if lowest.min() <= 1e-12 or lowest.min() >= 1 - 1e-12:
        return None
    radians = math.pi / (np.array([height, width]) - 1)
    sigma = np.sqrt(-2 * np.log(lowest)) / radians
    return float(np.sqrt(np.prod(sigma)))
