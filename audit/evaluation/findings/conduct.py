"""Findings on the audit itself: its controls, its size, its basis, and what is left to people."""

from __future__ import annotations

from collections import Counter

from reid_audit.audit.config import AuditConfig
from reid_audit.audit.recognizers import WEAK
from reid_audit.audit.results.messages import say
from reid_audit.audit.results.schema import Finding, Results
from reid_audit.audit.results.telling import finding, named, reason
from reid_audit.metrics.stats import identities_needed


def adequacy(results: Results) -> Finding | None:
    """Whether the controls of the run's attackers passed; None without any."""
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


def recognizer(results: Results) -> Finding | None:
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


def left_for_time(results: Results) -> Finding | None:
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


def sample(results: Results) -> Finding:
    """Whether so many people could have bounded the rate at all."""
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


def authorization(config: AuditConfig) -> Finding:
    """The basis on which the audit was made, or that none was stated."""
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


def manual() -> list[Finding]:
    """What no run can judge and a person has to."""
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
