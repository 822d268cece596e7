"""Commands that say what was done to a picture, and what is left: identify, tools, leakage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reid_audit.audit.cli.console import out, out_json, progress
from reid_audit.audit.cli.inputs import LOCAL
from reid_audit.metrics.errors import InputError, IntegrityError


@click.command()
@click.argument("paths", nargs=-1, required=True, type=LOCAL)
@click.option(
    "--original",
    type=LOCAL,
    help="The picture before, or the folder of originals: what was done is settled on the pair.",
)
@click.option("--json", "as_json", is_flag=True)
def identify(paths: tuple[Path, ...], original: Path | None, as_json: bool) -> int:
    """Say which anonymisation was applied, with which setting, where, and what is left."""
    from reid_audit.audit.commands.identify import identify_files

    with progress() as report:
        results = identify_files(paths, report, original)
    failed = sum("error" in record for record in results)
    if as_json:
        out_json({"results": results})
        return _incomplete(failed, len(results))
    for record in results:
        if record.get("error"):
            out(record["error"])
            continue
        settings = ", ".join(f"{k}={_short(v)}" for k, v in record["parameters"].items())
        left = record["effective_resolution"]
        detail = f"; detail of {left:.0f} x {left:.0f} pixels left" if left is not None else ""
        out(
            f"{record['path']}: {record['family']} ({settings}) on {record['region']}, "
            f"confidence {record['confidence']:.2f}{detail}{_as_tool(record)}{_alone(record)}"
        )
    return _incomplete(failed, len(results))


def _incomplete(failed: int, total: int) -> int:
    """0 where every file was read; else an error that says how many were not."""
    if failed:
        raise IntegrityError(
            f"{failed} of {total} files could not be read; see the lines above, and replace or "
            "remove them."
        )
    return 0


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _alone(record: dict[str, Any]) -> str:
    """What pixels alone would have said, where the original settled another answer."""
    told = record.get("from_pixels_alone")
    if told is None or told["family"] == record["family"]:
        return ""
    return f"; from the pixels alone: {told['family']}, confidence {told['confidence']:.2f}"


def _as_tool(record: dict[str, Any]) -> str:
    from reid_audit.audit.probes.tools import in_words

    words = in_words(record["tool"], len(record["tools_that_fit"]))
    return f"; {words}" if words else ""


@click.command()
@click.option("--face-width", type=float, default=120.0, show_default=True, help="In pixels.")
@click.option("--picture", default="1920x1080", show_default=True, help="Width x height, pixels.")
@click.option("--json", "as_json", is_flag=True)
def tools(face_width: float, picture: str, as_json: bool) -> int:
    """Rank real anonymising tools by what their defaults leave of a face (a Markdown table)."""
    from reid_audit.audit.commands.tools import picture_size, ranking, table

    shape = picture_size(picture)
    records = ranking(face_width, shape)
    if as_json:
        size = [shape[1], shape[0]]
        out_json({"face_width": face_width, "picture": size, "tools": records})
        return 0
    for line in table(records):
        out(line)
    return 0


CHART_WIDTH = 40
"""Characters that stand for a resolution of one face width."""


@click.command()
@click.option("--method", help="Anonymisation, e.g. gaussian:k=81|jpeg:q=75.")
@click.option("--tool", help="Instead: a real tool at its default; see `reid-audit tools`.")
@click.option("--picture", default="1920x1080", show_default=True, help="Of --tool: its picture.")
@click.option("--face-width", type=float, default=150.0, show_default=True, help="In pixels.")
@click.option("--bit-depth", type=int, default=8, show_default=True, help="Bits per channel.")
@click.option("--target-er", type=float, help="Find the weakest setting under this resolution.")
@click.option("--chart", is_flag=True, help="Table of weaker and stronger settings as well.")
@click.option("--json", "as_json", is_flag=True)
def leakage(
    method: str | None,
    tool: str | None,
    picture: str,
    face_width: float,
    bit_depth: int,
    target_er: float | None,
    chart: bool,
    as_json: bool,
) -> int:
    """The training-free limit of a setting: what physics leaves to any attacker."""
    from reid_audit.attacks.operators import parse
    from reid_audit.attacks.operators.leakage import curve, limit, weakest_setting

    if face_width < 8:
        raise InputError(f"--face-width {face_width:g}: give at least 8 pixels.")
    if (method is None) == (tool is None):
        raise click.UsageError("Give --method SPEC or --tool NAME, one of the two.")
    if tool is not None:
        if target_er is not None or chart or bit_depth != 8:
            raise InputError("--tool goes with --face-width, --picture and --json alone.")
        return _leakage_of_tool(tool, face_width, picture, as_json)
    assert method is not None
    operator = parse(method)
    leak = limit(operator, face_width, bit_depth)
    answer: dict[str, Any] = {
        "method": str(operator),
        "face_width": face_width,
        "bit_depth": bit_depth,
        "effective_resolution": leak.effective_resolution,
        "bits_per_channel": leak.bits_per_channel,
        "psnr": leak.psnr,
        "precedent": leak.precedent,
    }
    lines = [
        f"{operator} at {face_width:g} px of face width leaves {leak.sentence} "
        f"({leak.bits_per_channel:,.0f} bits per channel); "
        f"best linear restoration {leak.psnr:.1f} dB.",
        *([leak.precedent] if leak.precedent else []),
    ]
    if target_er is not None:
        setting = weakest_setting(operator, target_er, face_width, bit_depth)
        answer["target"] = target_er
        answer["weakest_setting"] = str(setting) if setting is not None else None
        lines.append(
            f"Weakest setting under {target_er:g} x {target_er:g}: {setting}."
            if setting is not None
            else f"No setting of this tool comes under {target_er:g} x {target_er:g}; use solid."
        )
    if chart:
        points = curve(operator, face_width, bit_depth=bit_depth)
        answer["curve"] = [
            {
                "method": str(point.operator),
                "sigma_over_face_width": point.sigma_over_face_width,
                "effective_resolution": point.left.effective_resolution,
                "psnr": point.left.psnr,
            }
            for point in points
        ]
        longest = max(len(str(point.operator)) for point in points)
        for point in points:
            side = point.left.effective_resolution
            bar = "#" * round(side / face_width * CHART_WIDTH)
            lines.append(f"{point.operator!s:{longest}}  {side:6.1f}  {bar}")
    if as_json:
        out_json(answer)
    else:
        for line in lines:
            out(line)
    return 0


def _leakage_of_tool(name: str, face_width: float, picture: str, as_json: bool) -> int:
    from reid_audit.audit.commands.tools import one_tool, picture_size

    remains = one_tool(name, face_width, picture_size(picture))
    if as_json:
        out_json(remains | {"face_width": face_width, "picture": picture})
        return 0
    side = remains["effective_resolution"]
    out(
        f"{remains['title']} on a face of {face_width:g} px in a picture of {picture}: "
        f"{remains['spec']} in the box {remains['box']}."
    )
    out(f"{remains['operation']} {remains['default']} {remains['region']}")
    out(
        f"{remains['words']}: effective resolution {side:.1f}, "
        f"{remains['bits_per_channel']:,.0f} bits per channel."
    )
    if remains["precedent"]:
        out(remains["precedent"])
    against = {"tool": "the tool itself", "description": "a second reading of its source"}
    out(
        f"Version {remains['version']}, read on {remains['read']}: {remains['source']}. "
        f"Tested against {against[remains['tested']]}."
    )
    if remains["note"]:
        out(remains["note"])
    return 0


COMMANDS = (identify, leakage, tools)
