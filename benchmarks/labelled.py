"""Who is named in scenes by the size of the face: with labels, and from pairs of pictures alone.

    python -m benchmarks.labelled ../shared/data --folder WORK [--tool pyimagesearch] [-o TABLE.md]

Five heads of LFW people a scene, 16 to 120 pixels wide, all of them covered by one tool; two
portraits of each person stand in scenes, the others are the gallery. Once the scenes are labelled,
and results.json says rank-1 by size of the face. Once nothing but originals and outputs is given:
covered faces are linked to the faces of the originals, people are told by clustering, and the very
probes and gallery that clustering made are audited again under the true names.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.composed import Planted, composed, photographs
from benchmarks.identities import report as clustering_report
from benchmarks.linkability import shown
from benchmarks.tools import RUN
from reid_audit.attacks.recognition.recognizers import load_recognizer
from reid_audit.audit.config import AuditConfig, resolve
from reid_audit.audit.data import Dataset, Item, Role, load
from reid_audit.audit.probes.faces import Face
from reid_audit.audit.probes.material import Material, read_material
from reid_audit.audit.results.schema import Results
from reid_audit.audit.run_directory import open_run
from reid_audit.audit.scan.condition import Audit
from reid_audit.audit.scan.identities import clustered
from reid_audit.audit.scan.scan import attackable, scan
from reid_audit.audit.trials.perception import Perception

WIDTHS = (16.0, 120.0)
BANDS = ((16, 24), (24, 40), (40, 64), (64, 120))
EACH = 5
PICTURES = 2
"""Scenes in which a person stands."""
SIZE = (1280, 800)
ORIGINAL, STORED = 95, 90
"""Quality of the JPEG that the tool opens, and of the one that it stores."""


@dataclass(frozen=True)
class Portraits:
    """LFW's pictures as (person, file): those set into scenes, and those that stay single."""

    planted: tuple[tuple[str, Path], ...]
    gallery: tuple[tuple[str, Path], ...]
    background: tuple[tuple[str, Path], ...]


def portraits(data: Path, people: int, seed: int) -> Portraits:
    """Everybody's first portrait before anybody's second, so that no scene shows one person
    twice."""
    by_role: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    with (data / "lfw.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            by_role[row["role"]][row["identity"]].append(data / row["path"])
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(sorted(by_role["probe"])).tolist()[:people]
    strangers = rng.permutation(sorted(by_role["background"])).tolist()
    return Portraits(
        tuple((p, by_role["probe"][p][k]) for k in range(PICTURES) for p in chosen),
        tuple((p, file) for p in chosen for file in by_role["gallery"][p]),
        tuple((p, by_role["background"][p][0]) for p in strangers),
    )


def lay(
    lfw: Portraits,
    root: Path,
    scenes: Iterator[tuple[np.ndarray, list[Planted]]],
    tool: str,
    named: int = EACH,
) -> list[list[Planted]]:
    """Write originals, outputs, portraits and a manifest that names `named` faces of each scene.

    Returns:
        the faces of each scene.
    """
    columns = ("image_id", "identity", "role", "path", "original", "face_box", "stratum")
    rows = [columns]
    everything = []
    for folder in ("originals", "anonymized"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for number, (picture, planted) in enumerate(scenes):
        hidden, original = (f"{name}/{number:03d}.jpg" for name in ("anonymized", "originals"))
        boxes = [_box(face.box) for face in planted]
        Image.fromarray(picture).save(root / original, quality=ORIGINAL)
        output = RUN[tool](np.array(Image.open(root / original)), boxes)
        Image.fromarray(output).save(root / hidden, quality=STORED)
        everything.append(planted)
        for k, (face, box) in enumerate(zip(planted[:named], boxes, strict=False)):
            where = " ".join(map(str, box))
            name = f"{number:03d}-{k}"
            rows.append((name, face.person, "probe", hidden, original, where, band(face.width)))
    people = {row[1] for row in rows[1:]}
    gallery = [portrait for portrait in lfw.gallery if portrait[0] in people]
    for role, files in (("gallery", gallery), ("background", lfw.background)):
        for person, file in files:
            kept = Path(role) / person / file.name
            (root / kept).parent.mkdir(parents=True, exist_ok=True)
            (root / kept).write_bytes(file.read_bytes())
            rows.append((file.stem, person, role, str(kept), "", "", ""))
    with (root / "manifest.csv").open("w", newline="", encoding="utf-8") as table:
        csv.writer(table).writerows(rows)
    return everything


def band(width: float) -> str:
    """What a range of widths is called, in an order that sorts by size."""
    low, high = next((b for b in BANDS if width < b[1]), BANDS[-1])
    return f"{low} to {high} px"


def _box(values: Sequence[float]) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = (round(value) for value in values)
    return x0, y0, x1, y1


# ---- pairs alone, and the same under true names --------------------------------------------------


def pairs_alone(root: Path) -> Dataset:
    """Originals, outputs and other people's portraits; nobody in a scene is named."""
    return load(
        anonymized=root / "anonymized",
        originals=root / "originals",
        background=root / "background",
    )


@dataclass(frozen=True, eq=False)
class Truth:
    """Whom the faces of scenes show."""

    planted: Sequence[Sequence[Planted]]

    def of(self, face: Face) -> Planted | None:
        """The planted face that lies there."""
        x, y = face.landmarks.mean(axis=0)
        for planted in self.planted[int(face.item.path.stem)]:
            x0, y0, x1, y1 = planted.box
            if x0 <= x < x1 and y0 <= y < y1:
                return planted
        return None

    def person(self, face: Face) -> str:
        """Whose face it is; what is no planted face is a person of its own."""
        planted = self.of(face)
        return planted.person if planted is not None else f"nobody {face.key}"

    def dataset(self, pairs: Dataset, people: Material) -> Dataset:
        """The probes and the gallery that clustering made, under their true names."""
        beside = {item.path: item.original for item in pairs.probes}
        asked = [f for g in people.groups if attackable(g, people) for f in g.faces]
        gallery = [people.faces[row] for row in people.gallery]
        return Dataset(
            gallery=tuple(self._item(face, "gallery", None) for face in gallery),
            probes=tuple(self._item(face, "probe", beside[face.item.path]) for face in asked),
            background=pairs.background,
        )

    def _item(self, face: Face, role: Role, original: Path | None) -> Item:
        planted, (x, y), half = self.of(face), face.landmarks.mean(axis=0), face.width / 2
        return Item(
            image_id=f"{face.item.path.stem}-{face.key}",
            identity=self.person(face),
            role=role,
            path=face.item.path,
            original=original,
            face_box=_box((x - half, y - 1.3 * half, x + half, y + 1.3 * half)),
            stratum=band(planted.width) if planted is not None else None,
        )


# ---- what is printed -----------------------------------------------------------------------------


def by_size(results: Results) -> Iterator[str]:
    """Rank-1 of every attack by size of the face, as results.json has it."""
    names = sorted(
        {stratum.name for attack in results.attacks for stratum in attack.strata},
        key=lambda name: int(name.split()[0]),
    )
    yield f"| attack | all | {' | '.join(names)} |"
    yield "|" + "---|" * (len(names) + 2)
    for attack in results.attacks:
        rates = {stratum.name: stratum.ira for stratum in attack.strata}
        cells = [attack.metrics["ira"], *(rates[name] for name in names)]
        yield f"| {attack.name} | {' | '.join(f'{shown(e)}, n {e.n}' for e in cells)} |"
    ceiling = results.controls.clear_ceiling.value
    yield f"\nClear ceiling {ceiling:.3f}, chance {results.controls.chance.value:.4f}."


def linked(results: Results) -> Iterator[str]:
    """Linkage of the covered faces among all faces of the originals."""
    yield "| attack | linkage rank-1 | the same face filled | chance |"
    yield "|---|---|---|---|"
    for link in results.linkage:
        rates = f"{shown(link.rank_1)}, n {link.rank_1.n} | {shown(link.filled)}"
        yield f"| {link.attack} | {rates} | {link.chance.value:.4f} |"


def faces(results: Results) -> str:
    """The inventory in a sentence."""
    counts = results.data.faces
    return (
        f"{counts.found} faces found: {counts.covered} covered, {counts.partial} in part, "
        f"{counts.missed} missed."
    )


def audited(dataset: Dataset, config: AuditConfig, folder: Path) -> Results:
    """A scan in silence."""
    with open_run(folder, config) as store:
        return scan(dataset, config, store, lambda *_: None)


def main() -> None:
    """Lay the scenes, run the audits and print tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--folder", type=Path, required=True, help="New folder for the pictures.")
    parser.add_argument("--people", type=int, default=150)
    parser.add_argument("--background", type=int, default=300)
    parser.add_argument("--tool", choices=RUN, default="pyimagesearch")
    parser.add_argument("--attacks", default="naive,ridge")
    parser.add_argument("--recognizer", default="dlib")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args()
    start, root = time.process_time(), args.folder
    everybody = portraits(args.data, args.people, args.seed)
    lfw = replace(everybody, background=everybody.background[: args.background])
    rng = np.random.default_rng([args.seed, *SIZE])
    count = len(lfw.planted) // EACH
    scenes = composed(lfw.planted, photographs(args.data), count, WIDTHS, SIZE, EACH, rng)
    truth = Truth(lay(lfw, root, scenes, args.tool))
    settings = {
        "attacks": args.attacks,
        "recognizers": args.recognizer,
        "method": args.tool,
        "seed": args.seed,
        "device": "cpu",
        "workers": 1,
        "smallest_face": 16.0,
        "cache": str(root / "cache"),
    }
    labels, auto = resolve(settings), resolve({**settings, "identities": "auto"})
    labelled = audited(load(root / "manifest.csv"), labels, root / "labelled")
    pairs = pairs_alone(root)
    with open_run(root / "auto", auto) as store:
        told = scan(pairs, auto, store, lambda *_: None)
        recognizer = load_recognizer(args.recognizer, "cpu")
        material = read_material(pairs, auto, store, "cpu", lambda *_: None)
        perception = Perception.installed("cpu")
        audit = Audit(material, auto, store, (recognizer,), perception, lambda *_: None)
        people = clustered(audit)
    true = audited(truth.dataset(pairs, people), labels, root / "true")
    text = "\n".join(
        [
            f"{count} scenes, {args.tool}, {args.recognizer}; gallery of {args.people} people.\n",
            f"With labels. {faces(labelled)}\n",
            *by_size(labelled),
            f"\nPairs alone. {faces(told)}\n",
            *linked(told),
            "",
            *clustering_report(told, true, people, truth.person),
            "\nThe same faces under their true names, by size:\n",
            *by_size(true),
            f"\n{time.process_time() - start:.0f} CPU s, one process.",
        ]
    )
    print(text)
    if args.output is not None:
        args.output.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
