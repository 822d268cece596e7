"""Degradation in torch against the operators, torchvision and the Wiener attack."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torchvision.transforms.v2.functional import gaussian_blur

from reid_audit.attacks.forward import ForwardModel
from reid_audit.attacks.linear.wiener import Restorer
from reid_audit.attacks.networks.pack import Pack
from reid_audit.attacks.operators import parse
from reid_audit.attacks.operators.blur import rule_kernel
from reid_audit.attacks.training.noise import Noise
from reid_audit.attacks.training.observe import (
    BOX,
    GAUSSIAN,
    PIXELATE,
    SPREAD,
    Observer,
    OperatorRange,
    eight_bit,
    exactly,
)
from reid_audit.metrics.errors import InputError


@pytest.fixture(scope="module")
def observer(pack: Pack) -> Observer:
    return Observer(pack.spectra, pack.side, pack.frame, pack.face_width)


@pytest.fixture(scope="module")
def clear(pack: Pack) -> torch.Tensor:
    return torch.from_numpy(np.array(pack.faces[:6])).permute(0, 3, 1, 2).float() / 255


def noise(count: int) -> Noise:
    return Noise.of(0, range(count))


def bytes_of(pictures: torch.Tensor) -> np.ndarray:
    return (pictures * 255).round().byte().permute(0, 2, 3, 1).numpy()


def test_random_numbers_are_as_they_should_be_and_belong_to_the_sample() -> None:
    made = Noise.of(3, range(64))
    assert kstest(made.uniform(500).flatten().numpy(), "uniform").pvalue > 0.01
    assert kstest(made.normal(500).flatten().numpy(), "norm").pvalue > 0.01
    rows = made.normal(500).numpy()
    between = np.corrcoef(rows) - np.eye(len(rows))
    assert np.abs(between).max() < 0.25
    all_, some = Noise.of(3, range(8)), Noise.of(3, [5, 2])
    for shape in ((2, 3), (4,), ()):
        assert torch.equal(all_.normal(*shape)[[5, 2]], some.normal(*shape))


@pytest.mark.parametrize("sigma", [1.3, 2.6, 4.4])
def test_gaussian_is_torchvisions_to_the_grey_level(
    observer: Observer, clear: torch.Tensor, sigma: float
) -> None:
    found = observer.anonymize(
        clear, exactly([sigma / observer.face_width] * len(clear)), noise(len(clear))
    )
    kernel = rule_kernel(sigma)
    expected = gaussian_blur(clear, [kernel, kernel], [sigma, sigma])
    assert (found - expected).abs().max() <= 0.5001 / 255
    torch.testing.assert_close(found, eight_bit(found))


def test_box_and_pixelation_are_the_operators(observer: Observer, clear: torch.Tensor) -> None:
    pictures, rng = bytes_of(clear), np.random.default_rng(0)
    for kind, length, spec in ((BOX, 5, "box:k=5"), (PIXELATE, 6, "pixelate:b=6")):
        sigma = length / SPREAD / observer.face_width
        found = observer.anonymize(clear, exactly([sigma] * len(clear), kind), noise(len(clear)))
        expected = np.stack([parse(spec).apply(picture, rng) for picture in pictures])
        difference = np.abs(bytes_of(found).astype(int) - expected.astype(int))
        assert difference.max() <= 1 and (difference > 0).mean() < 0.06  # ties


def test_restoration_is_the_wiener_attacks(pack: Pack, clear: torch.Tensor) -> None:
    observer = Observer(pack.spectra, pack.side, pack.frame, pack.face_width)
    sigma = 2.0
    settings = exactly([sigma / observer.face_width] * len(clear))
    blurred = observer.anonymize(clear, settings, noise(len(clear)))
    found = bytes_of(observer.restore(blurred, settings))
    forward = ForwardModel(parse(f"gaussian:sigma={sigma}"), (observer.face_width,))
    restorer = Restorer(forward, pack.spectra)
    region = np.array([0, 0, pack.side, pack.side])
    for picture, own in zip(bytes_of(blurred), found, strict=True):
        difference = restorer.restore(picture, region).astype(int) - own
        assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("kind", [GAUSSIAN, BOX, PIXELATE])
def test_restoring_helps_and_everything_is_eight_bit(
    observer: Observer, clear: torch.Tensor, kind: int
) -> None:
    seen = observer(clear, exactly([0.1] * len(clear), kind), noise(len(clear)))
    truth = observer.cut(clear)
    assert ((seen.restored - truth) ** 2).mean() < ((seen.anonymized - truth) ** 2).mean()
    for view in (seen.anonymized, seen.restored):
        assert view.shape == (len(clear), 3, observer.frame, observer.frame)
        torch.testing.assert_close(view, eight_bit(view))
    assert seen.both.min() >= -1 and seen.both.max() <= 1


def test_a_sample_is_degraded_alike_in_any_batch(observer: Observer, clear: torch.Tensor) -> None:
    operators = OperatorRange(noisy=0.5, boxed=0.5, shares=(0.4, 0.3, 0.3))

    def see(rows: list[int]) -> tuple[torch.Tensor, ...]:
        drawn = Noise.of(1, rows)
        seen = observer(clear[rows], operators.draw(drawn), drawn)
        return seen.anonymized, seen.restored, seen.log_sigma

    every = see(list(range(len(clear))))
    for row in range(len(clear)):
        for whole, alone in zip(every, see([row]), strict=True):
            torch.testing.assert_close(whole[row : row + 1], alone, atol=1.01 / 255, rtol=0)


def test_settings_stay_in_their_range() -> None:
    drawn = OperatorRange(sigma=(0.05, 0.1), anisotropy=0.0, boxed=0.5).draw(noise(2000))
    assert drawn.sigma.min() >= 0.0499 and drawn.sigma.max() <= 0.1001
    assert abs(float((drawn.kind == GAUSSIAN).float().mean()) - 0.8) < 0.05
    boxed = (drawn.box != torch.tensor([0.0, 0.0, 1.0, 1.0])).any(dim=1)
    assert abs(float(boxed.float().mean()) - 0.5) < 0.05
    with pytest.raises(InputError, match="sigma"):
        OperatorRange(sigma=(0.2, 0.1))
