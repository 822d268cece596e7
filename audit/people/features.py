"""A face with an expression on it: the curves that shape and paint must agree on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from reid_audit.audit.people.curves import Array, bump, smoothstep
from reid_audit.audit.people.identity import Identity
from reid_audit.audit.people.picture import Nuisance


class EyeFrame(NamedTuple):
    """Eye coordinates: u = -1 at the inner corner, 1 at the outer; v above the axis, in cm."""

    u: Array
    v: Array
    upper: Array  # v of the upper lid
    lower: Array
    crease: Array


class MouthFrame(NamedTuple):
    """u = 0 in the middle, 1 at the corners; the rest are heights y, in cm."""

    u: Array
    upper_edge: Array
    upper_seam: Array
    lower_seam: Array
    lower_edge: Array


class BrowFrame(NamedTuple):
    """Eyebrow coordinates; heights and thickness in cm."""

    t: Array  # 0 at the inner end, 1 at the outer
    y: Array
    thickness: Array


@dataclass(frozen=True)
class Face:
    """A person with one picture's expression."""

    person: Identity
    mood: Nuisance

    @property
    def jaw_drop(self) -> float:
        """How far the open mouth lowers the chin, in cm."""
        return self.mood.mouth_open

    @property
    def parting(self) -> float:
        """Height of the gap between the lips."""
        grin = 0.22 * self.mood.smile * self.person.mouth.parts_when_smiling
        return 0.85 * self.mood.mouth_open + grin

    @property
    def mouth_width(self) -> float:
        """From the middle to a corner, in cm; a smile widens it."""
        return self.person.mouth.width * (1 + 0.17 * self.mood.smile - 0.06 * self.mood.mouth_open)

    @property
    def corner_lift(self) -> float:
        """How far the mouth's corners stand above its middle, in cm."""
        return self.person.mouth.corners + 0.62 * self.mood.smile

    @property
    def chin_y(self) -> float:
        """Height of the chin under this expression, in cm."""
        return self.person.skull.chin_y - self.jaw_drop

    def lowered(self, y: Array) -> Array:
        """Heights after the jaw has dropped."""
        mouth = self.person.mouth.y
        return y - self.jaw_drop * smoothstep(mouth, mouth - 1, y)

    def eye(self, x: Array, y: Array) -> EyeFrame:
        """Eye coordinates of points at `x`, `y` in cm, of any one shape; both eyes alike."""
        eyes, mood = self.person.eyes, self.mood
        u = (np.abs(x) - eyes.spacing) / eyes.width
        v = y - eyes.tilt * eyes.width * u - eyes.asymmetry * np.sign(x)
        arc = np.clip(1 - u * u, 0, 1)
        up = eyes.opening * (1 - mood.blink) * (1 + 0.2 * max(mood.brow_raise, 0))
        down = 0.34 * (1 - 0.35 * mood.smile) * (1 - 0.3 * mood.blink)
        upper = up * np.power(arc, 0.62) * (1 - 0.12 * u)
        lower = -down * np.power(arc, 0.8) * (1 + 0.22 * u)
        crease = upper + eyes.crease * np.clip(1 - 0.45 * u * u, 0.2, 1)
        return EyeFrame(u, v, upper, lower, crease)

    def mouth(self, x: Array) -> MouthFrame:
        """Mouth coordinates of points at `x` in cm."""
        mouth = self.person.mouth
        u = np.clip(np.abs(x) / self.mouth_width, 0, 1.3)
        arc = np.clip(1 - u * u, 0, 1)
        line = mouth.y + self.corner_lift * 0.85 * u * u - 0.1 * arc
        upper_seam = line + 0.12 * self.parting * arc
        lower_seam = line - self.parting * np.power(arc, 0.7)
        bow = 1 - 2 * mouth.cupid * bump(x, 0.35) + 0.12 * bump(np.abs(x) - 0.55, 0.3)
        upper = mouth.upper * (1 - 0.25 * self.mood.smile) * np.power(arc, 0.8) * bow
        below = np.clip(1 - np.square(1.12 * u), 0, 1)
        lower = mouth.lower * (1 - 0.15 * self.mood.smile) * np.power(below, 0.75)
        return MouthFrame(u, upper_seam + upper, upper_seam, lower_seam, lower_seam - lower)

    def brow(self, x: Array) -> BrowFrame:
        """Eyebrow coordinates of points at `x` in cm; both brows alike."""
        brows = self.person.brows
        reach = self.person.eyes.spacing + 2.1 - brows.inner
        t = (np.abs(x) - brows.inner) / reach
        arch = brows.arch * (1 - np.square((t - 0.62) / 0.62))
        y = brows.height + 0.25 + self.mood.brow_raise + arch + 2 * brows.tilt * (t - 0.5)
        y = y + brows.asymmetry * np.sign(x) - 0.36 * np.clip(t - 0.6, 0, 1)
        taper = np.clip(1.05 - 0.1 * t - 1.2 * np.power(np.clip(t - 0.55, 0, 1), 1.2), 0.2, 1)
        ends = smoothstep(-0.08, 0.1, t) * (1 - smoothstep(0.92, 1.05, t))
        return BrowFrame(t, y, brows.thickness * taper * ends)

    def laugh_line(self, x: Array, y: Array, width: float) -> Array:
        """The fold from the nose's wing to the mouth's corner."""
        middle = 1.75 - 0.42 * (y + 4.4) + 0.25 * self.mood.smile
        span = smoothstep(-8.3, -6.6, y) * (1 - smoothstep(-4.9, -4.2, y))
        return bump(np.abs(x) - middle, width) * span
