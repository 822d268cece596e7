"""Go through a grid. Every finished row is kept, so a bench can be killed and goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reid_audit.attacks.anonymisation import (
    ToolSample,
    estimate_tools,
    identify,
    read_encoded,
)
from reid_audit.attacks.checkpoint import Checkpoint
from reid_audit.attacks.operators import Operator
from reid_audit.attacks.operators.leakage import blur_sigma, limit
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.recognition.recognizers import load_recognizer
from reid_audit.attacks.registry import attack_class, make_attack
from reid_audit.audit.bench import beside, plan
from reid_audit.audit.bench.config import DRAWN, ESTIMATED, MATCHED, BenchConfig, dump_config
from reid_audit.audit.bench.page import write_bench
from reid_audit.audit.bench.row import Row
from reid_audit.audit.bench.sample import Drawn, anonymized, draw, find_probes, read_people
from reid_audit.audit.bench.shards import ALL, Shard, take_over
from reid_audit.audit.checkpoints import checkpoints, fit_together
from reid_audit.audit.config import AuditConfig
from reid_audit.audit.data import Dataset, decode
from reid_audit.audit.engine import Local
from reid_audit.audit.evaluation.estimates import Settings, assess, hits, record
from reid_audit.audit.evaluation.linkability import linked
from reid_audit.audit.machine import resolve_device
from reid_audit.audit.probes.faces import FaceFinder
from reid_audit.audit.probes.grouping import UNKNOWN
from reid_audit.audit.probes.material import read_material
from reid_audit.audit.results.schema import AttackResult, Estimate
from reid_audit.audit.run_directory import WORK, Store, open_folder, unit_key
from reid_audit.audit.scan.condition import Audit, make_setup
from reid_audit.audit.scan.replacement import replacement
from reid_audit.audit.scan.utility import utility
from reid_audit.audit.trials.controls import clear_ceiling
from reid_audit.audit.trials.perception import Perception
from reid_audit.audit.trials.table import OWN_NAMES, named
from reid_audit.audit.trials.units import Outcome, Setup, learns, run_attack
from reid_audit.metrics import stats
from reid_audit.metrics.errors import NothingToAudit
from reid_audit.metrics.files import write_text
from reid_audit.metrics.leakage import FRAME

Progress = Callable[[str, int, int], None]

CONFIG = "bench.resolved.yaml"
ROWS = "rows"
VERSION = 2
ASKED = 40
"""Probes from which an attacker estimates the method."""


@dataclass(frozen=True)
class Cell:
    """One attacker's view of one setting: everything in it shares the files that are read."""

    drawn: Drawn
    setting: plan.Setting
    belief: str
    seed: int

    @property
    def operator(self) -> Operator | None:
        """The defence, lengths in pixels; None of a tool that is not ours."""
        if self.setting.command is not None:
            return None
        return plan.in_pixels(self.setting.method, self.drawn.face_width)

    @property
    def named(self) -> str:
        """The defence as it was applied."""
        return str(self.operator or self.setting.method)


@dataclass(frozen=True, eq=False)
class Job:
    """A row to be measured."""

    attack: str
    recognizer: Recognizer
    world: str


def run_bench(
    config: BenchConfig,
    out: Path,
    progress: Progress,
    shard: Shard = ALL,
    others: Sequence[Path] = (),
) -> list[Row]:
    """Measure the grid into `out` and return its rows; the tables there grow with every cell.

    Rows are kept by what they depend on: a longer grid in the same folder measures only what is
    new.

    Args:
        shard: the part of the grid to measure.
        others: folders of benches whose rows are taken over.

    Raises:
        InputError, NothingToAudit: the configuration or the data cannot be used; another bench
            works on `out`.
    """
    plan.check(config)
    device = resolve_device(config.device)
    recognizers = tuple(load_recognizer(spec, device) for spec in config.recognizers)
    given = checkpoints(AuditConfig(checkpoints=config.checkpoints))
    fit_together(given, recognizers)
    with open_folder(out, CONFIG, "bench") as store:
        write_text(out / CONFIG, dump_config(config))
        take_over(others, out / ROWS, ROWS)
        samples = plan.samples(config)
        people = read_people(config.data, samples, out, progress)
        finder = FaceFinder(out / WORK / "cache" / "faces", Local(config.workers or 2), device)
        probes = find_probes(people, finder, progress)
        drawn = {sample: draw(people, probes, sample, config.seeds[0]) for sample in samples}
        cells = shard.of(
            [
                Cell(drawn[sample], setting, belief, seed)
                for sample, setting, belief, seed in plan.grid(config)
            ]
        )
        planned = sum(len(_jobs(config, recognizers, given, cell)) for cell in cells)
        perception = Perception.installed(device)
        measured = _Measured(config, recognizers, perception, given, store, progress)
        rows: list[Row] = []
        for done, cell in enumerate(cells, start=1):
            rows += measured.rows(cell)
            write_bench(rows, config.title, config.about, planned, out)
            progress("bench", done, len(cells))
    return rows


@dataclass(frozen=True, eq=False)
class _Measured:
    """What all cells are measured with."""

    config: BenchConfig
    recognizers: tuple[Recognizer, ...]
    perception: Perception
    checkpoints: Mapping[str, Checkpoint]
    store: Store
    progress: Progress

    def rows(self, cell: Cell) -> list[Row]:
        """The rows of a cell, from the folder where they are known. What failed is not kept, so
        that repeating the command tries it again."""
        jobs = _jobs(self.config, self.recognizers, self.checkpoints, cell)
        paths = {job: self.store.path / ROWS / f"{self._key(cell, job)}.json" for job in jobs}
        stored = {job: _read(path) for job, path in paths.items()}
        missing = [job for job in jobs if stored[job] is None]
        for job, row in self._measure(cell, missing) if missing else ():
            stored[job] = row
            if row.status != "failed":
                write_text(paths[job], row.model_dump_json())
        return [kept for job in jobs if (kept := stored[job]) is not None]

    def _key(self, cell: Cell, job: Job) -> str:
        attack = make_attack(job.attack, self.config.options.get(job.attack, {}))
        return unit_key(
            version=VERSION,
            drawn=cell.drawn.key,
            method=cell.named,
            named=cell.setting.method,
            region=cell.setting.region,
            belief=cell.belief,
            seeds=[cell.seed, self.config.seeds[0]],
            attack=[job.attack, attack.info.version],
            recognizer=job.recognizer.digest,
            trainable=[r.digest for r in self.recognizers if r.trainable],
            world=job.world,
            options=repr(getattr(attack, "options", None)),
            checkpoints=sorted((name, given.digest) for name, given in self.checkpoints.items()),
            judged=[self.config.alpha, self.perception.names, self.perception.mesh is not None],
        )

    def _measure(self, cell: Cell, jobs: Sequence[Job]) -> Iterator[tuple[Job, Row]]:
        region, first = cell.setting.region, self.config.seeds[0]
        tool = cell.operator or str(cell.setting.command)
        dataset = anonymized(cell.drawn, tool, region, first, self.store.path)
        assumed = _assumed(cell, dataset, self.progress)
        config, device = self._audited(cell, assumed), self.perception.device
        material = read_material(dataset, config, self.store, device, self.progress)
        own = self.recognizers, self.perception, self.progress
        audit = Audit(material, config, self.store, *own)
        if not material.groups:
            raise NothingToAudit(f"defences: {cell.named}: no face was covered by it.")
        group = max(material.groups, key=len)
        kept = utility(group, audit)
        settings = Settings(self.config.alpha, cell.seed, 1)
        for recognizer in dict.fromkeys(job.recognizer for job in jobs):
            setup = make_setup(group, recognizer, audit)
            ceiling = _ceiling(setup, settings)
            pairs = replacement(group, recognizer, audit)
            for job in jobs:
                if job.recognizer is not recognizer:
                    continue
                setup = setup.in_world("open" if job.world == "open" else "closed")
                if assumed is None and "operator" in attack_class(job.attack).info.needs:
                    why = "the method could not be identified"
                    outcome = Outcome(name=job.attack, status="skipped", reason=why)
                else:
                    outcome = named(run_attack(job.attack, setup, self.store), group, OWN_NAMES)
                assessment = assess(outcome, setup, settings)
                row = _row(cell, assumed, self.config, setup, outcome, ceiling, assessment.result)
                link = linked(outcome, setup, assessment, {}, settings)
                yield job, row.model_copy(update=beside.fields(link, pairs, kept))

    def _audited(self, cell: Cell, assumed: Operator | None) -> AuditConfig:
        config = self.config
        return AuditConfig(
            attacks=config.attacks,
            recognizers=config.recognizers,
            seed=cell.seed,
            device=config.device,
            batch_size=config.batch_size,
            workers=config.workers,
            method=str(assumed) if assumed is not None else _unknown(cell),
            region="image" if cell.setting.region == "image" else None,
            worlds=config.worlds,
            options=config.options,
            checkpoints=config.checkpoints,
        )


def _jobs(
    config: BenchConfig,
    recognizers: Sequence[Recognizer],
    checkpoints: Container[str],
    cell: Cell,
) -> list[Job]:
    """What is measured in a cell: attacks that do not learn from people in the first world only,
    those that believe nothing about the method with the first belief only."""

    def differs(attack: str, world: str) -> bool:
        info = attack_class(attack).info
        told = "operator" in info.needs or cell.belief == cell.setting.beliefs[0]
        return told and (learns(info, checkpoints) or world == config.worlds[0])

    return [
        Job(attack, recognizer, world)
        for recognizer in recognizers
        for world in config.worlds
        for attack in config.attacks
        if differs(attack, world)
    ]


def _unknown(cell: Cell) -> str:
    """What is said of a method that could not be identified: of a tool that is not ours nobody
    knows anything; one of ours leaves the pictures' own place and size to be read as they are."""
    return UNKNOWN if cell.setting.command is not None else "none"


def _assumed(cell: Cell, dataset: Dataset, progress: Progress) -> Operator | None:
    """The method in which the attacker believes."""
    if cell.belief == MATCHED:
        return cell.operator
    if cell.belief != ESTIMATED:
        return plan.in_pixels(cell.belief, cell.drawn.face_width)
    samples = []
    chosen = dataset.probes[:: max(1, len(dataset.probes) // ASKED)][:ASKED]
    for done, probe in enumerate(chosen, start=1):
        picture = decode(probe.path)
        answer = identify(picture, read_encoded(probe.path))
        samples.append(ToolSample(answer, (picture.shape[0], picture.shape[1])))
        progress("identifying the method", done, len(chosen))
    return estimated(samples)


def estimated(samples: Sequence[ToolSample]) -> Operator | None:
    """The operator of the tool that made most pictures, as a scan estimates it."""
    return estimate_tools(samples)[0].operator() if samples else None


def _ceiling(setup: Setup, settings: Settings) -> Estimate:
    """Rank-1 of the clear probes, by picture."""
    trials = clear_ceiling(setup.original_embeddings, setup.identities, setup.scorer)
    trials = trials.assign(identity=np.array(setup.identities, object))[setup.known]
    mated = trials[trials.mated]
    if mated.empty:
        return Estimate(reason="no probe shows a person of the gallery")
    return record(stats.by_image(hits(mated), mated.identity.to_numpy(), alpha=settings.alpha))


def _row(
    cell: Cell,
    assumed: Operator | None,
    config: BenchConfig,
    setup: Setup,
    outcome: Outcome,
    ceiling: Estimate,
    result: AttackResult,
) -> Row:
    drawn, none = cell.drawn, Estimate()
    ira, person = (result.metrics.get(name, none) for name in ("ira_image", "ira"))
    people = set(setup.identities)
    held = people & set(setup.scorer.people)
    ok = result.status == "ok"
    return Row(
        data=Path(config.data).name if config.data else DRAWN,
        people=len(held),
        strangers=len(people - held),
        probes=len(setup.group),
        gallery_people=len(setup.scorer.people),
        gallery_pictures=len(setup.reference.gallery),
        background_pictures=len(setup.reference.background),
        face_width=round(drawn.face_width, 1),
        pose=drawn.sample.pose,
        defence=cell.setting.method,
        method=cell.named,
        region=cell.setting.region,
        **_strength(cell.operator, drawn.face_width),
        belief=plan.kind(cell.belief),
        assumed=str(assumed) if assumed is not None else None,
        knowledge=result.knowledge or "",
        attack=outcome.name,
        recognizer=setup.context.recognizer.name,
        status=result.status,
        reason=result.reason,
        ira=ira.value,
        low=ira.low,
        high=ira.high,
        n=ira.n,
        n_people=ira.n_identities,
        ira_person=person.value,
        ira_person_low=person.low,
        ira_person_high=person.high,
        chance=1 / len(setup.scorer.people),
        ceiling=ceiling.value,
        of_ceiling=ira.value / ceiling.value if ira.value is not None and ceiling.value else None,
        **{
            name: result.metrics.get(name, none).value
            for name in ("ira_together", "psnr", "ssim", "idd", "ood_auroc")
        },
        seconds=result.cost.seconds if ok else None,
        device=result.cost.device,
        parameters=outcome.parameters,
        network_evaluations=result.cost.network_evaluations,
        seed=cell.seed,
    )


def _strength(operator: Operator | None, face_width: float) -> dict[str, float | None]:
    """How strong a method is on faces of this width, whatever the attacker believes."""
    if operator is None:
        return {"sigma_over_face_width": None, "effective_resolution": None}
    side = round(FRAME * face_width)
    sigma = blur_sigma(operator, side, side)
    return {
        "sigma_over_face_width": round(sigma / face_width, 4) if sigma else None,
        "effective_resolution": round(limit(operator, face_width).effective_resolution, 2),
    }


def _read(path: Path) -> Row | None:
    try:
        return Row.model_validate(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError):
        return None
