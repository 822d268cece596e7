"""What was done to the parts of a picture whose original is at hand, whatever they show."""

from __future__ import annotations

from pathlib import Path

from reid_audit.attacks.anonymisation import read_encoded
from reid_audit.audit.data import decode
from reid_audit.audit.probes.difference import difference_of
from reid_audit.audit.probes.inventory import changed_for_certain, region_of
from reid_audit.audit.probes.looking import Told, look, look_at_all
from reid_audit.audit.probes.pairs import UPRIGHT, compare, placed, toned_as
from reid_audit.audit.probes.wholly import changed_as_whole, made_from
from reid_audit.metrics.errors import InputError


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
    coded_as = path if pair.turn == UPRIGHT else None
    difference = difference_of(picture, clear, coded_as, encoded)
    changed = changed_for_certain(difference)
    whole = pair.relation == "different" or changed_as_whole(difference, picture, clear, encoded)
    if whole or not changed:
        return (look_at_all(picture, clear, encoded),)
    regions = [region_of(difference, place.box, place.hull) for place in changed]
    return tuple(look(picture, clear, encoded, region, regions) for region in regions)
