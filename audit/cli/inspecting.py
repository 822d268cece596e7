"""The command that counts faces: inspect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from reid_audit.audit.cli.auditing import GATE_BREACHED, data_options
from reid_audit.audit.cli.console import escape, out, people, progress
from reid_audit.audit.cli.inputs import LOCAL, Input, fetched_for_now

SHOWN = 40
"""Faces listed on the console; all of them stand in the files."""


@click.command()
@data_options
@click.option(
    "--smallest-face",
    type=float,
    default=20.0,
    show_default=True,
    help="Width in pixels of the smallest faces looked for; at least 12.",
)
@click.option("--workers", type=int, help="Processes for reading and detection.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--fail-on", help="Exit 1 when this holds, e.g. 'missed_faces > 0'.")
@click.option("-o", "--output", type=LOCAL, help="Folder for table and contact sheet (0700).")
@click.option("--json", "as_json", is_flag=True, help="Print the inventory as JSON.")
@click.option("--csv", "table", is_flag=True, help="Print one line a face.")
def inspect(
    data: Input,
    gallery: Input,
    anonymized: Input,
    originals: Input,
    background: Input,
    root: Path | None,
    smallest_face: float,
    workers: int | None,
    device: str,
    fail_on: str | None,
    output: Path | None,
    as_json: bool,
    table: bool,
) -> int:
    """Count the faces: how many were covered, in part, or missed. Nobody is attacked.

    DATA is laid out as for `scan`; originals beside the anonymised pictures tell what was missed.
    """
    from reid_audit.audit.commands import inspect as command
    from reid_audit.audit.data import load
    from reid_audit.audit.engine import Local
    from reid_audit.audit.evaluation.gate import holds
    from reid_audit.audit.machine import resolve_device
    from reid_audit.audit.publishing.face_list import as_csv

    if fail_on is not None:
        holds(fail_on, command.gate_names({}))
    with fetched_for_now(
        root=data,
        gallery=gallery,
        anonymized=anonymized,
        originals=originals,
        background=background,
    ) as inputs:
        dataset = load(**inputs, base=root)
        with progress() as report:
            inventory = command.take_inventory(
                dataset, smallest_face, resolve_device(device), Local(workers), report
            )
        text = json.dumps(inventory.record(), indent=2, ensure_ascii=False)
        if output is not None:
            command.write_inventory(inventory, output, text + "\n")
    if as_json:
        out(text)
    elif table:
        out(as_csv(inventory.rows()).rstrip("\n"))
    else:
        _tell(inventory)
    return GATE_BREACHED if fail_on is not None and inventory.breaches(fail_on) else 0


def _tell(inventory: Any) -> None:
    """The inventory on a terminal: figures on stdout; files left out and open faces for people."""
    for name, count in inventory.counts.items():
        out(f"{name.replace('_', ' ')}: {count}")
    left_out = inventory.record()["left_out"]
    for entry in left_out[:SHOWN]:
        people().print(escape(f"left out: {entry['path']}: {entry['reason']}"))
    if len(left_out) > SHOWN:
        people().print(f"and {len(left_out) - SHOWN} more; see --json.")
    uncovered = [row for row in inventory.rows() if row["state"] in ("missed", "partial")]
    if not uncovered:
        return
    table = Table(title="\nFaces that are not covered", title_justify="left")
    for heading in ("picture", "state", "box", "width"):
        table.add_column(heading)
    for row in uncovered[:SHOWN]:
        box = ",".join(str(row[name]) for name in ("x0", "y0", "x1", "y1"))
        table.add_row(escape(row["path"]), row["state"], box, f"{row['width']:.0f} px")
    people().print(table)
    if len(uncovered) > SHOWN:
        people().print(f"and {len(uncovered) - SHOWN} more; see --json or -o.")


COMMANDS = (inspect,)
