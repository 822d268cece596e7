"""`reid-audit tools`: the catalogue of real tools, ranked by what each leaves by default."""

from __future__ import annotations

from typing import Any

from reid_audit.attacks.operators.tools import Tool, find, tools
from reid_audit.attacks.operators.tools.remaining import Remaining, remaining
from reid_audit.audit.evaluation.findings import detail_left
from reid_audit.audit.results.messages import english
from reid_audit.metrics.errors import InputError

Record = dict[str, Any]


def picture_size(text: str) -> tuple[int, int]:
    """Height and width from `WxH`.

    >>> picture_size("1920x1080")
    (1080, 1920)

    Raises:
        InputError: it is written otherwise.
    """
    width, cross, height = text.lower().partition("x")
    if not (cross and width.isascii() and width.isdigit() and height.isdigit()):
        raise InputError(f"--picture {text!r}: write width x height in pixels, e.g. 1920x1080.")
    if not (0 < int(width) <= 65536 and 0 < int(height) <= 65536):
        raise InputError(f"--picture {text!r}: sides must lie in 1..65536 pixels.")
    return int(height), int(width)


def ranking(face_width: float, shape: tuple[int, int]) -> list[Record]:
    """Every tool on a face `face_width` px wide in a picture of `shape` (height, width), those that
    leave most first."""
    records = [record(remaining(tool, face_width, shape)) for tool in tools()]
    return sorted(records, key=lambda row: (-row["effective_resolution"], row["name"]))


def one_tool(name: str, face_width: float, shape: tuple[int, int]) -> Record:
    """The record of one tool.

    Raises:
        InputError: no tool of that name; a face that does not fit in the picture.
    """
    return record(remaining(find(name), face_width, shape))


def record(left: Remaining) -> Record:
    """For JSON: what the tool is, what it does to this face, and what that leaves."""
    tool: Tool = left.tool
    status, told = detail_left(left.left.effective_resolution)
    sigma = left.sigma_over_face_width
    return {
        "name": tool.name,
        "title": tool.title,
        "family": left.placed.operator.family,
        "operation": tool.operation,
        "default": tool.default,
        "region": tool.region,
        "version": tool.version,
        "source": tool.source,
        "read": tool.read,
        "tested": tool.tested,
        "note": tool.note,
        "lengths": {name: str(length) for name, length in tool.lengths.items()},
        "spec": str(left.placed.operator),
        "box": list(left.placed.box),
        "effective_resolution": round(left.left.effective_resolution, 2),
        "bits_per_channel": round(left.left.bits_per_channel, 1),
        "sigma_over_face_width": None if sigma is None else round(sigma, 4),
        "precedent": left.left.precedent,
        "named": str(left.left.named or ""),
        "status": status,
        "words": english(told),
    }


def table(records: list[Record]) -> list[str]:
    """The ranking as lines of a Markdown table."""
    lines = [
        "| tool | default on this face | sigma / face width | effective resolution | bits a channel"
        " | named of 299 people at as much (LFW) | verdict | tested against |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in records:
        sigma = row["sigma_over_face_width"]
        cells = (
            row["title"],
            f"`{row['spec'].replace('|', chr(92) + '|')}`",
            "-" if sigma is None else f"{sigma:.3f}",
            f"{row['effective_resolution']:.1f}",
            f"{row['bits_per_channel']:,.0f}",
            row["named"] or "not measured",
            f"{row['words']} ({row['status']})",
            {"tool": "the tool", "description": "its source"}[row["tested"]],
        )
        lines.append("| " + " | ".join(cells) + " |")
    return lines
