"""Print finished runs as one Markdown table: `python benchmarks/table.py RUN [RUN ...]`.

Rates are by picture (all probes), with Korn-Graubard intervals over people.
"""

from __future__ import annotations

import sys
from pathlib import Path

from reid_audit.audit.results.schema import Estimate, Results, read_results

HEAD = (
    "| sigma / face width | recogniser | attack | knowledge | IRA by picture | 95 % interval | "
    "of ceiling | PSNR dB | IDD rad | s |\n|---|---|---|---|---|---|---|---|---|---|"
)


def main(runs: list[Path]) -> None:
    """Print the rows of every run below one heading."""
    print(HEAD)
    for run in runs:
        results = read_results(run / "results.json")
        for row in rows(results):
            print("| " + " | ".join(row) + " |")
        seconds, memory = results.run.seconds or 0, results.run.peak_memory_mib or 0
        print(f"\n{run.name}: {seconds:.0f} s, peak {memory / 1024:.1f} GiB\n")


def rows(results: Results) -> list[list[str]]:
    """Attacks of a run, each recogniser's chance and ceiling first."""
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


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
