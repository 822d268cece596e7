"""Reference faces seen through the anonymisation: aligned crops and embeddings, kept on disk.

Every trained attack needs the same pictures: background and gallery faces clear, anonymised as the
probes were, and restored from that. They are made once per anonymisation, streamed, and cached by
content, so that ridge, parrot, student and degraded gallery share them and a resumed run finds
them again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from attacks.interface import AnonymizedFaces, ClearFaces, Context, Reference
from attacks.recognition.align import crop
from attacks.recognition.interface import Recognizer
from attacks.restoration.wiener import Restorer, prior_restorer

VERSION = 1


class View(StrEnum):
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
        """Aligned crops `(N, S, S, 3)` uint8 of reference faces, memory-mapped when cached."""
        recognizer = recognizer or self.context.recognizer
        path = self._path("crops", faces, view, recognizer.template.name)
        if path is not None and path.exists():
            return np.load(path, mmap_mode="r")
        views = [View.CLEAR] if view is View.CLEAR else [View.ANONYMIZED, View.RESTORED]
        made = self._make(faces, views, recognizer)
        return made[view]

    def embeddings(
        self, faces: ClearFaces, view: View, recognizer: Recognizer | None = None
    ) -> np.ndarray:
        """The recogniser's embeddings `(N, d)` float32 of reference faces."""
        recognizer = recognizer or self.context.recognizer
        path = self._path("embeddings", faces, view, recognizer.digest)
        if path is not None and path.exists():
            return np.load(path)
        crops = self.crops(faces, view, recognizer)
        parts = []
        for start in range(0, len(crops), self.context.batch_size):
            parts.append(
                recognizer.embed(np.asarray(crops[start : start + self.context.batch_size]))
            )
            self.context.progress(
                f"embedding {view} reference faces", start + len(parts[-1]), len(crops)
            )
        embedded = (
            np.concatenate(parts) if parts else np.zeros((0, recognizer.dimension), np.float32)
        )
        if path is not None:
            _save(path, embedded)
        return embedded

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
        self, faces: ClearFaces, views: list[View], recognizer: Recognizer
    ) -> dict[View, np.ndarray]:
        side = recognizer.template.size
        shape = (len(faces), side, side, 3)
        paths = {v: self._path("crops", faces, v, recognizer.template.name) for v in views}
        arrays = {view: _allocate(paths[view], shape) for view in views}

        def one(index: int) -> Iterator[np.ndarray]:
            picture, points = faces.load(index), faces.landmarks[index]
            if views == [View.CLEAR]:
                return iter([crop([picture], points[None], recognizer.template)[0]])
            rng = self.context.rng(faces.ids[index])
            anonymized, points, region = self.context.forward.degrade(picture, points, rng)
            restored = self.restorer.restore(anonymized, region)
            return iter(crop([anonymized, restored], np.stack([points] * 2), recognizer.template))

        # Decoding, OpenCV and BLAS release the interpreter lock, so threads use all cores.
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            step = 256  # bounds how many finished crops wait in memory
            for start in range(0, len(faces), step):
                indices = range(start, min(start + step, len(faces)))
                for index, crops in zip(indices, pool.map(one, indices), strict=True):
                    for view, picture in zip(views, crops, strict=True):
                        arrays[view][index] = picture
                self.context.progress(
                    f"preparing {views[-1]} reference faces", indices.stop, len(faces)
                )
        for view in views:
            path, array = paths[view], arrays[view]
            if path is not None and isinstance(array, np.memmap):
                array.flush()
                Path(array.filename).replace(path)  # type: ignore[arg-type]
                arrays[view] = np.load(path, mmap_mode="r")
        return arrays

    def _path(self, kind: str, faces: ClearFaces, view: View, what: str) -> Path | None:
        if self.context.cache is None:
            return None
        parts = [str(VERSION), kind, faces.key, view, what]
        if view is not View.CLEAR:
            parts += [self.context.forward.key, str(self.context.seed)]
        if view is View.RESTORED:
            parts.append(self.restorer.key)
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]
        return self.context.cache / f"{kind}-{digest}.npy"


def _allocate(path: Path | None, shape: tuple[int, ...]) -> np.ndarray:
    if path is None or shape[0] == 0:
        return np.zeros(shape, np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.partial")
    return np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)


def _save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)
    temporary.replace(path)
