"""Tokenizers of open_clip, its own and downloaded ones."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from iis_engine.errors import ArchitectureError
from iis_engine.vision_language.tokenizers import load_tokenizer


def use_downloaded_tokenizer(monkeypatch: pytest.MonkeyPatch, padding: int | None) -> None:
    """Replace open_clip's loader by a wrapped tokenizer as it returns after a download."""
    wrapped = SimpleNamespace(tokenizer=SimpleNamespace(pad_token_id=padding), context_length=64)

    def get_tokenizer(*_: object, **__: object) -> SimpleNamespace:
        return wrapped

    monkeypatch.setattr("open_clip.get_tokenizer", get_tokenizer)


def test_a_downloaded_tokenizer_without_a_padding_token_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    use_downloaded_tokenizer(monkeypatch, None)
    with pytest.raises(ArchitectureError, match=r"open_clip:roberta-ViT-B-32 has no padding token; use a model with") as caught:
        load_tokenizer("roberta-ViT-B-32", None)
    assert (caught.value.code, caught.value.param) == ("tokenizer_unavailable", "tokenizer")


def test_a_downloaded_tokenizer_keeps_its_context_length(monkeypatch: pytest.MonkeyPatch) -> None:
    use_downloaded_tokenizer(monkeypatch, 1)
    assert load_tokenizer("roberta-ViT-B-32", None).context_length == 64
