"""Text catalogues and the way numbers are written in a language.

A catalogue is a YAML file in `catalogues/languages`; the keys a translation leaves out are read
from English. Fractions become percent here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from reid_audit.audit.results.schema import Estimate, InputError
from reid_audit.reports.text.names import clean

_SPACE = "\u00a0"
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
class Language:
    """Looks up sentences by dotted key and writes numbers."""

    code: str
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

    def _point(self, text: str) -> str:
        marks = {",": self.texts["group"], ".": self.texts["decimal"]}
        return "".join(marks.get(char, char) for char in text)

    def count(self, number: float) -> str:
        """A whole number with the language's thousands separator."""
        return self._point(f"{number:,.0f}")

    def decimal(self, number: float | None, digits: int = 3) -> str:
        """Three significant digits, plain notation."""
        if number is None:
            return self("page.not_computed")
        if number == 0 or abs(number) >= 1000:
            return self.count(number)
        return self._point(f"{number:#.{digits}g}".rstrip("."))

    def percent(self, fraction: float | None, unit: bool = True) -> str:
        """A fraction as percent: one decimal, more where rounding would feign 0 or 100.

        >>> [load("en").percent(x, unit=False) for x in (0, 1, 0.958762, 0.000164, 0.99997, -0.05)]
        ['0', '100', '95.9', '0.016', '99.997', '−5.0']
        """
        if fraction is None:
            return self("page.not_computed")
        return self._point(_percent(fraction)) + (f"{_SPACE}%" if unit else "")

    def declared(self, fraction: float) -> str:
        """A fraction that somebody chose, such as a limit or a level, without forced decimals."""
        return self._point(f"{100 * fraction:.6g}") + f"{_SPACE}%"

    def interval(self, estimate: Estimate, share: bool = True) -> str:
        """`89.9–98.4 %`, or an empty string where no interval was computed."""
        if estimate.low is None or estimate.high is None:
            return ""
        if share:
            return f"{self.percent(estimate.low, unit=False)}{_DASH}{self.percent(estimate.high)}"
        return f"{self.decimal(estimate.low)}{_DASH}{self.decimal(estimate.high)}"

    def signed(self, fraction: float) -> str:
        """A difference of fractions in percentage points, with its sign and one decimal."""
        return "0" if fraction == 0 else self._point(f"{100 * fraction:+.1f}").replace("-", "−")

    def points(self, difference: Estimate) -> str:
        """`−12.4 (−20.6…−4.1)`, in percentage points."""
        if difference.value is None:
            return self.missing(difference)
        text = self.signed(difference.value)
        if difference.low is None or difference.high is None:
            return text
        return f"{text} ({self.signed(difference.low)}…{self.signed(difference.high)})"

    def chance_of(self, p_value: float | None) -> str:
        """A p-value, to two digits and no further than one in a thousand."""
        if p_value is None:
            return "–"
        return f"<{self._point('0.001')}" if p_value < 0.001 else self.decimal(p_value, 2)

    def duration(self, seconds: float) -> str:
        """Seconds to three significant digits, with their unit."""
        return f"{self.decimal(seconds)}{_SPACE}s"

    def missing(self, estimate: Estimate) -> str:
        """Why an estimate holds no value."""
        return clean(estimate.reason) if estimate.reason else self("page.not_computed")


def _percent(fraction: float) -> str:
    if fraction < 0:
        return f"−{_percent(-fraction)}"
    percent = 100 * fraction
    if fraction in (0, 1):
        return f"{percent:.0f}"
    if percent < 0.1:
        return f"{percent:.2g}" if percent >= 1e-4 else "<0.0001"
    for digits in range(1, 5):
        if float(text := f"{percent:.{digits}f}") < 100:
            return text
    return ">99.9999"


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
    return Language(code, texts)
