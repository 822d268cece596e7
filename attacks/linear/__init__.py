"""Restoration in closed form, and the views of a probe that every attack builds on."""
