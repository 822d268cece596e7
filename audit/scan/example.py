"""One drawn example for the report's first page: a face that nobody has, under this very setting,
and what the run's best restorer makes of it.

The face comes from numbers (`audit.people`), so that a page without any real face can still show
what an anonymisation leaves. Only restorers that know no person are asked: one that had seen the
gallery could put somebody of it into the picture.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from reid_audit.attacks.interface import AnonymizedFaces, Picture, picture_rng
from reid_audit.attacks.registry import attack_class, make_attack
from reid_audit.audit.people.identity import identity
from reid_audit.audit.people.picture import nuisance
from reid_audit.audit.people.render import render
from reid_audit.audit.probes.condition import Group, face_square
from reid_audit.audit.results import schema
from reid_audit.audit.scan.condition import Audit, make_setup
from reid_audit.metrics.errors import ReidAuditError

PERSON, SIDE = 23, 160
LANDMARKS = np.array(
    [[55.5, 61.9], [95.2, 62.1], [75.5, 87.6], [59.2, 105.2], [91.3, 105.0]], np.float32
)
"""Of that person's picture without pose or mood, as the detector sees them."""
SHOWN, QUALITY = 112, 85
"""Pixels of a side at most, and JPEG quality, of the pictures in the results."""


def drawn_example(results: schema.Results, audits: Sequence[Audit]) -> schema.DrawnExample | None:
    """A drawn face under the run's gravest condition; None where its operator is not known."""
    wanted = results.verdict.worst_condition
    every = [(audit, group) for audit in audits for group in audit.material.groups]
    chosen = next((pair for pair in every if pair[1].id == wanted), every[0] if every else None)
    if chosen is None:
        return None
    audit, group = chosen
    if group.operator is None or group.operator.family == "none":
        return None
    try:
        return _drawn(results, group, audit)
    except Exception:  # of an operator or attack of another package: no reason to lose an audit
        return None


def _drawn(results: schema.Results, group: Group, audit: Audit) -> schema.DrawnExample:
    clear = render(identity(PERSON), nuisance(PERSON, 0, 0.0), SIDE)
    seed = audit.config.seed
    before, points = group.forward.match_scale(clear, LANDMARKS, picture_rng(seed, "drawn example"))
    after, _, region = group.forward.degrade(clear, LANDMARKS, picture_rng(seed, "drawn example"))
    name = _restorer(results, group)
    restored = None
    if name is not None:
        probe = AnonymizedFaces(("drawn example",), (after,), points[None], region[None])
        restored = _restored(name, probe, group, audit)
    return schema.DrawnExample(
        condition=group.id,
        restorer=name if restored is not None else None,
        clear=_encoded(before, points),
        anonymised=_encoded(after, points),
        restored=_encoded(restored, points) if restored is not None else None,
    )


def _restorer(results: schema.Results, group: Group) -> str | None:
    """The attack that named most by restoring pictures, of those that know no person."""
    rates = {
        attack.name: attack.metrics["ira"].value or 0.0
        for attack in results.attacks
        if attack.condition == group.id and attack.status == "ok" and attack.name != "naive"
    }
    knowing_nobody = [
        name
        for name in rates
        if "restored" in (info := attack_class(name).info).yields and "gallery" not in info.needs
    ]
    return max(knowing_nobody, key=lambda name: rates[name], default=None)


def _restored(name: str, probe: AnonymizedFaces, group: Group, audit: Audit) -> Picture | None:
    """The probe as an attack leaves it; None where the attack cannot be repeated."""
    setup = make_setup(group, audit.recognizers[0], audit)
    try:
        attack = make_attack(name, setup.options.get(name, {})).fit(setup.reference, setup.context)
        output = attack.run(probe, setup.context)
    except ReidAuditError:
        return None
    return output.restored[0] if output.restored else None


def _encoded(picture: Picture, landmarks: np.ndarray) -> str:
    """The face of a window as a small JPEG in base64."""
    square = face_square(picture, landmarks)
    side = max(square.shape[:2])
    if side > SHOWN:
        height, width = (max(1, round(length * SHOWN / side)) for length in square.shape[:2])
        smaller = cv2.resize(square, (width, height), interpolation=cv2.INTER_AREA)
        square = np.asarray(smaller, np.uint8)
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(square)).save(content, "JPEG", quality=QUALITY)
    return base64.b64encode(content.getvalue()).decode()
