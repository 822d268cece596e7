"""Frames of a film that stands inside another file, decoded from memory.

Nothing is written to a disk: the frames may show the people who were to be hidden.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import av
import numpy as np

FRAMES = 24
"""Frames looked at, spread evenly."""
_MOST_FRAMES = 3_000
"""Frames decoded: two minutes at 25 a second, where a motion photo has three seconds."""
_MOST_PIXELS = 40_000_000


def frames(content: bytes) -> Iterator[np.ndarray]:
    """Up to 48 frames `(H, W, 3)` uint8 RGB, evenly spread; none where it cannot be decoded.

    A film that is cut short yields its frames up to there.
    """
    try:
        with av.open(io.BytesIO(content), "r", metadata_errors="ignore") as film:
            stream = film.streams.video[0]
            if not 0 < stream.width * stream.height <= _MOST_PIXELS:
                return
            step = max(1, min(stream.frames, _MOST_FRAMES) // FRAMES)
            for number, frame in enumerate(film.decode(stream)):
                if number >= _MOST_FRAMES:
                    return
                if number % step == 0 and (stream.frames or number < FRAMES):
                    yield frame.to_ndarray(format="rgb24")
    except (av.FFmpegError, IndexError, ValueError, OSError):
        return
