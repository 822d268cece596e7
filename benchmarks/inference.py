"""What a run says on attributes told from anonymised faces, as Markdown.

Usage: reid-audit demo -o DEMO && python -m benchmarks.inference DEMO/run

People who do not exist bring their true attributes; on real ones, labels that the data set itself
publishes stand in the manifest. One line for each anonymisation and attribute and for each attack
that yields embeddings; without `--all` only that of the attack that tells most.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.linkability import shown
from reid_audit.audit.results.schema import Inference, Results, read_results

HEAD = (
    *("method", "attribute", "attack", "people", "base rate"),
    *("balanced accuracy", "gain", "clear", "painted over", "p"),
)


def lines(results: Results, every: bool) -> Iterator[str]:
    """Rows of the table in the order of the run."""
    titles = {condition.id: condition.title for condition in results.conditions}
    groups: dict[tuple[str, str, str], list[Inference]] = {}
    for told in results.inference:
        if told.balanced_accuracy.value is not None:
            groups.setdefault((told.condition, told.attribute, told.recognizer), []).append(told)
    for (condition, attribute, _), scored in groups.items():
        best = max(scored, key=lambda told: told.balanced_accuracy.value or 0.0)
        for told in scored if every else [best]:
            cells = [titles[condition], attribute, told.attack, str(told.people)]
            cells += [f"{told.base_rate or 0:.3f}", shown(told.balanced_accuracy)]
            cells += [shown(told.gain), shown(told.clear), shown(told.context_only)]
            cells += ["-" if told.p_value is None else f"{told.p_value:.2g}"]
            yield f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--all", action="store_true", help="Every attack, not the best alone.")
    given = parser.parse_args(arguments)
    print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
    print(*lines(read_results(given.run / "results.json"), given.all), sep="\n")


if __name__ == "__main__":
    main()
