"""Attacks that give back a picture."""
