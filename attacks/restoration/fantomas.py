"""The auto-encoder that earlier work restored blurred faces with: the Revelio paper's baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from reid_audit.attacks.interface import AttackInfo
from reid_audit.attacks.networks.unet import UNet
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.restoration.restorer import NEEDS, YIELDS, RestoringAttack
from reid_audit.attacks.training.noise import Noise
from reid_audit.attacks.training.observe import Observed


class AutoEncoder(nn.Module):
    """Anonymised faces `(B, 3, S, S)` in [-1, 1] to clear ones; knows nothing of the operator."""

    def __init__(self, size: str = "small") -> None:
        super().__init__()
        self.unet = UNet(size, inputs=3)

    def forward(self, anonymized: Tensor) -> Tensor:
        """Faces of the same shape and range."""
        blind = torch.zeros(len(anonymized), device=anonymized.device)
        answer: Tensor = anonymized + self.unet(anonymized, blind)
        return answer


class FantomasObjective:
    """Squared error of the auto-encoder's answer."""

    name = "fantomas"

    def __init__(self, size: str = "small", recognizer: Recognizer | None = None) -> None:
        self.network: nn.Module = AutoEncoder(size)
        self.size = self.network.unet.size
        self.config: Mapping[str, Any] = {"size": size}

    def loss(self, clear: Tensor, observed: Observed, noise: Noise) -> dict[str, Tensor]:
        """Mean squared error in [-1, 1]."""
        restored = self.network(observed.anonymized * 2 - 1).float()
        return {"loss": ((restored - (clear * 2 - 1)) ** 2).mean()}

    def restore(self, observed: Observed, noise: Noise) -> Tensor:
        """Faces `(B, 3, S, S)` in [0, 1]."""
        answer: Tensor = ((self.network(observed.anonymized * 2 - 1).float() + 1) / 2).clamp(0, 1)
        return answer


class Fantomas(RestoringAttack):
    """An auto-encoder from the anonymised to the clear face, blind to the operator, without linear
    restoration and without a check against the evidence."""

    info: ClassVar[AttackInfo] = AttackInfo(
        name="fantomas",
        title="Auto-encoder restoration",
        version=1,
        needs=NEEDS,
        yields=YIELDS,
        paper="Todt, Hanisch, Strufe 2024, Fantomas; baseline of Revelio, section 5.2",
        from_pairs=True,
    )
    objective = FantomasObjective
    after_linear = False
