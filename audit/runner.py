"""Work units: one attack on one shard of probes, found again by content when a run is resumed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attacks.interface import Attack, AttackOutput, Context, Reference, World
from attacks.registry import attack_class
from audit.probes import Group, solid, without_faces
from audit.scoring import (
    Floats,
    Scorer,
    fidelity_rows,
    identification_rows,
    identity_distance,
)
from audit.store import Store, atomic, unit_key
from metrics.errors import MissingWeights

SOLID = 64
"""Probes of the solid-fill control: they are all alike to the attacker."""
VERSION = 1


@dataclass(frozen=True, eq=False)
class Bench:
    """What every attack on one group is scored with and against.

    identities: of the group's probes; None where the truth is unknown.
    original_embeddings: `(N, d)` of the clear probes, and `known (N,)` where there is one.
    batch_size: probes decoded and attacked together.
    """

    group: Group
    reference: Reference
    context: Context
    scorer: Scorer
    identities: tuple[str | None, ...]
    original_embeddings: Floats
    known: NDArray[np.bool_]
    batch_size: int

    def in_world(self, world: World) -> Bench:
        """The same bench with another choice of faces to train on."""
        return replace(self, reference=replace(self.reference, world=world))


@dataclass(frozen=True, eq=False)
class Outcome:
    """One attack on one group. `trials` has a column `kind`: attack, context-only or solid-fill;
    `found` are the embeddings `(M, d)` of attacked probes whose originals are known, or None."""

    name: str
    status: str
    reason: str | None
    trials: pd.DataFrame
    found: Floats | None = None
    seconds: float = 0.0
    network_evaluations: int | None = None


def run_attack(name: str, bench: Bench, store: Store) -> Outcome:
    """Fit an attack and run it, with its two controls, over every shard that is not done yet.

    A failing attack is reported as failed, never as a private picture; an interrupt passes on.
    """
    try:
        attack: Attack = attack_class(name)()
        missing = _unmet(attack, bench)
        if missing:
            return Outcome(name, "skipped", missing, pd.DataFrame())
        return _run(attack, name, bench, store)
    except MissingWeights as error:
        return Outcome(name, "failed", str(error), pd.DataFrame())
    except Exception as error:  # in any way; other messages may hold a path or a name
        detail = f"{type(error).__name__} in {error.__traceback__ and _innermost(error)}"
        return Outcome(name, "failed", f"the attack broke: {detail}", pd.DataFrame())


def _run(attack: Attack, name: str, bench: Bench, store: Store) -> Outcome:
    group, context = bench.group, bench.context
    parts: list[pd.DataFrame] = []
    found: list[Floats] = []
    seconds, evaluations, fitted = 0.0, 0, False
    shards = list(group.shards(bench.batch_size))
    for number, shard in enumerate(shards):
        key = _key(attack, bench, shard)
        unit = store.load(key)
        features = store.artifact(key, "found.npy")
        if unit is None:
            started = time.perf_counter()
            if not fitted:
                attack, fitted = attack.fit(bench.reference, context), True
            trials, vectors, calls = _attack_shard(attack, bench, shard)
            with atomic(features) as temporary, temporary.open("wb") as file:
                np.save(file, vectors, allow_pickle=False)
            facts = {"seconds": time.perf_counter() - started, "evaluations": calls or 0}
            store.save(key, trials, facts)
        else:
            trials, facts = unit.trials, unit.facts
            vectors = np.load(features)
        parts.append(trials)
        found.append(vectors)
        seconds += facts["seconds"]
        evaluations += int(facts["evaluations"])
        context.progress(f"{name} on {group.title}", number + 1, len(shards))
    vectors = np.concatenate(found)
    return Outcome(
        name,
        "ok",
        None,
        # The order of the probes, whatever the shards.
        pd.concat(parts).sort_values(["kind", "probe"], kind="stable", ignore_index=True),
        vectors if len(vectors) else None,
        seconds,
        evaluations or None,
    )


def _attack_shard(
    attack: Attack, bench: Bench, shard: Sequence[int]
) -> tuple[pd.DataFrame, Floats, int | None]:
    """Trials of one shard under attack and controls, and the embeddings that were found."""
    probes = bench.group.load(shard)
    mates = bench.scorer.mates([bench.identities[i] for i in shard])
    output = attack.run(probes, bench.context)
    scores, embeddings = bench.scorer.complete(output, probes)
    known = bench.known[list(shard)]
    originals = bench.original_embeddings[list(shard)]
    attacked = pd.concat(
        [
            identification_rows(scores, mates),
            identity_distance(embeddings, originals, known),
            _fidelity(output, bench, shard, probes.landmarks),
        ],
        axis=1,
    ).assign(kind="attack", probe=list(shard))
    controls = []
    few = range(shard[0], min(shard[-1] + 1, SOLID))
    for kind, variant, rows in (
        ("context-only", without_faces(probes), shard),
        ("solid-fill", solid(probes), few),
    ):
        if len(rows) == 0:
            continue
        part = next(variant.batches(len(rows)))
        control_scores, _ = bench.scorer.complete(attack.run(part, bench.context), part)
        rows_ = identification_rows(control_scores, mates[: len(rows)])
        controls.append(rows_.assign(kind=kind, probe=list(rows)))
    vectors = embeddings[known] if embeddings is not None else np.zeros((0, 0), np.float32)
    trials = pd.concat([attacked, *controls], ignore_index=True)
    return trials, vectors, output.network_evaluations


def _fidelity(
    output: AttackOutput, bench: Bench, shard: Sequence[int], landmarks: Floats
) -> pd.DataFrame:
    if output.restored is None:
        return pd.DataFrame({"psnr": [np.nan] * len(shard), "ssim": [np.nan] * len(shard)})
    return fidelity_rows(output.restored, bench.group.load_originals(shard), landmarks)


def _unmet(attack: Attack, bench: Bench) -> str | None:
    """Why an attack cannot run on this group, or None."""
    needs = attack.info.needs
    if "operator" in needs and bench.group.operator is None:
        return "the anonymisation was not identified, so the attacker cannot imitate it"
    if "trainable" in needs and bench.context.trainable is None:
        return "no trainable recogniser is at hand; add dlib or timm:ARCHITECTURE:FILE"
    if "background" in needs and not bench.reference.training:
        return "there are no background faces to learn from"
    return None


def _key(attack: Attack, bench: Bench, shard: Sequence[int]) -> str:
    group, context = bench.group, bench.context
    return unit_key(
        version=VERSION,
        attack=[attack.info.name, attack.info.version],
        recognizer=context.recognizer.digest,
        trainable=context.trainable.digest if context.trainable else None,
        forward=context.forward.key,
        reference=bench.reference.faces.key,
        gallery=[(row, bench.reference.faces.identities[row]) for row in bench.reference.gallery],
        background=list(bench.reference.background),
        world=bench.reference.world,
        seed=context.seed,
        options=sorted((name, repr(value)) for name, value in context.options.items()),
        probes=[group.faces[i].key for i in shard],
        regions=[list(group.regions[i]) for i in shard],
        originals=[original.key if (original := group.originals[i]) else None for i in shard],
        truth=[bench.identities[i] for i in shard],
    )


def _innermost(error: Exception) -> str:
    """Module and line where an exception arose; its text might hold a path or a name."""
    trace = error.__traceback__
    assert trace is not None
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_globals.get('__name__', '?')}, line {trace.tb_lineno}"
