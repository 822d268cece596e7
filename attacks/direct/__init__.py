"""Attacks that go from anonymised pixels to an identity without a picture in between."""
