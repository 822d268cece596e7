"""How wide a Gaussian blur was, from the rings of a spectrum: two small networks.

The first guesses from rings in cycles per pixel. The second corrects a guess from rings in units of
the guess, where all blurs look alike, and is applied twice. Their weights are plain numbers in
`widths.safetensors`, made by `fitting/widths.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from safetensors.numpy import load

from reid_audit.attacks.anonymisation.learned import Network
from reid_audit.attacks.anonymisation.rings import absolute_rings, scaled_rings

FILE = "widths.safetensors"
STEP = 0.05
"""Unit of the correction, in log sigma."""
LARGEST = 0.25
"""Largest correction at once, in log sigma."""
CLEAR = 0.5
"""Sigma in pixels that stands for no blur: what the kernel rule gives for a size of 1."""
DEVIATION = 1.25
"""Standard deviations in one mean absolute error."""


@dataclass(frozen=True)
class Widths:
    """Sigmas of a Gaussian blur in pixels, and the standard deviations of their logarithms.

    x, y: of the axes apart; square: of both together, more exact where they are equal.
    """

    x: float
    y: float
    square: float
    sd_x: float
    sd_y: float
    sd_square: float


def conditions(shape: tuple[int, ...], quality: int | None, cut: bool = False) -> np.ndarray:
    """What else the networks are told `(5,)`: size, how coarse a JPEG's steps are, and whether the
    region is `cut` out of what was processed."""
    height, width = shape[-2:]
    coarse = 0.0 if quality is None else np.log2(jpeg_scale(quality) + 1)
    return np.array([np.log(height), np.log(width), coarse, float(quality is not None), float(cut)])


def jpeg_scale(quality: int) -> float:
    """Steps relative to libjpeg's tables at quality 50."""
    return (200 - 2 * quality) / 100 if quality >= 50 else 50 / max(quality, 1)


def start_features(power: np.ndarray, quality: int | None, cut: bool) -> np.ndarray:
    """Input of the first guess, for `power_of` a region `(P, H, W)`."""
    return np.concatenate(
        [_three(absolute_rings(power), len(power)), conditions(power.shape, quality, cut)]
    )


def refine_features(
    power: np.ndarray, x: float, y: float, quality: int | None, cut: bool
) -> np.ndarray:
    """Input of the refinement of the sigmas x and y."""
    rings = _three(scaled_rings(power, x, y), len(power))
    log_x, log_y = np.log(x), np.log(y)
    return np.concatenate(
        [rings, [log_x, log_y, log_x - log_y], conditions(power.shape, quality, cut)]
    )


def _three(features: np.ndarray, planes: int) -> np.ndarray:
    """Features of three planes: a grey region has no chroma."""
    return np.concatenate([features, np.full((3 - planes) * (len(features) // planes), np.nan)])


def gaussian_widths(power: np.ndarray, quality: int | None, cut: bool = False) -> Widths:
    """Sigmas of the Gaussian that a region went through, from `power_of` it `(P, H, W)`.

    A first guess from rings in cycles per pixel, then two refinements from rings in units of the
    guess, where all blurs look alike.
    """
    networks = _networks()
    guess = networks["start"](start_features(power, quality, cut))[:2]
    limits = np.log([CLEAR, max(power.shape[1:]) / 2])
    log_sigma = guess.clip(*limits)
    for _ in range(2):
        x, y = np.exp(log_sigma)
        out = networks["refine"](refine_features(power, x, y, quality, cut))
        before, move = log_sigma, (STEP * out[:3]).clip(-LARGEST, LARGEST)
        log_sigma = (before + move[:2]).clip(*limits)
    square = float((before.mean() + move[2]).clip(*limits))
    spread = DEVIATION * STEP * np.exp(out[3:].clip(-6, 2))
    x, y = np.exp(log_sigma)
    return Widths(float(x), float(y), float(np.exp(square)), *(float(s) for s in spread))


@cache
def _networks() -> dict[str, Network]:
    stored = load(resources.files(__package__).joinpath(FILE).read_bytes())
    stored = {name: values.astype(np.float64) for name, values in stored.items()}
    networks = {}
    for name in ("start", "refine"):
        count = sum(key.startswith(f"{name}.weight") for key in stored)
        layers = [(stored[f"{name}.weight{i}"], stored[f"{name}.bias{i}"]) for i in range(count)]
        networks[name] = Network(stored[f"{name}.mean"], stored[f"{name}.scale"], tuple(layers))
    return networks
