"""Attacks on the machines of a cluster.

A task is some attacks on one condition, scored by one recogniser, over a part of its probes. It
fits the attacks where it runs, in a folder that it deletes, and yields finished work units, which
this process writes into the run's store: from there on they are as if they had been made here.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, product
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from reid_audit.attacks.recognition.recognizers import load_recognizer
from reid_audit.audit.config import AuditConfig
from reid_audit.audit.data import Dataset, Pseudonyms
from reid_audit.audit.data.leaks import Leaks
from reid_audit.audit.engine.cluster import Cluster
from reid_audit.audit.probes.condition import Group
from reid_audit.audit.probes.material import Material, cache_folder
from reid_audit.audit.run_directory import Store
from reid_audit.audit.scan.condition import Audit, Job, JobKey, Unscored, make_setup
from reid_audit.audit.scan.duration import Clock, left_out
from reid_audit.audit.trials.perception import Perception
from reid_audit.audit.trials.units import (
    Finished,
    Outcome,
    Setup,
    ended_by,
    finish,
    keep,
    missing_units,
    ready,
)
from reid_audit.metrics.cache import save_array
from reid_audit.metrics.errors import InputError

EMBEDDED = "embeddings-*.npy"
"""Arrays of the cache that every task would compute anew."""


@dataclass(frozen=True, eq=False)
class Shared:
    """What the tasks of one audit have in common. `material` holds reference faces alone;
    `embedded`: clear faces as they were embedded here, by file of the cache."""

    material: Material
    config: AuditConfig
    device: str
    embedded: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, audit: Audit) -> Shared:
        """What attacks on other machines need of an audit."""
        folder = cache_folder(audit.config, audit.store)
        own = audit.config.cache is None  # else every machine reads it itself
        arrays = {path.name: np.load(path) for path in folder.glob(EMBEDDED) if own}
        return cls(_bare(audit.material), audit.config, audit.perception.device, arrays)

    def audit(self, folder: Path) -> Audit:
        """The audit as a task sees it, with a folder of its own."""
        store = Store(folder, resumed=False)
        for name, array in self.embedded.items():
            save_array(cache_folder(self.config, store) / name, array)
        config, device = self.config, self.device
        recognizers = tuple(load_recognizer(spec, device) for spec in config.recognizers)
        judge = load_recognizer(config.judge, device) if config.judge is not None else None
        perception = Perception.installed(device)
        return Audit(self.material, config, store, recognizers, perception, _silent, judge)


def _bare(material: Material) -> Material:
    """Reference faces; no scene, no other file and no key of pseudonyms leaves this machine."""
    return replace(
        material,
        dataset=Dataset(),
        facts={},
        groups=(),
        names=Pseudonyms(b""),
        leaks=Leaks(0, {}),
        scenes={},
        original_faces=(),
    )


def _silent(what: str, done: int, total: int) -> None:
    """No progress: this process counts the units that arrive."""


@dataclass(frozen=True)
class Ask:
    """Shards that one attack lacks of the `total` that its condition has; `seconds`: that one of
    them will take, as far as that is known."""

    key: JobKey
    shards: tuple[range, ...]
    total: int
    seconds: float | None

    @property
    def expected(self) -> float:
        """Seconds that all its shards will take."""
        return len(self.shards) * (self.seconds or 0.0)


Told = tuple[JobKey, Finished | Outcome]


def attack_part(shared: Shared, group: Group, asks: Sequence[Ask]) -> Iterator[Told]:
    """The units that a part of a condition lacks, as they are finished, and an outcome where an
    attack came to no end. All asks are of one recogniser."""
    with TemporaryDirectory(prefix="reid-audit-") as folder:
        audit = shared.audit(Path(folder))
        scorers = (*audit.recognizers, *([audit.judge] if audit.judge else []))
        recognizer = next(r for r in scorers if r.name == asks[0].key[1])
        setup = make_setup(group, recognizer, audit)
        for ask in asks:
            _, _, world, name = ask.key
            in_world = setup.in_world(world)
            try:
                for unit in finish(ready(name, in_world), in_world, ask.shards):
                    yield ask.key, unit
            except Exception as error:
                yield ask.key, ended_by(error, name)


def attack_apart(
    setups: Iterable[tuple[Setup, Job]],
    expected: Mapping[JobKey, float | None],
    clock: Clock,
    cluster: Cluster,
) -> Unscored:
    """Have a cluster do what the store lacks. Returns what ended without trials."""
    unscored: dict[JobKey, Outcome] = {}
    jobs: dict[JobKey, Job] = {}
    asks: dict[JobKey, Ask] = {}
    keys: set[str] = set()
    for setup, job in setups:
        try:
            units = missing_units(ready(job.attack, setup), setup, job.audit.store)
        except Exception as error:
            unscored[job.key] = ended_by(error, job.attack)
            continue
        total, seconds = len(list(setup.group.shards(setup.batch_size))), expected[job.key]
        each = None if seconds is None else seconds / total
        if units:
            jobs[job.key] = job
            asks[job.key] = Ask(job.key, tuple(units.values()), total, each)
            keys |= units.keys()
    lacking = {key: len(ask.shards) for key, ask in asks.items()}
    for key, told in cluster.stream(
        attack_part,
        _tasks(list(asks.values()), jobs, clock, cluster, unscored),
        gpu=any(job.audit.perception.device == "cuda" for job in jobs.values()),
        until=time.monotonic() + clock.left,
    ):
        job, ask = jobs[key], asks[key]
        if isinstance(told, Outcome):
            unscored.setdefault(key, told)
            continue
        if told.key not in keys:
            raise InputError(
                "A machine of the cluster has another version of reid-audit, other weights or "
                "other files than this one; install the same on all."
            )
        keep(told, job.audit.store)
        clock.ran(ask.seconds, told.facts["seconds"])
        lacking[key] -= 1
        done = ask.total - lacking[key]
        job.audit.progress(f"{job.attack} on {job.group.title}", done, ask.total)
    for key, number in lacking.items():
        if number:
            unscored.setdefault(key, left_out(jobs[key].attack, None, clock))
    return unscored


def _tasks(
    asks: Sequence[Ask],
    jobs: Mapping[JobKey, Job],
    clock: Clock,
    cluster: Cluster,
    unscored: dict[JobKey, Outcome],
) -> Iterator[tuple[object, Group, Sequence[Ask]]]:
    """Arguments of `attack_part`, one part after another while there is time for it."""
    shared: dict[int, object] = {}
    for part in split(asks, cluster.slots // cluster.threads):
        seconds = sum(ask.expected for ask in part)
        if not clock.fits(seconds):
            unscored.update((a.key, left_out(a.key[3], a.expected, clock)) for a in part)
            continue
        job = jobs[part[0].key]
        if id(job.audit) not in shared:
            shared[id(job.audit)] = cluster.share(Shared.of(job.audit))
        yield shared[id(job.audit)], job.group, part


def split(asks: Sequence[Ask], slots: int) -> Iterator[list[Ask]]:
    """Parts for at least `slots` tasks, where there is so much to do. Neighbours of one condition
    and recogniser stay together, since they share what is made of the reference faces; shards are
    dealt out before attacks are, since a task fits its attacks only once."""
    alike = [list(part) for _, part in groupby(asks, key=lambda ask: ask.key[:2])]
    wanted = ceil(slots / max(len(alike), 1))
    for part in alike:
        pieces = min(wanted, max(len(ask.shards) for ask in part))
        heaps = min(ceil(wanted / pieces), len(part))
        for heap, piece in product(range(heaps), range(pieces)):
            dealt = [replace(a, shards=a.shards[piece::pieces]) for a in part[heap::heaps]]
            if some := [ask for ask in dealt if ask.shards]:
                yield some
