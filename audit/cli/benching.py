"""The command that measures a grid."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from reid_audit.audit.cli.console import escape, out, people, progress
from reid_audit.audit.cli.inputs import LOCAL

if TYPE_CHECKING:
    from reid_audit.audit.bench.row import Row


@click.command()
@click.option("-c", "--config", "file", type=LOCAL, help="The grid as YAML.")
@click.option("--preset", help="A grid that comes along; `list` names them all.")
@click.option("--data", help="Folder or manifest with clear probes; default: procedural people.")
@click.option("-o", "--output", type=LOCAL, default=Path("bench-run"), show_default=True)
@click.option("--people", type=int, help="People who are attacked, at most.")
@click.option("--background", type=int, help="Background pictures to learn from.")
@click.option("--attacks", help="Comma-separated names; see `reid-audit list`.")
@click.option("--recognizers", help="Comma-separated, e.g. dlib,onnx:FILE.")
@click.option("--worlds", help="closed, open or closed,open: what trained attackers learn from.")
@click.option("--seed", "seeds", type=int, multiple=True, help="Repeat for several.")
@click.option("--student-epochs", type=int, help="How often a student sees each face.")
@click.option("--device", help="auto, cpu or cuda.")
@click.option("--shard", metavar="I/N", help="Measure the I-th of N parts of the grid only.")
@click.option(
    "--rows",
    "others",
    type=LOCAL,
    multiple=True,
    help="Take over the rows of this bench's folder, e.g. another shard's; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print bench.json on stdout.")
def bench(
    file: Path | None,
    preset: str | None,
    output: Path,
    shard: str | None,
    others: tuple[Path, ...],
    as_json: bool,
    **given: Any,
) -> int:
    """Measure defences x strengths x beliefs x attacks x recognisers, and write one table.

    Killed, it goes on when the same command is repeated; a longer grid in the same folder measures
    only what is new. Parts measured elsewhere with --shard are brought together by --rows.
    """
    from reid_audit.audit.bench.config import presets, resolve

    if preset == "list":
        for name, about in presets().items():
            out(f"{name}: {' '.join(about.split())}")
        return 0
    from reid_audit.audit.bench.run import run_bench
    from reid_audit.audit.bench.shards import parse_shard

    given["sample.people"] = given.pop("people")
    given["sample.background"] = given.pop("background")
    given["seeds"] = given["seeds"] or None
    config = resolve(file, preset, given)
    with progress() as report:
        rows = run_bench(config, output, report, parse_shard(shard), others)
    if as_json:
        out((output / "bench.json").read_text("utf-8").rstrip())
    _summary(rows)
    for ending in ("html", "csv", "json", "md"):
        people().print(f"{escape(str(output))}/bench.{ending}")
    return 0


def _summary(rows: list[Row]) -> None:
    """The strongest attack on every setting, on a terminal."""
    from reid_audit.audit.bench.row import recognizer_text
    from reid_audit.audit.bench.table import leaders, sample_text

    best = leaders(rows)
    samples = list(dict.fromkeys(map(sample_text, best)))
    for number, sample in enumerate(samples, start=1):
        people().print(f"Sample {number}: {sample}", markup=False)
    table = Table(title="Strongest attack, best defence first", title_justify="left")
    for heading in ("defence", "sample", "recogniser", "attack", "IRA", "95 % CI", "of ceiling"):
        table.add_column(heading, overflow="fold")
    for row in best:
        table.add_row(
            escape(row.method),
            str(samples.index(sample_text(row)) + 1),
            escape(recognizer_text(row)),
            f"{row.attack} ({row.knowledge})",
            f"{row.ira:.1%}",
            f"{row.low:.1%} - {row.high:.1%}" if row.low is not None else "",
            f"{row.of_ceiling:.3f}" if row.of_ceiling is not None else "-",
        )
    people().print(table)
    failed = [row for row in rows if row.status != "ok"]
    for row in failed:
        people().print(f"{row.status}: {row.attack} on {row.method}: {row.reason}", markup=False)


COMMANDS = (bench,)
