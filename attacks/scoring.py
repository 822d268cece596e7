"""From what an attack returned to scores: what it did not give is derived from what it gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_audit.attacks.interface import AnonymizedFaces, AttackOutput, Context, Reference
from reid_audit.attacks.linear.views import embed_clear
from reid_audit.attacks.pictures import Picture
from reid_audit.attacks.recognition.align import crop
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.recognition.similarity import identity_templates

Floats = NDArray[np.float32]
DIGITS = 5
"""Decimals of a score that are compared and kept: floating-point noise lies below."""


@dataclass(frozen=True, eq=False)
class Scorer:
    """Turns outputs into scores against the clear gallery of one recogniser.

    templates: `(G, d)`, one per person, columns as `people`.
    """

    recognizer: Recognizer
    templates: Floats
    people: tuple[str, ...]

    @classmethod
    def of(cls, recognizer: Recognizer, embeddings: Floats, identities: Sequence[str]) -> Scorer:
        """A scorer against gallery embeddings `(N, d)` and whom each shows."""
        templates, people = identity_templates(embeddings, identities, recognizer.distance)
        return cls(recognizer, templates, tuple(str(person) for person in people))

    @classmethod
    def against(cls, reference: Reference, context: Context) -> Scorer:
        """A scorer against the gallery of a reference, columns as `reference.people`."""
        gallery = reference.faces.select(reference.gallery)
        embeddings = embed_clear(gallery, context)
        return cls.of(context.recognizer, embeddings, reference.gallery_identities)

    def embed(self, pictures: Sequence[Picture], landmarks: Floats) -> Floats:
        """Embeddings `(N, d)` of windows."""
        return self.recognizer.embed(crop(list(pictures), landmarks, self.recognizer.template))

    def complete(
        self, output: AttackOutput, probes: AnonymizedFaces
    ) -> tuple[Floats, Floats | None]:
        """Scores `(N, G)`, rounded, and embeddings `(N, d)` if there are any: what the attack did
        not give is derived from what it gave."""
        embeddings, scores = output.embeddings, output.scores
        if embeddings is None and output.restored is not None:
            embeddings = self.embed(output.restored, probes.landmarks)
        if scores is None:
            if embeddings is None:
                raise ValueError("an attack must return restored pictures, embeddings or scores")
            scores = self.recognizer.similarity(embeddings, self.templates)
        if scores.shape != (len(probes), len(self.people)):
            raise ValueError(
                f"scores must be {(len(probes), len(self.people))}, not {scores.shape}"
            )
        return np.round(scores.astype(np.float64), DIGITS).astype(np.float32), embeddings

    def mates(self, identities: Sequence[str | None]) -> NDArray[np.intp]:
        """Column of each probe's own person, -1 where the gallery lacks them."""
        column = {person: index for index, person in enumerate(self.people)}
        return np.array([column.get(i, -1) if i else -1 for i in identities], dtype=np.intp)
