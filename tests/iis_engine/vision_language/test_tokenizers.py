"""Tokenizers as open_clip gives them, whatever library they come from."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from iis_engine.errors import ArchitectureError
from iis_engine.vision_language.tokenizers import load_tokenizer


def give_tokenizer(monkeypatch: pytest.MonkeyPatch, padding: int | None) -> None:
    """As open_clip wraps a fetched one, for which it needs a network."""
    wrapped = SimpleNamespace(tokenizer=SimpleNamespace(pad_token_id=padding), context_length=64)
    monkeypatch.setattr("open_clip.get_tokenizer", lambda *_, **__: wrapped)


def test_a_fetched_tokenizer_without_padding_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    give_tokenizer(monkeypatch, None)
    with pytest.raises(ArchitectureError, match=r"open_clip:roberta-ViT-B-32 has no padding token .* use a model with") as caught:
        load_tokenizer("roberta-ViT-B-32", None)
    assert (caught.value.code, caught.value.param) == ("tokenizer_unavailable", "tokenizer")


def test_a_fetched_tokenizer_that_pads_is_taken_with_its_context_length(monkeypatch: pytest.MonkeyPatch) -> None:
    give_tokenizer(monkeypatch, 1)
    assert load_tokenizer("roberta-ViT-B-32", None).context_length == 64
