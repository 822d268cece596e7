"""What an attack is given and what it returns: the contract every attack keeps."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self

import numpy as np

from reid_audit.attacks.faces import AnonymizedFaces, ClearFaces, counted
from reid_audit.attacks.forward import ForwardModel, RelativeBox, sampled_widths
from reid_audit.attacks.operators import Operator, parse
from reid_audit.attacks.options import NoOptions, read_options
from reid_audit.attacks.pictures import Picture
from reid_audit.attacks.recognition.align import face_width
from reid_audit.metrics.errors import InputError

if TYPE_CHECKING:
    from reid_audit.attacks.checkpoint import Checkpoint
    from reid_audit.attacks.recognition.interface import Recognizer

__all__ = [
    "AnonymizedFaces",
    "Attack",
    "AttackInfo",
    "AttackOutput",
    "BaseAttack",
    "ClearFaces",
    "Context",
    "Picture",
    "Progress",
    "Reference",
    "World",
    "picture_rng",
    "require_fitted",
]

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

World = Literal["closed", "open"]


@dataclass(frozen=True, repr=False)
class Reference:
    """What the attacker knows about people.

    faces: every reference face, each once.
    gallery: rows of `faces` that show the people among whom a probe is looked up.
    background: rows that show other people, free to train on; a face may be both (a distractor).
    world: "closed" lets an attacker train on the gallery as well, "open" on background alone.
    spare: rows that show the gallery's people in pictures nobody is looked up by; like the
        gallery, free to train on in a closed world alone.
    """

    faces: ClearFaces
    gallery: tuple[int, ...]
    background: tuple[int, ...]
    world: World = "closed"
    spare: tuple[int, ...] = ()

    @classmethod
    def of(
        cls,
        gallery: ClearFaces,
        background: ClearFaces | None = None,
        *,
        spare: ClearFaces | None = None,
        world: World = "closed",
    ) -> Self:
        """A reference from clear faces; one that stands in several parts is held once.

        Args:
            gallery: the people among whom a probe is looked up.
            background: other people, free to train on.
            spare: more pictures of the gallery's people.
            world: what trained attacks may learn from: "closed" is everything, "open" is
                background alone.

        Raises:
            InputError: an empty gallery, or one face under two names.
        """
        if not len(gallery):
            raise InputError("The gallery is empty; give clear faces of known people.")
        if world not in ("closed", "open"):
            raise InputError(f"No world {world!r}; choose closed or open.")
        nobody = gallery.select(())
        parts = (gallery, background or nobody, spare or nobody)
        every = parts[0] + parts[1] + parts[2]
        first: dict[str, int] = {}
        for row, (name, who) in enumerate(zip(every.ids, every.identities, strict=True)):
            before = every.identities[first.setdefault(name, row)]
            if before != who and not who.startswith("unnamed "):
                raise InputError(f"Face {name} bears two names in gallery, background or spare.")
        kept = sorted(first.values())
        place = {every.ids[row]: index for index, row in enumerate(kept)}
        rows = [tuple(dict.fromkeys(place[name] for name in part.ids)) for part in parts]
        return cls(every.select(kept), rows[0], rows[1], world, rows[2])

    def __repr__(self) -> str:
        known = f"{counted(len(self.gallery), 'face')} of {len(self.people)} people"
        spare = f", {len(self.spare)} spare" if self.spare else ""
        return f"Reference({known}{spare}, {len(self.background)} background, {self.world} world)"

    def columns(self, people: Sequence[str | None]) -> np.ndarray:
        """Column `(N,)` of each of `people` in a score matrix, -1 where the gallery lacks them: the
        mates that `metrics.identification.rank` takes."""
        column = {person: index for index, person in enumerate(self.people)}
        return np.array([-1 if who is None else column.get(who, -1) for who in people], np.intp)

    @cached_property
    def people(self) -> tuple[str, ...]:
        """The gallery's identities, sorted: the columns of every score matrix."""
        return tuple(sorted({self.faces.identities[row] for row in self.gallery}))

    @property
    def gallery_identities(self) -> tuple[str, ...]:
        """Who each gallery row shows."""
        return tuple(self.faces.identities[row] for row in self.gallery)

    @cached_property
    def training(self) -> tuple[int, ...]:
        """The rows a trained attack may learn from in this world."""
        allowed = set(self.background)
        if self.world == "closed":
            allowed |= {*self.gallery, *self.spare}
        return tuple(sorted(allowed))


@dataclass(frozen=True, repr=False)
class Context:
    """Everything an attack works with that is not data.

    forward: what the attacker believes was done to the pictures.
    recognizer: the network that scores; its embedding is the target of restoration.
    trainable: recogniser a student may start from; None where none is installed.
    cache: folder for recomputable intermediate arrays, or None.
    checkpoints: trained attackers that were given, by the name of the attack that they were
        trained for; where there is none, the one that comes with the program or none is used.
    others: the run's other recognisers, among which a checkpoint finds the one it was made from.
    """

    forward: ForwardModel
    recognizer: Recognizer
    trainable: Recognizer | None = None
    seed: int = 0
    device: str = "cpu"
    cache: Path | None = None
    progress: Progress = lambda what, done, total: None
    checkpoints: Mapping[str, Checkpoint] = field(default_factory=dict)
    others: tuple[Recognizer, ...] = ()

    @classmethod
    def of(
        cls,
        operator: Operator | str,
        recognizer: Recognizer | str = "dlib",
        probes: AnonymizedFaces | None = None,
        *,
        trainable: Recognizer | str | None = None,
        seed: int = 0,
        device: str = "cpu",
        cache: Path | None = None,
        checkpoints: Mapping[str, Checkpoint | Path | str] | None = None,
    ) -> Self:
        """A context from what an attacker believes and what they hold.

        Args:
            operator: what was done to the probes, as `parse` reads it; lengths in their pixels.
            recognizer: the network that scores, or its spec for `load_recognizer`.
            probes: the faces that will be attacked. From them the attacker measures how wide faces
                are, to which reference faces are resized, and which part was processed; without
                them reference faces keep their size and are taken to be processed as a whole.
            trainable: recogniser that students start from; the scoring one by default, where it
                can be trained.
            seed: of everything random, together with the pictures' ids.
            device: where networks run, cpu or cuda.
            cache: folder for intermediate arrays that can be made again.
            checkpoints: folders that `reid-audit train` made, by the attack's name.

        Raises:
            InputError: an operator, recogniser or checkpoint that does not exist.
            MissingWeights: the recogniser's weights are not installed.
        """
        from reid_audit.attacks.checkpoint import find
        from reid_audit.attacks.recognition.recognizers import load_recognizer

        def loaded(network: Recognizer | str) -> Recognizer:
            return load_recognizer(network, device) if isinstance(network, str) else network

        believed = parse(operator) if isinstance(operator, str) else operator
        scoring = loaded(recognizer)
        start = loaded(trainable) if trainable is not None else scoring
        widths: tuple[float, ...] = ()
        box = None
        if probes is not None and len(probes):
            widths = sampled_widths(face_width(probes.landmarks))
            sizes = [[0, 0, picture.shape[1], picture.shape[0]] for picture in probes.pictures]
            whole = (probes.regions == np.array(sizes)).all(axis=1)
            if 2 * whole.sum() <= len(probes):
                box = RelativeBox.measure(probes.regions, probes.landmarks)
        forward = ForwardModel(believed, widths, box)
        return cls(
            forward,
            scoring,
            start if start.trainable else None,
            seed,
            device,
            cache,
            checkpoints={name: find(name, given) for name, given in (checkpoints or {}).items()},
        )

    def __repr__(self) -> str:
        where = "whole picture" if self.forward.box is None else "region"
        parts = f"{self.forward.operator} on {where}", self.recognizer.name, f"seed {self.seed}"
        return f"Context({', '.join(parts)}, {self.device})"

    @property
    def recognizers(self) -> tuple[Recognizer, ...]:
        """Every recogniser at hand, the one that scores first."""
        started = () if self.trainable is None else (self.trainable,)
        return (self.recognizer, *started, *self.others)

    def rng(self, image_id: str) -> np.random.Generator:
        """The random numbers of one picture: independent of batch, order, shard and resuming."""
        return picture_rng(self.seed, image_id)

    def replace(self, **changes: Any) -> Context:
        """The same context with other values of the fields named."""
        return replace(self, **changes)


def picture_rng(seed: int, image_id: str) -> np.random.Generator:
    """Generator seeded by run and picture.

    >>> a, b = picture_rng(1, "x").integers(1000), picture_rng(1, "x").integers(1000)
    >>> bool(a == b)
    True
    """
    words = np.frombuffer(hashlib.sha256(image_id.encode()).digest(), dtype=np.uint32)
    return np.random.default_rng(np.random.SeedSequence([seed, *map(int, words)]))


@dataclass(frozen=True)
class AttackInfo:
    """What an attack is, declared before it runs.

    needs: subset of {"gallery", "background", "operator", "trainable"}.
    yields: subset of {"restored", "embeddings", "scores", "estimates"}.
    trained: whether `fit` learns from people, so that closed and open world differ.
    from_pairs: whether a checkpoint that learnt from pairs of a black box spares it the operator.
    """

    name: str
    title: str
    version: int
    needs: frozenset[str]
    yields: frozenset[str]
    trained: bool = False
    paper: str | None = None
    from_pairs: bool = False


@dataclass(frozen=True, repr=False)
class AttackOutput:
    """What an attack found about N probes; `attacks.scoring.Scorer` derives what is missing.

    restored: windows of the probes' own sizes, uint8.
    embeddings: `(N, d)` in the recogniser's space.
    scores: `(N, G)` float32, higher = more alike, columns as `Reference.people`; a row of NaN says
        that nothing could be done with that probe.
    estimates: per probe, what was inferred about the anonymisation.
    """

    restored: tuple[Picture, ...] | None = None
    embeddings: np.ndarray | None = None
    scores: np.ndarray | None = None
    estimates: tuple[Mapping[str, Any], ...] | None = None
    network_evaluations: int | None = None

    def __repr__(self) -> str:
        parts = [
            f"{name} {getattr(self, name).shape}"
            for name in ("scores", "embeddings")
            if getattr(self, name) is not None
        ]
        parts += [counted(len(self.restored), "restored picture")] if self.restored else []
        parts += [counted(len(self.estimates), "estimate")] if self.estimates else []
        return f"AttackOutput({', '.join(parts)})"


class Attack(Protocol):
    """An attacker: learn from the reference, then attack probes. `run` does not change it.

    One with something to set names a frozen dataclass `Options` (`attacks.options`) and takes its
    fields as keyword arguments; ours inherit that from `BaseAttack`.
    """

    info: ClassVar[AttackInfo]

    def fit(self, reference: Reference, context: Context) -> Self:
        """Learn what can be learnt before any probe is seen, and return the attack itself.

        Everything random follows from `context.seed` and the ids of the faces.

        Args:
            reference: clear faces, of which the gallery's `people` are the columns of the scores.
            context: what the attacker believes was done, and the networks at hand.

        Raises:
            MissingWeights: a network that the attack needs is not installed.
            NotApplicable: the attack cannot work in this setting; the sentence says why.
            TrainingFailed: a network that was trained learnt nothing.
        """
        ...

    def run(self, probes: AnonymizedFaces, context: Context) -> AttackOutput:
        """Attack N probes. Each one's answer depends on no other, so that batches change nothing.

        Args:
            probes: windows `(H, W, 3)` uint8 with landmarks `(N, 5, 2)` and regions `(N, 4)`, both
                in pixels of their window.
            context: the one of `fit`.

        Returns:
            What `info.yields` names: restored windows of the probes' sizes, embeddings `(N, d)`,
            scores `(N, G)` float32 (higher is more alike), estimates.

        Raises:
            sklearn.exceptions.NotFittedError: `fit` was not called before.
        """
        ...


class BaseAttack:
    """What our attacks share: options by keyword, checked, and a short text."""

    info: ClassVar[AttackInfo]
    Options: ClassVar[type] = NoOptions

    def __init__(self, **options: object) -> None:
        """
        Raises:
            InputError: an option that the attack has not, or a value of a wrong type or range.
        """
        self.options: Any = read_options(self.Options, options, self.info.name)

    def __repr__(self) -> str:
        changed = [
            f"{own.name}={value!r}"
            for own in fields(self.Options)
            if (value := getattr(self.options, own.name)) != own.default
        ]
        return f"{type(self).__name__}({', '.join(changed)})"


def require_fitted(attack: Attack) -> None:
    """Refuse an attack that has learnt nothing yet: `fit` leaves attributes that end in `_`.

    Raises:
        sklearn.exceptions.NotFittedError: as scikit-learn's estimators do.
    """
    if not any(name.endswith("_") and not name.startswith("_") for name in vars(attack)):
        from sklearn.exceptions import NotFittedError

        name = type(attack).__name__
        raise NotFittedError(
            f"This {name} is not fitted yet: call fit(reference, context) before run."
        )
