"""The machine that a run works on."""

from __future__ import annotations

import resource


def resolve_device(wanted: str) -> str:
    """`auto` becomes cuda where there is one."""
    if wanted != "auto":
        return wanted
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def peak_memory_mib() -> float:
    """Largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
