"""Many pictures examined: by several processes, and remembered by content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache as remembered
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from reid_audit.attacks.anonymisation import Identification
from reid_audit.audit.engine import Engine
from reid_audit.audit.probes.boxes import as_box
from reid_audit.audit.probes.faces import Found
from reid_audit.audit.probes.inventory import Region
from reid_audit.audit.probes.pairs import Pair, Turn
from reid_audit.audit.probes.scene import Scene, SceneFace, Task
from reid_audit.audit.probes.scenes import examine
from reid_audit.audit.probes.sharing import worth_processes
from reid_audit.metrics.files import write_text

Progress = Callable[[str, int, int], None]
"""What is being done, how many are done, and of how many."""

ESTIMATING = 2e6
"""Cost of telling an operator, in pixels of looking for faces."""


def examine_all(
    tasks: Sequence[Task], cache: Path | None, engine: Engine, progress: Progress
) -> list[Scene]:
    """The tasks' scenes, by the engine when there are many; what the cache holds is not done
    again."""
    keys = [scene_key(task) for task in tasks]
    scenes = {key: scene for key in keys if (scene := _recall(cache, key)) is not None}
    missing = {key: task for key, task in zip(keys, tasks, strict=True) if key not in scenes}
    lacking = list(missing.values())
    worth = worth_processes([task.path for task in lacking], ESTIMATING)
    made = engine.map(examine, lacking, worth=worth)
    for done, (key, scene) in enumerate(zip(missing, made, strict=True), start=1):
        scenes[key] = scene
        _remember(cache, key, scene)
        progress("examining pictures", done, len(missing))
    return [scenes[key] for key in keys]


def scene_key(task: Task) -> str:
    """Digest of everything a scene depends on."""
    items = [
        [item.face_box, item.regions, item.spec is not None, item.face_width] for item in task.items
    ]
    told = [
        task.content,
        items,
        _rows(task.clear),
        _rows(task.seen),
        task.method,
        task.region,
        task.usual,
    ]
    text = json.dumps([code_version(), told])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _rows(faces: Found | None) -> list[Any] | None:
    if faces is None:
        return None
    return [faces.shape, *([d.box.tolist(), d.landmarks.tolist()] for d in faces.detections)]


ANSWERING = ("audit.probes", "attacks.anonymisation", "attacks.operators")
"""Packages whose code and numbers scenes come from."""
SOURCES = (".py", ".json", ".yaml", ".safetensors")


@remembered
def code_version() -> str:
    """Digest of the code and the numbers that scenes come from: others are asked again."""
    digest = hashlib.sha256()
    for package in ANSWERING:
        folder = Path(str(files("reid_audit").joinpath(*package.split("."))))
        for file in sorted(path for path in folder.rglob("*") if path.suffix in SOURCES):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _recall(cache: Path | None, key: str) -> Scene | None:
    if cache is None:
        return None
    try:
        return _from_json(json.loads((cache / f"{key}.json").read_text()))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(cache: Path | None, key: str, scene: Scene) -> None:
    if cache is None:
        return
    write_text(cache / f"{key}.json", json.dumps(asdict(scene), default=_plain))


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _from_json(content: dict[str, Any]) -> Scene:
    faces = []
    for row in content["faces"]:
        region, told = row["region"], row["identification"]
        if region is not None:
            region = Region(as_box(region["box"]), region["shape"], region["source"])
        points = np.array(row["landmarks"], np.float32)
        read = {"landmarks": points, "region": region, "identification": _identification(told)}
        read["pixels_alone"] = _identification(row["pixels_alone"])
        faces.append(SceneFace(**{**row, **read}))
    pair = content["pair"]
    return Scene(
        (content["shape"][0], content["shape"][1]),
        Pair(**{**pair, "turn": Turn(**pair["turn"])}) if pair is not None else None,
        tuple(faces),
        content["whole"],
        tuple(as_box(box) for box in content["without_face"]),
    )


def _identification(content: dict[str, Any] | None) -> Identification | None:
    if content is None:
        return None
    box, names = as_box(content["region"]), tuple(content["tools"])
    return Identification(**{**content, "region": box, "tools": names})
