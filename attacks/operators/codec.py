"""Lossy codecs: they pass every frequency and add a quantisation error of known size."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar, Literal, Self

import numpy as np
from PIL import Image
from scipy.interpolate import RegularGridInterpolator

from reid_audit.attacks.operators.base import ROUNDING_VARIANCE, Nature, Operator, require
from reid_audit.attacks.pictures import Picture


@dataclass(frozen=True)
class Codec(Operator):
    """A file format that a picture is written in and read back from (by Pillow)."""

    family: ClassVar[str] = "codec"
    nature: ClassVar[Nature] = Nature.QUANTISING
    suffix: ClassVar[str]
    """Ending of such files."""

    q: int

    def __post_init__(self) -> None:
        require(1 <= self.q <= 100, f"{self.name}: q must be 1..100 (quality), not {self.q}.")

    def encode(self, picture: Picture) -> bytes:
        """The file's bytes, without metadata."""
        raise NotImplementedError

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Encoded and decoded again, in memory."""
        with Image.open(io.BytesIO(self.encode(picture))) as decoded:
            return np.array(decoded.convert("RGB"))

    def transfer(self, height: int, width: int) -> np.ndarray:
        """Ones: no frequency is damped on purpose, see `noise`."""
        return np.ones((height, width))

    def strengthened(self, factor: float) -> Self:
        """With the quality divided, within 1..100."""
        return replace(self, q=min(100, max(1, round(self.q / factor))))


@dataclass(frozen=True)
class Jpeg(Codec):
    """JPEG at libjpeg quality `q`; `sub` is the chroma subsampling."""

    name: ClassVar[str] = "jpeg"
    suffix: ClassVar[str] = ".jpg"

    sub: Literal["420", "422", "444"] = "420"

    def encode(self, picture: Picture) -> bytes:
        """The file's bytes at this quality and subsampling, without metadata."""
        buffer = io.BytesIO()
        subsampling = {"444": 0, "422": 1, "420": 2}[self.sub]
        Image.fromarray(picture).save(buffer, "JPEG", quality=self.q, subsampling=subsampling)
        return buffer.getvalue()

    def noise(self, height: int, width: int) -> np.ndarray:
        """Error of uniform quantisation, step^2 / 12, by the luminance table, whose entry u stands
        for u / 16 cycles per pixel. Coefficients quantised to nothing have a smaller error, but
        are then not above the noise either."""
        steps = _luminance_table(self.q).astype(float)
        u = [8 * np.linspace(0, 1, size).clip(0, 7 / 8) for size in (height, width)]
        at = np.stack(np.meshgrid(*u, indexing="ij"), axis=-1)
        variance = RegularGridInterpolator((np.arange(8), np.arange(8)), steps**2 / 12)(at)
        return np.asarray(variance + ROUNDING_VARIANCE)


@lru_cache(maxsize=100)
def _luminance_table(quality: int) -> np.ndarray:
    """Quantisation steps `(8, 8)` as libjpeg writes them: rows are vertical frequencies."""
    written = Jpeg(quality).encode(np.zeros((8, 8, 3), np.uint8))
    with Image.open(io.BytesIO(written)) as file:
        return np.array(file.quantization[0]).reshape(8, 8)  # type: ignore[attr-defined]


# RFC 6386, 14.1: steps of the AC coefficients by quantiser index.
_VP8_AC = np.r_[4:59, 60:118:2, 119:156:3, 158:174:3, 177:230:4, 234, 239, 245, 249:285:5]


@dataclass(frozen=True)
class WebP(Codec):
    """Lossy WebP at libwebp quality `q`."""

    name: ClassVar[str] = "webp"
    suffix: ClassVar[str] = ".webp"

    def encode(self, picture: Picture) -> bytes:
        """The file's bytes at this quality, without metadata."""
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "WEBP", quality=self.q)
        return buffer.getvalue()

    def noise(self, height: int, width: int) -> float:
        """Error of uniform quantisation by the AC step that libwebp starts from at this quality;
        VP8's transform is twice the orthonormal one."""
        quality = self.q / 100
        linear = quality * 2 / 3 if quality < 0.75 else 2 * quality - 1
        step = _VP8_AC[round(127 * (1 - linear ** (1 / 3)))]
        return float((step / 2) ** 2 / 12 + ROUNDING_VARIANCE)
