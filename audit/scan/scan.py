"""The audit from beginning to end: files -> faces -> trials -> estimates -> verdict -> results."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from reid_audit.attacks.recognition.recognizers import load_recognizer
from reid_audit.audit.config import AuditConfig
from reid_audit.audit.data import Dataset
from reid_audit.audit.data.screening import data_digests
from reid_audit.audit.engine import Engine
from reid_audit.audit.engine.cluster import Cluster
from reid_audit.audit.evaluation.estimates import probe_count
from reid_audit.audit.evaluation.unaided import unaided
from reid_audit.audit.evaluation.verdict import check_assay, decide, reasoned
from reid_audit.audit.machine import peak_memory_mib, resolve_device
from reid_audit.audit.probes.condition import Group
from reid_audit.audit.probes.material import Material, pictures, read_material
from reid_audit.audit.publishing.face_list import write_faces
from reid_audit.audit.publishing.picture_sheet import write_first, write_sheet
from reid_audit.audit.results import schema
from reid_audit.audit.results.messages import say
from reid_audit.audit.run_directory import Store, tool_version
from reid_audit.audit.scan.assembly import assemble
from reid_audit.audit.scan.condition import Attacked, Audit, attack_group
from reid_audit.audit.scan.duration import Clock
from reid_audit.audit.scan.example import drawn_example
from reid_audit.audit.scan.identities import check_identities, clustered
from reid_audit.audit.scan.linkage import linkage
from reid_audit.audit.scan.replacement import replacement
from reid_audit.audit.scan.schedule import jobs_of, run_jobs
from reid_audit.audit.scan.utility import utility
from reid_audit.audit.trials.perception import Perception
from reid_audit.audit.trials.table import write_trials

Progress = Callable[[str, int, int], None]


def scan(
    dataset: Dataset,
    config: AuditConfig,
    store: Store,
    progress: Progress,
    remark: Callable[[str], None] = lambda text: None,
    engine: Engine | None = None,
) -> schema.Results:
    """Run the audit of `dataset` into an open run directory and return its results.

    Everything random follows from `config.seed` and the pictures' ids; work that the store holds
    from an earlier, interrupted run is not done again. `checkpoints.check` refuses a configuration
    before a run directory is opened.

    Args:
        remark: is told, in a sentence, how long the attacks will take.
        engine: does the work on files and pictures, a cluster the attacks as well; by default this
            machine.

    Raises:
        InputError, NothingToAudit: the data cannot be audited as it is.
    """
    started, begun = datetime.now(UTC), time.perf_counter()
    device = resolve_device(config.device)
    check_identities(dataset, config)
    unnamed = read_material(dataset, config, store, device, progress, engine)
    recognizers = tuple(load_recognizer(spec, device) for spec in config.recognizers)
    judge = load_recognizer(config.judge, device) if config.judge is not None else None
    perception = Perception.installed(device)
    by_labels = Audit(unnamed, config, store, recognizers, perception, progress, judge)
    audits = _audits(by_labels)
    conditions: list[schema.Condition] = []
    checks: list[schema.Check] = []
    attacked: list[Attacked] = []
    scorers = recognizers if judge is None else (*recognizers, judge)
    asked = {
        group.id: [tuple(jobs_of(group, recognizer, audit)) for recognizer in scorers]
        for audit in audits
        for group in audit.material.groups
        if attackable(group, audit.material)
    }
    clock = Clock(config.time_limit)
    every = [job for per_scorer in asked.values() for jobs in per_scorer for job in jobs]
    cluster = engine if isinstance(engine, Cluster) else None
    unscored = run_jobs(every, clock, remark, cluster)
    several = sum(len(audit.material.groups) for audit in audits) > 1
    for audit in audits:
        for group in audit.material.groups:
            by_recognizer = [
                attack_group(jobs, unscored) for jobs in asked.get(group.id, ()) if jobs
            ]
            attackers = [
                check for check in by_recognizer if judge is None or check.recognizer != judge.name
            ]
            own_checks = _checks(attackers, config)
            conditions.append(_condition(group, by_recognizer, own_checks, audit))
            checks += [_titled(check, group.title) if several else check for check in own_checks]
            attacked += by_recognizer
    material, clustering = audits[0].material, audits[-1].material.clustering
    links = [
        by_recognizer
        for group in unnamed.groups
        if not named(group, unnamed)
        for recognizer in recognizers
        for by_recognizer in linkage(group, recognizer, audits[0], clock)
    ]
    replaced = [
        replacement(group, recognizer, audits[0])
        for group in unnamed.groups
        for recognizer in recognizers
    ]
    pairs = [check for check in replaced if check is not None]
    kept = [utility(group, audits[0]) for group in material.groups]
    weights = {r.name: r.digest for r in scorers} if attacked or links or pairs else {}
    write_trials(store, [trials for by_recognizer in attacked for trials in by_recognizer.trials])
    if sheet := [row for by_recognizer in attacked for row in by_recognizer.sheet]:
        write_sheet(sheet, store)
    if config.evidence == "restricted":
        shown = pictures(material.dataset.probes)
        write_faces(material.scenes, shown, material.names, store)
    store.write_manifest(
        device=device,
        seeds={"run": config.seed},
        data=data_digests(material.dataset, material.facts),
        weights=weights,
    )
    run = schema.Run(
        version=tool_version(),
        started=started.isoformat(timespec="seconds"),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        time_limit=config.time_limit,
        seconds=round(time.perf_counter() - begun, 1),
        peak_memory_mib=round(peak_memory_mib(), 1),
        device=device,
    )
    results = assemble(
        material, clustering, config, conditions, checks, attacked, links, pairs, kept, weights, run
    )
    if config.evidence == "restricted" and results.mend_first:
        write_first(results, _pictures(material), store)
    return results.model_copy(update={"example": drawn_example(results, audits)})


def _pictures(material: Material) -> dict[str, str]:
    """Files of the anonymised pictures, from the folder that holds them all, by the pseudonyms that
    stand for them and their faces."""
    items = [*material.dataset.probes, *(f.item for group in material.groups for f in group.faces)]
    root = Path(os.path.commonpath([item.path.absolute().parent for item in items]))
    return {
        material.names.image(item.image_id): item.path.absolute().relative_to(root).as_posix()
        for item in items
    }


def _audits(by_labels: Audit) -> list[Audit]:
    """The audits of a run: by labels, by clustering, or both where a gallery names some people
    and the others are to be told by clustering."""
    if by_labels.config.identities == "labels":
        return [by_labels]
    material = clustered(by_labels)
    if not by_labels.material.gallery:
        return [replace(by_labels, material=material)]
    groups = tuple(
        replace(group, id=f"{group.id}-auto", title=f"{group.title}, people told by clustering")
        for group in material.groups
    )
    return [by_labels, replace(by_labels, material=replace(material, groups=groups))]


def attackable(group: Group, material: Material) -> bool:
    """Whether anybody can be named: not without a gallery, nor where clustering knows nobody."""
    if material.clustering is None:
        return bool(material.gallery)
    return any(identity in material.gallery_people for identity in group.identities)


def named(group: Group, material: Material) -> bool:
    """Whether every face of a group is somebody of the gallery, so that identification says all."""
    return all(identity in material.gallery_people for identity in group.identities)


def _checks(by_recognizer: Sequence[Attacked], config: AuditConfig) -> list[schema.Check]:
    """Whether the attackers of one condition are fit to speak of it."""
    return [
        passed
        for attacked in by_recognizer
        for passed in check_assay(attacked.controls, attacked.recognizer, config.minimum_ceiling)
    ]


def _titled(told: schema.Check, title: str) -> schema.Check:
    """A check that says which condition it is about."""
    return told.model_copy(update={"name": f"{title}: {told.name}", "condition": title})


def _condition(
    group: Group, by_recognizer: Sequence[Attacked], checks: Sequence[schema.Check], audit: Audit
) -> schema.Condition:
    """One condition with the verdict on it."""
    material, config = audit.material, audit.config
    evidence = [evidence_of for attacked in by_recognizer for evidence_of in attacked.evidence]
    left_out = [
        result.name
        for evidence_of in by_recognizer
        for result in evidence_of.results
        if result.left_out
    ]
    verdict = decide(
        evidence, checks, config.threshold, config.alpha, tuple(dict.fromkeys(left_out))
    )
    if not any(identity in material.gallery_people for identity in group.identities):
        verdict = reasoned(verdict, [_what_is_missing(material)])
    return schema.Condition(
        id=group.id,
        title=group.title,
        anonymizer=group.anonymizer,
        probes=probe_count(group.identities, material.gallery_people, 0),
        controls={evidence_of.recognizer: evidence_of.controls for evidence_of in by_recognizer},
        verdict=verdict,
        unaided=unaided(group, audit.progress),
    )


def _what_is_missing(material: Material) -> schema.Message:
    if material.clustering is not None:
        return say("missing.clustering")
    return say("missing.labels" if material.gallery else "missing.gallery")
