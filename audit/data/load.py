"""From what the user names on the command line to a dataset; no pixel is read here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from reid_audit.audit.data.decode import PICTURE_ENDINGS
from reid_audit.audit.data.folders import Bounds, first_left_out, pictures_in, read_folder
from reid_audit.audit.data.items import Dataset, Excluded, Item, Originals, Role
from reid_audit.audit.data.manifest import MANIFEST_ENDINGS, read_manifest
from reid_audit.audit.data.originals import match_by_name
from reid_audit.audit.data.sidecar import read_sidecar
from reid_audit.metrics.errors import InputError, NothingToAudit

LAYOUT = "gallery/<person>/*.jpg and anonymized/<person>/*.png"

_ROLE_OF: Mapping[str, Role] = {
    "gallery": "gallery",
    "anonymized": "probe",
    "background": "background",
    "spare": "spare",
}


def load(
    root: Path | None = None,
    *,
    gallery: Path | None = None,
    anonymized: Path | None = None,
    originals: Path | None = None,
    background: Path | None = None,
    base: Path | None = None,
) -> Dataset:
    """Find the pictures of an audit.

    Args:
        root: folder with `gallery/`, `anonymized/`, `originals/`, `background/`, `spare/`, or a
            manifest.
        gallery, background: folders that replace the root's pictures of that role.
        anonymized: folder that replaces the root's probes. Beside a manifest it holds the
            anonymised copies of the manifest's probes, whose own files become the originals.
        originals: folder with the probes before anonymisation; see `audit.data.originals`.
        base: folder that paths of the root may lead to besides the root's own.

    Raises:
        InputError: a folder or file is missing or unusable, or no probe shows a person of the
            gallery although both are named.
        NothingToAudit: there is no probe at all.
    """
    folders = {
        "gallery": gallery,
        "anonymized": anonymized,
        "background": background,
        "spare": None,
    }
    dataset, probes_in = Dataset(), anonymized
    if root is not None and root.suffix.lower() in MANIFEST_ENDINGS:
        dataset = _from_manifest(root, anonymized, Bounds(root.parent, base))
        if anonymized is not None:
            probes_in = anonymized
        del folders["anonymized"]
    elif root is not None:
        _check_root(root)
        originals = originals or _subfolder(root, "originals")
        folders = {name: given or _subfolder(root, name) for name, given in folders.items()}
        probes_in = folders["anonymized"]
    for name, folder in folders.items():
        if folder is not None:
            inside_root = root is not None and folder == root / name
            bounds = Bounds(root if root and inside_root else folder, base)
            dataset = _replace_role(dataset, folder, _ROLE_OF[name], bounds)
    if originals is not None:
        inside_root = root is not None and originals == root / "originals"
        bounds = Bounds(root if root and inside_root else originals, base)
        dataset = _with_originals(dataset, probes_in, originals, bounds)
    elif any(probe.original for probe in dataset.probes):
        dataset = replace(dataset, originals=Originals())
    check(dataset)
    return dataset


def check(dataset: Dataset) -> None:
    """Whether there is something to audit.

    Raises:
        NothingToAudit: no probe.
        InputError: gallery and probes name people, but none in common.
    """
    if not dataset.probes:
        probes = ((str(e.path), e.reason) for e in dataset.excluded if e.role == "probe")
        raise NothingToAudit(
            f"No anonymised picture to audit{first_left_out(probes)}; lay the data out as "
            f"{LAYOUT}, or name the folder with --anonymized."
        )
    lost = [e for e in dataset.excluded if e.role == "gallery"]
    if lost and not dataset.gallery:
        raise InputError(_emptied_gallery(lost))
    if dataset.gallery and dataset.has_ground_truth and not dataset.mated:
        raise InputError(
            "No anonymised picture shows a person of the gallery: the folder names (or the "
            "manifest's column identity) must be equal in both; rename them, or leave the gallery "
            "out to have the anonymisation alone examined."
        )


def _emptied_gallery(lost: Sequence[Excluded]) -> str:
    """Why no gallery is left, by reason, and what to do."""
    copies = sum(e.twin is not None for e in lost)
    reasons = Counter(e.reason for e in lost if e.twin is None).most_common(3)
    told = [f"{count} {_plural(count)}: {reason}" for reason, count in reasons]
    if copies:
        told.append(
            f"{copies} {_plural(copies)} the same as pictures to audit: these are originals; name "
            "them with --originals, and give other pictures of the same people as gallery"
        )
    return (
        f"All {len(lost)} gallery pictures were left out, and nobody can be looked up "
        f"({'; '.join(told)})."
    )


def _plural(count: int) -> str:
    return "is" if count == 1 else "are"


def _check_root(root: Path) -> None:
    if not root.exists():
        raise InputError(f"{root}: no such folder or manifest; correct the path.")
    if not root.is_dir():
        raise InputError(
            f"{root}: neither a folder nor a manifest ({', '.join(MANIFEST_ENDINGS)}); "
            f"give a folder laid out as {LAYOUT}."
        )


def _subfolder(root: Path, name: str) -> Path | None:
    return root / name if (root / name).is_dir() else None


def _replace_role(dataset: Dataset, folder: Path, role: Role, bounds: Bounds) -> Dataset:
    items, excluded = read_folder(folder, role, bounds)
    if role == "probe":
        items = _with_sidecar(items, folder)
    field = "probes" if role == "probe" else role
    kept = tuple(e for e in dataset.excluded if e.role != role)
    return replace(dataset.with_items({field: items}), excluded=kept + excluded)


def _from_manifest(path: Path, anonymized: Path | None, bounds: Bounds) -> Dataset:
    by_role: dict[str, list[Item]] = {"gallery": [], "probe": [], "background": [], "spare": []}
    for item in read_manifest(path, bounds):
        by_role[item.role].append(item)
    probes: tuple[Item, ...] = tuple(by_role["probe"])
    missing: tuple[Excluded, ...] = ()
    if anonymized is not None:
        probes, missing = _anonymized_copies(probes, path.parent, anonymized)
    else:
        for folder in sorted({above for p in probes for above in _folders(p.path, path.parent)}):
            probes = _with_sidecar(probes, folder)
    return Dataset(
        gallery=tuple(by_role["gallery"]),
        probes=probes,
        background=tuple(by_role["background"]),
        spare=tuple(by_role["spare"]),
        excluded=missing,
    )


def _anonymized_copies(
    probes: tuple[Item, ...], folder: Path, anonymized: Path
) -> tuple[tuple[Item, ...], tuple[Excluded, ...]]:
    """Point each probe at its copy below `anonymized`: the same relative path, with or without
    its leading folders, and any picture ending (.png before the others)."""
    if not anonymized.is_dir():
        raise InputError(f"{anonymized}: no such folder (anonymised pictures); correct the path.")
    rank = {ending: place for place, ending in enumerate(PICTURE_ENDINGS)}
    copies: dict[str, Path] = {}
    for path in sorted(pictures_in(anonymized), key=lambda p: rank[p.suffix.lower()]):
        copies.setdefault(path.relative_to(anonymized).with_suffix("").as_posix(), path)
    copied: list[Item] = []
    missing: list[Excluded] = []
    for probe in probes:
        inside = probe.path.is_relative_to(folder)  # else the manifest names it absolutely
        path = probe.path.relative_to(folder) if inside else probe.path
        parts = path.with_suffix("").parts
        tails = ("/".join(parts[start:]) for start in range(len(parts)))
        copy = next((copies[tail] for tail in tails if tail in copies), None)
        if copy is None:
            reason = "no anonymised copy of it was given; anonymise it too"
            missing.append(Excluded(probe.image_id, "probe", probe.path, reason))
        else:
            copied.append(replace(probe, path=copy, original=probe.original or probe.path))
    return _with_sidecar(tuple(copied), anonymized), tuple(missing)


def _folders(picture: Path, root: Path) -> list[Path]:
    """Folders in which a picture's sidecar may stand: its own, and those above it below `root`."""
    return [above for above in picture.parents if above.is_relative_to(root)] or [picture.parent]


def _with_sidecar(probes: tuple[Item, ...], folder: Path) -> tuple[Item, ...]:
    sidecar = read_sidecar(folder)
    if sidecar is None:
        return probes
    known = {folder / picture.path: picture for picture in sidecar.pictures}

    def informed(item: Item) -> Item:
        picture = known.get(item.path)
        if picture is None:
            return item
        return replace(
            item,
            spec=picture.spec or sidecar.spec,
            regions=picture.region,
            face_width=picture.face_width,
        )

    return tuple(map(informed, probes))


def _with_originals(
    dataset: Dataset, anonymized: Path | None, folder: Path, bounds: Bounds
) -> Dataset:
    items, excluded = read_folder(folder, "probe", bounds)
    lost = tuple(replace(e, role="original") for e in excluded)
    manifest = any(probe.row is not None for probe in dataset.probes)
    probes, told = match_by_name(
        dataset.probes, None if manifest else anonymized, folder, [item.path for item in items]
    )
    return replace(dataset, probes=probes, originals=told, excluded=dataset.excluded + lost)
