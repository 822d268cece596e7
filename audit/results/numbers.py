"""How numbers are written in a language. Fractions become percent here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

_SPACE = "\u00a0"


@dataclass(frozen=True)
class Numbers:
    """The marks of a language between groups of thousands and before decimals."""

    code: str
    group: str
    point: str

    def _marked(self, text: str) -> str:
        marks = {",": self.group, ".": self.point}
        return "".join(marks.get(char, char) for char in text)

    def count(self, number: float) -> str:
        """A whole number with the language's thousands separator."""
        return self._marked(f"{number:,.0f}")

    def decimal(self, number: float, digits: int = 3) -> str:
        """Three significant digits, plain notation."""
        if number == 0 or abs(number) >= 1000:
            return self.count(number)
        return self._marked(f"{number:#.{digits}g}".rstrip("."))

    def fixed(self, number: float) -> str:
        """To two decimals, of measures whose size near zero says nothing."""
        return self._marked(f"{number:.2f}").replace("-", "−")

    def percent(self, fraction: float, unit: bool = True) -> str:
        """A fraction as percent: one decimal, more where rounding would feign 0 or 100.

        >>> english = Numbers("en", ",", ".")
        >>> fractions = (0, 1, 0.958762, 0.000164, 8e-6, 0.99997, -0.05)
        >>> [english.percent(fraction, unit=False) for fraction in fractions]
        ['0', '100', '95.9', '0.016', '<0.01', '99.997', '−5.0']
        """
        return self._marked(_percent(fraction)) + (f"{_SPACE}%" if unit else "")

    def declared(self, fraction: float) -> str:
        """A fraction that somebody chose, such as a limit or a level, without forced decimals."""
        return self._marked(f"{100 * fraction:.6g}") + f"{_SPACE}%"

    def signed(self, fraction: float) -> str:
        """A difference of fractions in percentage points, with its sign and one decimal."""
        return "0" if fraction == 0 else self._marked(f"{100 * fraction:+.1f}").replace("-", "−")

    def p_value(self, value: float) -> str:
        """To two digits and no further than one in a thousand."""
        return f"<{self._marked('0.001')}" if value < 0.001 else self.decimal(value, 2)

    def duration(self, seconds: float) -> str:
        """Seconds to three significant digits, with their unit."""
        return f"{self.decimal(seconds)}{_SPACE}s"


def _percent(fraction: float) -> str:
    if fraction < 0:
        return f"−{_percent(-fraction)}"
    percent = 100 * fraction
    if fraction in (0, 1):
        return f"{percent:.0f}"
    if percent < 0.1:
        return f"{percent:.2g}" if percent >= 0.01 else "<0.01"
    for digits in range(1, 5):
        if float(text := f"{percent:.{digits}f}") < 100:
            return text
    return ">99.9999"
