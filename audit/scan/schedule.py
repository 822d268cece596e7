"""Which attacks run, in which order, and what a time limit leaves out.

Without a limit attacks run as they were asked for, condition by condition. With one the worthiest
attack comes first on every condition, so that whatever is left out is what would have told least.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby, product

from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.registry import attack_class
from reid_audit.audit.checkpoints import checkpoints
from reid_audit.audit.engine.cluster import Cluster
from reid_audit.audit.probes.condition import Group
from reid_audit.audit.scan.apart import attack_apart
from reid_audit.audit.scan.condition import Audit, Job, JobKey, Unscored, make_setup
from reid_audit.audit.scan.duration import (
    EFFORTS,
    Clock,
    Speed,
    expected_seconds,
    in_words,
    left_out,
)
from reid_audit.audit.trials.units import Outcome, Setup, learns, run_attack

WORTH = (
    *("naive", "ridge", "student", "wiener", "fusion", "degraded-gallery", "parrot"),
    *("mmse", "flow", "parrot-tuned", "fantomas", "revelio", "revelio-vote", "posterior"),
)
"""Attacks in the order in which they are worth their time (benchmarks/lfw.md): the line that all
are read against, the strongest for its cost, the strongest, then what adds to these."""


def jobs_of(group: Group, recognizer: Recognizer, audit: Audit) -> Iterator[Job]:
    """The attacks that are asked of one condition and recogniser. A world matters to those alone
    that learn in the run; a judge scores those alone that restore pictures and look nobody up."""
    config = audit.config
    given = checkpoints(config)
    for world, name in product(config.worlds, config.attacks):
        info = attack_class(name).info
        if world != config.worlds[0] and not learns(info, given):
            continue
        if recognizer is audit.judge and info.yields & {"scores", "embeddings"}:
            continue
        yield Job(audit, group, recognizer, world, name)


def run_jobs(
    jobs: Sequence[Job],
    clock: Clock,
    remark: Callable[[str], None],
    cluster: Cluster | None = None,
) -> Unscored:
    """Run attacks into the store, the worthiest first where time is limited, and say beforehand how
    long they will take. They run here, or on a cluster. Returns what ended without trials."""
    if clock.limit is not None:
        jobs = sorted(jobs, key=lambda job: _place(job.attack))
    expected = _expected(jobs)
    if jobs:
        remark(forecast(jobs, expected, clock.limit))
    if cluster is not None:
        return attack_apart(_with_setups(jobs), expected, clock, cluster)
    unscored: dict[JobKey, Outcome] = {}
    for setup, job in _with_setups(jobs):
        seconds = expected[job.key]
        if not clock.fits(seconds):
            unscored[job.key] = left_out(job.attack, seconds, clock)
            continue
        watched = replace(setup, context=clock.watched(setup.context))
        started = time.monotonic()
        outcome = run_attack(job.attack, watched, job.audit.store)
        took = time.monotonic() - started
        if 2 * took > outcome.seconds:  # else an earlier run had done most of it
            clock.ran(seconds, took)
        if outcome.status != "ok":
            unscored[job.key] = outcome
    return unscored


def forecast(
    jobs: Sequence[Job],
    expected: Mapping[JobKey, float | None],
    limit: float | None,
) -> str:
    """One sentence on how long attacks will take, by attack, and how long they may."""
    by_attack: dict[str, float] = {}
    unknown: dict[str, None] = {}
    for job in jobs:
        seconds = expected[job.key]
        if seconds is None:
            unknown[job.attack] = None
        else:
            by_attack[job.attack] = by_attack.get(job.attack, 0.0) + seconds
    parts = [f"{name} {in_words(seconds)}" for name, seconds in by_attack.items()]
    text = f"The attacks will take about {in_words(sum(by_attack.values()))} on this machine"
    text += f" ({', '.join(parts)})" if parts else ""
    if unknown:
        text += f"; not known beforehand: {', '.join(unknown)}"
    if limit is not None:
        text += f"; they may take {in_words(limit)}, the worthiest first"
    return f"{text}."


def _place(name: str) -> int:
    return WORTH.index(name) if name in WORTH else len(WORTH)


def _with_setups(jobs: Sequence[Job]) -> Iterator[tuple[Setup, Job]]:
    """Each job with what it is run with, made once for neighbours."""
    for _, alike in groupby(jobs, key=lambda job: (job.group.id, job.recognizer.name)):
        setup = None
        for job in alike:
            setup = setup or make_setup(job.group, job.recognizer, job.audit)
            yield setup.in_world(job.world), job


def _expected(jobs: Sequence[Job]) -> dict[JobKey, float | None]:
    """Seconds by job."""
    speeds: dict[str, Speed] = {}
    prepared: set[tuple[str, str]] = set()
    expected: dict[JobKey, float | None] = {}
    for setup, job in _with_setups(jobs):
        network = job.recognizer.name
        if network not in speeds:
            speeds[network] = Speed.timed(setup)
        place = job.group.id, network
        first = place not in prepared
        expected[job.key] = expected_seconds(job.attack, setup, speeds[network], first=first)
        if job.attack in EFFORTS and EFFORTS[job.attack].views:
            prepared.add(place)
    return expected
