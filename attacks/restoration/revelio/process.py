"""Diffusion processes and their samplers: diffusers' schedulers under the settings that we use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from torch import Tensor

from reid_audit.metrics.errors import InputError

Predict = Callable[[Tensor, Tensor], Tensor]
"""A network's answer `(B, ...)` to a noisy sample `(B, ...)` at a time step `()`."""


@dataclass(frozen=True)
class Process:
    """How pictures turn into noise, and what a network predicts on the way back.

    schedule, beta_start, beta_end, steps: of diffusers. zero_snr: whether the last step is nothing
        but noise (Lin et al. 2024, Common Diffusion Noise Schedules and Sample Steps are Flawed).
    about: what is diffused: the "picture" itself, or the "residual" that linear restoration leaves.
    """

    schedule: str
    prediction: Literal["epsilon", "v_prediction", "sample"]
    steps: int
    zero_snr: bool
    about: Literal["picture", "residual"]
    beta_start: float = 1e-4
    beta_end: float = 0.02

    def _settings(self) -> dict[str, Any]:
        return {
            "num_train_timesteps": self.steps,
            "beta_schedule": self.schedule,
            "beta_start": self.beta_start,
            "beta_end": self.beta_end,
            "prediction_type": self.prediction,
            "rescale_betas_zero_snr": self.zero_snr,
            "timestep_spacing": "trailing",
        }

    def training(self) -> DDPMScheduler:
        """The scheduler that adds noise."""
        return DDPMScheduler(**self._settings(), clip_sample=False)

    def sampling(self, sampler: str, steps: int) -> Any:
        """A fresh scheduler that takes `steps` steps back.

        Raises:
            InputError: an unknown sampler.
        """
        if sampler == "ddim":
            scheduler = DDIMScheduler(**self._settings(), clip_sample=self.about == "picture")
        elif sampler == "dpm++":
            scheduler = DPMSolverMultistepScheduler(
                **self._settings(), algorithm_type="dpmsolver++", euler_at_final=True
            )
        else:
            raise InputError(f"no sampler {sampler!r}: choose ddim or dpm++.")
        scheduler.set_timesteps(steps)
        return scheduler


CLEAR = Process("squaredcos_cap_v2", "sample", 1000, True, "residual")
"""The network answers the clear residual. v holds the noise of every pixel, for which a network
that folds pixels into patches has no path (Li and He 2025, Back to Basics, find the same)."""
VELOCITY = Process("squaredcos_cap_v2", "v_prediction", 1000, True, "residual")
PAPER = Process("linear", "epsilon", 2000, False, "picture", 1e-6, 0.01)
"""Palette's settings, which Revelio takes over (section 4.2)."""
PROCESSES = {"clear": CLEAR, "velocity": VELOCITY, "paper": PAPER}


def sample(predict: Predict, start: Tensor, process: Process, sampler: str, steps: int) -> Tensor:
    """From noise `start (B, ...)`, standard normal, to samples of the same shape; deterministic."""
    scheduler = process.sampling(sampler, steps)
    state = start * scheduler.init_noise_sigma
    for time in scheduler.timesteps:
        answer = predict(scheduler.scale_model_input(state, time), time)
        state = scheduler.step(answer, time, state).prev_sample
    samples: Tensor = state
    return samples
