"""File leaks: what an anonymised picture gives away without any attack on its pixels."""

from reid_audit.attacks.residue.base import Residue, Severity, gravest
from reid_audit.attacks.residue.inspect import inspect

__all__ = ["Residue", "Severity", "gravest", "inspect"]
