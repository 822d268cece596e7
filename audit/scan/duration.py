"""How long attacks will take on this machine, told before they run.

What an attack does is counted in a few kinds of work; what each costs here is timed on a handful of
faces. Estimates are good to about a factor of two, and are put right by what the attacks of the
same run have taken (`Clock`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reid_audit.attacks.direct.student import STAGE, lighter
from reid_audit.attacks.interface import ClearFaces, Context
from reid_audit.attacks.registry import attack_class, options_of
from reid_audit.audit.trials.units import Outcome, OutOfTime, Setup, learns

TRAINED_AS = 3.0
"""Embeddings for which a face can be learnt from once: forward, back, and the step."""
REFINED_AS = 2.0
"""Embeddings for which a restoring network is evaluated once."""
CONTROLS = 2
"""How often a probe is attacked: as it is, and with the face painted over."""
TIMED_FACES, TIMED_CROPS = 4, 16


@dataclass(frozen=True)
class Effort:
    """What an attack does.

    views: times that all reference faces are anonymised and embedded; shared by attacks.
    falls: times that they are anonymised anew for this attack alone.
    epochs: times that each face to learn from is learnt from; the option `epochs` says otherwise.
    staged: whether learning starts on lighter settings of a heavy operator.
    embedded, restored, refined: of one probe, how often it is embedded, restored in closed form and
        put through a restoring network (times the options `rounds` and `steps`).
    """

    views: int = 0
    falls: int = 0
    epochs: int = 0
    staged: bool = False
    embedded: int = 1
    restored: int = 0
    refined: int = 0


EFFORTS: Mapping[str, Effort] = {
    "naive": Effort(),
    "degraded-gallery": Effort(views=1),
    "wiener": Effort(restored=1),
    "parrot": Effort(views=1),
    "ridge": Effort(views=2, embedded=2, restored=1),
    "student": Effort(views=1, falls=5, epochs=9, staged=True, embedded=14, restored=1),
    "fusion": Effort(views=2, falls=5, epochs=9, staged=True, embedded=17, restored=2),
    "parrot-tuned": Effort(views=2, epochs=6, embedded=2, restored=1),
    "fantomas": Effort(restored=1, refined=1),
    "mmse": Effort(restored=1, refined=2),
    "flow": Effort(restored=1, refined=2),
    "posterior": Effort(restored=1, refined=15),
    "revelio": Effort(restored=1, refined=1),
    "revelio-vote": Effort(restored=1, refined=1),
}
"""By attack; how long those of other packages take is not known beforehand."""


@dataclass(frozen=True)
class Speed:
    """Seconds that one face takes on this machine: to embed, and to anonymise and restore."""

    embedded: float
    anonymised: float

    @classmethod
    def timed(cls, setup: Setup) -> Speed:
        """Time a handful of the run's own faces."""
        network = setup.context.recognizer
        side = network.template.size
        noise = np.random.default_rng(0).integers(0, 256, (TIMED_CROPS, side, side, 3))
        crops = noise.astype(np.uint8)
        network.embed(crops[:1])  # what is set up at the first call is not counted
        embedding = _seconds(lambda: network.embed(crops)) / TIMED_CROPS
        faces = setup.reference.faces
        count = min(TIMED_FACES, len(faces))

        def anonymise() -> None:
            for row in range(count):
                _degrade(faces, row, setup.context)

        # Twice, as restoring costs about as much, and on all cores.
        degrading = 2 * _seconds(anonymise) / max(count, 1) / (os.cpu_count() or 1)
        return cls(embedding, degrading)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _degrade(faces: ClearFaces, row: int, context: Context) -> None:
    picture, landmarks = faces.load(row), faces.landmarks[row]
    with suppress(Exception):  # whatever it is, the attacks will meet and report it
        context.forward.degrade(picture, landmarks, context.rng(faces.ids[row]))


def expected_seconds(name: str, setup: Setup, speed: Speed, *, first: bool) -> float | None:
    """How long an attack on one condition will take; None of an attack that nobody measured.

    Args:
        setup: in the world that the attack learns from.
        first: whether no attack before it has made the views of the reference faces.
    """
    if name not in EFFORTS:
        return None
    effort, info = EFFORTS[name], attack_class(name).info
    given: dict[str, Any] = {o.name: o.default for o in options_of(attack_class(name))}
    given |= setup.options.get(name, {})
    faces, probes = len(setup.reference.faces), CONTROLS * len(setup.group)
    spared = name in setup.context.checkpoints
    views = 0 if spared else effort.views
    seconds = probes * (effort.embedded * speed.embedded + effort.restored * speed.anonymised)
    seconds += views * faces * speed.embedded
    if first and views:
        seconds += faces * speed.anonymised
    if learns(info, setup.context.checkpoints):
        epochs = float(given.get("epochs") or effort.epochs)
        more = STAGE * len(lighter(setup.reference, setup.context)) if effort.staged else 0
        epochs, falls = epochs + more, min(effort.falls, epochs) + more
        learnt = epochs * len(setup.reference.training)
        seconds += learnt * TRAINED_AS * speed.embedded
        seconds += falls * faces * speed.anonymised
    evaluations = effort.refined
    for option in ("rounds", "steps"):
        evaluations *= int(given.get(option) or 1)
    return seconds + probes * evaluations * REFINED_AS * speed.embedded


@dataclass
class Clock:
    """What a run has used of the time that its attacks may take.

    limit: seconds from the first attack on, None without one. expected, spent: of the attacks that
    have run, what was thought and what it was.
    """

    limit: float | None
    now: Callable[[], float] = time.monotonic
    started: float = field(init=False)
    expected: float = 0.0
    spent: float = 0.0

    def __post_init__(self) -> None:
        self.started = self.now()

    @property
    def left(self) -> float:
        """Seconds that remain."""
        return float("inf") if self.limit is None else self.limit - (self.now() - self.started)

    @property
    def slowness(self) -> float:
        """By how much attacks have taken longer than expected, once enough was seen."""
        return self.spent / self.expected if self.expected >= 1.0 else 1.0

    def fits(self, seconds: float | None) -> bool:
        """Whether an attack should be begun; one of unknown length is, while any time is left."""
        return self.left > (seconds or 0.0) * self.slowness

    def ran(self, expected: float | None, seconds: float) -> None:
        """Count an attack that has ended."""
        if expected is not None:
            self.expected, self.spent = self.expected + expected, self.spent + seconds

    def watched(self, context: Context) -> Context:
        """The same context, whose progress raises `OutOfTime` when no time is left."""

        def progress(what: str, done: int, total: int) -> None:
            context.progress(what, done, total)
            if self.left <= 0 and done < total:
                raise OutOfTime(
                    f"the time limit of {in_words(self.limit or 0.0)} was reached while it ran"
                )

        return context if self.limit is None else context.replace(progress=progress)


def left_out(name: str, seconds: float | None, clock: Clock) -> Outcome:
    """An attack that there is no time for; `seconds`: that it would take, where that is known."""
    needed = f"; it would take about {in_words(seconds * clock.slowness)}" if seconds else ""
    reason = f"left out for the time limit of {in_words(clock.limit or 0.0)}{needed}"
    return Outcome(name=name, status="skipped", reason=reason, left_out=True)


def in_words(seconds: float) -> str:
    """A duration for people.

    >>> in_words(42.4), in_words(100), in_words(5400)
    ('42 s', '1 min 40 s', '1 h 30 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
