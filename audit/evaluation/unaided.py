"""What an attacker without sidecar and originals would have found out about tool and setting.

Where a record states how pictures were anonymised, or originals settle it, attacks are given that
setting. Whether keeping it secret would have helped is a question of its own, asked here: probes
are identified from their pixels alone, and the estimates stand beside the truth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from reid_audit.attacks.anonymisation import Identification, identify, read_encoded
from reid_audit.attacks.operators.blur import rule_kernel
from reid_audit.audit.data import decode
from reid_audit.audit.probes.condition import Group
from reid_audit.audit.results.schema import Unaided
from reid_audit.metrics.sampling import evenly

SIDES: Mapping[str, tuple[str, str]] = {
    "gaussian": ("sigma_x", "sigma_y"),
    "box": ("box_x", "box_y"),
    "pixelate": ("block_x", "block_y"),
    "downscale": ("factor_x", "factor_y"),
}
"""By family, the lengths that identification tells along x and y, in pixels."""
Progress = Callable[[str, int, int], None]
AT_MOST = 8
"""Probes of a condition that are identified: each takes about half a second."""
_SIZES: Mapping[str, tuple[str, str]] = {
    "gaussian": ("kernel_size", "kernel_size"),
    "pixelate": ("b", "block_x"),
}
"""By family, where the operator and the identification keep the size in pixels."""


def unaided(group: Group, progress: Progress) -> Unaided | None:
    """Identify a few probes of a group without its record, or all that originals settled; None
    where there is neither."""
    if group.settled:
        return _beside_originals(group.settled)
    operator = group.operator
    if operator is None or group.anonymizer.source == "identified":
        return None
    picks = evenly(len(group), AT_MOST)
    true, seen = _SIZES.get(operator.family, ("", ""))
    # A tool whose setting grows with the region has no size of its own to stand beside.
    size = float(operator.parameters[true]) if true in operator.parameters else None
    right, sizes = 0, []
    for done, pick in enumerate(picks, start=1):
        path = group.faces[int(pick)].item.path
        identification = identify(decode(path), read_encoded(path))
        progress(f"identifying without the record, {group.title}", done, len(picks))
        if identification.family == operator.family:
            right += 1
            if size is not None and identification.parameters.get(seen) is not None:
                sizes.append(round(float(identification.parameters[seen]), 2))
    return Unaided(tried=len(picks), right=right, true_size=size, sizes=sizes)


def _beside_originals(settled: Sequence[tuple[Identification, Identification]]) -> Unaided:
    """Sizes as on a region of typical size, since settings may grow with the region."""
    right = [(truth, alone) for truth, alone in settled if truth.family == alone.family]
    sizes = [(a, b) for a, b in ((_size(truth), _size(alone)) for truth, alone in right) if a and b]
    typical = float(np.median([true for true, _ in sizes])) if sizes else None
    return Unaided(
        tried=len(settled),
        right=len(right),
        true_size=None if typical is None else round(typical, 2),
        sizes=[round(typical * seen / true, 2) for true, seen in sizes] if typical else [],
    )


def _size(answer: Identification) -> float | None:
    """Kernel or block size in pixels, None where the family has none."""
    names = SIDES.get(answer.family, ())
    sides = [answer.parameters.get(name) for name in names]
    known = [float(side) for side in sides if isinstance(side, int | float) and side > 0]
    if not known:
        return None
    size = math.exp(float(np.mean(np.log(known))))
    return float(rule_kernel(size)) if answer.family == "gaussian" else size
