"""What lies beside the pixels in the probes' files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from reid_audit.attacks.residue import Residue, gravest
from reid_audit.audit.data.items import Item
from reid_audit.metrics.errors import InputError


@dataclass(frozen=True)
class Leaks:
    """File leaks of the probes: per kind, how many files and the gravest example."""

    files: int
    by_kind: Mapping[str, tuple[int, Residue]]

    @classmethod
    def inspect(cls, probes: Iterable[Item], inspect: Callable[..., tuple[Residue, ...]]) -> Leaks:
        """Check every probe file once; unreadable ones were counted elsewhere."""
        counts: dict[str, int] = {}
        worst: dict[str, Residue] = {}
        regions = {probe.path: probe.regions for probe in probes}
        for path in sorted(regions):
            try:
                residues = gravest(inspect(path, regions=regions[path]))
            except InputError:
                continue
            counts.update({kind: counts.get(kind, 0) + 1 for kind in residues})
            worst = gravest((*worst.values(), *residues.values()))
        return cls(len(regions), {kind: (counts[kind], worst[kind]) for kind in sorted(worst)})
