"""From numbers to a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reid_audit.audit.people import body, camera, hair, light, paint
from reid_audit.audit.people.curves import Array, linear, smoothstep
from reid_audit.audit.people.features import Face
from reid_audit.audit.people.identity import Identity
from reid_audit.audit.people.mesh import SKIN, STRANDS, Mesh, Part, join, unit
from reid_audit.audit.people.picture import Nuisance
from reid_audit.audit.people.raster import Hits, rasterise
from reid_audit.audit.people.shape import head, loft

_FRAME = 26.0  # centimetres across the picture at zoom 1
_SUPERSAMPLING = 2
_PIVOT = np.asarray([0, -8, -2], np.float32)  # where the head turns on the neck


def render(person: Identity, mood: Nuisance, size: int = 160) -> NDArray[np.uint8]:
    """A picture `(size, size, 3)`, uint8 RGB, of a person; the same numbers, the same pixels."""
    side = size * _SUPERSAMPLING
    face = Face(person, mood)
    mesh = _build(face)
    world, normal = _posed(mesh, mood)
    hits = rasterise(*_projected(world, mood, side), mesh.triangles, side, mesh.culled)
    scene = 0.8 * camera.backdrop(mood.background, side).reshape(-1, 3)
    scene[hits.pixel] = _lit(face, mesh, world, normal, hits, side)
    return camera.expose(scene.reshape(side, side, 3), mood, _SUPERSAMPLING)


def _build(face: Face) -> Mesh:
    person, mood = face.person, face.mood
    skull = loft(face)
    skin = head(face, skull)
    patches = [skin, *hair.patches(person, skull)]
    if person.hair.style not in hair.LONG:
        patches += body.ears(person, skull)
    patches += [body.neck(person), body.shoulders(person, mood.collar)]
    if mood.glasses < person.glasses.habit:
        at_eyes = np.abs(skin.position[..., 1] - 0.3) < 0.3
        patches += body.glasses(face, float(skin.position[..., 2][at_eyes].max()))
    return join(patches)


def _rotation(yaw: float, pitch: float, roll: float) -> Array:
    (cy, cp, cr), (sy, sp, sr) = np.cos([yaw, pitch, roll]), np.sin([yaw, pitch, roll])
    turn = np.asarray([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    nod = np.asarray([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    tilt = np.asarray([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    turned: Array = (tilt @ nod @ turn).astype(np.float32)
    return turned


def _posed(mesh: Mesh, mood: Nuisance) -> tuple[Array, Array]:
    """Points and normals in camera space: the shoulders follow the head a little, the neck more."""
    turned = _rotation(mood.yaw, mood.pitch, mood.roll)
    trunk = _rotation(0.35 * mood.yaw, 0, 0.2 * mood.roll)
    position = mesh.position - _PIVOT
    world, normal = position @ turned.T, mesh.normal @ turned.T
    neck, cloth = mesh.part == Part.NECK, mesh.part == Part.CLOTH
    world[cloth], normal[cloth] = position[cloth] @ trunk.T, mesh.normal[cloth] @ trunk.T
    down = smoothstep(-8, -17, mesh.position[neck, 1])[:, None]
    world[neck] += (position[neck] @ trunk.T - world[neck]) * down
    return world + _PIVOT, normal


def _projected(world: Array, mood: Nuisance, side: int) -> tuple[Array, Array, Array]:
    """Pinhole camera: x, y in pixels, depth in centimetres."""
    depth = mood.distance - (world[:, 2] - 6)
    scale = side / _FRAME * mood.zoom * mood.distance / depth
    x = side * (0.5 + mood.shift_x) + scale * world[:, 0]
    y = side * (0.47 + mood.shift_y) - scale * (world[:, 1] + 0.8)
    return x, y, depth


def _lit(face: Face, mesh: Mesh, world: Array, normal: Array, hits: Hits, side: int) -> Array:
    """Linear-light colour `(N, 3)` of the covered pixels."""
    mood = face.mood
    corners = mesh.triangles[hits.triangle]
    part = mesh.part[corners[:, 0]]
    scalars = np.stack([mesh.angle, mesh.along, mesh.openness], 1)
    values = np.concatenate([mesh.position, world, normal, scalars], 1)
    seen_at = sum(values[corners[:, c]] * hits.weights[:, c, None] for c in range(3))
    rest, position, normal, scalars = np.split(seen_at, 4, 1)
    angle, along, openness = scalars.T
    view = unit(np.asarray([0, 0, mood.distance + 6], np.float32) - position)
    facing = unit(normal)
    facing *= np.sign(np.einsum("ij,ij->i", facing, view) + 1e-6)[:, None]
    openness = openness * (1 - light.crevices(hits, side))
    seen = light.Visible(position, facing, view, np.clip(openness, 0.12, 1.1), np.isin(part, SKIN))
    strands = np.flatnonzero(np.isin(part, STRANDS))
    coats, strand = _painted(face, part, strands, rest, angle, along)
    key = light.direction(mood.light_azimuth, mood.light_elevation)
    reach = light.shadows(world, mesh, seen, key, hits, side)
    colour = light.shade(coats, seen, reach, mood, hits, side)
    glint = light.hair_highlight(seen, reach, strands, strand, mood)
    strength = 0.06 if face.person.hair.style == "curly" else 0.16
    colour[strands] += strength * glint[:, None] * (0.1 + 1.4 * linear(face.person.hair.colour))
    return colour


def _painted(
    face: Face,
    part: NDArray[np.int8],
    strands: NDArray[np.intp],
    rest: Array,
    angle: Array,
    along: Array,
) -> tuple[paint.Paint, Array]:
    """Surface of every visible point, and the brightness of each strand of hair."""
    person, mood = face.person, face.mood
    x, y, z = rest.T
    coats = paint.Paint.plain(len(part), np.zeros(3, np.float32), 0)

    def lay(where: NDArray[np.intp], coat: paint.Paint) -> None:
        coats.albedo[where], coats.specular[where] = coat.albedo, coat.specular
        coats.gloss[where], coats.emission[where] = coat.gloss, coat.emission

    def of(kind: Part) -> NDArray[np.intp]:
        return np.flatnonzero(part == kind)

    i = of(Part.FACE)
    lay(i, paint.face(face, paint.Points(x[i], y[i], angle[i])))
    for kind, flush in ((Part.EAR, (1.03, 0.9, 0.88)), (Part.NECK, (1.0, 0.97, 0.96))):
        i = of(kind)
        lay(i, paint.skin(person, y[i], z[i], flush))
    i = of(Part.CLOTH)
    lay(i, paint.cloth(mood.clothes, x[i], y[i]))
    i = of(Part.FRAME)
    lay(i, paint.Paint.plain(len(i), linear(person.glasses.colour), 0.6, 40))
    coat, strand = paint.hair(person, angle[strands], along[strands])
    lay(strands, coat)
    return coats, strand
