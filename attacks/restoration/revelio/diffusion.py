"""The base model: a U-Net that turns noise into faces, given the anonymised one (Palette style).

The paper's network sees the blurred picture beside the noisy one and diffuses the picture itself.
Ours sees the linear restoration as well and diffuses what that leaves over, in units of how much it
leaves (Whang et al. 2022, Deblurring via Stochastic Refinement): before it has learnt anything a
sample is the linear restoration plus noise, which an under-trained network only improves. With its
conditions dropped the same network is a prior over faces, which the `posterior` attack uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from diffusers import DDPMScheduler
from torch import Tensor, nn

from reid_audit.attacks.checkpoint import find
from reid_audit.attacks.interface import Context
from reid_audit.attacks.networks.unet import STEPS, UNet, strength
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.restoration.revelio.process import PROCESSES, Process, sample
from reid_audit.attacks.training.noise import Noise
from reid_audit.attacks.training.observe import Observed
from reid_audit.metrics.errors import InputError

DROPPED = 0.15
"""Share of training samples whose conditions are dropped (Ho and Salimans 2022)."""
FACE_SPREAD = 0.5
"""Standard deviation of pictures in [-1, 1] about mid-grey: the residual of knowing nothing."""
LEFT_OVER = 0.22
"""Residual of linear restoration in [-1, 1] is about this times the root of sigma / face width:
power falls with the square of frequency, and blur cuts it off at a frequency of 1 / sigma. As
procedural people have it; photographs at 256 pixels have about twice as much, which a network can
learn, while it can hardly unlearn noise that was too strong from the start."""
SAMPLER, SAMPLING_STEPS = "dpm++", 8


@dataclass(frozen=True)
class Condition:
    """What a network is told of B faces, and what it diffuses about.

    planes: `(B, C, S, S)` in [-1, 1]. strength: `(B,)` in 0 .. STEPS, None for the paper's network.
    centre, spread: the diffused variable is (2 picture - 1 - centre) / spread.
    """

    planes: Tensor
    strength: Tensor | None
    centre: Tensor
    spread: Tensor

    def encode(self, pictures: Tensor) -> Tensor:
        """Pictures in [0, 1] to the diffused variable."""
        return (pictures * 2 - 1 - self.centre) / self.spread

    def decode(self, state: Tensor) -> Tensor:
        """Inverse of `encode`, clipped to [0, 1]."""
        return ((self.centre + self.spread * state + 1) / 2).clamp(0, 1)

    def repeated(self, times: int) -> Condition:
        """Each face `times` times, one after the other."""
        strengths = None if self.strength is None else self.strength.repeat_interleave(times, 0)
        planes, centre, spread = (
            value.repeat_interleave(times, 0) for value in (self.planes, self.centre, self.spread)
        )
        return Condition(planes, strengths, centre, spread)


class Diffusion:
    """The base model as an objective of the training loop.

    Args:
        size: of the network, by name; "paper" comes with the paper's process.
        recognizer: as every objective is offered one; diffusion needs none.
        process: "clear", "velocity" or "paper", where the size does not say it.

    Raises:
        InputError: no such size or process.
    """

    name: ClassVar[str] = "revelio"

    def __init__(
        self,
        size: str = "small",
        recognizer: Recognizer | None = None,
        process: str | None = None,
    ) -> None:
        process = process or ("paper" if size == "paper" else "clear")
        if process not in PROCESSES:
            raise InputError(f"no diffusion process {process!r}: choose {', '.join(PROCESSES)}.")
        self.config: Mapping[str, Any] = {"size": size, "process": process}
        self.process: Process = PROCESSES[process]
        residual = self.process.about == "residual"
        network = UNet(size, 9 if residual else 6, 3, 2 if residual else 1)
        self.network: nn.Module = network
        self.size = network.size

    @cached_property
    def _schedule(self) -> DDPMScheduler:
        return self.process.training()

    def loss(self, clear: Tensor, observed: Observed, noise: Noise) -> dict[str, Tensor]:
        """Mean squared error of the prediction at times drawn uniformly."""
        picks = noise.uniform(2)
        times = (picks[:, 0] * self.process.steps).long().clamp_max(self.process.steps - 1)
        condition = self.condition(observed, dropped=picks[:, 1] <= DROPPED)
        state = condition.encode(clear)
        grain = noise.normal(*state.shape[1:])
        noisy = self._schedule.add_noise(state, grain, times)
        match self.process.prediction:
            case "epsilon":
                wanted = grain
            case "v_prediction":
                wanted = self._schedule.get_velocity(state, grain, times)
            case "sample":
                wanted = state
        return {"loss": (self.predict(noisy, times, condition) - wanted).square().mean()}

    def restore(
        self,
        observed: Observed,
        noise: Noise,
        sampler: str = SAMPLER,
        steps: int = SAMPLING_STEPS,
        rounds: int = 1,
    ) -> Tensor:
        """Samples `(B * rounds, 3, S, S)` in [0, 1]; the rounds of one face follow each other."""
        start = noise.normal(rounds, *observed.anonymized.shape[1:]).flatten(0, 1)
        condition = self.condition(observed).repeated(rounds)
        state = sample(
            lambda state, time: self.predict(state, time.expand(len(state)), condition),
            start,
            self.process,
            sampler,
            steps,
        )
        return condition.decode(state)

    def predict(self, state: Tensor, times: Tensor, condition: Condition) -> Tensor:
        """The network's answer to noisy `state (B, 3, S, S)` at times `(B,)`, whole numbers."""
        scaled = times.to(state) * (STEPS / self.process.steps)
        told = torch.cat([state, condition.planes], 1)
        answer: Tensor = self.network(told, scaled, condition.strength).float()
        return answer

    def condition(self, observed: Observed, dropped: Tensor | None = None) -> Condition:
        """What the network is told; nothing of the faces that are `dropped (B,)`."""
        faces = observed.both
        blank = faces.new_zeros(len(faces), 1, 1, 1)
        if self.process.about == "picture":
            return Condition(faces[:, :3], None, blank, blank + 1)
        spread = LEFT_OVER * (observed.log_sigma / 2).exp()
        condition = Condition(
            faces, strength(observed.log_sigma), faces[:, 3:], spread.to(faces)[:, None, None, None]
        )
        return condition if dropped is None else _drop(condition, dropped)

    def nothing(self, count: int, like: Tensor) -> Condition:
        """The condition of `count` faces of which nothing is known: the network as a prior.

        Raises:
            InputError: the paper's network was never trained without its condition.
        """
        if self.process.about == "picture":
            raise InputError("the paper's diffusion network is no prior: use process 'clear'.")
        side = self.size
        planes = like.new_zeros(count, 6, side, side)
        blank = like.new_zeros(count)
        some = Condition(planes, blank, planes[:, 3:], blank[:, None, None, None] + 1)
        return _drop(some, blank == 0)


def _drop(condition: Condition, dropped: Tensor) -> Condition:
    """Mid-grey pictures, the strongest blur, and faces as spread as faces are."""
    assert condition.strength is not None
    wide = dropped[:, None, None, None]
    return Condition(
        condition.planes.masked_fill(wide, 0),
        condition.strength.masked_fill(dropped, STEPS),
        condition.centre.masked_fill(wide, 0),
        condition.spread.masked_fill(wide, FACE_SPREAD),
    )


def load(context: Context) -> tuple[Diffusion, str]:
    """The base model of a scan, for inference, and the digest of its weights: the checkpoint that
    `context.checkpoints` holds, else the shipped one.

    Raises:
        MissingWeights: there is none.
    """
    checkpoint = find(Diffusion.name, context.checkpoints.get(Diffusion.name))
    base = Diffusion(**checkpoint.card.config)
    checkpoint.fill(base.network).to(context.device)
    return base, checkpoint.digest
