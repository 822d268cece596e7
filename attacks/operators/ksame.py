"""k-same: a face replaced by the average of itself and its nearest look-alikes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from reid_audit.attacks.operators.base import Nature, Operator, require, rounded
from reid_audit.attacks.pictures import Picture, read_picture

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}


@dataclass(frozen=True)
class KSame(Operator):
    """k-same-pixel: the mean of the region and the k - 1 pictures nearest to it.

    The other faces come from `folder`, cropped like the region; none are shipped. Newton, Sweeney,
    Malin, "Preserving privacy by de-identifying face images", TKDE 2005, algorithm 1, applied to
    one face at a time. A folder name must not hold the grammar's `,` and `|`.
    """

    name: ClassVar[str] = "k-same"
    family: ClassVar[str] = "generative"
    nature: ClassVar[Nature] = Nature.NONLINEAR

    folder: str
    k: int = 5

    def __post_init__(self) -> None:
        require(self.k >= 1, f"k-same: k must be at least 1, not {self.k}.")

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """The mean, rounded.

        Raises:
            InputError: no folder, or one of fewer than k - 1 pictures.
        """
        cast = _cast(self.folder, *picture.shape[:2])
        require(
            len(cast) >= self.k - 1,
            f"k-same: k={self.k} needs {self.k - 1} pictures in {self.folder!r}, which has"
            f" {len(cast)}; give another folder or a smaller k.",
        )
        distance = ((cast - picture.astype(np.float32)) ** 2).sum(axis=(1, 2, 3))
        nearest = np.argsort(distance, kind="stable")[: self.k - 1]
        return rounded((cast[nearest].sum(axis=0) + picture) / self.k)


@lru_cache(maxsize=4)
def _cast(folder: str, height: int, width: int) -> np.ndarray:
    """Pictures of a folder `(N, height, width, 3)` float32, in order of their names."""
    require(Path(folder).is_dir(), f"k-same: {folder!r} is no folder of pictures.")
    pictures = [np.empty((0, height, width, 3), np.float32)]
    for path in sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in SUFFIXES):
        picture = Image.fromarray(read_picture(path))
        resized = picture.resize((width, height), Image.Resampling.BOX)
        pictures.append(np.asarray(resized, np.float32)[None])
    return np.concatenate(pictures)
