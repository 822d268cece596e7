"""Ingest: the files of an audit, checked, digested and freed of duplicates."""

from reid_audit.audit.data.decode import decode
from reid_audit.audit.data.items import Box, Dataset, Excluded, Item, Originals, Role
from reid_audit.audit.data.load import check, load
from reid_audit.audit.data.pseudonyms import Pseudonyms, open_link, run_key, user_secret
from reid_audit.audit.data.screening import FileFacts, clean, data_digests, scan_files

__all__ = [
    "Box",
    "Dataset",
    "Excluded",
    "FileFacts",
    "Item",
    "Originals",
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
