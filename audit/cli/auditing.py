"""Commands that look for people: demo, scan, validate."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from reid_audit.audit.cli.console import escape, out, out_json, people, progress
from reid_audit.audit.cli.inputs import LOCAL, Input, fetched, fetched_for_now, path

if TYPE_CHECKING:
    from reid_audit.audit.engine import Engine, EngineName
    from reid_audit.audit.results.schema import Condition, Controls, Estimate, Results

GATE_BREACHED, INCONCLUSIVE_AT_GATE = 1, 4


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that name pictures, by path or by URL, shared by `scan`, `validate` and
    `inspect`."""
    options = [
        click.argument("data", type=path, required=False),
        click.option("--gallery", type=path, help="Clear pictures of known people."),
        click.option("--anonymized", type=path, help="The pictures to audit."),
        click.option("--originals", type=path, help="The same pictures before anonymisation."),
        click.option("--background", type=path, help="Other people's faces, to train on."),
        click.option("--root", type=LOCAL, help="Folder that a manifest's paths may lead to."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@data_options
@click.option("-c", "--config", "file", type=LOCAL, help="Settings as YAML.")
@click.option("-o", "--output", type=LOCAL, default=Path("audit-run"), show_default=True)
@click.option("--attacks", help="Comma-separated names; see `reid-audit list`.")
@click.option(
    "--recognizers",
    help="Comma-separated, e.g. edgeface-s,dlib,onnx:FILE; auto is the strongest installed.",
)
@click.option(
    "--judge",
    help="Recogniser that scores restored faces without having been attacked with; auto or none.",
)
@click.option("--profile", type=click.Choice(["quick", "standard", "full"]))
@click.option(
    "--time-limit",
    metavar="DURATION",
    help="Of the attacks, e.g. 20m: the worthiest first, the rest is left out and listed.",
)
@click.option("--seed", type=int)
@click.option("--device", help="auto, cpu or cuda.")
@click.option("--batch-size", type=int)
@click.option("--workers", type=int, help="Processes for reading and detection.")
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="ray: on the machines of a Ray cluster, with equal results.",
)
@click.option("--address", help="Of a running Ray cluster: HOST:PORT, or auto.")
@click.option("--threshold", type=float, help="Rate above which pictures count as identifiable.")
@click.option("--method", help="How pictures were anonymised: gaussian:k=81, or unknown.")
@click.option("--region", help="Where: face, image or box:x0,y0,x1,y1.")
@click.option("--smallest-face", type=float, help="Pixels of width, 20; at least 12.")
@click.option(
    "--identities",
    type=click.Choice(["labels", "auto"]),
    help="auto: people by clustering the originals' faces; with a gallery, both are audited.",
)
@click.option("--worlds", help="closed, open or closed,open: what trained attackers learn from.")
@click.option(
    "--pair-maps",
    help="Ways from replaced faces back to the originals: bare, negation, ridge, nearest, unet.",
)
@click.option("--distractors", is_flag=True, default=None, help="Background people in the gallery.")
@click.option("--student-epochs", type=int, help="How often a student sees each face.")
@click.option(
    "--option",
    "options",
    multiple=True,
    callback=lambda context, option, value: value or None,
    metavar="ATTACK.OPTION=VALUE",
    help="Set something about an attack; `reid-audit info ATTACK` says what. May be repeated.",
)
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    callback=lambda context, option, value: value or None,
    metavar="NAME=FOLDER",
    help="What `reid-audit train` made, for an attack, or `shipped`; may be repeated.",
)
@click.option("--authorization", help="Basis on which the audit is made.")
@click.option("--auditor", help="Who makes the audit; stands on the report's first page.")
@click.option("--client", help="For whom the audit is made.")
@click.option("--scope", help="Which pictures, in a few words for the report's first page.")
@click.option("--plan", help="File that declares the audit beforehand; its digest is recorded.")
@click.option(
    "--anonymizer",
    metavar="COMMAND",
    help="Make the pictures to audit from the originals by this tool: 'tool {in} {out}' on folders,"
    " or 'tool {file} {out}' on each picture. Started without a shell.",
)
@click.option("--evidence", type=click.Choice(["none", "restricted"]))
@click.option("--cache", help="Folder for intermediate arrays that several runs may share.")
@click.option("--fail-on", help="Exit 1 when this holds, e.g. 'ira > 0.05'.")
@click.option("--waivers", help="YAML of findings that were accepted, each with reason and expiry.")
@click.option("--json", "as_json", is_flag=True, help="Print results.json on stdout.")
def scan(
    data: Input,
    gallery: Input,
    anonymized: Input,
    originals: Input,
    background: Input,
    root: Path | None,
    file: Path | None,
    output: Path,
    as_json: bool,
    engine: EngineName,
    address: str | None,
    **settings: Any,
) -> int:
    """Audit anonymised pictures: attack them, measure, decide, report.

    DATA is a folder with gallery/, anonymized/ and, if there are any, originals/ and background/,
    or a manifest (CSV or Parquet). What is named by a URL, such as s3://BUCKET/FOLDER, is fetched
    first.
    """
    from reid_audit.audit.config import resolve
    from reid_audit.audit.data import load
    from reid_audit.audit.engine import open_engine
    from reid_audit.audit.evaluation.gate import breached, check_expression
    from reid_audit.audit.evaluation.waivers import load_waivers
    from reid_audit.audit.run_directory import WORK

    config = resolve(settings, os.environ, file)
    if config.fail_on is not None:
        check_expression(config.fail_on)
    load_waivers(config.waivers)
    inputs = fetched(
        output / WORK / "inputs",
        root=data,
        gallery=gallery,
        anonymized=anonymized,
        originals=originals,
        background=background,
    )
    if config.anonymizer is not None:
        from reid_audit.audit.commands.blackbox import anonymized_originals

        inputs["originals"], inputs["anonymized"] = anonymized_originals(
            config.anonymizer, inputs["root"], inputs["originals"], inputs["anonymized"], output
        )
    dataset = load(**inputs, base=root)
    with open_engine(engine, address, config.workers) as opened:
        results = run_scan(dataset, config, output, opened)
    if as_json:
        from reid_audit.audit.results.schema import dump_results

        out(dump_results(results).rstrip())
    if config.fail_on is None:
        return 0
    if breached(config.fail_on, results):
        return GATE_BREACHED
    return INCONCLUSIVE_AT_GATE if results.verdict.outcome == "INCONCLUSIVE" else 0


def run_scan(dataset: Any, config: Any, output: Path, engine: Engine | None = None) -> Results:
    """Scan into a run directory, write every file of it and tell the user the answer."""
    from reid_audit.audit.checkpoints import check
    from reid_audit.audit.publishing.publish import publish
    from reid_audit.audit.run_directory import open_run
    from reid_audit.audit.scan.scan import scan as run

    check(config)

    def remark(text: str) -> None:
        people().print(escape(text))

    with progress() as report, open_run(output, config) as store:
        results = run(dataset, config, store, report, remark, engine)
        report_path = publish(results, store)
    summary(results)
    people().print(f"Report: [bold]{escape(str(report_path))}[/bold]")
    return results


def summary(results: Results) -> None:
    """The answer on a terminal."""
    console = people()
    verdict = results.verdict
    console.print(f"\n[bold]{verdict.outcome.replace('_', ' ')}[/bold]")
    for reason in verdict.reasons:
        console.print(f"  {escape(reason)}")
    for finding in results.findings:
        if finding.id in ("data.left-out", "data.duplicates", "originals.unmatched"):
            console.print(f"  {escape(finding.title)}: {escape(finding.evidence)}")
    for condition in results.conditions:
        for recognizer, controls in condition.controls.items():
            console.print(_rank_1_table(results, condition, recognizer, controls))


def _rank_1_table(
    results: Results, condition: Condition, recognizer: str, controls: Controls
) -> Table:
    """Rank-1 of every attack on one condition with one recogniser, between chance and ceiling."""
    table = Table(title=f"\n{escape(condition.title)}, {escape(recognizer)}", title_justify="left")
    for heading in ("attack", "rank-1", "95 % CI", "people", "seconds"):
        table.add_column(heading, justify="left" if heading == "attack" else "right")
    _control_row(table, "chance", controls.chance)
    for attack in results.attacks:
        if (attack.condition, attack.recognizer) != (condition.id, recognizer):
            continue
        ira = attack.metrics["ira"]
        table.add_row(
            attack.name if attack.knowledge != "open world" else f"{attack.name} (open world)",
            _percent(ira),
            f"{ira.low:.1%} - {ira.high:.1%}" if ira.low is not None else attack.status,
            str(ira.n_identities),
            f"{attack.cost.seconds:.1f}",
        )
    _control_row(table, "clear ceiling", controls.clear_ceiling)
    return table


def _control_row(table: Table, name: str, control: Estimate) -> None:
    table.add_row(f"[dim]{name}[/dim]", f"[dim]{_percent(control)}[/dim]")


def _percent(estimate: Estimate) -> str:
    return "-" if estimate.value is None else f"{estimate.value:.1%}"


@click.command()
@click.option("-o", "--output", type=LOCAL, default=Path("demo-audit"), show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def demo(output: Path, seed: int) -> int:
    """Audit people who do not exist, blurred, pixelated and filled: the whole suite in minutes.

    A second, small run in OUTPUT/restored has pictures restored by trained networks, Revelio's
    stages among them; OUTPUT/restored/evidence/sheet.html shows them.
    """
    from reid_audit.audit.commands.demo import make_demo, restoring

    with progress() as report:
        dataset, config = make_demo(output, seed, report)
    run_scan(dataset, config, output / "run")
    people().print("\nRestored by trained networks, a few of the same people:")
    run_scan(*restoring(dataset, config, output), output / "restored")
    return 0


@click.command()
@data_options
@click.option("--json", "as_json", is_flag=True)
def validate(
    data: Input,
    gallery: Input,
    anonymized: Input,
    originals: Input,
    background: Input,
    root: Path | None,
    as_json: bool,
) -> int:
    """Dry run: say what a scan would find in the data, without attacking anything."""
    from reid_audit.audit.data import load
    from reid_audit.audit.data.guard import Guard
    from reid_audit.audit.data.screening import clean, scan_files

    inputs = fetched_for_now(
        root=data,
        gallery=gallery,
        anonymized=anonymized,
        originals=originals,
        background=background,
    )
    with inputs as local, progress() as report, Guard() as guard:
        dataset = load(**local, base=root)
        facts = scan_files(
            dataset, None, lambda n, total: report("reading files", n, total), guard.facts
        )
    dataset = clean(dataset, facts)
    counts = {
        "gallery": len(dataset.gallery),
        "probes": len(dataset.probes),
        "mated_probes": len(dataset.mated),
        "nonmated_probes": len(dataset.nonmated),
        "probes_with_original": sum(p.original is not None for p in dataset.probes),
        "background": len(dataset.background),
        "probes_without_original": len(dataset.unmatched),
        "left_out": len(dataset.excluded),
    }
    if as_json:
        rows = [{"path": str(e.path), "role": e.role, "reason": e.reason} for e in dataset.excluded]
        out_json({"counts": counts, "excluded": rows})
        return 0
    for name, count in counts.items():
        out(f"{name.replace('_', ' ')}: {count}")
    for excluded in dataset.excluded:
        out(f"left out: {excluded.path} ({excluded.role}): {excluded.reason}")
    return 0


COMMANDS = (demo, scan, validate)
