"""reid-audit: can the people in anonymised pictures still be identified?

The names a researcher types. Each is loaded when it is first used, so that `import reid_audit` is
quick and brings in no network library.

>>> import numpy as np
>>> from reid_audit import limit, parse
>>> blur = parse("gaussian:sigma=7.8")
>>> blur(np.zeros((160, 160, 3), np.uint8)).shape
(160, 160, 3)
>>> round(limit(blur, face_width=94).effective_resolution, 1)
18.3
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reid_audit.attacks.anonymisation import Identification as Identification
    from reid_audit.attacks.anonymisation import identify as identify
    from reid_audit.attacks.anonymisation import identify_pair as identify_pair
    from reid_audit.attacks.direct.degraded_gallery import DegradedGallery as DegradedGallery
    from reid_audit.attacks.direct.fusion import Fusion as Fusion
    from reid_audit.attacks.direct.naive import Naive as Naive
    from reid_audit.attacks.direct.parrot import Parrot as Parrot
    from reid_audit.attacks.direct.parrot import TunedParrot as TunedParrot
    from reid_audit.attacks.direct.ridge import Ridge as Ridge
    from reid_audit.attacks.direct.student import Student as Student
    from reid_audit.attacks.faces import AnonymizedFaces as AnonymizedFaces
    from reid_audit.attacks.faces import ClearFaces as ClearFaces
    from reid_audit.attacks.interface import Attack as Attack
    from reid_audit.attacks.interface import AttackInfo as AttackInfo
    from reid_audit.attacks.interface import AttackOutput as AttackOutput
    from reid_audit.attacks.interface import Context as Context
    from reid_audit.attacks.interface import Reference as Reference
    from reid_audit.attacks.linear.wiener import Wiener as Wiener
    from reid_audit.attacks.operators import Chain as Chain
    from reid_audit.attacks.operators import Operator as Operator
    from reid_audit.attacks.operators import parse as parse
    from reid_audit.attacks.operators.leakage import limit as limit
    from reid_audit.attacks.operators.leakage import weakest_setting as weakest_setting
    from reid_audit.attacks.recognition.interface import Recognizer as Recognizer
    from reid_audit.attacks.recognition.recognizers import load_recognizer as load_recognizer
    from reid_audit.attacks.registry import attack_class as attack_class
    from reid_audit.attacks.restoration.fantomas import Fantomas as Fantomas
    from reid_audit.attacks.restoration.flow import Flow as Flow
    from reid_audit.attacks.restoration.mmse import Mmse as Mmse
    from reid_audit.attacks.restoration.posterior import Posterior as Posterior
    from reid_audit.attacks.restoration.revelio.attack import Revelio as Revelio
    from reid_audit.attacks.restoration.revelio.attack import RevelioVote as RevelioVote
    from reid_audit.attacks.scoring import Scorer as Scorer
    from reid_audit.audit.results.schema import Results as Results
    from reid_audit.audit.results.schema import read_results as read_results
    from reid_audit.metrics.errors import InputError as InputError
    from reid_audit.metrics.fidelity import psnr as psnr
    from reid_audit.metrics.fidelity import ssim as ssim
    from reid_audit.metrics.identification import cmc as cmc
    from reid_audit.metrics.identification import rank as rank
    from reid_audit.metrics.stats import clopper_pearson as clopper_pearson
    from reid_audit.reports import render as render

_ATTACKS = "reid_audit.attacks"
_HOME = {
    "Identification": f"{_ATTACKS}.anonymisation",
    "identify": f"{_ATTACKS}.anonymisation",
    "identify_pair": f"{_ATTACKS}.anonymisation",
    "Naive": f"{_ATTACKS}.direct.naive",
    "DegradedGallery": f"{_ATTACKS}.direct.degraded_gallery",
    "Wiener": f"{_ATTACKS}.linear.wiener",
    "Parrot": f"{_ATTACKS}.direct.parrot",
    "TunedParrot": f"{_ATTACKS}.direct.parrot",
    "Ridge": f"{_ATTACKS}.direct.ridge",
    "Student": f"{_ATTACKS}.direct.student",
    "Fusion": f"{_ATTACKS}.direct.fusion",
    "Fantomas": f"{_ATTACKS}.restoration.fantomas",
    "Mmse": f"{_ATTACKS}.restoration.mmse",
    "Flow": f"{_ATTACKS}.restoration.flow",
    "Posterior": f"{_ATTACKS}.restoration.posterior",
    "Revelio": f"{_ATTACKS}.restoration.revelio.attack",
    "RevelioVote": f"{_ATTACKS}.restoration.revelio.attack",
    "attack_class": f"{_ATTACKS}.registry",
    "Attack": f"{_ATTACKS}.interface",
    "AttackInfo": f"{_ATTACKS}.interface",
    "AttackOutput": f"{_ATTACKS}.interface",
    "AnonymizedFaces": f"{_ATTACKS}.faces",
    "ClearFaces": f"{_ATTACKS}.faces",
    "Context": f"{_ATTACKS}.interface",
    "Reference": f"{_ATTACKS}.interface",
    "Scorer": f"{_ATTACKS}.scoring",
    "Chain": f"{_ATTACKS}.operators",
    "Operator": f"{_ATTACKS}.operators",
    "parse": f"{_ATTACKS}.operators",
    "limit": f"{_ATTACKS}.operators.leakage",
    "weakest_setting": f"{_ATTACKS}.operators.leakage",
    "Recognizer": f"{_ATTACKS}.recognition.interface",
    "load_recognizer": f"{_ATTACKS}.recognition.recognizers",
    "InputError": "reid_audit.metrics.errors",
    "psnr": "reid_audit.metrics.fidelity",
    "ssim": "reid_audit.metrics.fidelity",
    "cmc": "reid_audit.metrics.identification",
    "rank": "reid_audit.metrics.identification",
    "clopper_pearson": "reid_audit.metrics.stats",
    "Results": "reid_audit.audit.results.schema",
    "read_results": "reid_audit.audit.results.schema",
    "render": "reid_audit.reports",
}
"""Where each public name stands; the imports above say the same to type checkers."""

_ROOMS = ("attacks", "audit", "metrics", "reports")

__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
    elif name in _ROOMS:
        value = importlib.import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value  # so that the next look needs no call
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS})
