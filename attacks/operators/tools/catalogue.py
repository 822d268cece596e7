"""The catalogue of real tools: `catalogue.yaml` as objects."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import Any

import yaml

from reid_audit.attacks.operators.base import Operator, setting_text
from reid_audit.attacks.operators.spec import parse
from reid_audit.attacks.operators.tools.length import Length
from reid_audit.metrics.errors import InputError

Box = tuple[int, int, int, int]

BOX_ASPECT = 1.3
"""Height over width of a face box from brows to chin; its width is then the face's width."""


@dataclass(frozen=True)
class Placed:
    """What a tool does to one face: an operator without rules, and the box it is applied in."""

    operator: Operator
    box: Box


@dataclass(frozen=True)
class Tool:
    """One real tool at its default setting.

    name: its word in the spec grammar. title: as people call it. operation, region, default: in
    words. spec: the operator, whose lengths in braces are computed by `lengths`. margins: pixels
    by which a face box is enlarged on its left and right, and above and below, before the operator
    gets it (an operator that enlarges boxes itself does so besides). grid: the box is brought to
    multiples of so many pixels, as JPEG's units want it. shape: `box`, `ellipse` or `soft`.
    version: of the tool. source: where it was read. read: on which date. tested: `tool`, where a
    test runs the tool itself, else `description`: a second reading of its source.
    """

    name: str
    title: str
    operation: str
    region: str
    default: str
    spec: str
    version: str
    source: str
    read: str
    tested: str
    shape: str = "box"
    lengths: Mapping[str, Length] = field(default_factory=dict)
    margins: tuple[Length | None, Length | None] = (None, None)
    grid: int = 1
    note: str | None = None

    @property
    def of_frame(self) -> bool:
        """Whether its setting follows from the size of the whole picture."""
        return any(length.of_frame for length in self.lengths.values())

    def place(self, face: Sequence[float], shape: Sequence[int]) -> Placed:
        """What it does to a face box x0, y0, x1, y1 on a picture of `shape` (height, width)."""
        box = self.region_of(face, shape)
        return Placed(self.operator_for((box[3] - box[1], box[2] - box[0]), shape), box)

    def operator_for(self, box: tuple[float, float], frame: Sequence[float]) -> Operator:
        """The operator for a box (before the operator enlarges it) of `(height, width)` pixels on
        a picture of `frame` (height, width)."""
        values = {
            name: setting_text(round(float(length(box, (frame[0], frame[1]))), 4))
            for name, length in self.lengths.items()
        }
        return parse(self.spec.format(**values))

    def region_of(self, face: Sequence[float], shape: Sequence[int]) -> Box:
        """The box handed to the operator, inside the picture."""
        x0, y0, x1, y1 = (int(v) for v in face)
        size = (y1 - y0, x1 - x0)
        dx, dy = (
            0 if margin is None else int(margin(size, (shape[0], shape[1])))
            for margin in self.margins
        )
        x0, y0, x1, y1 = x0 - dx, y0 - dy, x1 + dx, y1 + dy
        if self.grid > 1:
            x0, x1 = _on_grid(x0, x1, self.grid)
            y0, y1 = _on_grid(y0, y1, self.grid)
        return max(0, x0), max(0, y0), min(shape[1], x1), min(shape[0], y1)

    def covers(self, face: Sequence[float], shape: Sequence[int]) -> Box:
        """The box that is changed: `region_of`, and what the operator adds to it."""
        placed = self.place(face, shape)
        return placed.operator.reach(placed.box, shape)


def _on_grid(start: int, end: int, step: int) -> tuple[int, int]:
    """From the line of the grid before `start`, over two steps more than the length holds."""
    first = start // step * step
    return first, first + (end - start + 2 * step) // step * step


def face_box(face_width: float, shape: Sequence[int]) -> tuple[float, float, float, float]:
    """A typical face box in the middle of a picture of `shape` (height, width).

    Raises:
        InputError: a face that is larger than the picture.
    """
    height, width = shape[:2]
    tall = BOX_ASPECT * face_width
    if face_width > width or tall > height:
        raise InputError(
            f"A face of {face_width:g} pixels' width and {tall:g} pixels' height does not fit in a "
            f"picture of {width} x {height}; give a larger picture or a smaller face."
        )
    x0, y0 = round((width - face_width) / 2), round((height - tall) / 2)
    return x0, y0, x0 + round(face_width), y0 + round(tall)


@cache
def tools() -> tuple[Tool, ...]:
    """The catalogue, in its own order."""
    text = files("reid_audit.attacks.operators.tools").joinpath("catalogue.yaml").read_text("utf-8")
    return tuple(_read(entry) for entry in yaml.safe_load(text))


def _read(entry: dict[str, Any]) -> Tool:
    lengths = {name: Length.read(value) for name, value in entry.pop("lengths", {}).items()}
    margins = [Length.read(m) if m else None for m in entry.pop("margins", (None, None))]
    wanted = {name for _, name, _, _ in Formatter().parse(entry["spec"]) if name}
    if wanted != lengths.keys():
        raise ValueError(f"{entry['name']}: spec needs {wanted}, lengths has {lengths.keys()}.")
    # YAML reads a date as a date and a version as a number.
    words: dict[str, Any] = {
        key: " ".join(str(value).split()) if key not in ("grid",) else value
        for key, value in entry.items()
    }
    return Tool(**words, lengths=lengths, margins=(margins[0], margins[1]))


def find(name: str) -> Tool:
    """A tool by its name.

    Raises:
        InputError: there is none; the nearest names are given.
    """
    known = {tool.name: tool for tool in tools()}
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=3) or sorted(known)
    raise InputError(
        f"{name!r}: no tool of that name; did you mean {', '.join(near)}? `reid-audit tools` "
        "lists them."
    )
