"""What to do instead: a fill, or the same tool at a setting that leaves too little."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from reid_audit.audit.results.messages import say
from reid_audit.audit.results.schema import Condition, Message
from reid_audit.metrics.leakage import FRAME

REFERENCE_WIDTH = 100.0
"""Face width in px on which advice is computed before it is scaled to the run's faces."""
TARGET_RESOLUTION = 3.0
"""Effective resolution that advice aims under: a target, no proof (benchmarks/tried.md, advice)."""
AROUND = {"cause": "surroundings"}
"""Value of a finding on a leak that what was left around the covered part must have made."""


def instead(condition: Condition) -> list[Message]:
    """What to do instead: a fill, or this tool at a setting that leaves too little; where nothing
    is left of what was covered, cover more."""
    if nothing_left(condition):
        return [say("resolution.around")]
    advised = _setting(condition)
    if advised is None:
        return [say("resolution.fill"), say("resolution.no-setting")]
    setting = say(
        "resolution.setting",
        share=advised.share,
        setting=advised.spec,
        width=advised.face_width,
        target=TARGET_RESOLUTION,
    )
    return [say("resolution.fill"), setting]


def nothing_left(condition: Condition) -> bool:
    """Whether the operation itself keeps no detail of what it covers."""
    return condition.anonymizer.effective_resolution == 0


def setting_values(condition: Condition) -> dict[str, str]:
    """The target, and the setting that meets it where there is one, as values of a finding."""
    values = {"target": f"{TARGET_RESOLUTION:g}"}
    advised = _setting(condition)
    if advised is None:
        return values
    spec, share, width = advised
    return {**values, "setting": spec, "share": f"{share:.2f}", "face_width": f"{width:.0f}"}


class Setting(NamedTuple):
    """A setting of a run's own tool: its specification, its length as a share of the face's width,
    and that width in pixels."""

    spec: str
    share: float
    face_width: float


def _setting(condition: Condition) -> Setting | None:
    """The weakest setting of the same tool under the target resolution, if it can be followed."""
    spec, width = condition.anonymizer.spec, condition.anonymizer.face_width
    advised = _advised(spec, width) if spec and width else None
    if advised is None or not width:
        return None
    setting, share = advised
    return Setting(setting, round(share, 2), width)


def _advised(spec: str, width: float) -> tuple[str, float] | None:
    """Setting and share of the face's width. The share is found on a face of one width and scaled,
    so that it varies smoothly with the face; None where no strength reaches the target or its
    blocks or kernel would be larger than the region around the face."""
    from reid_audit.attacks.operators import parse
    from reid_audit.attacks.operators.leakage import weakest_setting

    operator = parse(spec).scaled(REFERENCE_WIDTH / width)
    weakest = weakest_setting(operator, TARGET_RESOLUTION, REFERENCE_WIDTH)
    if weakest is None:
        return None
    share = _length(weakest.parameters) / REFERENCE_WIDTH
    if not 0 < share <= FRAME:
        return None
    return str(weakest.scaled(width / REFERENCE_WIDTH).strengthened(1.0)), share


def _length(parameters: Mapping[str, object]) -> float:
    """Side in pixels of the blocks or of the kernel; of a Gaussian without a stated one, six
    sigma; 0 of what has no length."""
    for name in ("b", "block", "k", "kernel_size", "kernel_x"):
        value = parameters.get(name)
        if isinstance(value, int | float):
            return float(value)
    sigma = parameters.get("sigma_x", parameters.get("radius"))
    return 6 * float(sigma) if isinstance(sigma, int | float) else 0.0
