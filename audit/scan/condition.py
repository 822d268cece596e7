"""One condition under every attack."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from reid_audit.attacks.interface import Context, Picture, Reference, World
from reid_audit.attacks.linear.views import embed_clear
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.registry import attack_class
from reid_audit.attacks.scoring import Scorer
from reid_audit.audit.checkpoints import checkpoints
from reid_audit.audit.config import AuditConfig
from reid_audit.audit.evaluation.controls import controls
from reid_audit.audit.evaluation.estimates import Assessed, Settings, assess
from reid_audit.audit.evaluation.inference import ask, inferences
from reid_audit.audit.evaluation.linkability import clear_links, linked, studied
from reid_audit.audit.evaluation.verdict import Evidence
from reid_audit.audit.probes.condition import Group
from reid_audit.audit.probes.faces import clear_faces
from reid_audit.audit.probes.material import Material, cache_folder
from reid_audit.audit.publishing.picture_sheet import picked, sheet_rows
from reid_audit.audit.results import schema
from reid_audit.audit.run_directory import Store
from reid_audit.audit.trials.perception import Perception
from reid_audit.audit.trials.table import named
from reid_audit.audit.trials.units import Outcome, Setup, learns, run_attack
from reid_audit.reports.pages.picture_sheet import Row

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Audit:
    """What every condition of a run is attacked with."""

    material: Material
    config: AuditConfig
    store: Store
    recognizers: tuple[Recognizer, ...]
    perception: Perception
    progress: Progress
    judge: Recognizer | None = None
    """Scores what attacks restore, and is attacked by none."""


JobKey = tuple[str, str, World, str]


@dataclass(frozen=True, eq=False)
class Job:
    """One attack on one condition, scored by one recogniser."""

    audit: Audit
    group: Group
    recognizer: Recognizer
    world: World
    attack: str

    @property
    def key(self) -> JobKey:
        """What tells it from the others of a run."""
        return self.group.id, self.recognizer.name, self.world, self.attack


Unscored = Mapping[JobKey, Outcome]
"""What ended without trials, by `Job.key`."""


@dataclass(frozen=True, eq=False)
class Attacked:
    """One condition under every attack, scored by one recogniser. `sheet`: rows of the restricted
    sheet, where it is wanted."""

    recognizer: str
    controls: schema.Controls
    results: tuple[schema.AttackResult, ...]
    links: tuple[schema.Linkability, ...]
    inferred: tuple[schema.Inference, ...]
    evidence: tuple[Evidence, ...]
    trials: tuple[pd.DataFrame, ...]
    sheet: tuple[Row, ...]


def attack_group(jobs: Sequence[Job], unscored: Unscored) -> Attacked:
    """What became of the attacks on one group, scored by one recogniser, whose trials lie in the
    store."""
    audit, group, recognizer = jobs[0].audit, jobs[0].group, jobs[0].recognizer
    config, names = audit.config, audit.material.names
    settings = Settings(config.alpha, config.seed, config.minimum_cell)
    setup = make_setup(group, recognizer, audit)
    assessed: dict[tuple[str, World], Assessed] = {}
    restored: dict[str, Mapping[int, Picture]] = {}
    links: list[schema.Linkability | None] = []
    inferred: list[schema.Inference] = []
    questions = ask(setup, audit.material.faces)
    clear = clear_links(setup, settings)
    trials = []
    for job in jobs:
        world, name = job.world, job.attack
        info = attack_class(name).info
        learning = learns(info, setup.context.checkpoints)
        outcome = unscored.get(job.key)
        if outcome is None:
            outcome = named(run_attack(name, setup.in_world(world), audit.store), group, names)
        if outcome.restored:
            restored.setdefault(info.title, outcome.restored)
        assessment = assess(outcome, setup.in_world(world), settings)
        assessed[name, world] = assessment
        links.append(linked(outcome, setup, assessment, clear, settings))
        inferred += inferences(outcome, setup, assessment, questions, settings)
        if outcome.status == "ok":
            columns = {
                "attack": name,
                "recognizer": recognizer.name,
                "condition": group.id,
                "world": world if learning else None,
            }
            trials.append(outcome.trials.assign(**columns))
    return Attacked(
        recognizer.name,
        controls(setup, assessed, names, settings, audit.store),
        tuple(assessment.result for assessment in assessed.values()),
        tuple(link for link in links if link is not None),
        tuple(inferred),
        tuple(_evidence(assessed, recognizer.name, group.id)),
        tuple(trials),
        tuple(sheet_rows(group, restored, names)) if setup.shown else (),
    )


def _evidence(
    assessed: Mapping[tuple[str, World], Assessed], recognizer: str, condition: str
) -> Iterator[Evidence]:
    """What the verdict weighs: the attacks that were scored."""
    for (name, _), assessment in assessed.items():
        ira = assessment.result.metrics["ira"].value
        if assessment.upper is not None and ira is not None:
            trials = assessment.upper, assessment.attacked, assessment.blind
            yield Evidence(name, recognizer, condition, ira, *trials)


def make_setup(group: Group, recognizer: Recognizer, audit: Audit) -> Setup:
    """Everything that attacks on one group are run and scored with, for one recogniser."""
    material, config = audit.material, audit.config
    faces = clear_faces(material.faces)
    reference = Reference(
        faces, material.gallery, material.background, config.worlds[0], material.spare
    )
    trainable = next((r for r in (recognizer, *audit.recognizers) if r.trainable), None)
    context = Context(
        group.forward,
        recognizer,
        trainable,
        config.seed,
        audit.perception.device,
        cache_folder(config, audit.store),
        audit.progress,
        checkpoints(config),
        audit.recognizers,
    )
    clear = embed_clear(faces, context)
    scorer = Scorer.of(recognizer, clear[list(material.gallery)], reference.gallery_identities)
    known = np.array([original is not None for original in group.originals])
    originals = np.zeros((len(group), recognizer.dimension), np.float32)
    if known.any():
        rows = [original for original in group.originals if original is not None]
        originals[known] = embed_clear(clear_faces(rows), context)
    shows = config.evidence == "restricted" and recognizer is audit.recognizers[0]
    return Setup(
        group=group,
        reference=reference,
        context=context,
        scorer=scorer,
        identities=group.identities,
        original_embeddings=originals,
        known=known,
        batch_size=config.batch_size,
        perception=audit.perception,
        studied=studied(group, group.identities),
        shown=picked(group) if shows else frozenset(),
        options=config.options,
    )
