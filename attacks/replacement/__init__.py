"""Faces that were replaced by others: what pairs of an output and its original give away."""
