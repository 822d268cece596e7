"""No attack at all: recognise the anonymised picture as it is."""

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


class Naive(BaseAttack):
    """The recogniser on the anonymised pictures: what a passer-by with software gets."""

    info: ClassVar[AttackInfo] = AttackInfo(
        name="naive",
        title="Bare recogniser",
        version=1,
        needs=frozenset({"gallery"}),
        yields=frozenset({"restored"}),
    )

    def fit(self, reference: Reference, context: Context) -> Self:
        """There is nothing to learn."""
        self.people_ = reference.people
        return self

    def run(self, probes: AnonymizedFaces, context: Context) -> AttackOutput:
        """The probes' own pictures as restored ones."""
        require_fitted(self)
        return AttackOutput(restored=probes.pictures)
