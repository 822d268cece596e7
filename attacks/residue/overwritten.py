"""The rest of a longer file that a shorter one was written over (CVE-2023-21036)."""

from __future__ import annotations

import zlib

_WINDOW = bytes(1 << 15)
_PROBED_BYTES = 1 << 14  # deflate blocks are mostly shorter, so one begins within
_RECOVERED = 1 << 12
"""Bytes that must inflate in one piece to count: noise passes for deflate over some hundred."""
_LONGEST = 1 << 25
"""Bytes of the old stream that are looked at: the beginning decides."""


def recoverable_deflate(trailer: bytes) -> int:
    """Bytes of pixel data that the tail of a longer, overwritten PNG still yields; 0 for none.

    CVE-2023-21036 ("aCropalypse"): an editor writes a shorter PNG over a longer one without
    cutting the file, and the old compressed stream goes on after the new end. Its beginning is
    lost, so every bit position is tried as the start of a deflate block, over an unknown window.
    """
    stream = _old_idat(trailer)[:_LONGEST]
    probed = stream[: 2 * _PROBED_BYTES]
    number = int.from_bytes(probed, "little")
    for shift in range(8):
        shifted = (number >> shift).to_bytes(len(probed), "little")
        for start in range(min(len(shifted), _PROBED_BYTES)):
            inflater = zlib.decompressobj(-zlib.MAX_WBITS, zdict=_WINDOW)
            try:
                recovered = inflater.decompress(shifted[start : start + _PROBED_BYTES], 1 << 16)
            except zlib.error:
                continue
            if len(recovered) >= _RECOVERED:
                return _inflated(stream, shift, start)
    return 0


def _inflated(stream: bytes, shift: int, start: int) -> int:
    """Bytes that inflate from a position on, as far as the stream is whole."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS, zdict=_WINDOW)
    rest = (int.from_bytes(stream, "little") >> shift).to_bytes(len(stream), "little")[start:]
    total = 0
    try:
        for position in range(0, len(rest), _PROBED_BYTES):
            total += len(inflater.decompress(rest[position : position + _PROBED_BYTES]))
    except zlib.error:
        pass
    return total


def _old_idat(trailer: bytes) -> bytes:
    """Compressed bytes of the old file: the end of a chunk cut in two, then whole chunks."""
    first = trailer.find(b"IDAT")
    if first < 0:
        return trailer if b"IEND" in trailer[-64:] else b""
    stream, position = [trailer[: max(first - 8, 0)]], first - 4
    while position >= 0 and trailer[position + 4 : position + 8] == b"IDAT":
        length = int.from_bytes(trailer[position : position + 4])
        stream.append(trailer[position + 8 : position + 8 + length])
        position += 12 + length
    return b"".join(stream)
