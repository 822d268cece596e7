"""The student: a recogniser re-trained, in the run, through the identified anonymisation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar, Self

import numpy as np
from annotated_types import Ge
from safetensors.torch import load_file
from sklearn.linear_model import Ridge as LeastSquares

from reid_audit.attacks.checkpoint import write_tensors
from reid_audit.attacks.direct.trained_student import TrainedStudent
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
from reid_audit.attacks.linear.views import View, Views
from reid_audit.attacks.networks.distillation import (
    EPOCHS,
    POSES,
    VERSION,
    Network,
    distill,
    refuse_constant,
)
from reid_audit.attacks.operators import Operator
from reid_audit.attacks.operators.leakage import limit
from reid_audit.attacks.options import option
from reid_audit.attacks.recognition.align import face_width
from reid_audit.attacks.vectors import per_person, unit
from reid_audit.metrics.cache import entry

CLEAR_SHARE = 0.6
"""Of the score that comes from the clear gallery, the rest from the gallery as the student sees it
(benchmarks/tried.md, attackers that learn)."""


AFFORDABLE = 3e9
"""Pixels of reference faces, summed over all times that they are anonymised for one student: eight
times LFW's 6,000 windows of 250 x 250."""
LABORIOUS = 40
"""How many times as long equations take."""
FALLS = 6
HEAVY = 10.0
"""Effective resolution in pixels under which a training on few faces starts on lighter settings:
it does not find its way to what little a heavy one leaves."""
LIGHTER = (0.4, 0.7)
"""Lengths of the lighter settings, in shares of the operator's (benchmarks/tried.md)."""
STAGE = 3
"""Epochs on each of them."""
PLENTY = 4000
"""Faces to learn from with which a training finds its way without."""
WIDEST = 160.0
"""Face width in pixels at which the resolution of wider faces is computed, the operator scaled."""
GALLERY_CROPS = 3
"""Of the times that a gallery face was anonymised, those whose embeddings are averaged."""


@dataclass(frozen=True)
class StudentOptions:
    """What can be set about a student that is trained in the run."""

    epochs: Annotated[int, Ge(1)] = option(EPOCHS, "how often it sees each face")


class Student(BaseAttack):
    """A trainable recogniser, fine-tuned on restored faces towards the clear embedding of the
    scoring recogniser (the teacher): (1 - cosine) + InfoNCE, batch norm frozen; probes are averaged
    over poses and mirror images. Scored like the ridge map: against the clear gallery and against
    the gallery seen through the same operator and the student itself. Through a heavy operator a
    training on few faces is staged: it starts on lighter settings of the same. Given a checkpoint,
    the student is that one and nothing is trained in the run. A training that breaks down fails the
    attack."""

    info: ClassVar[AttackInfo] = AttackInfo(
        name="student",
        title="Distilled student",
        version=6,
        needs=frozenset({"gallery", "background", "operator", "trainable"}),
        yields=frozenset({"embeddings", "scores"}),
        trained=True,
        from_pairs=True,
    )
    Options = StudentOptions
    options: StudentOptions
    trained_: TrainedStudent | None = None

    def fit(self, reference: Reference, context: Context) -> Self:
        """Train the student, or load the one that was trained for this reference and operator
        before.

        Raises:
            TrainingFailed: the student gives every face one answer.
        """
        if (given := context.checkpoints.get("student")) is not None:
            self.trained_ = TrainedStudent(given, CLEAR_SHARE).fit(reference, context)
            return self
        assert context.trainable is not None, "the caller checks info.needs"
        self.views_, self.start_ = Views.of(reference, context), context.trainable
        self.faces_ = reference.faces
        laborious = self.views_.restorer.solves
        self.falls_ = falls(reference.faces, self.options.epochs, laborious)
        self.lighter_ = () if laborious else lighter(reference, context)
        clear = unit(self.views_.embeddings(reference.faces, View.CLEAR))
        rows, gallery = np.array(reference.training), np.array(reference.gallery)
        self.centre_ = clear[rows].mean(axis=0)
        target = unit(clear - self.centre_)
        self.network_ = Network(self.start_, *self._bridge(reference, clear))
        path = self._checkpoint(reference, context)
        stored = path is not None and path.exists()
        if path is not None and stored:
            self.network_.load_state_dict(load_file(path))
        else:
            people = np.array(reference.faces.identities)
            for operator in self.lighter_:
                forward = replace(context.forward, operator=operator)
                views = Views.of(reference, replace(context, forward=forward))
                crops = partial(self._crops, views=views)
                few = min(STAGE, self.options.epochs)
                distill(self.network_, crops, target, people, rows, context, few)
            distill(self.network_, self._crops, target, people, rows, context, self.options.epochs)
        self.network_.eval()
        refuse_constant(self.network_, self._crops(0))
        if path is not None and not stored:
            write_tensors(path, self.network_.state_dict())
        who = reference.gallery_identities, reference.people
        self.clear_templates_ = per_person(target[gallery], *who)
        self.seen_templates_ = per_person(self._seen(gallery), *who)
        return self

    def run(self, probes: AnonymizedFaces, context: Context) -> AttackOutput:
        """Embeddings `(N, d)` and scores `(N, G)`, float32, averaged over poses."""
        require_fitted(self)
        if self.trained_ is not None:
            return self.trained_.run(probes)
        crops = self.views_.probe_crops(probes, View.RESTORED, self.start_)
        embedded = self.network_.embed_posed(crops)
        clear, seen = embedded @ self.clear_templates_.T, embedded @ self.seen_templates_.T
        scores = CLEAR_SHARE * clear + (1 - CLEAR_SHARE) * seen
        return AttackOutput(
            embeddings=embedded + self.centre_,
            scores=scores,
            network_evaluations=2 * (1 + len(POSES)) * len(probes),  # with their mirror images
        )

    def _bridge(self, reference: Reference, clear: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Linear map from the start network's space to the teacher's: the identity less the mean
        when they are one network, else least squares on clear faces."""
        if self.start_.digest == self.views_.context.recognizer.digest:
            return np.eye(clear.shape[1], dtype=np.float32), -self.centre_
        rows = list(reference.training)
        own = unit(self.views_.embeddings(reference.faces, View.CLEAR, self.start_))[rows]
        fitted = LeastSquares(alpha=1.0).fit(own, clear[rows] - self.centre_)
        return fitted.coef_.astype(np.float32), fitted.intercept_.astype(np.float32)

    def _crops(self, epoch: int, views: Views | None = None) -> np.ndarray:
        """Restored crops of all reference faces as they come out in an epoch: as they are in the
        first, then each time moved before they are anonymised."""
        views = views or self.views_
        number = epoch % self.falls_
        if number == 0:
            return views.crops(self.faces_, View.RESTORED, self.start_)
        return views.moved_crops(self.faces_, number, self.start_)

    def _seen(self, gallery: np.ndarray) -> np.ndarray:
        """These reference faces through operator and student, `(len(gallery), d)`: the mean over
        some of the crops that the student learnt from."""
        total = np.zeros((len(gallery), self.network_.bridge.out_features))
        parts = np.array_split(np.arange(len(gallery)), len(gallery) // 256 + 1)
        for number in range(min(GALLERY_CROPS, self.falls_)):
            crops = self._crops(number)  # may be a memory map
            for part in parts:
                total[part] += self.network_.embed(crops[gallery[part]])
        return unit(total).astype(np.float32)

    def _checkpoint(self, reference: Reference, context: Context) -> Path | None:
        rows = ",".join(map(str, reference.training))
        parts = [reference.faces.key, rows, self.views_.restorer.key, str(context.seed)]
        parts += [self.start_.digest, context.recognizer.digest, str(VERSION)]
        parts += [str(self.options.epochs), *map(str, self.lighter_)]
        return entry(context.cache, "student", parts, "safetensors")


def lighter(reference: Reference, context: Context) -> tuple[Operator, ...]:
    """Lighter settings of a heavy operator, from the lightest, on which a student's training
    starts; none of one that is not heavy or has no lengths, or where there is plenty to learn
    from."""
    if len(reference.training) >= PLENTY:
        return ()
    operator = context.forward.operator
    widths = context.forward.face_widths or face_width(np.asarray(reference.faces.landmarks))
    width = min(WIDEST, float(np.median(widths)))
    left = limit(operator.scaled(width / float(np.median(widths))), width).effective_resolution
    settings = tuple(operator.scaled(share) for share in LIGHTER)
    return settings if left < HEAVY and str(settings[0]) != str(operator) else ()


def falls(faces: ClearFaces, epochs: int, laborious: bool = False) -> int:
    """How many times reference faces are anonymised anew for a student, so that what rounding and
    compression take falls otherwise; fewer where there are many and large ones, or where each is
    restored by equations (`laborious`)."""
    sample = range(0, len(faces), max(1, len(faces) // 32))
    pixels = len(faces) * np.mean([faces.load(i)[..., 0].size for i in sample])
    affordable = AFFORDABLE / (LABORIOUS if laborious else 1)
    return int(np.clip(affordable / pixels, 1, min(epochs, FALLS)))
