"""Revelio from end to end: N rounds of sampling, retrieval, the decision whether anybody of the
gallery is shown, and the fidelity stage.

kernel estimate (`attacks.anonymisation`, in `context.forward`) -> base model -> rounds -> nearest
reference of each round -> vote or mean embedding -> threshold on the lowest distance -> reference
pictures of the retrieved person -> fine-tuning of the attention layers -> final restoration.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from annotated_types import Ge

from reid_audit.attacks.interface import (
    AnonymizedFaces,
    AttackInfo,
    AttackOutput,
    BaseAttack,
    ClearFaces,
    Context,
    Reference,
    require_fitted,
)
from reid_audit.attacks.linear.views import embed_clear
from reid_audit.attacks.linear.wiener import prior_restorer
from reid_audit.attacks.networks.frame import cut
from reid_audit.attacks.options import option
from reid_audit.attacks.restoration.restorer import degraded
from reid_audit.attacks.restoration.revelio.diffusion import (
    SAMPLER,
    SAMPLING_STEPS,
    Diffusion,
    load,
)
from reid_audit.attacks.restoration.revelio.people import Gallery
from reid_audit.attacks.restoration.revelio.rounds import ROUNDS, Plan, Studio, tensor
from reid_audit.attacks.restoration.revelio.stranger import Threshold, choose_threshold
from reid_audit.attacks.restoration.revelio.tuning import fine_tuned
from reid_audit.attacks.restoration.revelio.vote import tally
from reid_audit.metrics.sampling import evenly

DEVELOPMENT = 24
"""People on whom the threshold is chosen, at most."""
FEWEST = 6
"""With fewer, none is chosen."""
PAPER = "Revelio: Restoring Gaussian Blurred Face Images for Deanonymization Attacks"
NEEDS = frozenset({"gallery", "background", "operator"})
YIELDS = frozenset({"restored", "embeddings", "scores", "estimates"})


@dataclass(frozen=True, eq=False)
class Retrieval:
    """What the rounds say of N probes.

    scores: `(N, G)`. round: `(N,)` the round that is shown, -1 for their mean. embeddings:
    `(N, d)` that go with it. votes: `(N,)` rounds that named the person retrieved.
    """

    scores: np.ndarray
    round: np.ndarray
    embeddings: np.ndarray
    votes: np.ndarray

    @property
    def nearest(self) -> np.ndarray:
        """`(N,)` minus the lowest distance."""
        return np.asarray(self.scores.max(axis=1))


@dataclass(frozen=True)
class RevelioOptions:
    """What can be set about Revelio."""

    rounds: Annotated[int, Ge(1)] = option(ROUNDS, "restorations of each probe")
    steps: Annotated[int, Ge(1)] = option(SAMPLING_STEPS, "denoising steps of a restoration")
    sampler: Literal["dpm++", "ddim"] = option(SAMPLER, "how the steps are taken")
    finetune: Annotated[int, Ge(0)] = option(
        0, "steps of the fidelity stage for each person retrieved, 0 for none; the paper takes 200"
    )


class Revelio(BaseAttack):
    """The paper's attack with the mean embedding of its rounds: the least-squares estimate of the
    clear embedding, where the paper counts votes (`revelio-vote`).

    The checkpoint is the one that `context.checkpoints` holds for `revelio`, else the shipped one.
    """

    info: ClassVar[AttackInfo] = AttackInfo(
        "revelio", "Revelio, mean embedding", 1, NEEDS, YIELDS, paper=PAPER
    )
    Options = RevelioOptions
    options: RevelioOptions

    def fit(self, reference: Reference, context: Context) -> Self:
        """Load the diffusion model, embed the gallery, and choose by development people how near a
        probe must come to count as somebody of the gallery."""
        base, key = load(context)
        linear = prior_restorer(reference, context)
        plan = Plan(self.options.rounds, self.options.steps, self.options.sampler)
        self.studio_ = Studio(base, linear, context, plan, key)
        self.reference_ = reference
        gallery = list(reference.gallery)
        self.clear_ = embed_clear(reference.faces, context)
        self.gallery_ = Gallery(
            self.clear_[gallery], reference.gallery_identities, reference.people, context
        )
        self.threshold_ = self._threshold(context)
        return self

    def run(self, probes: AnonymizedFaces, context: Context) -> AttackOutput:
        """Restored windows, embeddings `(N, d)`, scores `(N, G)` and, as estimates, what the rounds
        agreed on; with fine-tuning the pictures and embeddings are those of the tuned networks."""
        require_fitted(self)
        studio = self.studio_
        frames = studio.sample(probes)
        retrieval = self.retrieve(studio.embed(probes, frames), self.gallery_)
        known = np.ones(len(probes), bool)
        if self.threshold_ is not None:
            known = self.threshold_.accepts(retrieval.nearest)
        final, embeddings = frames, retrieval.embeddings
        steps = self.options.finetune
        if steps:
            final = self._finish(probes, frames, retrieval, known, steps)
            embeddings = self.retrieve(studio.embed(probes, final), self.gallery_).embeddings
        restored = [
            studio.picture(face, own.mean(axis=0) if place < 0 else own[place])
            for face, own, place in zip(probes.batches(1), final, retrieval.round, strict=True)
        ]
        return AttackOutput(
            restored=tuple(restored),
            embeddings=embeddings,
            scores=retrieval.scores.astype(np.float32),
            estimates=tuple(self._estimate(retrieval, known, row) for row in range(len(probes))),
            network_evaluations=studio.plan.evaluations * len(probes),
        )

    def retrieve(self, embeddings: np.ndarray, gallery: Gallery) -> Retrieval:
        """Whom `(N, R, d)` embeddings show: the template nearest to their mean."""
        mean = gallery.normal(embeddings).mean(axis=1).astype(np.float32)
        scores = gallery.to_templates(mean)
        votes = gallery.to_templates(embeddings).argmax(axis=2) == scores.argmax(axis=1)[:, None]
        return Retrieval(scores, np.full(len(mean), -1), mean, votes.sum(axis=1))

    def _threshold(self, context: Context) -> Threshold | None:
        """From development people, each looked up in a gallery with and without them."""
        rows, others = development(self.reference_)
        if len(rows) < FEWEST:
            return None
        faces = self.reference_.faces
        inside: list[float] = []
        outside: list[float] = []
        for part in degraded(faces.select(rows), context):
            embeddings = self.studio_.embed(part, self.studio_.sample(part))
            for own in embeddings:
                row = len(inside)
                person = faces.identities[rows[row]]
                without = self.gallery_.without(person)
                outside.append(self.retrieve(own[None], without).nearest[0])
                with_ = without.joined(self.clear_[others[row]], person)
                inside.append(self.retrieve(own[None], with_).nearest[0])
        return choose_threshold(np.array(inside), np.array(outside))

    def _finish(
        self,
        probes: AnonymizedFaces,
        frames: np.ndarray,
        retrieval: Retrieval,
        known: np.ndarray,
        steps: int,
    ) -> np.ndarray:
        """The rounds sampled again by networks tuned to each person retrieved; probes of people
        outside the gallery stay as they are."""
        people = retrieval.scores.argmax(axis=1)
        shown: dict[int, list[int]] = defaultdict(list)
        for row in np.flatnonzero(known):
            shown[int(people[row])].append(int(row))
        final = frames.copy()
        for done, (column, rows) in enumerate(sorted(shown.items()), start=1):
            tuned = self._tuned(self.reference_.people[column], steps)
            part = AnonymizedFaces(
                tuple(probes.ids[row] for row in rows),
                tuple(probes.pictures[row] for row in rows),
                probes.landmarks[rows],
                probes.regions[rows],
            )
            final[rows] = self.studio_.sample(part, tuned)
            self.studio_.context.progress("fine-tuning to people", done, len(shown))
        return final

    def _tuned(self, person: str, steps: int) -> Diffusion:
        """The base model after the fidelity stage on a person's reference pictures."""
        studio, reference = self.studio_, self.reference_
        rows = [
            row
            for row, who in zip(reference.gallery, reference.gallery_identities, strict=True)
            if who == person
        ]
        faces: ClearFaces = reference.faces.select(rows)
        (seen,) = degraded(faces, studio.context)
        windows = [faces.load(row) for row in range(len(faces))]
        clear = tensor(cut(windows, faces.landmarks, studio.base.size)).to(studio.context.device)
        name = f"fidelity/{'/'.join(faces.ids)}"
        return fine_tuned(
            studio.base, clear, studio.observe(seen), studio.context.seed, name, steps
        )

    def _estimate(self, retrieval: Retrieval, known: np.ndarray, row: int) -> dict[str, Any]:
        threshold = self.threshold_
        return {
            "rounds": self.studio_.plan.rounds,
            "votes": int(retrieval.votes[row]),
            "nearest": float(retrieval.nearest[row]),
            "threshold": None if threshold is None else threshold.similarity,
            "in_gallery": None if threshold is None else bool(known[row]),
        }


class RevelioVote(Revelio):
    """The paper's attack as it is written: every round names its nearest reference picture, the
    person named most often is retrieved, the shortest distance settles a tie; shown is the round
    that came nearest to them. Options as for `revelio`, whose rounds it shares."""

    info: ClassVar[AttackInfo] = AttackInfo(
        "revelio-vote", "Revelio, vote", 1, NEEDS, YIELDS, paper=PAPER
    )

    def retrieve(self, embeddings: np.ndarray, gallery: Gallery) -> Retrieval:
        """Whom `(N, R, d)` embeddings show: the person most of the R rounds name."""
        votes = tally(gallery.to_people(embeddings))
        rows = np.arange(len(embeddings))
        return Retrieval(
            votes.scores,
            votes.round,
            embeddings[rows, votes.round],
            votes.votes[rows, votes.retrieved],
        )


def development(reference: Reference) -> tuple[list[int], list[list[int]]]:
    """Rows of development faces, one of each person who has more, and the person's other rows.

    Background people, and where too few of them have two pictures and the world is closed, the
    gallery's own.
    """
    for rows in (reference.background, reference.training):
        of_person: dict[str, list[int]] = defaultdict(list)
        for row in rows:
            of_person[reference.faces.identities[row]].append(row)
        several = [own for _, own in sorted(of_person.items()) if len(own) > 1]
        if len(several) >= FEWEST:
            break
    chosen = [several[pick] for pick in evenly(len(several), DEVELOPMENT)]
    return [own[0] for own in chosen], [own[1:] for own in chosen]
