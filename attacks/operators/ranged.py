"""Randomised anonymisation: parameters drawn anew for every picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from reid_audit.attacks.operators.base import Nature, Operator, setting_text
from reid_audit.attacks.pictures import Picture


@dataclass(frozen=True)
class Ranged(Operator):
    """One tool between two settings, e.g. `gaussian:sigma=4..9`.

    Parameters with a range move from low to high together, uniformly; a whole number between two
    odd ones stays odd, as kernel sizes must.
    """

    random: ClassVar[bool] = True

    factory: Callable[..., Operator]
    low: Operator
    high: Operator

    @property
    def name(self) -> str:  # type: ignore[override]
        """The tool's word."""
        return self.low.name

    @property
    def family(self) -> str:  # type: ignore[override]
        """The tool's."""
        return self.low.family

    @property
    def nature(self) -> Nature:  # type: ignore[override]
        """Not to be inverted in closed form before the draw of a picture has been identified."""
        low = self.low.nature
        return Nature.NONLINEAR if low in (Nature.LINEAR, Nature.MASKED) else low

    def draw(self, rng: np.random.Generator) -> Operator:
        """The operator that one picture gets."""
        return self.at(rng.random())

    def at(self, share: float) -> Operator:
        """The setting at a share in [0, 1] of the way from low to high."""
        low, high = self._settings()
        return self.factory(**{key: _between(low[key], high[key], share) for key in low})

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """By a setting drawn for this picture."""
        return self.draw(rng).apply(picture, rng)

    def scaled(self, factor: float) -> Ranged:
        """With both ends scaled."""
        return Ranged(self.factory, self.low.scaled(factor), self.high.scaled(factor))

    def strengthened(self, factor: float) -> Ranged:
        """With both ends strengthened."""
        return Ranged(self.factory, self.low.strengthened(factor), self.high.strengthened(factor))

    def _settings(self) -> tuple[dict[str, Any], dict[str, Any]]:
        low, high = self.low.settings(), self.high.settings()
        if low.keys() != high.keys():  # one of them stands at a default that is not written
            low, high = self.low.settings(full=True), self.high.settings(full=True)
        return low, high

    @property
    def parameters(self) -> dict[str, Any]:
        """A range as its two ends."""
        low, high = self.low.parameters, self.high.parameters
        return {k: low[k] if low[k] == high[k] else [low[k], high[k]] for k in low}

    def __str__(self) -> str:
        low, high = self._settings()
        pairs = [
            f"{key}={setting_text(low[key])}"
            + ("" if low[key] == high[key] else f"..{setting_text(high[key])}")
            for key in low
        ]
        return self.name + (":" + ",".join(pairs) if pairs else "")


def _between(low: Any, high: Any, share: float) -> Any:
    if low == high:
        return low
    if isinstance(low, float):
        return low + share * (high - low)
    step = 2 if low % 2 and high % 2 else 1
    return low + step * min(int(share * ((high - low) // step + 1)), (high - low) // step)
