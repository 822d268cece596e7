"""Revelio, "Restoring Gaussian Blurred Face Images for Deanonymization Attacks", in every stage."""
