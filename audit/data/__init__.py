"""Ingest: the files of an audit, checked, digested and freed of duplicates."""

from audit.data.decode import decode
from audit.data.items import Box, Dataset, Excluded, Item, Role
from audit.data.load import check, load
from audit.data.pseudonyms import Pseudonyms, open_link, run_key, user_secret
from audit.data.scan import FileFacts, clean, data_digests, scan_files

__all__ = [
    "Box",
    "Dataset",
    "Excluded",
    "FileFacts",
    "Item",
    "Pseudonyms",
    "Role",
    "check",
    "clean",
    "data_digests",
    "decode",
    "load",
    "open_link",
    "run_key",
    "scan_files",
    "user_secret",
]
