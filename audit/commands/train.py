"""What training needs of files: faces found in pictures and packed, and the objective by name."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from numpy.typing import NDArray

from reid_audit.attacks.checkpoint import Checkpoint
from reid_audit.attacks.networks.frame import WIDER, cut
from reid_audit.attacks.networks.pack import MARGIN, Pack, open_pack, side_of, write_pack
from reid_audit.attacks.networks.unet import preset
from reid_audit.attacks.recognition.recognizers import load_recognizer
from reid_audit.attacks.training.loop import Settings, Trained, train
from reid_audit.attacks.training.observe import OperatorRange
from reid_audit.audit.commands.blackbox import anonymize_by_command
from reid_audit.audit.data import Item, decode
from reid_audit.audit.data.decode import PICTURE_ENDINGS
from reid_audit.audit.data.folders import Bounds, read_folder
from reid_audit.audit.data.manifest import MANIFEST_ENDINGS, read_manifest
from reid_audit.audit.probes.faces import FaceFinder
from reid_audit.metrics.errors import InputError, NothingToAudit
from reid_audit.metrics.files import write_text

Progress = Callable[[str, int, int], None]
Picture = NDArray[np.uint8]

OBJECTIVES: Mapping[str, str] = {
    "fantomas": "reid_audit.attacks.restoration.fantomas:FantomasObjective",
    "mmse": "reid_audit.attacks.restoration.mmse:MmseObjective",
    "flow": "reid_audit.attacks.restoration.flow:objective",
    "student": "reid_audit.attacks.training.student:StudentObjective",
    "parrot": "reid_audit.attacks.training.parrot:ParrotObjective",
    "kernel": "reid_audit.attacks.training.kernel:KernelObjective",
    "revelio": "reid_audit.attacks.restoration.revelio.diffusion:Diffusion",
    "identity-shift": "reid_audit.attacks.shift.objective:ShiftObjective",
}
"""What the loop can train, by its name; each takes the network's size and a recogniser, a student
several, and those of `WITH_FACES` the faces as well."""
WITH_FACES = frozenset({"parrot", "student", "identity-shift"})


def run(
    kind: str,
    request: Request,
    output: Path,
    progress: Progress,
    command: str | None = None,
    start: Path | None = None,
    recognizers: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
) -> Trained:
    """`reid-audit train`: pack the faces in `output/pack`, then train there.

    Args:
        kind: attack to train. command: program that anonymises the data, a black box. start:
            checkpoint that a flow goes on from. recognizers: specs; a student and a parrot start
            from the first and a student learns from all, others take one for the identity loss;
            validation uses the first. settings: fields of `Settings` by name, and `sigma`; None
            is the default.

    Raises:
        InputError: anything of it cannot be used.
    """
    make = objective_class(kind)
    if len(recognizers) > 1 and kind != "student":
        raise InputError(f"--recognizer: {kind} takes one, only a student learns from several.")
    given = {name: value for name, value in (settings or {}).items() if value is not None}
    if "sigma" in given:
        given["operators"] = OperatorRange(sigma=tuple(given.pop("sigma")))
    state = PartialState(cpu=given.get("device") == "cpu")
    with state.main_process_first():
        if command is not None:
            if not request.data.is_dir():
                raise InputError(f"{request.data}: --command anonymises a folder; name a folder.")
            made = anonymize_by_command(command, request.data, output / "anonymized")
            request = replace(request, anonymized=made)
        pack = build_pack(request, output / "pack", str(state.device), progress)
    loaded = [load_recognizer(spec, state.device) for spec in recognizers]
    torch.manual_seed(given.get("seed", 0))  # the network's first weights
    more: dict[str, Any] = {"start": Checkpoint.open(start, "mmse")} if start else {}
    if kind in WITH_FACES:
        more["pack"] = pack
    if kind == "parrot":
        more["recognizer"] = loaded.pop() if loaded else None
    objective = make(request.size, *loaded, **more)
    # A network that goes on from a trained one has a rate of its own.
    chosen = Settings(**{"rate": getattr(objective, "rate", Settings.rate), **given})
    silent = progress if state.is_main_process else lambda what, done, total: None
    return train(objective, pack, chosen, output, silent, loaded[0] if loaded else None)


def objective_class(name: str) -> Callable[..., Any]:
    """The objective of an attack.

    Raises:
        InputError: it is not trained by the loop.
    """
    if name not in OBJECTIVES:
        raise InputError(f"no training for {name!r}: choose among {', '.join(OBJECTIVES)}.")
    module, _, attribute = OBJECTIVES[name].partition(":")
    objective: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return objective


@dataclass(frozen=True)
class Request:
    """Which faces to pack: `data` is a folder of `<person>/<picture>`, one with `background/`, or a
    manifest whose rows of these roles are taken; `size` names the network that they are cut for;
    `anonymized` holds the same pictures through a black box, under the same relative names whatever
    their ending; `source` says on the model card what the faces are."""

    data: Path
    size: str
    roles: tuple[str, ...] = ("background",)
    anonymized: Path | None = None
    source: str = ""


def build_pack(request: Request, folder: Path, device: str, progress: Progress) -> Pack:
    """Find the face in every picture and pack its crops; a pack that is there already and was made
    from the same files is opened instead.

    Raises:
        InputError, NothingToAudit: no picture, none with a face, or pairs that do not match.
    """
    items = training_items(request)
    key = _key(request, items)
    marker = folder / "made-from.txt"
    if marker.is_file() and marker.read_text() == key:
        return open_pack(folder)
    digests = {hashlib.sha256(item.path.read_bytes()).hexdigest(): item for item in items}
    finder = FaceFinder(folder / "found", device=device)
    faces = finder.find({d: i.path for d, i in digests.items()}, progress, "finding faces")
    kept: list[tuple[Item, NDArray[np.float32]]] = []
    for digest, item in digests.items():
        landmarks = faces[digest].labelled(item.face_box) if digest in faces else None
        if landmarks is not None:
            kept.append((item, landmarks))
    if not kept:
        raise NothingToAudit(f"{request.data}: no picture shows a face to train on.")
    pairs = _pairs(request, [item for item, _ in kept]) if request.anonymized else None
    if pairs is not None:
        kept = [(item, landmarks) for item, landmarks in kept if item.path in pairs]
        if not kept:
            raise InputError(
                f"{request.anonymized}: holds no anonymised copy of a picture of {request.data}; "
                "name the copies as the originals."
            )
    frame = preset(request.size).size
    side = side_of(frame)

    def crops(path_of: Callable[[Item], Path], what: str) -> Iterator[Picture]:
        for done, (item, landmarks) in enumerate(kept, start=1):
            picture = decode(path_of(item))
            yield cut([picture], landmarks[None], side, WIDER * MARGIN)[0]
            progress(what, done, len(kept))

    pack = write_pack(
        folder,
        crops(lambda item: item.path, "packing faces"),
        [item.identity or item.image_id for item, _ in kept],
        frame,
        request.source or f"{len(kept)} faces of the user's own data",
        None if pairs is None else crops(lambda i: pairs[i.path], "packing anonymised faces"),
    )
    write_text(marker, key)
    return pack


def training_items(request: Request) -> tuple[Item, ...]:
    """The pictures to train on.

    Raises:
        InputError: nothing there, or no row of these roles.
    """
    data = request.data
    if data.suffix.lower() in MANIFEST_ENDINGS:
        items = tuple(
            i for i in read_manifest(data, Bounds(data.parent)) if i.role in request.roles
        )
    else:
        background = data / "background"
        root = background if background.is_dir() else data
        items, _ = read_folder(root, "background", Bounds(root))
    if not items:
        raise InputError(f"{data}: no picture of role {' or '.join(request.roles)} to train on.")
    return items


def _pairs(request: Request, items: Sequence[Item]) -> dict[Path, Path]:
    """Original -> anonymised copy, by relative path without the ending."""
    assert request.anonymized is not None
    root = request.data if request.data.is_dir() else request.data.parent
    copies = {
        path.relative_to(request.anonymized).with_suffix("").as_posix(): path
        for path in sorted(request.anonymized.rglob("*"))
        if path.suffix.lower() in PICTURE_ENDINGS
    }
    names = {item.path: item.path.relative_to(root).with_suffix("").as_posix() for item in items}
    return {path: copies[name] for path, name in names.items() if name in copies}


def _key(request: Request, items: Sequence[Item]) -> str:
    """Everything a pack depends on, cheap to compute: names, sizes and times of files."""
    facts = [repr(replace(request, source=""))]
    for item in items:
        stat = item.path.stat()
        facts.append(f"{item.path} {item.identity} {stat.st_size} {stat.st_mtime_ns}")
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()
