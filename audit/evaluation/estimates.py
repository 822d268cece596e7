"""From trials to the figures of the report: every one with its n, its interval and its method."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reid_audit.attacks.interface import AttackInfo
from reid_audit.attacks.registry import attack_class
from reid_audit.attacks.vectors import unit
from reid_audit.audit.evaluation.curves import det_curve, idd_curves
from reid_audit.audit.results import schema
from reid_audit.audit.results.messages import say
from reid_audit.audit.results.telling import unknown
from reid_audit.audit.trials.perception import Perception
from reid_audit.audit.trials.units import Outcome, Setup, learns
from reid_audit.metrics import stats
from reid_audit.metrics.distribution import frechet_distance, kernel_distance, small_sample
from reid_audit.metrics.extrapolation import larger_galleries
from reid_audit.metrics.identification import Ranks, cmc

CMC_RANKS = 50
LARGER = (10_000, 100_000, 1_000_000)
"""People among whom a rate is told as well as among those of the gallery."""
SMALL = "mostly bias at this n: read the kernel distance"


@dataclass(frozen=True, eq=False)
class Settings:
    """Choices that estimates depend on. alpha: total error of an interval; minimum_cell: fewest
    people a subgroup may have to be shown."""

    alpha: float
    seed: int
    minimum_cell: int


def record(estimate: stats.Estimate) -> schema.Estimate:
    """A statistic in the form of `results.json`."""
    fields: dict[str, Any] = estimate.to_dict()
    fields.pop("alpha")
    fields["n_identities"] = fields["n_identities"] or 0
    return schema.Estimate(**fields)


def hits(trials: pd.DataFrame, k: int = 1) -> NDArray[np.float64]:
    """Probability of each trial that the mate is within the first k, `(N,)`."""
    return ranks(trials).hits(k)


def ranks(trials: pd.DataFrame) -> Ranks:
    """Trials as ranks."""
    return Ranks(
        trials.better.to_numpy(),
        trials.ties.to_numpy(),
        trials.mated.to_numpy(),
        trials.failed.to_numpy(),
        int(trials.gallery.iloc[0]) if len(trials) else 0,
    )


def rank_1(trials: pd.DataFrame, settings: Settings) -> schema.Estimate:
    """Rank-1 identification rate by identity of trials with a column `identity`."""
    mated = trials[trials.mated]
    if mated.empty:
        return unknown(say("unknown.no-mated"))
    return record(_by_identity(mated, settings))


def _by_identity(
    mated: pd.DataFrame, settings: Settings, k: int = 1, **options: Any
) -> stats.Estimate:
    return stats.by_identity(
        hits(mated, k),
        mated.identity.to_numpy(),
        seed=settings.seed,
        keys=mated.draw.tolist(),
        alpha=settings.alpha,
        **options,
    )


@dataclass(frozen=True, eq=False)
class Assessed:
    """An attack's published result and what the verdict needs beside it.

    upper: one-sided upper bound of rank-1 by identity; attacked, blind: rank-1 hits `(I,)` of one
    probe per person under the attack and under its context-only control.
    """

    result: schema.AttackResult
    upper: float | None
    attacked: NDArray[np.float64]
    blind: NDArray[np.float64]


def assess(outcome: Outcome, setup: Setup, settings: Settings) -> Assessed:
    """Everything about one attack on one group."""
    info = attack_class(outcome.name).info
    common: dict[str, Any] = {
        "name": outcome.name,
        "recognizer": setup.context.recognizer.name,
        "condition": setup.group.id,
        "status": outcome.status,
        "reason": outcome.reason,
        "left_out": outcome.left_out,
        "title": info.title,
        "paper": info.paper,
        "knowledge": _knowledge(info, setup),
    }
    nothing = np.zeros(0)
    if outcome.status != "ok":
        why = unknown(outcome.reason or outcome.status)
        result = schema.AttackResult(**common, metrics={"ira": why})
        return Assessed(result, None, nothing, nothing)
    trials = outcome.trials
    attack = trials[trials.kind == "attack"]
    mated = attack[attack.mated]
    common["inferred"] = inferred(attack)
    cost = schema.Cost(
        seconds=round(outcome.seconds, 3),
        device=setup.context.device,
        parameters=outcome.parameters,
        network_evaluations=outcome.network_evaluations,
    )
    metrics = {
        **_identification(trials, settings),
        **_together(outcome, settings),
        **_fidelity(attack, setup.perception, settings),
        **_distributions(outcome, setup),
    }
    if mated.empty:
        result = schema.AttackResult(**common, metrics=metrics, cost=cost)
        return Assessed(result, None, nothing, nothing)
    drawn = stats.one_per_identity(
        mated.identity.to_numpy(), seed=settings.seed, keys=mated.draw.tolist()
    )
    blind = trials[(trials.kind == "context-only") & trials.mated]
    attacked, context = hits(mated)[drawn], hits(blind)[drawn]
    metrics["excess_risk"] = record(
        stats.paired_excess_risk(attacked, context, alpha=settings.alpha)
    )
    upper = _by_identity(mated, settings, side="upper").high
    common["larger_galleries"] = _larger_galleries(attack, mated, drawn, outcome, settings)
    result = schema.AttackResult(
        **common,
        metrics=metrics,
        curves=_curves(outcome, attack, setup),
        strata=_strata(mated, settings),
        worst_off=_worst_off(mated),
        cost=cost,
    )
    return Assessed(result, upper, attacked, context)


def _larger_galleries(
    attack: pd.DataFrame,
    mated: pd.DataFrame,
    drawn: NDArray[np.intp],
    outcome: Outcome,
    settings: Settings,
) -> list[schema.LargerGallery]:
    """The rate among more people than the gallery holds, by the same probes as the measured one."""
    sizes = [size for size in LARGER if size > int(mated.gallery.iloc[0])]
    if outcome.strangers is None or not sizes:
        return []
    rates = larger_galleries(
        outcome.strangers.select(np.flatnonzero(attack.mated.to_numpy())),
        mated.better.to_numpy(),
        mated.identity.to_numpy(),
        drawn,
        sizes,
        alpha=settings.alpha,
        seed=settings.seed,
    )
    return [schema.LargerGallery(people=size, ira=record(rates[size])) for size in sizes]


def inferred(attack: pd.DataFrame) -> dict[str, float]:
    """Means over probes of what an attack says about each: column `estimate`, JSON objects of
    numbers and truths; what is null counts nowhere.

    >>> inferred(pd.DataFrame({"estimate": ['{"votes": 7, "known": true}', '{"votes": 8}', None]}))
    {'votes': 7.5, 'known': 1.0}
    """
    told = pd.DataFrame([json.loads(text) for text in attack.estimate.dropna()])
    means = told.apply(pd.to_numeric, errors="coerce").mean()
    return {str(name): float(value) for name, value in means.dropna().items()}


def _knowledge(info: AttackInfo, setup: Setup) -> str:
    if learns(info, setup.context.checkpoints):
        return f"{setup.reference.world} world"
    return "gallery and setting" if "operator" in info.needs else "gallery only"


def _identification(trials: pd.DataFrame, settings: Settings) -> dict[str, schema.Estimate]:
    attack = trials[trials.kind == "attack"]
    mated = attack[attack.mated]
    names = ("ira", "ira_any_hit", "ira_image", "rank_5", "context_only", "solid_fill")
    if mated.empty:
        why = unknown(say("unknown.no-mated"))
        return dict.fromkeys(names, why) | {"ood_auroc": why}
    by_kind = {kind: trials[(trials.kind == kind)] for kind in ("context-only", "solid-fill")}
    people = mated.identity.to_numpy()
    return {
        "ira": record(_by_identity(mated, settings)),
        "ira_any_hit": record(_by_identity(mated, settings, endpoint="any-hit")),
        "ira_image": record(stats.by_image(hits(mated), people, alpha=settings.alpha)),
        "rank_5": record(_by_identity(mated, settings, k=5)),
        "context_only": rank_1(by_kind["context-only"], settings),
        "solid_fill": rank_1(by_kind["solid-fill"], settings),
        "ood_auroc": _ood(attack, settings),
    }


def _together(outcome: Outcome, settings: Settings) -> dict[str, schema.Estimate]:
    """Rank-1 of people whose pictures are looked up together, and the same from what surrounds
    their faces; nothing where nobody has several pictures."""
    kinds = {"ira_together": "attack", "context_together": "context-only"}
    rates = {}
    for name, kind in kinds.items():
        trials = outcome.together.get(kind, pd.DataFrame())
        if not trials.empty:
            found, people = float(hits(trials).sum()), len(trials)
            rates[name] = record(
                stats.clopper_pearson(found, people, alpha=settings.alpha, n_identities=people)
            )
    return rates


def _ood(attack: pd.DataFrame, settings: Settings) -> schema.Estimate:
    """Whether the top score tells people of the gallery from strangers."""
    # A probe of unknown identity is neither: it could be either.
    sure = attack[attack.mated | attack.identity.notna()]
    if sure.mated.all():
        return unknown(say("unknown.no-strangers"))
    return record(
        stats.bootstrap_interval(
            stats.auroc_statistic(sure.top_score.to_numpy(), sure.mated.to_numpy()),
            sure.identity.to_numpy(),
            alpha=settings.alpha,
            seed=settings.seed,
        )
    )


def _fidelity(
    attack: pd.DataFrame, perception: Perception, settings: Settings
) -> dict[str, schema.Estimate]:
    reasons = {
        "psnr": say("unknown.size"),
        "ssim": say("unknown.size"),
        "idd": say("unknown.embedding"),
        "lpips": (
            say("unknown.weights", weights="lpips-alexnet")
            if perception.lpips is None
            else say("unknown.size")
        ),
    }
    fidelity = {}
    for name, reason in reasons.items():
        rows = attack[attack[name].notna()] if name in attack else attack.iloc[:0]
        fidelity[name] = (
            unknown(reason)
            if rows.empty
            else record(
                stats.mean_estimate(
                    rows[name], _people(rows), alpha=settings.alpha, seed=settings.seed
                )
            )
        )
    return fidelity


def _people(rows: pd.DataFrame) -> NDArray[Any]:
    """Who is shown, pictures of unknown people each for themselves."""
    return rows.identity.fillna(rows.image).to_numpy()


def _distributions(outcome: Outcome, setup: Setup) -> dict[str, schema.Estimate]:
    """Frechet and kernel distance of found embeddings from the originals' own."""
    figures = _inception(outcome, setup)
    originals = setup.original_embeddings[setup.known]
    if outcome.embedded is None or len(originals) < 2 or len(outcome.embedded) != len(originals):
        why = unknown(say("unknown.few-originals"))
        return figures | {"frechet_features": why, "kernel_features": why}
    restored, clear = unit(outcome.embedded), unit(originals)
    n, dimension = clear.shape
    caveat = SMALL if small_sample(n, dimension) else None
    return figures | {
        "frechet_features": schema.Estimate(
            value=frechet_distance(restored, clear), n=n, method="frechet", reason=caveat
        ),
        "kernel_features": schema.Estimate(
            value=kernel_distance(restored, clear), n=n, method="unbiased cubic kernel"
        ),
    }


def _inception(outcome: Outcome, setup: Setup) -> dict[str, schema.Estimate]:
    """FID and KID of restored faces, where the Inception weights are installed."""
    if setup.perception.inception is None:
        why = unknown(say("unknown.weights", weights="inception-fid"))
        return {"fid": why, "kid": why}
    if outcome.inception is None or outcome.inception.shape[1] < 2:
        why = unknown(say("unknown.few-restored"))
        return {"fid": why, "kid": why}
    restored, clear = outcome.inception
    n, dimension = clear.shape
    caveat = SMALL if small_sample(n, dimension) else None
    return {
        "fid": schema.Estimate(
            value=frechet_distance(restored, clear), n=n, method="frechet", reason=caveat
        ),
        "kid": schema.Estimate(
            value=kernel_distance(restored, clear), n=n, method="unbiased cubic kernel"
        ),
    }


def _cmc(mated: pd.DataFrame) -> schema.Curve:
    ranked = ranks(mated)
    depth = min(CMC_RANKS, ranked.gallery)
    rates = [round(float(rate), 6) for rate in cmc(ranked, depth)]
    return schema.Curve(x=[float(k) for k in range(1, depth + 1)], y=rates)


def _curves(outcome: Outcome, attack: pd.DataFrame, setup: Setup) -> dict[str, schema.Curve]:
    """What the report draws of an attack."""
    curves = {"cmc": _cmc(attack[attack.mated])}
    if (det := det_curve(attack)) is not None:
        curves["det"] = det
    originals = setup.original_embeddings[setup.known]
    if outcome.embedded is not None and len(outcome.embedded) == len(originals) > 1:
        # A probe of unknown identity is compared with nobody: it gets its own name.
        shown = [setup.identities[row] or f"\0{row}" for row in np.flatnonzero(setup.known)]
        curves |= idd_curves(outcome.embedded, originals, shown)
    return curves


def _strata(mated: pd.DataFrame, settings: Settings) -> list[schema.Stratum]:
    """Rank-1 of every subgroup the data names; small ones are suppressed."""
    rows = []
    for name, part in mated[mated.stratum.notna()].groupby("stratum", sort=True):
        people = part.identity.nunique()
        if people < settings.minimum_cell:
            ira = unknown(say("unknown.suppressed", people=settings.minimum_cell))
        else:
            ira = record(_by_identity(part, settings))
        rows.append(schema.Stratum(name=str(name), ira=ira))
    return rows


def _worst_off(mated: pd.DataFrame, most: int = 10) -> list[schema.Stratum]:
    """The people most often identified, by pseudonym; only those with at least two pictures."""
    rows: list[tuple[float, str, pd.DataFrame]] = []
    for name, part in mated.groupby("identity", sort=True):
        if len(part) > 1:
            rows.append((-float(hits(part).mean()), str(name), part))
    rows.sort(key=lambda row: row[:2])
    return [
        schema.Stratum(
            name=name,
            ira=record(stats.clopper_pearson(float(hits(part).sum()), len(part), n_identities=1)),
        )
        for rate, name, part in rows[:most]
        if rate < 0
    ]


def chance(gallery: int) -> schema.Estimate:
    """Rank-1 of a blind guess."""
    return schema.Estimate(value=1 / gallery, n=gallery, n_identities=gallery, method="exact")


def probe_count(
    identities: Sequence[str | None], gallery: frozenset[str], failed: int
) -> schema.ProbeCount:
    """Probes and their people, mated and not."""
    mated = [i for i in identities if i in gallery]
    strangers = [i for i in identities if i and i not in gallery]
    return schema.ProbeCount(
        identities=len({i for i in identities if i}),
        images=len(identities),
        mated_images=len(mated),
        mated_identities=len(set(mated)),
        nonmated_images=len(strangers),
        nonmated_identities=len(set(strangers)),
        failed_to_acquire=failed,
    )
