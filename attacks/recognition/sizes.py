"""How small a face is looked for: stated once, and readable without loading a network."""

SMALLEST_FACE = 20.0
"""Width in pixels of the smallest faces that are looked for, unless another is asked for."""
SMALLEST_POSSIBLE = 12.0
"""The least that may be asked for: smaller faces cannot be told from other things."""
