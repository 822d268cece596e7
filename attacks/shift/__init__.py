"""A target-oriented anonymiser, trained here, to test attacks on replaced faces on.

It changes who a face is to a recogniser by a rule, and keeps the rest. Its rules are known, so that
it is known what an attack from pairs must find.
"""
