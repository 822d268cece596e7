"""Exact search in a gallery that lies in a file: time and memory, up to a million people.

Usage: python -m benchmarks.search --gallery 1000000 --probes 512

Unit vectors drawn at random, one a person; probes are those of some people with noise added. Every
probe is compared with everybody, exactly, in batches as a scan does it.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from reid_audit.attacks.recognition.similarity import similarity
from reid_audit.metrics.identification import rank

DRAWN = 50_000
"""Rows of the gallery that are drawn together."""


def drawn(path: Path, people: int, dimensions: int, rng: np.random.Generator) -> np.ndarray:
    """A gallery `(people, dimensions)` float32 in a file."""
    gallery = np.lib.format.open_memmap(path, "w+", np.float32, (people, dimensions))
    for start in range(0, people, DRAWN):
        part = rng.standard_normal((min(DRAWN, people - start), dimensions), np.float32)
        gallery[start : start + DRAWN] = part / np.linalg.norm(part, axis=1, keepdims=True)
    gallery.flush()
    return np.load(path, mmap_mode="r")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gallery", type=int, default=1_000_000)
    parser.add_argument("--probes", type=int, default=512)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--dimensions", type=int, default=512)
    parser.add_argument("--noise", type=float, default=0.15)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        gallery = drawn(Path(folder) / "gallery.npy", given.gallery, given.dimensions, rng)
        mates = rng.integers(given.gallery, size=given.probes)
        noise = rng.standard_normal((given.probes, given.dimensions), np.float32)
        probes = gallery[mates] + np.float32(given.noise) * noise
        wall, cpu, hits = time.perf_counter(), time.process_time(), 0.0
        for start in range(0, given.probes, given.batch):
            part = slice(start, start + given.batch)
            hits += rank(similarity(probes[part], gallery), mates[part]).hits().sum()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    head = (
        "gallery",
        "probes",
        "rank-1",
        "s",
        "CPU s",
        "ms a probe",
        "peak MiB, mapped pages in it",
    )
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    print(
        f"| {given.gallery:,} x {given.dimensions} | {given.probes} | {hits / given.probes:.3f} | "
        f"{wall:.1f} | {cpu:.1f} | {1000 * cpu / given.probes:.0f} | {peak:,.0f} |"
    )


if __name__ == "__main__":
    main()
