"""From what an attack returned to trials: one row for each probe."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reid_audit.audit.probes.condition import face_square
from reid_audit.metrics.fidelity import idd, psnr, ssim
from reid_audit.metrics.identification import rank

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]


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
