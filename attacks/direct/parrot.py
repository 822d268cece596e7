"""Parrot recognition: a classifier that learnt the gallery's people from anonymised pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

import numpy as np
from annotated_types import Ge

from reid_audit.attacks.direct.trained import EVALUATIONS, Seer
from reid_audit.attacks.direct.tuning import EPOCHS, tune
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
from reid_audit.attacks.networks.arcface import train_head
from reid_audit.attacks.networks.distillation import Network, refuse_constant
from reid_audit.attacks.options import option
from reid_audit.attacks.training.parrot import ParrotEmbedder
from reid_audit.attacks.vectors import per_person, unit

PAPER = "McPherson, Shokri, Shmatikov 2016; Revelio, section 5.2"


class Parrot(BaseAttack):
    """Additive-angular-margin head (ArcFace, Deng et al. 2019, eq. 3) on features of the anonymised
    gallery, as in Revelio's baseline (section 5.2); a probe's score for a person is the cosine to
    that person's class weight. Features are the frozen recogniser's or, given a checkpoint of
    `reid-audit train parrot`, those of the recogniser fine-tuned end to end. One that learnt from
    pairs of a black box is compared with the clear gallery: there is nothing to put it through."""

    info: ClassVar[AttackInfo] = AttackInfo(
        name="parrot",
        title="Parrot recognition",
        version=2,
        needs=frozenset({"gallery", "operator"}),
        yields=frozenset({"scores"}),
        trained=False,
        paper=PAPER,
        from_pairs=True,
    )
    seer_: Seer | None = None

    def fit(self, reference: Reference, context: Context) -> Self:
        """Train the head on the gallery as the attacker sees it."""
        seen = self._learn(reference, context)
        self.centre_ = seen.mean(axis=0)
        features = unit(seen - self.centre_)
        column = {person: index for index, person in enumerate(reference.people)}
        labels = np.array([column[person] for person in reference.gallery_identities])
        start = per_person(features, reference.gallery_identities, reference.people)
        self.weights_ = train_head(features, labels, start, context)
        return self

    def run(self, probes: AnonymizedFaces, context: Context) -> AttackOutput:
        """Scores `(N, G)`: cosines to the class weights."""
        require_fitted(self)
        centred = unit(self._embed(probes) - self.centre_)
        evaluations = EVALUATIONS * len(probes) if self.seer_ is not None else None
        return AttackOutput(scores=centred @ self.weights_.T, network_evaluations=evaluations)

    def _learn(self, reference: Reference, context: Context) -> np.ndarray:
        """Unit features `(N, d)` of the gallery as the attacker sees it."""
        given = context.checkpoints.get("parrot")
        if given is None:
            self.views_ = Views.of(reference, context)
            every = self.views_.embeddings(reference.faces, View.ANONYMIZED)
            return unit(every)[list(reference.gallery)]
        seer = Seer.of(given, ParrotEmbedder, reference, context)
        self.seer_, gallery = seer, reference.faces.select(reference.gallery)
        return seer.embed_anonymized(gallery) if seer.pairs is None else seer.embed_clear(gallery)

    def _embed(self, probes: AnonymizedFaces) -> np.ndarray:
        """Unit features `(N, d)` of probes."""
        if self.seer_ is not None:
            return self.seer_.embed(probes)
        return unit(self.views_.probe_embeddings(probes, View.ANONYMIZED))


@dataclass(frozen=True)
class TunedParrotOptions:
    """What can be set about a parrot that is tuned in the run."""

    epochs: Annotated[int, Ge(1)] = option(EPOCHS, "how often it sees each face")


class TunedParrot(Parrot):
    """The parrot of the papers: a trainable recogniser fine-tuned end to end, in the run, on the
    anonymised faces of everybody the attacker may learn from (in a closed world the gallery's
    people among them), then used as `parrot` uses its features."""

    info: ClassVar[AttackInfo] = AttackInfo(
        name="parrot-tuned",
        title="Tuned parrot",
        version=2,
        needs=frozenset({"gallery", "background", "operator", "trainable"}),
        yields=frozenset({"scores"}),
        trained=True,
        paper=PAPER,
    )
    Options = TunedParrotOptions
    options: TunedParrotOptions

    def _learn(self, reference: Reference, context: Context) -> np.ndarray:
        start, rows = context.trainable, np.array(reference.training)
        assert start is not None, "the caller checks info.needs"
        self.start_, self.views_ = start, Views.of(reference, context)
        crops = self.views_.crops(reference.faces, View.ANONYMIZED, start)
        seen = unit(self.views_.embeddings(reference.faces, View.ANONYMIZED, start))
        centre = seen[rows].mean(axis=0)
        self.network_ = Network(start, np.eye(len(centre), dtype=np.float32), -centre)
        names = [reference.faces.identities[row] for row in rows]
        people = sorted(set(names))
        classes = per_person(seen[rows] - centre, names, people)
        column = {person: index for index, person in enumerate(people)}
        labels = np.array([column[name] for name in names])
        tune(self.network_, classes, crops, rows, labels, context, self.options.epochs)
        refuse_constant(self.network_, crops)
        gallery = np.array(reference.gallery)
        parts = np.array_split(gallery, len(gallery) // 256 + 1)  # crops may be a memory map
        return np.concatenate([self.network_.embed(crops[part]) for part in parts])

    def _embed(self, probes: AnonymizedFaces) -> np.ndarray:
        crops = self.views_.probe_crops(probes, View.ANONYMIZED, self.start_)
        return self.network_.embed(crops)
