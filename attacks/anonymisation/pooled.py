"""One answer for a batch of pictures that came from one tool."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from reid_audit.attacks.anonymisation.estimate import identify
from reid_audit.attacks.anonymisation.result import Identification, PooledIdentification, with_codec
from reid_audit.attacks.operators.blur import rule_kernel
from reid_audit.metrics.errors import InputError

TOLERANCE = 0.2
"""Relative difference of a length up to which two pictures may come from one setting."""

_LENGTHS = {
    "gaussian": ("sigma_x", "sigma_y"),
    "box": ("box_x", "box_y"),
    "pixelate": ("block_x", "block_y"),
}


def identify_batch(pictures: Sequence[np.ndarray]) -> PooledIdentification:
    """Identify pictures `(H, W, 3)` uint8 together.

    Pictures that agree in family and, within `TOLERANCE`, in their lengths make a cluster.

    Raises:
        InputError: no picture at all.
    """
    return pool([identify(picture) for picture in pictures])


def pool(members: Sequence[Identification]) -> PooledIdentification:
    """Pool identifications that were made one by one.

    Raises:
        InputError: none given.
    """
    if not members:
        raise InputError("identify_batch: no pictures given; pass at least one.")
    clusters = _clusters(members)
    largest = [members[i] for i in clusters[0]]
    return PooledIdentification(_consensus(largest), tuple(members), clusters)


def _lengths(member: Identification) -> np.ndarray:
    names = _LENGTHS.get(member.family, ())
    return np.log(np.maximum([member.parameters[n] for n in names], 0.1))


def _clusters(members: Sequence[Identification]) -> tuple[tuple[int, ...], ...]:
    families: dict[str, list[int]] = defaultdict(list)
    for index, member in enumerate(members):
        families[member.family].append(index)
    clusters: list[list[int]] = []
    for indices in families.values():
        lengths = np.array([_lengths(members[i]) for i in indices])
        left = np.ones(len(indices), bool)
        while left.any():
            if lengths.shape[1] == 0:
                near = left.copy()
            else:
                distance = np.abs(lengths[:, None] - lengths[None]).max(axis=2)
                close = (distance < TOLERANCE) & left[:, None] & left[None]
                near = close[np.argmax(close.sum(axis=1))]
            clusters.append([indices[i] for i in np.flatnonzero(near)])
            left &= ~near
    return tuple(tuple(c) for c in sorted(clusters, key=lambda c: (-len(c), c[0])))


def _consensus(members: Sequence[Identification]) -> Identification:
    """The first member with its numbers replaced: means weighted by inverse variance, which is
    where the sum of the members' log likelihoods is largest, or medians."""
    first = members[0]
    parameters: dict[str, Any] = dict(first.parameters)
    for name in _LENGTHS.get(first.family, ()):
        values = np.array([m.parameters[name] for m in members], float)
        if f"{name}_sd" in parameters:
            weights = np.array([m.parameters[f"{name}_sd"] for m in members]) ** -2.0
            parameters[name] = float((weights * values).sum() / weights.sum())
            parameters[f"{name}_sd"] = float(weights.sum() ** -0.5)
        else:
            parameters[name] = type(first.parameters[name])(np.median(values))
    if first.family == "gaussian":
        parameters["kernel_size"] = max(3, rule_kernel(_geometric(parameters)))
    pooled = replace(
        first,
        parameters=parameters,
        confidence=float(np.mean([m.confidence for m in members])),
        codec=Counter(m.codec for m in members).most_common(1)[0][0],
        quality=_quality(members),
    )
    if first.spec is None:
        return pooled
    tool, *masks = (step for step in first.spec.split("|") if not step.startswith("jpeg:"))
    if tool.startswith("gaussian:"):
        same = parameters["sigma_x"] == parameters["sigma_y"]
        tool = (
            f"gaussian:k={parameters['kernel_size']}"
            if same
            else f"gaussian:sx={parameters['sigma_x']:.4g},sy={parameters['sigma_y']:.4g}"
        )
    return with_codec(replace(pooled, spec="|".join([tool, *masks])))


def _quality(members: Sequence[Identification]) -> int | None:
    """The middle quality of the JPEG that at least half of the members show."""
    found = sorted(m.quality for m in members if m.quality is not None)
    return found[len(found) // 2] if 2 * len(found) >= len(members) else None


def _geometric(parameters: dict[str, Any]) -> float:
    return float(np.sqrt(parameters["sigma_x"] * parameters["sigma_y"]))
