"""Two or more finished runs, paired by person: what changed, by how much, and could it be chance.

Rates of two runs may differ because other people were probed. So each person common to both runs
counts once in either, by the probe the run itself drew for its published rate, and the difference
is taken within people. Runs are told apart by pseudonyms made anew for each set of data; the links
in their trials, opened with the user's secret, say who is who.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reid_audit.audit.commands.plane import placed
from reid_audit.audit.config import OPERATIONAL
from reid_audit.audit.data.pseudonyms import open_link, user_secret
from reid_audit.audit.results.comparison import (
    Change,
    ComparedRun,
    Comparison,
    PairedDifference,
    Trend,
)
from reid_audit.audit.results.schema import AttackResult, Condition, Estimate, Results, read_results
from reid_audit.audit.run_directory import CONFIG, MANIFEST, RESULTS, TRIALS, verify
from reid_audit.metrics.documents import read_json, read_yaml
from reid_audit.metrics.errors import InputError, IntegrityError
from reid_audit.metrics.identification import Ranks
from reid_audit.metrics.stats import (
    clopper_pearson,
    holm,
    mcnemar_two_sided,
    one_per_identity,
    paired_difference,
)

STRONGEST = "strongest attack"
_WORLDS = ("open world", "closed world")
_KEY = ["attack", "recognizer", "condition", "world"]
Key = tuple[str, str | None, str | None]
"""Attack, recogniser and world: what must agree for two results to be comparable."""


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """A run read back. trials: one row per probe of a known person under an attack, with columns
    `attack, recognizer, condition, world, image, identity, hit` and, since they exist, `link`."""

    label: str
    results: Results
    trials: pd.DataFrame
    settings: Mapping[str, str]
    digest: str


def compare(folders: Sequence[Path], labels: Sequence[str] | None = None) -> Comparison:
    """Compare finished runs; the first is the baseline of every difference.

    Args:
        folders: at least two run directories.
        labels: their names in the report, by default those of the folders.

    Raises:
        InputError: fewer than two runs, or not one label for each.
        IntegrityError: a file that is read was changed since its run was sealed.
    """
    if len(folders) < 2:
        raise InputError("compare: name at least two run directories, the baseline first.")
    if labels and len(labels) != len(folders):
        raise InputError(f"--label: give one for each of the {len(folders)} runs, or none.")
    names = list(labels) if labels else folder_labels(folders)
    if len(set(names)) < len(names):
        raise InputError("--label: two runs have the same name; give each its own.")
    runs = [read_run(folder, name) for folder, name in zip(folders, names, strict=True)]
    baseline = runs[0]
    notes: list[str] = []
    tests: list[PairedDifference] = []
    for later in runs[1:]:
        pairs = matched(baseline.results, later.results)
        strangers = _strangers(baseline, later, pairs)
        if strangers:
            notes.insert(0, strangers)
        else:
            tests += _differences(baseline, later, pairs)
        notes += _remarks(baseline, later, pairs)
    return Comparison(
        runs=[
            ComparedRun(
                label=run.label,
                title=run.results.title,
                verdict=run.results.verdict,
                version=run.results.run.version,
                started=run.results.run.started,
                digest=run.digest,
            )
            for run in runs
        ],
        differences=_adjusted(tests),
        trends=list(_trends(runs)),
        plane=placed([(run.label, run.results) for run in runs]),
        changes=_changes(runs),
        notes=notes,
    )


def folder_labels(folders: Sequence[Path]) -> list[str]:
    """The last part of each path; with its parent where that does not tell the runs apart.

    >>> folder_labels([Path("/a/demo/run"), Path("/a/later/run")])
    ['demo/run', 'later/run']
    """
    for depth in (1, 2, 3):
        names = ["/".join(folder.resolve().parts[-depth:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
    return [f"run {number}" for number in range(1, len(folders) + 1)]


def read_run(folder: Path, label: str) -> FinishedRun:
    """Read a sealed run.

    Raises:
        InputError: no run there.
        IntegrityError: not sealed, or a file that counts here differs from what was sealed.
    """
    results = read_results(folder / RESULTS)
    read = (RESULTS, TRIALS, CONFIG, MANIFEST)
    damaged = [problem for problem in verify(folder) if problem.startswith(read)]
    if damaged:
        raise IntegrityError(f"{folder}: {damaged[0]} Repeat the scan before comparing.")
    digest = hashlib.sha256((folder / RESULTS).read_bytes()).hexdigest()
    trials = pd.read_parquet(folder / TRIALS)
    return FinishedRun(label, results, _attacked(trials), _settings(folder, results), digest)


def _attacked(trials: pd.DataFrame) -> pd.DataFrame:
    if trials.empty:
        return pd.DataFrame(columns=[*_KEY, "draw", "identity", "hit"])
    kept = trials[(trials.kind == "attack") & trials.mated]
    ranks = Ranks(
        kept.better.to_numpy(),
        kept.ties.to_numpy(),
        kept.mated.to_numpy(),
        kept.failed.to_numpy(),
        int(kept.gallery.max()) if len(kept) else 0,
    )
    columns = [*_KEY, "draw", "identity", *(["link"] if "link" in kept else [])]
    return kept[columns].assign(hit=ranks.hits(1))


# ------------------------------------------------------------------ pairs


def matched(baseline: Results, later: Results) -> list[tuple[Condition, Condition]]:
    """Conditions of two runs that answer each other: those of one title, and where a single one is
    left on either side, these two: one tool at two settings is what people compare."""
    titled = {condition.title: condition for condition in later.conditions}
    pairs = [(c, titled.pop(c.title)) for c in baseline.conditions if c.title in titled]
    paired = {c.id for c, _ in pairs}
    left = [c for c in baseline.conditions if c.id not in paired]
    if len(left) == 1 and len(titled) == 1:
        pairs.append((left[0], titled.popitem()[1]))
    return pairs


def _world(attack: AttackResult) -> str | None:
    return attack.knowledge.split()[0] if attack.knowledge in _WORLDS else None


def _key(attack: AttackResult) -> Key:
    return attack.name, attack.recognizer, _world(attack)


def _title(attack: AttackResult) -> str:
    name = attack.title or attack.name
    return f"{name}, {attack.knowledge}" if _world(attack) == "open" else name


def _on(results: Results, condition: Condition) -> dict[Key, AttackResult]:
    """The attacks that were scored on a condition."""
    return {
        _key(attack): attack
        for attack in results.attacks
        if attack.condition == condition.id
        and attack.status == "ok"
        and attack.metrics["ira"].value is not None
    }


def _both(first: str, second: str) -> str:
    return first if first == second else f"{first} → {second}"


def _differences(
    baseline: FinishedRun, later: FinishedRun, pairs: Sequence[tuple[Condition, Condition]]
) -> Iterator[PairedDifference]:
    for before, after in pairs:
        ours, theirs = _on(baseline.results, before), _on(later.results, after)
        for key in (key for key in ours if key in theirs):
            first = _drawn(baseline, before, key)
            second = _drawn(later, after, key)
            yield _difference(baseline, later, (before, after), ours[key], first, second)


def _drawn(run: FinishedRun, condition: Condition, key: Key) -> pd.DataFrame:
    """One probe of each person: the very trials behind the run's published rate."""
    attack, recognizer, world = key
    rows = run.trials
    rows = rows[
        (rows.attack == attack)
        & (rows.recognizer == recognizer)
        & (rows.condition == condition.id)
        & ((rows.world == world) if world and rows.world.notna().any() else True)
    ]
    picks = one_per_identity(
        rows.identity.to_numpy(), seed=run.results.seed, keys=rows.draw.tolist()
    )
    return rows.iloc[picks]


def _difference(
    baseline: FinishedRun,
    later: FinishedRun,
    conditions: tuple[Condition, Condition],
    attack: AttackResult,
    first: pd.DataFrame,
    second: pd.DataFrame,
) -> PairedDifference:
    alpha = baseline.results.verdict.alpha
    before, after = same_people(first, second)
    common = len(before)
    return PairedDifference(
        run=later.label,
        attack=_title(attack),
        recognizer=attack.recognizer,
        condition=_both(conditions[0].title, conditions[1].title),
        baseline=_rate(before, alpha),
        later=_rate(after, alpha),
        difference=_record(paired_difference(after, before, alpha=alpha).to_dict()),
        only_baseline=len(first) - common,
        only_later=len(second) - common,
        p_value=mcnemar_two_sided(after, before) if common else None,
    )


def same_people(
    first: pd.DataFrame, second: pd.DataFrame
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Hits `(I,)` of the people in both frames, in one order.

    Equal data under one secret gives equal pseudonyms; otherwise the links are opened. People of
    runs made under another secret stay strangers, and nobody is paired.
    """
    if not set(first.identity) & set(second.identity) and "link" in first and "link" in second:
        secret = user_secret()
        first, second = (
            frame.assign(
                identity=[
                    open_link(link, name, secret) if isinstance(link, str) else name
                    for link, name in zip(frame.link, frame.identity, strict=True)
                ]
            )
            for frame in (first, second)
        )
    joined = first[["identity", "hit"]].merge(second[["identity", "hit"]], on="identity")
    joined = joined.sort_values("identity")
    return joined.hit_x.to_numpy(float), joined.hit_y.to_numpy(float)


def _rate(hits: NDArray[np.float64], alpha: float) -> Estimate:
    n = len(hits)
    if n == 0:
        return Estimate(reason="no person was probed in both runs")
    sure = min(float(hits.sum()), n)
    return _record(clopper_pearson(sure, n, alpha=alpha, n_identities=n).to_dict())


def _record(fields: dict[str, Any]) -> Estimate:
    known = {name: value for name, value in fields.items() if name in Estimate.model_fields}
    return Estimate(**{**known, "n_identities": known["n_identities"] or 0})


def _adjusted(tests: Sequence[PairedDifference]) -> list[PairedDifference]:
    """The differences with p-values adjusted for their number."""
    tested = [d.p_value for d in tests if d.p_value is not None]
    adjusted = iter(holm(tested).tolist())
    return [
        d.model_copy(update={"p_adjusted": next(adjusted)}) if d.p_value is not None else d
        for d in tests
    ]


# ------------------------------------------------------------------ rates over runs


def _trends(runs: Sequence[FinishedRun]) -> Iterator[Trend]:
    """Published rates in every run, by condition of the baseline; the strongest attack first."""
    followed = [dict(_by_id(matched(runs[0].results, run.results))) for run in runs]
    for condition in runs[0].results.conditions:
        theirs = [
            _on(run.results, there[condition.id]) if condition.id in there else {}
            for run, there in zip(runs, followed, strict=True)
        ]
        yield Trend(
            attack=STRONGEST,
            condition=condition.title,
            strongest=True,
            rates=[_strongest(attacks) for attacks in theirs],
        )
        for key in dict.fromkeys(key for attacks in theirs for key in attacks):
            holder = next(attacks[key] for attacks in theirs if key in attacks)
            yield Trend(
                attack=_title(holder),
                recognizer=holder.recognizer,
                condition=condition.title,
                rates=[
                    attacks[key].metrics["ira"]
                    if key in attacks
                    else Estimate(reason="not scored in this run")
                    for attacks in theirs
                ],
            )


def _by_id(pairs: Sequence[tuple[Condition, Condition]]) -> Iterator[tuple[str, Condition]]:
    for first, second in pairs:
        yield first.id, second


def _strongest(attacks: Mapping[Key, AttackResult]) -> Estimate:
    rates = [attack.metrics["ira"] for attack in attacks.values()]
    if not rates:
        return Estimate(reason="no attack was scored on this condition in this run")
    return max(rates, key=lambda rate: rate.value or 0.0)


# ------------------------------------------------------------------ what differs beside the rates


def _settings(folder: Path, results: Results) -> dict[str, str]:
    """Everything a run was made with, by name."""
    config, manifest = read_yaml(folder / CONFIG), read_json(folder / MANIFEST)
    try:
        return _by_name(config, manifest, results)
    except (LookupError, TypeError, AttributeError):
        raise IntegrityError(
            f"{folder}: {CONFIG} or {MANIFEST} is not as a scan writes it; `reid-audit verify` "
            "says which was changed."
        ) from None


def _by_name(config: Any, manifest: Any, results: Results) -> dict[str, str]:
    settings = {
        f"setting: {name}": _text(value)
        for name, value in config.items()
        if name not in OPERATIONAL and value is not None
    }
    settings |= {f"tool: {name}": _text(value) for name, value in manifest["tool"].items()}
    settings |= {f"package: {name}": _text(v) for name, v in manifest["packages"].items()}
    settings |= {f"weights: {name}": digest[:12] for name, digest in manifest["weights"].items()}
    settings |= {f"data: {role}, digest": digest[:12] for role, digest in manifest["data"].items()}
    settings["python"], settings["device"] = manifest["python"], manifest["device"]
    settings["data: gallery, people"] = str(results.data.gallery.identities)
    settings["data: probes, people"] = str(results.data.probes.mated_identities)
    settings["data: probes, pictures"] = str(results.data.probes.images)
    settings["anonymisation"] = "; ".join(c.title for c in results.conditions)
    settings["effective resolution"] = "; ".join(
        f"{resolution:.1f}"
        if (resolution := c.anonymizer.effective_resolution) is not None
        else "?"
        for c in results.conditions
    )
    return settings


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _changes(runs: Sequence[FinishedRun]) -> list[Change]:
    names = dict.fromkeys(name for run in runs for name in run.settings)
    rows = {name: [run.settings.get(name) for run in runs] for name in names}
    return [Change(name=n, values=values) for n, values in rows.items() if len(set(values)) > 1]


def _remarks(
    baseline: FinishedRun, later: FinishedRun, pairs: Sequence[tuple[Condition, Condition]]
) -> list[str]:
    """What a reader must know before believing the differences."""
    said = []
    ours, theirs = baseline.results, later.results
    sizes = ours.data.gallery.identities, theirs.data.gallery.identities
    if sizes[0] != sizes[1]:
        said.append(
            f"{later.label}: the galleries differ in size ({sizes[0]} and {sizes[1]} people), and "
            "the rate depends on it."
        )
    for name, these, seen in (
        (baseline.label, ours.conditions, {first.id for first, _ in pairs}),
        (later.label, theirs.conditions, {second.id for _, second in pairs}),
    ):
        alone = [condition.title for condition in these if condition.id not in seen]
        if alone:
            said.append(f"Only in {name}, so compared with nothing: {'; '.join(alone)}.")
    return said


def _strangers(
    baseline: FinishedRun, later: FinishedRun, pairs: Sequence[tuple[Condition, Condition]]
) -> str | None:
    """Said first, and instead of any paired difference, where the runs share nobody."""
    ours, theirs = baseline.results, later.results
    tried = [
        len(same_people(_drawn(baseline, before, key), _drawn(later, after, key))[0])
        for before, after in pairs
        for key in sorted(_on(ours, before).keys() & _on(theirs, after).keys(), key=str)[:1]
    ]
    if not tried or any(tried):
        return None
    return (
        f"{later.label} and {baseline.label} have no people in common, so nothing is compared "
        "person by person: other people were audited, or the runs were made under different "
        "secrets (REID_AUDIT_SECRET), or before runs recorded links."
    )
