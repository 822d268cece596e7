"""Which tools made the pictures of a run: one rule for each, from the evidence of all pictures.

A tool has a family, and a length by one rule: fixed in pixels, in proportion to the face, to the
region or to the picture, drawn anew for every picture, or what a tool of the catalogue does by
default. A picture's cost under a tool is

    -log [share of the tool] - log P(family | picture) - log p(length | rule) / p(any length),

with probabilities bounded away from 0, since single pictures are sometimes misread. Tools are added
one by one, the one that lowers the total most first, while that gains more than the penalty for a
further tool (Schwarz's, and a prior against many tools). A picture that deviates thus stays with
the tool that made the others, unless several agree in how they deviate.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reid_audit.attacks.anonymisation.result import Identification, with_codec
from reid_audit.attacks.operators import Operator
from reid_audit.attacks.operators.blur import rule_kernel
from reid_audit.attacks.operators.tools import (
    Tool,
    by_region,
    find,
    layer_over,
    lengths_over,
    tools,
)
from reid_audit.metrics.errors import InputError

LENGTHS = {
    "gaussian": ("sigma_x", "sigma_y"),
    "box": ("box_x", "box_y"),
    "median": ("size_x", "size_y"),
    "pixelate": ("block_x", "block_y"),
    "downscale": ("factor_x", "factor_y"),
    "noise": ("sigma",),
    "motion": ("length",),
    "permute": ("block",),
}
"""Parameters that say how strong a family is, in pixels but for noise."""
RULES = ("pixels", "face", "region", "picture")
"""What lengths are in proportion to; pixels: to nothing."""
DRAWN = "drawn"
"""Drawn anew for every picture, between two lengths."""
KNOWN = "catalogue"
"""As a tool of the catalogue does by default."""
AGAINST = {"pixels": 0.0, "face": 1.5, "region": 1.0, "picture": 1.5, DRAWN: 2.0, KNOWN: 1.5}
"""Negative log prior of each rule: the simple one first."""
FURTHER = 4.0
"""Negative log prior of one more tool."""
DOUBT, EXACT_DOUBT = 0.04, 1e-5
"""Least probability that a picture's family was misread, from pixels, and from a pair."""
SCATTER = 0.07
"""Standard deviation of log lengths beyond a picture's own, from pixels."""
NEAR = 3.0
"""Standard deviations within which a tool of the catalogue is tried."""
STRAY = 0.06
"""Share of lengths that are far off."""
WIDE = 3.5
"""Range of log lengths: from 1 to 33 pixels."""
PLACE = 2.5
"""Cost of a picture processed as a whole under a tool for parts, or the other way round."""
STARTS = 24
"""Lengths that are tried of each family and rule."""
MOST = 12
"""Tools in one run."""
AGREED = 0.7
"""Share of a tool's pictures that an entry of the catalogue must explain to be said to fit."""


@dataclass(frozen=True)
class ToolSample:
    """One processed part: what it shows alone, its picture's `shape` (H, W), the width of its face
    in pixels where that is known; `settled`: by a pair, not from pixels."""

    identification: Identification
    shape: tuple[int, int]
    face_width: float | None = None
    settled: bool = False

    @property
    def whole(self) -> bool:
        """Whether the whole picture was processed."""
        return self.identification.region == (0, 0, self.shape[1], self.shape[0])

    @property
    def length(self) -> float | None:
        """Log of the length, None for families that have none."""
        names = LENGTHS.get(self.identification.family, ())
        values = [self.identification.parameters.get(name) for name in names]
        known = [float(v) for v in values if isinstance(v, int | float) and v > 0]
        return float(np.mean(np.log(known))) if known else None

    @property
    def spread(self) -> float:
        """Standard deviation of the log length."""
        told = self.identification.parameters
        known = [
            told[f"{name}_sd"] / told[name]
            for name in LENGTHS.get(self.identification.family, ())
            if told.get(name) and told.get(f"{name}_sd") is not None
        ]
        own = float(np.mean(known)) if known else 0.03
        return math.hypot(own, 0.02 if self.settled else SCATTER)

    def by_default(self, tool: Tool) -> float | None:
        """Log of the length in pixels that a tool of the catalogue has on this region; None where
        it has none, or another shape."""
        answer = self.identification
        if self.whole or (tool.shape != answer.region_shape and not answer.tools):
            return None
        lengths = lengths_over(tool, answer.family, answer.region, self.shape)
        return None if lengths is None else math.log(math.sqrt(lengths["x"] * lengths["y"]))

    def unit(self, rule: str) -> float | None:
        """Log of the length in pixels to which lengths are in proportion under a rule."""
        x0, y0, x1, y1 = self.identification.region
        if rule == "face":
            return None if not self.face_width else math.log(self.face_width)
        if rule == "region":
            return math.log(max((x1 - x0) * (y1 - y0), 1)) / 2
        return math.log(max(self.shape)) if rule == "picture" else 0.0


@dataclass(frozen=True)
class ToolEstimate:
    """One tool.

    rule: one of `RULES`, `drawn`, or `catalogue`, where `entry` names the tool; length: in pixels,
    or as a share of what the rule names, None for families that have none; spread: standard
    deviation of its logarithm (of drawn ones: half the log range); members: indices of the samples;
    typical: the answer of all members together, for the median region; whole: whether whole
    pictures were processed.
    """

    family: str
    rule: str
    length: float | None
    spread: float
    members: tuple[int, ...]
    typical: Identification
    whole: bool
    entry: str | None = None

    def operator(self) -> Operator | None:
        """The operator to attack, lengths in proportion to the region where they grow; None when
        it is unknown."""
        return self.typical.operator()


def estimate_tools(samples: Sequence[ToolSample]) -> tuple[ToolEstimate, ...]:
    """The tools that made the samples, the one with most members first; every sample belongs to
    one of them.

    Raises:
        InputError: no sample at all.
    """
    if not samples:
        raise InputError("estimate_tools: no pictures given; pass at least one.")
    candidates = _candidates(samples)
    costs = np.array([candidate.costs(samples) for candidate in candidates])
    priors = np.array([AGAINST[candidate.rule] for candidate in candidates])
    chosen = _chosen(costs, priors, [candidate.free for candidate in candidates])
    owner = _owners(costs[chosen])
    estimates = []
    for place, index in enumerate(chosen):
        members = tuple(int(i) for i in np.flatnonzero(owner == place))
        if members:
            estimates.append(_estimate(candidates[index], samples, members))
    return tuple(sorted(estimates, key=lambda tool: (-len(tool.members), tool.members)))


@dataclass(frozen=True)
class _Candidate:
    """A tool that is tried: log lengths between `low` and `high`, equal unless drawn; in units of
    what tool of the catalogue, where it is one."""

    family: str
    rule: str
    whole: bool
    low: float | None
    high: float | None
    tool: Tool | None = None

    @property
    def free(self) -> int:
        """Parameters."""
        stated = self.low is None or self.tool is not None
        return 1 + (not stated) + (self.low != self.high)

    def costs(self, samples: Sequence[ToolSample]) -> list[float]:
        """Cost of each sample but for the tool's share."""
        return [self._cost(sample) for sample in samples]

    def unit(self, sample: ToolSample) -> float | None:
        """Log of the length in pixels to which lengths are in proportion."""
        return sample.unit(self.rule) if self.tool is None else sample.by_default(self.tool)

    def _cost(self, sample: ToolSample) -> float:
        answer, doubt = sample.identification, EXACT_DOUBT if sample.settled else DOUBT
        place = PLACE * (sample.whole != self.whole)
        sure = min(max(answer.confidence, 0.3), 1 - doubt)
        if answer.odds:
            family = -math.log(max(answer.odds.get(self.family, 0.0), doubt / 3))
        elif answer.family in ("unknown", self.family):
            family = -math.log(sure if answer.family == self.family else 0.25)
        else:
            family = -math.log(max(1 - sure, doubt) / 3)
        if answer.family != self.family or self.low is None or self.high is None:
            return family + place
        told = answer.tools
        if self.tool is not None and told:
            off = 0.0 if self.tool.name in told else math.inf
            return family + place - math.log(self._density(off, sample.spread) * WIDE)
        length, unit = sample.length, self.unit(sample)
        if length is None or unit is None:
            return family + place + (0.0 if self.tool is None else -math.log(STRAY))
        return family + place - math.log(self._density(length - unit, sample.spread) * WIDE)

    def _density(self, length: float, spread: float) -> float:
        """Of a log length under the rule, strays included."""
        assert self.low is not None and self.high is not None
        off = max(self.low - length, length - self.high, 0.0)
        near = math.exp(-((off / spread) ** 2) / 2)
        near /= spread * math.sqrt(2 * math.pi) + (self.high - self.low)
        return (1 - STRAY) * near + STRAY / WIDE


def _candidates(samples: Sequence[ToolSample]) -> list[_Candidate]:
    """Every family that a sample shows, with every rule and the lengths that samples show."""
    kinds = Counter((s.identification.family, s.whole) for s in samples)
    candidates: list[_Candidate] = []
    for (family, whole), _ in sorted(kinds.items()):
        own = [s for s in samples if s.identification.family == family and s.whole == whole]
        known = [s for s in own if s.length is not None]
        if not known:
            candidates.append(_Candidate(family, "pixels", whole, None, None))
            continue
        for rule in RULES:
            shares = sorted(
                (s.length or 0.0) - unit for s in known if (unit := s.unit(rule)) is not None
            )
            if not shares or (rule != "pixels" and len(shares) < 2):
                continue
            for length in _lengths(shares):
                candidates.append(_Candidate(family, rule, whole, length, length))
            if rule == "pixels" and len(shares) > 2:
                low, high = (float(v) for v in np.quantile(shares, [0.05, 0.95]))
                candidates.append(_Candidate(family, DRAWN, whole, low, high))
        candidates += _known(family, known)
    return candidates


def _known(family: str, samples: Sequence[ToolSample]) -> Iterator[_Candidate]:
    """The tools of the catalogue that explain any of the samples, all of one family."""
    for tool in tools():
        candidate = _Candidate(family, KNOWN, False, 0.0, 0.0, tool)
        for sample in samples:
            if sample.whole:
                continue
            told = sample.identification.tools
            if tool.name in told or (not told and _near(sample, tool)):
                yield candidate
                break


def _near(sample: ToolSample, tool: Tool) -> bool:
    expected, length = sample.by_default(tool), sample.length
    if expected is None or length is None:
        return False
    return abs(length - expected) <= NEAR * sample.spread


def _lengths(shares: list[float]) -> list[float]:
    """Lengths to try: the middle of all, and quantiles, each the mean of what is near it."""
    values = np.array(shares)
    starts = np.unique(np.quantile(values, np.linspace(0, 1, min(STARTS, len(values)))))
    near = [values[np.abs(values - start) < 2 * SCATTER] for start in starts]
    means = [group.mean() for group in near if len(group)]
    return sorted({round(float(v), 4) for v in [*means, np.median(values)]})


def _chosen(costs: np.ndarray, priors: np.ndarray, free: Sequence[int]) -> list[int]:
    """Candidates that explain all samples at least cost, the penalty for each counted."""
    count = costs.shape[1]
    penalties = priors + np.array(free) / 2 * math.log(max(count, 2)) + FURTHER
    alone = costs.sum(axis=1) + penalties
    # From the best tool of each kind: two fixed tools cannot be reached from one that is drawn.
    kinds = np.unique(np.column_stack([priors, free]), axis=0, return_inverse=True)[1].ravel()
    groups = [np.flatnonzero(kinds == kind) for kind in range(kinds.max() + 1)]
    starts = [int(group[np.argmin(alone[group])]) for group in groups]
    return min(_grown(start, costs, penalties) for start in starts)[1]


def _grown(start: int, costs: np.ndarray, penalties: np.ndarray) -> tuple[float, list[int]]:
    """The total cost, and the tools that lower it one by one."""
    chosen = [start]
    total = _total(costs[chosen]) + penalties[chosen].sum()
    while len(chosen) < MOST:
        others = [index for index in range(len(costs)) if index not in chosen]
        trials = [[*chosen, index] for index in others]
        # One may also take the place of another.
        trials += [
            [*chosen[:place], index, *chosen[place + 1 :]]
            for place in range(len(chosen))
            for index in others
        ]
        spent = [(_total(costs[trial]) + float(penalties[trial].sum()), trial) for trial in trials]
        if not spent or min(spent)[0] >= total - 1e-9:
            break
        total, chosen = min(spent)
    return float(total), chosen


def _total(costs: np.ndarray) -> float:
    """Cost `(tools, samples)` of the better tool for each sample, and of the tools' shares."""
    owner = _owners(costs)
    shares = np.bincount(owner, minlength=len(costs)) / costs.shape[1]
    spent = costs[owner, np.arange(costs.shape[1])].sum()
    return float(spent - np.log(np.maximum(shares, 1e-9))[owner].sum())


def _owners(costs: np.ndarray) -> np.ndarray:
    """The tool of each sample `(samples,)`: larger tools first, where two explain it alike."""
    owner = np.argmin(costs, axis=0)
    shares = np.bincount(owner, minlength=len(costs)) + 0.5
    return np.asarray(np.argmin(costs - np.log(shares / shares.sum())[:, None], axis=0))


def _estimate(
    tool: _Candidate, samples: Sequence[ToolSample], members: tuple[int, ...]
) -> ToolEstimate:
    """The tool with its numbers from all its members."""
    own = [samples[i] for i in members]
    alike = [s for s in own if s.identification.family == tool.family] or own
    near, length, spread = alike, None, 0.0
    if tool.low is not None and tool.high is not None:
        middle = (tool.low + tool.high) / 2
        offs = {id(s): _off(s, tool, middle) for s in alike}
        reach = (tool.high - tool.low) / 2
        near = [s for s in alike if abs(offs[id(s)]) <= reach + 4 * s.spread] or alike
        weights = np.array([s.spread**-2 for s in near])
        shift = float(weights @ [offs[id(s)] for s in near] / weights.sum())
        length = math.exp(middle + (shift if tool.rule not in (DRAWN, KNOWN) else 0.0))
        spread = reach if tool.rule == DRAWN else float(weights.sum() ** -0.5)
    typical = _typical(tool, near, length, own)
    whole = sum(s.whole for s in own) * 2 > len(own)
    entry = None if tool.tool is None else tool.tool.name
    return ToolEstimate(tool.family, tool.rule, length, spread, members, typical, whole, entry)


def _off(sample: ToolSample, tool: _Candidate, middle: float) -> float:
    length, unit = sample.length, tool.unit(sample)
    return 0.0 if length is None or unit is None else length - unit - middle


def _typical(
    tool: _Candidate, near: Sequence[ToolSample], length: float | None, own: Sequence[ToolSample]
) -> Identification:
    """The sample of median region with the tool's setting in place of its own."""
    middle = sorted(near, key=lambda s: (s.unit("region"), s.length or 0.0))[len(near) // 2]
    answer = middle.identification
    answers = [s.identification for s in near]
    codec = Counter(a.codec for a in answers).most_common(1)[0][0]
    quality = _quality(answers)
    sure = float(np.mean([s.identification.family == tool.family for s in own]))
    confidence = max(sure * float(np.mean([a.confidence for a in answers])), min(sure, 0.99) ** 4)
    answer = replace(
        answer,
        codec=codec,
        quality=quality,
        confidence=round(confidence, 4),
        tools=_agreed(answers),
    )
    if answer.spec is None or length is None:
        return answer
    specs = [a.spec.split("|") for a in answers if a.spec is not None]
    masks = Counter(tuple(s for s in spec if s.startswith("ellipse")) for spec in specs)
    mask = list(masks.most_common(1)[0][0])
    unit = tool.unit(middle) if tool.rule != DRAWN else 0.0
    parameters = dict(answer.parameters)
    if unit is not None:
        parameters = _parameters(answer, length * math.exp(unit))
    entry = find(answer.tools[0]) if answer.tools else tool.tool
    exact = None if entry is None else by_region(entry, middle.shape)
    if exact is not None and exact.family == tool.family:
        # A window of another length by a pixel makes an inverse worthless.
        return with_codec(replace(answer, parameters=parameters, spec=str(exact)))
    if tool.tool is not None:
        head = str(layer_over(tool.tool, answer.region, middle.shape))
        grows = _grows(tool.tool, middle)
    else:
        head, grows = _head(tool, answer, parameters, near), tool.rule in ("face", "region")
    if grows:
        # Boxes around faces grow as the faces do, so that one proportion stands for both.
        parameters["side"] = round(math.exp(middle.unit("region") or 0.0), 1)
        mask.append(f"relative:side={parameters['side']:g}")
    return with_codec(replace(answer, parameters=parameters, spec="|".join([head, *mask])))


def _agreed(answers: Sequence[Identification]) -> tuple[str, ...]:
    """Tools of the catalogue that fit most of the answers that an original settled, those that fit
    most of them first."""
    told = [answer.tools for answer in answers if answer.tools]
    counts = Counter(name for names in told for name in names)
    return tuple(name for name, count in counts.most_common() if count >= AGREED * len(told))


def _grows(tool: Tool, sample: ToolSample) -> bool:
    """Whether a tool's setting grows with the region."""
    x0, y0, x1, y1 = sample.identification.region
    height, width = sample.shape
    large, larger = (
        layer_over(tool, (x0, y0, x0 + k * (x1 - x0), y0 + k * (y1 - y0)), (9 * height, 9 * width))
        for k in (2, 3)
    )
    return str(large) != str(larger)


def _parameters(answer: Identification, pixels: float) -> dict[str, Any]:
    """The parameters with their lengths moved to `pixels` in the geometric mean."""
    parameters = dict(answer.parameters)
    names = [n for n in LENGTHS.get(answer.family, ()) if n in parameters]
    mean = math.exp(np.mean([math.log(max(parameters[n], 1e-3)) for n in names]))
    for name in names:
        value = parameters[name] * pixels / mean
        whole = isinstance(parameters[name], int)
        parameters[name] = max(1, round(value)) if whole else round(value, 4)
    if answer.family == "gaussian":
        sigma = math.sqrt(parameters["sigma_x"] * parameters["sigma_y"])
        parameters["kernel_size"] = max(3, rule_kernel(sigma))
    return parameters


def _head(
    tool: _Candidate,
    answer: Identification,
    parameters: dict[str, Any],
    near: Sequence[ToolSample],
) -> str:
    """The operator itself in the grammar."""
    assert answer.spec is not None
    first = answer.spec.split("|")[0]
    if tool.family == "gaussian" and not first.startswith("imagenet"):
        if tool.rule == DRAWN and tool.low is not None and tool.high is not None:
            return f"gaussian:sigma={math.exp(tool.low):.4g}..{math.exp(tool.high):.4g}"
        heads = [s.identification.spec.split("|")[0] for s in near if s.identification.spec]
        common, count = Counter(heads).most_common(1)[0]
        # A kernel that was cut short is no Gaussian of the width that it has.
        exact = common.startswith("cv-gaussian") or bool(answer.tools)
        if tool.rule == "pixels" and exact and 2 * count > len(near):
            return common
        x, y = parameters["sigma_x"], parameters["sigma_y"]
        if abs(math.log(x / y)) > 1e-3:
            return f"gaussian:sx={x:.4g},sy={y:.4g}"
        if tool.rule == "pixels" and ",sigma=" not in first:
            return f"gaussian:k={parameters['kernel_size']}"
        return f"gaussian:sigma={x:.4g}"
    if tool.family == "box" and "box_x" in parameters:
        size = math.sqrt(parameters["box_x"] * parameters["box_y"])
        return f"box:k={2 * round((size - 1) / 2) + 1}"
    if tool.family == "pixelate" and "block_x" in parameters:
        size = math.sqrt(parameters["block_x"] * parameters["block_y"])
        rest = [part for part in first.partition(":")[2].split(",") if not part.startswith("b=")]
        return ",".join([f"pixelate:b={max(1, round(size))}", *filter(None, rest)])
    return first


def _quality(answers: Sequence[Identification]) -> int | None:
    """The middle quality of the JPEG that at least half of the answers show."""
    known = sorted(a.quality for a in answers if a.quality is not None)
    return known[len(known) // 2] if 2 * len(known) >= len(answers) else None
