"""Fits the constants of the estimator of the operator, on development pictures."""
