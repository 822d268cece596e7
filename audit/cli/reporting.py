"""Commands on finished runs: report, compare, verify, clean, schema."""

from __future__ import annotations

from pathlib import Path

import click

from reid_audit.audit.cli.console import out, people, visible
from reid_audit.metrics.errors import IntegrityError

RUN = click.argument("run", type=click.Path(path_type=Path))
LANGUAGE = click.option("--language", default="en", show_default=True, help="Of the page.")


@click.command()
@RUN
@click.option(
    "-f",
    "--format",
    "formats",
    default="html",
    show_default=True,
    help="html,json,csv,parquet,sarif,junit,pdf",
)
@LANGUAGE
@click.option(
    "--fail-inconclusive",
    is_flag=True,
    help="In junit, what has no conclusion fails instead of being skipped.",
)
@click.option(
    "--name-files",
    is_flag=True,
    help="In sarif, name the files to mend, from the run's restricted list.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder; default: the current one."
)
def report(
    run: Path,
    formats: str,
    language: str,
    fail_inconclusive: bool,
    name_files: bool,
    output: Path | None,
) -> int:
    """Render a finished run again, without its data and without torch."""
    from reid_audit.audit.publishing.publish import render_run

    folder = output or Path.cwd()
    names = [name.strip() for name in formats.split(",")]
    made = render_run(
        run,
        names,
        folder,
        language,
        fail_inconclusive=fail_inconclusive,
        name_files=name_files,
    )
    for path in made:
        out(str(path))
    return 0


@click.command()
@click.argument("runs", metavar="RUN RUN...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--label", "labels", multiple=True, help="Name of each run, in their order.")
@click.option("-f", "--format", "formats", default="html,json", show_default=True)
@LANGUAGE
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder; default: the current one."
)
def compare(
    runs: tuple[Path, ...],
    labels: tuple[str, ...],
    formats: str,
    language: str,
    output: Path | None,
) -> int:
    """What changed between finished runs, person by person; the first is the baseline."""
    from reid_audit.audit.commands.compare import compare as compared
    from reid_audit.audit.publishing.publish import render_comparison

    comparison = compared(runs, labels)
    folder = output or Path.cwd()
    names = [name.strip() for name in formats.split(",")]
    for path in render_comparison(comparison, names, folder, language):
        out(str(path))
    return 0


@click.command()
@RUN
def verify(run: Path) -> int:
    """Compare every file of a run with the digests recorded when it was sealed."""
    from reid_audit.audit.run_directory import verify as problems_of

    problems = problems_of(run)
    for problem in problems:
        people().print(visible(problem), markup=False)
    if problems:
        raise IntegrityError(f"{run}: {len(problems)} file(s) differ from the sealed run.")
    out(f"{run}: every file is as it was sealed.")
    return 0


@click.command()
@RUN
@click.option("--unfinished", is_flag=True, help="Also where the scan has not come to its end.")
def clean(run: Path, unfinished: bool) -> int:
    """Remove what only the making of a run needed: embeddings, crops and positions of faces."""
    from reid_audit.audit.commands.clean import clean as cleaned

    done = cleaned(run, unfinished=unfinished)
    out(f"{run}: {done.files} files, {done.bytes / 2**20:.1f} MiB removed.")
    for sentence in done.left:
        out(f"left: {sentence}")
    return 0


@click.command()
@click.option("--comparison", is_flag=True, help="Of comparison.json instead.")
def schema(comparison: bool) -> int:
    """Print the JSON Schema of results.json."""
    from reid_audit.audit.results.comparison import Comparison
    from reid_audit.reports import schema_json

    out((schema_json(Comparison) if comparison else schema_json()).rstrip())
    return 0


COMMANDS = (report, compare, verify, clean, schema)
