"""What a reader should do about the results: findings, limitations, and what was not tested."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Literal

from reid_audit.attacks.residue import Residue, Severity
from reid_audit.audit.config import AuditConfig
from reid_audit.audit.data.leaks import Leaks
from reid_audit.audit.evaluation.asked import asked
from reid_audit.audit.recognizers import WEAK, WHAT_A_FETCH_CHANGES
from reid_audit.audit.results.schema import (
    Clustering,
    Condition,
    Data,
    Estimate,
    Faces,
    Finding,
    Results,
)
from reid_audit.metrics.leakage import FRAME, Leakage
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
    kept = [finding for finding in every if finding is not None]

    def rank(finding: Finding) -> tuple[int, bool, int]:
        uncovered = finding.id.startswith("coverage.")
        return order.index(finding.status), not uncovered, gravity.index(finding.severity)

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
            Finding(
                id="coverage.missed-faces",
                severity="info",
                status="pass",
                title="Every face that was found is covered",
                evidence=f"{judged} faces of the originals, from {faces.smallest or 0:g} pixels of "
                "width on.",
                recommendation="Look through a sample for faces that no detector finds.",
                values={"count": "0", "faces": str(judged)},
            )
        ]
    return [
        _uncovered(faces, "missed", judged) if faces.missed else None,
        _uncovered(faces, "partial", judged) if faces.partial else None,
    ]


def _uncovered(faces: Faces, state: str, judged: int) -> Finding:
    which = [face for face in faces.open if face.state == state]
    count, missed = len(which), state == "missed"
    places = "; ".join(
        f"{face.image} at {face.box[0]},{face.box[1]} ({face.width:.0f} px wide)"
        for face in which[:AT_MOST]
    )
    more = f"; and {count - AT_MOST} more" if count > AT_MOST else ""
    what = "untouched" if missed else "covered in part: an eye, the mouth or over a tenth is clear"
    plural = "faces" if count > 1 else "face"
    are = "are" if count > 1 else "is"
    return Finding(
        id="coverage.missed-faces" if missed else "coverage.partial-faces",
        severity="high",
        status="fail" if missed else "warn",
        title=f"{count} {plural} {'left clear' if missed else 'covered in part only'}",
        evidence=f"{count} of {judged} faces of the originals {are} {what}: {places}{more}.",
        recommendation="Anonymise these faces too, with a detector that finds them or by hand; "
        "reid-audit inspect names the files, as scan does with --evidence restricted.",
        values={"count": str(count), "faces": str(judged)},
    )


def _linkage(results: Results) -> Finding | None:
    """Whether covered faces are found among the originals' faces more often than painted ones."""
    scored = [link for link in results.linkage if link.rank_1.value is not None]
    if not scored:
        return None
    best = max(scored, key=lambda link: link.rank_1.value or 0.0)
    rate, filled, blind = best.rank_1, best.filled.value or 0.0, best.chance.value or 0.0
    linked = (rate.low or 0.0) > max(filled, blind)
    return Finding(
        id="linkage.originals",
        severity="medium" if linked else "info",
        status="warn" if linked else "pass",
        title="Covered faces can be linked to their originals"
        if linked
        else "Covered faces were not linked to their originals",
        evidence=(
            f"{best.attack} with {best.recognizer} found {rate.value:.1%} of {rate.n} covered "
            f"faces among the {best.chance.n} faces of the originals (95 % CI {rate.low:.1%} to "
            f"{rate.high:.1%}); with the face painted over {filled:.1%}, by chance {blind:.1%}. "
            "This is linkage, not identification: the mate is the same picture, so pose and light "
            "help as well, and other pictures of the same people would match less often."
        ),
        recommendation=(
            "Give clear reference pictures of the people (--gallery) to measure identification; "
            "treat whoever holds the originals as able to link."
            if linked
            else "None."
        ),
        values={"count": str(rate.n)},
    )


def _originals(pairs: Mapping[str, int]) -> Finding | None:
    """Originals that show another picture, or lie turned."""
    different, turned = pairs.get("different", 0), pairs.get("turned", 0)
    if not different and not turned:
        return None
    told = []
    if turned:
        told.append(
            f"{turned} {'pictures lie' if turned > 1 else 'picture lies'} turned or mirrored "
            "against the original and were laid as it lies"
        )
    if different:
        told.append(
            f"{different} {'originals show' if different > 1 else 'original shows'} another "
            "picture and were left out"
        )
    return Finding(
        id="originals.different",
        severity="medium",
        status="warn",
        title="Originals that do not lie as, or do not show, the anonymised picture",
        evidence=f"{'; '.join(told)}, by what lies outside the processed regions.",
        recommendation=(
            "Give each picture the original it was made from."
            if different
            else "Have the tool keep or apply the orientation tag."
        ),
        values={
            "count": str(different + turned),
            "different": str(different),
            "turned": str(turned),
        },
    )


def _reidentification(condition: Condition, results: Results) -> Finding:
    verdict = condition.verdict
    assert verdict is not None
    name = f"reidentification.{condition.id}"
    limit = f"{verdict.threshold:.1%}"
    values = {"condition": condition.title}
    worst = _worst(condition, results)
    if verdict.outcome == "LEAK_DEMONSTRATED":
        return Finding(
            id=name,
            severity="critical" if (worst.value or 0) >= verdict.threshold else "high",
            status="fail",
            title=f"People can be identified: {condition.title}",
            evidence=(
                f"{verdict.worst_attack} with {verdict.worst_recognizer}: rank-1 {worst.value:.1%} "
                f"(95 % CI {worst.low:.1%} to {worst.high:.1%}, {worst.n_identities} people)."
            ),
            recommendation=f"Do not release these pictures as they are. {_instead(condition)}",
            values={**values, **(AROUND if _nothing_left(condition) else _setting(condition))},
        )
    if verdict.outcome == "BOUNDED":
        return Finding(
            id=name,
            severity="info",
            status="pass",
            title=f"No tested attack reached the threshold: {condition.title}",
            evidence=(
                f"Upper bound {verdict.upper_bound:.1%} over all attacks, threshold {limit}; the "
                "controls show that the suite works."
            ),
            recommendation="Keep tool and setting unchanged, and audit again by the date stated.",
            values=values,
        )
    # With more hits than the threshold allows, no number of people of this kind would bound it.
    hits = _hits(worst) if (worst.value or 0) < verdict.threshold else 0
    people = identities_needed(verdict.threshold, hits=hits)
    signs = (worst.value or 0) > verdict.threshold
    if signs and verdict.people_needed:
        people = verdict.people_needed
    kind = "Signs of identification, not proven" if signs else "No conclusion"
    return Finding(
        id=name,
        severity="high" if signs else "medium",
        status="warn",
        title=f"{kind}: {condition.title}",
        evidence=" ".join(verdict.reasons),
        recommendation=(
            f"Audit at least {people} people, "
            + (
                "which settles it if the rates of this run hold"
                if signs
                else f"which bounds the rate under {limit} if no more are hit than in this run"
            )
            + "; give originals or several reference pictures a person, and a recogniser that "
            "passes the controls. Then audit again."
        ),
        values={**values, "people": str(people)},
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


def detail_left(resolution: float) -> tuple[Literal["pass", "warn", "fail"], str]:
    """How the report judges an effective resolution: the finding's status and its words."""
    if resolution < TARGET_RESOLUTION:
        return "pass", f"{'Little' if resolution else 'No'} detail is left"
    status: Literal["warn", "fail"] = "fail" if resolution >= FAILING_RESOLUTION else "warn"
    return status, "Detail that identifies is left"


def _effective_resolution(condition: Condition) -> Finding | None:
    anonymizer = condition.anonymizer
    resolution = anonymizer.effective_resolution
    if resolution is None:
        return None
    side = f"{resolution:.1f}" if resolution < FAILING_RESOLUTION else f"{resolution:.0f}"
    detail = (
        f"As much detail is left as in a picture of {side} x {side} pixels"
        if resolution
        else "No detail is left"
    )
    bits = anonymizer.bits_per_channel
    told = f"{detail} ({bits:,.0f} bits per colour channel)." if bits else f"{detail}."
    left = Leakage(resolution, bits or 0.0, anonymizer.predicted_psnr or 0.0)
    told = f"{told} {left.precedent}" if left.precedent else told
    values = {"condition": condition.title}
    status, words = detail_left(resolution)
    if status == "pass":
        return Finding(
            id=f"resolution.{condition.id}",
            severity="info",
            status=status,
            title=f"{words}: {condition.title}",
            evidence=told,
            recommendation=(
                "Audit again when attackers have improved; only a fill leaves nothing to restore."
                if resolution
                else "Keep the setting."
            ),
            values=values,
        )
    return Finding(
        id=f"resolution.{condition.id}",
        severity="high" if status == "fail" else "medium",
        status=status,
        title=f"{words}: {condition.title}",
        evidence=told,
        recommendation=_instead(condition),
        values={**values, **_setting(condition)},
    )


def _setting(condition: Condition) -> dict[str, str]:
    """The weakest setting of the same tool under the target resolution, if it can be followed:
    `setting`, and `share`, its length as a share of the face's width."""
    spec, width = condition.anonymizer.spec, condition.anonymizer.face_width
    values = {"target": f"{TARGET_RESOLUTION:g}"}
    advised = _advised(spec, width) if spec and width else None
    if advised is None:
        return values
    setting, share = advised
    return {**values, "setting": setting, "share": f"{share:.2f}", "face_width": f"{width:.0f}"}


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


def _instead(condition: Condition) -> str:
    """What to do instead: a fill, or this tool at a setting that leaves too little; where nothing
    is left of what was covered, cover more."""
    if _nothing_left(condition):
        return (
            "Nothing is left of what is covered; what stands around it tells these people apart. "
            "Cover the whole head, with forehead, hair and ears; audit again."
        )
    advised = _setting(condition)
    fill = "Fill the faces with one colour (solid): that leaves nothing to restore."
    if "setting" not in advised:
        return f"{fill} No setting of this tool that fits a face leaves too little; audit again."
    target = advised["target"]
    return (
        f"{fill} Or set this tool to {float(advised['share']):.0%} of the face's width or more "
        f"({advised['setting']} for faces of {advised['face_width']} pixels), which leaves about "
        f"{target} x {target} pixels of detail; audit again, since a setting is no proof."
    )


_RESIDUE_STATUS = {"high": "fail", "medium": "warn", "low": "warn", "info": "pass"}


def _residues(leaks: Leaks) -> list[Finding]:
    told = [
        _residue(kind, count, example, leaks) for kind, (count, example) in leaks.by_kind.items()
    ]
    if any(finding.status != "pass" for finding in told):
        return told
    clean = Finding(
        id="residue.none",
        severity="info",
        status="pass",
        title="The files give nothing away beside their pixels",
        evidence=f"{leaks.files} files checked for metadata, embedded pictures and films, data "
        "after the end of the image and hidden colours.",
        recommendation="Keep stripping metadata.",
    )
    return [clean, *told]


def _residue(kind: str, count: int, example: Residue, leaks: Leaks) -> Finding:
    name, harmless = kind.replace("-", " "), example.severity is Severity.INFO
    beside = "carry something beside" if harmless else "give away more than"
    return Finding(
        id=f"residue.{kind}",
        severity=example.severity.value,
        status=_RESIDUE_STATUS[example.severity.value],
        title=f"The files {beside} their pixels: {name}",
        evidence=f"{count} of {leaks.files} files; for example: {example.evidence}",
        recommendation="Strip everything beside the pixels: write the files anew "
        "(reid-audit anonymize does), or run exiftool -all= -trailer:all= on them.",
        values={"kind": name, "count": str(count), "files": str(leaks.files)},
    )


def _left_out(data: Data) -> Finding | None:
    """Files that nothing is said about: each has its reason in the results."""
    lost = [excluded for excluded in data.excluded if not excluded.duplicate]
    if not lost:
        return None
    roles = Counter(excluded.role for excluded in lost)
    reasons = Counter(excluded.reason for excluded in lost).most_common(3)
    return Finding(
        id="data.left-out",
        severity="medium",
        status="warn",
        title="Files were left out of the audit",
        evidence=f"{len(lost)} files ({', '.join(f'{n} {role}' for role, n in roles.items())}); "
        + "; ".join(f"{count} times: {reason.rstrip('.')}" for reason, count in reasons)
        + ".",
        recommendation="Nothing is said about these files: mend or remove them, and audit again. "
        "`reid-audit validate` lists each with its path.",
        values={"count": str(len(lost))},
    )


def _duplicates(data: Data) -> Finding | None:
    copies = sum(excluded.duplicate for excluded in data.excluded)
    if not copies:
        return None
    return Finding(
        id="data.duplicates",
        severity="low",
        status="warn",
        title="Reference pictures that are to be audited as well",
        evidence=f"{copies} pictures of gallery, background or spare are pictures to audit too, or "
        "their originals, and would have handed the attacker the answer; they were left out there.",
        recommendation="None, if they were meant as originals; else give other pictures.",
        values={"count": str(copies)},
    )


def _unmatched(data: Data) -> Finding | None:
    told = data.originals
    if told is None or not told.unmatched:
        return None
    return Finding(
        id="originals.unmatched",
        severity="low",
        status="warn",
        title="Pictures without an original",
        evidence=f"{told.unmatched} of {data.probes.images} pictures met no original by path, name "
        f"or content; {told.unpaired} originals belong to no picture.",
        recommendation="Give the missing originals, at the same path below their folder; without "
        "one, missed faces and the clear ceiling cannot be told.",
        values={"count": str(told.unmatched)},
    )


def _adequacy(results: Results) -> Finding | None:
    if not results.checks:
        return None
    unmet = [check for check in results.checks if not check.passed]
    if not unmet:
        return Finding(
            id="controls.adequacy",
            severity="info",
            status="pass",
            title="The attackers pass their controls",
            evidence=f"{len(results.checks)} of {len(results.checks)} checks met.",
            recommendation="None.",
        )
    return Finding(
        id="controls.adequacy",
        severity="medium",
        status="warn",
        title="An attacker or recogniser fails its controls",
        evidence=" ".join(f"{check.name}: {check.evidence}." for check in unmet),
        recommendation="Use a stronger recogniser or better reference pictures; a failed attack of "
        "such a suite says nothing.",
        values={"checks": "; ".join(check.name for check in unmet)},
    )


def _recognizer(results: Results) -> Finding | None:
    """A run whose every recogniser is weaker than what anybody can fetch."""
    used = {attack.recognizer for attack in results.attacks if attack.recognizer}
    if not used or not used <= WEAK:
        return None
    return Finding(
        id="controls.recognizer",
        severity="low",
        status="warn",
        title="A stronger recogniser is one command away",
        evidence=f"Scored by {', '.join(sorted(used))} alone. {WHAT_A_FETCH_CHANGES}",
        recommendation="Run reid-audit weights fetch edgeface-s and audit again: the strongest "
        "installed recogniser is used by default.",
        values={"recognizers": ", ".join(sorted(used))},
    )


def _left_for_time(results: Results) -> Finding | None:
    """Attacks that the time limit left out, and on how many conditions."""
    spared = [attack for attack in results.attacks if attack.left_out]
    if not spared:
        return None
    counts = Counter(attack.name for attack in spared)
    asked = Counter(attack.name for attack in results.attacks)
    told = ", ".join(f"{name} ({count} of {asked[name]} times)" for name, count in counts.items())
    return Finding(
        id="attacks.left-out",
        severity="medium",
        status="warn",
        title="Attacks were left out for want of time",
        evidence=f"The time limit of {results.run.time_limit or 0:.0f} s left out: {told}. What "
        "they would have found is not known.",
        recommendation="Repeat the same scan with a longer --time-limit; what was done is kept.",
        values={"attacks": ", ".join(counts), "count": str(len(spared))},
    )


def _sample(results: Results) -> Finding:
    people = results.data.probes.mated_identities
    needed = identities_needed(results.verdict.threshold)
    enough = people >= needed
    return Finding(
        id="sample.size",
        severity="info" if enough else "low",
        status="pass" if enough else "warn",
        title="Enough people for the threshold" if enough else "Few people for the threshold",
        evidence=f"{people} people could be identified; a bound under the threshold needs at least "
        f"{needed} with no hit.",
        recommendation="None." if enough else f"Audit at least {needed} people.",
        values={"people": str(needed)},
    )


def _authorization(config: AuditConfig) -> Finding:
    if config.authorization:
        return Finding(
            id="authorization.recorded",
            severity="info",
            status="pass",
            title="The basis of the audit is recorded",
            evidence=config.authorization,
            recommendation="Keep it with the report.",
        )
    return Finding(
        id="authorization.missing",
        severity="medium",
        status="manual",
        title="The basis of the audit is not recorded",
        evidence="Re-identifying people without the controller's consent can be an offence; "
        "effectiveness testing needs a documented basis.",
        recommendation="State it with --authorization and keep it with the report.",
    )


def _manual() -> list[Finding]:
    return [
        Finding(
            id="linkage.context",
            severity="medium",
            status="manual",
            title="Surroundings outside the face",
            evidence="Clothes, places, captions and companions may identify a person whatever is "
            "done to the face; this suite looks at faces only.",
            recommendation="Have a person look at what stands around the faces.",
        ),
        Finding(
            id="run.personal-data",
            severity="low",
            status="manual",
            title="The run folder holds personal data",
            evidence="work/ holds positions and embeddings of faces, which are biometric, and "
            "copies of pictures that were named by a URL, until it is cleaned; trials.parquet one "
            "row a picture under pseudonyms; evidence/, where it was asked for, pictures of faces. "
            "This report shows no face and names nobody.",
            recommendation="Run reid-audit clean on this folder once the audit is done, and decide "
            "until when the rest is kept.",
        ),
    ]


def limitations(results: Results) -> list[str]:
    """What the figures cannot say, in the words of the report."""
    told = [
        "The bounds hold for the attacks, recognisers, gallery and date stated; a stronger "
        "attacker may exist or appear.",
        "Rates are for people like those tested; subgroups may fare worse.",
    ]
    if results.data.clustering is not None:
        told.append(_of_clustering(results.data.clustering))
    sources = results.data.frame_sources
    if sources.get("originals"):
        told.append(
            "Face positions of the probes were taken from the originals: an attacker who has to "
            "find the faces first does at most as well."
        )
    if any(c.anonymizer.source == "sidecar" for c in results.conditions):
        told.append(
            "The attacker was told tool and setting by the pictures' sidecar; where that is secret "
            "the setting has to be estimated first."
        )
    return told


def _of_clustering(told: Clustering) -> str:
    """How far people who were told by clustering can be relied on."""
    rate, wrong = told.false_match_rate, told.expected_wrong_pairs
    if told.target_false_match_rate is None:
        threshold = f"at {told.recognizer}'s published threshold"
    else:
        threshold = f"at a false-match rate of {told.target_false_match_rate:g}"
    estimate = (
        "how many were joined wrongly is not known"
        if wrong is None
        else f"at most {wrong:.1%} of {told.joined_pairs} joined pairs are expected to be wrong"
    )
    return (
        f"Nobody named the people: {told.recognizer} gathered {told.faces} faces of the "
        f"originals {threshold} ({rate.n} pairs surely of two people) into {told.people} people "
        f"with several pictures; {estimate}. People whom it could not recognise in clear pictures "
        "are missing or split in two, so the rates are for those that it recognises."
    )


def untested() -> list[str]:
    """Channels and attackers outside this suite."""
    return [
        "gait, body shape, clothing, voice and text",
        "several pictures or video frames of one scene combined",
        "generative restoration at the scale of large private face collections",
        "people who know the person shown",
    ]
