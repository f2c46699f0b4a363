"""Tokenize phrases with the tokenizers of open_clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import open_clip
from torch import Tensor

from iis_engine.backbones.architecture_errors import suggestion
from iis_engine.errors import ArchitectureError, first_line

_CLIP = "CLIP"
"""Name of the default tokenizer: byte pairs with 49,408 ids and a context length of 77."""


class PhraseTokenizer:
    """A tokenizer with a context length; longer phrases are truncated.

    Attributes
    ----------
    name : the tokenizer's open_clip architecture, or CLIP for the default
    context_length : ids per phrase, padding included
    """

    def __init__(self, name: str, context_length: int, encode: Callable[..., Tensor], padding: int) -> None:
        self.name = name
        self.context_length = context_length
        self._encode = encode
        self._padding = padding

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Tokenize n phrases.

        Returns
        -------
        ids : (n, context_length) int64
        attention_mask : (n, context_length) bool, False at the padding that ends a phrase
        """
        ids = self._encode(list(texts), context_length=self.context_length)
        attention_mask = (ids != self._padding).flip(1).cummax(1).values.flip(1)
        return ids, attention_mask


def load_tokenizer(name: str | None, context_length: int | None) -> PhraseTokenizer:
    """Load the tokenizer of an open_clip architecture.

    Parameters
    ----------
    name : the architecture, or None for CLIP's own tokenizer
    context_length : ids per phrase; None for the architecture's own

    Raises
    ------
    ArchitectureError
        With the code `tokenizer_unavailable` for an unknown architecture, a tokenizer that cannot be downloaded, and one without a
        padding token.
    """
    if name is not None and name not in open_clip.list_models():
        raise ArchitectureError(
            f"open_clip has no architecture {name!r} with a tokenizer{suggestion(name, open_clip.list_models())}.",
            code="tokenizer_unavailable",
            param="tokenizer",
        )
    try:
        tokenizer = cast(Any, open_clip.get_tokenizer(name or "", context_length=context_length))
    except Exception as error:  # the hub's download stack shares no exception below Exception
        raise ArchitectureError(
            f"The tokenizer of open_clip:{name} is not part of open_clip and could not be downloaded ({first_line(error)}); "
            "use a model with CLIP's own tokenizer.",
            code="tokenizer_unavailable",
            param="tokenizer",
        ) from error
    downloaded = getattr(tokenizer, "tokenizer", None)
    padding = 0 if downloaded is None else downloaded.pad_token_id
    if padding is None:
        raise ArchitectureError(
            f"The tokenizer of open_clip:{name} has no padding token; use a model with CLIP's own tokenizer.",
            code="tokenizer_unavailable",
            param="tokenizer",
        )
    return PhraseTokenizer(name or _CLIP, int(tokenizer.context_length), tokenizer, int(padding))
