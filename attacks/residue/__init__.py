"""File leaks: what an anonymised picture gives away without any attack on its pixels."""

from attacks.residue.base import Residue, Severity
from attacks.residue.inspect import inspect

__all__ = ["Residue", "Severity", "inspect"]
