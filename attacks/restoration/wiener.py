"""Closed-form restoration: the linear minimum mean square error estimate, mode by mode.

For y = H x + n with independent modes, x^ = P H / (P H^2 + N) y (Wiener). With whole-sample
symmetric borders a blur is exactly diagonal in DCT-I, so this is the exact estimate and takes two
matrix products a picture. Operators without eigenvalues get the same estimate from the measured
moments of reference faces.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Self

import numpy as np

from attacks.forward import ForwardModel
from attacks.interface import (
    AnonymizedFaces,
    AttackInfo,
    AttackOutput,
    ClearFaces,
    Context,
    Picture,
    Reference,
)
from attacks.operators import Nature
from attacks.restoration.spectra import Spectra, from_modes, to_modes

PRIOR_FACES = 400
"""More faces change restoration by less than .01 dB."""


@dataclass(frozen=True, eq=False)
class Restorer:
    """Wiener restoration of a region that went through `forward`."""

    forward: ForwardModel
    spectra: Spectra

    @classmethod
    def fit(cls, forward: ForwardModel, faces: ClearFaces, context: Context) -> Self:
        """Measure the spectra on up to PRIOR_FACES reference faces, evenly picked."""
        chosen = np.unique(np.linspace(0, len(faces) - 1, min(PRIOR_FACES, len(faces))).astype(int))

        def pairs() -> Iterator[tuple[Picture, Picture]]:
            for done, index in enumerate(chosen):
                rng = context.rng(faces.ids[index])
                clear, points = forward.match_scale(faces.load(index), faces.landmarks[index], rng)
                x0, y0, x1, y1 = forward.region(clear, points)
                if min(x1 - x0, y1 - y0) >= 8:
                    region = np.ascontiguousarray(clear[y0:y1, x0:x1])
                    yield region, forward.operator.apply(region, rng)
                context.progress("measuring face spectra", done + 1, len(chosen))

        return cls(forward, Spectra.measure(pairs()))

    def filter(self, height: int, width: int) -> np.ndarray:
        """Gain per opponent colour and DCT-I mode, `(3, height, width)`."""
        return _filter(self, height, width)

    def restore(self, picture: Picture, region: np.ndarray) -> Picture:
        """Restore `region (4,)` of a window `(H, W, 3)`; the rest is returned as it is."""
        x0, y0, x1, y1 = (int(v) for v in region)
        if min(x1 - x0, y1 - y0) < 8:
            return picture
        out = picture.copy()
        modes = to_modes(picture[y0:y1, x0:x1])
        out[y0:y1, x0:x1] = from_modes(modes * self.filter(y1 - y0, x1 - x0))
        return out

    @property
    def key(self) -> str:
        """Digest of everything that `restore` depends on, for caches."""
        moments = (self.spectra.clear, self.spectra.anonymized, self.spectra.cross)
        content = self.forward.key.encode() + b"".join(m.tobytes() for m in moments)
        return hashlib.sha256(content).hexdigest()[:16]


@lru_cache(maxsize=32)
def _filter(restorer: Restorer, height: int, width: int) -> np.ndarray:
    operator = restorer.forward.operator
    transfer = operator.transfer(height, width)
    if operator.nature is not Nature.LINEAR or transfer is None:
        return restorer.spectra.regression(height, width)
    prior = restorer.spectra.prior(height, width)
    noise = operator.noise(height, width)
    return (prior * transfer / (prior * transfer**2 + noise)).astype(np.float32)


def prior_restorer(reference: Reference, context: Context) -> Restorer:
    """The restorer whose face spectra come from background people; from the gallery where there
    are too few of them (a mean spectrum tells nothing about any one person)."""
    rows = reference.background
    if len(rows) < PRIOR_FACES // 4:
        rows = tuple(range(len(reference.faces)))
    return Restorer.fit(context.forward, reference.faces.select(rows), context)


class Wiener:
    """Restore in closed form, then recognise."""

    info: ClassVar[AttackInfo] = AttackInfo(
        name="wiener",
        title="Wiener restoration",
        version=1,
        needs=frozenset({"background", "operator"}),
        yields=frozenset({"restored"}),
        paper="N. Wiener 1949; linear minimum mean square error in DCT-I",
    )

    def fit(self, reference: Reference, context: Context) -> Self:
        self.restorer_ = prior_restorer(reference, context)
        return self

    def run(self, probes: AnonymizedFaces, context: Context) -> AttackOutput:
        pairs = zip(probes.pictures, probes.regions, strict=True)
        return AttackOutput(restored=tuple(self.restorer_.restore(p, r) for p, r in pairs))
