"""Development people from LFW, none of them among the benchmark's 299:

    python -m benchmarks.development ../shared/data DEV

Writes DEV/dev.csv and copies of its pictures: 150 of the 330 background people with at least three
pictures (seed 7), two of each as probes and the rest as their gallery; everybody else's pictures
are background.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd

PEOPLE, PROBES, LEAST, SEED = 150, 2, 3, 7


def main(data: Path, out: Path) -> None:
    table = pd.read_csv(data / "lfw.csv", keep_default_na=False, dtype=str)
    table = table[table.role == "background"].sort_values("image_id")
    counts = table.groupby("identity").size()
    order = np.random.default_rng(SEED).permutation(sorted(counts[counts >= LEAST].index))
    chosen = table.identity.isin(order[:PEOPLE])
    first = table.groupby("identity").cumcount() < PROBES
    roles = np.where(chosen & first, "probe", np.where(chosen, "gallery", "background"))
    for path in table.path:
        target = out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(data / path, target)
    table.assign(role=roles).to_csv(out / "dev.csv", index=False)
    print(pd.Series(roles).value_counts().to_string())


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
