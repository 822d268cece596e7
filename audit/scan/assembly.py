"""From conditions to `results.json`: verdict of the run, counts, findings, method."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Literal

import pandas as pd

from reid_audit.audit.config import AuditConfig
from reid_audit.audit.evaluation.coverage import count_faces, with_coverage
from reid_audit.audit.evaluation.estimates import probe_count
from reid_audit.audit.evaluation.findings import findings
from reid_audit.audit.evaluation.limits import limitations, untested
from reid_audit.audit.evaluation.mending import mend_first
from reid_audit.audit.evaluation.method import method_statement, reassess_by
from reid_audit.audit.evaluation.verdict import decide, reasoned
from reid_audit.audit.evaluation.waivers import load_waivers, waive
from reid_audit.audit.probes.material import Material, pictures
from reid_audit.audit.results import schema
from reid_audit.audit.results.messages import english, say
from reid_audit.audit.results.telling import stage
from reid_audit.audit.scan.condition import Attacked
from reid_audit.metrics.errors import InputError


def assemble(
    material: Material,
    clustering: schema.Clustering | None,
    config: AuditConfig,
    conditions: Sequence[schema.Condition],
    checks: Sequence[schema.Check],
    attacked: Sequence[Attacked],
    links: Sequence[schema.Linkage],
    pairs: Sequence[schema.Replacement],
    kept: Sequence[schema.Utility | None],
    weights: Mapping[str, str],
    run: schema.Run,
) -> schema.Results:
    """The results of a run: what was measured, then what follows from it in words.

    Args:
        clustering: how people were told in an audit by clustering, of the material itself or
            beside it.
        weights: digests of the recognisers by name.
        run: when and how the run was made.
    """
    verdict = _overall(conditions, config)
    worst = next((c for c in conditions if c.id == verdict.worst_condition), None)
    worst = worst or (conditions[0] if conditions else None)
    data = schema.Data(
        faces=count_faces(
            material.scenes,
            pictures(material.dataset.probes),
            material.names,
            material.smallest_face,
            material.detectors,
        ),
        gallery=_count(material, material.gallery),
        probes=probe_count(_identities(material), material.gallery_people, material.failed),
        background=_count(material, material.background),
        spare=_count(material, material.spare),
        stages=[*material.stages, *_scored(conditions, attacked)],
        excluded=[
            schema.Excluded(
                image=material.names.image(e.image_id),
                role=e.role,
                reason=e.reason,
                duplicate=e.twin is not None,
            )
            for e in material.dataset.excluded
        ],
        originals=_originals(material),
        frame_sources=dict(material.frame_sources),
        identities=_told_by(material, clustering),
        clustering=clustering,
    )
    recognizer = verdict.worst_recognizer
    results = schema.Results(
        commission=schema.Commission(
            auditor=config.auditor,
            client=config.client,
            scope=config.scope,
            plan_sha256=digest_of_plan(config.plan),
        ),
        verdict=with_coverage(verdict, data.faces),
        data=data,
        anonymizer=worst.anonymizer if worst else schema.Anonymizer(family="unknown"),
        controls=(
            worst.controls.get(recognizer or "", next(iter(worst.controls.values()), None))
            or schema.Controls()
            if worst
            else schema.Controls()
        ),
        attacks=[result for group in attacked for result in group.results],
        findings=[],
        mend_first=mend_first(data.faces, _naming(conditions, attacked, config.threshold)),
        linkage=list(links),
        linkability=[link for group in attacked for link in group.links],
        replacement=list(pairs),
        utility=[item for item in kept if item is not None],
        inference=[told for group in attacked for told in group.inferred],
        conditions=list(conditions),
        checks=list(checks),
        seed=config.seed,
        run=run,
        reassess_by=reassess_by(datetime.fromisoformat(run.started)) if run.started else None,
    )
    limits, left = limitations(results), untested()
    return results.model_copy(
        update={
            "findings": waive(
                findings(results, material.leaks, config, _pairs(material)),
                load_waivers(config.waivers),
                datetime.now(UTC).date(),
            ),
            "method": method_statement(results, config, weights),
            "limitations": [english(message) for message in limits],
            "limitations_told": limits,
            "untested": [english(message) for message in left],
            "untested_told": left,
        }
    )


def _naming(
    conditions: Sequence[schema.Condition], attacked: Sequence[Attacked], threshold: float
) -> list[pd.DataFrame]:
    """The trials of conditions in which people are named, or seem to be: elsewhere a hit is as
    good as a guess, and no picture is worse than another."""
    concerned = {c.id for c in conditions if c.verdict is not None and c.verdict.leak}
    for group in attacked:
        for result in group.results:
            rate = result.metrics.get("ira", schema.Estimate()).value
            if rate is not None and rate > threshold:
                concerned.add(result.condition or "")
    every = [trials for group in attacked for trials in group.trials]
    return [trials[trials.condition.isin(concerned)] for trials in every]


def _told_by(
    material: Material, clustering: schema.Clustering | None
) -> Literal["labels", "clustered", "both"]:
    if clustering is None:
        return "labels"
    return "clustered" if material.clustering is not None else "both"


def _identities(material: Material) -> list[str | None]:
    """Whom the pictures to audit show, by their labels or by the clustering of their faces."""
    if material.clustering is None:
        return [probe.identity for probe in material.dataset.probes]
    return [identity for group in material.groups for identity in group.identities]


def _originals(material: Material) -> schema.OriginalsCount | None:
    told = material.dataset.originals
    if told is None:
        return None
    return schema.OriginalsCount(
        by_path=told.by_path,
        by_name=told.by_name,
        by_content=told.by_content,
        unmatched=len(material.dataset.unmatched),
        unpaired=len(told.unpaired),
    )


def _pairs(material: Material) -> Counter[str]:
    """How anonymised pictures and their originals belong together, by picture."""
    return Counter(scene.pair.relation for scene in material.scenes.values() if scene.pair)


def _scored(
    conditions: Sequence[schema.Condition], attacked: Sequence[Attacked]
) -> list[schema.Stage]:
    """The last steps of the attrition: probes that can be hit, people that were."""
    people = max(
        (len(evidence.attacked) for group in attacked for evidence in group.evidence), default=0
    )
    return [
        stage(sum(condition.probes.mated_images for condition in conditions), say("stages.mated")),
        stage(people, say("stages.people"), say("stages.random")),
    ]


def digest_of_plan(path: str | None) -> str | None:
    """SHA-256 of what was declared before the run; null without a file of it.

    Raises:
        InputError: the file cannot be read.
    """
    if path is None:
        return None
    try:
        return sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"--plan {path}: cannot be read ({error.strerror}).") from error


def _overall(conditions: Sequence[schema.Condition], config: AuditConfig) -> schema.Verdict:
    """The gravest condition speaks for the run: a leak anywhere is a leak, and only a run whose
    every condition is bounded is bounded."""
    order = ("LEAK_DEMONSTRATED", "INCONCLUSIVE", "BOUNDED")
    verdicts = [(c, c.verdict) for c in conditions if c.verdict is not None]
    if not verdicts:
        return decide([], [], config.threshold, config.alpha)
    condition, gravest = min(
        verdicts, key=lambda pair: (order.index(pair[1].outcome), -(pair[1].upper_bound or 0.0))
    )
    if len(verdicts) == 1:
        return gravest
    told = [
        say("of-condition", condition=condition.title, sentence=sentence)
        for sentence in gravest.told
    ]
    others = Counter(v.outcome for c, v in verdicts if c is not condition)
    if others:
        outcomes = [say(f"outcome.{name}", count=count) for name, count in sorted(others.items())]
        told.append(say("verdict.others", outcomes=outcomes))
    named = gravest.worst_condition or condition.id
    return reasoned(gravest.model_copy(update={"worst_condition": named}), told)


def _count(material: Material, rows: Sequence[int]) -> schema.Count:
    people = {material.faces[row].item.identity or material.faces[row].key for row in rows}
    return schema.Count(identities=len(people), images=len(rows))
