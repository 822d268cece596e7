"""What a reader should do about the results: findings, limitations, and what was not tested."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Literal, NamedTuple

from reid_audit.attacks.residue import Residue, Severity
from reid_audit.audit.config import AuditConfig
from reid_audit.audit.data.leaks import Leaks
from reid_audit.audit.evaluation.asked import asked
from reid_audit.audit.recognizers import WEAK
from reid_audit.audit.results.messages import say
from reid_audit.audit.results.schema import (
    Clustering,
    Condition,
    Data,
    Estimate,
    Faces,
    Finding,
    Message,
    MessageValue,
    Results,
)
from reid_audit.audit.results.telling import finding, named, rate, reason, roles
from reid_audit.metrics.leakage import FRAME, NAMED_OF, Leakage
from reid_audit.metrics.stats import identities_needed

FAILING_RESOLUTION = 12.0
"""Effective resolution from which a setting fails whatever was measured."""
REFERENCE_WIDTH = 100.0
"""Face width in px on which advice is computed before it is scaled to the run's faces."""
TARGET_RESOLUTION = 3.0
"""Effective resolution that advice aims under: a target, no proof (benchmarks/tried.md, advice)."""
AROUND = {"cause": "surroundings"}
"""Value of a finding on a leak that what was left around the covered part must have made."""


def findings(
    results: Results, leaks: Leaks, config: AuditConfig, pairs: Mapping[str, int] | None = None
) -> list[Finding]:
    """Findings of a run, gravest first and what became of the faces before all; passes are listed
    too. `pairs`: how many pictures and originals are the same, turned or different."""
    every: list[Finding | None] = [
        *_coverage(results.data.faces),
        _originals(pairs or {}),
        _linkage(results),
    ]
    every += [_reidentification(condition, results) for condition in results.conditions]
    every += [_effective_resolution(condition) for condition in results.conditions]
    every += asked(results, config.minimum_ceiling)
    every += _residues(leaks)
    every += [_left_out(results.data), _duplicates(results.data), _unmatched(results.data)]
    every += [_adequacy(results), _recognizer(results), _left_for_time(results)]
    every += [_sample(results), _authorization(config)]
    every += _manual()
    order = ("fail", "warn", "manual", "pass")
    gravity = ("critical", "high", "medium", "low", "info")
    kept = [item for item in every if item is not None]

    def rank(item: Finding) -> tuple[int, bool, int]:
        uncovered = item.id.startswith("coverage.")
        return order.index(item.status), not uncovered, gravity.index(item.severity)

    return sorted(kept, key=rank)


AT_MOST = 12
"""Faces named in one sentence; all of them stand in `data.faces.open`."""


def _coverage(faces: Faces) -> list[Finding | None]:
    """Faces that were not covered, where the originals tell."""
    judged = faces.covered + faces.partial + faces.missed
    if not judged:
        return []
    if not faces.missed and not faces.partial:
        return [
            finding(
                "coverage.missed-faces",
                "pass",
                "info",
                say("coverage.covered"),
                say("coverage.covered-told", faces=judged, smallest=faces.smallest or 0),
                say("coverage.covered-advice"),
                {"count": "0", "faces": str(judged)},
            )
        ]
    return [
        _uncovered(faces, "missed", judged) if faces.missed else None,
        _uncovered(faces, "partial", judged) if faces.partial else None,
    ]


def _uncovered(faces: Faces, state: Literal["missed", "partial"], judged: int) -> Finding:
    which = [face for face in faces.open if face.state == state]
    count = len(which)
    places = [
        say(
            "coverage.place",
            image=face.image,
            x=face.box[0],
            y=face.box[1],
            width=face.width,
        )
        for face in which[:AT_MOST]
    ]
    if count > AT_MOST:
        places.append(say("coverage.more", count=count - AT_MOST))
    return finding(
        f"coverage.{state}-faces",
        "fail" if state == "missed" else "warn",
        "high",
        say(f"coverage.{state}", count=count),
        say(f"coverage.{state}-told", count=count, faces=judged, places=places),
        say("coverage.advice"),
        {"count": str(count), "faces": str(judged)},
    )


def _linkage(results: Results) -> Finding | None:
    """Whether covered faces are found among the originals' faces more often than painted ones."""
    scored = [link for link in results.linkage if link.rank_1.value is not None]
    if not scored:
        return None
    best = max(scored, key=lambda link: link.rank_1.value or 0.0)
    filled, blind = best.filled.value or 0.0, best.chance.value or 0.0
    linked = (best.rank_1.low or 0.0) > max(filled, blind)
    asking = linked and not results.data.gallery.images
    return finding(
        "linkage.originals",
        "warn" if linked else "pass",
        "medium" if linked else "info",
        say("linkage.linked" if linked else "linkage.not-linked"),
        say(
            "linkage.told",
            attack=best.attack,
            recognizer=best.recognizer,
            rate=rate(best.rank_1),
            faces=best.rank_1.n,
            originals=best.chance.n,
            filled=filled,
            chance=blind,
        ),
        say("linkage.ask" if asking else "linkage.advice" if linked else "none"),
        {"count": str(best.rank_1.n), **({"cause": "gallery"} if asking else {})},
    )


def _originals(pairs: Mapping[str, int]) -> Finding | None:
    """Originals that show another picture, or lie turned."""
    different, turned = pairs.get("different", 0), pairs.get("turned", 0)
    if not different and not turned:
        return None
    counted = {"turned": turned, "different": different}
    return finding(
        "originals.different",
        "warn",
        "medium",
        say("originals.different"),
        [say(f"originals.{how}-told", count=count) for how, count in counted.items() if count],
        say("originals.different-advice" if different else "originals.turned-advice"),
        {
            "count": str(different + turned),
            "different": str(different),
            "turned": str(turned),
        },
    )


def _reidentification(condition: Condition, results: Results) -> Finding:
    verdict = condition.verdict
    assert verdict is not None
    name = f"reidentification.{condition.id}"
    worst = _worst(condition, results)
    if verdict.outcome == "LEAK_DEMONSTRATED":
        return finding(
            name,
            "fail",
            "critical" if (worst.value or 0) >= verdict.threshold else "high",
            say("reidentification.leak"),
            say(
                "reidentification.leak-told",
                attack=verdict.worst_attack or "",
                recognizer=verdict.worst_recognizer or "",
                rate=rate(worst),
                people=worst.n_identities,
            ),
            [say("reidentification.leak-advice"), *_instead(condition)],
            AROUND if _nothing_left(condition) else _setting_values(condition),
            condition,
        )
    if verdict.outcome == "BOUNDED":
        return finding(
            name,
            "pass",
            "info",
            say("reidentification.bounded"),
            say(
                "reidentification.bounded-told",
                upper=verdict.upper_bound or 0.0,
                threshold=verdict.threshold,
            ),
            say("keep"),
            about=condition,
        )
    # With more hits than the threshold allows, no number of people of this kind would bound it.
    hits = _hits(worst) if (worst.value or 0) < verdict.threshold else 0
    people = identities_needed(verdict.threshold, hits=hits)
    signs = (worst.value or 0) > verdict.threshold
    if signs and verdict.people_needed:
        people = verdict.people_needed
    unasked = worst.value is None and not results.data.gallery.images
    cause = "signs" if signs else "gallery" if unasked else None
    advice = (
        say("reidentification.signs-advice", people=people)
        if signs
        else say(
            "reidentification.gallery-advice" if unasked else "reidentification.more-advice",
            people=people,
            threshold=verdict.threshold,
        )
    )
    return finding(
        name,
        "warn",
        "high" if signs else "medium",
        say("reidentification.signs" if signs else "reidentification.inconclusive"),
        verdict.told,
        advice,
        {"people": str(people), **({"cause": cause} if cause else {})},
        condition,
    )


def _worst(condition: Condition, results: Results) -> Estimate:
    """Rate of the attack that the condition's verdict names."""
    verdict = condition.verdict
    assert verdict is not None
    named = (verdict.worst_attack, verdict.worst_recognizer, verdict.worst_condition)
    rates = (
        attack.metrics["ira"]
        for attack in results.attacks
        if (attack.name, attack.recognizer, attack.condition) == named
    )
    return max(rates, key=lambda rate: rate.value or 0.0, default=Estimate())


def _hits(rate: Estimate) -> int:
    return math.ceil((rate.value or 0.0) * rate.n_identities - 1e-6)


def detail_left(resolution: float) -> tuple[Literal["pass", "warn", "fail"], Message]:
    """How the report judges an effective resolution: the finding's status and its title."""
    if resolution < TARGET_RESOLUTION:
        return "pass", say("resolution.little" if resolution else "resolution.nothing")
    status: Literal["warn", "fail"] = "fail" if resolution >= FAILING_RESOLUTION else "warn"
    return status, say("resolution.left")


def _effective_resolution(condition: Condition) -> Finding | None:
    anonymizer = condition.anonymizer
    resolution = anonymizer.effective_resolution
    if resolution is None:
        return None
    told = [_detail(resolution, anonymizer.bits_per_channel)]
    left = Leakage(resolution, anonymizer.bits_per_channel or 0.0, anonymizer.predicted_psnr or 0.0)
    if (precedent := left.named) is not None:
        known: dict[str, MessageValue] = {"share": precedent.share, "people": NAMED_OF}
        told.append(
            say("resolution.precedent-least", **known)
            if precedent.at_least
            else say("resolution.precedent", **known, low=precedent.low, high=precedent.high)
        )
    status, title = detail_left(resolution)
    name = f"resolution.{condition.id}"
    if status == "pass":
        advice = say("resolution.little-advice" if resolution else "resolution.nothing-advice")
        return finding(name, status, "info", title, told, advice, about=condition)
    severity: Literal["high", "medium"] = "high" if status == "fail" else "medium"
    values, advised = _setting_values(condition), _instead(condition)
    return finding(name, status, severity, title, told, advised, values, condition)


def _detail(resolution: float, bits: float | None) -> Message:
    if not resolution:
        return say("resolution.nothing-told")
    if not bits:
        return say("resolution.left-told-alone", side=resolution)
    return say("resolution.left-told", side=resolution, bits=bits)


class Setting(NamedTuple):
    """A setting of a run's own tool: its specification, its length as a share of the face's width,
    and that width in pixels."""

    spec: str
    share: float
    face_width: float


def _setting(condition: Condition) -> Setting | None:
    """The weakest setting of the same tool under the target resolution, if it can be followed."""
    spec, width = condition.anonymizer.spec, condition.anonymizer.face_width
    advised = _advised(spec, width) if spec and width else None
    if advised is None or not width:
        return None
    setting, share = advised
    return Setting(setting, round(share, 2), width)


def _setting_values(condition: Condition) -> dict[str, str]:
    values = {"target": f"{TARGET_RESOLUTION:g}"}
    advised = _setting(condition)
    if advised is None:
        return values
    spec, share, width = advised
    return {**values, "setting": spec, "share": f"{share:.2f}", "face_width": f"{width:.0f}"}


def _advised(spec: str, width: float) -> tuple[str, float] | None:
    """Setting and share of the face's width. The share is found on a face of one width and scaled,
    so that it varies smoothly with the face; None where no strength reaches the target or its
    blocks or kernel would be larger than the region around the face."""
    from reid_audit.attacks.operators import parse
    from reid_audit.attacks.operators.leakage import weakest_setting

    operator = parse(spec).scaled(REFERENCE_WIDTH / width)
    weakest = weakest_setting(operator, TARGET_RESOLUTION, REFERENCE_WIDTH)
    if weakest is None:
        return None
    share = _length(weakest.parameters) / REFERENCE_WIDTH
    if not 0 < share <= FRAME:
        return None
    return str(weakest.scaled(width / REFERENCE_WIDTH).strengthened(1.0)), share


def _length(parameters: Mapping[str, object]) -> float:
    """Side in pixels of the blocks or of the kernel; of a Gaussian without a stated one, six
    sigma; 0 of what has no length."""
    for name in ("b", "block", "k", "kernel_size", "kernel_x"):
        value = parameters.get(name)
        if isinstance(value, int | float):
            return float(value)
    sigma = parameters.get("sigma_x", parameters.get("radius"))
    return 6 * float(sigma) if isinstance(sigma, int | float) else 0.0


def _nothing_left(condition: Condition) -> bool:
    """Whether the operation itself keeps no detail of what it covers."""
    return condition.anonymizer.effective_resolution == 0


def _instead(condition: Condition) -> list[Message]:
    """What to do instead: a fill, or this tool at a setting that leaves too little; where nothing
    is left of what was covered, cover more."""
    if _nothing_left(condition):
        return [say("resolution.around")]
    advised = _setting(condition)
    if advised is None:
        return [say("resolution.fill"), say("resolution.no-setting")]
    setting = say(
        "resolution.setting",
        share=advised.share,
        setting=advised.spec,
        width=advised.face_width,
        target=TARGET_RESOLUTION,
    )
    return [say("resolution.fill"), setting]


_RESIDUE_STATUS: Mapping[str, Literal["fail", "warn", "pass"]] = {
    "high": "fail",
    "medium": "warn",
    "low": "warn",
    "info": "pass",
}


def _residues(leaks: Leaks) -> list[Finding]:
    told = [
        _residue(kind, count, example, leaks) for kind, (count, example) in leaks.by_kind.items()
    ]
    if any(item.status != "pass" for item in told):
        return told
    clean = finding(
        "residue.none",
        "pass",
        "info",
        say("residue.none"),
        say("residue.none-told", files=leaks.files),
        say("residue.none-advice"),
    )
    return [clean, *told]


def _residue(kind: str, count: int, example: Residue, leaks: Leaks) -> Finding:
    harmless = example.severity is Severity.INFO
    return finding(
        f"residue.{kind}",
        _RESIDUE_STATUS[example.severity.value],
        example.severity.value,
        say("residue.beside" if harmless else "residue.more", kind=say(f"residue.kinds.{kind}")),
        [
            say("residue.told", count=count, files=leaks.files),
            say("quoted", text=example.evidence),
        ],
        say("residue.advice"),
        {"kind": kind.replace("-", " "), "count": str(count), "files": str(leaks.files)},
    )


def _left_out(data: Data) -> Finding | None:
    """Files that nothing is said about: each has its reason in the results."""
    lost = [excluded for excluded in data.excluded if not excluded.duplicate]
    if not lost:
        return None
    reasons = Counter(excluded.reason for excluded in lost).most_common(3)
    told = [
        say(
            "data.left-out-told",
            count=len(lost),
            roles=roles(Counter(excluded.role for excluded in lost)),
        )
    ]
    for why, count in reasons:
        told += [
            say("data.left-out-reason", count=count),
            say("quoted", text=f"{why.rstrip('.')}."),
        ]
    return finding(
        "data.left-out",
        "warn",
        "medium",
        say("data.left-out"),
        told,
        say("data.left-out-advice"),
        {"count": str(len(lost))},
    )


def _duplicates(data: Data) -> Finding | None:
    copies = sum(excluded.duplicate for excluded in data.excluded)
    if not copies:
        return None
    return finding(
        "data.duplicates",
        "warn",
        "low",
        say("data.duplicates"),
        say("data.duplicates-told", count=copies),
        say("data.duplicates-advice"),
        {"count": str(copies)},
    )


def _unmatched(data: Data) -> Finding | None:
    told = data.originals
    if told is None or not told.unmatched:
        return None
    return finding(
        "originals.unmatched",
        "warn",
        "low",
        say("originals.unmatched"),
        say(
            "originals.unmatched-told",
            unmatched=told.unmatched,
            pictures=data.probes.images,
            unpaired=told.unpaired,
        ),
        say("originals.unmatched-advice"),
        {"count": str(told.unmatched)},
    )


def _adequacy(results: Results) -> Finding | None:
    if not results.checks:
        return None
    unmet = [check for check in results.checks if not check.passed]
    if not unmet:
        met = len(results.checks)
        return finding(
            "controls.adequacy",
            "pass",
            "info",
            say("controls.passed"),
            say("controls.passed-told", passed=met, checks=met),
            say("none"),
        )
    return finding(
        "controls.adequacy",
        "warn",
        "medium",
        say("controls.failed"),
        [
            say("controls.failed-told", check=named(check), evidence=reason(check))
            for check in unmet
        ],
        say("controls.failed-advice"),
        {"checks": "; ".join(check.name for check in unmet)},
    )


def _recognizer(results: Results) -> Finding | None:
    """A run whose every recogniser is weaker than what anybody can fetch."""
    used = {attack.recognizer for attack in results.attacks if attack.recognizer}
    if not used or not used <= WEAK:
        return None
    weak = [say("recognizer", recognizer=name) for name in sorted(used)]
    return finding(
        "controls.recognizer",
        "warn",
        "low",
        say("controls.recognizer"),
        [say("controls.recognizer-told", recognizers=weak), say("controls.fetched")],
        say("controls.recognizer-advice"),
        {"recognizers": ", ".join(sorted(used))},
    )


def _left_for_time(results: Results) -> Finding | None:
    """Attacks that the time limit left out, and on how many conditions."""
    spared = [attack for attack in results.attacks if attack.left_out]
    if not spared:
        return None
    counts = Counter(attack.name for attack in spared)
    asked = Counter(attack.name for attack in results.attacks)
    return finding(
        "attacks.left-out",
        "warn",
        "medium",
        say("attacks.left-out"),
        say(
            "attacks.left-out-told",
            limit=results.run.time_limit or 0,
            attacks=[
                say("attacks.times", attack=name, count=count, asked=asked[name])
                for name, count in counts.items()
            ],
        ),
        say("attacks.left-out-advice"),
        {"attacks": ", ".join(counts), "count": str(len(spared))},
    )


def _sample(results: Results) -> Finding:
    people = results.data.probes.mated_identities
    needed = identities_needed(results.verdict.threshold)
    enough = people >= needed
    return finding(
        "sample.size",
        "pass" if enough else "warn",
        "info" if enough else "low",
        say("sample.enough" if enough else "sample.few"),
        say("sample.told", people=people, needed=needed),
        say("none") if enough else say("sample.advice", needed=needed),
        {"people": str(needed)},
    )


def _authorization(config: AuditConfig) -> Finding:
    if config.authorization:
        return finding(
            "authorization.recorded",
            "pass",
            "info",
            say("authorization.recorded"),
            say("stated", text=config.authorization),
            say("authorization.recorded-advice"),
        )
    return finding(
        "authorization.missing",
        "manual",
        "medium",
        say("authorization.missing"),
        say("authorization.missing-told"),
        say("authorization.missing-advice"),
    )


def _manual() -> list[Finding]:
    return [
        finding(
            "linkage.context",
            "manual",
            "medium",
            say("linkage.context"),
            say("linkage.context-told"),
            say("linkage.context-advice"),
        ),
        finding(
            "run.personal-data",
            "manual",
            "low",
            say("personal-data.title"),
            say("personal-data.told"),
            say("personal-data.advice"),
        ),
    ]


def limitations(results: Results) -> list[Message]:
    """What the figures cannot say."""
    told = [say("limits.tested"), say("limits.groups")]
    if results.data.clustering is not None:
        told.append(_of_clustering(results.data.clustering))
    if results.data.frame_sources.get("originals"):
        told.append(say("limits.positions"))
    if any(c.anonymizer.source == "sidecar" for c in results.conditions):
        told.append(say("limits.sidecar"))
    return told


def _of_clustering(told: Clustering) -> Message:
    """How far people who were told by clustering can be relied on."""
    target, wrong = told.target_false_match_rate, told.expected_wrong_pairs
    return say(
        "limits.clustering",
        recognizer=told.recognizer,
        faces=told.faces,
        threshold=say("limits.published") if target is None else say("limits.rate", rate=target),
        pairs=told.false_match_rate.n,
        people=told.people,
        wrong=(
            say("limits.wrong-unknown")
            if wrong is None
            else say("limits.wrong", share=wrong, pairs=told.joined_pairs)
        ),
    )


def untested() -> list[Message]:
    """Channels and attackers outside this suite."""
    return [say(f"untested.{name}") for name in ("gait", "frames", "generative", "acquaintances")]
