"""The plane of identification against utility, of the rows of one or several benches, and what is
left of the faces' geometry where dense landmarks were measured.

Usage: python -m benchmarks.plane BENCH... --figure benchmarks/results/plane.svg

Each BENCH is a folder that `reid-audit bench` wrote into, finished or not. Of equal settings and
attackers the row of the later folder counts. Prints the marks as Markdown and draws them.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from reid_audit.audit.bench import figures, plane
from reid_audit.audit.bench.row import Row
from reid_audit.audit.bench.run import ROWS
from reid_audit.reports.figures.canvas import style

ENOUGH = 0.1
"""Share of faces still found below which a mean over them is of too few."""
GEOMETRY = (
    *("defence", "468 points moved", "head turned (degrees)", "expression changed"),
    *("irises moved", "faces still found"),
)


def rows(folders: Sequence[Path]) -> list[Row]:
    """Every row by setting and attacker."""
    known: dict[tuple[object, ...], Row] = {}
    for folder in folders:
        for path in sorted((folder / ROWS).glob("*.json")):
            row = Row.model_validate_json(path.read_text(encoding="utf-8"))
            known[row.attacker] = row
    return list(known.values())


def geometry(known: Sequence[Row]) -> list[list[str]]:
    """Cells under `GEOMETRY`, one line a defence of whose faces enough are still found."""
    by_defence = {
        row.method: row
        for row in known
        if row.landmark_distance is not None and (row.faces_found or 0.0) >= ENOUGH
    }
    ordered = sorted(by_defence.values(), key=lambda row: row.landmark_distance or 0.0)
    fields = ("landmark_distance", "head_turn", "expression_change", "gaze_change", "faces_found")
    return [[row.method, *(f"{getattr(row, name):.3f}" for name in fields)] for row in ordered]


def markdown(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    every = (heads, ["---"] * len(heads), *lines)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in every)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("benches", type=Path, nargs="+")
    parser.add_argument("--figure", type=Path, help="SVG to write.")
    given = parser.parse_args(arguments)
    known = rows(given.benches)
    marks = plane.marks(known)
    shown = [place for place, head in enumerate(plane.HEADINGS) if head != "recogniser"]
    lines = [[cells[place] for place in shown] for cells in plane.table(marks)]
    print(markdown([plane.HEADINGS[place] for place in shown], lines))
    if faces := geometry(known):
        print(f"\n{markdown(GEOMETRY, faces)}")
    if given.figure is not None:
        head = f'<svg xmlns="http://www.w3.org/2000/svg" style="{_colours()}" '
        with style():
            drawn = str(figures.plane(marks).svg).replace("<svg ", head, 1)
        given.figure.write_text(f"{drawn}\n", encoding="utf-8")


def _colours() -> str:
    """The report's own on white, as CSS, for a picture that stands alone."""
    css = files("reid_audit.reports").joinpath("templates/report.css").read_text("utf-8")
    light = css[css.index(":root") : css.index("}")]
    colours = " ".join(re.findall(r"--[\w-]+: #[0-9a-f]+;", light))
    return f"{colours} background: white; font-family: sans-serif"


if __name__ == "__main__":
    main()
