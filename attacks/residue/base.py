"""What a file gives away beside its pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How far a leak alone takes an attacker; gravest first."""

    HIGH = "high"  # shows or names the person
    MEDIUM = "medium"  # links the picture to a person, device or place with little effort
    LOW = "low"  # narrows the search
    INFO = "info"  # a fact to weigh


@dataclass(frozen=True, slots=True)
class Residue:
    """One leak of one file. `evidence` says what was found, never the value found: it may stand
    in a public report."""

    kind: str
    severity: Severity
    evidence: str
    extent: float = 0.0
    """Of two leaks of one kind and severity, the one with the larger extent is the graver."""

    @property
    def gravity(self) -> tuple[int, float]:
        """Sorts leaks of one kind: larger is graver."""
        return -list(Severity).index(self.severity), self.extent


def gravest(residues: Iterable[Residue]) -> dict[str, Residue]:
    """The gravest leak of every kind."""
    worst: dict[str, Residue] = {}
    for residue in residues:
        before = worst.setdefault(residue.kind, residue)
        if residue.gravity > before.gravity:
            worst[residue.kind] = residue
    return worst
