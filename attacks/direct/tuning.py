"""Fine-tuning a recogniser, in the run, to tell people apart as they look anonymised."""

from __future__ import annotations

import numpy as np
import torch
from diffusers.optimization import get_cosine_schedule_with_warmup
from torch import Tensor
from torch.nn.functional import normalize

from reid_audit.attacks.descent import descend
from reid_audit.attacks.interface import Context
from reid_audit.attacks.networks.arcface import RATE as HEAD_RATE
from reid_audit.attacks.networks.arcface import margin_loss
from reid_audit.attacks.networks.distillation import Network, half_precision, jitter

EPOCHS = 6
BATCH = 64


def tune(
    network: Network,
    classes: np.ndarray,
    crops: np.ndarray,
    rows: np.ndarray,
    labels: np.ndarray,
    context: Context,
    epochs: int = EPOCHS,
) -> None:
    """Train `network` in place on `crops[rows]` (uint8), ArcFace over people; the head is dropped.

    Raises:
        TrainingFailed: the loss is no number any more.

    Args:
        classes: `(P, d)` class weights to begin with. labels: `(len(rows),)` who is shown.
    """
    per_epoch = max(1, len(rows) // BATCH)
    steps = epochs * per_epoch
    order = np.random.default_rng([context.seed, 2])
    head = torch.tensor(classes, dtype=torch.float32, device=network.device, requires_grad=True)
    optimizer = torch.optim.AdamW(
        [
            {"params": network.parameters(), "lr": network.rate(steps), "weight_decay": 0.01},
            {"params": [head], "lr": HEAD_RATE, "weight_decay": 0.0},
        ]
    )
    schedule = get_cosine_schedule_with_warmup(optimizer, max(1, steps // 20), steps)
    torch.manual_seed(context.seed)  # dropout and drop-path inside the start network
    network.train()
    permutation = np.arange(len(rows))

    def loss(step: int) -> Tensor:
        nonlocal permutation
        if step % per_epoch == 0:
            permutation = order.permutation(len(rows))
        chosen = permutation[(step % per_epoch) * BATCH :][:BATCH]
        faces = network.faces(np.stack([jitter(crops[rows[i]], order) for i in chosen]))
        people = torch.from_numpy(labels[chosen]).to(network.device)
        with half_precision(network.device):
            embedded = network(faces)
        return margin_loss(embedded @ normalize(head).T, people)

    def progress(done: int) -> None:
        context.progress("training the parrot", done, steps)

    descend(loss, optimizer, steps, schedule, progress)
    network.eval()
