"""Gradient descent, the same for every network that is trained outside the resumable loop of
`attacks.training`: step, schedule, progress, and the end of a training that broke down."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from reid_audit.metrics.errors import TrainingFailed

LOOKED_AT = 20
"""Steps between two looks at the loss: on an accelerator each look waits for it."""


def descend(
    loss: Callable[[int], Tensor],
    optimizer: torch.optim.Optimizer,
    steps: int,
    schedule: Any = None,
    progress: Callable[[int], None] | None = None,
) -> Tensor:
    """Take `steps` steps of an optimiser; an interruption passes on between two of them.

    Args:
        loss: scalar of step 0, 1, ..., on whatever that step looks at.
        schedule: of the learning rate, which goes on with every step.
        progress: called with the number of steps taken.

    Returns:
        The loss of every step, `(steps,)` float32 on the CPU.

    Raises:
        TrainingFailed: the loss is no number any more.
    """
    losses: list[Tensor] = []
    with torch.enable_grad():
        for step in range(steps):
            value = loss(step)
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()
            if schedule is not None:
                schedule.step()
            losses.append(value.detach().float())
            if (step + 1) % LOOKED_AT == 0 or step + 1 == steps:
                refuse_no_number(float(losses[-1]), step + 1)
            if progress is not None:
                progress(step + 1)
    return torch.stack(losses).cpu() if losses else torch.zeros(0)


def refuse_no_number(loss: float, steps: int) -> None:
    """Stop a training whose weights are lost.

    Raises:
        TrainingFailed: `loss` is infinite or no number.
    """
    if not math.isfinite(loss):
        raise TrainingFailed(
            f"the training broke down: its loss is no number after {steps} steps; another seed, or "
            "a lower learning rate where it can be set, may mend it"
        )
