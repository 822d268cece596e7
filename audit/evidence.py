"""The restricted picture sheet: original, anonymised and restored side by side.

It shows faces, so it is written only when asked for, into a folder of its own that the owner alone
can open, and never becomes part of the report.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attacks.restoration.wiener import prior_restorer
from audit.data import Pseudonyms
from audit.runner import Bench
from audit.store import Store, atomic
from reports.evidence import Picture, Row, render_sheet

SHEET = "sheet.html"
AT_MOST = 12
"""Probes shown of each condition."""


def sheet_rows(bench: Bench, names: Pseudonyms) -> list[Row]:
    """Probes of one condition, evenly picked, restored in closed form."""
    group = bench.group
    picks = np.unique(np.linspace(0, len(group) - 1, min(AT_MOST, len(group))).astype(int))
    indices = [int(pick) for pick in picks]
    probes = group.load(indices)
    restorer = prior_restorer(bench.reference, bench.context)
    rows = []
    for place, original in enumerate(group.load_originals(indices)):
        item = group.faces[indices[place]].item
        restored = restorer.restore(probes.pictures[place], probes.regions[place])
        pictures = [
            Picture("anonymised", _png(probes.pictures[place])),
            Picture("restored (Wiener)", _png(restored)),
        ]
        if original is not None:
            pictures.insert(0, Picture("original", _png(original)))
        rows.append(Row(names.image(item.image_id), pictures, group.title))
    return rows


def write_sheet(rows: Sequence[Row], store: Store) -> None:
    """Write the sheet into the run's restricted folder."""
    with atomic(store.evidence() / SHEET) as temporary:
        temporary.write_text(render_sheet(rows), encoding="utf-8")
        temporary.chmod(0o600)


def _png(picture: NDArray[np.uint8]) -> bytes:
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "PNG")
    return content.getvalue()
