"""Phrases as token ids, by the tokenizers of open_clip. What a text tower makes of them is decided in text_towers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import open_clip
from torch import Tensor

from iis_engine.backbones.architecture_errors import near
from iis_engine.errors import ArchitectureError

STANDARD = "CLIP"
"""What the tokenizer is called where no architecture names one: byte pairs over 49,408 ids, 77 of them a phrase."""


class PhraseTokens:
    """A tokenizer with a context length; longer phrases are cut.

    Attributes
    ----------
    name : the open_clip architecture whose tokenizer it is, or `STANDARD`
    context_length : ids per phrase, padding included
    """

    def __init__(self, name: str, context_length: int, encode: Callable[..., Tensor], padding: int) -> None:
        self.name = name
        self.context_length = context_length
        self._encode = encode
        self._padding = padding

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """The ids (n, context_length) int64, and where they are real, not padding at the end: (n, context_length) bool."""
        tokens = self._encode(list(texts), context_length=self.context_length)
        real = (tokens != self._padding).flip(1).cummax(1).values.flip(1)
        return tokens, real


def load_tokenizer(name: str | None, context_length: int | None) -> PhraseTokens:
    """The tokenizer of an open_clip architecture.

    Parameters
    ----------
    name : the architecture, or None for CLIP's own tokenizer.
    context_length : ids per phrase; None for the architecture's own.

    Raises
    ------
    ArchitectureError
        For an unknown architecture, and for a tokenizer that would have to be fetched and cannot be, or that cannot fill phrases up.
    """
    if name is not None and name not in open_clip.list_models():
        raise ArchitectureError(
            f"open_clip has no architecture {name!r} whose tokenizer could be used.{near(name, open_clip.list_models())}",
            code="tokenizer_unavailable",
            param="tokenizer",
        )
    try:
        tokenizer = cast(Any, open_clip.get_tokenizer(name or "", context_length=context_length))
    except Exception as error:  # the hub's download stack shares no exception below Exception
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
        raise ArchitectureError(
            f"The tokenizer of open_clip:{name} does not come with open_clip and could not be fetched ({reason}); "
            "use a model with CLIP's own tokenizer.",
            code="tokenizer_unavailable",
            param="tokenizer",
        ) from error
    fetched = getattr(tokenizer, "tokenizer", None)
    padding = 0 if fetched is None else fetched.pad_token_id
    if padding is None:
        raise ArchitectureError(
            f"The tokenizer of open_clip:{name} has no padding token to fill phrases up with; use a model with CLIP's own tokenizer.",
            code="tokenizer_unavailable",
            param="tokenizer",
        )
    return PhraseTokens(name or STANDARD, int(tokenizer.context_length), tokenizer, int(padding))
