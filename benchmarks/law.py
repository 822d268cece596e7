"""Do unlike operations that leave equal effective resolution give away as much?

Usage: python -m benchmarks.law RUN/bench.json [--attack ridge] [--leave-out "gaussian + jpeg"]
    [--measured ../shared/data/lfw.csv] [--figure law.svg] [--rows law.csv]

RUN is a run of `reid-audit bench --preset law`. One logistic curve over the logarithm of the
effective resolution is fitted to the rates of all settings together, and again without each kind of
operation, which it then predicts. The figure shows rates, their intervals, and the curve. A kind
that is left out is predicted and shown, and nothing is fitted to it. With `--measured` what is left
is measured over all colours on LFW's background people (`known`), instead of computed.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import curve_fit
from scipy.special import expit

from benchmarks.known import frames, known_side
from reid_audit.attacks.operators import parse
from reid_audit.audit.bench.row import Row
from reid_audit.audit.bench.table import read_rows

Curve = tuple[float, float]
"""Slope, and the logarithm of the effective resolution at which half are named."""


def named(log_side: NDArray[np.float64], slope: float, middle: float) -> NDArray[np.float64]:
    """Share of what clear pictures give away, by the logarithm of the effective resolution."""
    return np.asarray(expit(slope * (log_side - middle)))


def fitted(rows: Sequence[Row]) -> tuple[Curve, NDArray[np.float64]]:
    """The curve of least squares, each rate weighted by its interval, and its covariance."""
    at, share, spread = (np.array(column) for column in zip(*map(_point, rows), strict=True))
    best, covariance = curve_fit(named, at, share, p0=(4.0, 2.4), sigma=spread)
    return (float(best[0]), float(best[1])), covariance


def kind(row: Row) -> str:
    """The operations of a row's method without their settings."""
    return " + ".join(step.split(":")[0] for step in row.method.split("|"))


def _point(row: Row) -> tuple[float, float, float]:
    assert row.effective_resolution and row.of_ceiling is not None and row.ceiling
    width = ((row.high or 1.0) - (row.low or 0.0)) / row.ceiling / 3.92
    return float(np.log(row.effective_resolution)), row.of_ceiling, max(width, 0.005)


def report(rows: Sequence[Row], left_out: str | None = None) -> list[str]:
    """Markdown: a line a setting, and how far each kind lies from the curve of the others, to which
    `left_out` does not belong."""
    kinds = list(dict.fromkeys(map(kind, rows)))
    rest = [row for row in rows if kind(row) != left_out]
    curves = {k: fitted([row for row in rest if kind(row) != k])[0] for k in kinds}
    lines = ["| operation | setting | effective resolution | of ceiling (95 %) | by the others |"]
    lines.append("|---|---|---|---|---|")
    gaps: dict[str, list[float]] = {k: [] for k in kinds}
    for row in sorted(rows, key=lambda row: (kinds.index(kind(row)), -_point(row)[0])):
        log_side, share, _ = _point(row)
        told = float(named(np.array(log_side), *curves[kind(row)]))
        gaps[kind(row)].append(share - told)
        low, high = (end / (row.ceiling or 1.0) for end in (row.low or 0.0, row.high or 1.0))
        interval = f"{share:.3f} ({low:.3f}-{min(1.0, high):.3f})"
        side = f"{row.effective_resolution:.1f}"
        method = row.method.replace("|", "\\|")
        lines.append(f"| {kind(row)} | `{method}` | {side} | {interval} | {told:.3f} |")
    lines += ["", "| operation | settings | mean difference | largest |", "|---|---|---|---|"]
    for name, differences in gaps.items():
        largest = max(differences, key=abs)
        mean = np.mean(differences)
        lines.append(f"| {name} | {len(differences)} | {mean:+.3f} | {largest:+.3f} |")
    (slope, middle), covariance = fitted(rest)
    half = np.exp(middle + np.array([0, -1.96, 1.96]) * np.sqrt(covariance[1, 1]))
    lines += [
        "",
        f"{len(rest)} settings: half of the ceiling at {half[0]:.1f} ({half[1]:.1f}-"
        f"{half[2]:.1f}) pixels per side, slope {slope:.2f} "
        f"(se {np.sqrt(covariance[0, 0]):.2f}) in "
        "the logarithm.",
    ]
    return lines


def draw(
    rows: Sequence[Row], path: Path, left_out: str | None = None, axis: str = "effective resolution"
) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    for name, mark in zip(dict.fromkeys(map(kind, rows)), "oDs^vPX", strict=False):
        own = [row for row in rows if kind(row) == name]
        sides = [row.effective_resolution or 0.0 for row in own]
        lines = axes.plot(sides, [row.of_ceiling or 0.0 for row in own], mark, label=name, ms=5)
        for side, row in zip(sides, own, strict=True):
            ends = ((row.low or 0.0) / (row.ceiling or 1), (row.high or 1.0) / (row.ceiling or 1))
            axes.vlines(side, *ends, color=lines[0].get_color(), linewidth=0.8)
    sides = np.geomspace(*axes.get_xlim(), 200) if axes.get_xlim()[0] > 0 else np.geomspace(2, 40)
    curve, _ = fitted([row for row in rows if kind(row) != left_out])
    axes.plot(sides, named(np.log(sides), *curve), color="0.5", linewidth=1, zorder=0)
    axes.set_xscale("log")
    axes.set_xticks([4, 6, 8, 10, 15, 20, 30], ["4", "6", "8", "10", "15", "20", "30"])
    axes.minorticks_off()
    axes.set_xlabel(f"{axis}, pixels per side of the face's frame")
    axes.set_ylabel("rank-1, of the clear pictures' own")
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--attack", default="ridge")
    parser.add_argument("--leave-out", metavar="KIND")
    parser.add_argument("--measured", type=Path, metavar="LFW_CSV")
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--rows", type=Path)
    given = parser.parse_args()
    rows = [
        row
        for row in read_rows(given.table)
        if row.attack == given.attack and row.of_ceiling is not None and row.effective_resolution
    ]
    if given.measured is not None:
        clear = frames(given.measured)
        sides = [known_side(parse(row.method), clear) for row in rows]
        rows = [
            row.model_copy(update={"effective_resolution": side})
            for row, side in zip(rows, sides, strict=True)
        ]
    print(*report(rows, given.leave_out), sep="\n")
    if given.figure is not None:
        axis = "effective resolution" if given.measured is None else "known over all colours"
        draw(rows, given.figure, given.leave_out, axis)
    if given.rows is not None:
        fields = ("method", "effective_resolution", "ira", "low", "high", "ceiling", "n", "seed")
        with given.rows.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fields, lineterminator="\n")
            writer.writeheader()
            writer.writerows({name: getattr(row, name) for name in fields} for row in rows)


if __name__ == "__main__":
    main()
