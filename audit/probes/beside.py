"""What was done to the parts of a picture whose original is at hand, whatever they show."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from reid_audit.attacks.anonymisation import identify_pair, read_encoded, stored_alike
from reid_audit.attacks.anonymisation.result import EncodedInfo
from reid_audit.audit.data import decode
from reid_audit.audit.probes.difference import NOISE, Change, Difference
from reid_audit.audit.probes.inventory import STRONG, Region
from reid_audit.audit.probes.pairs import UPRIGHT, compare, placed, toned_as
from reid_audit.audit.probes.scenes import Picture, Told, changed_as_whole, look, made_from
from reid_audit.metrics.errors import InputError

ENOUGH = 512
"""Sides in pixels of the part of a picture that tells what was done to all of it."""


def parts_beside(path: Path, original: Path) -> tuple[Told, ...]:
    """What was done to each changed place of a picture, the largest first, settled by doing it to
    the original; one answer on the whole picture where it was changed as a whole or nowhere.

    Boxes are those of the picture as its original lies.

    Raises:
        InputError: a file cannot be read, or the original shows another picture.
    """
    picture, clear = decode(path), decode(original)
    pair, encoded = compare(picture, clear), read_encoded(path)
    if pair.relation == "different" and not made_from(path, picture, clear):
        raise InputError(
            f"{original}: shows another picture than {path}; name the original that it was made "
            "from, or leave --original out."
        )
    picture = pair.turn.apply(picture)
    height, width = picture.shape[:2]
    clear = toned_as(picture, placed(clear, (height, width), pair.padded))
    difference = Difference.between(picture, clear)
    stored = stored_alike(clear, path) if pair.turn == UPRIGHT else None
    if stored is not None:
        difference = difference.without_coding(stored, encoded.tables[0])
    changed = [p for p in difference.places if p.strength >= STRONG + NOISE * difference.noise]
    whole = pair.relation == "different" or changed_as_whole(difference, picture, encoded)
    if whole or not changed:
        return (_of_all(picture, clear, encoded),)
    regions = [_region(place, difference) for place in changed]
    return tuple(look(picture, clear, encoded, region, regions) for region in regions)


def _of_all(picture: Picture, clear: Picture, encoded: EncodedInfo) -> Told:
    """What was done to the whole picture, told from its middle where it is large."""
    height, width = picture.shape[:2]
    x, y = max(0, width - ENOUGH) // 2, max(0, height - ENOUGH) // 2
    middle = (x, y, min(width, x + ENOUGH), min(height, y + ENOUGH))
    pair = identify_pair(clear, picture, middle, encoded)
    settled, alone = (
        replace(t, region=(0, 0, width, height)) for t in (pair.settled, pair.unaided)
    )
    return Told(settled, alone)


def _region(place: Change, difference: Difference) -> Region:
    shape = "box" if place.rectangular else "ellipse"
    return Region(difference.tightened(place.box), shape, "difference")
