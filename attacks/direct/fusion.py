"""Several attacks' scores made one, each weighted by what it is worth on people held out."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

import numpy as np
from annotated_types import Ge
from scipy.optimize import minimize
from scipy.special import logsumexp

from reid_audit.attacks.interface import (
    AnonymizedFaces,
    Attack,
    AttackInfo,
    AttackOutput,
    BaseAttack,
    ClearFaces,
    Context,
    Reference,
    require_fitted,
)
from reid_audit.attacks.networks.distillation import EPOCHS
from reid_audit.attacks.options import option
from reid_audit.attacks.registry import make_attack

MEMBERS = ("degraded-gallery", "ridge", "student")
HELD_OUT = 150
HELD_OUT_SHARE = 0.1
"""People, and share of the background's people, at most, on whom the weights are fitted: the
members must lose little to learn from."""


@dataclass(frozen=True)
class FusionOptions:
    """What can be set about a fusion."""

    epochs: Annotated[int, Ge(1)] = option(EPOCHS, "how often its student sees each face")


class Fusion(BaseAttack):
    """The ladder's scores, standardised per probe and summed with the weights under which people
    who were kept out of all training are named most surely. Summed with equal weights, a weak
    member costs more than it brings."""

    info: ClassVar[AttackInfo] = AttackInfo(
        name="fusion",
        title="Fusion of the ladder",
        version=2,
        needs=frozenset({"gallery", "background", "operator", "trainable"}),
        yields=frozenset({"scores"}),
        trained=True,
    )
    Options = FusionOptions
    options: FusionOptions

    def fit(self, reference: Reference, context: Context) -> Self:
        """Fit the members on all but some people, and choose weights by how these are named;
        without such people all weights are 1."""
        held = hold_out(reference)
        own = {"student": {"epochs": self.options.epochs}}
        self.members_: list[Attack] = [
            make_attack(name, own.get(name, {})).fit(held.reference, context) for name in MEMBERS
        ]
        column = {person: index for index, person in enumerate(held.reference.people)}
        self.columns_ = np.array([column[person] for person in reference.people])
        self.weights_ = np.ones(len(MEMBERS))
        if held.probes:
            faces = reference.faces.select(held.probes)
            scores = self._standardised(anonymize(faces, context), context)
            self.weights_ = likeliest_weights(scores, [column[who] for who in faces.identities])
        return self

    def run(self, probes: AnonymizedFaces, context: Context) -> AttackOutput:
        """Scores `(N, G)` float32: the weighted sum of the members' standardised scores."""
        require_fitted(self)
        scores = self._standardised(probes, context)
        fused = np.tensordot(self.weights_, scores, axes=1)[:, self.columns_]
        return AttackOutput(scores=fused.astype(np.float32))

    def _standardised(self, probes: AnonymizedFaces, context: Context) -> np.ndarray:
        """`(K, N, G)`: every member's scores, of mean 0 and deviation 1 within each probe."""
        standardised = []
        for member in self.members_:
            scores = member.run(probes, context).scores
            assert scores is not None, "members yield scores"
            scores = scores.astype(np.float64)
            spread = scores.std(axis=1, keepdims=True)
            standardised.append(
                (scores - scores.mean(axis=1, keepdims=True)) / np.maximum(spread, 1e-12)
            )
        return np.stack(standardised)


@dataclass(frozen=True)
class HeldOut:
    """reference: with `probes`, one picture of each person held out, in no training and no gallery;
    their other pictures stand in the gallery."""

    reference: Reference
    probes: tuple[int, ...]


def hold_out(reference: Reference) -> HeldOut:
    """Keep a few background people with two pictures or more out of training."""
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row in reference.background:
        rows[reference.faces.identities[row]].append(row)
    count = min(HELD_OUT, int(HELD_OUT_SHARE * len(rows)))
    people = [person for person in sorted(rows) if len(rows[person]) > 1][:count]
    probes = tuple(rows[person][-1] for person in people)
    unseen = {row for person in people for row in rows[person]}
    gallery = dict.fromkeys([*reference.gallery, *sorted(unseen)])
    return HeldOut(
        Reference(
            reference.faces,
            tuple(row for row in gallery if row not in probes),
            tuple(row for row in reference.background if row not in unseen),
            reference.world,
            reference.spare,
        ),
        probes,
    )


def anonymize(faces: ClearFaces, context: Context) -> AnonymizedFaces:
    """Reference faces as probes: what the attacker believes was done, done to them."""
    made = [
        context.forward.degrade(faces.load(i), faces.landmarks[i], context.rng(faces.ids[i]))
        for i in range(len(faces))
    ]
    pictures, landmarks, regions = zip(*made, strict=True)
    return AnonymizedFaces(faces.ids, pictures, np.stack(landmarks), np.stack(regions))


def likeliest_weights(scores: np.ndarray, mates: list[int]) -> np.ndarray:
    """Weights `(K,)`, none negative, of the largest likelihood of the mates under a softmax.

    A Gaussian prior of deviation 1 about equal weights speaks where there are few probes.

    Args:
        scores: `(K, N, G)` standardised.
        mates: column of each probe's person.
    """
    own = scores[:, np.arange(len(mates)), mates]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        fused = np.tensordot(weights, scores, axes=1)
        norm = logsumexp(fused, axis=1, keepdims=True)
        expected = np.einsum("ng,kng->kn", np.exp(fused - norm), scores)
        value = (norm[:, 0] - weights @ own).sum() + ((weights - 1) ** 2).sum() / 2
        return float(value), (expected - own).sum(axis=1) + weights - 1

    start = np.ones(len(scores))
    optimum = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(scores))
    return np.asarray(optimum.x)
