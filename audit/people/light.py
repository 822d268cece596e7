"""Light: one key light with soft shadows, sky and fill, light that wanders under the skin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from reid_audit.audit.people.curves import Array, mix, smoothstep
from reid_audit.audit.people.mesh import Mesh, Part, unit
from reid_audit.audit.people.paint import Paint
from reid_audit.audit.people.picture import Nuisance
from reid_audit.audit.people.raster import Hits, rasterise

_SHADOW_SIDE = 160  # pixels of the shadow map
_SHADOW_SPAN = 34.0  # centimetres it covers
# How far light wraps round the terminator in skin, red to blue, and how far it wanders (pixels
# of a 320-pixel picture): what makes skin look soft.
_WRAP = (0.34, 0.17, 0.12)
_WANDER = (1.9, 0.9, 0.0)


@dataclass(frozen=True)
class Visible:
    """Geometry of the N visible points, in camera space."""

    position: Array  # (N, 3)
    normal: Array  # (N, 3), towards the viewer
    view: Array  # (N, 3)
    openness: Array  # (N,)
    skin: NDArray[np.bool_]  # (N,)


def direction(azimuth: float, elevation: float) -> Array:
    """Unit vector towards a light; 0, 0 is the camera's side."""
    across, up = np.cos(elevation), np.sin(elevation)
    return np.asarray([np.sin(azimuth) * across, up, np.cos(azimuth) * across], np.float32)


def spread(values: Array, pixel: NDArray[np.int32], side: int, sigma: float) -> Array:
    """Blur values that live on some pixels only, as if the others did not exist.

    It is done on cells of 2 x 2 pixels, the samples that one pixel of the picture averages.
    """
    row, column = np.divmod(pixel, np.int32(side))
    half = side // 2
    cell = row // 2 * np.int32(half) + column // 2
    total = np.bincount(cell, values, half * half).astype(np.float32)
    count = np.bincount(cell, minlength=half * half).astype(np.float32)
    blurred, weight = (
        gaussian_filter(canvas.reshape(half, half), sigma / 2, truncate=2.5).ravel()
        for canvas in (total, count)
    )
    mean: Array = (blurred / (weight + 1e-3))[cell]
    return mean


def shadows(world: Array, mesh: Mesh, seen: Visible, light: Array, hits: Hits, side: int) -> Array:
    """Share of the key light that reaches each point. Hair casts none: it would be too hard."""
    right = unit(np.cross(np.asarray([0, 1, 0], np.float32), light))
    axes = np.stack([right, np.cross(light, right), light], 1)

    def project(points: Array) -> tuple[Array, Array, Array]:
        u, v, toward = (points @ axes).T
        scale = _SHADOW_SIDE / _SHADOW_SPAN
        return 0.5 * _SHADOW_SIDE + u * scale, 0.44 * _SHADOW_SIDE - v * scale, toward

    casts = np.isin(mesh.part, (Part.FACE, Part.EAR, Part.NECK, Part.FRAME))
    u, v, toward = project(world)
    chosen = casts[mesh.triangles[:, 0]]
    triangles, culled = mesh.triangles[chosen], mesh.culled[chosen]
    lit = rasterise(u, v, -toward, triangles, _SHADOW_SIDE, culled)
    nearest = np.full(_SHADOW_SIDE**2, -1e3, np.float32)
    nearest[lit.pixel] = -lit.depth
    u, v, toward = project(seen.position)
    reach = np.zeros_like(toward)
    taps = ((0, 0), (2, 0), (-1, 1.7), (-1, -1.7), (-3, 0.4), (1.5, 2.6), (1.5, -2.6))
    for du, dv in taps:
        column = np.clip(u + du, 0, _SHADOW_SIDE - 1).astype(np.int32)
        row = np.clip(v + dv, 0, _SHADOW_SIDE - 1).astype(np.int32)
        reach += smoothstep(1.1, 0.35, nearest[row * _SHADOW_SIDE + column] - toward)
    reach /= len(taps)
    s = seen.skin
    reach[s] = mix(reach[s], spread(reach[s], hits.pixel[s], side, 0.014 * side), 0.85)
    return reach


def crevices(hits: Hits, side: int) -> Array:
    """How much darker a point is for lying behind its surroundings in the picture."""
    depth = np.full(side * side, hits.depth.mean() + 3, np.float32)
    depth[hits.pixel] = hits.depth
    canvas = depth.reshape(side, side)[::2, ::2]  # broad blurs: half the resolution will do
    row, column = np.divmod(hits.pixel, np.int32(side))
    row, column = row // 2, column // 2
    dark = np.zeros_like(hits.depth)
    for sigma, strength, limit in ((0.012, 0.13, 1.2), (0.035, 0.075, 2.2)):
        around = gaussian_filter(canvas, sigma * side / 2, truncate=2.5)[row, column]
        dark += strength * np.clip(hits.depth - around, -0.3, limit)
    return dark


def shade(
    paint: Paint, seen: Visible, reach: Array, mood: Nuisance, hits: Hits, side: int
) -> Array:
    """Linear-light colour `(N, 3)` of every visible point."""
    light = direction(mood.light_azimuth, mood.light_elevation)
    fill = unit(np.asarray([np.sin(mood.fill_azimuth), 0.1, np.cos(mood.fill_azimuth)], np.float32))
    warm = np.asarray([1 + mood.warmth, 1, 1 - mood.warmth], np.float32)
    cool = np.asarray([1 - 0.4 * mood.warmth, 1, 1 + 0.5 * mood.warmth], np.float32)
    key, ambient = 2.1 * mood.key * mood.exposure, 1.15 * mood.ambient * mood.exposure
    facing = seen.normal @ light
    shadow = mix(reach, 1.0, 0.26)
    sky = 0.76 + 0.17 * seen.normal[:, 1] + 0.35 * np.clip(seen.normal @ fill, 0, 1)
    sky = sky * seen.openness
    folds = np.clip(0.4 + 0.6 * seen.openness, 0, 1.05)
    s = seen.skin
    colour = np.empty_like(paint.albedo)
    for c, (skin_wrap, wander) in enumerate(zip(_WRAP, _WANDER, strict=True)):
        wrap = np.where(s, np.float32(skin_wrap), np.float32(0.05))
        diffuse = np.clip((facing + wrap) / (1 + wrap), 0, 1) * shadow
        received = (diffuse * float(key * warm[c]) + sky * float(ambient * cool[c])) * folds
        if wander:
            soft = spread(received[s], hits.pixel[s], side, wander * side / 320)
            received[s] = mix(received[s], soft, 0.8)
        colour[:, c] = paint.albedo[:, c] * received

    halfway = unit(seen.view + light)
    mirror = np.clip(np.einsum("ij,ij->i", seen.normal, halfway), 0, 1)
    grazing = np.power(1 - np.clip(np.einsum("ij,ij->i", seen.normal, seen.view), 0, 1), 3)
    shine = paint.specular * (0.35 + 0.65 * grazing) * np.power(mirror, paint.gloss)
    shine = shine * np.clip(3 * facing, 0, 1) * reach * (1.5 * mood.key)
    shine = shine + 0.035 * mood.ambient * grazing * s
    glow = paint.emission * mood.key
    colour += shine[:, None] * warm + glow[:, None]
    return colour


def hair_highlight(
    seen: Visible, reach: Array, where: NDArray[np.intp], strand: Array, mood: Nuisance
) -> Array:
    """Highlight `(M,)` across strands that run down the surface (Kajiya and Kay, 1989)."""
    light = direction(mood.light_azimuth, mood.light_elevation)
    normal = seen.normal[where]
    tangent = unit(np.asarray([0, 1, 0], np.float32) - normal * normal[:, 1:2])
    halfway = unit(seen.view[where] + light)
    along = np.einsum("ij,ij->i", tangent, halfway) + 0.06 * np.clip(strand, -2, 2)
    band = np.power(np.clip(1 - along * along, 0, 1), 19)
    facing = np.clip(normal @ light + 0.25, 0, 1)
    uneven = np.clip(1 + 0.35 * strand, 0.2, 2)
    glint: Array = band * facing * reach[where] * seen.openness[where] * uneven * mood.key
    return glint
