"""What an attack is given and what it returns: the contract every attack keeps.

The types draw the line of honesty: `AnonymizedFaces` has no field for an original picture or a true
identity, so no attack can look at one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self

import numpy as np

from reid_audit.attacks.forward import ForwardModel

if TYPE_CHECKING:
    from reid_audit.attacks.recognition.interface import Recognizer

Picture = np.ndarray
Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True)
class AnonymizedFaces:
    """Some probes as an attacker holds them: decoded 8-bit windows around one face each.

    ids: stable names, from which each picture's random numbers are seeded.
    pictures: RGB uint8 `(H, W, 3)`, sizes may differ.
    landmarks: `(N, 5, 2)` float32, where the attacker believes the face stands, in window pixels.
    regions: `(N, 4)` int, the processed part x0, y0, x1, y1 of each window.
    """

    ids: tuple[str, ...]
    pictures: tuple[Picture, ...]
    landmarks: np.ndarray
    regions: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def batches(self, size: int) -> Iterator[AnonymizedFaces]:
        """Consecutive parts of at most `size` faces."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield AnonymizedFaces(
                self.ids[part], self.pictures[part], self.landmarks[part], self.regions[part]
            )


@dataclass(frozen=True)
class ClearFaces:
    """Clear reference faces, decoded when asked for: memory does not grow with their number.

    ids: content-derived names; equal pictures have equal ids.
    identities: who each is; for background people any label that tells them apart.
    landmarks: `(N, 5, 2)` float32 in window pixels.
    load: window `(H, W, 3)` uint8 of the i-th face.
    """

    ids: tuple[str, ...]
    identities: tuple[str, ...]
    landmarks: np.ndarray
    load: Callable[[int], Picture] = field(repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def key(self) -> str:
        """Digest of the content and its order, for caches."""
        return hashlib.sha256("\n".join(self.ids).encode()).hexdigest()[:16]

    def select(self, indices: Sequence[int] | np.ndarray) -> ClearFaces:
        """The faces at `indices`, in that order."""
        chosen = [int(i) for i in indices]
        return ClearFaces(
            tuple(self.ids[i] for i in chosen),
            tuple(self.identities[i] for i in chosen),
            self.landmarks[chosen],
            lambda i: self.load(chosen[i]),
        )


World = Literal["closed", "open"]


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Context:
    """Everything an attack works with that is not data.

    forward: what the attacker believes was done to the pictures.
    recognizer: the network that scores; its embedding is the target of restoration.
    trainable: recogniser a student may start from; None where none is installed.
    cache: folder for recomputable intermediate arrays, or None.
    options: tuning chosen on development people, by name.
    others: the run's other recognisers, among which a checkpoint finds the one it was made from.
    """

    forward: ForwardModel
    recognizer: Recognizer
    trainable: Recognizer | None = None
    seed: int = 0
    device: str = "cpu"
    cache: Path | None = None
    progress: Progress = lambda what, done, total: None
    options: Mapping[str, Any] = field(default_factory=dict)
    others: tuple[Recognizer, ...] = ()

    @property
    def recognizers(self) -> tuple[Recognizer, ...]:
        """Every recogniser at hand, the one that scores first."""
        started = () if self.trainable is None else (self.trainable,)
        return (self.recognizer, *started, *self.others)

    def rng(self, image_id: str) -> np.random.Generator:
        """The random numbers of one picture: independent of batch, order, shard and resuming."""
        return picture_rng(self.seed, image_id)

    def replace(self, **changes: Any) -> Context:
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


@dataclass(frozen=True)
class AttackOutput:
    """What an attack found; the caller derives what is missing.

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


class Attack(Protocol):
    """An attacker: learn from the reference, then attack probes. `run` does not change it."""

    info: ClassVar[AttackInfo]

    def fit(self, reference: Reference, context: Context) -> Self: ...

    def run(self, probes: AnonymizedFaces, context: Context) -> AttackOutput: ...
