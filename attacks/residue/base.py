"""What a file gives away beside its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How far a leak alone takes an attacker."""

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
