"""What a scan of very many pictures would cost, from the measured costs of its units; as Markdown.

    python -m benchmarks.estimate [--pictures 100000000] [--faces 24] [--repeats 5]

Every unit of work is timed on the same `--faces` pictures of people who do not exist, `--repeats`
times on one thread, in processor seconds; the interval is Student's over the repeats. The estimate
is the sum over units of cost x number, its interval adds the units' in quadrature. It holds for
pictures like these, processors like this one, and says nothing of other pictures than those timed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import stats

from reid_audit.attacks.faces import AnonymizedFaces, ClearFaces
from reid_audit.attacks.interface import Context
from reid_audit.attacks.linear.wiener import Restorer
from reid_audit.attacks.operators import parse
from reid_audit.attacks.recognition.align import crop
from reid_audit.attacks.recognition.detect import Detector
from reid_audit.attacks.residue import inspect
from reid_audit.audit.config import PRESETS
from reid_audit.audit.data import Item
from reid_audit.audit.data.screening import examine as facts
from reid_audit.audit.people import cast
from reid_audit.audit.probes.faces import detect_file
from reid_audit.audit.probes.scene import Task
from reid_audit.audit.probes.scenes import examine
from reid_audit.audit.scan.duration import CONTROLS, EFFORTS

SIDE, METHOD = 256, "gaussian:sigma=6"
SEARCH = 1e-7
"""Seconds in which one probe is compared with one entry of 512 numbers (peers.md)."""


@dataclass(frozen=True)
class Unit:
    """Seconds of one unit, with the half width of its 95 % interval, and how many a picture has."""

    name: str
    number: float
    seconds: float
    half: float

    @property
    def row(self) -> str:
        milli = f"{1e3 * self.seconds:.1f} ± {1e3 * self.half:.1f}"
        return (
            f"| {self.name} | {self.number:g} | {milli} | {1e3 * self.number * self.seconds:.1f} |"
        )


def measured(name: str, number: float, work: Callable[[], object], of: int, repeats: int) -> Unit:
    """The unit cost of work that does `of` units."""
    work()  # what is set up at the first call is not counted
    seconds = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        seconds.append((time.process_time() - started) / of)
    half = stats.t.ppf(0.975, repeats - 1) * np.std(seconds, ddof=1) / np.sqrt(repeats)
    return Unit(name, number, float(np.mean(seconds)), float(half))


def units(folder: Path, count: int, repeats: int) -> list[Unit]:
    clear = cast(folder / "clear", range(8500, 8500 + count), [0], size=SIDE, workers=1)
    operator = parse(METHOD)
    blurred = []
    for path in clear:
        picture = np.asarray(Image.open(path).convert("RGB"))
        blurred.append(folder / f"{path.parent.name}.png")
        Image.fromarray(operator.apply(picture, np.random.default_rng(0))).save(blurred[-1])
    faces = ClearFaces.of(clear)
    probes = AnonymizedFaces.of(blurred, like=faces)
    context = Context.of(METHOD, "dlib", probes)
    restorer = Restorer.fit(context.forward, faces, context)
    crops = crop(list(probes.pictures), probes.landmarks, context.recognizer.template)
    seen = {path: detect_file(path, "cpu", 20.0) for path in clear}
    tasks = [
        Task(str(n), b, c, (Item(str(n), None, "probe", b, c),), seen[c], None, METHOD, "image")
        for n, (b, c) in enumerate(zip(blurred, clear, strict=True))
    ]
    detector = Detector("cpu")
    standard = [EFFORTS[name] for name in PRESETS["standard"]["attacks"]]
    embedded = CONTROLS * sum(effort.embedded for effort in standard)
    restored = CONTROLS * sum(effort.restored for effort in standard)

    def restore() -> None:
        for picture, region in zip(probes.pictures, probes.regions, strict=True):
            restorer.restore(picture, region)

    def timed(name: str, number: float, work: Callable[[], object]) -> Unit:
        return measured(name, number, work, count, repeats)

    return [
        timed("decode, digest, fingerprint", 2, lambda: [facts(path) for path in blurred]),
        timed("search for leaks", 1, lambda: [inspect(path, regions=()) for path in blurred]),
        timed("detect faces", 1, lambda: [detector.detect([p], 20.0) for p in probes.pictures]),
        timed("examine beside the original", 1, lambda: [examine(task) for task in tasks]),
        timed("restore a face", restored, restore),
        timed("embed a face (dlib)", embedded, lambda: context.recognizer.embed(crops)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=float, default=1e8)
    parser.add_argument("--gallery", type=float, default=1e4)
    parser.add_argument("--faces", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    import cv2
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        every = units(Path(folder), given.faces, given.repeats)
    looked_up = CONTROLS * len(PRESETS["standard"]["attacks"])
    search = f"look up among {given.gallery:,.0f}"
    every.append(Unit(search, looked_up, SEARCH * given.gallery, 0.0))
    print("| unit | a picture | ms each, 95 % interval | ms a picture |")
    print("|---|---|---|---|")
    for unit in every:
        print(unit.row)
    mean = sum(unit.number * unit.seconds for unit in every)
    half = np.sqrt(sum((unit.number * unit.half) ** 2 for unit in every))
    hours = given.pictures / 3600
    print(
        f"\n{1e3 * mean:.0f} ± {1e3 * half:.0f} ms a picture; {given.pictures:,.0f} pictures: "
        f"{mean * hours:,.0f} ± {half * hours:,.0f} core hours, "
        f"{mean * hours / 24 / 1000:.1f} days of 1,000 cores."
    )


if __name__ == "__main__":
    main()
