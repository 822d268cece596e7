"""The console script. Commands import what they need when they run, so `--help` is instant."""

from reid_audit.audit.cli.main import main

__all__ = ["main"]
