"""People who do not exist as attacks see them: a reference, and probes under any anonymisation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from reid_audit.attacks.checkpoint import Checkpoint
from reid_audit.attacks.forward import ForwardModel, RelativeBox
from reid_audit.attacks.interface import AnonymizedFaces, Attack, ClearFaces, Context, Reference
from reid_audit.attacks.operators import parse
from reid_audit.attacks.recognition.align import face_width
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.registry import make_attack
from reid_audit.audit.data import decode

LANDMARKS = np.array([[35, 42], [61, 42], [48, 56], [38, 68], [58, 68]], np.float32)
"""Where the drawing program puts the features of a face in 96 pixels, within a few of them."""
KNOWN, REFERENCES = 8, 2
FEW = {
    "student": {"epochs": 1},
    "fusion": {"epochs": 1},
    "parrot-tuned": {"epochs": 1},
    "flow": {"steps": 2},
    "posterior": {"steps": 3},
    "revelio": {"rounds": 2, "steps": 2},
    "revelio-vote": {"rounds": 2, "steps": 2},
}
"""Options under which attacks are quick, and worth nothing."""
FACE = RelativeBox(-0.6, -0.9, 0.6, 0.8)


@dataclass(frozen=True)
class Scene:
    """A reference, probes (two of each known person) and what they were before."""

    reference: Reference
    probes: AnonymizedFaces
    originals: tuple[np.ndarray, ...]
    truth: tuple[str, ...]
    context: Context

    def mates(self) -> np.ndarray:
        """Column of each probe's own person in a score matrix."""
        return np.array([self.reference.people.index(person) for person in self.truth])


@pytest.fixture(scope="session")
def quick() -> Callable[..., Attack]:
    """A function (name, options) that makes an attack with little to compute."""

    def make(name: str, **options: object) -> Attack:
        return make_attack(name, {**FEW.get(name, {}), **options})

    return make


@pytest.fixture(scope="session")
def pictures(cast_folder: Path) -> dict[tuple[str, int], np.ndarray]:
    """Pictures `(96, 96, 3)` by person and number."""
    return {
        (path.parent.name, int(path.stem)): decode(path)
        for path in sorted(cast_folder.glob("*/*.png"))
    }


@pytest.fixture(scope="session")
def clear(pictures: dict[tuple[str, int], np.ndarray]) -> ClearFaces:
    """All pictures as reference faces, in the order of `pictures`."""
    keys = sorted(pictures)
    return ClearFaces(
        tuple(f"{person}/{number}" for person, number in keys),
        tuple(person for person, _ in keys),
        np.stack([LANDMARKS] * len(keys)),
        lambda index: pictures[keys[index]],
    )


@pytest.fixture(scope="session")
def scene(
    clear: ClearFaces, stand_in: Recognizer, untrained: dict[str, Checkpoint]
) -> Callable[..., Scene]:
    """A function (spec, whole picture or not, recogniser) that makes a scene."""

    def make(
        spec: str, whole: bool = True, recognizer: Recognizer = stand_in, **context: object
    ) -> Scene:
        people = sorted(set(clear.identities))
        first = np.array([int(name.rpartition("/")[2]) < REFERENCES for name in clear.ids])
        known = np.isin(clear.identities, people[:KNOWN])
        faces = clear.select(np.flatnonzero(first | ~known))
        rows = np.isin(faces.identities, people[:KNOWN])
        reference = Reference(
            faces, tuple(np.flatnonzero(rows).tolist()), tuple(np.flatnonzero(~rows).tolist())
        )
        forward = ForwardModel(
            parse(spec), (float(face_width(LANDMARKS)),), None if whole else FACE
        )
        settings = Context(forward, recognizer, recognizer, seed=3, checkpoints=untrained)
        chosen = np.flatnonzero(~first & known)
        originals = tuple(clear.load(int(row)) for row in chosen)
        made = [
            forward.degrade(picture, LANDMARKS, settings.rng(clear.ids[row]))
            for row, picture in zip(chosen, originals, strict=True)
        ]
        probes = AnonymizedFaces(
            tuple(clear.ids[row] for row in chosen),
            tuple(picture for picture, _, _ in made),
            np.stack([points for _, points, _ in made]),
            np.stack([region for _, _, region in made]),
        )
        truth = tuple(clear.identities[row] for row in chosen)
        return Scene(reference, probes, originals, truth, settings.replace(**context))

    return make
