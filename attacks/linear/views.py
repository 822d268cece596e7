"""Reference faces seen through the anonymisation: aligned crops and embeddings, kept on disk.

Every trained attack needs the same pictures: background and gallery faces clear, anonymised as the
probes were, and restored from that. They are made once per anonymisation, streamed, and cached by
content, so that ridge, parrot, student and degraded gallery share them and a resumed run finds
them again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from reid_audit.attacks.interface import AnonymizedFaces, ClearFaces, Context, Reference
from reid_audit.attacks.linear.wiener import Restorer, prior_restorer
from reid_audit.attacks.recognition.align import crop, face_width, moved
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.metrics.cache import array_to_fill, entry, kept_array, load_array

VERSION = 3
CHUNK = 256
"""Faces in memory at once."""


class View(StrEnum):
    """A face as it is, as the anonymiser leaves it, and as the linear restorer brings it back."""

    CLEAR = "clear"
    ANONYMIZED = "anonymized"
    RESTORED = "restored"


@dataclass(frozen=True)
class Views:
    """The three views of any faces, for one anonymisation and one recogniser."""

    context: Context
    restorer: Restorer

    @classmethod
    def of(cls, reference: Reference, context: Context) -> Views:
        """Views through the restorer whose prior is measured on the reference faces."""
        return cls(context, prior_restorer(reference, context))

    def crops(
        self, faces: ClearFaces, view: View, recognizer: Recognizer | None = None
    ) -> np.ndarray:
        """Aligned crops `(N, S, S, 3)` uint8 of reference faces, anonymised or restored;
        memory-mapped when cached. Both views are made in one pass."""
        recognizer = recognizer or self.context.recognizer
        path = self._path("crops", faces, view, repr(recognizer.template))
        kept = load_array(path, mapped=True)
        if kept is not None:
            return kept
        return self._make(faces, recognizer, (View.ANONYMIZED, View.RESTORED))[view]

    def moved_crops(self, faces: ClearFaces, number: int, recognizer: Recognizer) -> np.ndarray:
        """Restored crops of reference faces that were moved a little, or mirrored, before they were
        anonymised: the `number`-th time, from 1.

        What is lost to rounding, blocks and compression falls otherwise each time. A network that
        sees a face through one fall of it alone learns that by heart.
        """
        what = f"{recognizer.template!r} moved {number}"
        kept = load_array(self._path("crops", faces, View.RESTORED, what), mapped=True)
        if kept is not None:
            return kept
        return self._make(faces, recognizer, (View.RESTORED,), number)[View.RESTORED]

    def embeddings(
        self, faces: ClearFaces, view: View, recognizer: Recognizer | None = None
    ) -> np.ndarray:
        """The recogniser's embeddings `(N, d)` float32 of reference faces."""
        recognizer = recognizer or self.context.recognizer
        if view is View.CLEAR:
            return embed_clear(faces, self.context, recognizer)

        def make() -> np.ndarray:
            crops = self.crops(faces, view, recognizer)
            parts = (crops[start : start + CHUNK] for start in range(0, len(crops), CHUNK))
            what = f"embedding {view} reference faces"
            return _embed(parts, len(crops), what, self.context, recognizer)

        return kept_array(self._path("embeddings", faces, view, recognizer.digest), make)

    def probe_crops(
        self, probes: AnonymizedFaces, view: View, recognizer: Recognizer | None = None
    ) -> np.ndarray:
        """Aligned crops `(N, S, S, 3)` uint8 of probes as they are or restored."""
        recognizer = recognizer or self.context.recognizer
        pictures: Iterable[np.ndarray] = probes.pictures
        if view is View.RESTORED:
            pairs = zip(probes.pictures, probes.regions, strict=True)
            pictures = [self.restorer.restore(picture, region) for picture, region in pairs]
        return crop(list(pictures), probes.landmarks, recognizer.template)

    def probe_embeddings(
        self, probes: AnonymizedFaces, view: View, recognizer: Recognizer | None = None
    ) -> np.ndarray:
        """The recogniser's embeddings `(N, d)` float32 of probes."""
        recognizer = recognizer or self.context.recognizer
        return recognizer.embed(self.probe_crops(probes, view, recognizer))

    def _make(
        self, faces: ClearFaces, recognizer: Recognizer, views: Sequence[View], move: int = 0
    ) -> dict[View, np.ndarray]:
        side = recognizer.template.size
        shape = (len(faces), side, side, 3)
        what = repr(recognizer.template) + (f" moved {move}" if move else "")
        paths = {view: self._path("crops", faces, view, what) for view in views}

        def crop_of(index: int) -> np.ndarray:
            picture, points = faces.load(index), faces.landmarks[index]
            rng = self.context.rng(faces.ids[index] + (f" moved {move}" if move else ""))
            if move:
                picture, points = moved(picture, points, rng)
            anonymized, points, region = self.context.forward.degrade(picture, points, rng)
            seen = {View.ANONYMIZED: anonymized}
            seen[View.RESTORED] = self.restorer.restore(anonymized, region)
            pictures = [seen[view] for view in views]
            return crop(pictures, np.stack([points] * len(views)), recognizer.template)

        with ExitStack() as stack:
            arrays = {v: stack.enter_context(array_to_fill(paths[v], shape)) for v in views}
            # By size: what faces of one size have in common is computed once.
            order = np.argsort(face_width(np.asarray(faces.landmarks)), kind="stable")
            for done, crops in enumerate(in_threads(lambda n: crop_of(order[n]), len(faces))):
                for view, picture in zip(views, crops, strict=True):
                    arrays[view][order[done]] = picture
                self.context.progress("anonymising reference faces", done + 1, len(faces))
        for array in arrays.values():
            array.flags.writeable = False  # as it is when it is read again
        return arrays

    def _path(self, kind: str, faces: ClearFaces, view: View, what: str) -> Path | None:
        forward = self.context.forward.key
        parts = [kind, faces.key, view, what, forward, str(self.context.seed)]
        if view is View.RESTORED:
            parts.append(self.restorer.key)
        return entry(self.context.cache, kind, [str(VERSION), *parts])


def embed_clear(
    faces: ClearFaces, context: Context, recognizer: Recognizer | None = None
) -> np.ndarray:
    """Embeddings `(N, d)` float32 of clear faces, streamed and cached by content."""
    recognizer = recognizer or context.recognizer

    def crop_of(index: int) -> np.ndarray:
        picture, points = faces.load(index), faces.landmarks[index]
        return np.asarray(crop([picture], points[None], recognizer.template)[0])

    def make() -> np.ndarray:
        crops = in_threads(crop_of, len(faces))
        parts = (np.stack(part) for part in iter(lambda: list(islice(crops, CHUNK)), []))
        return _embed(parts, len(faces), "embedding clear faces", context, recognizer)

    parts = [str(VERSION), faces.key, View.CLEAR, recognizer.digest]
    return kept_array(entry(context.cache, "embeddings", parts), make)


def in_threads(work: Callable[[int], np.ndarray], count: int) -> Iterator[np.ndarray]:
    """`work(0) .. work(count - 1)` in order, on all cores, few finished results waiting: decoding,
    OpenCV and BLAS release the interpreter lock."""
    # One picture a thread: matrix products that spread over all cores would only be in the way.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for start in range(0, count, CHUNK):
            yield from pool.map(work, range(start, min(start + CHUNK, count)))


def _embed(
    crops: Iterable[np.ndarray],
    count: int,
    what: str,
    context: Context,
    recognizer: Recognizer,
) -> np.ndarray:
    embedded = np.zeros((count, recognizer.dimension), np.float32)
    done = 0
    for part in crops:
        # A copy, since the memory map is read-only and torch warns of such memory.
        embedded[done : done + len(part)] = recognizer.embed(np.array(part))
        done += len(part)
        context.progress(what, done, count)
    return embedded
