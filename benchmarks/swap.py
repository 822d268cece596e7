"""What pairs alone give away of a face swap: another person's face blended over each.

Usage: python -m benchmarks.swap ../shared/data/lfw.csv --folder WORK --people 100 --opacity 1 0.7

Two pictures of each of so many people get a face of somebody else, laid over their own by eyes,
nose and mouth and blended in by OpenCV's `seamlessClone`; below an opacity of one, some of their
own face stays under it. Originals and outputs are then audited as `reid-audit scan` does, without
names and without a gallery; what it says on replaced faces is printed as Markdown.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.linkability import shown
from reid_audit.attacks.faces import detect_landmarks
from reid_audit.attacks.recognition.align import face_width, fit_similarity
from reid_audit.audit.commands.blackbox import anonymize_with
from reid_audit.audit.config import resolve
from reid_audit.audit.data import decode, load
from reid_audit.audit.results.schema import Results
from reid_audit.audit.run_directory import open_run
from reid_audit.audit.scan.scan import scan

Picture = NDArray[np.uint8]
MAPS = ("bare", "negation", "ridge", "nearest")


def swapped(picture: Picture, donor: Picture, opacity: float) -> Picture:
    """The donor's face over the picture's own; the picture as it is where no face is found."""
    own, other = detect_landmarks(picture), detect_landmarks(donor)
    if own is None or other is None:
        return picture
    height, width = picture.shape[:2]
    matrix = fit_similarity(other[None], own[None])[0]
    laid = cv2.warpAffine(donor, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    across = float(face_width(own))
    middle = tuple(int(v) for v in own.mean(axis=0).round())
    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, middle, (int(0.48 * across), int(0.62 * across)), 0, 0, 360, 255, -1)
    x, y, w, h = cv2.boundingRect(mask)
    place = (x + w // 2, y + h // 2)
    cloned = cv2.seamlessClone(laid, picture, mask, place, cv2.NORMAL_CLONE)
    return cv2.addWeighted(cloned, opacity, picture, 1 - opacity, 0)


def lay(table: Path, root: Path, people: int, opacity: float) -> tuple[Path, Path]:
    """Folders of originals and of outputs under equal names that say nothing of who it is."""
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    probes = [row for row in rows if row["role"] == "probe"]
    names = sorted({row["identity"] for row in probes})
    chosen = set(names[:: max(1, len(names) // people)][:people])
    originals = root / "originals"
    originals.mkdir(parents=True, exist_ok=True)
    for row in probes:
        if row["identity"] in chosen:
            source = table.parent / row["path"]
            name = hashlib.sha256(row["image_id"].encode()).hexdigest()[:12]
            (originals / f"{name}{source.suffix}").write_bytes(source.read_bytes())
    donors = [table.parent / row["path"] for row in rows if row["role"] == "background"]

    def swap(picture: Picture) -> Picture:
        chance = int.from_bytes(hashlib.sha256(picture.tobytes()).digest()[:8], "big")
        return swapped(picture, decode(donors[chance % len(donors)]), opacity)

    return originals, anonymize_with(swap, originals, root / f"swapped-{opacity:g}")


def table(results: Results, opacity: float) -> Iterator[str]:
    """A line for each recogniser and condition."""
    for told in results.replacement:
        ways = {way.name: way for way in told.maps}
        best = max(ways.values(), key=lambda way: way.rank_1.value or 0.0)
        cells = [f"{opacity:g}", str(told.pairs), shown(told.kept), shown(told.shared)]
        cells += [shown(ways[name].rank_1) if name in ways else "-" for name in MAPS]
        cells += [shown(best.context_only), f"{best.p_value:.2g}", f"{told.chance:.3f}"]
        yield f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--opacity", type=float, nargs="+", default=[1.0, 0.7])
    parser.add_argument("--recognizer", default="auto")
    given = parser.parse_args(arguments)
    head = ("opacity", "pairs", "kept", "shared", *MAPS, "painted over", "p", "chance")
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for opacity in given.opacity:
        originals, outputs = lay(given.table, given.folder, given.people, opacity)
        config = resolve(
            {
                "attacks": "naive",
                "recognizers": given.recognizer,
                "authorization": "benchmark on a public data set",
            }
        )
        with open_run(given.folder / f"run-{opacity:g}", config) as store:
            results = scan(
                load(anonymized=outputs, originals=originals), config, store, lambda *_: None
            )
        print(*table(results, opacity), sep="\n", flush=True)


if __name__ == "__main__":
    main()
