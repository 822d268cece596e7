"""From what an attack returned to trials: one row for each probe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reid_audit.attacks.interface import AnonymizedFaces, AttackOutput
from reid_audit.attacks.recognition.align import crop
from reid_audit.attacks.recognition.gallery import identity_templates
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.audit.probes.condition import face_square
from reid_audit.metrics.fidelity import idd, psnr, ssim
from reid_audit.metrics.identification import rank

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]
DIGITS = 5
"""Decimals of a score that are compared and kept: floating-point noise lies below."""


@dataclass(frozen=True, eq=False)
class Scorer:
    """Turns outputs into scores against the clear gallery of one recogniser.

    templates: `(G, d)`, one per person, columns as `people`.
    """

    recognizer: Recognizer
    templates: Floats
    people: tuple[str, ...]

    @classmethod
    def of(cls, recognizer: Recognizer, embeddings: Floats, identities: Sequence[str]) -> Scorer:
        templates, people = identity_templates(embeddings, identities, recognizer.distance)
        return cls(recognizer, templates, tuple(str(person) for person in people))

    def embed(self, pictures: Sequence[Picture], landmarks: Floats) -> Floats:
        """Embeddings `(N, d)` of windows."""
        return self.recognizer.embed(crop(list(pictures), landmarks, self.recognizer.template))

    def complete(
        self, output: AttackOutput, probes: AnonymizedFaces
    ) -> tuple[Floats, Floats | None]:
        """Scores `(N, G)`, rounded, and embeddings `(N, d)` if there are any: what the attack did
        not give is derived from what it gave."""
        embeddings, scores = output.embeddings, output.scores
        if embeddings is None and output.restored is not None:
            embeddings = self.embed(output.restored, probes.landmarks)
        if scores is None:
            if embeddings is None:
                raise ValueError("an attack must return restored pictures, embeddings or scores")
            scores = self.recognizer.similarity(embeddings, self.templates)
        if scores.shape != (len(probes), len(self.people)):
            raise ValueError(
                f"scores must be {(len(probes), len(self.people))}, not {scores.shape}"
            )
        return np.round(scores.astype(np.float64), DIGITS).astype(np.float32), embeddings

    def mates(self, identities: Sequence[str | None]) -> NDArray[np.intp]:
        """Column of each probe's own person, -1 where the gallery lacks them."""
        column = {person: index for index, person in enumerate(self.people)}
        return np.array([column.get(i, -1) if i else -1 for i in identities], dtype=np.intp)


def identification_rows(scores: Floats, mates: NDArray[np.intp]) -> pd.DataFrame:
    """Rank and score of every probe: columns mated, failed, better, ties, gallery, top, mate."""
    ranks = rank(scores, mates)
    own = np.take_along_axis(scores, np.maximum(mates, 0)[:, None], axis=1)[:, 0]
    return pd.DataFrame(
        {
            "mated": ranks.mated,
            "failed": ranks.failed,
            "better": ranks.better.astype(np.int64),
            "ties": ranks.ties.astype(np.int64),
            "gallery": np.int64(ranks.gallery),
            "top_score": np.nanmax(np.where(np.isnan(scores), -np.inf, scores), axis=1),
            "mate_score": np.where(ranks.mated, own, np.nan),
        }
    )


def fidelity_rows(
    restored: Sequence[Picture], originals: Sequence[Picture | None], landmarks: Floats
) -> pd.DataFrame:
    """PSNR in dB and SSIM of every restored face against its original; NaN without one."""
    values = np.full((len(restored), 2), np.nan)
    for row, (picture, original, points) in enumerate(
        zip(restored, originals, landmarks, strict=True)
    ):
        if original is None or original.shape != picture.shape:
            continue
        pair = face_square(original, points)[None], face_square(picture, points)[None]
        values[row, 0] = psnr(*pair)[0]
        if min(pair[0].shape[1:3]) >= 11:  # the window of SSIM
            values[row, 1] = ssim(*pair)[0]
    return pd.DataFrame(values, columns=["psnr", "ssim"])


def identity_distance(
    embeddings: Floats | None, originals: Floats, known: NDArray[np.bool_]
) -> pd.DataFrame:
    """IDD in radians of every probe: angle between found and original embedding, NaN if unknown."""
    values = np.full(len(originals), np.nan)
    if embeddings is not None and known.any():
        values[known] = idd(embeddings[known], originals[known])
    return pd.DataFrame({"idd": values})
