"""Row ids: a prefix for the type, then 26 characters that sort by creation time."""

from __future__ import annotations

import secrets
import time
from datetime import datetime
from typing import Literal

Prefix = Literal["own", "key", "upl", "mdl", "dst", "cst", "job", "lib", "crv", "prd", "img", "std", "whk", "dlv", "evt", "shr"]
PREFIXES: dict[str, Prefix] = {
    "owner": "own",
    "api_key": "key",
    "upload": "upl",
    "model": "mdl",
    "dataset": "dst",
    "concept_set": "cst",
    "job": "job",
    "library": "lib",
    "curve": "crv",
    "predictor": "prd",
    "posted_image": "img",
    "study": "std",
    "webhook": "whk",
    "delivery": "dlv",
    "event": "evt",
    "share": "shr",
}

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, without i, l, o and u
RANDOM_BITS = 80
CHARACTERS = 26


def new_id(kind: str) -> str:
    """Create an id, for example `new_id("job")` -> `job_01k9…`.

    The 26 characters encode 48 bits of milliseconds and 80 random bits, so ids sort by time and cannot be guessed.

    Parameters
    ----------
    kind : key of `PREFIXES`, or a prefix
    """
    return _id(kind, time.time_ns() // 1_000_000, secrets.randbits(RANDOM_BITS))


def first_id_at(kind: str, moment: datetime) -> str:
    """Smallest id created at `moment` or later, to the millisecond; all smaller ids are older."""
    return _id(kind, int(moment.timestamp() * 1000), 0)


def _id(kind: str, milliseconds: int, random_bits: int) -> str:
    number = milliseconds << RANDOM_BITS | random_bits
    digits = [ALPHABET[number >> 5 * place & 31] for place in reversed(range(CHARACTERS))]
    return f"{PREFIXES.get(kind, kind)}_{''.join(digits)}"
