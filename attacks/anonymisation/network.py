"""The Revelio paper's own kernel-size estimator (section 5.4), to compare with the closed form:
EfficientNetV2-L with one output, trained by regression, rounded to the nearest odd size."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import nn
from torchvision.models import efficientnet_v2_l

from reid_audit.attacks.anonymisation.result import Identification
from reid_audit.attacks.descent import descend
from reid_audit.attacks.operators import parse
from reid_audit.attacks.operators.blur import make_gaussian

LARGEST = 81
"""Largest kernel size in training, as in the paper."""


class KernelSizeNetwork:
    """Regresses the kernel size of a Gaussian blur from pixels.

    It starts from random weights; `module` may be any network that maps `(B, 3, H, W)` to
    `(B, 1)`, scaled so that 1 stands for `LARGEST`.
    """

    def __init__(self, module: nn.Module | None = None, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.module = efficientnet_v2_l(num_classes=1) if module is None else module

    def fit(
        self,
        clear: Callable[[np.random.Generator], np.ndarray],
        steps: int,
        batch: int = 16,
        learning_rate: float = 1e-4,
        seed: int = 0,
    ) -> list[float]:
        """Train on clear faces, blurred anew with a random odd size at every step.

        `clear(rng)` returns one picture `(H, W, 3)` uint8; all have one size. Returns the loss
        (mean absolute error in kernel size) of each step.
        """
        rng = np.random.default_rng(seed)
        optimiser = torch.optim.AdamW(self.module.parameters(), lr=learning_rate)
        self.module.train()

        def loss(_: int) -> torch.Tensor:
            sizes = 2 * rng.integers(0, LARGEST // 2 + 1, batch) + 1
            pictures = [_blur(clear(rng), int(size), rng) for size in sizes]
            target = torch.tensor(sizes / LARGEST, dtype=torch.float32)
            error: torch.Tensor = (self.module(_batch(pictures))[:, 0] - target).abs().mean()
            return error

        losses: list[float] = (LARGEST * descend(loss, optimiser, steps)).tolist()
        return losses

    @torch.no_grad()
    def kernel_sizes(self, pictures: Iterable[np.ndarray]) -> np.ndarray:
        """Odd sizes `(N,)`, at least 1, of pictures of one size."""
        self.module.eval()
        sizes = LARGEST * self.module(_batch(list(pictures)))[:, 0].numpy()
        return np.asarray(np.maximum(1, 2 * np.rint((sizes - 1) / 2) + 1).astype(int))

    def identify(self, picture: np.ndarray) -> Identification:
        """The answer in the form the other estimators give; it knows no family but Gaussian."""
        size = int(self.kernel_sizes([picture])[0])
        whole = (0, 0, picture.shape[1], picture.shape[0])
        if size == 1:
            return Identification(whole, "none", parameters={"kernel_size": 1}, spec="none")
        spec = f"gaussian:k={size}"
        return Identification(whole, "gaussian", parameters=parse(spec).parameters, spec=spec)


def _blur(picture: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    return picture if size == 1 else make_gaussian(k=size).apply(picture, rng)


def _batch(pictures: list[np.ndarray]) -> torch.Tensor:
    """`(B, 3, H, W)` float32 in [-1, 1]."""
    stacked = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()
    return stacked / 127.5 - 1
