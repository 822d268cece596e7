"""How well rank-1 in a larger gallery is told from scores in a smaller one, on real faces.

    python -m benchmarks.gallery scores DATA --anonymized ANONYMIZED --recognizer SPEC -o SCORES.npz
    python -m benchmarks.gallery check SCORES.npz ...

`scores` writes the scores of every probe against every person: of the clear originals, and of the
anonymised pictures as they are, restored (Wiener) and through the linear map (ridge). `check` draws
galleries of 400 and of 1,000 of these people, many times, tells from each what the whole gallery
would give, and compares that with what it gives.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.attacks.recognition.recognizers import load_recognizer
from reid_audit.attacks.registry import make_attack
from reid_audit.audit.config import resolve
from reid_audit.audit.data import load
from reid_audit.audit.probes.material import read_material
from reid_audit.audit.run_directory import open_run
from reid_audit.audit.scan.condition import Audit, make_setup
from reid_audit.audit.trials.perception import Perception
from reid_audit.metrics.extrapolation import Strangers, larger_galleries
from reid_audit.metrics.identification import rank
from reid_audit.metrics.stats import one_per_identity

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
ATTACKS = ("naive", "wiener", "ridge")


def told(what: str, done: int, total: int) -> None:
    if done >= total:
        print(f"{what}: {total}", flush=True)


def write_scores(options: argparse.Namespace) -> None:
    """Scores `(B, G)` by attack, the mates' columns and the probes' people."""
    settings: dict[str, Any] = {
        "recognizers": options.recognizer,
        "distractors": True,
        "cache": str(options.cache) if options.cache else None,
    }
    config = resolve(settings)
    dataset = load(options.data, anonymized=options.anonymized)
    with open_run(options.output.with_suffix(".run"), config) as store:
        material = read_material(dataset, config, store, "cpu", told)
        networks = tuple(load_recognizer(spec, "cpu") for spec in config.recognizers)
        audit = Audit(material, config, store, networks, Perception(None, None, "cpu"), told)
        (group,) = material.groups
        setup = make_setup(group, networks[0], audit)
        mates = setup.scorer.mates(group.identities)
        clear = setup.scorer.recognizer.similarity(
            setup.original_embeddings, setup.scorer.templates
        )
        found = {"clear": np.round(clear, 5)}
        for name in ATTACKS:
            attack = make_attack(name, {}).fit(setup.reference, setup.context)
            parts = []
            for indices in group.shards(config.batch_size):
                probes = group.load(list(indices))
                parts.append(setup.scorer.complete(attack.run(probes, setup.context), probes)[0])
            found[name] = np.concatenate(parts)
            told(f"{name}, rank-1", 1, 1)
    people = np.array([who or "" for who in group.identities])
    np.savez_compressed(options.output, mates=mates, people=people, **found)


def drawn_gallery(scores: Floats, mates: Ints, size: int, rng: np.random.Generator) -> Floats:
    """Scores `(B, size)` against each probe's own person, in column 0, and others of all."""
    pool = rng.choice(scores.shape[1], size, replace=False)
    found = np.empty((len(scores), size))
    for row, mate in enumerate(mates):
        found[row, 0] = scores[row, mate]
        found[row, 1:] = scores[row, pool[pool != mate][: size - 1]]
    return found


def check(options: argparse.Namespace) -> None:
    """What smaller galleries say of the whole one, beside what the whole one says."""
    print(
        "| pictures | attack | people searched | rank-1 there | told for all | 95 % interval "
        "| measured on all | error, mean and largest |"
    )
    print("|---|---|---|---|---|---|---|---|")
    further = []
    for file in options.scores:
        kept = np.load(file)
        mated = kept["mates"] >= 0
        mates, people = kept["mates"][mated], kept["people"][mated]
        draw = one_per_identity(people, seed=0, keys=list(range(len(people))))
        for name in ("clear", *ATTACKS):
            scores = kept[name][mated].astype(float)
            truth = float(rank(scores, mates).hits()[draw].mean())
            for size in options.sizes:
                print(
                    _row(file.stem, name, scores, mates, people, draw, truth, size, options.draws)
                )
            beyond = larger_galleries(
                Strangers.of(scores, mates),
                rank(scores, mates).better,
                people,
                draw,
                options.beyond,
            )
            rates = " | ".join(f"{e.value:.3f} ({e.low:.3f}-{e.high:.3f})" for e in beyond.values())
            further.append(f"| {file.stem} | {name} | {truth:.3f} | {rates} |")
    print("\n".join(["", *further]))


def _row(
    pictures: str,
    name: str,
    scores: Floats,
    mates: Ints,
    people: np.ndarray,
    draw: Ints,
    truth: float,
    size: int,
    draws: int,
) -> str:
    everybody = scores.shape[1]
    found = []
    for number in range(draws):
        smaller = drawn_gallery(scores, mates, size, np.random.default_rng([size, number]))
        own = np.zeros(len(smaller), np.intp)
        ranks = rank(smaller, own)
        told_of = larger_galleries(
            Strangers.of(smaller, own), ranks.better, people, draw, [everybody]
        )[everybody]
        found.append((ranks.hits()[draw].mean(), told_of.value, told_of.low, told_of.high))
    here, value, low, high = np.mean(found, axis=0)
    errors = np.array(found)[:, 1] - truth
    largest = errors[np.abs(errors).argmax()]
    return (
        f"| {pictures} | {name} | {size:,} of {everybody:,} | {here:.3f} | {value:.3f} "
        f"| {low:.3f}-{high:.3f} | {truth:.3f} | {errors.mean():+.3f}, {largest:+.3f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    scores = commands.add_parser("scores")
    scores.add_argument("data", type=Path)
    scores.add_argument("--anonymized", type=Path, required=True)
    scores.add_argument("--recognizer", required=True)
    scores.add_argument("--cache", type=Path)
    scores.add_argument("-o", "--output", type=Path, required=True)
    scores.set_defaults(run=write_scores)
    checked = commands.add_parser("check")
    checked.add_argument("scores", type=Path, nargs="+")
    checked.add_argument("--sizes", type=int, nargs="+", default=[400, 1000])
    checked.add_argument("--beyond", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    checked.add_argument("--draws", type=int, default=20)
    checked.set_defaults(run=check)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
