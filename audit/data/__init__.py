"""Ingest: the files of an audit, checked, digested and freed of duplicates."""

from audit.data.decode import decode
from audit.data.items import Box, Dataset, Excluded, Item, Role
from audit.data.load import check, load
from audit.data.pseudonyms import Pseudonyms, run_key, user_secret

__all__ = [
    "Box",
    "Dataset",
    "Excluded",
    "Item",
    "Pseudonyms",
    "Role",
    "check",
    "decode",
    "load",
    "run_key",
    "user_secret",
]
