"""Where fetched weights lie; `reid-audit weights` fills the folder, networks read from it."""

import os
from pathlib import Path

import platformdirs

VARIABLE = "REID_AUDIT_WEIGHTS"


def weights_folder() -> Path:
    """The folder that REID_AUDIT_WEIGHTS names, else one in the user's cache."""
    named = os.environ.get(VARIABLE)
    return (
        Path(named).expanduser()
        if named
        else platformdirs.user_cache_path("reid-audit") / "weights"
    )
