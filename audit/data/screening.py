"""One pass over the pixels before the audit: what can be read, and what stands there twice."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid_audit.audit.data.decode import decode
from reid_audit.audit.data.fingerprint import SAME_PICTURE, fingerprint, most_similar
from reid_audit.audit.data.items import Box, Dataset, Excluded, Item
from reid_audit.audit.data.load import check
from reid_audit.audit.data.originals import match_by_content
from reid_audit.metrics.errors import InputError

Progress = Callable[[int, int], None]
"""Called with files done and files in all."""


@dataclass(frozen=True, eq=False)
class FileFacts:
    """What a file was found to be; `problem` says, without a path, why it cannot be used."""

    sha256: str = ""
    size: tuple[int, int] = (0, 0)
    """Width and height in pixels, upright."""
    fingerprint: NDArray[np.float32] | None = None
    problem: str | None = None


def scan_files(
    dataset: Dataset,
    workers: int | None = None,
    progress: Progress | None = None,
    facts_of: Callable[[Path], FileFacts] | None = None,
) -> dict[Path, FileFacts]:
    """Digest, decode and fingerprint every file of a dataset, its originals included, once. Of
    originals without a probe that is done only while a probe may still find its own among them.

    Files that cannot be read are reported in their `problem`, never raised.

    Args:
        workers: threads (hashing and decoding release the interpreter); None is one per core.
        facts_of: `examine`, or a guard's, which lets a file break nothing but its own process.
    """
    named = {p for item in dataset.items for p in (item.path, item.original) if p is not None}
    loose = dataset.originals.unpaired if dataset.originals and dataset.unmatched else ()
    paths = sorted(named.union(loose))
    facts: dict[Path, FileFacts] = {}
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        for path, fact in zip(paths, pool.map(facts_of or examine, paths), strict=True):
            facts[path] = fact
            if progress is not None:
                progress(len(facts), len(paths))
    return facts


def examine(path: Path) -> FileFacts:
    """The facts of one file."""
    try:
        picture = decode(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except InputError as error:
        return FileFacts(problem=str(error).removeprefix(f"{path}: "))
    except OSError as error:
        return FileFacts(problem=f"cannot be read ({error.strerror}); check the disk.")
    height, width = picture.shape[:2]
    return FileFacts(digest, (width, height), fingerprint(picture))


def clean(dataset: Dataset, facts: Mapping[Path, FileFacts]) -> Dataset:
    """The dataset without unreadable files and without pictures that also are probes.

    A gallery, background or spare picture that is a probe's original, or the probe itself, exactly
    or nearly, would hand the attacker the answer; the probe stays and the other goes. A probe whose
    original cannot be read stays without it.

    Raises:
        NothingToAudit, InputError: nothing is left to audit, see `check`.
    """
    unreadable = [
        Excluded(item.image_id, item.role, item.path, problem)
        for item in dataset.items
        if (problem := facts[item.path].problem)
    ]
    dataset = _without_bad_originals(dataset.without(unreadable), facts)
    dataset = _within_pictures(match_by_content(dataset), facts)
    dataset = dataset.without(duplicates(dataset, facts))
    check(dataset)
    return dataset


def _within_pictures(dataset: Dataset, facts: Mapping[Path, FileFacts]) -> Dataset:
    """Boxes cut at the border of the picture they are in; pictures left out whose face box lies
    outside."""
    outside: list[Excluded] = []
    kept: dict[str, tuple[Item, ...]] = {}
    for name, items in dataset.by_role().items():
        cut = []
        for item in items:
            width, height = facts[item.path].size
            box = item.face_box and _cut(item.face_box, width, height)
            if item.face_box and not box:
                where = f"row {item.row}: " if item.row else ""
                reason = (
                    f"{where}face_box {','.join(map(str, item.face_box))} lies outside the picture "
                    f"of {width} x {height} pixels; correct it"
                )
                outside.append(Excluded(item.image_id, item.role, item.path, reason))
                continue
            regions = tuple(r for region in item.regions if (r := _cut(region, width, height)))
            cut.append(replace(item, face_box=box or None, regions=regions))
        kept[name] = tuple(cut)
    return replace(dataset.with_items(kept), excluded=dataset.excluded + tuple(outside))


def _cut(box: Box, width: int, height: int) -> Box | None:
    x0, y0, x1, y1 = max(box[0], 0), max(box[1], 0), min(box[2], width), min(box[3], height)
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def duplicates(dataset: Dataset, facts: Mapping[Path, FileFacts]) -> tuple[Excluded, ...]:
    """Pictures of gallery, background and spare that are probes as well; all must be readable."""
    shown = [(p, path) for p in dataset.probes for path in (p.original, p.path) if path is not None]
    others = dataset.gallery + dataset.background + dataset.spare
    if not shown or not others:
        return ()
    by_digest = {facts[path].sha256: probe for probe, path in reversed(shown)}
    nearest, similarity = most_similar(
        _fingerprints(facts, (item.path for item in others)),
        _fingerprints(facts, (path for _, path in shown)),
    )
    twins = []
    for item, index, alike in zip(others, nearest, similarity, strict=True):
        twin = by_digest.get(facts[item.path].sha256)
        reason = "the same file as a probe"
        if twin is None and alike >= SAME_PICTURE:
            twin, reason = shown[index][0], f"the same picture as a probe (similarity {alike:.3f})"
        if twin is not None:
            twins.append(Excluded(item.image_id, item.role, item.path, reason, twin.image_id))
    return tuple(twins)


def data_digests(dataset: Dataset, facts: Mapping[Path, FileFacts]) -> dict[str, str]:
    """SHA-256 per role over ids, people and file digests; it shows that two audits had the same
    data without giving any picture's own digest away."""
    return {
        role: hashlib.sha256(
            "".join(
                f"{i.image_id}\0{i.identity or ''}\0{facts[i.path].sha256}\n" for i in items
            ).encode()
        ).hexdigest()
        for role, items in dataset.by_role().items()
    }


def _without_bad_originals(dataset: Dataset, facts: Mapping[Path, FileFacts]) -> Dataset:
    probes: list[Item] = []
    lost: list[Excluded] = []
    for probe in dataset.probes:
        problem = facts[probe.original].problem if probe.original is not None else None
        if probe.original is not None and problem:
            lost.append(Excluded(probe.image_id, "original", probe.original, problem))
            probe = replace(probe, original=None)
        probes.append(probe)
    told = dataset.originals
    if told is not None:
        broken = {
            path: problem
            for path in told.unpaired
            if path in facts and (problem := facts[path].problem)
        }
        lost += [Excluded(path.name, "original", path, why) for path, why in broken.items()]
        told = replace(told, unpaired=tuple(p for p in told.unpaired if p not in broken))
    return replace(
        dataset, probes=tuple(probes), originals=told, excluded=dataset.excluded + tuple(lost)
    )


def _fingerprints(facts: Mapping[Path, FileFacts], paths: Iterable[Path]) -> NDArray[np.float32]:
    return np.stack([vector for p in paths if (vector := facts[p].fingerprint) is not None])
