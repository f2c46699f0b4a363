"""Phrases that mean nearly the same, by their text embeddings. Equal wordings are found in vocabulary, without any model."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from iis_engine.libraries.findings import LeftOut
from iis_engine.phrase_embeddings import PhraseEmbeddings

NEAR_CLASS = 0.85
NEAR_PHRASE = 0.9
ROWS_AT_ONCE = 1024


def drop_near(embeddings: PhraseEmbeddings) -> tuple[list[int], list[LeftOut]]:
    """Leave out phrases near a class name and phrases near one that comes before them.

    Label-free CBM (Oikarinen et al., ICLR 2023, section 3) does so at cosines of 0.85 and 0.9, averaged over two text models. A
    vision-language model's text embeddings lie in a narrow cone, where unrelated phrases reach such cosines; so the mean of all
    phrases is taken off first (Mu and Viswanath, "All-but-the-Top", ICLR 2018), and the cosines are those of what is left.

    Returns
    -------
    The places of the phrases that stay, and those that go with the cosine and the other phrase or class.
    """
    mean = embeddings.vectors.double().mean(dim=0)
    phrases, classes = (normalize(part.double() - mean, dim=1) for part in (embeddings.vectors, embeddings.class_vectors))
    left_out: list[LeftOut] = []
    kept: list[int] = []
    for start in range(0, len(phrases), ROWS_AT_ONCE):
        rows = phrases[start : start + ROWS_AT_ONCE]
        to_class = rows @ classes.T if len(classes) else None
        earlier = rows @ phrases[: start + len(rows)].T
        stays = torch.zeros(start + len(rows), dtype=torch.bool)
        stays[kept] = True
        for row in range(len(rows)):
            place = start + row
            text = embeddings.phrases[place].text
            if to_class is not None and float(to_class[row].max()) > NEAR_CLASS:
                left_out.append(_near(text, "near_class", to_class[row], embeddings.class_names))
                continue
            to_kept = torch.where(stays[:place], earlier[row, :place], -torch.inf)
            if place and float(to_kept.max()) > NEAR_PHRASE:
                left_out.append(_near(text, "near_phrase", to_kept, [phrase.text for phrase in embeddings.phrases[:place]]))
                continue
            stays[place] = True
            kept.append(place)
    return kept, left_out


def _near(text: str, reason: str, cosines: Tensor, others: tuple[str, ...] | list[str]) -> LeftOut:
    nearest = int(cosines.argmax())
    return LeftOut(text, reason, {"cosine": round(float(cosines[nearest]), 4), "other": others[nearest]})
