"""Hair: a shell over the skull above the hairline, a curtain that hangs, loose strands."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d

from reid_audit.audit.people.curves import Array, bump, mix, noise, smoothstep
from reid_audit.audit.people.identity import Identity
from reid_audit.audit.people.mesh import Part, Patch, patch, unit
from reid_audit.audit.people.shape import Loft

LONG = frozenset({"long", "bob", "wavy"})
PARTED = frozenset({"side", "long", "wavy", "bob", "medium"})
CROPPED = frozenset({"buzz", "bald"})


class Cut(NamedTuple):
    """Thickness on top and at the sides, recess at the temples, unevenness (cm), strand rows."""

    top: float
    side: float
    recess: float
    rough: float
    strand: int


_CUTS = {
    "long": Cut(1.1, 0.8, 0.1, 0.12, 9),
    "bob": Cut(1.1, 1.1, 0.1, 0.1, 9),
    "updo": Cut(0.7, 0.4, 0.1, 0.06, 5),
    "wavy": Cut(1.2, 1.0, 0.1, 0.35, 9),
    "short": Cut(0.9, 0.42, 0.5, 0.14, 5),
    "side": Cut(1.2, 0.45, 0.6, 0.12, 7),
    "buzz": Cut(0.2, 0.14, 0.5, 0.0, 2),
    "quiff": Cut(1.7, 0.38, 0.6, 0.2, 6),
    "curly": Cut(1.7, 1.1, 0.3, 0.4, 5),
    "medium": Cut(1.3, 1.0, 0.3, 0.2, 9),
    "receding": Cut(0.5, 0.35, 2.1, 0.1, 4),
    "bald": Cut(0.0, 0.0, 4.5, 0.0, 0),
}


def hairline(person: Identity, angle: Array) -> Array:
    """Height at which hair begins, at each angle round the head (0 = front)."""
    hair, turn = person.hair, np.abs(angle)
    top, recess = hair.line_y, _CUTS[hair.style].recess
    nape = {1.75: 2.5, 2.0: -1.5, 2.5: -5.2, 3.15: -5.6}
    if hair.style == "bald":
        knots = {0: 14.0, 0.8: 13, 1.1: 9, 1.28: 3, 1.42: 2.5, **nape}
    elif person.feminine:
        knots = {0: top + 0.1, 0.3: top, 0.55: top - 0.45, 0.8: top - 1.5, 1.0: 4.3, 1.15: 2.4}
        knots |= {1.28: 0.6, 1.42: 0.4, **nape}
    else:
        sideburn = -1.6 if hair.style == "medium" else -0.6
        knots = {0: top, 0.35: top + 0.6 * recess, 0.7: top + recess - 0.3}
        knots |= {0.95: 5.2 + 0.5 * recess, 1.12: 3.4, 1.28: sideburn, 1.42: sideburn, **nape}
    curve = PchipInterpolator(list(knots), list(knots.values()))
    line: Array = curve(turn).astype(np.float32)
    from_parting = angle - hair.parting
    if hair.fringe and hair.style in LONG | {"short", "side", "medium"}:
        slope = 0.15 if hair.style == "bob" else 0.5
        ends = 8 * smoothstep(0.95, 1.15, turn)
        line = np.minimum(line, hair.fringe_y + slope * np.abs(from_parting) + ends)
    elif hair.style in PARTED:
        swept = from_parting * np.sign(hair.parting) < 0
        fall = np.where(swept, hair.sweep, 0.5) * smoothstep(0.15, 0.85, np.abs(from_parting))
        line = line - fall * smoothstep(1.3, 1.0, turn) + 0.5 * bump(from_parting, 0.12)
    return line


def patches(person: Identity, skull: Loft) -> list[Patch]:
    """Everything made of hair but brows and beard, which are painted."""
    if person.hair.style == "bald":
        return []
    shell, cover = _shell(person, skull)
    made = [shell, _loose(person, shell, cover)]
    if person.hair.style in LONG | {"medium"}:
        curtain = _curtain(person)
        made += [curtain, _hanging(person, curtain)]
    if person.hair.style == "updo":
        made.append(_bun(person))
    return made


def _shell(person: Identity, skull: Loft) -> tuple[Patch, Array]:
    """The hair on the skull, and how far each point lies above the hairline."""
    hair, cut = person.hair, _CUTS[person.hair.style]
    style, texture = hair.style, person.skin.texture
    top, side = cut.top * hair.volume, cut.side * hair.volume
    turn = np.linspace(-1, 1, 116, dtype=np.float32)
    angles = np.pi * (0.6 * turn + 0.4 * turn**3)
    peak = skull.crown + top
    heights = np.concatenate(
        [
            4 + (peak - 4) * np.cos(np.linspace(0, np.pi / 2, 38)),
            np.linspace(4, -7.5, 44)[1:],
        ]
    ).astype(np.float32)
    y, angle = np.meshgrid(heights, angles, indexing="ij")
    locks = noise(2, angle * 26 + texture, y * 0.5 + texture)
    cover = y - hairline(person, angle) + 0.2 * locks
    from_parting = angle - hair.parting

    thick = mix(np.full_like(y, side), top, smoothstep(1, 8, y))
    ramp, roundness = 3.0, 0.72  # how the thickness grows away from the hairline
    if style == "quiff":
        thick, ramp, roundness = thick * (1 + 0.5 * np.cos(angle) * smoothstep(6, 9, y)), 1.4, 0.5
    elif style == "curly":
        curls = noise(5, angle * 22 + texture, y * 2.4)
        curls = curls + 0.6 * noise(2, angle * 22, y * 2.2 + texture)
        thick, ramp = thick + cut.rough * curls * smoothstep(0, 3, cover), 2.4
    elif style == "wavy":
        wave = np.sin(y * 1.1 + 3 * np.sin(angle * 2 + texture) + noise(5, angle * 9, y * 3))
        thick = thick + cut.rough * smoothstep(1, 5, cover) * wave
    elif style == "buzz":
        ramp = 0.9
    if hair.fringe:
        ramp = 1.4
    thick = thick + 0.7 * cut.rough * locks
    if style in PARTED:
        thick = thick - 0.45 * top * bump(from_parting, 0.07) * (np.cos(angle) > 0)
    lift = (thick + 0.06) * np.power(np.clip(cover / ramp, 0, 1), roundness) - 0.06
    lift = lift + 0.9 * np.minimum(cover, 0)  # below the hairline the shell dives into the skin

    squeezed = np.where(y > 4, 4 + (y - 4) * (skull.crown - 4) / (peak - 4), y)
    x, z = skull.surface(angle, squeezed)
    above = np.maximum(squeezed - 3, 0)
    grow = lift / (np.sqrt(x * x + z * z + above * above) + 1e-3)
    openness = np.clip(0.78 + 0.25 * smoothstep(0, 1.4, cover) + 0.1 * locks, 0.35, 1.1)
    shell = patch(
        Part.HAIR,
        x * (1 + grow),
        squeezed + above * grow,
        z * (1 + grow),
        angle=angle,
        along=y,
        openness=openness,
        keep=cover > -0.8,
    )
    return shell, cover


def _curtain(person: Identity) -> Patch:
    hair, texture = person.hair, person.skin.texture
    bottom = {"bob": -8.5, "medium": -4.5}.get(hair.style, min(hair.length, -11))
    opening = 1.35 if hair.style == "medium" else 1.18
    y, angle = np.meshgrid(
        np.linspace(6.5, bottom, 34, dtype=np.float32),
        np.linspace(opening, 2 * np.pi - opening, 64, dtype=np.float32),
        indexing="ij",
    )
    down = (6.5 - y) / (6.5 - bottom)
    locks = noise(2, angle * 20 + texture, y * 0.4 + 200)
    width = person.skull.width + 0.75 * hair.volume + 0.5 * smoothstep(0, 0.6, down) + 0.16 * locks
    if hair.style == "wavy":
        wave = np.sin(y * 0.95 + 2 * np.sin(3 * angle) + texture)
        width = width + 0.4 * wave * smoothstep(0, 0.4, down)
    tuck = 0.9 if hair.style == "bob" else 0.3
    width = width * (0.86 + 0.14 * smoothstep(6.5, 3, y))
    width = width - tuck * np.square(smoothstep(0.7, 1, down))
    forward = np.where(np.cos(angle) > 0, 0.9, 1)
    z = -0.6 + (9.6 + 0.1 * locks) * np.cos(angle) * forward + 0.25 * locks
    return patch(
        Part.CURTAIN,
        width * np.sin(angle),
        y + 0.6 * locks * smoothstep(0.8, 1, down),
        z,
        angle=angle,
        along=y,
        openness=np.clip(0.95 - 0.35 * smoothstep(0, 0.9, down) + 0.12 * locks, 0.3, 1.1),
        closed=False,
    )


def _bun(person: Identity) -> Patch:
    polar, turn = np.meshgrid(
        np.linspace(0, np.pi, 22, dtype=np.float32),
        np.linspace(-np.pi, np.pi, 34, dtype=np.float32),
        indexing="ij",
    )
    radius = 3 * person.hair.volume + 0.2 * np.sin(9 * turn + 3 * polar)
    return patch(
        Part.HAIR,
        radius * np.sin(polar) * np.sin(turn),
        person.skull.top + 0.8 + 0.85 * radius * np.cos(polar),
        -4 + radius * np.sin(polar) * np.cos(turn),
        angle=turn,
        along=3 * polar,
        openness=np.full_like(turn, 0.9),
    )


def _loose(person: Identity, shell: Patch, cover: Array) -> Patch:
    """Short strands that break up the outline and the hairline."""
    cut = _CUTS[person.hair.style]
    unruly = person.hair.style in {"curly", "wavy"}
    return _strands(
        person, shell, cover, count=700, length=cut.strand, drift=1.9, lift=0.13, wavy=unruly
    )


def _hanging(person: Identity, curtain: Patch) -> Patch:
    wavy = person.hair.style == "wavy"
    everywhere = np.full_like(curtain.angle, 1.0)
    return _strands(
        person, curtain, everywhere, count=220, length=15, drift=1.9, lift=0.2, wavy=wavy
    )


def _strands(
    person: Identity,
    sheet: Patch,
    cover: Array,
    *,
    count: int,
    length: int,
    drift: float,
    lift: float,
    wavy: bool,
) -> Patch:
    """Thin ribbons that start on a sheet of hair and run down it, lifting off towards the tip."""
    rng = np.random.default_rng(np.random.SeedSequence([person.seed, 5, int(sheet.part)]))
    rows, columns = sheet.angle.shape
    points = 7
    t = np.linspace(0, 1, points, dtype=np.float32)
    row = rng.integers(2, rows - 3, count)
    column = rng.integers(3, columns - 3, count)
    grown = cover[row, column] > 0.12
    row, column = row[grown, None], column[grown, None]
    run = length * rng.uniform(0.6, 1.3, row.shape)
    side = rng.normal(0, drift, row.shape) * t**1.5
    across = np.clip(column + side, 1, columns - 2).astype(np.intp)
    down = np.clip(row + run * t, 0, rows - 1).astype(np.intp)
    run = run * np.cumprod(cover[down, across] > -0.25, 1).mean(1, keepdims=True)  # stop at skin
    down = np.clip(row + run * t, 0, rows - 1).astype(np.intp)

    base, normal = sheet.position[down, across], sheet.normal[down, across]
    outward = np.sum(normal * (base - np.asarray([0, 1, 0], np.float32)), -1, keepdims=True)
    normal = normal * np.sign(outward)
    rise = 0.03 + np.abs(rng.normal(0, lift, row.shape)) * t**1.3
    if wavy:
        rise = rise + 0.1 * np.sin(9 * t + rng.uniform(0, 6, row.shape))
    rise = rise - 0.85 * np.clip(cover[down, across], -0.5, 0)  # the sheet dives there
    path = base + normal * rise[..., None].astype(np.float32)
    path = gaussian_filter1d(path, 1, axis=1)
    edge = unit(np.cross(np.gradient(path, axis=1), normal))
    edge = edge * (0.08 * (1 - 0.6 * t))[None, :, None]

    def ribbon(left: Array, right: Array) -> Array:
        """One grid for all ribbons: each is `points` rows, then one row that is cut away."""
        pair = np.stack([left, right], 2)
        pair = np.concatenate([pair, pair[:, -1:]], 1)
        return pair.reshape(-1, *pair.shape[2:])

    position = ribbon(path - edge, path + edge)
    shade = sheet.angle[down, across] + rng.normal(0, 0.5, row.shape).astype(np.float32)
    openness, along = sheet.openness[down, across], sheet.along[down, across]
    keep = np.ones((len(row), points + 1, 2), bool)
    keep[:, -1] = False
    return patch(
        sheet.part,
        position[..., 0],
        position[..., 1],
        position[..., 2],
        normal=ribbon(normal, normal),
        angle=ribbon(shade, shade),
        along=ribbon(along, along),
        openness=ribbon(openness, openness),
        closed=False,
        keep=keep.reshape(-1, 2),
    )
