"""What to do about a run's findings, once for all that ask for the same."""

from __future__ import annotations

from collections.abc import Mapping

from reid_audit.audit.results.schema import Finding, Results
from reid_audit.reports.text.language import Language
from reid_audit.reports.text.names import clean
from reid_audit.reports.text.plain import plain_names
from reid_audit.reports.text.summary import conditions, left_out, worst_first
from reid_audit.reports.text.telling import Told, finding_title, tell

_ACTIONS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("reidentification.", ("fail",), "release"),
    ("reidentification.", ("warn",), "conclude"),
    ("resolution.", ("fail", "warn"), "detail"),
    ("residue.", ("fail", "warn"), "strip"),
    ("coverage.missed-faces", ("fail", "warn"), "missed"),
    ("coverage.partial-faces", ("fail", "warn"), "partial"),
    ("data.left-out", ("fail", "warn"), "left_out"),
    ("data.duplicates", ("fail", "warn"), "duplicates"),
    ("originals.unmatched", ("fail", "warn"), "unmatched"),
    ("originals.different", ("fail", "warn"), "different"),
    ("controls.recognizer", ("fail", "warn"), "recognizer"),
    ("controls.adequacy", ("fail", "warn"), "checks"),
    ("attacks.left-out", ("fail", "warn"), "time"),
    ("sample.size", ("fail", "warn"), "people"),
    ("authorization.missing", ("manual",), "authorisation"),
    ("linkage.context", ("manual",), "surroundings"),
    ("linkage.among", ("warn",), "among"),
    ("inference.", ("warn",), "inference"),
    ("replacement.traced", ("warn",), "traced"),
    ("replacement.donors", ("warn",), "donors"),
    ("waivers.stale", ("warn",), "waivers"),
    ("run.personal-data", ("manual",), "kept"),
    ("linkage.originals", ("warn",), "held"),
)
"""Beginning of a finding's id, its statuses, and the sentence under `decision.actions`."""


_BY_CAUSE = {
    ("release", "surroundings"): "around",
    ("conclude", "signs"): "settle",
    ("conclude", "gallery"): "lookup",
    ("held", "gallery"): "gallery",
}
"""Sentences that stand for others where a finding states its `cause`."""


def actions(results: Results, language: Language) -> list[Told]:
    """What to do, gravest first, one item for all findings that ask for the same. Waived findings
    ask for nothing."""
    open_ones = [f for f in worst_first(results.findings) if f.status != "pass" and not f.waiver]
    grouped: dict[str, list[Finding]] = {}
    for finding in open_ones:
        grouped.setdefault(_action(finding), []).append(finding)
    released = {f.values.get("condition") for f in grouped.get("release", [])}
    if grouped.keys() & {"conclude", "settle", "lookup"}:  # they name a number of people
        grouped.pop("people", None)
    items: list[Told] = []
    listed: dict[str, int] = {}
    for key, group in grouped.items():
        if key == "detail":
            group = [f for f in group if f.values.get("condition") not in released]
        if group:
            text = _advice(key, group, results, language, listed, len(items) + 1)
            items += _recorded(group, results, language) if text is None else [[(text, True)]]
    return items


def _recorded(group: list[Finding], results: Results, language: Language) -> list[Told]:
    """What findings recommend themselves, each once under all the titles that share it."""
    titles: dict[str, list[str]] = {}
    advice: dict[str, Told] = {}
    for finding in group:
        told = tell(
            finding.told.recommendation if finding.told else None,
            finding.recommendation,
            results,
            language,
        )
        text = " ".join(part for part, _ in told)
        advice[text] = told
        titles.setdefault(text, []).append(finding_title(finding, results, language)[0])
    own = all(finding.told for finding in group) or language.code == "en"
    return [[(f"{'; '.join(dict.fromkeys(titles[text]))}.", own), *advice[text]] for text in advice]


def _action(finding: Finding) -> str:
    for start, statuses, key in _ACTIONS:
        if finding.id.startswith(start) and finding.status in statuses:
            return _BY_CAUSE.get((key, finding.values.get("cause", "")), key)
    return finding.id


def _advice(
    key: str,
    group: list[Finding],
    results: Results,
    language: Language,
    listed: dict[str, int],
    number: int,
) -> str | None:
    """The catalogue's sentence about a group; None where a finding lacks what it speaks of.

    Args:
        listed: conditions by the number of the action that names them first; added to.
        number: of this action.
    """
    sentences = language.raw("decision.actions")
    values = [finding.values for finding in group]
    needed = {"release": "condition", "detail": "target", "conclude": "people", "strip": "kind"}
    needed |= {"settle": "people", "lookup": "people"}
    needed |= {"around": "condition", "among": "condition", "inference": "condition"}
    needed |= {"traced": "condition", "donors": "condition"}
    if key not in sentences or any(needed.get(key, "") not in ({""} | v.keys()) for v in values):
        return None
    known = conditions(results)
    plain = plain_names(known, language)
    names = {condition.title: plain[condition.id] for condition in known}

    def named(title: str) -> str:
        return names.get(title) or clean(title, 80)

    several = "; ".join(named(v["condition"]) for v in values if "condition" in v)
    before = listed.setdefault(several, number) if ";" in several else number
    shown = several if before == number else language("decision.actions.as_in", number=before)
    text = language(
        f"decision.actions.{key}",
        conditions=shown,
        people=language.count(max(int(v.get("people", "0")) for v in values)),
        kinds=", ".join(dict.fromkeys(clean(v["kind"], 60) for v in values if "kind" in v)),
        target=values[0].get("target", ""),
        attacks=", ".join(left_out(results, language)),
    )
    settings = dict.fromkeys(_told_setting(v, language) for v in values if "setting" in v)
    if settings:
        joined = "; ".join(settings)
        target = next(v["target"] for v in values if "setting" in v)
        text += " " + language("decision.actions.weakest", settings=joined, target=target)
    return text


def _told_setting(values: Mapping[str, str], language: Language) -> str:
    """A tool's own setting, with its length as a share of the face where that is known."""
    setting = clean(values["setting"], 60)
    if "share" not in values:
        return setting
    share = language.declared(float(values["share"]))
    width = clean(values.get("face_width", "–"), 10)
    return language("decision.actions.setting", setting=setting, share=share, width=width)
