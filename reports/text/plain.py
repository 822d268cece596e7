"""Anonymisations by the names people use, before the specification that tools use."""

from __future__ import annotations

from collections.abc import Sequence

from reid_audit.audit.results.schema import Anonymizer, Condition
from reid_audit.reports.text.language import Language
from reid_audit.reports.text.names import clean

_NOTHING, _LIGHT, _MEDIUM = 0.001, 0.06, 0.15
"""Sigma / face width under which nothing is called a blur, and up to which it is called light and
medium."""
_BLURS = ("gaussian", "box")
_SIZES = ("b", "block")


def plain_name(condition: Condition, language: Language) -> str:
    """What was done, as somebody would say it: `Light blur, 4 % of the face's width`."""
    anonymizer = condition.anonymizer
    name = _by_size(anonymizer, language) or _by_family(condition, language)
    if anonymizer.tool:
        name = language("plain.as_tool", name=name, tool=clean(anonymizer.tool, 40))
    return name


def _by_size(anonymizer: Anonymizer, language: Language) -> str | None:
    strength = anonymizer.sigma_over_face_width
    if anonymizer.family in _BLURS and strength and strength >= _NOTHING:
        key = "light" if strength < _LIGHT else "medium" if strength < _MEDIUM else "strong"
        share = language.declared(round(strength, 2 if strength >= 0.1 else 3))
        return language("plain.of_face", name=language(f"plain.{key}"), share=share)
    sizes = [anonymizer.parameters.get(name) for name in _SIZES]
    size = next((value for value in sizes if isinstance(value, int | float)), None)
    if anonymizer.family == "pixelate" and size:
        return language("plain.mosaic", size=language.decimal(size) if size % 1 else f"{size:.0f}")
    return None


def _by_family(condition: Condition, language: Language) -> str:
    families = language.raw("decision.families")
    family = condition.anonymizer.family
    return str(families[family]) if family in families else clean(condition.title, 80)


def specification(condition: Condition) -> str:
    """The tool's own words: its setting, or the title where no setting is known."""
    return clean(condition.anonymizer.spec or condition.title, 80)


def plain_names(conditions: Sequence[Condition], language: Language) -> dict[str, str]:
    """Plain names by condition id; where two would be equal, with the specification."""
    names = {c.id: plain_name(c, language) for c in conditions}
    doubled = {name for name in names.values() if list(names.values()).count(name) > 1}
    return {
        c.id: f"{names[c.id]} ({specification(c)})" if names[c.id] in doubled else names[c.id]
        for c in conditions
    }
