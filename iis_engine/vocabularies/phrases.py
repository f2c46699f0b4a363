"""A phrase, the candidate for a text concept, and the digest of a list of phrases."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Phrase:
    """A candidate concept and the group that its author assigned it to."""

    text: str
    group: str | None = None


def phrases_digest(phrases: Iterable[Phrase]) -> str:
    """Return the hexadecimal sha256 over texts and groups in their order."""
    content = [[phrase.text, phrase.group] for phrase in phrases]
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
