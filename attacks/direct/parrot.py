"""Parrot recognition: a classifier that learnt the gallery's people from anonymised pictures."""

from __future__ import annotations

import math
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from attacks.interface import AnonymizedFaces, AttackInfo, AttackOutput, Context, Reference
from attacks.vectors import per_person, unit
from attacks.views import View, Views

MARGIN = 0.5
SCALE = 32.0
EPOCHS = 30
BATCH = 256
RATE = 0.01


class Parrot:
    """Additive-angular-margin head (ArcFace, Deng et al. 2019, eq. 3) on the frozen recogniser's
    features of the anonymised gallery, as in Revelio's baseline (section 5.2); a probe's score for
    a person is the cosine to that person's class weight."""

    info: ClassVar[AttackInfo] = AttackInfo(
        name="parrot",
        title="Parrot recognition",
        version=1,
        needs=frozenset({"gallery", "operator"}),
        yields=frozenset({"scores"}),
        trained=False,
        paper="McPherson, Shokri, Shmatikov 2016; Revelio, section 5.2",
    )

    def fit(self, reference: Reference, context: Context) -> Self:
        self.views_ = Views.of(reference, context)
        seen = unit(self.views_.embeddings(reference.faces, View.ANONYMIZED))[
            list(reference.gallery)
        ]
        self.centre_ = seen.mean(axis=0)
        features = unit(seen - self.centre_)
        column = {person: index for index, person in enumerate(reference.people)}
        labels = np.array([column[person] for person in reference.gallery_identities])
        start = per_person(features, reference.gallery_identities, reference.people)
        self.weights_ = train_head(features, labels, start, context)
        return self

    def run(self, probes: AnonymizedFaces, context: Context) -> AttackOutput:
        found = unit(self.views_.probe_embeddings(probes, View.ANONYMIZED)) - self.centre_
        return AttackOutput(scores=unit(found) @ self.weights_.T)


def train_head(
    features: np.ndarray, labels: np.ndarray, start: np.ndarray, context: Context
) -> np.ndarray:
    """Unit class weights `(G, d)` from unit features `(N, d)`, labels `(N,)` and first weights."""
    order = np.random.default_rng(context.seed)
    weights = torch.tensor(start, dtype=torch.float32, requires_grad=True)
    optimizer = torch.optim.Adam([weights], lr=RATE)
    x, y = torch.from_numpy(features), torch.from_numpy(labels)
    for epoch in range(EPOCHS):
        for part in np.array_split(order.permutation(len(x)), max(1, len(x) // BATCH)):
            rows = torch.from_numpy(part)
            loss = cross_entropy(angular_margin(x[rows] @ normalize(weights).T, y[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        context.progress("training the parrot head", epoch + 1, EPOCHS)
    return normalize(weights.detach()).numpy()


def angular_margin(cosine: Tensor, labels: Tensor) -> Tensor:
    """Logits `(B, G)`: the true class must win by MARGIN radians."""
    theta = torch.acos(cosine.clamp(-1 + 1e-6, 1 - 1e-6))
    target = torch.nn.functional.one_hot(labels, cosine.shape[1]).bool()
    return SCALE * torch.where(target, torch.cos((theta + MARGIN).clamp(max=math.pi)), cosine)
