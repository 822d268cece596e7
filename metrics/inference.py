"""How well an attribute is told from a face: balanced accuracy, with people as the unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reid_audit.metrics.stats.estimate import Estimate
from reid_audit.metrics.stats.proportion import one_per_identity
from reid_audit.metrics.stats.resampling import PermutationTest, Statistic, bootstrap_interval

Floats = NDArray[np.float64]
SHUFFLES = 999


def balanced_accuracy_statistic(truth: ArrayLike, told: ArrayLike) -> Statistic:
    """Weighted mean over the classes of `truth` of the share told rightly; NaN where the weights
    leave a class without an observation.

    Args:
        truth, told: `(B,)` the class of each observation, and what was said.

    >>> statistic = balanced_accuracy_statistic(["a", "a", "a", "b"], ["a", "a", "b", "b"])
    >>> statistic(np.ones((1, 4))).round(3).tolist()
    [0.833]
    """
    classes, place = np.unique(np.asarray(truth), return_inverse=True)
    member = (place[:, None] == np.arange(len(classes))).astype(float)
    right = (np.asarray(truth) == np.asarray(told))[:, None] * member

    def statistic(weights: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            shares: Floats = (weights @ right) / (weights @ member)
        return np.asarray(shares.mean(axis=1))

    return statistic


def balanced_accuracy(
    truth: ArrayLike, told: ArrayLike, people: ArrayLike, *, alpha: float = 0.05, seed: int = 0
) -> Estimate:
    """Balanced accuracy `1/K` by a blind guess among K classes; interval over people.

    Args:
        people: `(B,)` who each observation is of.
    """
    statistic = balanced_accuracy_statistic(truth, told)
    return bootstrap_interval(statistic, people, alpha=alpha, seed=seed)


def accuracy_gain(
    truth: ArrayLike,
    told: ArrayLike,
    control: ArrayLike,
    people: ArrayLike,
    *,
    alpha: float = 0.05,
    seed: int = 0,
) -> Estimate:
    """Balanced accuracy of `told` less that of `control` `(B,)`, people drawn for both at once."""
    first = balanced_accuracy_statistic(truth, told)
    second = balanced_accuracy_statistic(truth, control)
    return bootstrap_interval(lambda w: first(w) - second(w), people, alpha=alpha, seed=seed)


def guess_test(
    truth: ArrayLike,
    told: ArrayLike,
    people: ArrayLike,
    *,
    seed: int = 0,
    keys: Sequence[Any] | None = None,
) -> PermutationTest:
    """Whether one random observation of each person is told better than by chance: the balanced
    accuracy against its values when who has which attribute is shuffled.

    Args:
        keys: see `one_per_identity`.
    """
    drawn = one_per_identity(people, seed=seed, keys=keys)
    own, said = np.asarray(truth)[drawn], np.asarray(told)[drawn]
    rng = np.random.default_rng(seed)
    classes, place = np.unique(own, return_inverse=True)
    orders = np.stack([np.arange(len(own)), *(rng.permutation(len(own)) for _ in range(SHUFFLES))])
    shuffled, right = place[orders], classes[place][orders] == said
    shares = [
        ((shuffled == number) & right).sum(axis=1) / np.count_nonzero(place == number)
        for number in range(len(classes))
    ]
    values = np.mean(shares, axis=0)
    return PermutationTest.of(float(values[0]), values[1:])
