"""Ears, neck, shoulders and glasses."""

from __future__ import annotations

import numpy as np

from reid_audit.audit.people.curves import Array, bump, mix, smoothstep
from reid_audit.audit.people.features import Face
from reid_audit.audit.people.identity import Identity
from reid_audit.audit.people.mesh import Part, Patch, patch, unit
from reid_audit.audit.people.shape import Loft


def _grid(rows: Array, columns: Array) -> tuple[Array, Array]:
    first, second = np.meshgrid(rows, columns, indexing="ij")
    return first.astype(np.float32), second.astype(np.float32)


def ears(person: Identity, skull: Loft) -> list[Patch]:
    """Both ears, `(11, 29)` points each: ovals with a rim, a fold and a lobe, beside the skull."""
    radius, turn = _grid(np.linspace(0, 1, 11), np.linspace(0, 2 * np.pi, 29))
    u, v = radius * np.cos(turn), radius * np.sin(turn)
    size = person.ears.size
    rim = 0.4 * bump(radius - 0.86, 0.11) * smoothstep(-0.9, -0.6, v)
    bowl = -0.7 * bump(u - 0.05, 0.42) * bump(v + 0.1, 0.45)
    fold = 0.22 * bump(radius - 0.58, 0.1) * (u < 0.2) * (v > -0.2)
    relief = rim + bowl + fold + 0.25 * bump(u - 0.75, 0.2) * bump(v + 0.15, 0.2)
    taper = 1 - 0.25 * smoothstep(0, -1, v)  # the lobe is narrower than the top
    out = skull.width_at(-1.0) - 0.3 + person.ears.protrusion * (0.5 - 0.5 * u) + relief
    y = -0.9 + 3.0 * size * v
    z = -0.3 + u * taper * (1.5 + 0.25 * v) * size - 0.35 * v
    openness = np.clip(0.78 + 0.8 * relief, 0.25, 1.05)
    return [patch(Part.EAR, side * out, y, z, openness=openness, closed=False) for side in (-1, 1)]


def neck(person: Identity) -> Patch:
    """The neck `(30, 44)` from below the skull to under the collar, with its tendons."""
    y, angle = _grid(np.linspace(-1.5, -21, 30), np.linspace(-np.pi, np.pi, 44))
    down = (-5.5 - y) / 14.5
    # Narrowest in the middle, spreading into the shoulders.
    width = person.skull.neck * (0.84 + 0.16 * smoothstep(-1.5, -7, y))
    width = (
        width * (1 - 0.05 * bump(y + 12, 2.5)) * (1 + 0.6 * np.square(smoothstep(0.35, 0.95, down)))
    )
    tendon = 0.22 * bump(np.abs(angle) - 0.45 - 0.3 * (1 - down), 0.12) * smoothstep(0.1, 0.5, down)
    apple = 0.0 if person.feminine else 0.25
    x = width * np.sin(angle)
    z = -1.9 + (width + 0.1 - 1.3 * down) * np.cos(angle) + tendon
    z = z + apple * bump(y + 13.4, 0.9) * bump(angle, 0.12)
    return patch(
        Part.NECK,
        x,
        y,
        z,
        angle=angle,
        openness=np.clip(0.5 + 0.5 * smoothstep(0, 0.6, down), 0, 1),
    )


def shoulders(person: Identity, collar: float) -> Patch:
    """The garment `(24, 48)` from the neck's hole outwards; `collar`, 0 to 1, is how low its
    neckline lies."""
    out, angle = _grid(np.linspace(0, 1, 24), np.linspace(-np.pi, np.pi, 48))
    hole = person.skull.neck * 1.2 + 0.4
    breadth = 19.5 - 2.5 * person.feminine
    y = -13.9 - 0.8 * collar - 3.2 * out - 12 * out**3
    x = (hole + (breadth - hole) * np.power(np.clip(1.05 * out, 0, 1), 0.85)) * np.sin(angle)
    z = -2.3 + (0.95 * hole + 4.5 * out) * np.cos(angle) - 1.2 * out
    y = y - 1.6 * np.clip(np.cos(angle), 0, 1) * (1 - out) * collar
    return patch(Part.CLOTH, x, y, z, angle=angle, openness=np.clip(0.75 + 0.3 * out, 0, 1))


def glasses(face: Face, bridge_z: float) -> list[Patch]:
    """Two rims, two temples and a bridge, as tubes."""
    frame = face.person.glasses
    centre, lens_z = 3.35, bridge_z + 1.2
    turn = np.linspace(0, 2 * np.pi, 50, dtype=np.float32)
    cosine, sine = np.cos(turn), np.sin(turn)
    power = 2 / frame.squareness
    rim_x = frame.width * np.sign(cosine) * np.abs(cosine) ** power
    rim_y = frame.height * np.sign(sine) * np.abs(sine) ** power - 0.25
    along = np.linspace(0, 1, 20, dtype=np.float32)
    hinge = centre + frame.width
    curve = 0.045  # the front bends back towards the temples
    paths = []
    for side in (-1, 1):
        x = side * (centre + rim_x)
        paths.append(np.stack([x, rim_y, lens_z - curve * x * x], 1))
        x = side * (hinge + (7.6 - hinge) * np.minimum(1, 2.2 * along))
        z = mix(np.full_like(along, lens_z - curve * hinge**2), -1.5, along)
        paths.append(np.stack([x, np.full_like(along, 0.55), z], 1))
    across = np.linspace(-1, 1, 12, dtype=np.float32)
    gap = centre - frame.width + 0.05
    level = np.full_like(across, lens_z)
    paths.append(np.stack([gap * across, 0.55 - 0.2 * across**2, level], 1))
    return [_tube(path, frame.rim) for path in paths]


def _tube(path: Array, radius: float) -> Patch:
    """A tube `(N, 7)` round a path `(N, 3)`."""
    direction = unit(np.gradient(path, axis=0))
    first = unit(np.cross(direction, np.asarray([0.1, 0.2, 1], np.float32)))
    second = np.cross(direction, first)
    turn = np.linspace(0, 2 * np.pi, 7, dtype=np.float32)[None, :, None]
    normal = np.cos(turn) * first[:, None] + np.sin(turn) * second[:, None]
    x, y, z = np.moveaxis(path[:, None] + radius * normal, -1, 0)
    return patch(Part.FRAME, x, y, z, normal=normal, closed=False)
