"""Names for people and pictures that a public report may carry.

A pseudonym is a keyed hash, so a reader who guesses names cannot test the guess: the key never
leaves the auditor's machine. It is derived from a secret made once per user and from the digest of
the data, hence the same audit gives the same report byte for byte, and two audits of different
data cannot be linked through their pseudonyms.

The auditor alone can: beside a pseudonym stands a link, the person's lasting label under the user's
secret, masked by a pad that only that secret gives. `open_link` serves the comparison of runs.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from reid_audit.metrics.errors import InputError, Unwritable
from reid_audit.metrics.files import create

_SECRET_BYTES = 32
_LINK_BYTES = 8
_DIGITS = 12  # 48 bits: two of 100,000 pictures collide with probability 2e-5


@dataclass(frozen=True)
class Pseudonyms:
    """Deterministic pseudonyms under one key.

    >>> names = Pseudonyms(b"a key of thirty-two bytes length!")
    >>> names.person("Ada") == names.person("Ada") != names.image("Ada")
    True
    """

    key: bytes = field(repr=False)
    secret: bytes | None = field(default=None, repr=False)
    """The user's, for links; without it there are none."""

    def person(self, identity: str) -> str:
        """`P-` and 12 hexadecimal digits."""
        return self._name("P", identity)

    def image(self, image_id: str) -> str:
        """`I-` and 12 hexadecimal digits."""
        return self._name("I", image_id)

    def link(self, identity: str) -> str | None:
        """16 hexadecimal digits that differ in every audit and that `open_link` makes equal."""
        if self.secret is None:
            return None
        lasting = _digest(self.secret, f"person\0{identity}")
        return _xor(lasting, _digest(self.secret, f"pad\0{self.person(identity)}")).hex()

    def _name(self, kind: str, text: str) -> str:
        message = f"{kind}\0{text}".encode()
        return f"{kind}-{hmac.new(self.key, message, hashlib.sha256).hexdigest()[:_DIGITS]}"


def open_link(link: str, pseudonym: str, secret: bytes) -> str:
    """The person's label that is the same in all of a user's audits; noise under another secret.

    >>> mine = b"a user's thirty-two bytes secret"
    >>> runs = [Pseudonyms(key, mine) for key in (b"first", b"second")]
    >>> runs[0].link("Ada") == runs[1].link("Ada")
    False
    >>> len({open_link(run.link("Ada"), run.person("Ada"), mine) for run in runs})
    1
    """
    return _xor(bytes.fromhex(link), _digest(secret, f"pad\0{pseudonym}")).hex()


def _digest(secret: bytes, text: str) -> bytes:
    return hmac.new(secret, f"reid-audit links\0{text}".encode(), "sha256").digest()[:_LINK_BYTES]


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def run_key(data_digest: str, secret: bytes) -> bytes:
    """Key of one audit: HMAC-SHA256 of the data's digest under the user's secret."""
    return hmac.new(secret, f"reid-audit pseudonyms\0{data_digest}".encode(), "sha256").digest()


def user_secret(env: Mapping[str, str] = os.environ) -> bytes:
    """The user's 32 secret bytes, made on first use with permissions 0600.

    They lie in the user's data directory, or in the file that `REID_AUDIT_SECRET` names, for
    machines without a home or teams that need equal pseudonyms.

    Raises:
        InputError: the file cannot be made or read, or holds something else.
    """
    named = env.get("REID_AUDIT_SECRET")
    path = Path(named or Path(platformdirs.user_data_dir("reid-audit")) / "pseudonyms.secret")
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            create(path, secrets.token_bytes(_SECRET_BYTES), mode=0o600)
        secret = path.read_bytes()
    except (OSError, Unwritable) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        raise InputError(
            f"{path}: cannot keep the secret behind the report's pseudonyms there "
            f"({getattr(cause, 'strerror', cause)}); name a writable file in REID_AUDIT_SECRET."
        ) from error
    if len(secret) != _SECRET_BYTES:
        raise InputError(
            f"{path}: holds {len(secret)} bytes instead of {_SECRET_BYTES}; "
            "delete it to have a new secret made."
        )
    return secret
