"""What the training loop needs to know of an attacker's network: its loss, and how it restores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor, nn

from reid_audit.attacks.training.noise import Noise
from reid_audit.attacks.training.observe import Observed


class Objective(Protocol):
    """One network, what it is trained for, and how it is used.

    name: of the attack.
    config: plain values from which the network can be built again; kept in the checkpoint's card.
    network: everything that is trained; parameters that need no gradient stay as they are. The loop
        replaces it by a wrapped one that talks to other processes, so `loss` calls it as
        `self.network(...)`.

    An objective may have two more members. `kept` is the part of `network` that a checkpoint holds,
    where that is not all of it. `judge(clear, observed) -> dict[str, float]` measures on
    development people what pictures do not show.
    """

    name: str
    config: Mapping[str, Any]
    network: nn.Module

    def loss(self, clear: Tensor, observed: Observed, noise: Noise) -> dict[str, Tensor]:
        """Scalars to log, "loss" is minimised. `clear (B, 3, S, S)` in [0, 1]. Everything random
        comes from `noise`, so that splitting a batch changes nothing."""
        ...

    def restore(self, observed: Observed, noise: Noise) -> Tensor:
        """Restored faces `(B, 3, S, S)` in [0, 1]; called without gradients."""
        ...
