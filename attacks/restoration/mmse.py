"""Minimum mean square error restoration: a U-Net regresses the clear face.

The picture of smallest squared error is the mean of all faces that could have given the blurred
one; no sharper picture comes nearer to the truth on average. The network sees the anonymised and
the linearly restored face and answers what the latter lacks, so that it starts from the linear
estimate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from reid_audit.attacks.interface import AttackInfo
from reid_audit.attacks.networks.frame import FrameEmbedder
from reid_audit.attacks.networks.unet import UNet, strength
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.restoration.restorer import NEEDS, YIELDS, RestoringAttack
from reid_audit.attacks.training.noise import Noise
from reid_audit.attacks.training.observe import Observed

IDENTITY = 0.02
"""Weight of 1 - cosine beside the mean square error (pictures in [-1, 1])."""


class Regression(nn.Module):
    """Restored faces `(B, 3, S, S)` in [-1, 1]: the linear estimate and a learnt correction."""

    def __init__(self, size: str = "small") -> None:
        super().__init__()
        self.unet = UNet(size, inputs=6)

    def forward(self, observed: Observed) -> Tensor:
        """The estimate `(B, 3, S, S)`, about [-1, 1]."""
        change = self.unet(observed.both, strength(observed.log_sigma))
        answer: Tensor = observed.restored * 2 - 1 + change
        return answer


def errors(
    restored: Tensor, clear: Tensor, embedder: FrameEmbedder | None, weight: float
) -> dict[str, Tensor]:
    """Squared error of `restored` in [-1, 1] against `clear` in [0, 1], both `(B, 3, S, S)`, and
    with an embedder its distance to the clear embedding; `loss` is their weighted sum."""
    parts = {"mse": ((restored - (clear * 2 - 1)) ** 2).mean()}
    parts["loss"] = parts["mse"]
    if embedder is not None:
        parts["identity"] = embedder.distance((restored + 1) / 2, clear)
        parts["loss"] = parts["mse"] + weight * parts["identity"]
    return parts


class MmseObjective:
    """Objective of the regression: squared error, and with a trainable recogniser the cosine of the
    restored to the clear embedding as well (weight `identity`)."""

    name = "mmse"

    def __init__(
        self,
        size: str = "small",
        recognizer: Recognizer | None = None,
        identity: float = IDENTITY,
    ) -> None:
        self.network: nn.Module = Regression(size)
        self.size = self.network.unet.size
        self.embedder = FrameEmbedder(recognizer, self.size) if recognizer else None
        self.identity = identity if recognizer else 0.0
        self.config: Mapping[str, Any] = {
            "size": size,
            "identity": self.identity,
            "recognizer": recognizer.name if recognizer else None,
        }

    def loss(self, clear: Tensor, observed: Observed, noise: Noise) -> dict[str, Tensor]:
        """`mse`, with a recogniser `identity`, and their weighted sum `loss`."""
        restored = self.network(observed).float()
        return errors(restored, clear, self.embedder, self.identity)

    def restore(self, observed: Observed, noise: Noise) -> Tensor:
        """Faces `(B, 3, S, S)` in [0, 1]."""
        answer: Tensor = ((self.network(observed).float() + 1) / 2).clamp(0, 1)
        return answer


class Mmse(RestoringAttack):
    """A U-Net's estimate of the mean of all faces that the anonymised one can have been."""

    info: ClassVar[AttackInfo] = AttackInfo(
        name="mmse",
        title="Least-squares restoration",
        version=1,
        needs=NEEDS,
        yields=YIELDS,
        paper="the posterior mean; first stage of Ohayon, Michaeli, Elad 2025",
        from_pairs=True,
    )
    objective = MmseObjective
