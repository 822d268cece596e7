"""The faces of a run's pictures as a table: files, boxes, sizes, what became of each.

It names files, so that it goes to those who hold the pictures, and never into the report.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reid_audit.audit.data import Item, Pseudonyms
from reid_audit.audit.probes.scene import Scene, SceneFace
from reid_audit.audit.run_directory import Store
from reid_audit.metrics.files import write_text

FACES = "faces.csv"
COLUMNS = ("path", "state", "x0", "y0", "x1", "y1", "width", "untouched")
ORDER = ("missed", "partial", "unmatched", "covered")


def faces_in_order(scenes: Mapping[Path, Scene]) -> list[tuple[Path, SceneFace]]:
    """All faces with their pictures: those that are open first, of these the largest."""
    faces = [(path, face) for path, scene in scenes.items() for face in scene.faces]
    return sorted(
        faces, key=lambda pair: (ORDER.index(pair[1].state), -pair[1].width, str(pair[0]))
    )


def face_rows(scenes: Mapping[Path, Scene]) -> list[dict[str, Any]]:
    """One row a face under `COLUMNS`; boxes in pixels of the picture as its original lies."""
    return [
        {
            "path": str(path),
            "state": face.state,
            **dict(zip(("x0", "y0", "x1", "y1"), face.box, strict=True)),
            "width": round(face.width, 1),
            "untouched": face.untouched,
        }
        for path, face in faces_in_order(scenes)
    ]


def as_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = COLUMNS) -> str:
    """One line a face, under a heading."""
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def write_faces(
    scenes: Mapping[Path, Scene],
    items: Mapping[Path, Sequence[Item]],
    names: Pseudonyms,
    store: Store,
) -> None:
    """Write the table into the run's restricted folder, with the names that the report uses."""
    shown = {str(path): names.image(items[path][0].image_id) for path in scenes}
    rows = [{"image": shown[row["path"]], **row} for row in face_rows(scenes)]
    write_text(store.evidence() / FACES, as_csv(rows, ("image", *COLUMNS)), mode=0o600)
