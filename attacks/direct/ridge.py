"""A closed-form linear map from what is left of an embedding to the clear embedding."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from sklearn.linear_model import RidgeCV

from reid_audit.attacks.interface import (
    AnonymizedFaces,
    AttackInfo,
    AttackOutput,
    BaseAttack,
    Context,
    Reference,
    require_fitted,
)
from reid_audit.attacks.linear.views import View, Views
from reid_audit.attacks.vectors import per_person, unit

PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0)


class Ridge(BaseAttack):
    """Least squares from the embeddings of the anonymised and of the Wiener-restored face to the
    embedding of the clear face; seconds of training, no network.

    The penalty is chosen by leave-one-out error on the training faces (closed form). A probe's
    score is the mean of two cosines: to the clear gallery, and to the gallery put through the same
    operator and the same map, in which the map's own errors are shared by both sides.
    """

    info: ClassVar[AttackInfo] = AttackInfo(
        name="ridge",
        title="Linear embedding restoration",
        version=2,
        needs=frozenset({"gallery", "background", "operator"}),
        yields=frozenset({"embeddings", "scores"}),
        trained=True,
    )

    def fit(self, reference: Reference, context: Context) -> Self:
        """Fit the map on the training faces and keep two templates per person, clear and mapped."""
        self.views_ = Views.of(reference, context)
        clear, anonymized, restored = (
            unit(self.views_.embeddings(reference.faces, view)) for view in View
        )
        seen = np.hstack([anonymized, restored])
        rows, gallery = list(reference.training), list(reference.gallery)
        self.centre_ = clear[rows].mean(axis=0)
        self.map_ = RidgeCV(alphas=PENALTIES).fit(seen[rows], clear[rows] - self.centre_)
        who = reference.gallery_identities, reference.people
        self.clear_templates_ = per_person(clear[gallery] - self.centre_, *who)
        self.mapped_templates_ = per_person(self._map(seen[gallery]), *who)
        return self

    def run(self, probes: AnonymizedFaces, context: Context) -> AttackOutput:
        """Mapped embeddings `(N, d)` and scores `(N, G)`, float32."""
        require_fitted(self)
        views = View.ANONYMIZED, View.RESTORED
        seen = np.hstack([unit(self.views_.probe_embeddings(probes, view)) for view in views])
        mapped = self._map(seen)
        scores = (mapped @ self.clear_templates_.T + mapped @ self.mapped_templates_.T) / 2
        embeddings = (mapped + self.centre_).astype(np.float32)
        return AttackOutput(embeddings=embeddings, scores=scores.astype(np.float32))

    def _map(self, seen: np.ndarray) -> np.ndarray:
        # In float64, so that the number of rows changes no digit that is kept.
        return unit(self.map_.predict(seen.astype(np.float64)))
