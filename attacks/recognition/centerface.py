"""CenterFace: a second face detector, for the small, turned and half hidden faces of scenes.

Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", Scientific
Programming 2020. The network is optional: `reid-audit weights fetch centerface` gets it. OpenCV
runs it on the CPU.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reid_audit.attacks.recognition.detect import TOLERANCE, Detection, Tile, distinct, tiles
from reid_audit.metrics.errors import IntegrityError

SHA256 = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
OUTPUTS = ("537", "538", "539", "540")
"""Of the network: score, size, place within a cell, landmarks within the box."""
# One cell of the outputs is this many pixels wide; sides of inputs are multiples of `MULTIPLE`.
CELL, MULTIPLE = 4, 32
# Below this score a cell is no face's.
FAINT = 0.2


class CenterFace:
    """The network, ready to look.

    Raises:
        IntegrityError: the file is not the pinned one.
    """

    def __init__(self, path: Path) -> None:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != SHA256:
            raise IntegrityError(
                f"{path.name} differs from its SHA-256: delete it and run "
                "`reid-audit weights fetch centerface`."
            )
        self._content = np.frombuffer(content, np.uint8)
        self._size, self._net = (0, 0), cv2.dnn.readNetFromONNX(self._content)

    def detect(self, picture: NDArray[np.uint8], smallest: float) -> list[Detection]:
        """What may be a face in a picture `(H, W, 3)` RGB uint8, each once, from `smallest` pixels
        of width up; their scores start at `FAINT`."""
        faces = [
            face
            for tile in tiles(picture.shape, smallest)
            for face in self._look(picture, tile)
            if face.width >= TOLERANCE * smallest
        ]
        return distinct(faces)

    def _look(self, picture: NDArray[np.uint8], tile: Tile) -> list[Detection]:
        """Faces of one part of the picture at one scale, in pixels of the picture."""
        x0, y0, x1, y1 = tile.box
        width, height = (
            MULTIPLE * max(1, round(side * tile.scale / MULTIPLE)) for side in (x1 - x0, y1 - y0)
        )
        method = cv2.INTER_CUBIC if tile.scale > 1 else cv2.INTER_AREA
        part = np.asarray(cv2.resize(picture[y0:y1, x0:x1], (width, height), interpolation=method))
        score, size, place, points = (maps[0] for maps in self._forward(part))
        rows, columns = np.nonzero(score[0] >= FAINT)
        score, size, place, points = (m[:, rows, columns] for m in (score, size, place, points))
        # The network gives y before x.
        extent = CELL * np.exp(size[::-1])
        middle = CELL * (np.stack([columns, rows]) + place[::-1] + 0.5)
        corner = middle - extent / 2
        landmarks = points.reshape(5, 2, -1)[:, ::-1] * extent + corner
        unit = np.array([[(x1 - x0) / width], [(y1 - y0) / height]], np.float32)
        start = np.array([[x0], [y0]], np.float32)
        low, high, landmarks = (
            (p * unit + start).astype(np.float32) for p in (corner, corner + extent, landmarks)
        )
        found = [
            Detection(np.r_[low[:, i], high[:, i]], landmarks[:, :, i], float(score[0, i]))
            for i in range(len(rows))
        ]
        least, greatest = tile.widths
        return [face for face in found if least <= face.width < greatest]

    def _forward(self, picture: NDArray[Any]) -> list[NDArray[np.float32]]:
        size = picture.shape[1], picture.shape[0]
        if size != self._size:
            # OpenCV 4 answers wrongly where one network is given pictures of several sizes.
            self._size, self._net = size, cv2.dnn.readNetFromONNX(self._content)
        self._net.setInput(cv2.dnn.blobFromImage(picture))
        return [np.asarray(maps, np.float32) for maps in self._net.forward(OUTPUTS)]
