"""The restricted picture sheet: anonymised, restored by every attack, and original side by side.

It shows faces, so it is written only when asked for, into a folder of its own that the owner alone
can open, and never becomes part of the report.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reid_audit.attacks.interface import Picture as Pixels
from reid_audit.audit.data import Pseudonyms
from reid_audit.audit.probes.condition import Group
from reid_audit.audit.publishing.mend_first import FIRST
from reid_audit.audit.results.schema import Results
from reid_audit.audit.run_directory import Store
from reid_audit.metrics.files import write_text
from reid_audit.metrics.sampling import evenly
from reid_audit.reports.pages.picture_sheet import Picture, Row, render_sheet

SHEET = "sheet.html"
_FIRST = ("reason", "condition", "width", "named_by", "attacks", "margin")
AT_MOST = 12
"""Probes shown of each condition."""


def picked(group: Group) -> frozenset[int]:
    """The probes of a condition that are shown, evenly picked."""
    return frozenset(evenly(len(group), AT_MOST).tolist())


def sheet_rows(
    group: Group, restored: Mapping[str, Mapping[int, Pixels]], names: Pseudonyms
) -> list[Row]:
    """Picked probes of one condition as every attack that restores pictures left them.

    Args:
        restored: by the attack's title, its pictures `(H, W, 3)` uint8 by probe.
    """
    indices = sorted(picked(group))
    probes = group.load(indices)
    rows = []
    for place, original in enumerate(group.load_originals(indices)):
        row = indices[place]
        pictures = [Picture("anonymised", _png(probes.pictures[place]))]
        pictures += [
            Picture(f"restored: {title}", _png(made[row]))
            for title, made in restored.items()
            if row in made
        ]
        if original is not None:
            pictures.append(Picture("original", _png(original)))
        label = names.image(group.faces[row].item.image_id)
        rows.append(Row(label, pictures, group.title))
    return rows


def write_sheet(rows: Sequence[Row], store: Store) -> None:
    """Write the sheet into the run's restricted folder."""
    write_text(store.evidence() / SHEET, render_sheet(rows), mode=0o600)


def write_first(results: Results, paths: Mapping[str, str], store: Store) -> None:
    """Write the files to mend first, by name, into the run's restricted folder.

    Args:
        paths: files of the anonymised pictures by the pseudonym of their picture.
    """
    stream = io.StringIO()
    rows = csv.writer(stream, lineterminator="\r\n")
    rows.writerow(["file", "picture", *_FIRST])
    for entry in results.mend_first:
        told = [getattr(entry, column) for column in _FIRST]
        rows.writerow([paths.get(entry.image, ""), entry.image, *told])
    write_text(store.evidence() / FIRST, stream.getvalue(), mode=0o600)


def _png(picture: NDArray[np.uint8]) -> bytes:
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "PNG")
    return content.getvalue()
