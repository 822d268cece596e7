"""The audit from beginning to end: files -> faces -> trials -> estimates -> verdict -> results."""

from __future__ import annotations

import hashlib
import os
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from attacks.interface import Context, Picture, Reference
from attacks.operators import parse
from attacks.recognition.detect import Detector
from attacks.recognition.interface import Recognizer
from attacks.recognition.recognizers import load_recognizer
from attacks.registry import attack_class
from attacks.residue import inspect
from attacks.training.card import Checkpoint, find
from attacks.views import embed_clear
from audit import schema
from audit.conditions import UNKNOWN, examine_probe, group_probes, place_faces, probe_face
from audit.config import SHIPPED, AuditConfig
from audit.controls import Control, clear_ceiling, known_weak, leave_one_out_ceiling
from audit.data import Dataset, Item, Pseudonyms, run_key, user_secret
from audit.data.scan import FileFacts, clean, data_digests, scan_files
from audit.estimates import (
    Assessed,
    Settings,
    assess,
    chance,
    probe_count,
    rank_1,
    unknown,
)
from audit.evidence import picked, sheet_rows, write_sheet
from audit.faces import Face, FaceFinder, clear_faces, make_face
from audit.findings import Leaks, findings, limitations, untested
from audit.method import method_statement, reassess_by
from audit.perception import Perception
from audit.probes import Group
from audit.runner import Bench, Outcome, run_attack
from audit.scoring import Scorer
from audit.store import TRIALS, Store, atomic, tool_version
from audit.unaided import unaided
from audit.verdict import Evidence, check_assay, decide
from audit.waivers import load_waivers, waive
from metrics.errors import InputError, NotApplicable
from reports.evidence import Row

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Material:
    """Everything that was read from the user's files.

    faces: reference faces, each once; gallery, background, spare: rows of `faces`.
    """

    dataset: Dataset
    facts: Mapping[Path, FileFacts]
    faces: tuple[Face, ...]
    gallery: tuple[int, ...]
    background: tuple[int, ...]
    spare: tuple[int, ...]
    groups: tuple[Group, ...]
    names: Pseudonyms
    stages: tuple[schema.Stage, ...]
    frame_sources: Mapping[str, int]
    failed: int
    leaks: Leaks

    @property
    def gallery_people(self) -> frozenset[str]:
        return frozenset(self.faces[row].item.identity or "" for row in self.gallery)


@dataclass
class Notes:
    """What piles up while conditions are attacked."""

    results: list[schema.AttackResult] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)
    trials: list[pd.DataFrame] = field(default_factory=list)
    weights: dict[str, str] = field(default_factory=dict)
    sheet: list[Row] = field(default_factory=list)


def scan(dataset: Dataset, config: AuditConfig, store: Store, progress: Progress) -> schema.Results:
    """Run the audit of `dataset` into an open run directory and return its results.

    Everything random follows from `config.seed` and the pictures' ids; work that the store holds
    from an earlier, interrupted run is not done again.

    Raises:
        InputError, NothingToAudit: the data cannot be audited as it is.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    device = resolve_device(config.device)
    check(config)
    material = read_material(dataset, config, store, device, progress)
    notes = Notes()
    conditions: list[schema.Condition] = []
    checks: list[schema.Check] = []
    perception = Perception.installed(device)
    recognizers = [load_recognizer(spec, device) for spec in config.recognizers]
    for group in material.groups:
        first = len(notes.evidence)
        controls: dict[str, schema.Controls] = {}
        own_checks: list[schema.Check] = []
        for recognizer in recognizers if material.gallery else ():
            notes.weights[recognizer.name] = recognizer.digest
            controls[recognizer.name] = _attack(
                group, recognizer, recognizers, material, config, store, notes, perception, progress
            )
            own_checks += check_assay(
                controls[recognizer.name], recognizer.name, config.minimum_ceiling
            )
        mated = [i for i in identities(group) if i in material.gallery_people]
        evidence = notes.evidence[first:]
        verdict = decide(evidence, own_checks, config.threshold, config.alpha)
        if not mated:
            verdict = verdict.model_copy(update={"reasons": [_what_is_missing(material)]})
        conditions.append(
            schema.Condition(
                id=group.id,
                title=group.title,
                anonymizer=group.anonymizer,
                probes=probe_count(identities(group), material.gallery_people, 0),
                controls=controls,
                verdict=verdict,
                unaided=unaided(group, progress),
            )
        )
        checks += [
            check.model_copy(update={"name": f"{group.title}: {check.name}"})
            if len(material.groups) > 1
            else check
            for check in own_checks
        ]
    results = _assemble(material, config, conditions, checks, notes, device)
    _write_trials(store, notes.trials)
    if notes.sheet:
        write_sheet(notes.sheet, store)
    store.write_manifest(
        device=device,
        seeds={"run": config.seed},
        data=data_digests(material.dataset, material.facts),
        weights=notes.weights,
    )
    finished = datetime.now(UTC)
    return results.model_copy(
        update={
            "run": schema.Run(
                version=tool_version(),
                started=started.isoformat(timespec="seconds"),
                finished=finished.isoformat(timespec="seconds"),
                seconds=round(time.perf_counter() - clock, 1),
                peak_memory_mib=round(peak_memory_mib(), 1),
                device=device,
            ),
            "reassess_by": reassess_by(started),
        }
    )


def check(config: AuditConfig) -> None:
    """Refuse what can be refused before anything is read or written.

    Raises:
        InputError: a misspelt attack, a folder that holds no checkpoint of its attack, or one of
            a network that belongs to another recogniser.
    """
    for name in config.attacks:
        attack_class(name)
    given = checkpoints(config)
    if any("start" in checkpoint.card.config for checkpoint in given.values()):
        fit_together(given, [load_recognizer(spec, "cpu") for spec in config.recognizers])


def fit_together(given: Mapping[str, Checkpoint], recognizers: Sequence[Recognizer]) -> None:
    """Refuse a fine-tuned recogniser that none of these can be used with.

    Raises:
        InputError: the network it was made from, or whoever taught it, is missing.
    """
    from attacks.direct.trained import suits

    for option, checkpoint in given.items():
        try:
            suits(checkpoint, recognizers)
        except NotApplicable as error:
            name = option.removesuffix("_checkpoint")
            raise InputError(f"--checkpoint {name}: {error}.") from None


def checkpoints(config: AuditConfig) -> dict[str, Checkpoint]:
    """The trained attackers that were given, as attacks' options; a work unit's key holds their
    digests. The folder `shipped` means the one that comes with the program.

    Raises:
        InputError: a folder holds no checkpoint of that attack, or none is shipped.
    """
    return {
        f"{name}_checkpoint": find(name, None if folder == SHIPPED else folder)
        for name, folder in sorted(config.checkpoints.items())
    }


def resolve_device(wanted: str) -> str:
    """`auto` becomes cuda where there is one."""
    if wanted != "auto":
        return wanted
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def peak_memory_mib() -> float:
    """Largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def identities(group: Group) -> list[str | None]:
    """Who the probes of a group show, as far as the data says."""
    return [face.item.identity for face in group.faces]


# ------------------------------------------------------------------ reading


def read_material(
    dataset: Dataset, config: AuditConfig, store: Store, device: str, progress: Progress
) -> Material:
    """Files to faces: digests, duplicates, detection, identification, groups."""
    if config.distractors:
        dataset = with_distractors(dataset)
    files = len({i.path for i in dataset.items})
    stages = [schema.Stage(name="files found", count=files + len(dataset.excluded))]
    facts = scan_files(
        dataset.items, config.workers, lambda done, total: progress("reading files", done, total)
    )
    dataset = clean(dataset, facts)
    stages.append(
        schema.Stage(
            name="readable and unique",
            count=len({i.path for i in dataset.items}),
            note=f"{len(dataset.excluded)} left out",
        )
    )
    workers = config.workers or os.cpu_count() or 1
    finder = FaceFinder(cache_folder(config, store) / "faces", workers, device)
    faces, rows, missed = reference_faces(dataset, facts, finder, progress)
    digests = {path: fact.sha256 for path, fact in facts.items()}
    originals = finder.find(
        _by_digest((p.original for p in dataset.probes if p.original), facts),
        progress,
        "finding faces in originals",
    )
    detector = Detector(device)
    stated = config.method
    method = UNKNOWN if stated == UNKNOWN else parse(stated) if stated else None
    probes = []
    for done, item in enumerate(dataset.probes, start=1):
        original = originals.get(facts[item.original].sha256) if item.original else None
        probes.append(examine_probe(item, original, detector, method, config.region))
        progress("examining probes", done, len(dataset.probes))
    probes, sources = place_faces(probes, digests, [faces[row] for row in rows["gallery"]])
    placed = {
        probe.item.image_id: pair
        for probe in probes
        if (pair := probe_face(probe, digests)) is not None
    }
    groups = tuple(group_probes(probes, placed))
    stages += [
        schema.Stage(
            name="reference pictures with a face",
            count=len(faces),
            note=f"{missed} without a face found",
        ),
        schema.Stage(name="probes with a place for the face", count=len(placed)),
    ]
    secret = user_secret()
    key = run_key("".join(data_digests(dataset, facts).values()), secret)
    leaks = Leaks.inspect(dataset.probes, inspect)
    return Material(
        dataset,
        facts,
        faces,
        rows["gallery"],
        rows["background"],
        rows["spare"],
        groups,
        Pseudonyms(key, secret),
        tuple(stages),
        dict(sorted(sources.items())),
        len(dataset.probes) - len(placed),
        leaks,
    )


def cache_folder(config: AuditConfig, store: Store) -> Path:
    """Where intermediate arrays are kept: the run's own folder, or one shared between runs."""
    return Path(config.cache) if config.cache else store.path / "work" / "cache"


def with_distractors(dataset: Dataset) -> Dataset:
    """Background people of known identity stand in the gallery too, as they would in a search."""
    probes = {probe.identity for probe in dataset.probes}
    added = tuple(
        replace(item, role="gallery")
        for item in dataset.background
        if item.identity and item.identity not in probes
    )
    return replace(dataset, gallery=dataset.gallery + added)


def reference_faces(
    dataset: Dataset, facts: Mapping[Path, FileFacts], finder: FaceFinder, progress: Progress
) -> tuple[tuple[Face, ...], Mapping[str, tuple[int, ...]], int]:
    """Reference faces, each once; the rows of each role; how many pictures had none."""
    items = dataset.gallery + dataset.background + dataset.spare
    found = finder.find(
        _by_digest((i.path for i in items), facts), progress, "finding reference faces"
    )
    faces: list[Face] = []
    row_of: dict[tuple[str, str | None], int] = {}
    rows: dict[str, list[int]] = {"gallery": [], "background": [], "spare": []}
    missed = 0
    for item in items:
        digest = facts[item.path].sha256
        seen = found.get(digest)
        landmarks = seen.labelled(item.face_box) if seen else None
        if seen is None or landmarks is None:
            missed += 1
            continue
        face = make_face(item, digest, landmarks, seen.shape, "detected")
        place = face.key, item.identity
        if place not in row_of:
            row_of[place] = len(faces)
            faces.append(face)
        rows[item.role].append(row_of[place])
    unique = {role: tuple(dict.fromkeys(found_rows)) for role, found_rows in rows.items()}
    return tuple(faces), unique, missed


def _by_digest(paths: Iterable[Path], facts: Mapping[Path, FileFacts]) -> dict[str, Path]:
    return {facts[path].sha256: path for path in paths}


# ------------------------------------------------------------------ attacking


def _attack(
    group: Group,
    recognizer: Recognizer,
    recognizers: Sequence[Recognizer],
    material: Material,
    config: AuditConfig,
    store: Store,
    notes: Notes,
    perception: Perception,
    progress: Progress,
) -> schema.Controls:
    """Run every attack on one group with one recogniser; returns its controls."""
    settings = Settings(config.alpha, config.seed, config.minimum_cell)
    bench = make_bench(
        group, recognizer, recognizers, material, config, store, perception, progress
    )
    shows = config.evidence == "restricted" and recognizer is recognizers[0]
    if shows:
        bench = replace(bench, shown=picked(group))
    restored: dict[str, Mapping[int, Picture]] = {}
    assessed: dict[str, Assessed] = {}
    for world in config.worlds:
        bench = bench.in_world(world)
        for name in config.attacks:
            trained = attack_class(name).info.trained
            if not trained and world != config.worlds[0]:
                continue
            outcome = run_attack(name, bench, store)
            outcome = _named(outcome, group, material.names)
            if outcome.restored:
                restored.setdefault(attack_class(name).info.title, outcome.restored)
            found = assess(outcome, bench, settings)
            assessed[f"{name} {world}"] = found
            notes.results.append(found.result)
            if outcome.status == "ok":
                notes.trials.append(
                    outcome.trials.assign(
                        attack=name,
                        recognizer=recognizer.name,
                        condition=group.id,
                        world=world if trained else None,
                    )
                )
            ira = found.result.metrics["ira"].value
            if found.upper is not None and ira is not None:
                notes.evidence.append(
                    Evidence(
                        name,
                        recognizer.name,
                        group.id,
                        ira,
                        found.upper,
                        found.attacked,
                        found.blind,
                    )
                )
    if shows:
        notes.sheet += sheet_rows(group, restored, material.names)
    return _controls(bench, assessed, material, settings, config)


def make_bench(
    group: Group,
    recognizer: Recognizer,
    recognizers: Sequence[Recognizer],
    material: Material,
    config: AuditConfig,
    store: Store,
    perception: Perception,
    progress: Progress,
) -> Bench:
    """Everything that attacks on one group are run and scored with, for one recogniser."""
    faces = clear_faces(material.faces)
    reference = Reference(
        faces, material.gallery, material.background, config.worlds[0], material.spare
    )
    trainable = next((r for r in (recognizer, *recognizers) if r.trainable), None)
    context = Context(
        group.forward,
        recognizer,
        trainable,
        config.seed,
        perception.device,
        cache_folder(config, store),
        progress,
        {**config.options, "student_epochs": config.student_epochs, **checkpoints(config)},
        tuple(recognizers),
    )
    clear = embed_clear(faces, context)
    scorer = Scorer.of(recognizer, clear[list(material.gallery)], reference.gallery_identities)
    known = np.array([original is not None for original in group.originals])
    originals = np.zeros((len(group), recognizer.dimension), np.float32)
    if known.any():
        rows = [original for original in group.originals if original is not None]
        originals[known] = embed_clear(clear_faces(rows), context)
    people = tuple(identities(group))
    return Bench(
        group=group,
        reference=reference,
        context=context,
        scorer=scorer,
        identities=people,
        original_embeddings=originals,
        known=known,
        batch_size=config.batch_size,
        perception=perception,
    )


def _named(outcome: Outcome, group: Group, names: Pseudonyms) -> Outcome:
    """The outcome with pseudonyms and strata instead of rows of the group."""
    if outcome.trials.empty:
        return outcome
    faces = [group.faces[row] for row in outcome.trials.probe]
    trials = _with_names(outcome.trials.drop(columns="probe"), faces, names)
    return replace(outcome, trials=trials)


def _with_names(trials: pd.DataFrame, faces: Sequence[Face], names: Pseudonyms) -> pd.DataFrame:
    """Trials with columns image, identity (both pseudonyms), draw, link and stratum.

    draw: the picture's place among its person's by a digest of its id, from which one of them is
    drawn: pseudonyms differ from user to user, figures must not.
    """
    items = [face.item for face in faces]
    people = [names.person(item.identity) if item.identity else None for item in items]
    return trials.assign(
        image=[names.image(item.image_id) for item in items],
        identity=pd.Series(people, index=trials.index, dtype=object),
        draw=_places(items),
        link=pd.Series(
            [names.link(item.identity) if item.identity else None for item in items],
            index=trials.index,
            dtype=object,
        ),
        stratum=pd.Series([item.stratum for item in items], index=trials.index, dtype=object),
    )


def _places(items: Sequence[Item]) -> list[int]:
    ids: dict[str | None, set[str]] = {}
    for item in items:
        ids.setdefault(item.identity, set()).add(item.image_id)

    def digest(image: str) -> bytes:
        return hashlib.blake2b(image.encode(), digest_size=8).digest()

    place = {
        image: number
        for own in ids.values()
        for number, image in enumerate(sorted(own, key=digest))
    }
    return [place[item.image_id] for item in items]


def _controls(
    bench: Bench,
    assessed: Mapping[str, Assessed],
    material: Material,
    settings: Settings,
    config: AuditConfig,
) -> schema.Controls:
    def figure(name: str, metric: str) -> schema.Estimate:
        found = next((a for key, a in assessed.items() if key.split()[0] == name), None)
        if found is None:
            return unknown(f"the attack {name!r} was not asked for")
        return found.result.metrics.get(metric, unknown(found.result.reason or "not run"))

    strongest = max(
        (a for a in assessed.values() if a.upper is not None),
        key=lambda a: a.result.metrics["ira"].value or 0.0,
        default=None,
    )
    weak = known_weak(bench.reference, bench.context, bench.scorer)
    none = unknown("no attack was scored")
    return schema.Controls(
        chance=chance(len(bench.scorer.people)),
        clear_ceiling=_ceiling(bench, material, settings),
        naive=figure("naive", "ira"),
        solid_fill=strongest.result.metrics["solid_fill"] if strongest else none,
        context_only=strongest.result.metrics["context_only"] if strongest else none,
        known_weak=(
            unknown("no person of the gallery has two pictures")
            if weak is None
            else _control_rate(weak, material.names, settings)
        ),
        disjoint_identity=_disjoint(assessed, config),
    )


def _disjoint(assessed: Mapping[str, Assessed], config: AuditConfig) -> schema.Estimate:
    """The strongest trained attack when it never saw the probes' people."""
    trained = [a for key, a in assessed.items() if key.endswith(" open") and a.upper is not None]
    trained = [a for a in trained if attack_class(a.result.name).info.trained]
    if not trained:
        return unknown("no trained attack was run in an open world")
    return max(trained, key=lambda a: a.result.metrics["ira"].value or 0.0).result.metrics["ira"]


def _ceiling(bench: Bench, material: Material, settings: Settings) -> schema.Estimate:
    """Rank-1 of the clear originals, else of gallery pictures left out one by one."""
    names = material.names
    if bench.known.all():
        trials = clear_ceiling(bench.original_embeddings, bench.identities, bench.scorer)
        return rank_1(_with_names(trials, bench.group.faces, names), settings)
    clear = embed_clear(bench.reference.faces, bench.context)[list(bench.reference.gallery)]
    gallery = bench.reference.faces.select(bench.reference.gallery)
    control = leave_one_out_ceiling(clear, gallery, bench.scorer)
    if control is None:
        return unknown("no originals, and no person of the gallery has two pictures")
    estimate = _control_rate(control, names, settings)
    return estimate.model_copy(update={"method": f"{estimate.method}, {control.method}"})


def _control_rate(control: Control, names: Pseudonyms, settings: Settings) -> schema.Estimate:
    """Rank-1 of a control on gallery pictures."""
    people = [names.person(identity) for identity in control.identities]
    rows = range(len(people))
    return rank_1(control.trials.assign(identity=people, draw=rows), settings)


# ------------------------------------------------------------------ results


def _assemble(
    material: Material,
    config: AuditConfig,
    conditions: Sequence[schema.Condition],
    checks: Sequence[schema.Check],
    notes: Notes,
    device: str,
) -> schema.Results:
    verdict = _overall(conditions, config)
    worst = next((c for c in conditions if c.id == verdict.worst_condition), None)
    worst = worst or (conditions[0] if conditions else None)
    data = schema.Data(
        gallery=_count(material, material.gallery),
        probes=probe_count(
            [p.identity for p in material.dataset.probes], material.gallery_people, material.failed
        ),
        background=_count(material, material.background),
        spare=_count(material, material.spare),
        stages=[*material.stages, *_scored(conditions, notes)],
        excluded=[
            schema.Excluded(image=material.names.image(e.image_id), role=e.role, reason=e.reason)
            for e in material.dataset.excluded
        ],
        frame_sources=dict(material.frame_sources),
    )
    recognizer = verdict.worst_recognizer
    results = schema.Results(
        verdict=verdict,
        data=data,
        anonymizer=worst.anonymizer if worst else schema.Anonymizer(family="unknown"),
        controls=(
            worst.controls.get(recognizer or "", next(iter(worst.controls.values()), None))
            or schema.Controls()
            if worst
            else schema.Controls()
        ),
        attacks=notes.results,
        findings=[],
        conditions=list(conditions),
        checks=list(checks),
        seed=config.seed,
        run=schema.Run(version=tool_version(), device=device),
    )
    return results.model_copy(
        update={
            "findings": waive(
                findings(results, material.leaks, config),
                load_waivers(config.waivers),
                datetime.now(UTC).date(),
            ),
            "method": method_statement(results, config, notes.weights),
            "limitations": limitations(results),
            "untested": untested(config),
        }
    )


def _scored(conditions: Sequence[schema.Condition], notes: Notes) -> list[schema.Stage]:
    """The last steps of the attrition: probes that can be hit, people that were."""
    people = max((len(found.attacked) for found in notes.evidence), default=0)
    return [
        schema.Stage(
            name="probes of people in the gallery",
            count=sum(condition.probes.mated_images for condition in conditions),
        ),
        schema.Stage(
            name="people scored",
            count=people,
            note="one random probe of each person, in every condition",
        ),
    ]


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
    reasons = [f"{condition.title}: {reason}" for reason in gravest.reasons]
    others = Counter(v.outcome for c, v in verdicts if c is not condition)
    if others:
        told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(others.items()))
        reasons.append(f"Other conditions of this run: {told}; see the results.")
    return gravest.model_copy(
        update={"reasons": reasons, "worst_condition": gravest.worst_condition or condition.id}
    )


def _count(material: Material, rows: Sequence[int]) -> schema.Count:
    people = {material.faces[row].item.identity or material.faces[row].key for row in rows}
    return schema.Count(identities=len(people), images=len(rows))


def _what_is_missing(material: Material) -> str:
    if not material.gallery:
        return (
            "No gallery was given, so nobody could be looked up: give clear pictures of the "
            "people concerned with --gallery."
        )
    return (
        "The pictures are not labelled with people of the gallery, so no hit can be counted: name "
        "the folders of the anonymised pictures after the people they show."
    )


def _write_trials(store: Store, trials: Sequence[pd.DataFrame]) -> None:
    merged = pd.concat(trials, ignore_index=True) if trials else pd.DataFrame()
    with atomic(store.path / TRIALS) as temporary:
        merged.to_parquet(temporary, index=False)
