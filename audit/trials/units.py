"""Work units: one attack on one shard of probes, found again by content when a run is resumed."""

from __future__ import annotations

import json
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reid_audit.attacks.interface import (
    Attack,
    AttackInfo,
    AttackOutput,
    Context,
    Picture,
    Reference,
    World,
)
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.registry import make_attack
from reid_audit.attacks.scoring import Scorer
from reid_audit.audit.probes.condition import Group, covered, solid, without_faces
from reid_audit.audit.run_directory import Store, unit_key
from reid_audit.audit.trials.perception import FEATURES, Perception
from reid_audit.audit.trials.scoring import (
    Floats,
    fidelity_rows,
    identification_rows,
    identity_distance,
)
from reid_audit.audit.trials.together import rows_to_keep, together
from reid_audit.metrics.cache import save_arrays
from reid_audit.metrics.errors import (
    MissingFile,
    MissingWeights,
    NotApplicable,
    TrainingFailed,
    Unwritable,
)
from reid_audit.metrics.extrapolation import Strangers

KINDS = ("attack", "context-only", "covered", "solid-fill")
SCORED = ("attack", "context-only")
"""Kinds whose scores are kept, of the probes that are summed."""
SOLID = 64
"""Probes of the solid-fill control: they are all alike to the attacker."""
VERSION = 9
FEATURES_FILE, PICTURES_FILE = "features.npz", "restored.npz"


@dataclass(frozen=True, eq=False, kw_only=True)
class Setup:
    """What every attack on one group is scored with and against.

    identities: of the group's probes; None where the truth is unknown.
    original_embeddings: `(N, d)` of the clear probes, and `known (N,)` where there is one.
    batch_size: probes decoded and attacked together.
    shown: probes whose restored pictures are kept, for the restricted sheet.
    studied: probes, in order, whose embeddings are kept to be compared with one another.
    options: what is set about attacks, by their name and then by the option's.
    """

    group: Group
    reference: Reference
    context: Context
    scorer: Scorer
    identities: tuple[str | None, ...]
    original_embeddings: Floats
    known: NDArray[np.bool_]
    batch_size: int
    perception: Perception
    shown: frozenset[int] = frozenset()
    studied: tuple[int, ...] = ()
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    @property
    def summed(self) -> tuple[int, ...]:
        """Probes whose scores are kept, to look up the pictures of one person together."""
        return rows_to_keep(self.studied, self.identities, self.scorer.people)

    def in_world(self, world: World) -> Setup:
        """The same setup with another choice of faces to train on."""
        return replace(self, reference=replace(self.reference, world=world))


@dataclass(frozen=True, eq=False, kw_only=True)
class Outcome:
    """One attack on one group. `trials` has a column `kind`: attack, context-only or solid-fill,
    and a column `estimate`: what an attack inferred about a probe (JSON), None in controls;
    `embedded` are the embeddings `(M, d)` of attacked probes whose originals are known, or None;
    `seen` those of the studied probes by kind, `(S, d)`, and of the solid-fill control of those of
    them that it has, empty where the attack yields none (`covered`: the processed regions painted
    over, where only regions were processed);
    `strangers`: how every attacked probe scores against other people than its own;
    `together`: trials by kind of people whose pictures are looked up together;
    `inception` the features `(2, K, 2048)` of restored faces and their originals; `restored` the
    pictures of the probes that the setup wants shown, by row."""

    name: str
    status: str
    reason: str | None = None
    trials: pd.DataFrame = field(default_factory=pd.DataFrame)
    embedded: Floats | None = None
    seen: Mapping[str, Floats] = field(default_factory=dict)
    strangers: Strangers | None = None
    together: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    inception: NDArray[np.float64] | None = None
    seconds: float = 0.0
    network_evaluations: int | None = None
    parameters: int | None = None
    restored: Mapping[int, Picture] = field(default_factory=dict)
    left_out: bool = False
    """Whether it did not run, or not to its end, for want of time."""


class OutOfTime(Exception):
    """The time that attacks may take has run out; the message may stand in a report."""


def run_attack(name: str, setup: Setup, store: Store) -> Outcome:
    """Fit an attack and run it, with its two controls, over every shard that is not done yet.

    A failing attack is reported as failed, never as a private picture; an interrupt passes on.
    """
    try:
        attack = ready(name, setup)
        missing = missing_units(attack, setup, store)
        keys = [_key(attack, setup, shard) for shard in setup.group.shards(setup.batch_size)]
        done = len(keys) - len(missing)
        for unit in finish(attack, setup, list(missing.values())):
            keep(unit, store)
            done += 1
            setup.context.progress(f"{name} on {setup.group.title}", done, len(keys))
        return _outcome(name, setup, [_kept(key, setup, store) for key in keys])
    except Exception as error:
        return ended_by(error, name)


def ready(name: str, setup: Setup) -> Attack:
    """The attack of that name, not fitted yet.

    Raises:
        NotApplicable: it cannot run on this group; the sentence says why.
    """
    attack = make_attack(name, setup.options.get(name, {}))
    missing = _unmet(attack, setup)
    if missing:
        raise NotApplicable(missing)
    return attack


def ended_by(error: Exception, name: str) -> Outcome:
    """What an error comes to that ended an attack. A full disk or a lost picture ends the run and
    is raised again: other attacks would fail on it too."""
    match error:
        case Unwritable() | MissingFile():
            raise error
        case NotApplicable():
            return Outcome(name=name, status="skipped", reason=str(error))
        case OutOfTime():
            return Outcome(name=name, status="skipped", reason=str(error), left_out=True)
        case MissingWeights() | TrainingFailed():
            return Outcome(name=name, status="failed", reason=str(error))
    # The messages of others may hold a path or a name.
    where = f"{type(error).__name__} in {_innermost(error)}"
    return Outcome(name=name, status="failed", reason=f"the attack broke: {where}")


def missing_units(attack: Attack, setup: Setup, store: Store) -> dict[str, range]:
    """The shards of a group that the store does not hold, in order, by their units' keys."""
    shards = setup.group.shards(setup.batch_size)
    by_key = {_key(attack, setup, shard): shard for shard in shards}
    return {key: shard for key, shard in by_key.items() if store.load(key) is None}


@dataclass(frozen=True, eq=False)
class Finished:
    """A work unit as it was computed."""

    key: str
    shard: _Shard
    facts: Mapping[str, Any]


def finish(attack: Attack, setup: Setup, shards: Sequence[Sequence[int]]) -> Iterator[Finished]:
    """Fit an attack, if there is anything to do, and run it over shards."""
    fitted = None
    for indices in shards:
        started = time.perf_counter()
        fitted = fitted or attack.fit(setup.reference, setup.context)
        shard = _attack_shard(fitted, setup, indices)
        facts = {
            "seconds": time.perf_counter() - started,
            "evaluations": shard.evaluations,
            "parameters": count_parameters(fitted),
        }
        yield Finished(_key(attack, setup, indices), shard, facts)


def keep(unit: Finished, store: Store) -> None:
    """Write a unit into the store: its arrays first, since its trials say that it is done."""
    shard = unit.shard
    arrays = {"inception": shard.inception, "own": shard.strangers.own, "top": shard.strangers.top}
    arrays |= {f"scores-{kind}": scores for kind, scores in shard.scores.items()}
    save_arrays(store.artifact(unit.key, FEATURES_FILE), {**shard.embedded, **arrays})
    if shard.restored:
        pictures = {str(row): picture for row, picture in shard.restored.items()}
        save_arrays(store.artifact(unit.key, PICTURES_FILE), pictures)
    store.save(unit.key, shard.trials, unit.facts)


def _kept(key: str, setup: Setup, store: Store) -> tuple[_Shard, Mapping[str, Any]]:
    """A unit as the store holds it, and its facts."""
    unit = store.load(key)
    if unit is None:
        raise MissingFile("A work unit is gone from the run folder; repeat the same command.")
    with np.load(store.artifact(key, FEATURES_FILE)) as kept:
        shard = _Shard(
            unit.trials,
            {kind: kept[kind] for kind in KINDS if kind in kept},
            kept["inception"],
            unit.facts["evaluations"],
            _kept_pictures(store.artifact(key, PICTURES_FILE)),
            Strangers(kept["own"], kept["top"], len(setup.scorer.people) - 1),
            {kind: kept[f"scores-{kind}"] for kind in SCORED},
        )
    return shard, unit.facts


def _outcome(name: str, setup: Setup, kept: Sequence[tuple[_Shard, Mapping[str, Any]]]) -> Outcome:
    """One attack on one group from all its shards."""
    done = [shard for shard, _ in kept]
    trials = pd.concat([shard.trials for shard in done])
    seen = _joined(done)
    mates = setup.scorer.mates([setup.identities[row] for row in setup.summed])
    inception = np.concatenate([shard.inception for shard in done], axis=1)
    return Outcome(
        name=name,
        status="ok",
        # The order of the probes, whatever the shards.
        trials=trials.sort_values(["kind", "probe"], kind="stable", ignore_index=True),
        embedded=seen["attack"][setup.known] if seen and setup.known.any() else None,
        seen={
            kind: rows[[row for row in setup.studied if row < len(rows)]]
            for kind, rows in seen.items()
        },
        strangers=Strangers(
            np.concatenate([shard.strangers.own for shard in done]),
            np.concatenate([shard.strangers.top for shard in done]),
            len(setup.scorer.people) - 1,
        ),
        together={
            kind: together(np.concatenate([shard.scores[kind] for shard in done]), mates)
            for kind in SCORED
        },
        inception=inception if inception.shape[1] else None,
        seconds=sum(facts["seconds"] for _, facts in kept),
        network_evaluations=sum(shard.evaluations for shard in done) or None,
        parameters=max(facts.get("parameters", 0) for _, facts in kept) or None,
        restored={row: picture for shard in done for row, picture in shard.restored.items()},
    )


def _joined(shards: Sequence[_Shard]) -> dict[str, Floats]:
    """Embeddings by kind of every probe that the kind has; of an attack without any, nothing."""
    kinds = [kind for kind in KINDS if kind in shards[0].embedded]
    return {
        kind: np.concatenate([shard.embedded[kind] for shard in shards if kind in shard.embedded])
        for kind in kinds
    }


def _kept_pictures(file: Path) -> dict[int, Picture]:
    if not file.exists():
        return {}
    with np.load(file) as kept:
        return {int(row): kept[row] for row in kept}


def count_parameters(attack: object) -> int:
    """Weights of the networks that an attack holds, the recogniser that scores not counted."""
    from torch import nn

    modules: dict[int, nn.Module] = {}

    def search(thing: object, depth: int) -> None:
        if isinstance(thing, nn.Module):
            modules[id(thing)] = thing
        elif isinstance(thing, Recognizer | Context) or depth == 0:
            return
        elif isinstance(thing, list | tuple):
            for part in thing:
                search(part, depth - 1)
        elif hasattr(thing, "__dict__"):
            for part in vars(thing).values():
                search(part, depth - 1)

    search(attack, 3)
    weights = {id(w): w.numel() for m in modules.values() for w in m.parameters()}
    return sum(weights.values())


@dataclass(frozen=True, eq=False)
class _Shard:
    """What is kept of one shard: trials, embeddings by kind, Inception features `(2, K, 2048)`,
    restored pictures that are to be shown, by probe; scores `(S, G)` of the summed probes by kind,
    rounded."""

    trials: pd.DataFrame
    embedded: Mapping[str, Floats]
    inception: NDArray[np.float64]
    evaluations: int
    restored: Mapping[int, Picture]
    strangers: Strangers
    scores: Mapping[str, Floats]


def _attack_shard(attack: Attack, setup: Setup, indices: Sequence[int]) -> _Shard:
    """One shard under attack and under the two controls."""
    rows = list(indices)
    probes = setup.group.load(rows)
    mates = setup.scorer.mates([setup.identities[i] for i in rows])
    output = attack.run(probes, setup.context)
    scores, embeddings = setup.scorer.complete(output, probes)
    strangers = Strangers.of(scores, mates)
    fidelity, inception = _fidelity(output, setup, rows, probes.landmarks)
    idd = identity_distance(embeddings, setup.original_embeddings[rows], setup.known[rows])
    parts = [
        pd.concat([identification_rows(scores, mates), idd, fidelity], axis=1).assign(
            kind="attack",
            probe=rows,
            margin=strangers.own - strangers.top[:, :1].sum(axis=1),
            estimate=_estimates(output, len(rows)),
        )
    ]
    embedded = {"attack": embeddings}
    summed = np.isin(rows, setup.summed)
    kept = {"attack": scores[summed]}
    few = [row for row in rows if row < SOLID]
    for kind, variant, some in (
        ("context-only", without_faces(probes), rows),
        ("solid-fill", solid(probes), few),
    ):
        if not some:
            continue
        part = next(variant.batches(len(some)))
        control, embedded[kind] = setup.scorer.complete(attack.run(part, setup.context), part)
        if kind in SCORED:
            kept[kind] = control[summed]
        trials = identification_rows(control, mates[: len(some)])
        parts.append(trials.assign(kind=kind, probe=some))
    if not setup.group.whole_picture and embeddings is not None:
        part = covered(probes)
        _, embedded["covered"] = setup.scorer.complete(attack.run(part, setup.context), part)
    shown = zip(rows, output.restored or (), strict=False)
    return _Shard(
        pd.concat(parts, ignore_index=True),
        {kind: vectors for kind, vectors in embedded.items() if vectors is not None},
        inception,
        output.network_evaluations or 0,
        {row: picture for row, picture in shown if row in setup.shown},
        strangers,
        kept,
    )


def _estimates(output: AttackOutput, count: int) -> NDArray[np.object_]:
    """What the attack inferred about each probe as JSON, so that every attack's fits one column; no
    number (NaN) becomes null."""
    told: list[str | None] = [None] * count
    if output.estimates is not None:
        told = [
            json.dumps(
                {name: None if value != value else value for name, value in estimate.items()}
            )
            for estimate in output.estimates
        ]
    return np.array(told, dtype=object)


def _fidelity(
    output: AttackOutput, setup: Setup, rows: Sequence[int], landmarks: Floats
) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """PSNR, SSIM and LPIPS of every restored face, and Inception features of both sides."""
    if output.restored is None:
        nothing = pd.DataFrame(np.nan, range(len(rows)), ["psnr", "ssim", "lpips"])
        return nothing, np.zeros((2, 0, FEATURES))
    restored, originals = output.restored, setup.group.load_originals(rows)
    perception = setup.perception
    trials = fidelity_rows(restored, originals, landmarks).assign(
        lpips=perception.distances(restored, originals, landmarks)
    )
    known = [place for place, clear in enumerate(originals) if clear is not None]
    sides = (
        perception.features([restored[place] for place in known], landmarks[known]),
        perception.features([c for c in originals if c is not None], landmarks[known]),
    )
    return trials, np.stack(sides)


def _unmet(attack: Attack, setup: Setup) -> str | None:
    """Why an attack cannot run on this group, or None."""
    needs = _needs(attack.info, setup.context)
    if "operator" in needs and setup.group.operator is None:
        hint = (
            f"; train {attack.info.name} on pairs of it (--anonymized or --command)"
            if attack.info.from_pairs
            else ""
        )
        return f"the anonymisation was not identified, so the attacker cannot imitate it{hint}"
    if "trainable" in needs and setup.context.trainable is None:
        return "no trainable recogniser is at hand; add dlib or timm:ARCHITECTURE:FILE"
    if "background" in needs and not setup.reference.training:
        return "there are no background faces to learn from"
    return None


def learns(info: AttackInfo, checkpoints: Container[str]) -> bool:
    """Whether an attack learns from people in the run, so that it matters from whom; given a
    checkpoint, it has learnt before."""
    return info.trained and info.name not in checkpoints


def _needs(info: AttackInfo, context: Context) -> frozenset[str]:
    """What an attack cannot do without: a checkpoint stands in for training in the run, and one
    that learnt from pairs of a black box for knowing the operator."""
    given = context.checkpoints.get(info.name)
    if given is None:
        return info.needs
    spared = {"trainable", "operator"} if info.from_pairs and given.from_pairs else {"trainable"}
    return info.needs - spared


def _key(attack: Attack, setup: Setup, shard: Sequence[int]) -> str:
    group, context, summed = setup.group, setup.context, frozenset(setup.summed)
    return unit_key(
        version=VERSION,
        attack=[attack.info.name, attack.info.version],
        recognizer=context.recognizer.digest,
        trainable=context.trainable.digest if context.trainable else None,
        forward=context.forward.key,
        reference=setup.reference.faces.key,
        gallery=[(row, setup.reference.faces.identities[row]) for row in setup.reference.gallery],
        background=list(setup.reference.background),
        spare=list(setup.reference.spare),
        world=setup.reference.world,
        seed=context.seed,
        options=repr(getattr(attack, "options", None)),
        checkpoints=sorted((name, given.digest) for name, given in context.checkpoints.items()),
        probes=[group.faces[i].key for i in shard],
        regions=[list(group.regions[i]) for i in shard],
        originals=[original.key if (original := group.originals[i]) else None for i in shard],
        truth=[setup.identities[i] for i in shard],
        summed=[i in summed for i in shard],
        perception=setup.perception.names,
    )


def _innermost(error: Exception) -> str:
    """Module and line where an exception arose; its text might hold a path or a name."""
    trace = error.__traceback__
    assert trace is not None
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_globals.get('__name__', '?')}, line {trace.tb_lineno}"
