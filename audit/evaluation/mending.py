"""Which pictures to mend first: faces left clear, then people whom most attacks name, and by how
much."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from reid_audit.audit.results.schema import Faces, MendFirst

AT_MOST = 50


def mend_first(faces: Faces, trials: Sequence[pd.DataFrame]) -> list[MendFirst]:
    """The pictures most in need, at most `AT_MOST`: missed faces, those covered in part, then
    probes by the share of attacks that name their person and by the mean margin of these.

    Args:
        trials: one frame an attack, with columns kind, mated, better, ties, failed, margin, image
            and condition.
    """
    opened = [
        MendFirst(image=face.image, reason=face.state, width=face.width) for face in faces.open
    ]
    return [*opened, *_named(trials)][:AT_MOST]


def _named(trials: Sequence[pd.DataFrame]) -> list[MendFirst]:
    parts = [
        frame.loc[
            (frame.kind == "attack") & frame.mated,
            ["image", "condition", "better", "ties", "failed", "margin"],
        ]
        for frame in trials
    ]
    if not parts:
        return []
    every = pd.concat(parts, ignore_index=True)
    every["hit"] = (every.better == 0) & (every.ties == 0) & ~every.failed
    every["ahead"] = every.margin.where(every.hit)
    by_probe = (
        every.groupby(["image", "condition"], sort=True)
        .agg(named=("hit", "sum"), attacks=("hit", "size"), margin=("ahead", "mean"))
        .reset_index()
    )
    by_probe["share"] = by_probe.named / by_probe.attacks
    order = by_probe[by_probe.named > 0].sort_values(
        ["share", "margin"], ascending=False, kind="stable"
    )
    first = order.head(AT_MOST)
    return [
        MendFirst(
            image=image,
            reason="named",
            condition=condition,
            named_by=named,
            attacks=attacks,
            margin=round(margin, 3) if np.isfinite(margin) else None,
        )
        for image, condition, named, attacks, margin in zip(
            first.image.tolist(),
            first.condition.tolist(),
            first.named.astype(int).tolist(),
            first.attacks.astype(int).tolist(),
            first.margin.astype(float).tolist(),
            strict=True,
        )
    ]
