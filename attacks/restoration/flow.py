"""Rectified flow from the mean to a likely face.

The picture of least squared error is too smooth to look like a face. A flow carries such pictures
onto clear faces along straight lines, so that a few Euler steps are enough and the squared error is
the least that a realistic picture can have (Ohayon, Michaeli, Elad 2025, Posterior-Mean Rectified
Flow, section 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from annotated_types import Ge
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor, nn

from reid_audit.attacks.checkpoint import Checkpoint, find
from reid_audit.attacks.interface import AttackInfo, Context
from reid_audit.attacks.networks.frame import FrameEmbedder
from reid_audit.attacks.networks.unet import STEPS, UNet, strength
from reid_audit.attacks.options import option
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.restoration.mmse import IDENTITY, Regression, errors
from reid_audit.attacks.restoration.restorer import NEEDS, YIELDS, RestoringAttack
from reid_audit.attacks.training.noise import Noise
from reid_audit.attacks.training.objective import Objective
from reid_audit.attacks.training.observe import Observed

JITTER = 0.1
"""Noise on the starting picture in [-1, 1]: a smooth one lies on too thin a set to flow from."""
EULER = 6
"""Steps at inference."""


class FlowNetwork(nn.Module):
    """The frozen regression that is started from, and where the flow from there leads."""

    def __init__(self, size: str = "small") -> None:
        super().__init__()
        self.start = Regression(size).requires_grad_(False)
        self.change = UNet(size, inputs=9, conditions=2)

    def forward(self, place: Tensor, start: Tensor, observed: Observed, left: Tensor) -> Tensor:
        """The clear picture `(B, 3, S, S)` as far as known at `place`, with `left (B,)` in [0, 1]
        of the way still to go; before any training the mean picture.

        The velocity would hold the noise of every single pixel, for which a network that sees
        patches has no path.
        """
        seen = torch.cat([place, start, observed.anonymized * 2 - 1], dim=1)
        change = self.change(seen, STEPS * left, strength(observed.log_sigma))
        answer: Tensor = start + change.float()
        return answer


class FlowObjective:
    """Squared error of the clear picture seen from a random point of the way, and with a trainable
    recogniser the cosine of its embedding to the clear one as well (weight `identity`). `start` is
    the checkpoint of the regression; without one (when a trained flow is loaded) its weights come
    with the flow's."""

    name = "flow"

    def __init__(
        self,
        size: str = "small",
        recognizer: Recognizer | None = None,
        start: Checkpoint | None = None,
        steps: int = EULER,
        identity: float = IDENTITY,
    ) -> None:
        made = FlowNetwork(start.card.config["size"] if start else size)
        if start is not None:
            size = start.card.config["size"]
            start.fill(made.start)
        self.network: nn.Module = made
        self.mean = made.start
        self.size = made.change.size
        self.steps = steps
        self.embedder = FrameEmbedder(recognizer, self.size) if recognizer else None
        self.identity = identity if recognizer else 0.0
        self.config: Mapping[str, Any] = {
            "size": size,
            "start": start.digest if start else None,
            "identity": self.identity,
            "recognizer": recognizer.name if recognizer else None,
        }

    def loss(self, clear: Tensor, observed: Observed, noise: Noise) -> dict[str, Tensor]:
        """Errors of the clear picture at a random point of the way, one for each sample."""
        start, begin = self._begin(observed, noise)
        left = noise.uniform()
        share = left[:, None, None, None]
        wanted = clear * 2 - 1
        place = wanted + share * (begin - wanted)
        restored = self.network(place, start, observed, left)
        return errors(restored, clear, self.embedder, self.identity)

    def restore(self, observed: Observed, noise: Noise) -> Tensor:
        """Faces `(B, 3, S, S)` in [0, 1] at the end of the flow, after `steps` Euler steps."""
        start, place = self._begin(observed, noise)
        scheduler = FlowMatchEulerDiscreteScheduler()
        sigmas = np.linspace(1, 1 / self.steps, self.steps)
        scheduler.set_timesteps(sigmas=sigmas.tolist(), device=start.device)
        for step, sigma in zip(scheduler.timesteps, sigmas, strict=True):
            left = torch.full((len(start),), float(sigma), device=start.device)
            velocity = (place - self.network(place, start, observed, left)) / float(sigma)
            place = scheduler.step(velocity, step, place, return_dict=False)[0]
        return ((place + 1) / 2).clamp(0, 1)

    def _begin(self, observed: Observed, noise: Noise) -> tuple[Tensor, Tensor]:
        """The mean picture in [-1, 1] and where the flow begins."""
        with torch.no_grad():
            start = self.mean(observed).float().clamp(-1, 1)
        return start, start + JITTER * noise.normal(*start.shape[1:])


@dataclass(frozen=True)
class FlowOptions:
    """What can be set about the flow."""

    steps: Annotated[int, Ge(1)] = option(EULER, "Euler steps from the mean to a likely face")


class Flow(RestoringAttack):
    """From the regression's picture along a learnt flow to a likely face."""

    info: ClassVar[AttackInfo] = AttackInfo(
        name="flow",
        title="Flow restoration",
        version=1,
        needs=NEEDS,
        yields=YIELDS,
        paper="Ohayon, Michaeli, Elad 2025, Posterior-Mean Rectified Flow",
        from_pairs=True,
    )
    objective = FlowObjective
    Options = FlowOptions
    options: FlowOptions

    def load(self, checkpoint: Checkpoint, context: Context) -> Objective:
        """The trained networks, to be run in as many steps as the options say."""
        made = super().load(checkpoint, context)
        assert isinstance(made, FlowObjective)
        made.steps = self.options.steps
        self.evaluations = made.steps + 1
        return made


def objective(
    size: str = "small", recognizer: Recognizer | None = None, start: Checkpoint | None = None
) -> FlowObjective:
    """For training: from the regression given, else from the one that comes with the program."""
    return FlowObjective(size, recognizer, start or find("mmse"))
