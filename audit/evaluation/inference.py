"""Attributes that the data states of faces, told from what an attack makes of them.

A classifier learns from clear reference faces and is asked about anonymised ones. Nobody's
attribute is guessed whose labels were not given, and no classifier answers for people from whom it
learnt.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from reid_audit.attacks.linear.views import embed_clear
from reid_audit.attacks.vectors import centred
from reid_audit.audit.evaluation.estimates import Assessed, Settings, record
from reid_audit.audit.evaluation.linkability import without_face
from reid_audit.audit.probes.faces import Face
from reid_audit.audit.results import schema
from reid_audit.audit.results.messages import say
from reid_audit.audit.results.telling import unknown
from reid_audit.audit.trials.units import Outcome, Setup
from reid_audit.metrics.inference import accuracy_gain, balanced_accuracy, guess_test
from reid_audit.metrics.stats import one_per_identity
from reid_audit.metrics.stats.risk import mcnemar_p

Floats = NDArray[np.floating]
FEWEST, MOST_CLASSES = 5, 8
"""People of a class, among reference faces as among probes, without whom it is left out; and how
many classes an attribute may have."""
FOLDS = 4
PENALTY = 10.0
"""Inverse strength of the classifier's ridge, on embeddings of unit length."""


@dataclass(frozen=True, eq=False)
class Question:
    """One attribute of the studied probes, and classifiers that may answer for them.

    rows: of the studied probes that are asked about. truth, people, keys: of these. folds: which
    classifier answers for each; classifiers: one a fold, which knows none of that fold's people.
    """

    attribute: str
    rows: NDArray[np.intp]
    truth: NDArray[np.str_]
    people: NDArray[np.str_]
    keys: tuple[str, ...]
    folds: NDArray[np.intp]
    classifiers: tuple[LogisticRegression, ...]

    def answer(self, embeddings: Floats) -> NDArray[np.str_]:
        """What is said of each probe, from embeddings `(S, d)` of the studied ones or the first of
        them. They are seen about their own mean: anonymised faces lie elsewhere than clear ones.

        Returns:
            `(B,)`, or as many as there are embeddings of.
        """
        rows = self.rows[self.rows < len(embeddings)]
        seen = centred(embeddings)[rows]
        told = np.empty(len(rows), self.truth.dtype)
        for number, classifier in enumerate(self.classifiers):
            mine = self.folds[: len(rows)] == number
            if mine.any():
                told[mine] = classifier.predict(seen[mine])
        return told


@dataclass(frozen=True)
class Unasked:
    """An attribute that nothing can be said about, and why."""

    attribute: str
    reason: str


def ask(setup: Setup, reference: Sequence[Face]) -> list[Question | Unasked]:
    """A question for each attribute that the data states of the studied probes.

    Args:
        reference: the faces of `setup.reference`, in its order.
    """
    faces = [setup.group.faces[row] for row in setup.studied]
    named = sorted({name for face in faces for name, _ in face.item.attributes})
    if not named:
        return []
    clear = centred(embed_clear(setup.reference.faces, setup.context))
    return [_question(name, setup, faces, reference, clear) for name in named]


def _question(
    attribute: str, setup: Setup, faces: Sequence[Face], reference: Sequence[Face], clear: Floats
) -> Question | Unasked:
    told = _labelled(attribute, reference, setup.reference.faces.identities)
    people = [setup.identities[row] or "" for row in setup.studied]
    asked = _labelled(attribute, faces, people)
    classes = sorted(set(_common(told)) & set(_common(asked)))
    if len(classes) < 2:
        where = "reference faces" if len(_common(told)) < 2 else "anonymised faces"
        reason = f"fewer than two classes have {FEWEST} people each among the labelled {where}"
        return Unasked(attribute, reason)
    if len(classes) > MOST_CLASSES:
        reason = f"{len(classes)} classes; give at most {MOST_CLASSES}, such as bands"
        return Unasked(attribute, reason)
    learnt = [row for row, (value, _) in told.items() if value in classes]
    rows = np.array([row for row, (value, _) in asked.items() if value in classes], np.intp)
    truth = np.array([asked[int(row)][0] for row in rows])
    who = np.array([asked[int(row)][1] for row in rows])
    values = np.array([told[row][0] for row in learnt])
    owners = np.array([told[row][1] for row in learnt])
    known = set(owners.tolist())
    # People the reference lacks are answered for by whoever learnt from everybody: fold 0.
    folds = np.zeros(len(rows), np.intp)
    shared = sorted(known & set(who.tolist()))
    for place, person in enumerate(shared):
        folds[who == person] = 1 + place % FOLDS
    classifiers = []
    for number in range(1 + FOLDS):
        kept = ~np.isin(owners, who[folds == number]) if number else np.ones(len(owners), bool)
        if len(set(values[kept].tolist())) < len(classes):
            return Unasked(attribute, "too few labelled reference faces of other people")
        model = LogisticRegression(C=PENALTY, class_weight="balanced", max_iter=1000)
        classifiers.append(model.fit(clear[learnt][kept], values[kept]))
    keys = tuple(faces[int(row)].item.image_id for row in rows)
    return Question(attribute, rows, truth, who, keys, folds, tuple(classifiers))


def _labelled(
    attribute: str, faces: Sequence[Face], people: Sequence[str]
) -> dict[int, tuple[str, str]]:
    """Value and person by row, of the faces that the data states the attribute of."""
    labels = {}
    for row, (face, who) in enumerate(zip(faces, people, strict=True)):
        value = dict(face.item.attributes).get(attribute)
        if value is not None:
            labels[row] = value, who
    return labels


def _common(labelled: Mapping[int, tuple[str, str]]) -> list[str]:
    """Values that enough people have."""
    owners = defaultdict(set)
    for value, who in labelled.values():
        owners[value].add(who)
    return sorted(value for value, own in owners.items() if len(own) >= FEWEST)


def inferences(
    outcome: Outcome,
    setup: Setup,
    assessed: Assessed,
    questions: Sequence[Question | Unasked],
    settings: Settings,
) -> Iterator[schema.Inference]:
    """What one attack tells of every attribute."""
    for question in questions:
        common = {
            "attribute": question.attribute,
            "attack": outcome.name,
            "recognizer": setup.context.recognizer.name,
            "condition": setup.group.id,
            "knowledge": assessed.result.knowledge,
        }
        if isinstance(question, Unasked):
            yield schema.Inference(**common, status="skipped", reason=question.reason)
        elif outcome.status != "ok":
            yield schema.Inference(**common, status=outcome.status, reason=outcome.reason)
        elif "attack" not in outcome.seen:
            reason = "the attack compares with the gallery alone: it yields no embedding of a face"
            yield schema.Inference(**common, status="skipped", reason=reason)
        else:
            yield _inferred(question, outcome, setup, common, settings)


def _inferred(
    question: Question,
    outcome: Outcome,
    setup: Setup,
    common: Mapping[str, str | None],
    settings: Settings,
) -> schema.Inference:
    truth, people = question.truth, question.people
    classes = len(set(truth.tolist()))
    alpha, seed = settings.alpha, settings.seed

    def rate(told: NDArray[np.str_]) -> schema.Estimate:
        count = len(told)
        if len(set(truth[:count].tolist())) < classes:
            return unknown(say("unknown.classes"))
        return record(
            balanced_accuracy(truth[:count], told, people[:count], alpha=alpha, seed=seed)
        )

    told = question.answer(outcome.seen["attack"])
    blind = question.answer(without_face(outcome))
    drawn = one_per_identity(people, seed=seed, keys=list(question.keys))
    test = guess_test(truth, told, people, seed=seed, keys=question.keys)
    around = guess_test(truth, blind, people, seed=seed, keys=question.keys)
    right = [(said == truth)[drawn].astype(float) for said in (told, blind)]
    rows = np.array(setup.studied)
    clear = unknown(say("unknown.no-original"))
    if setup.known[rows].all():
        clear = rate(question.answer(setup.original_embeddings[rows]))
    return schema.Inference(
        **common,
        classes=classes,
        people=len(set(people.tolist())),
        pictures=len(truth),
        base_rate=1 / classes,
        balanced_accuracy=rate(told),
        gain=record(
            accuracy_gain(
                truth, told, np.full(len(truth), truth[0]), people, alpha=alpha, seed=seed
            )
        ),
        context_only=rate(blind),
        filled=rate(question.answer(outcome.seen["solid-fill"])),
        clear=clear,
        excess=record(accuracy_gain(truth, told, blind, people, alpha=alpha, seed=seed)),
        p_value=test.p_value,
        p_value_excess=float(mcnemar_p(*right)),
        p_value_context=around.p_value,
    )
