"""The command that fits attackers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from reid_audit.audit.cli.console import out, people, progress
from reid_audit.audit.cli.inputs import LOCAL
from reid_audit.metrics.errors import InputError

KINDS = ("student", "parrot", "fantomas", "mmse", "flow", "revelio", "kernel", "identity-shift")


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("data", type=LOCAL)
@click.option("-o", "--output", type=LOCAL, required=True, help="Folder of the checkpoint.")
@click.option("--steps", type=click.IntRange(1), default=2000, show_default=True)
@click.option("--batch", type=click.IntRange(1), default=32, show_default=True)
@click.option("--accumulate", type=click.IntRange(1), default=1, help="Parts of a batch.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Highest learning rate.")
@click.option(
    "--size",
    default="small",
    show_default=True,
    help="Network: small, medium or large.",
)
@click.option(
    "--sigma",
    type=click.FloatRange(0, min_open=True),
    nargs=2,
    default=(0.03, 0.25),
    show_default=True,
    help="Blur trained for, from and to, in face widths.",
)
@click.option(
    "--recognizer",
    "recognizers",
    multiple=True,
    help="What a student or parrot starts from, else for the identity loss and validation; more: "
    "further teachers of a student.",
)
@click.option("--role", "roles", multiple=True, default=("background",), help="Of a manifest.")
@click.option("--anonymized", type=LOCAL, help="The same pictures through a black box.")
@click.option("--command", help='Black box to start, e.g. "tool {in} {out}" on a folder.')
@click.option("--start", type=LOCAL, help="flow: the mmse checkpoint it goes on from.")
@click.option("--source", default="", help="What the faces are, for the model card.")
@click.option("--licence", help="Of the weights, for the model card.")
@click.option("--precision", type=click.Choice(["no", "bf16"]), default="no", show_default=True)
@click.option("--half", is_flag=True, help="Store 16-bit floats.")
@click.option("--device", default="auto", show_default=True, help="auto or cpu.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
def train(
    kind: str,
    data: Path,
    output: Path,
    roles: tuple[str, ...],
    anonymized: Path | None,
    command: str | None,
    start: Path | None,
    size: str,
    recognizers: tuple[str, ...],
    source: str,
    **settings: Any,
) -> int:
    """Fit an attacker on faces you may use: DATA is a folder of <person>/<picture>, one with
    background/, or a manifest. identity-shift is no attacker but an anonymiser; its --size is slim.

    Writes weights, a model card and TensorBoard logs into OUTPUT. An interrupted training goes on
    when the same command is repeated; `accelerate launch -m reid_audit train ...` spreads it.
    """
    from reid_audit.audit.commands.train import Request, run

    if anonymized is not None and command is not None:
        raise InputError("--anonymized, --command: give one of the two.")
    request = Request(data, size, roles, anonymized, source)
    with progress() as report:
        trained = run(kind, request, output, report, command, start, recognizers, settings)
    for name, value in trained.checkpoint.card.metrics.items():
        people().print(f"{name}: {value:.4g}", highlight=False)
    out(escape(str(output)))
    return 0


COMMANDS = (train,)
