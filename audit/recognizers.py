"""What a weak recogniser costs an audit: an attacker picks the best network there is."""

from __future__ import annotations

WEAK = frozenset({"dlib", "facenet-casia", "facenet-vggface2"})
"""Recognisers that modern ones leave far behind on blurred faces."""
