"""The paper's estimator learns; a small module stands in for EfficientNetV2-L."""

import numpy as np
import torch
from torch import nn

from reid_audit.attacks.anonymisation.network import KernelSizeNetwork


class Sharpness(nn.Module):
    """Mean absolute difference of neighbours through two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, x):  # (B, 3, H, W) -> (B, 1)
        fine = (x[..., 1:] - x[..., :-1]).abs().mean((1, 2, 3)).add(1e-3).log()
        coarse = (x[..., 8:] - x[..., :-8]).abs().mean((1, 2, 3)).add(1e-3).log()
        return self.head(torch.stack([fine, coarse], dim=1))


def noise_picture(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (96, 96, 3)).astype(np.uint8)


def test_training_lowers_the_error_and_sizes_are_odd() -> None:
    network = KernelSizeNetwork(Sharpness())
    losses = network.fit(noise_picture, steps=120, batch=8, learning_rate=1e-2)
    assert np.mean(losses[-20:]) < 0.5 * np.mean(losses[:5])
    sizes = network.kernel_sizes([noise_picture(np.random.default_rng(s)) for s in range(3)])
    assert (sizes % 2 == 1).all() and (sizes >= 1).all()
    assert network.identify(noise_picture(np.random.default_rng(0))).family in ("none", "gaussian")
