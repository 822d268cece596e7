"""Whittle likelihood of a spectrum under a blur, maximised over everything that is not known.

Model of a cell's power: S = exp(B c) |H|^2 + v + w (0.1 / f)^2, with the log power of the clear
face B c under the prior of `attacks.anonymisation.prior`, the blur's eigenvalues H, white noise v
(rounding) and coloured noise w: where a picture is nearly flat, rounding makes contours instead.
Given S the modes are independent and exponential-tailed (Whittle 1953), so

    -log L = sum over cells of n (log S + power / S) + (c - mean)' C^-1 (c - mean) / 2.

DCT-I modes are real: power / S is chi-squared with one degree of freedom, hence the factor 1/2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from reid_audit.attacks.anonymisation.prior import SpectrumPrior, design
from reid_audit.attacks.anonymisation.spectra import Spectrum

Response = Callable[[np.ndarray, Spectrum], tuple[np.ndarray, np.ndarray]]
"""Shape parameters -> log |H|^2 `(cells,)` and its derivatives `(cells, parameters)`."""

ROUNDING = 1 / 12
NOISE_MEAN = np.log([ROUNDING, 0.002])
NOISE_PRECISION = np.array([0.25, 0.6])
"""Prior of log v and log w: rounding, and next to no contours."""


def noise_shapes(spectrum: Spectrum) -> np.ndarray:
    """Power `(2, cells)` of white and of contour noise of strength one."""
    frequency = np.hypot(
        spectrum.rows.frequency[spectrum.row], spectrum.columns.frequency[spectrum.column]
    )
    return np.stack([np.ones_like(frequency), (0.1 / frequency) ** 2])


@dataclass(frozen=True)
class Fit:
    """A maximum of the posterior. `shape` are the blur's parameters, `sd` their standard
    deviations; `cost` is the negative log posterior, `noise` the fitted
    white variance of a mode, `signal` and `total` `(P, cells)` the fitted power without and with
    noise."""

    shape: np.ndarray
    sd: np.ndarray
    coefficients: np.ndarray
    noise: float
    cost: float
    signal: np.ndarray
    total: np.ndarray


def fit(
    spectrum: Spectrum,
    prior: SpectrumPrior,
    response: Response,
    start: np.ndarray,
    bounds: tuple[float, float] = (0.0, np.inf),
    steps: int = 20,
    coefficients: np.ndarray | None = None,
) -> Fit:
    """Fisher scoring with step halving over shape, coefficients and log noise together."""
    terms = design(spectrum)
    planes, count = spectrum.planes, terms.shape[1]
    prior = prior.first(planes)
    mean = prior.mean.ravel()
    precision = np.linalg.inv(prior.covariance)
    shape = np.array(start, float)
    free = len(shape)
    c = mean.copy() if coefficients is None else coefficients.copy()
    log_noise = NOISE_MEAN.copy()
    shapes = noise_shapes(spectrum)
    half_weight = spectrum.weight / 2

    def evaluate(
        shape: np.ndarray, c: np.ndarray, log_noise: np.ndarray
    ) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        transfer, slope = response(shape, spectrum)
        signal = np.exp(np.minimum(c.reshape(planes, count) @ terms.T + transfer, 50.0))
        total = signal + np.exp(log_noise) @ shapes
        cost = float((half_weight * (np.log(total) + spectrum.power / total)).sum())
        deviation = c - mean
        cost += float(deviation @ precision @ deviation) / 2
        cost += float(NOISE_PRECISION @ (log_noise - NOISE_MEAN) ** 2) / 2
        return cost, signal, total, slope

    cost, signal, total, slope = evaluate(shape, c, log_noise)
    size = free + planes * count + 2
    damping = 1e-3
    for _ in range(steps):
        share = signal / total
        error = half_weight * (spectrum.power / total - 1)
        information = np.zeros((size, size))
        gradient = np.zeros(size)
        noise_shares = np.exp(log_noise)[:, None] * shapes
        for p in range(planes):
            block = slice(free + p * count, free + (p + 1) * count)
            columns = np.column_stack(
                [share[p, :, None] * slope, share[p, :, None] * terms, (noise_shares / total[p]).T]
            )
            index = np.r_[0:free, block, size - 2 : size]
            information[np.ix_(index, index)] += columns.T @ (half_weight[:, None] * columns)
            gradient[index] += columns.T @ error[p]
        inner, last = slice(free, size - 2), slice(size - 2, size)
        information[inner, inner] += precision
        gradient[inner] -= precision @ (c - mean)
        information[last, last] += np.diag(NOISE_PRECISION)
        gradient[last] -= NOISE_PRECISION * (log_noise - NOISE_MEAN)
        for _ in range(8):
            damped = information + damping * np.diag(np.diag(information) + 1e-9)
            move = np.linalg.solve(damped, gradient)
            move[last] = np.clip(move[last], -2, 2)
            trial_shape = np.clip(shape + move[:free], *bounds)
            trial = evaluate(trial_shape, c + move[inner], log_noise + move[last])
            if trial[0] < cost:
                break
            damping = max(damping, 1e-3) * 6
        else:
            break
        gain = cost - trial[0]
        shape, c, log_noise = trial_shape, c + move[inner], log_noise + move[last]
        cost, signal, total, slope = trial
        damping /= 10
        if gain < 1e-3:
            break
    covariance = np.linalg.inv(information + 1e-12 * np.eye(size))
    sd = np.sqrt(np.maximum(np.diag(covariance)[:free], 0))
    return Fit(shape, sd, c, float(np.exp(log_noise[0])), cost, signal, total)


def scan(
    spectrum: Spectrum, prior: SpectrumPrior, log_transfers: np.ndarray, steps: int = 6
) -> np.ndarray:
    """Costs `(B,)` of B fixed blurs given as log |H|^2 `(B, cells)`, from luma alone, all at once.

    Each is fitted over the coefficients and the noise by a few clipped Fisher steps: exact enough
    to start `fit` at the right peak.
    """
    terms = design(spectrum)
    count = terms.shape[1]
    prior = prior.first(1)
    mean = prior.mean[0]
    precision = np.linalg.inv(prior.covariance)
    power, half_weight = spectrum.power[0], spectrum.weight / 2
    batch = len(log_transfers)
    c = np.repeat(mean[None], batch, axis=0)
    log_noise = np.repeat(NOISE_MEAN[None], batch, axis=0)
    shapes = noise_shapes(spectrum)
    outer = np.einsum("ic,jc->ijc", shapes, shapes).reshape(4, -1)
    products = (terms[:, :, None] * terms[:, None, :]).reshape(len(terms), -1)
    diagonal = np.arange(count + 2)
    noise_diagonal = diagonal[count:]
    for step in range(steps + 1):
        signal = np.exp(np.clip(c @ terms.T + log_transfers, -60, 60))
        strength = np.exp(log_noise)
        total = signal + strength @ shapes
        ratio = power / total
        if step == steps:
            break
        share = signal / total
        weighted = half_weight * share
        information = np.empty((batch, count + 2, count + 2))
        information[:, :count, :count] = ((weighted * share) @ products).reshape(
            batch, count, count
        ) + precision
        inverse = half_weight / total
        for n in range(2):
            cross = strength[:, n, None] * ((inverse * share * shapes[n]) @ terms)
            information[:, :count, count + n] = information[:, count + n, :count] = cross
        corner = ((inverse / total) @ outer.T).reshape(batch, 2, 2)
        corner *= strength[:, :, None] * strength[:, None, :]
        information[:, count:, count:] = corner
        information[:, noise_diagonal, noise_diagonal] += NOISE_PRECISION
        # Far above the fit the quadratic model overshoots: a ratio counts as at most e.
        error = np.minimum(ratio - 1, 1.7)
        gradient = np.empty((batch, count + 2))
        gradient[:, :count] = (weighted * error) @ terms - (c - mean) @ precision
        gradient[:, count:] = strength * ((inverse * error) @ shapes.T)
        gradient[:, count:] -= NOISE_PRECISION * (log_noise - NOISE_MEAN)
        information[:, diagonal, diagonal] *= 1.001
        move = np.linalg.solve(information, gradient[..., None])[..., 0]
        c = c + move[:, :count]
        log_noise = log_noise + np.clip(move[:, count:], -2, 2)
    cost = (half_weight * (np.log(total) + ratio)).sum(axis=1)
    deviation = c - mean
    cost += np.einsum("bi,ij,bj->b", deviation, precision, deviation) / 2
    return np.asarray(cost + (log_noise - NOISE_MEAN) ** 2 @ NOISE_PRECISION / 2)
