"""One number, its interval and what it rests on: the form in which aggregates leave."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Self


@dataclass(frozen=True)
class Estimate:
    """A point estimate with its confidence interval, or the reason why there is none.

    Args:
        value: the estimate (rates as fractions, never percent); None when unknown.
        low, high: ends of the interval; None when not computed or unbounded.
        n: observations behind the value.
        n_identities: people behind the value; None where people are not the unit.
        method: how the interval was made.
        alpha: probability that the interval misses, in total over its ends.
        reason: why the value is None, or a caveat that must travel with the value.

    Raises:
        ValueError: a number is not finite, or the value is None without a reason.

    >>> Estimate(0.5, 0.1, 0.9, n=4, n_identities=4, method="clopper-pearson").to_dict()["high"]
    0.9
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    n_identities: int | None
    method: str
    alpha: float = 0.05
    reason: str | None = None

    def __post_init__(self) -> None:
        if self.value is None and not self.reason:
            raise ValueError("an Estimate without a value needs a reason")
        for name in ("value", "low", "high"):
            number = getattr(self, name)
            if number is not None and not math.isfinite(number):
                raise ValueError(f"Estimate.{name} is {number}: use None and a reason")

    @classmethod
    def unknown(
        cls, reason: str, *, n: int = 0, n_identities: int | None = None, method: str = "none"
    ) -> Self:
        """An estimate that could not be computed, and why."""
        return cls(None, None, None, n, n_identities, method, reason=reason)

    def map(self, function: Callable[[float], float], method: str | None = None) -> Self:
        """The same estimate on another scale; `function` must not decrease.

        Ends that the function sends to infinity become None (unbounded); so does the value,
        with a reason.
        """

        def finite(number: float | None) -> float | None:
            if number is None:
                return None
            image = function(number)
            return image if math.isfinite(image) else None

        value = finite(self.value)
        lost = value is None and self.value is not None
        return replace(
            self,
            value=value,
            low=finite(self.low),
            high=finite(self.high),
            method=method or self.method,
            reason="unbounded on this scale" if lost else self.reason,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain types for JSON, fields in the order of the class."""
        return asdict(self)
