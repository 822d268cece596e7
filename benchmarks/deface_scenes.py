"""The inventory of scenes that deface itself anonymised, beside deface's own detections.

    python -m benchmarks.deface_scenes ../shared/data [--scenes 12] [--seed 0]

Five heads of LFW people a composed scene, 16 to 120 pixels wide; deface looks for faces itself
(CenterFace, from its package) and covers what it finds. A planted face is taken for covered where
the middle of one of its detections lies on it. Beside that stands what the inventory says of each
planted face, and in how many of them both agree, with the exact interval.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from deface.centerface import CenterFace
from deface.deface import anonymize_frame
from PIL import Image

from benchmarks.composed import Planted, scenes
from reid_audit.attacks.recognition.scenes import SceneDetector
from reid_audit.audit.data import Item, decode
from reid_audit.audit.probes.faces import detect_picture
from reid_audit.audit.probes.scene import Scene, SceneFace, Task
from reid_audit.audit.probes.scenes import examine
from reid_audit.metrics.stats import clopper_pearson

SETTINGS = (("blur", 0.2), ("mosaic", 0.2), ("solid", 0.2), ("blur", 0.7))
"""What deface replaces faces with, and its threshold, .2 by default."""
WIDTHS, EACH, SIZE = (16.0, 120.0), 5, (1280, 800)
MASK, MOSAIC = 1.3, 20
"""Deface's defaults: mask_scale and mosaicsize."""
QUALITY = 75
"""That imageio stores JPEG with, by which deface writes its outputs."""
STATES = ("covered", "partial", "missed", "not found")


def on(planted: Planted, x: float, y: float) -> bool:
    """Whether a point lies on a planted face."""
    x0, y0, x1, y1 = planted.box
    return x0 <= x < x1 and y0 <= y < y1


def told(scene: Scene, planted: Planted) -> str:
    """What the inventory says of a planted face."""

    def lies_there(face: SceneFace) -> bool:
        return on(planted, *face.landmarks.mean(axis=0))

    return next((face.state for face in scene.faces if lies_there(face)), "not found")


def main() -> None:
    """Print a row for each setting."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--scenes", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smallest", type=float, default=WIDTHS[0])
    args = parser.parse_args()
    detector, tool = SceneDetector(), CenterFace(in_shape=None, backend="auto")
    counts: dict[tuple[str, float], Counter[str]] = {setting: Counter() for setting in SETTINGS}
    folder, start = Path(tempfile.mkdtemp()), time.process_time()
    made = scenes(args.data, "figures", args.scenes, WIDTHS, SIZE, EACH, args.seed)
    for picture, planted in made:
        original = folder / "original.jpg"
        Image.fromarray(picture).save(original, quality=95)
        clear = decode(original)
        faces = detect_picture(clear, detector, args.smallest)
        for setting, count in counts.items():
            kind, threshold = setting
            found, _ = tool(clear, threshold=threshold)
            hidden = np.array(clear)
            anonymize_frame(found, hidden, MASK, kind, True, False, None, MOSAIC)
            Image.fromarray(hidden).save(folder / "hidden.jpg", quality=QUALITY)
            item = Item("", None, "probe", folder / "hidden.jpg", original=original)
            scene = examine(Task("", item.path, original, (item,), faces, None, "unknown"))
            middles = (found[:, :2] + found[:, 2:4]) / 2
            hits = [any(on(face, *middle) for middle in middles) for face in planted]
            said = [told(scene, face) for face in planted]
            count.update(said)
            count["planted"] += len(planted)
            count["hit"] += sum(hits)
            count["elsewhere"] += sum(not any(on(f, *m) for f in planted) for m in middles)
            count["without face"] += len(scene.without_face)
            count["agreed"] += sum(
                state == ("covered" if hit else "missed")
                for state, hit in zip(said, hits, strict=True)
            )
    print(
        "| deface | planted | deface finds | finds elsewhere | said covered | partial | missed "
        "| not found | regions without a face | agree, 95 % CI |\n" + "|---" * 10 + "|"
    )
    for (kind, threshold), count in counts.items():
        share = clopper_pearson(count["agreed"], count["planted"])
        cells = [count[name] for name in ("planted", "hit", "elsewhere", *STATES, "without face")]
        print(
            f"| {kind}, {threshold} | {' | '.join(map(str, cells))} | {share.value:.3f} "
            f"({share.low:.3f}-{share.high:.3f}) |"
        )
    spent = time.process_time() - start
    print(f"\n{args.scenes} scenes, seed {args.seed}; {spent / args.scenes:.1f} CPU s a scene.")


if __name__ == "__main__":
    main()
