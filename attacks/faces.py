"""Faces as attacks take them: clear ones of known identity, anonymised ones of none.

The types draw the line of honesty: `AnonymizedFaces` has no field for an original picture or a true
identity, so no attack can look at one.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from reid_audit.attacks.pictures import Picture, check_picture, picture_files, read_picture
from reid_audit.metrics.errors import InputError

if TYPE_CHECKING:
    from reid_audit.attacks.recognition.detect import Detector

SAMPLE = 100
"""Faces that tell where faces stand in pictures of one kind."""


@dataclass(frozen=True, repr=False)
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

    @classmethod
    def of(
        cls,
        pictures: Sequence[Picture | str | Path],
        *,
        landmarks: np.ndarray | None = None,
        like: ClearFaces | None = None,
        regions: np.ndarray | None = None,
        ids: Sequence[str] | None = None,
    ) -> Self:
        """Probes from anonymised pictures of one face each.

        Where no `landmarks` are given, the face is looked for in the anonymised picture (MTCNN).
        Where none can be seen any more, it is taken to stand where faces stand in the pictures of
        `like` (the median, in shares of the picture's size), as an attacker would who knows that
        both were cropped alike; without `like`, where the others of these pictures show theirs.

        Args:
            pictures: RGB uint8 `(H, W, 3)`, or files. One kind of cropping.
            landmarks: `(N, 5, 2)` in pixels: eyes, nose, mouth corners, left to right; `(5, 2)`
                where they are the same in every picture.
            like: clear faces cropped alike, such as those of the gallery.
            regions: `(N, 4)` or `(4,)` int, the processed part x0, y0, x1, y1; the whole picture
                by default.
            ids: names that differ from each other; digests of the pixels by default.

        Raises:
            InputError: not RGB uint8, an unreadable file, a wrong number of something, or no face
                to be seen in any picture and nothing that tells where they stand.
        """
        opened = [_opened(source, f"Picture {i}") for i, source in enumerate(pictures)]
        if landmarks is None:
            places = _seen_or_typical(opened, like)
        else:
            places = _rows(landmarks, len(opened), (5, 2), "landmarks")
        whole = np.array([[0, 0, p.shape[1], p.shape[0]] for p in opened]).reshape(-1, 4)
        if regions is not None:
            whole = _rows(regions, len(opened), (4,), "regions").astype(int)
        names = tuple(ids) if ids is not None else tuple(_digest(p) for p in opened)
        if len(names) != len(opened):
            raise InputError(f"{len(names)} ids for {len(opened)} pictures; give one for each.")
        return cls(names, tuple(opened), places.astype(np.float32), whole)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        sizes = sorted({(p.shape[1], p.shape[0]) for p in self.pictures})
        span = " to ".join(f"{w} x {h}" for w, h in dict.fromkeys((*sizes[:1], *sizes[-1:])))
        return f"AnonymizedFaces({counted(len(self), 'face')}{span and f', {span} pixels'})"

    def batches(self, size: int) -> Iterator[AnonymizedFaces]:
        """Consecutive parts of at most `size` faces."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield AnonymizedFaces(
                self.ids[part], self.pictures[part], self.landmarks[part], self.regions[part]
            )


@dataclass(frozen=True, repr=False)
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
    load: Callable[[int], Picture] = field(compare=False)

    @classmethod
    def of(
        cls,
        pictures: Sequence[Picture | str | Path],
        people: Sequence[str] | None = None,
        *,
        landmarks: np.ndarray | None = None,
    ) -> Self:
        """Reference faces from pictures that show one person each.

        As in a scan, an attack sees the square of three face widths about the face, cut at the
        picture's border. Files are decoded again whenever their face is asked for.

        Args:
            pictures: RGB uint8 `(H, W, 3)` of any sizes, or files.
            people: who each picture shows; None: everybody is somebody else.
            landmarks: `(N, 5, 2)` in pixels of the pictures: eyes, nose, mouth corners, left to
                right; None: of the most prominent face that is detected (MTCNN).

        Raises:
            InputError: not RGB uint8, an unreadable file, a picture without a face, or a wrong
                number of people or landmarks.
        """
        if people is not None and len(people) != len(pictures):
            raise InputError(
                f"{len(people)} people for {len(pictures)} pictures; say for each whom it shows."
            )
        points = None if landmarks is None else _rows(landmarks, len(pictures), (5, 2), "landmarks")
        kept = []
        for index, source in enumerate(pictures):
            face = _face(source, f"Picture {index}", None if points is None else points[index])
            if face is None:
                raise InputError(
                    f"Picture {index}: no face to be seen; leave it out, or give landmarks."
                )
            kept.append(face)
        return cls._made(kept, [None] * len(kept) if people is None else list(people))

    @classmethod
    def from_folder(cls, folder: str | Path) -> Self:
        """Reference faces from `folder/<person>/**/<picture>`; the most prominent face of each.

        Pictures that lie in no person's folder show somebody else each. Those without a face to be
        seen are left out with a warning that says how many.

        Raises:
            InputError: no such folder, no picture with a face in it, or a file that is damaged.
        """
        root = Path(folder)
        if not root.is_dir():
            raise InputError(f"{root}: no such folder; correct the path.")
        kept, people = [], []
        files = list(picture_files(root))
        for path in files:
            face = _face(path, str(path), None)
            if face is not None:
                below = path.relative_to(root).parts
                kept.append(face)
                people.append(below[0] if len(below) > 1 else None)
        if not kept:
            raise InputError(
                f"{root}: {counted(len(files), 'picture')}, and no face to be seen; "
                "give a folder of clear faces, <person>/<picture>."
            )
        if len(kept) < len(files):
            missing = counted(len(files) - len(kept), "picture")
            warnings.warn(
                f"{root}: {missing} of {len(files)} left out, no face to be seen.", stacklevel=2
            )
        return cls._made(kept, people)

    @classmethod
    def _made(cls, faces: Sequence[_Face], people: Sequence[str | None]) -> Self:
        return cls(
            tuple(face.id for face in faces),
            tuple(
                f"unnamed {face.id}" if who is None else str(who)
                for face, who in zip(faces, people, strict=True)
            ),
            np.array([face.landmarks for face in faces], np.float32).reshape(-1, 5, 2),
            lambda index: faces[index].load(),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        people = counted(len(set(self.identities)), "person", "people")
        return f"ClearFaces({counted(len(self), 'face')} of {people})"

    def __add__(self, other: ClearFaces) -> ClearFaces:
        """These faces, then those."""
        return ClearFaces(
            self.ids + other.ids,
            self.identities + other.identities,
            np.concatenate([self.landmarks, other.landmarks]),
            lambda i: self.load(i) if i < len(self) else other.load(i - len(self)),
        )

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


@dataclass(frozen=True, eq=False)
class _Face:
    """A face of a picture: where it comes from, and the window that attacks see."""

    id: str
    source: Picture | Path
    window: tuple[int, int, int, int]
    landmarks: np.ndarray

    def load(self) -> Picture:
        picture = read_picture(self.source) if isinstance(self.source, Path) else self.source
        x0, y0, x1, y1 = self.window
        return np.ascontiguousarray(picture[y0:y1, x0:x1])


def _face(source: Picture | str | Path, what: str, landmarks: np.ndarray | None) -> _Face | None:
    """A reference face of a picture; None where none can be seen."""
    from reid_audit.attacks.recognition.align import reference_window

    picture = _opened(source, what)
    points = detect_landmarks(picture) if landmarks is None else landmarks
    if points is None:
        return None
    window = reference_window(points, picture.shape)
    place = hashlib.sha256(np.round(points, 2).astype("<f4").tobytes()).hexdigest()[:8]
    return _Face(
        f"{_digest(picture)}-{place}",
        Path(source) if isinstance(source, str | Path) else picture,
        window,
        points - np.array(window[:2], np.float32),
    )


def detect_landmarks(picture: Picture) -> np.ndarray | None:
    """Landmarks `(5, 2)` float32 of the most prominent face of a picture `(H, W, 3)`: a large one
    near the middle. None where no face can be seen."""
    from reid_audit.attacks.recognition.detect import most_prominent

    face = most_prominent(_detector().detect([picture])[0], picture.shape)
    return None if face is None else face.landmarks


@cache
def _detector() -> Detector:
    from reid_audit.attacks.recognition.detect import Detector

    return Detector()


def _seen_or_typical(pictures: Sequence[Picture], like: ClearFaces | None) -> np.ndarray:
    """Landmarks `(N, 5, 2)` of anonymised faces, as `AnonymizedFaces.of` says."""
    seen = [detect_landmarks(picture) for picture in pictures]
    sizes = [np.array([p.shape[1], p.shape[0]], np.float32) for p in pictures]
    if all(points is not None for points in seen):
        return np.array(seen).reshape(-1, 5, 2)
    if like is not None:
        rows = range(0, len(like), max(1, len(like) // SAMPLE))
        shapes = [like.load(row).shape for row in rows]
        shares = [like.landmarks[r] / [s[1], s[0]] for r, s in zip(rows, shapes, strict=True)]
    else:
        both = zip(seen, sizes, strict=True)
        shares = [points / size for points, size in both if points is not None]
    if not shares:
        raise InputError(
            f"No face can be seen in any of {counted(len(pictures), 'picture')}: give "
            "like=GALLERY where the gallery is cropped alike, or landmarks (N, 5, 2)."
        )
    typical = np.median(shares, axis=0)
    places = [
        typical * size if points is None else points
        for points, size in zip(seen, sizes, strict=True)
    ]
    return np.array(places)


def _opened(source: Picture | str | Path, what: str) -> Picture:
    if isinstance(source, str | Path):
        return read_picture(Path(source))
    return check_picture(source, what)


def _rows(values: np.ndarray, count: int, shape: tuple[int, ...], what: str) -> np.ndarray:
    """`values` of `(count, *shape)`, or of `shape` for every row."""
    array = np.asarray(values, np.float32)
    if array.shape not in (shape, (count, *shape)):
        raise InputError(
            f"{what} have the shape {array.shape}; give {(count, *shape)}, or {shape} for all."
        )
    return np.broadcast_to(array, (count, *shape)).copy()


def _digest(picture: Picture) -> str:
    """Digest of a picture's size and pixels."""
    content = repr(picture.shape).encode() + np.ascontiguousarray(picture).tobytes()
    return hashlib.sha256(content).hexdigest()[:24]


def counted(number: int, singular: str, several: str | None = None) -> str:
    """
    >>> counted(1, "face"), counted(2, "person", "people")
    ('1 face', '2 people')
    """
    return f"{number} {singular if number == 1 else several or f'{singular}s'}"
