"""Closed-form restoration: the linear minimum mean square error estimate, mode by mode.

For y = H x + n with independent modes, x^ = P H / (P H^2 + N) y (Wiener). With whole-sample
symmetric borders a blur is exactly diagonal in DCT-I, so this is the exact estimate and takes two
matrix products a picture. Operators without eigenvalues get the same estimate from the measured
moments of reference faces. For JPEG after blur that is as good as linear restoration gets
(benchmarks/tried.md, linear restoration). A blur that is seen through an ellipse, or whose window
is even, is solved for with what is known about its pixels (`masked`).

Two things are undone first. What an operator turns is turned back. Where a setting is drawn anew
for every picture, the likeliest of some settings is found by Whittle's likelihood of the picture's
own spectrum, and its filter used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar, Self

import numpy as np

from reid_audit.attacks.forward import ForwardModel, settings, straightened
from reid_audit.attacks.interface import (
    AnonymizedFaces,
    AttackInfo,
    AttackOutput,
    BaseAttack,
    ClearFaces,
    Context,
    Picture,
    Reference,
    require_fitted,
)
from reid_audit.attacks.linear.masked import System
from reid_audit.attacks.linear.spectra import (
    Spectra,
    from_modes,
    from_opponents,
    opponents,
    to_modes,
)
from reid_audit.attacks.operators import Nature
from reid_audit.attacks.operators.base import ROUNDING_VARIANCE, apply_to_box
from reid_audit.metrics.sampling import evenly

PRIOR_FACES = 400
"""More faces change restoration by less than .01 dB."""
NEGLIGIBLE = 1e-2
"""Mean square, in grey levels, of what the fastest modes may add to a restored picture and still be
left out: rounding to 8 bits alone costs 25 times as much. A heavy blur leaves few others, so
that most of the arithmetic goes."""
DRAWS = 16
"""Settings of a range that are told apart."""
MEASURED_DRAWS, DRAW_FACES = 8, 60
"""The same without eigenvalues, when each has to be measured, and on how many faces."""
SYSTEMS = 4
"""Sizes of regions whose equations are kept, up to 60 MB each: reference faces come by their
size."""
DOUBTS, SURPRISING = (1.0, 8.0), 6.0
"""Factors of the noise's variance that are tried, and how surprising a picture may be: with the
right window at most 2.6 on 40 faces, with one a few pixels off 59 and more."""
CONTRASTS = (0.5, 0.7, 1.0, 1.4, 2.0)
"""Power of a face relative to the mean face, tried for the likelihood."""


@dataclass(frozen=True, eq=False)
class Restorer:
    """Wiener restoration of a region that went through `forward`.

    draws: restorers of single settings, where the operator draws one for every picture.
    """

    forward: ForwardModel
    spectra: Spectra
    draws: tuple[Restorer, ...] = ()

    @classmethod
    def fit(cls, forward: ForwardModel, faces: ClearFaces, context: Context) -> Self:
        """Measure the spectra on up to PRIOR_FACES reference faces, evenly picked."""
        spectra = _measure(forward, faces, context, PRIOR_FACES)
        ends = settings(forward.operator, 2)
        linear = all(end.nature is Nature.LINEAR for end in ends)
        draws = []
        for operator in settings(forward.operator, DRAWS if linear else MEASURED_DRAWS):
            drawn = replace(forward, operator=operator)
            own = spectra if linear else _measure(drawn, faces, context, DRAW_FACES)
            draws.append(cls(drawn, own))
        return cls(forward, spectra, tuple(draws))

    def filter(self, height: int, width: int) -> np.ndarray:
        """Gain per opponent colour and DCT-I mode, `(3, height, width)`; of a range, one for all
        its settings."""
        return _filter(self, height, width)

    def restore(self, picture: Picture, region: np.ndarray) -> Picture:
        """Restore what was changed for the sake of `region (4,)` of a window `(H, W, 3)`; the rest
        is returned as it is."""
        x0, y0, x1, y1 = self.forward.operator.reach(region.tolist(), picture.shape)
        if min(x1 - x0, y1 - y0) < 8:
            return picture
        uncovered = self._uncovered(picture[y0:y1, x0:x1])
        if uncovered is not None:
            out = picture.copy()
            out[y0:y1, x0:x1] = uncovered
            return out
        straight = straightened(self.forward.operator, picture[y0:y1, x0:x1])
        shape = straight.shape[0], straight.shape[1]
        chosen = self.likeliest(to_modes(straight)) if self.draws else self
        rows, columns = _extent(chosen, *shape)
        modes = to_modes(straight, rows, columns) * chosen.filter(*shape)[:, :rows, :columns]
        out = picture.copy()
        out[y0:y1, x0:x1] = from_modes(modes, shape)
        return out

    def _uncovered(self, part: Picture) -> Picture | None:
        """What lies under the operator's cover in a part `(h, w, 3)` that it changed, by equations;
        None where modes can be restored one by one, or no equations hold.

        A window of another length or place than the one that was used, by a pixel, makes nothing
        of a face where rounding alone is allowed for; it shows in how unlikely the picture is.
        """
        planes = opponents(part)
        for doubt in DOUBTS:
            system = _system(self, *part.shape[:2], doubt)
            if system is None:
                return None
            estimate, surprise = system.uncovered(planes)
            if surprise <= SURPRISING:
                return from_opponents(estimate)
        return None

    def likeliest(self, modes: np.ndarray) -> Restorer:
        """The restorer of the setting that explains a region's `modes (3, H, W)` best; itself
        where there is one setting only."""
        if not self.draws:
            return self
        power = _low(modes[0]) ** 2
        return min(self.draws, key=lambda draw: _surprise(draw, power, modes.shape[1:]))

    @property
    def solves(self) -> bool:
        """Whether regions are restored by equations, which takes some forty times as long."""
        operator = self.forward.operator
        return operator.nature is not Nature.LINEAR and operator.cover(64, 64) is not None

    @property
    def key(self) -> str:
        """Digest of everything that `restore` depends on, for caches."""
        moments = (self.spectra.clear, self.spectra.anonymized, self.spectra.cross)
        content = self.forward.key.encode() + b"".join(m.tobytes() for m in moments)
        content += "".join(draw.key for draw in self.draws).encode()
        return hashlib.sha256(content).hexdigest()[:16]


def _measure(forward: ForwardModel, faces: ClearFaces, context: Context, most: int) -> Spectra:
    chosen = evenly(len(faces), most)

    def pairs() -> Iterator[tuple[Picture, Picture]]:
        for done, index in enumerate(chosen):
            rng = context.rng(faces.ids[index])
            clear, points = forward.match_scale(faces.load(index), faces.landmarks[index], rng)
            face = forward.region(clear, points).tolist()
            x0, y0, x1, y1 = forward.operator.reach(face, clear.shape)
            if min(x1 - x0, y1 - y0) >= 8:
                # In its picture: some tools look at the surroundings, or paint on them.
                after = apply_to_box(forward.operator, clear, face, rng)
                yield (
                    np.ascontiguousarray(clear[y0:y1, x0:x1]),
                    straightened(forward.operator, np.ascontiguousarray(after[y0:y1, x0:x1])),
                )
            context.progress("measuring face spectra", done + 1, len(chosen))

    return Spectra.measure(pairs())


def _low(modes: np.ndarray) -> np.ndarray:
    """The quarter of a region's modes `(H, W)` that are slower than 1/4 cycle a pixel, but for the
    mean level: faces have no power to speak of beyond."""
    height, width = modes.shape
    return modes[: height // 2, : width // 2].reshape(-1)[1:]


def _surprise(restorer: Restorer, power: np.ndarray, shape: tuple[int, ...]) -> float:
    """Negative log-likelihood, but for a constant, of luminance `power` per low mode (Whittle:
    independent modes, Gaussian), at the contrast that suits it best."""
    signal, noise = _expected(restorer, *shape)
    least = np.inf
    for contrast in CONTRASTS:
        expected = contrast * signal + noise
        least = min(least, float(np.sum(np.log(expected) + power / expected)))
    return least


@lru_cache(maxsize=64)
def _expected(restorer: Restorer, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Expected luminance power per low mode: what comes from the face, and what the operator
    adds."""
    operator = restorer.forward.operator
    transfer = operator.transfer(height, width)
    if operator.nature is Nature.LINEAR and transfer is not None:
        signal = restorer.spectra.prior(height, width)[0] * transfer**2
        noise = np.broadcast_to(operator.noise(height, width), (height, width))
        return _low(signal), _low(np.asarray(noise))
    total = _low(restorer.spectra.left(height, width)[0])
    return total, np.full_like(total, ROUNDING_VARIANCE)


@lru_cache(maxsize=128)
def _filter(restorer: Restorer, height: int, width: int) -> np.ndarray:
    operator = restorer.forward.operator
    transfer = operator.transfer(height, width)
    if operator.nature is not Nature.LINEAR or transfer is None:
        return restorer.spectra.regression(height, width)
    prior = restorer.spectra.prior(height, width)
    noise = operator.noise(height, width)
    return np.asarray((prior * transfer / (prior * transfer**2 + noise)).astype(np.float32))


@lru_cache(maxsize=SYSTEMS)
def _system(restorer: Restorer, height: int, width: int, doubt: float) -> System | None:
    """The equations of a region that an operator covers, its noise taken to be `doubt` times as
    large; None where it can be restored mode by mode, or not by equations."""
    operator = restorer.forward.operator
    cover = None if operator.nature is Nature.LINEAR else operator.cover(height, width)
    if cover is None:
        return None
    noise = doubt * np.maximum(operator.noise(height, width), ROUNDING_VARIANCE)
    return System.of(cover, restorer.spectra.prior(height, width).astype(float), noise)


@lru_cache(maxsize=128)
def _extent(restorer: Restorer, height: int, width: int) -> tuple[int, int]:
    """Numbers of rows and columns of the slowest modes beyond which a restored picture holds
    nothing to speak of."""
    operator = restorer.forward.operator
    transfer = operator.transfer(height, width)
    if operator.nature is Nature.LINEAR and transfer is not None:
        power = restorer.spectra.prior(height, width) * transfer**2 + operator.noise(height, width)
    else:
        power = restorer.spectra.left(height, width)
    share = (restorer.filter(height, width) ** 2 * power).sum(axis=0) / (height * width)
    return _needed(share.sum(axis=1)), _needed(share.sum(axis=0))


def _needed(shares: np.ndarray) -> int:
    """How many of the first `shares (N,)` leave less than half of what is negligible to the rest:
    the other half is the other axis's."""
    rest = shares[::-1].cumsum()[::-1]
    return max(1, int(np.count_nonzero(rest > NEGLIGIBLE / 2)))


def prior_restorer(reference: Reference, context: Context) -> Restorer:
    """The restorer whose face spectra come from background people; from the gallery too where there
    are too few of them (a mean spectrum tells nothing about any one person)."""
    rows = reference.background
    if len(rows) < PRIOR_FACES // 4:
        rows = tuple(sorted({*rows, *reference.gallery}))
    return Restorer.fit(context.forward, reference.faces.select(rows), context)


class Wiener(BaseAttack):
    """Restore in closed form, then recognise."""

    info: ClassVar[AttackInfo] = AttackInfo(
        name="wiener",
        title="Wiener restoration",
        version=4,
        needs=frozenset({"background", "operator"}),
        yields=frozenset({"restored"}),
        paper="N. Wiener 1949; linear minimum mean square error in DCT-I",
    )

    def fit(self, reference: Reference, context: Context) -> Self:
        """Measure the spectra of clear faces that the restorer takes for its prior."""
        self.restorer_ = prior_restorer(reference, context)
        return self

    def run(self, probes: AnonymizedFaces, context: Context) -> AttackOutput:
        """The restored windows."""
        require_fitted(self)
        pairs = zip(probes.pictures, probes.regions, strict=True)
        return AttackOutput(restored=tuple(self.restorer_.restore(p, r) for p, r in pairs))
