"""Is this installation fit to audit? Each check does the thing once, on a face of nobody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reid_audit.metrics.errors import ReidAuditError


@dataclass(frozen=True)
class Condition:
    """One check: what, whether it works, and what was seen."""

    name: str
    ok: bool
    detail: str


def examine() -> list[Condition]:
    """Run every check; none raises."""
    checks: tuple[tuple[str, Callable[[], str]], ...] = (
        ("torch", _torch),
        ("face detector", _detector),
        ("second face detector", _second_detector),
        ("recogniser dlib", _dlib),
        ("strongest recogniser", _recognizer),
        ("report", _report),
        ("optional weights", _weights),
        ("dense landmarks", _mesh),
    )
    return [_check(name, work) for name, work in checks]


def _check(name: str, work: Callable[[], str]) -> Condition:
    try:
        return Condition(name, True, work())
    except (ReidAuditError, ImportError, OSError, RuntimeError, ValueError) as error:
        return Condition(name, False, f"{type(error).__name__}: {error}")


def _torch() -> str:
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    return f"{torch.__version__} on {device}, {torch.get_num_threads()} threads"


def _detector() -> str:
    from reid_audit.attacks.recognition.detect import Detector
    from reid_audit.audit.people import identity, nuisance, render

    faces = Detector().detect([render(identity(1), nuisance(1, 0), 160)])[0]
    if not faces:
        raise RuntimeError("no face found in a picture that shows one")
    return f"finds a face (score {faces[0].score:.3f})"


def _second_detector() -> str:
    from reid_audit.attacks.recognition.cache import centerface_file
    from reid_audit.attacks.recognition.centerface import CenterFace
    from reid_audit.audit.people import identity, nuisance, render

    network = centerface_file()
    if network is None:
        return (
            "not installed; run `reid-audit weights fetch centerface` to find the faces of scenes "
            "that are small, turned or half hidden (19 for 15 of 21 in a street)"
        )
    faces = CenterFace(network).detect(render(identity(1), nuisance(1, 0), 160), 20)
    if not faces:
        raise RuntimeError("no face found in a picture that shows one")
    return f"finds a face (score {faces[0].score:.3f})"


def _mesh() -> str:
    from reid_audit.attacks.recognition.detect import Detector
    from reid_audit.attacks.recognition.face_mesh import WHEEL, installed_finder
    from reid_audit.audit.people import identity, nuisance, render
    from reid_audit.audit.results.messages import english, say

    finder = installed_finder()
    if finder is None:
        why = english(say("unknown.extra", wheel=WHEEL))
        return f"{why} to measure expression, gaze and head pose"
    picture = render(identity(1), nuisance(1, 0), 160)
    faces = Detector().detect([picture])[0]
    mesh = finder.find(picture, faces[0].landmarks) if faces else None
    if mesh is None:
        raise RuntimeError("no surface found on a face")
    return f"{len(mesh.points)} points on a face, and both irises"


def _dlib() -> str:
    import numpy as np

    from reid_audit.attacks.recognition.recognizers import load_recognizer

    recognizer = load_recognizer("dlib")
    side = recognizer.template.size
    embedding = recognizer.embed(np.zeros((1, side, side, 3), np.uint8))
    return f"{embedding.shape[1]} dimensions"


def _recognizer() -> str:
    from reid_audit.attacks.recognition.cache import strongest
    from reid_audit.audit.recognizers import WEAK
    from reid_audit.audit.results.messages import english, say

    used = strongest()
    if used not in WEAK:
        return used
    return f"{used}; run `reid-audit weights fetch edgeface-s`. {english(say('controls.fetched'))}"


def _report() -> str:
    from reid_audit.reports import FORMATS

    return f"formats {', '.join(FORMATS)}"


def _weights() -> str:
    from reid_audit.audit.weights import catalogue, check

    return ", ".join(f"{name}: {check(entry)}" for name, entry in catalogue().items())
