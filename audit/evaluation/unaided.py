"""What an attacker without the sidecar would have found out about tool and setting.

Where a record states how pictures were anonymised, attacks are given that setting. Whether keeping
it secret would have helped is a question of its own, asked here: a few probes are identified from
their pixels alone, and the estimates stand beside the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reid_audit.attacks.anonymisation import identify, read_encoded
from reid_audit.audit.data import decode
from reid_audit.audit.probes.condition import Group
from reid_audit.audit.results.schema import Unaided
from reid_audit.metrics.sampling import evenly

Progress = Callable[[str, int, int], None]
AT_MOST = 8
"""Probes of a condition that are identified: each takes about half a second."""
_SIZES: Mapping[str, tuple[str, str]] = {
    "gaussian": ("kernel_size", "kernel_size"),
    "pixelate": ("b", "block_x"),
}
"""By family, where the operator and the identification keep the size in pixels."""


def unaided(group: Group, progress: Progress) -> Unaided | None:
    """Identify a few probes of a group without its record; None where there is no record."""
    operator = group.operator
    if operator is None or group.anonymizer.source == "identified":
        return None
    picks = evenly(len(group), AT_MOST)
    true, seen = _SIZES.get(operator.family, (None, ""))
    right, sizes = 0, []
    for done, pick in enumerate(picks, start=1):
        path = group.faces[int(pick)].item.path
        found = identify(decode(path), read_encoded(path))
        progress(f"identifying without the record, {group.title}", done, len(picks))
        if found.family == operator.family:
            right += 1
            if true is not None and found.parameters.get(seen) is not None:
                sizes.append(round(float(found.parameters[seen]), 2))
    size = float(operator.parameters[true]) if true in operator.parameters else None
    return Unaided(tried=len(picks), right=right, true_size=size, sizes=sizes)
