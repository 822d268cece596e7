"""Colour: skin, eyes, brows, lips, beard and hair, painted per visible point.

Painting happens in the face's own coordinates (before the head turns), so a mole stays where it
is while pose and expression change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_audit.audit.people.curves import Array, Colour, box, bump, linear, mix, noise, smoothstep
from reid_audit.audit.people.features import EyeFrame, Face
from reid_audit.audit.people.hair import CROPPED, hairline
from reid_audit.audit.people.identity import Identity

_TONES: tuple[Colour, ...] = (
    (214, 172, 150),
    (201, 154, 125),
    (180, 129, 97),
    (134, 88, 62),
    (84, 56, 44),
)


@dataclass
class Paint:
    """Surface properties of N points; painters lay one coat over another."""

    albedo: Array  # (N, 3), linear light
    specular: Array  # (N,)
    gloss: Array  # (N,), exponent of the highlight
    emission: Array  # (N,), the catch light in the eyes

    @classmethod
    def plain(cls, count: int, colour: Array, specular: float, gloss: float = 16) -> Paint:
        """`count` points of one linear-light colour `(3,)`, which do not shine by themselves."""
        return cls(
            albedo=np.tile(colour.astype(np.float32), (count, 1)),
            specular=np.full(count, specular, np.float32),
            gloss=np.full(count, gloss, np.float32),
            emission=np.zeros(count, np.float32),
        )

    def shade(self, where: NDArray[np.intp], factor: Array) -> None:
        """Multiply the albedo by a factor per point `(N,)` or per point and channel `(N, 3)`."""
        self.albedo[where] *= factor if factor.ndim == 2 else factor[:, None]

    def cover(
        self, where: NDArray[np.intp], colour: Array, opacity: Array, specular: float | None = None
    ) -> None:
        """Lay a colour, `(3,)` or `(N, 3)`, over the albedo."""
        self.albedo[where] = mix(self.albedo[where], colour, opacity[:, None])
        if specular is not None:
            self.specular[where] = mix(self.specular[where], specular, opacity)


@dataclass(frozen=True)
class Points:
    """Visible points of the face at rest."""

    x: Array
    y: Array
    angle: Array

    def where(self, mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], Points]:
        """Indices `(K,)` of the points that the mask `(N,)` picks, and these points."""
        index = np.flatnonzero(mask)
        return index, Points(self.x[index], self.y[index], self.angle[index])


def skin_tone(person: Identity) -> Array:
    """Linear-light colour `(3,)` of clean skin."""
    skin = person.skin
    tones = np.stack([linear(tone) for tone in _TONES])
    at = skin.melanin * (len(_TONES) - 1)
    low = min(int(at), len(_TONES) - 2)
    tone = mix(tones[low], tones[low + 1], at - low)
    tint = (
        1 + 0.03 * skin.redness,
        1 - 0.05 * (skin.redness - 0.5),
        1 - 0.07 * skin.yellowness,
    )
    return tone * np.asarray(tint, np.float32)


def face(drawn: Face, points: Points) -> Paint:
    """All coats of a face, in the order they lie on it."""
    paint = Paint.plain(len(points.x), skin_tone(drawn.person), 0.2, 18)
    _complexion(paint, drawn, points)
    _marks(paint, drawn, points)
    _wrinkles(paint, drawn, points)
    _nostrils(paint, drawn, points)
    if drawn.person.hair.beard != "none" or not drawn.person.feminine:
        _beard(paint, drawn, points)
    _brows(paint, drawn, points)
    _scalp(paint, drawn, points)
    _lips(paint, drawn, points)
    _eyes(paint, drawn, points)
    return paint


def skin(person: Identity, y: Array, z: Array, flush: Colour) -> Paint:
    """Skin away from the face: ears and neck."""
    paint = Paint.plain(len(y), skin_tone(person) * np.asarray(flush, np.float32), 0.12)
    grain = noise(2, z * 6 + person.skin.texture + 256, y * 6)
    paint.albedo *= (1 + 0.04 * grain)[:, None]
    return paint


def hair(person: Identity, angle: Array, along: Array) -> tuple[Paint, Array]:
    """Hair, and how light each strand is (about -2 to 2)."""
    style, shift = person.hair.style, person.skin.texture + 256
    if style == "curly":
        strand = noise(0.8, angle * 60 + shift, along * 6)
        strand = strand + 0.6 * noise(0.3, angle * 60, along * 7 + shift)
    elif style == "buzz":
        strand = 0.5 * noise(0.3, angle * 70, along * 9)
    else:
        bend = 0.02 * noise(12, angle * 8, along * 3 + shift)
        strand = 0.5 * noise(0.8, (angle + bend) * 75 + shift, along * 0.7)
        strand = strand + 0.6 * noise(0.3, (angle + bend) * 150, along)
        strand = strand + 0.35 * noise(2, (angle + bend) * 30, along * 0.5)
    paint = Paint.plain(len(angle), linear(person.hair.colour), 0)
    paint.albedo *= np.exp((0.2 if style == "curly" else 0.3) * strand)[:, None]
    if style == "buzz":
        paint.albedo = mix(paint.albedo, skin_tone(person), 0.38)
    return paint, strand


def cloth(colour: Colour, x: Array, y: Array) -> Paint:
    """A garment of one sRGB colour with some grain; `x`, `y` `(N,)` in cm."""
    paint = Paint.plain(len(x), linear(colour), 0.02)
    paint.albedo *= (1 + 0.05 * noise(0.8, x * 12, y * 12))[:, None]
    return paint


def _complexion(paint: Paint, drawn: Face, p: Points) -> None:
    person, skull, ax = drawn.person, drawn.person.skull, np.abs(p.x)
    shift, around = person.skin.texture + 256, p.angle * 8
    mottle = noise(2, around * 4 + shift, p.y * 4 + shift)
    grain = 0.028 * noise(0.8, around * 9 + shift, p.y * 9) + 0.03 * mottle
    grain = grain + 0.035 * noise(12, around * 6 + shift, p.y * 6)
    flush = 0.55 * bump(ax - 4.1, 1.5) * bump(p.y + 3.6, 1.5)
    flush = flush + 0.5 * bump(p.x, 1.1) * bump(p.y - person.nose.tip_y, 0.9)
    flush = flush + 0.2 * bump(p.x, 2) * bump(p.y - skull.chin_y - 1, 1) + 0.06 * mottle
    flush = flush * (0.35 + 0.8 * person.skin.redness) * (1 - 0.55 * person.skin.melanin)
    tint = 1 + flush[:, None] * np.asarray((0.06, -0.26, -0.24), np.float32)
    paint.albedo *= tint * (1 + grain)[:, None]
    shine = 0.14 * bump(p.x, 1) * smoothstep(-5, -3, p.y) + 0.08 * bump(p.y - 5, 2) * bump(p.x, 3)
    paint.specular += shine


def _marks(paint: Paint, drawn: Face, p: Points) -> None:
    skin = drawn.person.skin
    if skin.freckles > 0:
        i, q = p.where(np.abs(p.y + 1) < 8)
        spots = smoothstep(0.9, 2, noise(0.8, q.angle * 64 + skin.texture + 256, q.y * 8 + 265))
        where = bump(np.abs(q.x) - 3, 2.4) * bump(q.y + 2.5, 2.2) + 0.25
        spots = skin.freckles * spots * np.clip(where, 0, 1)
        paint.shade(i, 1 - spots[:, None] * np.asarray((0.22, 0.34, 0.38), np.float32))
    for x, y, radius in skin.moles:
        i, q = p.where((np.abs(p.x - x) < 3 * radius) & (np.abs(p.y - y) < 3 * radius))
        spot = np.exp(-(np.square(q.x - x) + np.square(q.y - y)) / radius**2)
        paint.shade(i, 1 - 0.85 * spot[:, None] * np.asarray((0.65, 0.75, 0.78), np.float32))


def _wrinkles(paint: Paint, drawn: Face, p: Points) -> None:
    age, mood = drawn.person.age, drawn.mood
    i, q = p.where((np.abs(p.x) < 5) & (p.y < -4) & (p.y > -9))
    depth = 0.06 + 0.16 * mood.smile + 0.14 * age
    paint.shade(i, 1 - depth * drawn.laugh_line(q.x, q.y, 0.17))
    if age < 0.35:
        return
    strength = 0.22 * (age - 0.35) * (1 + 2 * max(0.0, mood.brow_raise))
    i, q = p.where(p.y > 2.5)
    lines = [bump(q.y - y - 0.25 * np.sin(0.5 * q.x + n), 0.1) for n, y in enumerate((4, 5, 6))]
    paint.shade(i, 1 - strength * np.sum(lines, 0) * bump(q.x, 3))
    i, q = p.where(np.abs(p.y) < 3)
    e = drawn.eye(q.x, q.y)
    off = np.abs(q.x) - drawn.person.eyes.spacing
    rays = bump(np.sin(2.2 * (2.6 * e.v + 0.6 * (off - 1.8) * np.sign(e.v + 0.1))), 0.35)
    paint.shade(i, 1 - 0.4 * strength * rays * bump(off - 2.3, 0.45) * bump(e.v, 0.9))


def _nostrils(paint: Paint, drawn: Face, p: Points) -> None:
    nose = drawn.person.nose
    i, q = p.where((np.abs(p.x) < 3.2) & (np.abs(p.y - nose.tip_y + 0.8) < 1.6))
    ax = np.abs(q.x)
    slant = 0.12 * (ax - 0.5 * nose.wing)
    hole = box(ax - 0.58 * nose.wing, 0.36) * box(q.y - nose.tip_y + 1.02 - slant, 0.19)
    groove = 0.16 * bump(ax - nose.wing - 0.5, 0.14) * bump(q.y - nose.tip_y + 0.45, 0.45)
    paint.shade(i, (1 - 0.82 * hole) * (1 - groove))
    paint.specular[i] *= 1 - hole


def _beard(paint: Paint, drawn: Face, p: Points) -> None:
    person, style = drawn.person, drawn.person.hair.beard
    shift = person.skin.texture + 256
    i, q = p.where((p.y < person.nose.tip_y + 2.5) & (np.abs(p.angle) < 1.7))
    ax, m = np.abs(q.x), drawn.mouth(q.x)
    strand = 0.5 * noise(0.8, q.angle * 56 + shift, q.y * 2.6)
    strand = strand + 0.5 * noise(0.3, q.angle * 96, q.y * 5 + shift)
    patchy = 0.22 * noise(5, q.angle * 24, q.y * 3) + 0.15 * strand
    jaw = smoothstep(0.5, -0.8, q.y + 6.7 - 1.3 * np.clip(ax - 2.4, 0, 3.9) + patchy)
    chin = np.power(bump(ax, 1.7), 0.7) * smoothstep(m.lower_edge, m.lower_edge - 0.25, q.y)
    end = np.clip(ax / (drawn.mouth_width + 0.45), 0, 1) ** 2.4
    corner = person.mouth.y + 0.7 * drawn.corner_lift - 0.1
    top = person.nose.tip_y - 1.35
    moustache = smoothstep(0.05, -0.3, q.y - (top + (corner - top) * end) - 0.12 * strand)
    rim = m.upper_edge
    moustache = moustache * smoothstep(rim - 0.12, rim + 0.12, q.y + 0.1 * strand)
    sides = smoothstep(drawn.mouth_width + 0.5, drawn.mouth_width - 0.1, ax)
    moustache = moustache * sides * (1 - 0.35 * bump(q.x, 0.2))
    if style == "none":  # a shaven jaw is still a little darker
        dark = 0.15 if sum(person.hair.colour) < 270 else 0.0
        opacity = dark * (1 - 0.6 * person.skin.melanin) * jaw
    elif style == "stubble":
        opacity = (0.4 + 0.12 * strand) * np.maximum(jaw, 0.9 * moustache)
    elif style == "full":
        opacity = (0.92 + 0.08 * strand) * np.maximum(np.maximum(jaw, moustache), chin)
    elif style == "goatee":
        below = chin * smoothstep(-0.2, -1, q.y - person.mouth.y)
        link = 0.9 * np.exp(-np.square((ax - drawn.mouth_width - 0.1) / 0.5))
        link = link * smoothstep(0.3, -0.3, q.y - person.mouth.y)
        opacity = (0.85 + 0.2 * strand) * np.maximum(np.maximum(moustache, below), link)
    else:
        opacity = (0.9 + 0.2 * strand) * moustache
    opacity = np.clip(opacity, 0, 1) * (1 - _lip_mask(drawn, q))
    colour = linear(person.hair.colour) * (0.9 + 0.14 * np.clip(strand, -1.5, 1.5))[:, None]
    paint.cover(i, np.maximum(colour, 0.003), opacity)
    paint.specular[i] *= 1 - 0.6 * opacity


def _brows(paint: Paint, drawn: Face, p: Points) -> None:
    brows = drawn.person.brows
    i, q = p.where((p.y > 0) & (p.y < 5) & (np.abs(p.x) < 7.5))
    b = drawn.brow(q.x)
    ax = np.abs(q.x)
    strand = noise(0.8, ax * 9 - q.y * 7 + drawn.person.skin.texture + 256, q.y * 2.5 + ax * 1.5)
    off = np.abs(q.y - b.y) / (b.thickness + 1e-3) + 0.1 * strand
    opacity = smoothstep(1.25, 0.35, off) * (b.thickness > 0.02)
    opacity = np.clip(opacity * brows.density * np.clip(0.86 + 0.16 * strand, 0.4, 1), 0, 1)
    colour = linear(brows.colour) * (0.85 + 0.3 * np.clip(strand, -1, 1))[:, None] + 0.002
    paint.cover(i, colour, opacity)
    paint.specular[i] *= 1 - 0.7 * opacity


def _scalp(paint: Paint, drawn: Face, p: Points) -> None:
    """Roots: what makes the hairline soft where the shell of hair begins."""
    person, shift = drawn.person, drawn.person.skin.texture + 256
    i, q = p.where((p.y > 1) | (np.abs(p.angle) > 1))
    above = q.y - hairline(person, q.angle) + 0.3 * noise(0.3, q.angle * 120 + shift, q.y * 1.1)
    above = above + 0.2 * noise(0.8, q.angle * 70 + shift, q.y * 0.7)
    above = above + 0.1 * noise(2, q.angle * 26 + shift, q.y * 0.5)
    if person.hair.style in CROPPED:
        opacity = 0.5 * smoothstep(-1, 2.2, above)
    else:
        opacity = 0.9 * smoothstep(-0.5, 0.7, above)
    paint.cover(i, 0.8 * linear(person.hair.colour), opacity)
    paint.specular[i] *= 1 - 0.8 * opacity


def _lip_mask(drawn: Face, p: Points) -> Array:
    m = drawn.mouth(p.x)
    edge = np.minimum(
        smoothstep(-0.05, 0.07, m.upper_edge - p.y), smoothstep(-0.05, 0.07, p.y - m.lower_edge)
    )
    return edge * (m.u < 1.02)


def _lips(paint: Paint, drawn: Face, p: Points) -> None:
    person = drawn.person
    i, q = p.where((np.abs(p.x) < 4.5) & (np.abs(p.y - person.mouth.y) < 3.5))
    m, lip = drawn.mouth(q.x), _lip_mask(drawn, q)
    red = mix(linear((172, 84, 82)), linear((120, 62, 62)), person.skin.melanin)
    bare = skin_tone(person) * np.asarray((0.92, 0.55, 0.55), np.float32)
    colour = mix(bare, red, 0.35 + 0.25 * person.mouth.redness)
    if person.makeup > 0.55:
        lipstick = linear((168, 36, 56)) * (1 - 0.45 * person.skin.melanin)
        colour = mix(colour, lipstick, person.makeup - 0.45)
    creases = 1 + 0.06 * noise(0.8, q.x * 11 + person.skin.texture + 256, q.y * 1.5)
    paint.cover(i, colour * creases[:, None], 0.88 * lip, specular=0.42)
    paint.gloss[i] = mix(paint.gloss[i], 30, lip)

    corner_y = person.mouth.y + 0.85 * drawn.corner_lift
    corner = bump(np.abs(q.x) - drawn.mouth_width, 0.14) * bump(q.y - corner_y, 0.13)
    seam = bump(q.y - (m.upper_seam + m.lower_seam) / 2, 0.075) * smoothstep(1.06, 0.96, m.u)
    paint.shade(i, 1 - 0.55 * seam * (drawn.parting < 0.15) - 0.3 * corner)
    if drawn.parting < 0.08:
        return
    gap = np.minimum(m.upper_seam - q.y, q.y - m.lower_seam)
    opening = smoothstep(-0.03, 0.07, gap) * (m.u < 1)
    teeth = smoothstep(0, 0.08, m.upper_seam + 0.05 - q.y)
    teeth = teeth * smoothstep(-0.08, 0.05, q.y - m.upper_seam + 0.62)
    ivory = 1 - 0.2 * bump((np.abs(q.x) + 0.25) % 0.75 - 0.37, 0.05)
    ivory = ivory * np.clip(1 - 0.62 * m.u * m.u, 0.2, 1)
    tongue = 0.6 * smoothstep(0.25, -0.2, q.y - m.lower_seam - 0.25) * (1 - teeth)
    inner = mix(linear((58, 20, 22)), linear((216, 206, 190)) * ivory[:, None], teeth[:, None])
    inner = mix(inner, 0.6 * linear((150, 70, 72)), tongue[:, None])
    paint.cover(i, inner, opening, specular=0.25)


def _eyes(paint: Paint, drawn: Face, p: Points) -> None:
    person, mood = drawn.person, drawn.mood
    i, q = p.where((np.abs(p.x) < 7) & (np.abs(p.y) < 4))
    e = drawn.eye(q.x, q.y)
    _around_the_eye(paint, i, drawn, e)
    inside = np.minimum(e.upper - e.v, e.v - e.lower)
    opening = smoothstep(-0.03, 0.07, inside) * (np.abs(e.u) < 1)
    off_x = np.abs(q.x) - person.eyes.spacing + 0.07 - np.sign(q.x) * mood.gaze_x
    off_y = e.v - 0.06 - mood.gaze_y
    radius = np.sqrt(off_x * off_x + off_y * off_y)
    under_lid = e.upper - e.v

    white = 1 - 0.38 * e.u * e.u - 0.45 * smoothstep(0.36, 0, under_lid)
    ball = linear((200, 190, 183)) * white[:, None]
    rays = noise(0.8, np.arctan2(off_y, off_x) * 7 + person.skin.texture + 256, radius * 6)
    shade = 0.75 + 0.5 * smoothstep(0.2, 0.5, radius) + 0.16 * rays
    edge = 0.6  # radius of the iris
    shade = shade * (1 - 0.72 * smoothstep(edge - 0.15, edge - 0.01, radius))
    shade = shade * (1 - 0.35 * smoothstep(0.4, -0.05, under_lid))
    iris = linear(person.eyes.colour) * shade[:, None]
    iris = mix(iris, linear((10, 8, 8)), smoothstep(0.27, 0.21, radius)[:, None])
    ball = mix(ball, iris, smoothstep(edge + 0.05, edge - 0.05, radius)[:, None])
    ball = mix(ball, linear((180, 112, 104)), (0.7 * smoothstep(-0.78, -0.95, e.u))[:, None])
    paint.cover(i, ball, opening, specular=0.1)

    light_x = mood.gaze_x + 0.2 * float(np.clip(mood.light_azimuth, -1, 1))
    pupil = np.sign(q.x) * (person.eyes.spacing - 0.07)
    spark = np.exp(-(np.square(q.x - pupil - light_x) + np.square(off_y - 0.2)) / 0.105**2)
    paint.emission[i] += 0.8 * spark * opening * (1 - min(1.0, mood.blink))

    made_up, width = person.makeup, np.abs(e.u)
    upper = bump(e.v - e.upper - 0.03, 0.085 + 0.04 * made_up) * smoothstep(1.1, 0.9, width)
    upper = upper * (0.72 + 0.2 * made_up + 0.08 * person.feminine)
    lower = 0.3 * bump(e.v - e.lower + 0.04, 0.06) * smoothstep(1.05, 0.85, width) * (1 + made_up)
    lashes = np.maximum(upper, lower)
    if person.feminine:
        rise = 0.12 + 0.25 * smoothstep(0.5, 1.2, e.u)
        wing = bump(e.v - e.upper - rise, 0.1) * smoothstep(0.3, 0.8, e.u)
        lashes = np.maximum(lashes, 0.6 * wing * smoothstep(1.3, 1.05, e.u))
    paint.cover(i, linear((24, 16, 14)), np.clip(lashes, 0, 0.95))


def _around_the_eye(paint: Paint, i: NDArray[np.intp], drawn: Face, e: EyeFrame) -> None:
    """Lid crease, tired skin, eye shadow."""
    person = drawn.person
    tired = (0.05 + 0.14 * person.age) * bump(e.v + 0.75, 0.5) * bump(e.u + 0.15, 0.75)
    tired = tired + 0.12 * bump(e.v - e.upper - 0.2, 0.4) * bump(e.u, 0.8)
    paint.shade(i, 1 - tired[:, None] * np.asarray((0.75, 1, 0.9), np.float32))
    if person.makeup > 0.25:
        lid = 0.7 * (person.makeup - 0.25) * bump(e.v - e.upper - 0.3, 0.32) * bump(e.u, 0.75)
        paint.shade(i, 1 - lid[:, None] * np.asarray((0.45, 0.58, 0.55), np.float32))
    crease = bump(e.v - e.crease, 0.085) * smoothstep(1.15, 0.8, np.abs(e.u))
    paint.shade(i, 1 - 0.34 * crease * (1 - 0.6 * min(person.eyes.hood, 1.0)))
