"""Anonymise pictures with a tool-exact operator, and write down what was done where."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reid_audit.attacks.operators import Chain, Operator
from reid_audit.attacks.operators.codec import Codec
from reid_audit.attacks.operators.leakage import blur_sigma
from reid_audit.attacks.operators.ranged import Ranged
from reid_audit.attacks.recognition.cache import scene_detectors
from reid_audit.attacks.recognition.sizes import SMALLEST_FACE, SMALLEST_POSSIBLE
from reid_audit.audit.data.decode import PICTURE_ENDINGS, decode
from reid_audit.audit.data.folders import (
    NOT_UTF8,
    Bounds,
    first_left_out,
    no_pictures_in,
    pictures_in,
    refuse_film,
    spelt,
)
from reid_audit.audit.data.items import Box
from reid_audit.audit.data.manifest import MANIFEST_ENDINGS, parse_box, read_manifest
from reid_audit.audit.data.sidecar import SIDECAR
from reid_audit.metrics.documents import read_json
from reid_audit.metrics.errors import InputError, NothingToAudit
from reid_audit.metrics.files import write_bytes

Picture = NDArray[np.uint8]
Progress = Callable[[int, int], None]
Finder = Callable[[Picture], list["Face"]]

NO_FACE = "no face was found: the picture was written as it is; look at it, or give its boxes"
SECOND = (
    " So may faces in profile and half hidden ones: `reid-audit weights fetch centerface` adds a "
    "second detector that finds them."
)


@dataclass(frozen=True)
class Face:
    """A region to anonymise and, where it is a face's, the face's width in pixels."""

    box: Box
    face_width: float | None = None


@dataclass(frozen=True)
class Summary:
    """What a run did.

    failed: maps a source, relative to IN, to why it was not written.
    smallest_face: width in pixels from which faces were looked for; None where none were.
    detectors: what looked for them.
    """

    spec: str
    out: Path
    written: int
    regions: int
    warnings: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    smallest_face: float | None = None
    detectors: tuple[str, ...] = ()

    def sentence(self) -> str:
        """For a terminal."""
        failed = f"; {len(self.failed)} files left out" if self.failed else ""
        return (
            f"{self.written} pictures written to {self.out} with {self.spec}, "
            f"{self.regions} regions anonymised{failed}. How and where: {SIDECAR} beside them."
            f"{self._looked_for()}"
        )

    def _looked_for(self) -> str:
        if self.smallest_face is None:
            return ""
        further = f" (--smallest-face {SMALLEST_POSSIBLE:g} looks further)"
        return (
            f" Faces were looked for from {self.smallest_face:g} pixels wide up; smaller faces "
            f"may be missed{further if self.smallest_face > SMALLEST_POSSIBLE else ''}."
            f"{SECOND if len(self.detectors) == 1 else ''}"
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"out": str(self.out)}


@dataclass(frozen=True)
class _Job:
    """A picture to anonymise; `name` is its path relative to IN, with forward slashes."""

    source: Path
    name: str
    boxes: tuple[Box, ...] = ()


def anonymize(
    source: Path,
    out: Path,
    operator: Operator,
    region: str = "face",
    seed: int = 0,
    boxes: Mapping[str, Sequence[Sequence[float]]] | None = None,
    progress: Progress | None = None,
    force: bool = False,
    device: str = "cpu",
    base: Path | None = None,
    smallest_face: float = SMALLEST_FACE,
) -> Summary:
    """Anonymise a picture, the pictures of a folder, or the probes of a manifest.

    Relative paths are kept but for the ending. Output is PNG without metadata, upright; a chain
    that ends in a codec gives that codec's files, coded once. `out` is a folder, or a file when
    `source` is a picture and `out` ends like one. What was done stands in `anonymized.json` beside
    the output.

    A file that cannot be read as a picture, such as a film, is recorded and left out. A picture
    without a face is written as it is, with a warning. Files are never overwritten, unless by the
    same content or with `force`.

    Args:
        region: `face` (every detected one, unless `boxes` or the manifest give them), `image`,
            or `box:x0,y0,x1,y1` in pixels of the upright picture.
        seed: with the relative path it decides what is drawn for a picture, whatever the others.
        boxes: face boxes x0, y0, x1, y1 by path relative to `source` (a picture: its name).
        progress: called with pictures done and pictures in all.
        force: overwrite.
        device: where faces are detected.
        base: folder that a manifest's paths may lead to; default: the one it lies in.
        smallest_face: width in pixels from which faces are detected.

    Raises:
        InputError: an impossible region, a source that is missing or cannot be read at all, or
            other content where output belongs.
        NothingToAudit: no picture in `source`.
    """
    jobs = list(_jobs(source, boxes or {}, base))
    failed = _left_out(source)
    if not jobs:
        first = first_left_out(failed.items())
        raise NothingToAudit(f"{source}: holds no picture to anonymise{first}; check the path.")
    if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
        raise InputError(f"{out}: lies inside {source}; choose a folder outside it.")
    find = _finder(region, device, smallest_face)
    steps, codec = _split_codec(operator)
    single = out.suffix.lower() in PICTURE_ENDINGS and source == jobs[0].source
    folder = out.parent if single else out
    method = _method(operator, region, seed, smallest_face)
    known = {} if force else _known_pictures(folder / SIDECAR, method)

    records: dict[str, dict[str, Any]] = {}
    detected = False
    for done, job in enumerate(jobs):
        if progress is not None:
            progress(done, len(jobs))
        if spelt(job.name) != job.name:
            failed[spelt(job.name)] = NOT_UTF8
            continue
        rng = _rng(seed, job.name)
        try:
            picture = decode(job.source)
            given = _given(job.boxes, picture) if region == "face" else []
            faces = given or find(picture)
        except InputError as error:
            failed[job.name] = str(error).removeprefix(f"{job.source}: ")
            continue
        detected |= not given
        picture = steps.apply_to_boxes(picture, [face.box for face in faces], rng)
        content, ending = _encode(picture, codec, rng)
        target = (out if single else folder / job.name).with_suffix(ending)
        name = target.relative_to(folder).as_posix()
        if name in records:
            failed[job.name] = f"another picture is written to {name} already; rename one"
            continue
        _write(target, content, force)
        record = _record(name, job, faces, picture.shape, operator, content)
        records[name] = record
    if progress is not None:
        progress(len(jobs), len(jobs))
    if not records:
        name, reason = list(failed.items())[-1]  # a picture's, after those of other files
        raise InputError(f"{name}: {reason}")
    pictures = sorted((known | records).values(), key=lambda record: str(record["path"]))
    sidecar = method | {"pictures": pictures, "failed": failed}
    text = json.dumps(sidecar, indent=1, ensure_ascii=False) + "\n"
    _write(folder / SIDECAR, text.encode(), force=True)
    return Summary(
        spec=str(operator),
        out=out,
        written=len(records),
        regions=sum(len(record["region"]) for record in records.values()),
        warnings=[f"{r['path']}: {w}" for r in records.values() for w in r["warnings"]]
        + [f"{name}: {reason}" for name, reason in failed.items()],
        failed=failed,
        smallest_face=smallest_face if region == "face" and detected else None,
        detectors=scene_detectors() if region == "face" and detected else (),
    )


def _jobs(
    source: Path, boxes: Mapping[str, Sequence[Sequence[float]]], base: Path | None
) -> Iterator[_Job]:
    named: list[tuple[Path, str, Box | None]]
    if source.is_dir():
        named = [(path, path.relative_to(source).as_posix(), None) for path in pictures_in(source)]
    elif source.suffix.lower() in MANIFEST_ENDINGS:
        folder = source.parent
        named = [
            (item.path, _name(item.path, folder, base), item.face_box)
            for item in read_manifest(source, Bounds(folder, base))
            if item.role == "probe"
        ]
    elif source.exists():
        refuse_film(source)
        named = [(source, source.name, None)]
    else:
        raise InputError(f"{source}: no such picture, folder or manifest; correct the path.")
    for path, name, face_box in named:
        given = [
            parse_box(" ".join(map(str, box)), f"boxes of {name}") for box in boxes.get(name, ())
        ]
        yield _Job(path, name, tuple(given) or ((face_box,) if face_box else ()))


def _left_out(source: Path) -> dict[str, str]:
    """Files of a folder that are no pictures, by name, and why they are not read."""
    if not source.is_dir():
        return {}
    found = no_pictures_in(source)
    return {spelt(path.relative_to(source).as_posix()): why for path, why in found}


def _name(path: Path, folder: Path, base: Path | None) -> str:
    """What a manifest's picture is called below OUT: its path from `folder` or `base`, never one
    that climbs out of OUT."""
    if not path.is_relative_to(folder) and base is not None:
        path, folder = path.resolve(), base.resolve()
    return "/".join(part for part in path.relative_to(folder).parts if part != "..")


def _finder(region: str, device: str, smallest: float) -> Finder:
    """What finds the regions of a picture that has no boxes given.

    Raises:
        InputError: `region` is none of the three.
    """
    if region == "image":
        return lambda picture: [Face((0, 0, picture.shape[1], picture.shape[0]))]
    if region.startswith("box:"):
        box = parse_box(region.removeprefix("box:"), "--region")
        return lambda picture: _clipped([Face(box)], picture)
    if region == "face":
        return _detector(device, smallest)
    raise InputError(f"--region {region!r}: write face, image or box:x0,y0,x1,y1 in pixels.")


def _detector(device: str, smallest: float) -> Finder:
    """Detection, whose networks are loaded with the first picture that needs them."""
    loaded: list[Any] = []

    def find(picture: Picture) -> list[Face]:
        from reid_audit.attacks.recognition.align import face_width
        from reid_audit.attacks.recognition.scenes import SceneDetector

        if not loaded:
            loaded.append(SceneDetector(device))
        faces = []
        for detection in loaded[0].detect([picture], smallest)[0]:
            corners = (
                np.r_[np.floor(detection.box[:2]), np.ceil(detection.box[2:])].astype(int).tolist()
            )
            width = round(float(face_width(detection.landmarks)), 1)
            faces.append(Face((corners[0], corners[1], corners[2], corners[3]), width))
        return _clipped(faces, picture)

    return find


def _given(boxes: Sequence[Box], picture: Picture) -> list[Face]:
    """Faces whose boxes are known; their width is that of a typical face in such a box."""
    if not boxes:
        return []
    from reid_audit.attacks.recognition.align import face_width, typical_landmarks

    faces = [Face(box, round(float(face_width(typical_landmarks(box))), 1)) for box in boxes]
    return _clipped(faces, picture)


def _clipped(faces: Sequence[Face], picture: Picture) -> list[Face]:
    """Boxes cut off at the border.

    Raises:
        InputError: a box lies outside.
    """
    height, width = picture.shape[:2]
    inside = []
    for face in faces:
        x0, y0, x1, y1 = face.box
        box = max(0, x0), max(0, y0), min(width, x1), min(height, y1)
        if box[0] >= box[2] or box[1] >= box[3]:
            raise InputError(f"box {x0},{y0},{x1},{y1} lies outside its {width} x {height} pixels")
        inside.append(Face(box, face.face_width))
    return inside


def _split_codec(operator: Operator) -> tuple[Operator, Operator | None]:
    """The steps for the regions, and the codec, if the last step is one, for the whole file."""
    steps = operator.steps if isinstance(operator, Chain) else (operator,)
    last = steps[-1].low if isinstance(steps[-1], Ranged) else steps[-1]
    return (Chain(steps[:-1]), steps[-1]) if isinstance(last, Codec) else (operator, None)


def _encode(
    picture: Picture, codec: Operator | None, rng: np.random.Generator
) -> tuple[bytes, str]:
    """A file's bytes and ending, without metadata."""
    drawn = codec.draw(rng) if isinstance(codec, Ranged) else codec
    if isinstance(drawn, Codec):
        return drawn.encode(picture), drawn.suffix
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue(), ".png"


def _rng(seed: int, name: str) -> np.random.Generator:
    digest = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "little")
    return np.random.default_rng(np.random.SeedSequence([seed, digest]))


def _method(operator: Operator, region: str, seed: int, smallest: float) -> dict[str, Any]:
    return {
        "tool": "reid-audit",
        "version": version("reid-audit"),
        "spec": str(operator),
        "family": operator.family,
        "nature": str(operator.nature),
        "parameters": operator.parameters,
        "regions": region,
        "smallest_face": smallest if region == "face" else None,
        "detectors": list(scene_detectors()) if region == "face" else [],
        "seed": seed,
        "metadata": "stripped",
    }


def _record(
    name: str,
    job: _Job,
    faces: Sequence[Face],
    shape: tuple[int, ...],
    operator: Operator,
    content: bytes,
) -> dict[str, Any]:
    """One picture in the sidecar; `face_width` is that of the most prominent face."""
    details = []
    for face in faces:
        x0, y0, x1, y1 = face.box
        sigma = blur_sigma(operator, y1 - y0, x1 - x0)
        relative = sigma / face.face_width if sigma and face.face_width else None
        details.append(
            {
                "box": list(face.box),
                "face_width": face.face_width,
                "sigma_over_face_width": relative and round(relative, 4),
            }
        )
    return {
        "path": name,
        "source": job.name,
        "size": [shape[1], shape[0]],
        "region": [face["box"] for face in details],
        "face_width": details[0]["face_width"] if details else None,
        "faces": details,
        "warnings": [] if faces else [NO_FACE],
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _known_pictures(path: Path, method: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Pictures that an earlier run of the same method has recorded in this folder.

    Raises:
        InputError: the folder was anonymised otherwise.
    """
    if not path.exists():
        return {}
    try:
        before = read_json(path)
        pictures = {record["path"]: record for record in before["pictures"]}
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: cannot be read; delete it or choose another folder.") from None
    # Parameters in the form JSON gives them back.
    if any(before.get(key) != value for key, value in json.loads(json.dumps(method)).items()):
        raise InputError(
            f"{path.parent}: holds pictures anonymised with {before.get('spec')} (seed "
            f"{before.get('seed')}, {before.get('regions')}); choose another folder or use --force."
        )
    return pictures


def _write(path: Path, content: bytes, force: bool) -> None:
    """Write whole or not at all.

    Raises:
        InputError: there is a file with other content, and `force` is not set, or the file cannot
            be written.
    """
    if path.exists() and not force:
        if path.is_file() and path.read_bytes() == content:
            return
        raise InputError(
            f"{path}: exists with other content and is never overwritten; choose another folder "
            "or use --force."
        )
    write_bytes(path, content)
