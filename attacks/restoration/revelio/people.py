"""The known people, as rounds are compared with them: by each picture or by a mean of theirs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reid_audit.attacks.interface import Context
from reid_audit.attacks.recognition.similarity import identity_templates
from reid_audit.attacks.restoration.revelio.vote import by_person
from reid_audit.attacks.vectors import unit


@dataclass(frozen=True, eq=False)
class Gallery:
    """Clear embeddings `(M, d)` of known people, whom each shows, and the people in order."""

    embeddings: np.ndarray
    identities: tuple[str, ...]
    people: tuple[str, ...]
    context: Context

    def normal(self, embeddings: np.ndarray) -> np.ndarray:
        """As they may be averaged: of unit length where the recogniser compares angles."""
        if self.context.recognizer.distance != "cosine":
            return embeddings
        return unit(embeddings.reshape(-1, embeddings.shape[-1])).reshape(embeddings.shape)

    def to_people(self, embeddings: np.ndarray) -> np.ndarray:
        """Similarity `(..., G)` to the nearest picture of each person."""
        return by_person(
            self._similarity(embeddings, self.embeddings), self.identities, self.people
        )

    def to_templates(self, embeddings: np.ndarray) -> np.ndarray:
        """Similarity `(..., G)` to the mean of each person's pictures."""
        distance = self.context.recognizer.distance
        templates, _ = identity_templates(self.embeddings, self.identities, distance)
        return self._similarity(embeddings, templates)

    def _similarity(self, embeddings: np.ndarray, others: np.ndarray) -> np.ndarray:
        flat = embeddings.reshape(-1, embeddings.shape[-1])
        similarity = self.context.recognizer.similarity(flat, others)
        return similarity.reshape(*embeddings.shape[:-1], len(others))

    def without(self, person: str) -> Gallery:
        """Everybody else."""
        kept = [row for row, who in enumerate(self.identities) if who != person]
        people = tuple(who for who in self.people if who != person)
        who = tuple(self.identities[row] for row in kept)
        return Gallery(self.embeddings[kept], who, people, self.context)

    def joined(self, embeddings: np.ndarray, person: str) -> Gallery:
        """With pictures of one more person."""
        return Gallery(
            np.concatenate([self.embeddings, embeddings]),
            (*self.identities, *[person] * len(embeddings)),
            tuple(sorted((*self.people, person))),
            self.context,
        )
