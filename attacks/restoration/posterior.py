"""Posterior sampling with an unconditional face prior: no retraining for any linear operator.

The prior is Revelio's network with its conditions dropped. Between its steps the picture is brought
back to what was measured, exactly and mode by mode: X = (H Y / s^2 + rho X0) / (H^2 / s^2 + rho).
The operators are deepinv's physics and the network is its denoiser; its DPS (Chung et al. 2023) is
an option beside DiffPIR (Zhu et al. 2023).

The operator acts on the whole region, the network knows faces alone, in a frame of its own size. So
the denoiser of a region is the linear one under the mean spectrum of faces, corrected inside the
frame by what the network says it got wrong there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

import numpy as np
import torch
from annotated_types import Ge
from torch import Tensor
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample

from reid_audit.attacks.interface import (
    AnonymizedFaces,
    AttackInfo,
    AttackOutput,
    BaseAttack,
    Context,
    Picture,
    Reference,
    require_fitted,
)
from reid_audit.attacks.linear.spectra import from_modes, to_modes
from reid_audit.attacks.linear.wiener import Restorer, prior_restorer
from reid_audit.attacks.networks.frame import soft_mask, template
from reid_audit.attacks.options import option
from reid_audit.attacks.restoration.consistency import explained
from reid_audit.attacks.restoration.physics import LEVELS, Modes, dct_physics, linear_model, measure
from reid_audit.attacks.restoration.revelio.diffusion import FACE_SPREAD, Diffusion, load

if TYPE_CHECKING:
    from deepinv.models import Denoiser
    from deepinv.physics import DecomposablePhysics

STEPS = 15
NOISE = (0.5, 0.01)
"""First and last noise of the samples, of pictures in [0, 1]; geometric in between. Linear
restoration is the start (DiffPIR starts from half-way as well, section 4.3)."""
TRUST, FRESH = 2.0, 0.3
"""DiffPIR's lambda and zeta: how much more certain the denoised picture is taken to be than the
linear estimate would be, and the share of fresh noise. Not tuned."""
DPS_STEPS, DPS_WEIGHT = 100, 1.0
SMALLEST = 8


@dataclass(frozen=True)
class PosteriorOptions:
    """What can be set about posterior sampling."""

    method: Literal["diffpir", "dps"] = option("diffpir", "sampler: DiffPIR, or deepinv's DPS")
    steps: Annotated[int, Ge(1)] | None = option(
        None,
        f"evaluations of the prior a face; {STEPS} for diffpir, {DPS_STEPS} for dps",
    )


class Posterior(BaseAttack):
    """Samples from the posterior of the clear picture under the identified operator and a prior
    over faces that knows nothing of it."""

    info: ClassVar[AttackInfo] = AttackInfo(
        name="posterior",
        title="Posterior sampling",
        version=1,
        needs=frozenset({"background", "operator"}),
        yields=frozenset({"restored"}),
        paper="Zhu et al. 2023, Denoising Diffusion Models for Plug-and-Play Image Restoration",
    )
    Options = PosteriorOptions
    options: PosteriorOptions

    def fit(self, reference: Reference, context: Context) -> Self:
        """Measure the linear restorer's prior and load the diffusion model."""
        self.restorer_ = prior_restorer(reference, context)
        self.base_, _ = load(context)
        return self

    def run(self, probes: AnonymizedFaces, context: Context) -> AttackOutput:
        """One sample of each window; a region of fewer than SMALLEST pixels stays as it is."""
        require_fitted(self)
        default = STEPS if self.options.method == "diffpir" else DPS_STEPS
        steps = self.options.steps or default
        restored = []
        for done, name in enumerate(probes.ids):
            seed = int(context.rng(name).integers(2**31))
            restored.append(
                self._restore(
                    probes.pictures[done], probes.landmarks[done], probes.regions[done], steps, seed
                )
            )
            context.progress("sampling from the posterior", done + 1, len(probes))
        return AttackOutput(restored=tuple(restored), network_evaluations=steps * len(probes))

    def _restore(
        self, window: Picture, landmarks: np.ndarray, region: np.ndarray, steps: int, seed: int
    ) -> Picture:
        x0, y0, x1, y1 = (int(v) for v in region)
        if min(x1 - x0, y1 - y0) < SMALLEST:
            return window
        straight, setting = explained(window, region, self.restorer_)
        part = np.ascontiguousarray(straight[y0:y1, x0:x1])
        denoiser = region_denoiser(self.base_, self.restorer_, part.shape[:2], landmarks - [x0, y0])
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            sampled = sample_posterior(denoiser, setting, part, self.options.method, steps)
        out = window.copy()
        out[y0:y1, x0:x1] = sampled
        return out


def sample_posterior(
    denoiser: Denoiser, restorer: Restorer, part: Picture, method: str, steps: int
) -> Picture:
    """One sample of the clear region, `(H, W, 3)` uint8, from the anonymised one; random numbers
    are torch's."""
    gain, noise = linear_model(restorer, *part.shape[:2])
    anonymized = _tensor(part)
    if method == "diffpir":
        # Measurements of unit variance: the noise of an operator differs from mode to mode.
        physics = dct_physics(gain, noise)
        start = _tensor(from_modes(to_modes(part) * restorer.filter(*part.shape[:2])))
        power = torch.from_numpy(restorer.spectra.prior(*part.shape[:2])).float() / LEVELS**2
        with torch.no_grad():
            sampled = diffpir(denoiser, physics, measure(physics, anonymized), start, power, steps)
    else:
        from deepinv.sampling import DPS

        physics = dct_physics(gain)
        sampler = DPS(denoiser, num_steps=steps, weight=DPS_WEIGHT, dtype=torch.float32)
        sampled = sampler(measure(physics, anonymized), physics, x_init=tuple(anonymized.shape))
    levels = sampled[0].detach().clamp(0, 1).permute(1, 2, 0) * LEVELS
    return levels.round().byte().numpy()


def diffpir(
    denoiser: Callable[[Tensor, Tensor], Tensor],
    physics: DecomposablePhysics,
    y: Tensor,
    start: Tensor,
    power: Tensor,
    steps: int,
) -> Tensor:
    """DiffPIR (Zhu et al. 2023, algorithm 1) without the scaling of pictures by time.

    deepinv's own takes one rho for all modes. At great noise that lets the data decide modes of
    which they know nothing but noise; here rho is bounded by the spectrum of faces, mode by mode,
    so that with the linear denoiser and TRUST 1 the data step gives the exact posterior mean.

    Args:
        y: measurements of `physics`, of unit variance. start: first guess `(B, 3, H, W)`.
        power: variance `(3, H, W)` of clear modes.
    """
    first, last = NOISE
    levels = torch.logspace(math.log10(first), math.log10(last), steps)
    x = start + levels[0] * torch.randn_like(start)
    for place, level in enumerate(levels):
        rho = TRUST * (1 / power + 1 / level**2)
        guess = data_step(physics, y, denoiser(x, level), rho)
        if place + 1 == steps:
            break
        grain = (x - guess) / level
        fresh = torch.randn_like(x)
        x = guess + levels[place + 1] * (math.sqrt(1 - FRESH) * grain + math.sqrt(FRESH) * fresh)
    return guess


def data_step(
    physics: DecomposablePhysics, y: Tensor, guess: Tensor, rho: Tensor | float
) -> Tensor:
    """argmin |A x - y|^2 + rho |x - guess|^2 with a rho for each mode, which deepinv's `prox_l2`
    has not."""
    modes = physics.mask * y + rho * physics.V_adjoint(guess)
    answer: Tensor = physics.V(modes / (physics.mask**2 + rho))
    return answer


def _tensor(picture: Picture) -> Tensor:
    """`(1, 3, H, W)` in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / LEVELS


def region_denoiser(
    base: Diffusion, restorer: Restorer, shape: tuple[int, ...], landmarks: np.ndarray
) -> Denoiser:
    """deepinv's denoiser of regions `(B, 3, H, W)` in [0, 1] with a face at `landmarks (5, 2)`."""
    from deepinv.models import Denoiser

    height, width = shape
    modes = Modes(height, width)
    power = torch.from_numpy(restorer.spectra.prior(height, width)).float()[None] / LEVELS**2
    frame = Window(landmarks, base.size, (height, width))
    face = prior_denoiser(base)
    grain = frame.grain()

    # deepinv has no types of its own, and is imported when it is needed.
    class RegionDenoiser(Denoiser):  # type: ignore[misc]
        def forward(self, x: Tensor, sigma: Tensor, **_: object) -> Tensor:
            sigma = torch.as_tensor(sigma).to(x).reshape(-1, 1, 1, 1)
            linear = modes.synthesise(modes.analyse(x) * (power / (power + sigma**2)))
            seen, known = frame.cut(x), frame.cut(linear)
            return linear + frame.spread(face(seen, sigma.flatten() * grain) - known)

    return RegionDenoiser()


def prior_denoiser(base: Diffusion) -> Callable[[Tensor, Tensor], Tensor]:
    """The base model without its conditions as a denoiser of frames `(B, 3, S, S)` in [0, 1] with
    noise of standard deviation `(B,)`, through deepinv's wrapper of diffusers' networks."""
    from deepinv.models import ScoreModelWrapper

    kept = base.process.training().alphas_cumprod.clamp_min(1e-7)

    def answer(state: Tensor, times: Tensor) -> tuple[Tensor]:
        count = len(state)
        return (base.predict(state, times.expand(count), base.nothing(count, state)),)

    wrapped = ScoreModelWrapper(
        answer,
        prediction_type=base.process.prediction,
        clip_output=False,
        sigma_t=((1 - kept) / kept).sqrt(),
        variance_preserving=True,
        takes_integer_time=True,
        n_timesteps=base.process.steps,
    )
    scale = 2 / FACE_SPREAD

    def denoise(frames: Tensor, sigma: Tensor) -> Tensor:
        state = (frames - 0.5) * scale
        denoised = wrapped(state, sigma * scale, input_in_minus_one_one=True)
        answer: Tensor = (denoised / scale + 0.5).clamp(0, 1)
        return answer

    return denoise


class Window:
    """Differentiable ways between a region `(B, 3, H, W)` and the frame of one face in it."""

    def __init__(self, landmarks: np.ndarray, size: int, shape: tuple[int, int]) -> None:
        into = np.vstack([template(size).matrices(np.asarray(landmarks, np.float64)), [0, 0, 1]])
        # Averaging first: interpolation alone would skip pixels, and alias.
        self._factor = max(1, int(1 / np.sqrt(abs(np.linalg.det(into[:2, :2])))))
        height, width = shape
        pooled = -(-height // self._factor), -(-width // self._factor)
        shrink = np.diag([1 / self._factor, 1 / self._factor, 1.0])
        shrink[:2, 2] = 0.5 / self._factor - 0.5
        frame = _normal(size, size)
        cut = _normal(*pooled) @ shrink @ np.linalg.inv(into) @ np.linalg.inv(frame)
        back = frame @ into @ np.linalg.inv(_normal(height, width))
        self._size, self._shape = size, shape
        self._cut, self._back = (torch.from_numpy(m[:2])[None].float() for m in (cut, back))
        self._mask = torch.from_numpy(soft_mask(size))

    def cut(self, region: Tensor) -> Tensor:
        """The frame `(B, 3, S, S)`, mirrored where it reaches past the region."""
        pooled = avg_pool2d(region, self._factor, ceil_mode=True, count_include_pad=False)
        grid = _grid(self._cut, len(region), (self._size, self._size))
        return grid_sample(
            pooled, grid, mode="bilinear", padding_mode="reflection", align_corners=False
        )

    def spread(self, change: Tensor) -> Tensor:
        """A change `(B, 3, S, S)` of the frame, fading at its border, in the region."""
        grid = _grid(self._back, len(change), self._shape)
        return grid_sample(change * self._mask, grid, mode="bicubic", align_corners=False)

    def grain(self) -> float:
        """Standard deviation of white noise after `cut`, in units of that before."""
        noise = torch.randn(1, 3, *self._shape, generator=torch.Generator().manual_seed(0))
        return float(self.cut(noise).std())


def _grid(theta: Tensor, count: int, shape: tuple[int, int]) -> Tensor:
    return affine_grid(theta.expand(count, 2, 3), [count, 3, *shape], align_corners=False)


def _normal(height: int, width: int) -> np.ndarray:
    """Pixels to torch's [-1, 1] about the outer edges."""
    return np.array([[2 / width, 0, 1 / width - 1], [0, 2 / height, 1 / height - 1], [0, 0, 1]])
