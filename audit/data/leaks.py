"""What lies beside the pixels in the probes' files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from reid_audit.attacks.residue import Residue
from reid_audit.audit.data.items import Item
from reid_audit.metrics.errors import InputError


@dataclass(frozen=True)
class Leaks:
    """File leaks of the probes: per kind, how many files and the gravest example."""

    files: int
    by_kind: Mapping[str, tuple[int, Residue]]

    @classmethod
    def inspect(
        cls, probes: Iterable[Item], inspect: Callable[[Path], tuple[Residue, ...]]
    ) -> Leaks:
        """Check every probe file once; unreadable ones were counted elsewhere."""
        counts: dict[str, tuple[int, Residue]] = {}
        paths = sorted({probe.path for probe in probes})
        for path in paths:
            try:
                residues = inspect(path)
            except InputError:
                continue
            for residue in {r.kind: r for r in residues}.values():
                before, example = counts.get(residue.kind, (0, residue))
                counts[residue.kind] = before + 1, example
        return cls(len(paths), dict(sorted(counts.items())))
