"""The additive angular margin (ArcFace, Deng et al. 2019, eq. 3) and class weights learnt with
it."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize, one_hot

from reid_audit.attacks.descent import descend
from reid_audit.attacks.interface import Context

MARGIN = 0.5
SCALE = 32.0
EPOCHS = 30
BATCH = 256
RATE = 0.01


def angular_margin(cosine: Tensor, labels: Tensor) -> Tensor:
    """Logits `(B, G)`: the true class must win by MARGIN radians."""
    theta = torch.acos(cosine.clamp(-1 + 1e-6, 1 - 1e-6))
    target = one_hot(labels, cosine.shape[1]).bool()
    return SCALE * torch.where(target, torch.cos((theta + MARGIN).clamp(max=math.pi)), cosine)


def margin_loss(cosine: Tensor, labels: Tensor) -> Tensor:
    """Mean cross entropy of the logits of cosines `(B, G)`."""
    return cross_entropy(angular_margin(cosine, labels), labels)


def train_head(
    features: np.ndarray, labels: np.ndarray, start: np.ndarray, context: Context
) -> np.ndarray:
    """Unit class weights `(G, d)` from unit features `(N, d)`, labels `(N,)` and first weights."""
    order = np.random.default_rng(context.seed)
    weights = torch.tensor(start, dtype=torch.float32, requires_grad=True)
    optimizer = torch.optim.Adam([weights], lr=RATE)
    x, y = torch.from_numpy(features), torch.from_numpy(labels)
    per_epoch = max(1, len(x) // BATCH)
    parts: list[np.ndarray] = []

    def loss(step: int) -> Tensor:
        if step % per_epoch == 0:
            parts[:] = np.array_split(order.permutation(len(x)), per_epoch)
        rows = torch.from_numpy(parts[step % per_epoch])
        return margin_loss(x[rows] @ normalize(weights).T, y[rows])

    def progress(done: int) -> None:
        if done % per_epoch == 0:
            context.progress("training the parrot head", done // per_epoch, EPOCHS)

    descend(loss, optimizer, EPOCHS * per_epoch, progress=progress)
    return normalize(weights.detach()).numpy()
