"""The head: a skull lofted from cross-sections, with the features displaced out of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from reid_audit.audit.people.curves import Array, box, bump, smoothstep
from reid_audit.audit.people.features import Face
from reid_audit.audit.people.mesh import Part, Patch, patch

_CROWN_Y = 4.0  # the cross-sections below, a dome above
_STEP = 0.1  # of the table of cross-sections


@dataclass(frozen=True)
class Loft:
    """Cross-sections of a skull: superellipses with their own width, front and back."""

    heights: Array
    width: Array
    front: Array
    back: Array
    centre: Array
    crown: float
    chin_y: float

    def width_at(self, y: float) -> float:
        """Half width of the skull at a height, both in cm."""
        return float(np.interp(y, self.heights, self.width))

    def surface(self, angle: Array, y: Array) -> tuple[Array, Array]:
        """x and z of the bare skull at an angle (0 = front) and a height."""
        inside = np.clip(y, self.chin_y - 0.5, _CROWN_Y)
        width, front, back, centre = (
            np.interp(inside, self.heights, table).astype(np.float32)
            for table in (self.width, self.front, self.back, self.centre)
        )
        above = np.clip((y - _CROWN_Y) / (self.crown - _CROWN_Y), 0, 1)
        below = np.clip((self.chin_y + 0.55 - y) / 1.05, 0, 1)
        round_off = np.power(1 - np.power(above, 2.3), 1 / 2.3)
        round_off = round_off * np.power(1 - np.power(below, 2.2), 1 / 2.2)
        middle = np.where(y < 0, centre + (1 - round_off) * 2.5, centre)
        cosine = np.cos(angle)
        # Behind the jaw the neck's muscles draw in.
        behind = 1 - 0.2 * smoothstep(-2, -6, y) * smoothstep(0, -0.5, cosine)
        x = width * round_off * np.sin(angle) * behind
        reach = np.where(
            cosine > 0,
            (front - middle) * np.power(np.abs(cosine), 0.93),
            (back - middle) * np.abs(cosine),
        )
        return x, middle + reach * round_off


def loft(face: Face) -> Loft:
    """The cross-sections of a face's skull, its jaw dropped as the expression wants."""
    skull = face.person.skull
    chin = skull.chin_y
    cheek, jaw, flesh = skull.cheek_width, skull.jaw_width, skull.flesh
    at = face.lowered(
        np.asarray([4, 2, 0, -2, -4, -6, -8, chin + 1.7, chin + 0.8, chin - 0.5], np.float32)
    )
    stations = {
        "width": (
            skull.width,
            skull.width * 0.99,
            skull.width * 0.4 + cheek * 0.62,
            cheek + 0.1,
            (cheek + jaw) / 2 + 0.2 + flesh * 0.6,
            jaw + 0.2 + flesh,
            skull.low_jaw_width + 0.45 + flesh,
            skull.chin_width + 1.05 + flesh * 0.6,
            skull.chin_width + 0.45,
            skull.chin_width - 0.5,
        ),
        "front": (
            9.5 + skull.forehead * 0.5,
            9.5,
            9.1,
            9.15,
            9.25,
            9.35,
            9.2,
            8.9 + skull.chin_depth * 0.5,
            8.95 + skull.chin_depth,
            8.6 + skull.chin_depth,
        ),
        "back": (-9.5, -9.3, -8.9, -8.3, -6.9, -4.2, -1.6, 0.5, 2.0, 3.2),
        "centre": (-0.5, 0, 0.3, 0.5, 0.6, 0.8, 1.2, 2.4, 3.4, 4.2),
    }
    order = np.argsort(at)
    at = at[order]
    heights = np.arange(face.chin_y - 2.5, 6.5, _STEP, dtype=np.float32)
    inside = np.clip(heights, at[0], _CROWN_Y)
    table = PchipInterpolator(at, np.stack(list(stations.values()), 1)[order])(inside)
    smooth = gaussian_filter1d(table, 0.7 / _STEP, axis=0).astype(np.float32)
    width, front, back, centre = smooth.T
    return Loft(heights, width, front, back, centre, skull.top, face.chin_y)


def head(face: Face, skull: Loft) -> Patch:
    """The skin of the head; finer towards the front, where the features are."""
    turn = np.linspace(-1, 1, 136, dtype=np.float32)
    angles = np.pi * (0.42 * turn + 0.58 * np.sign(turn) * np.abs(turn) ** 3)
    dome = _CROWN_Y + (skull.crown - _CROWN_Y) * np.cos(np.linspace(0, np.pi / 2, 22))
    low = -9.2 - face.jaw_drop
    heights = np.concatenate(
        [
            dome,
            np.linspace(_CROWN_Y, low, 100)[1:],
            np.linspace(low, skull.chin_y - 0.5, 12)[1:],
        ]
    ).astype(np.float32)
    y, angle = np.meshgrid(heights, angles.astype(np.float32), indexing="ij")
    x, z = skull.surface(angle, y)
    front = smoothstep(0.05, 0.45, np.cos(angle))
    relief = _brow_ridge(face, x, y) + _eyes(face, x, y) + _cheeks(face, x, y)
    relief = relief + _nose(face, x, y) + _mouth(face, x, y) + _chin(face, x, y)
    z = z + relief * front
    x = x + face.person.skull.jaw_shift * smoothstep(-1, -10, y) * front
    # A point is as open as it stands out from its surroundings.
    folds = 0.42 * np.clip(gaussian_filter(z, 3.3) - z, -0.1, 1.2)
    folds = folds + 0.15 * np.clip(gaussian_filter(z, 1.2) - z, -0.1, 0.6)
    return patch(Part.FACE, x, y, z, angle=angle, along=y, openness=np.clip(1 - folds, 0.25, 1.08))


def _brow_ridge(face: Face, x: Array, y: Array) -> Array:
    skull, ax = face.person.skull, np.abs(x)
    ridge = skull.brow_ridge * bump(y - face.person.brows.height + 0.05, 0.55)
    relief = ridge * bump(ax - 2.6, 1.9) + 0.15 * bump(y - 1.9, 0.5) * bump(x, 1.2)
    relief = relief + 0.5 * skull.forehead * bump(y - 5.5, 1.6) * bump(x, 3.5)
    return relief - 0.35 * bump(ax - 6.4, 1) * bump(y - 3, 1.8)  # temples


def _eyes(face: Face, x: Array, y: Array) -> Array:
    eyes, age, ax = face.person.eyes, face.person.age, np.abs(x)
    e = face.eye(x, y)
    relief = -(eyes.depth + 0.2) * bump(ax - eyes.spacing + 0.05, 1.6) * bump(y - 0.15, 1.05)
    relief = relief - 0.2 * bump(ax - 1.5, 0.6) * bump(y - 0.45, 0.8)
    ball = (np.square(ax - eyes.spacing) + np.square(e.v)) / 1.5**2
    relief = relief + 0.62 * np.power(np.clip(1 - ball, 0, 1), 0.8)
    inside = np.minimum(e.upper - e.v, e.v - e.lower)
    lids = smoothstep(0.05, -0.08, inside) * smoothstep(-0.75, -0.12, inside)
    relief = relief + 0.13 * lids * smoothstep(1.2, 0.9, np.abs(e.u))
    fold = bump(e.v - e.crease, 0.12) * (np.abs(e.u) < 1.1)
    relief = relief - 0.14 * fold * (1 - min(eyes.hood, 1))
    relief = relief + 0.35 * eyes.hood * bump(e.v - e.crease - 0.3, 0.35) * bump(e.u - 0.25, 0.8)
    pouch = 0.12 * (0.5 + age + 0.6 * face.mood.smile)
    relief = relief + pouch * bump(e.v - e.lower + 0.55, 0.3) * bump(e.u, 0.7)
    trough = 0.1 + 0.14 * age
    return relief - trough * bump(e.v + 1.35 + 0.25 * e.u, 0.22) * bump(e.u + 0.25, 0.65)


def _cheeks(face: Face, x: Array, y: Array) -> Array:
    skull, mood, ax = face.person.skull, face.mood, np.abs(x)
    relief = skull.cheekbone * bump(ax - 4.6, 1.3) * bump(y - skull.cheekbone_y, 1.1)
    relief = relief + (0.8 * skull.flesh + 0.2) * bump(ax - 3.7, 1.5) * bump(y + 5.6, 1.8)
    relief = relief + 0.5 * mood.smile * bump(ax - 3.9, 1.05) * bump(y + 3.7, 0.9)
    depth = 0.08 + 0.22 * mood.smile + 0.18 * face.person.age
    return relief - depth * face.laugh_line(x, y, 0.32)


def _nose(face: Face, x: Array, y: Array) -> Array:
    nose, ax = face.person.nose, np.abs(x)
    tip = nose.tip_y
    knots = {
        tip - 1.95: 0.0,
        tip - 1.25: 0.25,
        tip - 0.92: 0.8,
        tip - 0.5: nose.projection * 0.8,
        tip + nose.upturn * 0.4: nose.projection + 0.5 * nose.tip,
        tip + 1.0: nose.projection * 0.88,
        tip + 2.2: nose.projection * 0.62 + nose.hump + 0.1 * nose.bridge,
        -0.4: nose.bridge * 0.75 + 0.25 + 0.4 * nose.hump,
        0.5: nose.bridge * 0.55,
        1.5: 0.0,
    }
    ridge = PchipInterpolator(list(knots), list(knots.values()))
    height = ridge(np.clip(y, tip - 1.95, 1.5)).astype(np.float32)
    off = x - nose.bend * bump(y - tip - 1, 1.8)
    back = nose.width * (0.85 + 0.3 * smoothstep(-1.5, tip, y))
    flank = (1 + 0.5 * smoothstep(0, tip + 0.4, y)) * nose.wing
    relief: Array = height * (
        0.6 * np.exp(-np.square(off / back)) + 0.4 * np.exp(-np.square(off / flank))
    )
    relief = relief + nose.tip * bump(off, 0.6) * bump(y - tip - 0.05, 0.55)
    wings = box(ax - nose.wing, 0.55) * box(y - tip + 0.5, 0.62)
    relief = gaussian_filter(relief + 0.8 * wings, 1.3)
    relief = relief - 0.4 * bump(ax - 0.55 * nose.wing, 0.28) * bump(y - tip + 1.03, 0.18)
    return relief - 0.16 * bump(ax - nose.wing - 0.68, 0.22) * bump(y - tip + 0.5, 0.55)


def _mouth(face: Face, x: Array, y: Array) -> Array:
    tip, middle, ax = face.person.nose.tip_y, face.person.mouth.y, np.abs(x)
    m = face.mouth(x)
    inside = m.u < 1
    relief = 0.3 * bump(x, 2.4) * bump(y - middle, 1.5)
    thick, full = m.upper_edge - m.upper_seam, m.lower_seam - m.lower_edge
    up = np.clip((y - m.upper_seam) / (thick + 1e-3), 0, 1)
    down = np.clip((m.lower_seam - y) / (full + 1e-3), 0, 1)
    relief = relief + inside * 0.6 * np.sin(np.pi * np.power(up, 0.8)) * thick * (up < 1)
    relief = relief + inside * 0.65 * np.sin(np.pi * np.power(down, 0.8)) * full * (down < 1)
    gap = np.minimum(m.upper_seam - y, y - m.lower_seam)
    relief = relief - 0.9 * smoothstep(0, 0.12, gap) * inside
    relief = relief - 0.16 * bump(y - m.upper_seam, 0.1) * (m.u < 1.02)
    corner = bump(ax - face.mouth_width - 0.1, 0.25) * bump(
        y - middle - 0.8 * face.corner_lift, 0.3
    )
    groove = smoothstep(middle + 0.5, middle + 0.9, y) * smoothstep(tip - 1.2, tip - 1.6, y)
    return relief - 0.2 * corner - 0.12 * bump(x, 0.22) * groove


def _chin(face: Face, x: Array, y: Array) -> Array:
    skull = face.person.skull
    dip, ball = face.lowered(
        np.asarray([face.person.mouth.y - 1.75, skull.chin_y + 1.2], np.float32)
    ).tolist()
    relief = -0.32 * bump(y - dip, 0.35) * bump(x, 1.6)
    relief = relief + (0.45 + 0.4 * skull.chin_depth) * bump(x, 1.5) * bump(y - ball, 0.8)
    return relief - 1.3 * skull.cleft * bump(x, 0.3) * bump(y - ball, 0.6)
