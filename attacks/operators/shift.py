"""A face that a recogniser takes for somebody else's: the anonymiser that is trained here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any, ClassVar

import numpy as np

from reid_audit.attacks.operators.base import Nature, Operator, require
from reid_audit.attacks.pictures import Picture

ENGINE = "reid_audit.attacks.shift.picture:shift"
"""By name: it needs networks and recognisers, which lie above operators."""


@dataclass(frozen=True)
class IdentityShift(Operator):
    """The face changed until dlib's recogniser sees another identity; pose, expression and
    surroundings stay. For testing attacks on replaced faces, not for protecting anybody.

    Without `key` everybody is moved as far as can be, to the opposite of their own direction from
    the mean face; a key turns by right angles, in ways that follow from it. `steps` is how often
    the face is changed a little further, and `strength` the share of the change that is made in the
    end: more of it moves farther, and the face looks less like one. With `diffusion`, a blur in
    face widths, the changed face is blurred so far and its detail drawn anew by the diffusion model
    of `revelio`. `weights` is a folder that `reid-audit train identity-shift` wrote. Only what lies
    in the region is changed; a region in which no face is found is taken for the box of a face.
    """

    name: ClassVar[str] = "identity-shift"
    family: ClassVar[str] = "generative"
    nature: ClassVar[Nature] = Nature.NONLINEAR

    key: int | None = None
    steps: int = 8
    strength: float = 0.8
    diffusion: float = 0.0
    weights: str | None = None

    def __post_init__(self) -> None:
        require(
            1 <= self.steps <= 100, f"identity-shift: steps must lie in 1..100, not {self.steps}."
        )
        require(
            0 < self.strength <= 1,
            f"identity-shift: strength must lie in 0..1, not {self.strength:g}.",
        )
        require(
            self.diffusion == 0 or 0.01 <= self.diffusion <= 0.25,
            "identity-shift: diffusion must be 0 or lie in 0.01..0.25 face widths, not "
            f"{self.diffusion:g}.",
        )

    @property
    def random(self) -> bool:  # type: ignore[override]
        """Whether detail is drawn."""
        return self.diffusion > 0

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """The whole region as the box.

        Raises:
            MissingWeights: those of the network or of dlib's recogniser are not there.
        """
        return self.apply_in(picture, (0, 0, picture.shape[1], picture.shape[0]), rng)

    def apply_in(self, picture: Picture, box: Sequence[int], rng: np.random.Generator) -> Picture:
        """The face in the box, found with the help of what lies around it."""
        engine: Callable[..., Any] = resolve_name(ENGINE)
        changed: Picture = engine(
            picture, box, rng, self.key, self.steps, self.strength, self.diffusion, self.weights
        )
        return changed
