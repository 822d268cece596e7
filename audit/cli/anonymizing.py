"""The command that anonymises."""

from __future__ import annotations

from pathlib import Path

import click

from reid_audit.attacks.recognition.sizes import SMALLEST_FACE, SMALLEST_POSSIBLE
from reid_audit.audit.cli.console import out, out_json, people, progress


@click.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--method", required=True, help="e.g. gaussian:k=81, pixelate:b=16|jpeg:q=75, solid.")
@click.option("--region", default="face", show_default=True, help="face, image or box:x0,y0,x1,y1.")
@click.option(
    "--root", type=click.Path(path_type=Path), help="Folder that a manifest's paths may lead to."
)
@click.option(
    "--smallest-face",
    type=click.FloatRange(SMALLEST_POSSIBLE),
    default=SMALLEST_FACE,
    show_default=True,
    help="Width in pixels of the smallest faces looked for.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--force", is_flag=True, help="Overwrite files that differ.")
@click.option("--json", "as_json", is_flag=True)
def anonymize(
    source: Path,
    target: Path,
    method: str,
    region: str,
    root: Path | None,
    smallest_face: float,
    seed: int,
    force: bool,
    as_json: bool,
) -> int:
    """Apply a tool-exact operator or chain to a picture, a folder or a manifest's probes."""
    from reid_audit.attacks.operators import parse
    from reid_audit.audit.commands.anonymize import anonymize as run

    operator = parse(method)
    with progress() as report:
        summary = run(
            source,
            target,
            operator,
            region=region,
            seed=seed,
            force=force,
            progress=lambda done, total: report("anonymising", done, total),
            base=root,
            smallest_face=smallest_face,
        )
    if as_json:
        out_json(summary.to_dict())
        return 0
    out(summary.sentence())
    for warning in summary.warnings:
        people().print(warning, markup=False)
    return 0


COMMANDS = (anonymize,)
