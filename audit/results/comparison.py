"""Two or more runs side by side as data: what `reid-audit compare` hands to the reports.

The first run is the baseline. Differences are paired: only identities probed in both runs count,
each once, so that a harder set of people cannot pass for a better anonymisation.
"""

from __future__ import annotations

from pydantic import Field

from reid_audit.audit.results.schema import Estimate, Record, Verdict


class ComparedRun(Record):
    """One run under the label the user gave it."""

    label: str
    title: str
    verdict: Verdict
    version: str
    started: str | None = None
    digest: str | None = None
    """SHA-256 of its `results.json`."""


class Change(Record):
    """A setting that differs between the runs: one value per run, null where it is absent."""

    name: str
    values: list[str | None]


class PairedDifference(Record):
    """Rate of a later run less that of the baseline, on the identities both probed."""

    run: str
    """Label of the later run."""
    attack: str
    recognizer: str | None = None
    condition: str | None = None
    metric: str = "ira"
    baseline: Estimate
    later: Estimate
    difference: Estimate
    """In [-1, 1], with a score interval on the same people. Below zero, less is revealed."""
    only_baseline: int = 0
    only_later: int = 0
    p_value: float | None = None
    """Exact two-sided McNemar test."""
    p_adjusted: float | None = None
    """The same after Holm's adjustment for all differences of the comparison."""


class Trend(Record):
    """One attack's rate in every run, in the order of `Comparison.runs`."""

    attack: str
    recognizer: str | None = None
    condition: str | None = None
    strongest: bool = False
    """Whether this follows the strongest attack of each run instead of one attack."""
    rates: list[Estimate]


class Placed(Record):
    """One condition of one run between what it gives away and what it keeps."""

    run: str
    condition: str
    upper_bound: float
    """Of identification by every attack, one-sided."""
    kept: Estimate
    """The utility axis' mean share."""
    suited: bool
    """Whether an attack that imitates what was done was scored; else the bound bounds little."""
    front: bool
    """No other suited condition of these runs is as low in risk and as high in utility, and better
    in one."""


class Comparison(Record):
    """The whole of `comparison.json`."""

    title: str = "Comparison of audits"
    runs: list[ComparedRun] = Field(min_length=2)
    differences: list[PairedDifference] = Field(default_factory=list)
    trends: list[Trend] = Field(default_factory=list)
    plane: list[Placed] = Field(default_factory=list)
    """Empty where no run has originals."""
    changes: list[Change] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
