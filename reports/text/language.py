"""Text catalogues of the report's own words.

A catalogue is a YAML file in `catalogues/languages`; the keys a translation leaves out are read
from English. What a run records in sentences stands in the catalogues of `audit/results`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from reid_audit.audit.results.messages import numbers, write
from reid_audit.audit.results.numbers import Numbers
from reid_audit.audit.results.schema import Estimate, InputError
from reid_audit.reports.text.names import clean

_DASH = "\u2060–\u2060"  # word joiners keep an interval on one line


def catalogue(*path: str) -> Any:
    """A YAML file of the package's `catalogues` folder."""
    return yaml.safe_load(
        files("reid_audit.reports").joinpath("catalogues", *path).read_text("utf-8")
    )


def available() -> list[str]:
    """Codes of the languages the decision page can be written in."""
    folder = files("reid_audit.reports").joinpath("catalogues", "languages")
    return sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith("yaml"))


@dataclass(frozen=True)
class Language(Numbers):
    """Looks up sentences by dotted key and writes numbers."""

    texts: Mapping[str, Any]

    def raw(self, key: str) -> Any:
        """The entry under a dotted key: a sentence, a list or a mapping."""
        node: Any = self.texts
        for part in key.split("."):
            node = node[part]
        return node

    def __call__(self, key: str, **values: object) -> str:
        """The sentence under `key` with its placeholders filled."""
        return str(self.raw(key)).format(**values)

    def decimal(self, number: float | None, digits: int = 3) -> str:
        """As `Numbers`; what is not known says so."""
        return self("page.not_computed") if number is None else super().decimal(number, digits)

    def percent(self, fraction: float | None, unit: bool = True) -> str:
        """As `Numbers`; what is not known says so."""
        return self("page.not_computed") if fraction is None else super().percent(fraction, unit)

    def interval(self, estimate: Estimate, share: bool = True) -> str:
        """`89.9–98.4 %`, or an empty string where no interval was computed."""
        if estimate.low is None or estimate.high is None:
            return ""
        if share:
            return f"{self.percent(estimate.low, unit=False)}{_DASH}{self.percent(estimate.high)}"
        return f"{self.decimal(estimate.low)}{_DASH}{self.decimal(estimate.high)}"

    def points(self, difference: Estimate) -> str:
        """`−12.4 (−20.6…−4.1)`, in percentage points."""
        if difference.value is None:
            return self.missing(difference)
        text = self.signed(difference.value)
        if difference.low is None or difference.high is None:
            return text
        return f"{text} ({self.signed(difference.low)}…{self.signed(difference.high)})"

    def chance_of(self, p_value: float | None) -> str:
        """A p-value where there is one."""
        return "–" if p_value is None else self.p_value(p_value)

    def missing(self, estimate: Estimate) -> str:
        """Why an estimate holds no value."""
        if estimate.told:
            try:
                return clean(write(estimate.told, self))
            except (KeyError, ValueError):  # of a version that says it otherwise
                pass
        return clean(estimate.reason) if estimate.reason else self("page.not_computed")


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        both = isinstance(value, dict) and isinstance(old, dict)
        merged[key] = _merged(old or {}, value) if both else value
    return merged


@cache
def load(code: str = "en") -> Language:
    """A language by its code.

    Raises:
        InputError: there is no catalogue of that name.
    """
    if code not in available():
        known = ", ".join(available())
        raise InputError(f"language {clean(code)!r} is not available; choose one of: {known}.")
    english = catalogue("languages", "en.yaml")
    texts = english if code == "en" else _merged(english, catalogue("languages", f"{code}.yaml"))
    marks = numbers(code)
    return Language(marks.code, marks.group, marks.point, texts)
