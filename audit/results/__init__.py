"""The results schema, and what a comparison of two results holds: all that reports may import."""
