"""Colours that stand in the file under transparency."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from reid_audit.attacks.residue.base import Residue, Severity

_FLAT = 4.0
"""Standard deviation in grey levels up to which hidden pixels hold nothing."""
_SMALL = 16


def alpha_residues(image: Image.Image) -> Iterator[Residue]:
    """Detail under transparent pixels: a viewer hides it, the file does not."""
    if not image.has_transparency_data:
        return
    rgba = np.asarray(image.convert("RGBA"))
    hidden = rgba[..., 3] < 128
    if hidden.sum() < _SMALL**2:
        return
    detail = float(rgba[..., :3][hidden].astype(np.float64).std(axis=0).max())
    if detail > _FLAT:
        yield Residue(
            "under-alpha",
            Severity.HIGH,
            f"{hidden.mean():.0%} of the pixels are transparent but keep their colours, which vary "
            f"by {detail:.0f} grey levels: making them opaque shows what was covered.",
        )
