"""What pairs give away of faces whose identities were shifted, with and without a diffusion step.

Usage: python -m benchmarks.replacement WORK --people 80
       python -m benchmarks.replacement WORK --data ../shared/data/lfw.csv --people 100

Pictures of people who do not exist and whom nothing was trained on, or of the probes of a manifest,
go through `reid-audit anonymize --method identity-shift` under several settings. Originals and
outputs alone are then audited as `reid-audit scan` does, everybody's name being known; what it says
on replaced faces and on what was kept is printed as Markdown.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.linkability import shown
from reid_audit.attacks.operators import parse
from reid_audit.audit.commands.anonymize import anonymize
from reid_audit.audit.config import resolve
from reid_audit.audit.data import load
from reid_audit.audit.data.sidecar import SIDECAR
from reid_audit.audit.people import cast
from reid_audit.audit.results.schema import Results
from reid_audit.audit.run_directory import open_run
from reid_audit.audit.scan.scan import scan

FIRST, PICTURES = 720_000, 3
"""Seeds of people that neither weights nor tests know, and pictures of each."""
SETTINGS = (
    "identity-shift",
    "identity-shift:diffusion=0.05",
    "identity-shift:key=7",
    "identity-shift:key=7,diffusion=0.05",
)
MAPS = ("bare", "negation", "ridge", "nearest", "unet")


def lay(table: Path, root: Path, people: int) -> Path:
    """Copy all probes of so many people of a manifest to `root/<person>/<picture>`."""
    with table.open(newline="", encoding="utf-8") as file:
        probes = [row for row in csv.DictReader(file) if row["role"] == "probe"]
    names = sorted({row["identity"] for row in probes})
    chosen = set(names[:: max(1, len(names) // people)][:people])
    for row in probes:
        if row["identity"] in chosen:
            target = root / row["identity"] / Path(row["path"]).name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((table.parent / row["path"]).read_bytes())
    return root


def traced(results: Results, setting: str, maps: Sequence[str]) -> Iterator[str]:
    """A line for each recogniser: what leads back to the originals."""
    for told in results.replacement:
        ways = {way.name: way for way in told.maps}
        best = max(ways.values(), key=lambda way: way.rank_1.value or 0.0)
        cells = [setting, told.recognizer.split("/")[-1], str(told.pairs), shown(told.kept)]
        cells += [shown(ways[name].rank_1) if name in ways else "-" for name in maps]
        cells += [shown(best.context_only), f"{best.p_value:.2g}", f"{told.chance:.3f}"]
        yield f"| {' | '.join(cells)} |"


def kept(results: Results, setting: str) -> str:
    """A line: what the pictures are still good for."""
    (told,) = results.utility
    figures = told.detected, told.landmark_shift, told.pose_change, told.ssim_outside
    return f"| {' | '.join([setting, *map(shown, (*figures, told.usefulness))])} |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, help="Manifest; people who do not exist without it.")
    parser.add_argument("--people", type=int, default=80)
    parser.add_argument("--recognizers", default="dlib")
    parser.add_argument("--settings", nargs="+", default=SETTINGS)
    parser.add_argument("--maps", nargs="+", default=MAPS, choices=MAPS)
    given = parser.parse_args(arguments)
    originals = given.folder / "originals"
    if given.data is None:
        cast(originals, range(FIRST, FIRST + given.people), range(PICTURES), workers=1)
    else:
        lay(given.data, originals, given.people)
    head = "setting", "recogniser", "pairs", "kept", *given.maps, "painted over", "p", "chance"
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}", flush=True)
    lines = []
    for number, setting in enumerate(given.settings):
        outputs = given.folder / f"outputs-{number}"
        if not (outputs / SIDECAR).exists():
            anonymize(originals, outputs, parse(setting))
        config = resolve(
            {
                "attacks": "naive",
                "recognizers": given.recognizers,
                "pair_maps": ",".join(given.maps),
                "authorization": "benchmark on procedural people or a public data set",
            }
        )
        with open_run(given.folder / f"run-{number}", config) as store:
            dataset = load(anonymized=outputs, originals=originals)
            results = scan(dataset, config, store, lambda *_: None)
        print(*traced(results, setting, given.maps), sep="\n", flush=True)
        lines.append(kept(results, setting))
    head = "setting", "found", "landmarks", "pose", "SSIM outside", "in all"
    print(f"\n| {' | '.join(head)} |\n|{'---|' * len(head)}", *lines, sep="\n")


if __name__ == "__main__":
    main()
