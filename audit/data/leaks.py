"""What lies beside the pixels in the probes' files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from reid_audit.attacks.residue import Residue, gravest
from reid_audit.audit.data.items import Item
from reid_audit.metrics.errors import InputError

Progress = Callable[[int, int], None]
"""Called with files done and files in all."""


@dataclass(frozen=True)
class Leaks:
    """File leaks of the probes: per kind, how many files and the gravest example."""

    files: int
    by_kind: Mapping[str, tuple[int, Residue]]

    @classmethod
    def inspect(
        cls,
        probes: Iterable[Item],
        inspect: Callable[..., tuple[Residue, ...]],
        workers: int = 1,
        progress: Progress | None = None,
    ) -> Leaks:
        """Check every probe file once, in `workers` threads; unreadable ones were counted
        elsewhere."""
        counts: dict[str, int] = {}
        worst: dict[str, Residue] = {}
        regions = {probe.path: probe.regions for probe in probes}

        def search(path: Path) -> dict[str, Residue]:
            try:
                return gravest(inspect(path, regions=regions[path]))
            except InputError:
                return {}

        with ThreadPoolExecutor(workers) as pool:
            for done, residues in enumerate(pool.map(search, sorted(regions)), start=1):
                counts.update({kind: counts.get(kind, 0) + 1 for kind in residues})
                worst = gravest((*worst.values(), *residues.values()))
                if progress is not None:
                    progress(done, len(regions))
        return cls(len(regions), {kind: (counts[kind], worst[kind]) for kind in sorted(worst)})
