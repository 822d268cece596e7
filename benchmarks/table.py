"""Tables of the benchmark pages: from runs to CSV, from CSV to Markdown.

    python -m benchmarks.table rows RUN [RUN ...] >> benchmarks/results/lfw.csv
    python -m benchmarks.table fill

`rows` prints finished runs as lines of CSV; rates are by picture (all probes), with Korn-Graubard
intervals over people. `fill` writes every table of a page that stands between
`<!-- table: results/NAME.csv -->` and `<!-- end -->` anew from its CSV.
"""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

from reid_audit.audit.results.schema import Estimate, Results, read_results

HERE = Path(__file__).parent
COLUMNS = (
    "sigma / face width",
    "recogniser",
    "attack",
    "knowledge",
    "IRA by picture",
    "95 % interval",
    "of ceiling",
    "PSNR dB",
    "IDD rad",
    "s",
)
BLOCK = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def rows(results: Results) -> list[list[str]]:
    """Attacks of a run in the order of `COLUMNS`, each recogniser's chance and ceiling first."""
    told = []
    for condition in results.conditions:
        sigma = condition.anonymizer.sigma_over_face_width
        strength = f"{sigma:.3f}" if sigma else condition.title
        for recognizer, controls in condition.controls.items():
            name = recognizer.split(":")[-1]
            ceiling = controls.clear_ceiling
            for title, control in (("chance", controls.chance), ("clear ceiling", ceiling)):
                blank = [""] * 5
                told.append([strength, name, title, "", shown(control, 4), *blank])
            for attack in results.attacks:
                if (attack.condition, attack.recognizer) != (condition.id, recognizer):
                    continue
                rate = attack.metrics.get("ira_image", attack.metrics["ira"])
                share = (rate.value or 0) / ceiling.value if ceiling.value else 0
                told.append(
                    [
                        *(strength, name, attack.name, attack.knowledge or "", shown(rate, 3)),
                        f"{rate.low:.3f}-{rate.high:.3f}" if rate.low is not None else "",
                        f"{share:.3f}",
                        shown(attack.metrics.get("psnr"), 1),
                        shown(attack.metrics.get("idd"), 2),
                        f"{attack.cost.seconds:.0f}",
                    ]
                )
    return told


def shown(estimate: Estimate | None, digits: int) -> str:
    """A value with so many digits, or a dash."""
    if estimate is None or estimate.value is None:
        return "-"
    return f"{estimate.value:.{digits}f}"


def markdown(file: Path) -> str:
    """A CSV as a Markdown table; its first line is the heading."""
    with file.open(newline="", encoding="utf-8") as lines:
        heading, *body = csv.reader(lines)
    ruled = [heading, ["---"] * len(heading), *body]
    return "\n".join("| " + " | ".join(row) + " |" for row in ruled)


def filled(page: str) -> str:
    """A page with every table between its marks written anew."""

    def table(block: re.Match[str]) -> str:
        return f"{block[1]}\n{markdown(HERE / block[2])}\n\n{block[3]}"

    return BLOCK.sub(table, page)


def main(command: str, *runs: str) -> None:
    """`rows` of runs to standard output, or `fill` the pages of this folder."""
    if command == "rows":
        write = csv.writer(sys.stdout, lineterminator="\n")
        for run in runs:
            results = read_results(Path(run) / "results.json")
            write.writerows(rows(results))
            seconds, memory = results.run.seconds or 0, results.run.peak_memory_mib or 0
            print(f"{run}: {seconds:.0f} s, peak {memory / 1024:.1f} GiB", file=sys.stderr)
    elif command == "fill":
        for page in sorted(HERE.glob("*.md")):
            page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
