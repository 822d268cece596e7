"""Who takes part in a bench, and the probes of one defence: drawn, made smaller, anonymised."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from reid_audit.attacks.operators import Operator
from reid_audit.attacks.recognition.align import face_width
from reid_audit.audit.bench.config import Sample
from reid_audit.audit.commands.anonymize import anonymize
from reid_audit.audit.commands.blackbox import anonymize_with
from reid_audit.audit.data import Dataset, Item, decode
from reid_audit.audit.data.decode import PICTURE_ENDINGS
from reid_audit.audit.data.folders import Bounds, read_folder
from reid_audit.audit.data.manifest import MANIFEST_ENDINGS, read_manifest
from reid_audit.audit.data.sidecar import SIDECAR, read_sidecar
from reid_audit.audit.people import cast
from reid_audit.audit.probes.faces import FaceFinder, Landmarks
from reid_audit.metrics.errors import InputError, NothingToAudit
from reid_audit.metrics.files import atomic

Progress = Callable[[str, int, int], None]

PEOPLE, PICTURES, PROBES = 32, 2, 2
BACKGROUND, BACKGROUND_PICTURES = 40, 4
"""People who do not exist, unless the sample says how many."""


@dataclass(frozen=True)
class Probe:
    """A clear picture that is to be anonymised. landmarks `(5, 2)` and the face's box, x0, y0, x1,
    y1, are in pixels of the picture."""

    item: Item
    landmarks: Landmarks
    box: tuple[float, ...]

    @property
    def width(self) -> float:
        """Face width in pixels."""
        return float(face_width(self.landmarks))

    @property
    def turn(self) -> float:
        """How far the nose lies from between the eyes, in distances of the eyes: 0 is frontal."""
        left, right, nose = self.landmarks[:3].astype(float)
        across = right - left
        return abs(float((nose - (left + right) / 2) @ across / (across @ across)))


@dataclass(frozen=True)
class Drawn:
    """A sample: the clear probes, and who is known to the attacker.

    face_width: median of the probes' faces in pixels, as they will be anonymised.
    """

    sample: Sample
    probes: tuple[Probe, ...]
    gallery: tuple[Item, ...]
    background: tuple[Item, ...]
    face_width: float

    @property
    def key(self) -> str:
        """Digest of everything that is measured on; files count by place, size and time."""
        rows = [self.sample.model_dump_json()]
        for item in (*(p.item for p in self.probes), *self.gallery, *self.background):
            facts = item.path.stat()
            rows.append(
                f"{item.role} {item.identity} {item.path} {facts.st_size} {facts.st_mtime_ns}"
            )
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


def read_people(data: str | None, samples: Sequence[Sample], out: Path, told: Progress) -> Dataset:
    """Everything the data offers, its probes clear. Without data, people are drawn below `out`.

    Raises:
        InputError, NothingToAudit: no such folder or manifest, or no probe in it.
    """
    if data is None:
        return _draw_people(samples, out, told)
    root = Path(data)
    if root.suffix.lower() in MANIFEST_ENDINGS:
        items = read_manifest(root, Bounds(root.parent))
        by_role = {role: [i for i in items if i.role == role] for role in ("gallery", "background")}
        # What the manifest calls anonymised is of no use here where it also has the original.
        probes = [replace(i, path=i.original or i.path) for i in items if i.role == "probe"]
        dataset = Dataset(tuple(by_role["gallery"]), tuple(probes), tuple(by_role["background"]))
    else:
        if not root.is_dir():
            raise InputError(f"data: {root}: no such folder or manifest; correct the path.")
        folders = {"gallery": "gallery", "originals": "probe", "background": "background"}
        read = {
            name: read_folder(root / name, role, Bounds(root))[0]  # type: ignore[arg-type]
            for name, role in folders.items()
            if (root / name).is_dir()
        }
        dataset = Dataset(
            read.get("gallery", ()), read.get("originals", ()), read.get("background", ())
        )
    named = tuple(p for p in dataset.probes if p.identity)
    if not named or not dataset.gallery:
        raise NothingToAudit(
            f"data: {root}: a bench needs gallery pictures and clear probes of named people: "
            "folders gallery/ and originals/, or a manifest with those roles."
        )
    return replace(dataset, probes=named)


def find_probes(people: Dataset, finder: FaceFinder, told: Progress) -> list[Probe]:
    """The clear probes in which a face is found, in a stable order."""
    digests = {p.image_id: _digest(p.path) for p in people.probes}
    faces = finder.find(
        {digests[p.image_id]: p.path for p in people.probes}, told, "finding faces in originals"
    )
    probes = []
    for item in people.probes:
        seen = faces.get(digests[item.image_id])
        landmarks = seen.labelled(item.face_box) if seen else None
        if seen is None or landmarks is None:
            continue
        boxes = [d.box for d in seen.detections if d.landmarks is landmarks]
        box = boxes[0] if boxes else item.face_box
        assert box is not None, "landmarks come from a detection or from the box"
        probes.append(Probe(item, landmarks, tuple(float(v) for v in box)))
    return probes


def draw(people: Dataset, probes: Sequence[Probe], sample: Sample, seed: int) -> Drawn:
    """The pictures of a sample. Smaller samples are parts of larger ones of the same seed.

    Raises:
        NothingToAudit: nobody is left.
    """

    def place(item: Item) -> tuple[str, str]:
        identity = item.identity or item.image_id
        return hashlib.sha256(f"{seed} {identity}".encode()).hexdigest(), item.image_id

    known = {item.identity for item in people.gallery}
    chosen = [p for p in _posed(probes, sample.pose) if p.item.identity in known]
    order = sorted({place(p.item)[0]: p.item.identity for p in chosen}.items())
    names = [identity for _, identity in order][: sample.people]
    if not names:
        raise NothingToAudit("sample: no probe of a person of the gallery is left; ask for less.")
    strangers = set(names[len(names) - round(sample.strangers * len(names)) :])
    taken = tuple(p for p in chosen if p.item.identity in set(names))
    background = sorted(people.background, key=place)
    gallery = [i for i in people.gallery if i.identity in set(names) - strangers]
    if sample.distractors != 0:
        others = dict.fromkeys(i.identity for i in background if i.identity)
        few = set(list(others)[: sample.distractors])
        gallery += [replace(i, role="gallery") for i in background if i.identity in few]
    gallery = _at_most(sorted(gallery, key=place), sample.pictures)
    widths = [min(p.width, sample.face_width or np.inf) for p in taken]
    return Drawn(
        sample,
        taken,
        tuple(gallery),
        tuple(_whole_people(background, sample.background)),
        float(np.median(widths)),
    )


def anonymized(drawn: Drawn, tool: Operator | str, region: str, seed: int, out: Path) -> Dataset:
    """The sample with its probes anonymised below `out`, by an operator or a command; what is there
    already is kept."""
    clear = out / "clear" / drawn.key
    made = {_name(p.item): _clear_copy(p, drawn.sample.face_width, clear) for p in drawn.probes}
    digest = hashlib.sha256(f"{tool} {region} {seed}".encode()).hexdigest()[:16]
    folder = out / "anonymized" / f"{drawn.key}-{digest}"
    if isinstance(tool, str):
        return _by_command(drawn, tool, clear, made, folder)
    if not (folder / SIDECAR).exists():
        boxes = {path.name: [box] for path, box in made.values()} if region == "face" else None
        anonymize(clear, folder, tool, region, seed, boxes)
    sidecar = read_sidecar(folder)
    assert sidecar is not None
    pictures = {Path(picture.path).stem: picture for picture in sidecar.pictures}
    probes = []
    for probe in drawn.probes:
        picture = pictures.get(_name(probe.item))
        if picture is None:  # could not be read
            continue
        path, box = made[_name(probe.item)]
        probes.append(
            replace(
                probe.item,
                path=folder / picture.path,
                original=path,
                face_box=box,
                regions=picture.region,
                face_width=picture.face_width,
            )
        )
    return Dataset(drawn.gallery, tuple(probes), drawn.background)


def _by_command(
    drawn: Drawn,
    command: str,
    clear: Path,
    made: Mapping[str, tuple[Path, tuple[int, int, int, int]]],
    folder: Path,
) -> Dataset:
    """The sample with its probes anonymised by a command; of what it did nothing is known."""
    anonymize_with(command, clear, folder, "defences: command")
    written = {p.stem: p for p in folder.rglob("*") if p.suffix.lower() in PICTURE_ENDINGS}
    probes = [
        replace(
            probe.item,
            path=written[_name(probe.item)],
            original=made[_name(probe.item)][0],
            face_box=made[_name(probe.item)][1],
        )
        for probe in drawn.probes
        if _name(probe.item) in written
    ]
    return Dataset(drawn.gallery, tuple(probes), drawn.background)


def _draw_people(samples: Sequence[Sample], out: Path, told: Progress) -> Dataset:
    def most(counts: Sequence[int | None], usual: int) -> int:
        return max((count for count in counts if count is not None), default=usual)

    people = most([s.people for s in samples], PEOPLE)
    pictures = most([s.pictures for s in samples], PICTURES)
    strangers = most([s.distractors or None for s in samples], 0)
    pool = most([s.background for s in samples], BACKGROUND * BACKGROUND_PICTURES)
    strangers = max(strangers, -(-pool // BACKGROUND_PICTURES))
    shots = pictures + PROBES
    total = people * shots + strangers * BACKGROUND_PICTURES

    def drawn(before: int, done: int) -> None:
        told("drawing people", before + done, total)

    known = cast(out / "people" / "known", range(people), range(shots), progress=partial(drawn, 0))
    others = cast(
        out / "people" / "background",
        range(100_000, 100_000 + strangers),
        range(BACKGROUND_PICTURES),
        progress=partial(drawn, len(known)),
    )

    def item(path: Path, role: str) -> Item:
        who = path.parent.name
        return Item(f"{who}/{path.stem}", who, role, path)  # type: ignore[arg-type]

    shown = sorted(known)
    return Dataset(
        tuple(item(path, "gallery") for path in shown if int(path.stem) < pictures),
        tuple(item(path, "probe") for path in shown if int(path.stem) >= pictures),
        tuple(item(path, "background") for path in sorted(others)),
    )


def _posed(probes: Sequence[Probe], pose: str) -> list[Probe]:
    if pose == "any":
        return list(probes)
    low, high = np.quantile([probe.turn for probe in probes], [1 / 3, 2 / 3])
    if pose == "frontal":
        return [probe for probe in probes if probe.turn <= low]
    return [probe for probe in probes if probe.turn >= high]


def _at_most(items: Sequence[Item], pictures: int | None) -> list[Item]:
    """The first few of each person."""
    if pictures is None:
        return list(items)
    counts: dict[str | None, int] = {}
    kept = []
    for item in items:
        counts[item.identity] = counts.get(item.identity, 0) + 1
        if counts[item.identity] <= pictures:
            kept.append(item)
    return kept


def _whole_people(items: Sequence[Item], least: int | None) -> list[Item]:
    """Leading items of whole people, at least so many."""
    if least is None or least >= len(items):
        return list(items)
    end = least
    while 0 < end < len(items) and items[end].identity == items[end - 1].identity:
        end += 1
    return list(items[:end])


def _clear_copy(
    probe: Probe, width: float | None, folder: Path
) -> tuple[Path, tuple[int, int, int, int]]:
    """The probe below `folder`, made smaller where its face is wider than `width`, and a box
    around its face in that picture."""
    factor = min(1.0, (width or np.inf) / probe.width)
    path = folder / f"{_name(probe.item)}{'.png' if factor < 1 else probe.item.path.suffix.lower()}"
    if not path.exists():
        if factor < 1:
            picture = decode(probe.item.path)
            size = [max(1, round(side * factor)) for side in picture.shape[1::-1]]
            small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            with atomic(path) as temporary:
                Image.fromarray(small).save(temporary, "PNG")
        else:
            with atomic(path) as temporary:
                shutil.copyfile(probe.item.path, temporary)
    x0, y0, x1, y1 = (max(0, round(edge * factor)) for edge in probe.box)
    return path, (x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))


def _name(item: Item) -> str:
    """File stem of a probe: ids may hold anything."""
    return hashlib.sha256(item.image_id.encode()).hexdigest()[:20]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
