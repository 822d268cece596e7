"""Findings on the files: what they show beside the face, and which were left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal

from reid_audit.attacks.residue import Residue, Severity
from reid_audit.audit.data.leaks import Leaks
from reid_audit.audit.results.messages import say
from reid_audit.audit.results.schema import Data, Finding
from reid_audit.audit.results.telling import finding, roles

_RESIDUE_STATUS: Mapping[str, Literal["fail", "warn", "pass"]] = {
    "high": "fail",
    "medium": "warn",
    "low": "warn",
    "info": "pass",
}


def residues(leaks: Leaks) -> list[Finding]:
    """What files hold beside the picture that is shown, by kind."""
    told = [
        _residue(kind, count, example, leaks) for kind, (count, example) in leaks.by_kind.items()
    ]
    if any(item.status != "pass" for item in told):
        return told
    clean = finding(
        "residue.none",
        "pass",
        "info",
        say("residue.none"),
        say("residue.none-told", files=leaks.files),
        say("residue.none-advice"),
    )
    return [clean, *told]


def _residue(kind: str, count: int, example: Residue, leaks: Leaks) -> Finding:
    harmless = example.severity is Severity.INFO
    return finding(
        f"residue.{kind}",
        _RESIDUE_STATUS[example.severity.value],
        example.severity.value,
        say("residue.beside" if harmless else "residue.more", kind=say(f"residue.kinds.{kind}")),
        [
            say("residue.told", count=count, files=leaks.files),
            say("quoted", text=example.evidence),
        ],
        say("residue.advice"),
        {"kind": kind.replace("-", " "), "count": str(count), "files": str(leaks.files)},
    )


def left_out(data: Data) -> Finding | None:
    """Files that nothing is said about: each has its reason in the results."""
    lost = [excluded for excluded in data.excluded if not excluded.duplicate]
    if not lost:
        return None
    reasons = Counter(excluded.reason for excluded in lost).most_common(3)
    told = [
        say(
            "data.left-out-told",
            count=len(lost),
            roles=roles(Counter(excluded.role for excluded in lost)),
        )
    ]
    for why, count in reasons:
        told += [
            say("data.left-out-reason", count=count),
            say("quoted", text=f"{why.rstrip('.')}."),
        ]
    return finding(
        "data.left-out",
        "warn",
        "medium",
        say("data.left-out"),
        told,
        say("data.left-out-advice"),
        {"count": str(len(lost))},
    )


def duplicates(data: Data) -> Finding | None:
    """Files that are copies of others, which count once."""
    copies = sum(excluded.duplicate for excluded in data.excluded)
    if not copies:
        return None
    return finding(
        "data.duplicates",
        "warn",
        "low",
        say("data.duplicates"),
        say("data.duplicates-told", count=copies),
        say("data.duplicates-advice"),
        {"count": str(copies)},
    )


def unmatched(data: Data) -> Finding | None:
    """Pictures without an original, though originals were given."""
    told = data.originals
    if told is None or not told.unmatched:
        return None
    return finding(
        "originals.unmatched",
        "warn",
        "low",
        say("originals.unmatched"),
        say(
            "originals.unmatched-told",
            unmatched=told.unmatched,
            pictures=data.probes.images,
            unpaired=told.unpaired,
        ),
        say("originals.unmatched-advice"),
        {"count": str(told.unmatched)},
    )
