"""Waivers: findings that somebody answerable has accepted, with a reason and until a date.

    - finding: residue.*            # id of a finding, or a pattern
      title: "*reading room*"       # optional: pattern on its title
      reason: Shown only in the archive's reading room, under supervision.
      expires: 2027-03-31
      approved_by: Data protection officer

A waiver takes a finding out of gates on findings and out of the list of things to do. It changes
neither the verdict nor any figure, and the report shows it beside the finding. An expired one
counts for nothing, and the report says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter, ValidationError

from reid_audit.audit.results.messages import say
from reid_audit.audit.results.schema import Finding, Message, Waiver
from reid_audit.audit.results.telling import finding
from reid_audit.metrics.documents import read_yaml
from reid_audit.metrics.errors import InputError

WAIVABLE = ("fail", "warn", "manual")
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Entry(BaseModel):
    """One entry of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    finding: Text
    reason: Text
    expires: date
    title: Text = "*"
    approved_by: Text | None = None

    def covers(self, finding: Finding) -> bool:
        """Whether the patterns fit; a pass has nothing to waive."""
        return (
            finding.status in WAIVABLE
            and fnmatchcase(finding.id, self.finding)
            and fnmatchcase(finding.title, self.title)
        )


_ENTRIES = TypeAdapter(list[Entry])


def load_waivers(path: str | None) -> tuple[Entry, ...]:
    """Read a file of waivers; none without a path.

    Raises:
        InputError: missing, not YAML, or an entry without reason, expiry or a finding to waive.
    """
    if path is None:
        return ()
    try:
        content = read_yaml(Path(path))
    except InputError as error:
        raise InputError(f"--waivers {error}") from error
    try:
        return tuple(_ENTRIES.validate_python([] if content is None else content))
    except ValidationError as error:
        first = error.errors()[0]
        place = first["loc"]
        where = f"entry {int(place[0]) + 1}" if place else "the file"
        field = f", {place[1]}" if len(place) > 1 else ""
        raise InputError(
            f"--waivers {path}: {where}{field}: {first['msg']}; an entry needs `finding`, "
            "`reason` and `expires` (a date, YYYY-MM-DD)."
        ) from None


def waive(findings: Sequence[Finding], entries: Sequence[Entry], today: date) -> list[Finding]:
    """The findings, those covered by a valid waiver marked with it; and a finding on waivers that
    have expired or fit nothing any more."""
    valid = [entry for entry in entries if entry.expires >= today]
    waived = [_marked(item, valid) for item in findings]
    stale = [
        say("waivers.expired", pattern=entry.finding, date=entry.expires.isoformat())
        for entry in entries
        if entry.expires < today
    ]
    stale += [
        say("waivers.unused", pattern=entry.finding)
        for entry in valid
        if not any(entry.covers(item) for item in findings)
    ]
    return [*waived, _stale(stale)] if stale else waived


def _marked(item: Finding, valid: Sequence[Entry]) -> Finding:
    entry = next((entry for entry in valid if entry.covers(item)), None)
    if entry is None:
        return item
    waiver = Waiver(
        reason=entry.reason, expires=entry.expires.isoformat(), approved_by=entry.approved_by
    )
    return item.model_copy(update={"waiver": waiver})


def _stale(told: list[Message]) -> Finding:
    return finding(
        "waivers.stale",
        "warn",
        "low",
        say("waivers.stale"),
        say("waivers.told", waivers=told),
        say("waivers.advice"),
    )
