"""Errors a user can act on: each message is one sentence that says what, where and what to do.

They stand in `metrics` because it is the one package every other may import.
"""


class ReidAuditError(Exception):
    """Base of every error shown to a user as a sentence instead of a traceback."""

    exit_code = 2


class InputError(ReidAuditError):
    """Something the user gave (a path, a file, a field, a spec) cannot be used as it is."""


class Unwritable(InputError):
    """A file cannot be written: the disk is full, or the folder is read-only."""


class DiskFull(Unwritable):
    """A file cannot be written for want of space: what was done is kept, and the same command goes
    on when there is room."""

    exit_code = 3


class MissingFile(InputError):
    """A file is not there, or not there any more."""


class MissingWeights(InputError):
    """A network's weights are not installed; the message names the command that gets them."""


class NotApplicable(InputError):
    """An attack cannot be run in this setting; the message names no person and no path, so that it
    may stand in a report."""


class TrainingFailed(ReidAuditError):
    """A network that was trained in the run learnt nothing; the message names no person and no
    path, so that it may stand in a report."""


class IntegrityError(ReidAuditError):
    """A stored file differs from its recorded digest, or a run is incomplete."""

    exit_code = 3


class NothingToAudit(ReidAuditError):
    """The input holds no picture that could be audited."""

    exit_code = 5
