"""What identification returns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from reid_audit.attacks.operators import Operator, parse
from reid_audit.metrics.errors import InputError

FAMILIES = (
    "none",
    "gaussian",
    "box",
    "median",
    "motion",
    "pixelate",
    "downscale",
    "solid",
    "noise",
    "permute",
    "generative",
    "unknown",
)


@dataclass(frozen=True)
class EncodedInfo:
    """What a file's header says about how its pixels were stored.

    codec: `png`, `jpeg`, `webp`, ...; quality: 1-100 under libjpeg's scaling of the standard
    tables, None where there is none; tables: quantisation steps `(8, 8)` of luma and chroma, in
    the order of the frequencies (row v, column u); lossless: None where the header cannot tell.
    """

    codec: str
    bit_depth: int = 8
    quality: int | None = None
    tables: tuple[Any, ...] = ()
    lossless: bool | None = None


@dataclass(frozen=True)
class Identification:
    """What was done to one picture, as far as its pixels tell.

    region: x0, y0, x1, y1 in pixels, half-open; the whole picture when no part stands out.
    region_shape: `box`; `ellipse`: the one that touches the box `region`; or `soft`: a box whose
        mask was blurred, so that it reaches beyond `region` as far as it fades inside. The
        parameter `soft` is the outer share of its half axes over which an ellipse fades, or the
        sigma of the Gaussian that blurred the mask in longer sides of the box.
    family: one of `FAMILIES`.
    parameters: of the family, with standard deviations under names that end in `_sd`. Gaussian:
        sigma_x, sigma_y, kernel_size (odd size under the torchvision/OpenCV rule; 1 = no blur).
        Lengths are in pixels of the picture.
    noise: standard deviation in grey levels of what lies over the operator's output: rounding
        alone is 0.29.
    codec: from the file's header, else `jpeg` where the pixels show its grid.
    quality: of the JPEG that the region went through, from the header, else from the pixels.
    confidence: in [0, 1].
    odds: probability of each family that the pixels leave possible; empty where they show one
        exactly.
    effective_resolution: pixels per side of what is left, None when it is not computed.
    spec: the operator on the region, its mask and the JPEG after it included, None when it is
        unknown.
    tools: names of the tools of the catalogue that made it, as far as an original tells: empty
        without one.
    """

    region: tuple[int, int, int, int]
    family: str
    region_shape: str = "box"
    parameters: dict[str, Any] = field(default_factory=dict)
    noise: float | None = None
    codec: str | None = None
    quality: int | None = None
    bit_depth: int = 8
    confidence: float = 0.0
    effective_resolution: float | None = None
    spec: str | None = None
    tools: tuple[str, ...] = ()
    odds: dict[str, float] = field(default_factory=dict)

    @property
    def kernel_size(self) -> int | None:
        """Odd Gaussian kernel size under the torchvision/OpenCV rule, 1 without blur."""
        return self.parameters.get("kernel_size")

    def operator(self) -> Operator | None:
        """The operator to attack, or None when it is unknown."""
        if self.spec is None:
            return None
        try:
            return parse(self.spec)
        except InputError:
            return None


def with_codec(identification: Identification) -> Identification:
    """`identification` with the JPEG behind what was done in its `spec`, which has none yet.

    An attacker who takes a JPEG's error for rounding sharpens it until nothing else is left. On
    an untouched picture, and under a solid fill, it says nothing about what was done.
    """
    if (
        identification.spec is None
        or identification.quality is None
        or identification.family in ("none", "solid")
    ):
        return identification
    return replace(identification, spec=f"{identification.spec}|jpeg:q={identification.quality}")
