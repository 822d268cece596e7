"""Match in the anonymised domain: blur the gallery too."""

from __future__ import annotations

from typing import ClassVar, Self

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


class DegradedGallery(BaseAttack):
    """Put the gallery through the identified operator and compare like with like.

    The idea is parrot recognition without training (McPherson et al. 2016, Newton et al. 2005).
    Cosines are taken about the mean degraded face: blur makes all faces alike, and the common part
    says nothing about who it is.
    """

    info: ClassVar[AttackInfo] = AttackInfo(
        name="degraded-gallery",
        title="Degraded gallery",
        version=1,
        needs=frozenset({"gallery", "operator"}),
        yields=frozenset({"scores"}),
        paper="Newton, Sweeney, Malin 2005, parrot recognition",
    )

    def fit(self, reference: Reference, context: Context) -> Self:
        """Put the gallery through the operator and keep one template per person."""
        self.views_ = Views.of(reference, context)
        seen = unit(self.views_.embeddings(reference.faces, View.ANONYMIZED))[
            list(reference.gallery)
        ]
        self.centre_ = seen.mean(axis=0)
        self.templates_ = per_person(
            seen - self.centre_, reference.gallery_identities, reference.people
        )
        return self

    def run(self, probes: AnonymizedFaces, context: Context) -> AttackOutput:
        """Scores `(N, G)`: cosines of the probes to the templates, about the mean degraded face."""
        require_fitted(self)
        centred = unit(self.views_.probe_embeddings(probes, View.ANONYMIZED)) - self.centre_
        return AttackOutput(scores=unit(centred) @ self.templates_.T)
