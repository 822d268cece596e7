"""Posterior sampling: the physics against dense matrices, the denoiser's parts, and whether a
restored face is nearer to the truth than the blurred one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from reid_audit.attacks.linear.wiener import prior_restorer
from reid_audit.attacks.networks import frame
from reid_audit.attacks.operators import parse
from reid_audit.attacks.restoration.physics import LEVELS, Modes, dct_physics, linear_model, measure
from reid_audit.attacks.restoration.posterior import (
    Posterior,
    Window,
    data_step,
    diffpir,
    prior_denoiser,
    region_denoiser,
)
from reid_audit.attacks.restoration.revelio.diffusion import FACE_SPREAD, Diffusion
from reid_audit.metrics.errors import InputError
from reid_audit.metrics.fidelity import psnr

Make = Callable[..., Any]
SHAPE = (6, 9)


@pytest.fixture(scope="module")
def gain() -> np.ndarray:
    """Eigenvalues `(3, 6, 9)` of a small blur."""
    transfer = parse("gaussian:k=5,sigma=1.1").transfer(*SHAPE)
    return np.broadcast_to(transfer, (3, *SHAPE))


def pictures(seed: int, *shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def dense(function: Callable[[torch.Tensor], torch.Tensor]) -> np.ndarray:
    """Matrix of a linear map of `(1, 3, 6, 9)` tensors, column by column."""
    count = 3 * SHAPE[0] * SHAPE[1]
    units = torch.eye(count).reshape(count, 1, 3, *SHAPE)
    return np.stack([function(u).flatten().double().numpy() for u in units], axis=1)


def edge_weights() -> np.ndarray:
    """How the inner product counts pixels: half at the border of a line."""
    rows, columns = (np.r_[0.5, np.ones(n - 2), 0.5] for n in SHAPE)
    return np.tile(np.outer(rows, columns).ravel(), 3)


def test_modes_are_undone_and_hold_the_blur(gain: np.ndarray) -> None:
    modes = Modes(*SHAPE)
    x = pictures(0, 2, 3, *SHAPE)
    torch.testing.assert_close(modes.synthesise(modes.analyse(x)), x)
    blur = parse("gaussian:k=5,sigma=1.1")
    picture = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
    physics = dct_physics(gain)
    seen = torch.from_numpy(picture).permute(2, 0, 1)[None] / LEVELS
    made = physics.V(physics.A(seen))[0].permute(1, 2, 0).numpy() * LEVELS
    assert np.abs(made - blur.apply(picture, np.random.default_rng(0))).max() < 0.51


def test_the_adjoint_is_one_in_the_inner_product_of_the_basis(gain: np.ndarray) -> None:
    """<A x, y> = <x, A* y>, where pixels count as the DCT-I counts them."""
    physics = dct_physics(gain, np.full_like(gain, 4.0))
    a, adjoint = dense(physics.A), dense(physics.A_adjoint)
    np.testing.assert_allclose(a.T, edge_weights()[:, None] * adjoint, atol=1e-2)
    assert np.abs(a).max() > 1


@pytest.mark.parametrize("gamma", [1e-6, 1e-4, 1e-2])
def test_the_data_step_solves_the_dense_least_squares(gain: np.ndarray, gamma: float) -> None:
    """argmin gamma/2 |A x - y|^2 + 1/2 |x - z|^2, as NumPy solves it with matrices; and the same
    as (H Y / s^2 + rho X0) / (H^2 / s^2 + rho), mode by mode."""
    noise = np.linspace(0.5, 9, gain.size).reshape(gain.shape)
    physics = dct_physics(gain, noise)
    z, seen = pictures(1, 1, 3, *SHAPE), pictures(2, 1, 3, *SHAPE)
    y = measure(physics, seen)
    found = physics.prox_l2(z, y, gamma).flatten().numpy()

    a, weight = dense(physics.A), np.diag(edge_weights())
    left = gamma * a.T @ a + weight
    right = gamma * a.T @ y.flatten().double().numpy() + weight @ z.flatten().double().numpy()
    np.testing.assert_allclose(found, np.linalg.solve(left, right), atol=5e-4)

    modes = Modes(*SHAPE)
    variance, rho = noise / LEVELS**2, 1 / gamma
    data, prior = modes.analyse(seen)[0].numpy(), modes.analyse(z)[0].numpy()
    step = (gain * data / variance + rho * prior) / (gain**2 / variance + rho)
    closed = modes.synthesise(torch.from_numpy(step).float()[None])
    np.testing.assert_allclose(found, closed.flatten().numpy(), atol=5e-4)
    ours = data_step(physics, y, z, rho)
    np.testing.assert_allclose(found, ours.flatten().numpy(), atol=5e-4)


def test_with_the_linear_denoiser_the_samples_surround_the_linear_estimate(scene: Make) -> None:
    """A Gaussian prior has the Wiener estimate for its posterior mean."""
    made = scene("gaussian:sigma=3")
    restorer = prior_restorer(made.reference, made.context)
    gain, noise = linear_model(restorer, 96, 96)
    physics = dct_physics(gain, noise)
    power = torch.from_numpy(restorer.spectra.prior(96, 96)).float() / LEVELS**2
    modes = Modes(96, 96)
    seen = torch.from_numpy(np.array(made.probes.pictures[0])).permute(2, 0, 1)[None] / LEVELS

    def linear(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return modes.synthesise(modes.analyse(x) * (power / (power + sigma**2)))

    torch.manual_seed(0)
    start = torch.full((16, 3, 96, 96), 0.5)
    y = measure(physics, seen).expand(16, -1, -1, -1)
    mean = diffpir(linear, physics, y, start, power, 12).mean(0).permute(1, 2, 0).numpy() * LEVELS
    wiener = restorer.restore(made.probes.pictures[0], np.array([0, 0, 96, 96])).astype(float)
    assert np.sqrt(((mean - wiener) ** 2).mean()) < 4


@pytest.mark.parametrize("spec", ["gaussian:sigma=3", "pixelate:b=6", "gaussian:sigma=2|jpeg:q=60"])
def test_every_operator_has_a_linear_model_that_explains_it(spec: str, scene: Make) -> None:
    made = scene(spec)
    restorer = prior_restorer(made.reference, made.context)
    gain, noise = linear_model(restorer, 96, 96)
    assert gain.shape == noise.shape == (3, 96, 96) and noise.min() > 0.08
    np.testing.assert_allclose(gain[:, 0, 0], 1, atol=0.02)
    physics = dct_physics(gain)
    clear, seen = (
        torch.from_numpy(np.stack(p)).permute(0, 3, 1, 2) / LEVELS
        for p in (made.originals, made.probes.pictures)
    )
    unexplained = (measure(physics, seen) - physics.A(clear)).square().mean()
    blurred_away = (seen - clear).square().mean()
    assert unexplained < 0.35 * blurred_away


def test_the_window_is_the_frame_that_networks_learnt_on(scene: Make) -> None:
    made = scene("none")
    picture, landmarks = made.originals[0], made.probes.landmarks[0]
    window = Window(landmarks, 64, picture.shape[:2])
    seen = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / LEVELS
    cut = window.cut(seen)[0].permute(1, 2, 0).numpy() * LEVELS
    expected = frame.cut([picture], landmarks[None], 64)[0]
    assert np.abs(cut - expected).mean() < 1.5
    change = pictures(3, 1, 3, 8, 8)
    change = torch.nn.functional.interpolate(change, (64, 64), mode="bicubic") * 100 - 50
    spread = window.spread(change)[0].permute(1, 2, 0).numpy()
    zero = np.zeros_like(picture)
    pasted = frame.paste(zero, change[0].permute(1, 2, 0).numpy(), landmarks)
    assert np.abs(spread - pasted).mean() < 1
    assert 0.4 < window.grain() <= 1.05


def test_the_prior_denoises_as_its_network_answers() -> None:
    """With the ideal answer to a Gaussian prior the denoiser is the ideal shrinkage."""
    base = Diffusion("tiny", process="velocity")
    # v of N(0, 1) in the diffused variable: the best guess of z0 is alpha z, hence of v is zero,
    # which is what an untrained network answers.
    x = pictures(4, 3, 3, 32, 32) * 0.2 + 0.4
    sigma = torch.tensor([0.02, 0.1, 0.5])
    with torch.no_grad():
        found = prior_denoiser(base)(x, sigma)
    own = (FACE_SPREAD / 2) ** 2
    shrunk = 0.5 + (x - 0.5) * (own / (own + sigma**2))[:, None, None, None]
    torch.testing.assert_close(found, shrunk, atol=0.01, rtol=0)


@pytest.fixture
def blank(monkeypatch: pytest.MonkeyPatch) -> Diffusion:
    """A network that has learnt nothing, in the place of the shipped one."""
    torch.manual_seed(0)
    base = Diffusion("tiny", process="velocity")  # its untrained answer is a linear denoiser
    base.network.eval().requires_grad_(False)
    monkeypatch.setattr(
        "reid_audit.attacks.restoration.posterior.load", lambda context: (base, "untrained")
    )
    return base


def test_outside_the_face_the_denoiser_is_linear(scene: Make, blank: Diffusion) -> None:
    made = scene("gaussian:sigma=3")
    restorer = prior_restorer(made.reference, made.context)
    x = torch.from_numpy(made.originals[0]).permute(2, 0, 1)[None] / LEVELS
    small = (made.probes.landmarks[0] - 48) * 0.6 + 48
    denoiser = region_denoiser(blank, restorer, (96, 96), small)
    noisy = x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    found = denoiser(noisy, torch.tensor(0.1))
    power = restorer.spectra.prior(96, 96) / LEVELS**2
    modes = Modes(96, 96)
    gain = torch.from_numpy(power / (power + 0.01)).float()
    linear = modes.synthesise(modes.analyse(noisy) * gain)
    torch.testing.assert_close(found[..., :5, :5], linear[..., :5, :5], atol=1e-5, rtol=0)
    assert (found - x).square().mean() < (noisy - x).square().mean()


@pytest.mark.parametrize(("method", "steps"), [("diffpir", 8), ("dps", 6)])
def test_samples_are_the_pictures_own_and_of_their_size(
    method: str, steps: int, scene: Make, blank: Diffusion
) -> None:
    made = scene("gaussian:sigma=4")
    attack = Posterior(method=method, steps=steps).fit(made.reference, made.context)
    few = next(made.probes.batches(2))
    output = attack.run(few, made.context)
    assert [p.shape for p in output.restored] == [p.shape for p in few.pictures]
    single = attack.run(next(few.batches(1)), made.context)
    np.testing.assert_array_equal(single.restored[0], output.restored[0])


def test_samples_are_nearer_to_the_truth_than_blur(scene: Make) -> None:
    """With the shipped prior."""
    made = scene("gaussian:sigma=4", checkpoints={})
    few = next(made.probes.batches(4))
    output = Posterior().fit(made.reference, made.context).run(few, made.context)
    truth = np.stack(made.originals[:4])
    gained = psnr(truth, np.stack(output.restored)) - psnr(truth, np.stack(few.pictures))
    assert gained.mean() > 0


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(InputError, match=r"posterior.*'method'.*'diffpir' or 'dps', not 'pigdm'"):
        Posterior(method="pigdm")
