"""Identification from automatic labels beside that from the true ones, on the same pictures.

Usage: python benchmarks/identities.py ../shared/data --folder WORK [-o TABLE.md]

People of LFW with at least four pictures are anonymised on the face; `scan --identities auto` tells
them by clustering, and the labelled audit then looks the same probes up in the same gallery.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from reid_audit.attacks.operators import parse
from reid_audit.attacks.recognition.recognizers import load_recognizer
from reid_audit.audit.commands.anonymize import anonymize
from reid_audit.audit.config import resolve
from reid_audit.audit.data import Dataset, load
from reid_audit.audit.probes.faces import Face
from reid_audit.audit.probes.material import Material, read_material
from reid_audit.audit.results.schema import Results
from reid_audit.audit.run_directory import open_run
from reid_audit.audit.scan.condition import Audit
from reid_audit.audit.scan.identities import clustered
from reid_audit.audit.scan.scan import scan
from reid_audit.audit.trials.perception import Perception
from reid_audit.metrics.stats import clopper_pearson

FEWEST, AT_MOST = 4, 4
"""Pictures of a person."""
REGION = "box:70,60,182,196"
"""The face in the frame of LFW's funneled pictures."""


def lay(data: Path, root: Path, people: int, background: int, seed: int) -> None:
    """Originals and background, a folder for each person."""
    known: dict[str, list[str]] = defaultdict(list)
    others: dict[str, str] = {}
    with (data / "lfw.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["role"] == "background":
                others.setdefault(row["identity"], row["path"])
            else:
                known[row["identity"]].append(row["path"])
    rng = np.random.default_rng(seed)
    able = sorted(person for person, paths in known.items() if len(paths) >= FEWEST)
    chosen = [(p, known[p][:AT_MOST]) for p in rng.permutation(able)[:people].tolist()]
    strangers = [(p, [others[p]]) for p in rng.permutation(sorted(others))[:background].tolist()]
    for role, members in (("originals", chosen), ("background", strangers)):
        for person, paths in members:
            folder = root / role / person
            folder.mkdir(parents=True, exist_ok=True)
            for path in paths:
                shutil.copy(data / path, folder)


def silent(what: str, done: int, total: int) -> None:
    """No progress is told."""


def true_person(face: Face) -> str:
    """Whom a face shows: the name of its picture's folder."""
    return face.item.path.parent.name


def main() -> None:
    """Run both audits and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--folder", type=Path, required=True, help="New folder for the pictures.")
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--background", type=int, default=50)
    parser.add_argument("--method", default="gaussian:sigma=7.8")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args()
    root = args.folder
    lay(args.data, root, args.people, args.background, args.seed)
    anonymize(root / "originals", root / "anonymized", parse(args.method), REGION, args.seed)
    settings = {
        "attacks": "naive,ridge",
        "recognizers": "dlib",
        "seed": args.seed,
        "device": "cpu",
        "cache": str(root / "cache"),
    }
    labels, auto = resolve(settings), resolve({**settings, "identities": "auto"})
    dataset = load(root)
    with open_run(root / "auto", auto) as store:
        told = scan(dataset, auto, store, silent)
        recognizer = load_recognizer("dlib", "cpu")
        material = read_material(dataset, auto, store, "cpu", silent)
        perception = Perception.installed("cpu")
        people = clustered(Audit(material, auto, store, (recognizer,), perception, silent))
    with open_run(root / "labels", labels) as store:
        true = scan(same_split(dataset, people), labels, store, silent)
    text = "\n".join(report(told, true, people, true_person))
    print(text)
    if args.output is not None:
        command = (
            f"python benchmarks/identities.py ../shared/data --folder WORK --people {args.people} "
            f"--background {args.background} --method {args.method} --seed {args.seed}"
        )
        before = args.output.read_text(encoding="utf-8") + "\n" if args.output.exists() else ""
        heading = "# People told by clustering" if not before else "## People told by clustering"
        args.output.write_text(f"{before}{heading}\n\n`{command}`\n\n{text}\n", encoding="utf-8")


def same_split(dataset: Dataset, people: Material) -> Dataset:
    """The same probes and gallery, under their true names."""
    asked = {face.item.image_id for group in people.groups for face in group.faces}
    gallery = [people.faces[row] for row in people.gallery]
    return replace(
        dataset,
        gallery=tuple(
            replace(face.item, identity=true_person(face), original=None) for face in gallery
        ),
        probes=tuple(probe for probe in dataset.probes if probe.image_id in asked),
    )


def report(
    told: Results, true: Results, people: Material, whose: Callable[[Face], str]
) -> list[str]:
    """Lines of Markdown: rank-1 both ways, and how often the clustering joined rightly, by whom a
    face truly shows."""
    lines = [
        "| attack | automatic labels, rank-1 (95 % CI) | people | true labels, rank-1 | people |",
        "|---|---|---|---|---|",
    ]
    for automatic, labelled in zip(told.attacks, true.attacks, strict=True):
        cells = []
        for attack in (automatic, labelled):
            ira = attack.metrics["ira"]
            cells += [f"{ira.value:.3f} ({ira.low:.3f} to {ira.high:.3f})", str(ira.n_identities)]
        lines.append(f"| {automatic.name} | {' | '.join(cells)} |")
    faces = [
        *(people.faces[row] for row in people.gallery),
        *(face for group in people.groups for face in group.faces),
    ]
    joined = right = same = 0
    for a, b in combinations(faces, 2):
        alike = a.item.identity is not None and a.item.identity == b.item.identity
        truly = whose(a) == whose(b)
        joined, right, same = joined + alike, right + (alike and truly), same + truly
    wrong, whole = clopper_pearson(joined - right, joined), clopper_pearson(right, same)
    clustering = told.data.clustering
    assert clustering is not None
    expected = clustering.expected_wrong_pairs
    chances = [c.value for c in (told.controls.chance, true.controls.chance)]
    expects = "nothing" if expected is None else f"{expected:.1%}"
    lines += [
        "",
        f"{clustering.faces} faces, {clustering.people} people with several pictures told; "
        f"threshold {clustering.threshold:.3f} ({clustering.threshold_source}, "
        f"{clustering.false_match_rate.n} of them). Chance: {chances[0]:.3f} and {chances[1]:.3f}.",
        "",
        f"Of {joined} joined pairs {joined - right} are wrong ({wrong.value:.1%}, 95 % CI to "
        f"{wrong.high:.1%}; the run expects {expects}); "
        f"of {same} pairs of one person {whole.value:.1%} were joined.",
    ]
    return lines


if __name__ == "__main__":
    main()
