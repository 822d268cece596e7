"""`reid-audit inspect`: the inventory alone, without attacking anybody.

How many faces there are, how many were covered, and where the others stand: for the people who
anonymise pictures and look at their own files, so that names of files are shown as they are.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from reid_audit.attacks.recognition.cache import scene_detectors
from reid_audit.audit.data import Dataset, decode
from reid_audit.audit.data.screening import clean, scan_files
from reid_audit.audit.engine import Engine
from reid_audit.audit.evaluation.coverage import tally
from reid_audit.audit.evaluation.gate import holds
from reid_audit.audit.probes.faces import FaceFinder
from reid_audit.audit.probes.grouping import UNKNOWN
from reid_audit.audit.probes.material import How, pictures, read_scenes
from reid_audit.audit.probes.scene import Scene, SceneFace
from reid_audit.audit.publishing.face_list import FACES, as_csv, face_rows, faces_in_order
from reid_audit.metrics.files import write_bytes, write_text
from reid_audit.reports.pages.picture_sheet import Picture, Row, render_sheet

Progress = Callable[[str, int, int], None]

AROUND = 0.6
"""Surroundings of a face on the contact sheet, in its sides."""
SIDE = 160
"""Height in pixels of a face on the contact sheet."""
AT_MOST = 400
"""Faces on the contact sheet."""


@dataclass(frozen=True, eq=False)
class Inventory:
    """What stands in the anonymised pictures of a dataset."""

    dataset: Dataset
    scenes: Mapping[Path, Scene]
    originals: Mapping[Path, Path | None]
    smallest: float

    @property
    def counts(self) -> dict[str, int]:
        """Faces by what became of them, pictures by what their originals show."""
        relations = [scene.pair.relation for scene in self.scenes.values() if scene.pair]
        return {
            "pictures": len(self.scenes),
            **tally((scene, face) for scene in self.scenes.values() for face in scene.faces),
            "regions_without_face": sum(len(s.without_face) for s in self.scenes.values()),
            "originals_turned": relations.count("turned"),
            "originals_different": relations.count("different"),
            "left_out": len(self.dataset.excluded),
        }

    def breaches(self, expression: str) -> bool:
        """Whether a gate such as `missed_faces > 0` holds.

        Raises:
            InputError: not in the grammar of gates, or an unknown name.
        """
        return holds(expression, gate_names(self.counts))

    def rows(self) -> list[dict[str, Any]]:
        """One row a face, those that are open first."""
        return face_rows(self.scenes)

    def record(self) -> dict[str, Any]:
        """Everything, in the form of `inspect --json`."""
        return {
            "counts": self.counts,
            "smallest_face": self.smallest,
            "detectors": list(scene_detectors()),
            "faces": self.rows(),
            "left_out": [
                {"path": str(e.path), "role": e.role, "reason": e.reason}
                for e in self.dataset.excluded
            ],
        }


def gate_names(counts: Mapping[str, int]) -> dict[str, float]:
    """What `--fail-on` may look at."""
    names = {
        "faces": "found",
        "missed_faces": "missed",
        "partial_faces": "partial",
        "covered_faces": "covered",
        "faces_without_original": "without_original",
        "different_originals": "originals_different",
        "left_out": "left_out",
    }
    return {name: float(counts.get(count, 0)) for name, count in names.items()}


def take_inventory(
    dataset: Dataset, smallest: float, device: str, engine: Engine, progress: Progress
) -> Inventory:
    """Find the faces of every anonymised picture and what became of them.

    Raises:
        NothingToAudit, InputError: there is no picture that could be read.
    """
    with engine.opener() as opener:
        facts = scan_files(
            dataset,
            engine.slots,
            lambda n, all_: progress("reading files", n, all_),
            opener.facts,
        )
    dataset = clean(dataset, facts)
    finder = FaceFinder(None, engine, device, smallest)
    # Which tool it was is the scan's question, and takes longer than all the rest.
    scenes = read_scenes(dataset, facts, finder, How(UNKNOWN, None, None, engine), progress)
    originals = {
        path: next((item.original for item in items if item.original), None)
        for path, items in pictures(dataset.probes).items()
    }
    return Inventory(dataset, scenes, originals, smallest)


def write_inventory(inventory: Inventory, folder: Path, as_json: str) -> None:
    """Write table, record and contact sheet into a folder that only its owner may open: they name
    files and show faces."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    write_text(folder / "inventory.json", as_json, 0o600)
    write_text(folder / FACES, as_csv(inventory.rows()), 0o600)
    sheet = render_sheet(contact_rows(inventory), "Faces that were found")
    write_bytes(folder / "contact-sheet.html", sheet.encode(), 0o600)


def contact_rows(inventory: Inventory) -> list[Row]:
    """The faces on the contact sheet, open ones first, beside their originals."""
    shown = faces_in_order(inventory.scenes)[:AT_MOST]
    cut: dict[int, list[Picture]] = {}
    for path in dict.fromkeys(path for path, _ in shown):  # one decoding of each picture
        scene, original = inventory.scenes[path], inventory.originals[path]
        picture = scene.turn.apply(decode(path))
        clear = decode(original) if original is not None and scene.told else None
        for row, (other, face) in enumerate(shown):
            if other != path:
                continue
            cut[row] = [Picture("anonymised", _face(picture, face, scene))]
            if clear is not None:
                cut[row].append(Picture("original", _face(clear, face, scene)))
    return [
        Row(f"{path.name}, {face.width:.0f} px", cut[row], face.state)
        for row, (path, face) in enumerate(shown)
    ]


def _face(picture: np.ndarray, face: SceneFace, scene: Scene) -> bytes:
    """A face and what is around it as PNG, from a picture of any scale."""
    padded = scene.pair.padded if scene.pair is not None else False
    scale = 1.0 if padded else picture.shape[1] / scene.shape[1]
    x0, y0, x1, y1 = face.box
    far = AROUND * max(x1 - x0, y1 - y0)
    height, width = picture.shape[:2]
    left, right = (int(np.clip(v * scale, 0, width)) for v in (x0 - far, x1 + far))
    top, below = (int(np.clip(v * scale, 0, height)) for v in (y0 - far, y1 + far))
    part = Image.fromarray(picture[top : max(below, top + 1), left : max(right, left + 1)])
    part = part.resize((max(1, round(part.width * SIDE / part.height)), SIDE))
    content = io.BytesIO()
    part.save(content, "PNG")
    return content.getvalue()
