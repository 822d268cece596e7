"""Our operators as deepinv knows them: a linear map with a known decomposition, here the DCT-I.

Modes are those of opponent colours (`attacks.linear.spectra`). They are orthonormal in the
inner product that counts the two edge samples of a line half, and adjoints are meant in that one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from reid_audit.attacks.linear.spectra import OPPONENT, resample_modes
from reid_audit.attacks.linear.wiener import Restorer
from reid_audit.attacks.operators import Nature
from reid_audit.attacks.operators.base import ROUNDING_VARIANCE
from reid_audit.attacks.operators.spectrum import basis, inverse_basis

if TYPE_CHECKING:
    from deepinv.physics import DecomposablePhysics

LEVELS = 255.0


class Modes:
    """Pictures `(B, 3, height, width)` to opponent DCT-I modes of the same shape, and back."""

    def __init__(self, height: int, width: int, device: str | torch.device = "cpu") -> None:
        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).float().to(device)

        self._rows, self._columns = tensor(basis(height)), tensor(basis(width).T)
        self._rows_back = tensor(inverse_basis(height))
        self._columns_back = tensor(inverse_basis(width).T)
        self._colours = tensor(OPPONENT)

    def analyse(self, pictures: Tensor) -> Tensor:
        """Modes of pictures."""
        colours = torch.einsum("oc,bchw->bohw", self._colours, pictures)
        return self._rows @ colours @ self._columns

    def synthesise(self, modes: Tensor) -> Tensor:
        """Pictures of modes: the inverse of `analyse`."""
        colours = self._rows_back @ modes @ self._columns_back
        return torch.einsum("oc,bohw->bchw", self._colours, colours)


def linear_model(restorer: Restorer, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Gain `(3, height, width)` per mode and variance of what is added, in grey levels squared.

    Exact for linear operators. For the others the linear map nearest to them on reference faces,
    E[xy] / E[x^2], with all that it does not explain taken for noise.
    """
    operator, spectra = restorer.forward.operator, restorer.spectra
    transfer = operator.transfer(height, width)
    if operator.nature is Nature.LINEAR and transfer is not None:
        shape = 3, height, width
        noise = np.broadcast_to(operator.noise(height, width), shape)
        return np.broadcast_to(transfer, shape), noise
    gain = spectra.cross / (spectra.clear + ROUNDING_VARIANCE)
    left = spectra.anonymized - gain * spectra.cross
    return (
        resample_modes(gain, height, width),
        resample_modes(left.clip(ROUNDING_VARIANCE), height, width),
    )


def dct_physics(
    gain: np.ndarray, noise: np.ndarray | None = None, device: str | torch.device = "cpu"
) -> DecomposablePhysics:
    """The operator with `gain (3, H, W)` per mode on pictures in [0, 1].

    With `noise (3, H, W)`, a variance in grey levels squared, measurements are divided by its
    standard deviation, so that all of them are as certain: `measure` does the same to a picture.
    """
    from deepinv.physics import DecomposablePhysics  # takes seconds to import

    _, height, width = gain.shape
    modes = Modes(height, width, device)
    spread = np.ones_like(gain) if noise is None else np.sqrt(noise) / LEVELS
    singular = torch.from_numpy(np.ascontiguousarray(gain / spread)).float()[None].to(device)
    physics = DecomposablePhysics(
        V_adjoint=modes.analyse, V=modes.synthesise, img_size=gain.shape, mask=singular
    )
    physics.register_buffer("spread", torch.from_numpy(spread).float()[None].to(device))
    return physics


def measure(physics: DecomposablePhysics, anonymized: Tensor) -> Tensor:
    """What `physics` would have measured of anonymised pictures `(B, 3, H, W)` in [0, 1]."""
    answer: Tensor = physics.V_adjoint(anonymized) / physics.spread
    return answer
