"""A student that was distilled before the run, scored like the one that is trained in it."""

from __future__ import annotations

from functools import partial
from typing import Self

import numpy as np

from reid_audit.attacks.checkpoint import Checkpoint
from reid_audit.attacks.direct.trained import EVALUATIONS, Seer, teacher_place
from reid_audit.attacks.interface import AnonymizedFaces, AttackOutput, Context, Reference
from reid_audit.attacks.linear.views import embed_clear
from reid_audit.attacks.training.student import StudentNetwork
from reid_audit.attacks.vectors import per_person, unit


class TrainedStudent:
    """Of a probe's score `clear_share` is the cosine to the clear gallery, the rest the cosine to
    the gallery as the student sees it anonymised; each about the mean of its side. A student that
    learnt from pairs of a black box is compared with the clear gallery alone."""

    def __init__(self, checkpoint: Checkpoint, clear_share: float) -> None:
        self.checkpoint, self.clear_share = checkpoint, clear_share

    def fit(self, reference: Reference, context: Context) -> Self:
        """Look at the gallery, clear and anonymised.

        Raises:
            NotApplicable: another recogniser taught the student than the one that scores.
        """
        self.place_ = teacher_place(self.checkpoint, (context.recognizer,))
        dimensions = [int(t["dimension"]) for t in self.checkpoint.card.config["teachers"]]
        make = partial(StudentNetwork, dimensions=dimensions)
        self.seer_ = Seer.of(self.checkpoint, make, reference, context)
        gallery, rows = list(reference.gallery), list(reference.training)
        who = reference.gallery_identities, reference.people
        clear = unit(embed_clear(reference.faces, context))
        self.centre_ = clear[rows or gallery].mean(axis=0)
        self.clear_templates_ = per_person(clear[gallery] - self.centre_, *who)
        self.seen_centre_, self.seen_templates_ = self.centre_, self.clear_templates_
        if self.seer_.pairs is None:
            seen = self._answers(self.seer_.embed_anonymized(reference.faces.select(gallery)))
            self.seen_centre_ = seen.mean(axis=0)
            self.seen_templates_ = per_person(seen - self.seen_centre_, *who)
        return self

    def run(self, probes: AnonymizedFaces) -> AttackOutput:
        """Embeddings in the scoring recogniser's space, and scores."""
        embedded = self._answers(self.seer_.embed(probes))
        centred = unit(embedded - self.seen_centre_)
        clear, seen = centred @ self.clear_templates_.T, centred @ self.seen_templates_.T
        scores = self.clear_share * clear + (1 - self.clear_share) * seen
        return AttackOutput(
            embeddings=embedded,
            scores=scores.astype(np.float32),
            network_evaluations=EVALUATIONS * len(probes),
        )

    def _answers(self, every: np.ndarray) -> np.ndarray:
        """The scoring recogniser's part of what the student answers, unit `(N, d)`."""
        return unit(every[:, self.place_])
