"""What an anonymising operator is: a map from an 8-bit region to an 8-bit region.

Every operator rounds to uint8, since that is what an attacker is handed. Besides being applied,
an operator says what it is to an attacker: which of its parts can be inverted in closed form.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, ClassVar, Self

import numpy as np

from reid_audit.attacks.operators.spectrum import basis, inverse_basis
from reid_audit.attacks.pictures import Picture, check_picture
from reid_audit.metrics.errors import InputError

ROUNDING_VARIANCE = 1 / 12
"""Variance in grey levels squared that rounding to uint8 adds."""


class Nature(StrEnum):
    """What an operator is to an attacker."""

    LINEAR = "linear"  # diagonal in DCT-I with known eigenvalues
    MASKED = "linear with mask"  # linear, not diagonal: blended, turned, or of other borders
    QUANTISING = "quantising"  # keeps fewer samples or levels
    NONLINEAR = "non-linear"  # nothing to invert in closed form
    ERASING = "erasing"  # output independent of the face


@dataclass(frozen=True, eq=False)
class Cover:
    """What is seen of a region x in which something linear covers some pixels: before rounding,
    `rows @ x @ columns.T` in `pixels`, and x elsewhere.

    rows: `(H, H)`; columns: `(W, W)`; pixels: `(H, W)`, which are covered.
    """

    rows: np.ndarray
    columns: np.ndarray
    pixels: np.ndarray


@dataclass(frozen=True)
class Operator(ABC):
    """One anonymisation step; a frozen dataclass whose fields are its parameters.

    The fields bear the keys of the spec grammar, so that the class is its own factory there and
    `__str__` needs no writing; `__post_init__` refuses impossible values. Lengths (sigma, kernel,
    block) are in pixels of the region the operator is applied to. A region smaller than a kernel
    is processed with repeated reflection, where the original tool would refuse it.
    """

    name: ClassVar[str]
    """Word of the spec grammar, e.g. `gaussian`."""
    family: ClassVar[str]
    """One of none, gaussian, box, median, motion, pixelate, downscale, solid, noise, permute,
    generative, codec (codecs only disturb what stands before them)."""
    nature: ClassVar[Nature]
    random: ClassVar[bool] = False
    """Whether two applications to the same picture differ."""
    far_sighted: ClassVar[bool] = False
    """Whether what `apply_in` puts into a box depends on all of the picture, not on the box and
    what is near it."""

    def __call__(self, picture: Picture, rng: np.random.Generator | None = None) -> Picture:
        """Anonymise a whole picture, `(H, W, 3)` RGB uint8, into a new one of the same shape.

        Args:
            rng: where the random numbers come from; needed by random operators only. Seed it for
                each picture, so that the result depends on nothing else.

        Raises:
            InputError: no RGB uint8 picture, or a random operator without `rng`.
        """
        picture = check_picture(picture)
        if rng is None and self.random:
            raise InputError(
                f"{self} is random: give a generator as well, "
                "e.g. operator(picture, numpy.random.default_rng(0))."
            )
        return self.apply(picture, rng if rng is not None else np.random.default_rng(0))

    @abstractmethod
    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Anonymise one region, `(H, W, 3)` uint8 -> same shape and type.

        `rng` is used by random operators only; seed it per picture.
        """

    def apply_in(self, picture: Picture, box: Sequence[int], rng: np.random.Generator) -> Picture:
        """Anonymise the box x0, y0, x1, y1 (half-open, inside the picture) of a whole picture.

        The box is cut out, processed alone (reflected at its own border) and put back, except by
        tools that look at or paint on its surroundings. Returns a new picture.
        """
        x0, y0, x1, y1 = box
        out = picture.copy()
        out[y0:y1, x0:x1] = self.apply(np.ascontiguousarray(picture[y0:y1, x0:x1]), rng)
        return out

    def apply_to_boxes(
        self, picture: Picture, boxes: Sequence[Sequence[int]], rng: np.random.Generator
    ) -> Picture:
        """Anonymise several boxes of one picture: one after the other, except by tools whose
        setting depends on all of them. Returns a new picture."""
        picture = picture.copy()
        for box in boxes:
            picture = self.apply_in(picture, box, rng)
        return picture

    def among(self, box: Sequence[int], boxes: Sequence[Sequence[int]]) -> Operator:
        """What `apply_to_boxes` does to one box of a picture that has these `boxes`: the same as
        alone, except by tools whose setting depends on all of them."""
        return self

    def reach(self, box: Sequence[int], shape: Sequence[int]) -> tuple[int, int, int, int]:
        """The box that `apply_in` changes on a picture of `shape` (height, width): that which it
        is given, unless the tool enlarges it. A soft edge may reach beyond."""
        x0, y0, x1, y1 = (int(v) for v in box)
        return x0, y0, x1, y1

    def pinned(self, height: int, width: int) -> Operator:
        """The same operation with lengths that follow from the region's size stated as they are on
        a region of `height` x `width` pixels, and without its mask."""
        return self

    def framed(self, height: int, width: int) -> Operator:
        """The same operator with lengths that follow from the size of the whole picture stated as
        they are on a picture of `height` x `width` pixels."""
        return self

    def transfer(self, height: int, width: int) -> np.ndarray | None:
        """Eigenvalues `(height, width)` float64 in the DCT-I basis of the region, or None where
        the operator has no linear part.

        Exact for LINEAR operators: with whole-sample symmetric ("reflect") borders a symmetric
        kernel is diagonal in DCT-I. For MASKED ones those of the layer that is blended in, for
        codecs ones: what they add stands in `noise`.
        """
        return None

    def cover(self, height: int, width: int) -> Cover | None:
        """What covers a region of this size, `reach` being the region; None where that is not
        linear, separable and of a hard edge."""
        transfer = self.transfer(height, width) if self.nature is Nature.LINEAR else None
        if transfer is None or not np.allclose(np.outer(transfer[:, 0], transfer[0]), transfer):
            return None
        rows, columns = (
            inverse_basis(len(response)) @ (response[:, None] * basis(len(response)))
            for response in (transfer[:, 0], transfer[0])
        )
        return Cover(rows, columns, np.ones((height, width), bool))

    def noise(self, height: int, width: int) -> np.ndarray | float:
        """Variance per DCT-I mode of the error the operator adds beyond its linear part, in grey
        levels squared: at least the rounding to uint8."""
        return ROUNDING_VARIANCE

    def scaled(self, factor: float) -> Self:
        """The same tool as it would act on a picture resized by `factor`: lengths are multiplied.

        What has no length (noise, JPEG quality) stays. Used to carry an operator between faces
        of different size.
        """
        return self

    def strengthened(self, factor: float) -> Operator:
        """The same tool set `factor` times as strong: longer lengths, more noise, less quality.

        Fractions are kept to four digits, as somebody would type them.
        """
        stronger = self.scaled(factor)
        values = {field.name: getattr(stronger, field.name) for field in fields(stronger)}
        neat = {k: float(f"{v:.4g}") for k, v in values.items() if isinstance(v, float)}
        return replace(stronger, **neat)

    def samples(self, height: int, width: int) -> tuple[int, int] | None:
        """Rows and columns of samples that are left of a region, None if it is not sampled."""
        return None

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters as plain values, for reports and sidecars."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def settings(self, full: bool = False) -> dict[str, Any]:
        """Keys and values of the spec; those at their default only if `full`."""
        values = {field: getattr(self, field.name) for field in fields(self)}
        return {f.name: value for f, value in values.items() if full or value != f.default}

    def __str__(self) -> str:
        """Canonical spec that `parse` reads back to an equal operator."""
        pairs = [f"{key}={setting_text(value)}" for key, value in self.settings().items()]
        return self.name + (":" + ",".join(pairs) if pairs else "")


def setting_text(value: object) -> str:
    """Shortest text that reads back to the same value.

    >>> setting_text(4.0), setting_text(7.8), setting_text("ellipse")
    ('4', '7.8', 'ellipse')
    """
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def require(condition: bool, message: str) -> None:
    """Refuse an impossible parameter.

    Raises:
        InputError: with `message`, unless `condition` holds.
    """
    if not condition:
        raise InputError(message)


def rounded(values: np.ndarray) -> Picture:
    """Grey levels of any range as uint8: rounded half to even, clipped."""
    return np.asarray(np.rint(values).clip(0, 255).astype(np.uint8))


@dataclass(frozen=True)
class Untouched(Operator):
    """Leaves the region as it is: the control without anonymisation."""

    name: ClassVar[str] = "none"
    family: ClassVar[str] = "none"
    nature: ClassVar[Nature] = Nature.LINEAR

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """A copy."""
        return picture.copy()

    def transfer(self, height: int, width: int) -> np.ndarray:
        """Ones."""
        return np.ones((height, width))


@dataclass(frozen=True)
class Wrapper(Operator):
    """An operator that does what stands before it in the grammar, `inner`, in a way of its own."""

    inner: Operator

    @property
    def family(self) -> str:  # type: ignore[override]
        """That of the operator inside."""
        return self.inner.family

    @property
    def random(self) -> bool:  # type: ignore[override]
        """Whether the operator inside is."""
        return self.inner.random

    @property
    def far_sighted(self) -> bool:  # type: ignore[override]
        """Whether the operator inside is."""
        return self.inner.far_sighted


@dataclass(frozen=True)
class Chain(Operator):
    """Operators applied one after the other, each through uint8."""

    name: ClassVar[str] = "chain"
    steps: tuple[Operator, ...]

    @property
    def family(self) -> str:  # type: ignore[override]
        """Family of the strongest step: an erasing one, else the first that is not a codec."""
        for step in self.steps:
            if step.nature is Nature.ERASING:
                return step.family
        return next((s.family for s in self.steps if s.family not in ("codec", "none")), "none")

    @property
    def nature(self) -> Nature:  # type: ignore[override]
        """The least invertible nature among the steps."""
        order = list(Nature)
        return max((step.nature for step in self.steps), key=order.index, default=Nature.LINEAR)

    @property
    def random(self) -> bool:  # type: ignore[override]
        """Whether any step is."""
        return any(step.random for step in self.steps)

    @property
    def far_sighted(self) -> bool:  # type: ignore[override]
        """Whether any step is."""
        return any(step.far_sighted for step in self.steps)

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """The steps in their order, each on what the one before it left."""
        for step in self.steps:
            picture = step.apply(picture, rng)
        return picture

    def apply_in(self, picture: Picture, box: Sequence[int], rng: np.random.Generator) -> Picture:
        """The steps in their order, each in the box given, which it may enlarge."""
        for step in self.steps:
            picture = step.apply_in(picture, box, rng)
        return picture

    def apply_to_boxes(
        self, picture: Picture, boxes: Sequence[Sequence[int]], rng: np.random.Generator
    ) -> Picture:
        """The steps in their order, each over all boxes."""
        for step in self.steps:
            picture = step.apply_to_boxes(picture, boxes, rng)
        return picture

    def reach(self, box: Sequence[int], shape: Sequence[int]) -> tuple[int, int, int, int]:
        """The union of what the steps change."""
        x0, y0, x1, y1 = zip(*(step.reach(box, shape) for step in self.steps), strict=True)
        return min(x0), min(y0), max(x1), max(y1)

    def pinned(self, height: int, width: int) -> Chain:
        """With every step pinned."""
        return Chain(tuple(step.pinned(height, width) for step in self.steps))

    def framed(self, height: int, width: int) -> Chain:
        """With every step framed."""
        return Chain(tuple(step.framed(height, width) for step in self.steps))

    def transfer(self, height: int, width: int) -> np.ndarray | None:
        """Product of the steps' eigenvalues; None when a step has none."""
        steps = [step.transfer(height, width) for step in self.steps]
        known = [eigenvalues for eigenvalues in steps if eigenvalues is not None]
        return np.prod(np.stack(known), axis=0) if len(known) == len(steps) else None

    def cover(self, height: int, width: int) -> Cover | None:
        """That of the one step that has one, where all others are codecs; None where the step can
        be undone mode by mode, since what a codec adds is told better mode by mode too."""
        rest = [s for s in self.steps if s.family != "codec" and not isinstance(s, Untouched)]
        if len(rest) != 1 or rest[0].nature is Nature.LINEAR:
            return None
        return rest[0].cover(height, width)

    def noise(self, height: int, width: int) -> np.ndarray | float:
        """Noise of each step, seen through the linear part of the steps after it."""
        total: np.ndarray | float = 0.0
        for step in self.steps:
            through = step.transfer(height, width)
            total = (total if through is None else total * through**2) + step.noise(height, width)
        return total

    def scaled(self, factor: float) -> Chain:
        """With every step scaled."""
        return Chain(tuple(step.scaled(factor) for step in self.steps))

    def strengthened(self, factor: float) -> Chain:
        """Only the step that gives the chain its family; the rest comes with the file."""
        return Chain(
            tuple(
                step.strengthened(factor) if step.family == self.family else step
                for step in self.steps
            )
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """Those of all steps; the later step's, where two share a name."""
        merged: dict[str, Any] = {}
        for step in self.steps:
            merged |= step.parameters
        return merged

    def __str__(self) -> str:
        return "|".join(str(step) for step in self.steps)


def apply_to_box(
    operator: Operator, picture: Picture, box: Sequence[int] | np.ndarray, rng: np.random.Generator
) -> Picture:
    """`operator.apply_in(picture, box, rng)`, the reading order of a sentence."""
    return operator.apply_in(picture, [int(edge) for edge in box], rng)
