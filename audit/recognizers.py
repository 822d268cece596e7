"""What a weak recogniser costs an audit: an attacker picks the best network there is."""

from __future__ import annotations

WEAK = frozenset({"dlib", "facenet-casia", "facenet-vggface2"})
"""Recognisers that modern ones leave far behind on blurred faces."""
WHAT_A_FETCH_CHANGES = (
    "Among 4,034 people of LFW under a blur of .083 face widths, a linear map names 52.3 % with "
    "dlib (95 % CI 47.8 to 56.9 %) and 93.5 % with EdgeFace-XS (91.0 to 95.5 %), 299 people each."
)
"""Measured in benchmarks/lfw.md."""
