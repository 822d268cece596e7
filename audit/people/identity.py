"""Who somebody is: the traits that stay the same in every picture of one person.

Lengths are centimetres in a frame whose origin lies between the eyes: x to the right as seen in
the picture, y up, z towards the viewer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reid_audit.audit.people.curves import Colour

# Offset so that an identity's stream never coincides with one of its pictures' streams.
_STREAM = 11

_HAIR_COLOURS: tuple[Colour, ...] = (
    (36, 29, 26),
    (52, 37, 30),
    (66, 42, 28),
    (96, 62, 38),
    (134, 92, 54),
    (176, 136, 84),
    (200, 166, 116),
    (120, 54, 28),
)
_GREY_HAIR: tuple[Colour, ...] = ((140, 136, 132), (190, 188, 184))
_EYE_COLOURS: tuple[Colour, ...] = (
    (58, 36, 22),
    (84, 54, 30),
    (112, 84, 44),
    (92, 106, 66),
    (84, 118, 142),
    (106, 138, 168),
    (110, 122, 128),
)
_FRAME_COLOURS: tuple[Colour, ...] = (
    (16, 15, 16),
    (60, 36, 22),
    (120, 116, 112),
    (30, 40, 70),
    (96, 34, 36),
)
_LONG_STYLES = ("long", "long", "bob", "updo", "wavy", "short", "curly")
_SHORT_STYLES = (
    "short",
    "short",
    "side",
    "buzz",
    "bald",
    "quiff",
    "curly",
    "medium",
    "receding",
)


@dataclass(frozen=True)
class Skull:
    """Shape of the head, in cm; flesh, cheekbones, forehead and brow ridge are what is added to
    it."""

    width: float  # half widths, from the temples down
    cheek_width: float
    jaw_width: float
    low_jaw_width: float
    chin_width: float
    top: float
    chin_y: float
    chin_depth: float
    cleft: float
    flesh: float
    cheekbone: float
    cheekbone_y: float
    forehead: float
    brow_ridge: float
    jaw_shift: float
    neck: float


@dataclass(frozen=True)
class Eyes:
    """Place, shape and colour of the eyes; lengths in cm."""

    spacing: float  # from the midline to an eye's centre
    width: float  # half width of the opening
    opening: float
    tilt: float
    depth: float
    crease: float
    hood: float
    asymmetry: float
    colour: Colour


@dataclass(frozen=True)
class Brows:
    """Place, shape and colour of the eyebrows; lengths in cm, density in [0, 1]."""

    height: float
    arch: float
    thickness: float
    density: float
    inner: float
    tilt: float
    asymmetry: float
    colour: Colour


@dataclass(frozen=True)
class Nose:
    """Shape of the nose, in cm."""

    tip_y: float
    projection: float
    bridge: float
    width: float
    wing: float  # from the midline to the middle of a wing
    hump: float
    tip: float
    upturn: float
    bend: float


@dataclass(frozen=True)
class Mouth:
    """Place and shape of the closed mouth, in cm; redness in [0, 1]."""

    y: float
    width: float
    upper: float
    lower: float
    cupid: float
    redness: float
    corners: float
    parts_when_smiling: bool


@dataclass(frozen=True)
class Ears:
    """Size of the ears relative to the average, and how far they stand off, in cm."""

    size: float
    protrusion: float


@dataclass(frozen=True)
class Skin:
    """Colour and marks of the skin; melanin runs from 0, the lightest, to 1."""

    melanin: float
    redness: float
    yellowness: float
    freckles: float
    moles: tuple[tuple[float, float, float], ...]  # x, y, radius
    texture: float  # where in the noise this person's skin and hair are cut from


@dataclass(frozen=True)
class Hair:
    """Style, colour and outline of hair and beard; lengths in cm."""

    style: str
    colour: Colour
    line_y: float
    parting: float
    volume: float
    fringe: bool
    fringe_y: float
    sweep: float
    length: float
    beard: str


@dataclass(frozen=True)
class Glasses:
    """Shape and colour of the glasses that somebody wears; lengths in cm."""

    habit: float  # share of the pictures in which they are worn
    width: float
    height: float
    squareness: float
    rim: float
    colour: Colour


@dataclass(frozen=True)
class Identity:
    """Somebody who does not exist."""

    seed: int
    feminine: bool
    age: float  # 0 young adult, 1 old
    makeup: float
    skull: Skull
    eyes: Eyes
    brows: Brows
    nose: Nose
    mouth: Mouth
    ears: Ears
    skin: Skin
    hair: Hair
    glasses: Glasses


def identity(seed: int) -> Identity:
    """The person a seed stands for.

    Shape traits are uniform, not normal: the same variance with no long tails keeps people
    apart without caricatures.

    >>> identity(3) == identity(3), identity(3).nose == identity(4).nose
    (True, False)
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, _STREAM]))

    def around(centre: float, reach: float) -> float:
        return centre + reach * float(rng.uniform(-1, 1))

    def chance(p: float) -> bool:
        return bool(rng.random() < p)

    feminine = chance(0.5)
    f = float(feminine)
    melanin = float(np.clip(rng.beta(1.0, 1.2), 0.02, 0.97))
    age = float(rng.uniform()) ** 1.7
    hair_colour, brow_colour, shade = _colours(rng, melanin, age)
    lightest_eye = 2 if melanin > 0.5 or shade < 2 else len(_EYE_COLOURS)
    styles = _LONG_STYLES if feminine else _SHORT_STYLES
    beards = ("none", "stubble", "full", "goatee", "moustache")
    return Identity(
        seed=seed,
        feminine=feminine,
        age=age,
        makeup=f * float(rng.uniform()),
        skull=Skull(
            width=around(7.4, 0.5),
            cheek_width=around(6.75, 0.6) - 0.1 * f,
            jaw_width=around(5.9, 0.75) - 0.4 * f,
            low_jaw_width=around(4.6, 0.72) - 0.35 * f,
            chin_width=around(2.7, 0.72) - 0.25 * f,
            top=around(11.6, 0.75),
            chin_y=around(-10.95, 1.0) + 0.45 * f,
            chin_depth=around(0.1, 0.7) - 0.1 * f,
            cleft=max(0.0, around(-0.02, 0.14)),
            flesh=around(0, 0.6),
            cheekbone=around(0.35, 0.4),
            cheekbone_y=around(-2.3, 0.7),
            forehead=around(0, 0.5),
            brow_ridge=around(0.24, 0.26) - 0.2 * f,
            jaw_shift=around(0, 0.3),
            neck=around(5.2, 0.5) - 0.75 * f,
        ),
        eyes=Eyes(
            spacing=around(3.2, 0.36),
            width=around(1.55, 0.21) + 0.04 * f,
            opening=around(0.57, 0.2) + 0.05 * f,
            tilt=around(0.06, 0.17),
            depth=around(0.5, 0.4) - 0.1 * f,
            crease=max(0.08, around(0.45, 0.45)),
            hood=max(0.0, around(0.35, 0.6)),
            asymmetry=around(0, 0.08),
            colour=_shaded(_EYE_COLOURS[int(rng.integers(lightest_eye))], rng.uniform(0.9, 1.15)),
        ),
        brows=Brows(
            height=around(1.95, 0.45) + 0.12 * f,
            arch=around(0.25, 0.3) + 0.1 * f,
            thickness=max(0.2, around(0.46, 0.22) - 0.1 * f),
            density=min(1.0, around(0.82, 0.3)),
            inner=around(1.35, 0.5),
            tilt=around(0, 0.22),
            asymmetry=around(0, 0.14),
            colour=brow_colour,
        ),
        nose=Nose(
            tip_y=around(-4.0, 0.72),
            projection=around(2.2, 0.6) - 0.2 * f,
            bridge=around(0.55, 0.5) - 0.25 * melanin,
            width=around(0.82, 0.2) + 0.1 * melanin,
            wing=around(1.22, 0.32) + 0.28 * melanin - 0.1 * f,
            hump=around(0, 0.3),
            tip=around(0.3, 0.26),
            upturn=around(0, 0.28) + 0.1 * f,
            bend=around(0, 0.18),
        ),
        mouth=Mouth(
            y=around(-7.05, 0.5),
            width=around(2.5, 0.45),
            upper=max(0.24, around(0.48, 0.24) + 0.25 * melanin),
            lower=max(0.35, around(0.66, 0.28) + 0.22 * melanin),
            cupid=around(0.16, 0.14),
            redness=min(1.0, max(0.05, around(0.5, 0.45)) + 0.25 * f * chance(0.5)),
            corners=around(0.08, 0.18),
            parts_when_smiling=chance(0.67),
        ),
        ears=Ears(size=around(1, 0.17), protrusion=around(0.95, 0.55)),
        skin=Skin(
            melanin=melanin,
            redness=around(0.5, 0.5),
            yellowness=around(0, 0.9),
            freckles=max(0.0, float(rng.uniform(-1.2, 1))) * (melanin < 0.4),
            moles=tuple(
                (around(0, 5.5), around(-1.5, 7.5), float(rng.uniform(0.1, 0.2)))
                for _ in range(rng.integers(0, 4))
            ),
            texture=float(rng.uniform(0, 256)),
        ),
        hair=Hair(
            style=styles[int(rng.integers(len(styles)))],
            colour=hair_colour,
            line_y=around(7.4, 0.8),
            parting=around(0, 0.7),
            volume=around(1.02, 0.23),
            fringe=chance(0.33 if feminine else 0.12),
            fringe_y=around(3.4, 0.7),
            sweep=around(1.5, 0.9),
            length=around(-14, 4.5),
            beard="none" if feminine else str(rng.choice(beards, p=(0.5, 0.18, 0.15, 0.09, 0.08))),
        ),
        glasses=Glasses(
            habit=0.85 if chance(0.22) else 0.03,
            width=around(2.4, 0.2),
            height=around(1.8, 0.25),
            squareness=around(3, 1),
            rim=around(0.15, 0.06),
            colour=_FRAME_COLOURS[int(rng.integers(len(_FRAME_COLOURS)))],
        ),
    )


def _shaded(colour: Colour, by: float) -> Colour:
    red, green, blue = colour
    return (red * by, green * by, blue * by)


def _colours(rng: np.random.Generator, melanin: float, age: float) -> tuple[Colour, Colour, int]:
    """Hair, brows, and how light the hair is by nature (an index, dark to light)."""
    if melanin > 0.6:
        shade = int(rng.integers(2))
    elif melanin > 0.32:
        shade = int(rng.choice(5, p=(0.26, 0.26, 0.24, 0.16, 0.08)))
    else:
        shade = int(rng.choice(8, p=(0.12, 0.13, 0.18, 0.17, 0.14, 0.12, 0.07, 0.07)))
    tint = float(rng.uniform(0.88, 1.12))
    if age > 0.68 and rng.random() < 0.75:
        hair = _shaded(_GREY_HAIR[int(rng.integers(2))], tint)
        return hair, _shaded(hair, 0.55), shade
    hair = _shaded(_HAIR_COLOURS[shade], tint)
    return hair, _shaded(hair, 0.72), shade
