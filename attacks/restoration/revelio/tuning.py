"""The fidelity stage: only the attention layers learn, from pictures of the retrieved person."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from reid_audit.attacks.descent import descend
from reid_audit.attacks.restoration.revelio.diffusion import Diffusion
from reid_audit.attacks.training.noise import Noise
from reid_audit.attacks.training.observe import Observed

STEPS, RATE, BATCH = 200, 1e-5, 8


def attention_only(network: nn.Module) -> list[nn.Parameter]:
    """Freeze everything whose name does not contain `attentions`; returns what may learn."""
    for name, value in network.named_parameters():
        value.requires_grad_("attentions" in name)
    return [value for value in network.parameters() if value.requires_grad]


def fine_tuned(
    base: Diffusion,
    clear: Tensor,
    observed: Observed,
    seed: int,
    name: str,
    steps: int = STEPS,
    rate: float = RATE,
) -> Diffusion:
    """A copy of the base model whose attention layers learnt from one person's pictures.

    Args:
        clear: `(B, 3, S, S)` in [0, 1], the person's reference faces.
        observed: the same through the anonymisation.
        name: from which the random numbers follow, beside `seed`.

    Raises:
        TrainingFailed: the loss is no number any more.
    """
    tuned = copy.copy(base)
    tuned.network = copy.deepcopy(base.network)
    optimizer = torch.optim.AdamW(attention_only(tuned.network), lr=rate, weight_decay=0.0)
    tuned.network.train()

    def loss(step: int) -> Tensor:
        places = [(step * BATCH + place) % len(clear) for place in range(BATCH)]
        noise = Noise.of(seed, [f"{name}/{step}/{place}" for place in range(BATCH)], clear.device)
        return tuned.loss(clear[places], observed.rows(places), noise)["loss"]

    descend(loss, optimizer, steps)
    tuned.network.eval().requires_grad_(False)
    return tuned
