"""Near-duplicate phrases by their text embeddings. Equal wordings are found in `iis_engine.vocabularies`, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from iis_engine.libraries.phrase_report import DroppedPhrase
from iis_engine.vision_language.phrase_embeddings import PhraseEmbeddings

NEAR_CLASS = 0.85
NEAR_PHRASE = 0.9
EQUAL = 0.9999
ROWS_AT_ONCE = 1024


def drop_near(embeddings: PhraseEmbeddings) -> tuple[list[int], list[DroppedPhrase]]:
    """Drop phrases near a class name and phrases near an earlier phrase.

    Label-free CBM (Oikarinen et al., ICLR 2023, section 3) does so at cosines of 0.85 and 0.9, averaged over two text models. A
    vision-language model's text embeddings lie in a narrow cone, where unrelated phrases reach such cosines; so the mean of all
    phrases is subtracted first (Mu and Viswanath, "All-but-the-Top", ICLR 2018).

    Returns
    -------
    Places of the phrases kept, and the dropped phrases with their cosine and the other phrase or class.
    """
    mean = embeddings.vectors.double().mean(dim=0)
    phrases, classes = _Directions.of(embeddings.vectors, mean), _Directions.of(embeddings.class_vectors, mean)
    texts = [phrase.text for phrase in embeddings.phrases]
    dropped: list[DroppedPhrase] = []
    stays = torch.zeros(len(texts), dtype=torch.bool)
    for start in range(0, len(texts), ROWS_AT_ONCE):
        rows = phrases.part(start, start + ROWS_AT_ONCE)
        to_class = rows.cosines(classes)
        to_earlier = rows.cosines(phrases.part(0, start + ROWS_AT_ONCE))
        for place in range(start, min(start + ROWS_AT_ONCE, len(texts))):
            row = place - start
            to_kept = torch.where(stays[:place], to_earlier[row, :place], -torch.inf)
            if to_class.shape[1] and float(to_class[row].max()) > NEAR_CLASS:
                dropped.append(_near(texts[place], "near_class", to_class[row], embeddings.class_names))
            elif place and float(to_kept.max()) > NEAR_PHRASE:
                dropped.append(_near(texts[place], "near_phrase", to_kept, texts))
            else:
                stays[place] = True
    return stays.nonzero().flatten().tolist(), dropped


@dataclass(frozen=True)
class _Directions:
    """Embeddings as they are and centred, (n, e) float64, unit rows."""

    whole: Tensor
    centred: Tensor

    @staticmethod
    def of(vectors: Tensor, mean: Tensor) -> _Directions:
        return _Directions(normalize(vectors.double(), dim=1), normalize(vectors.double() - mean, dim=1))

    def part(self, start: int, stop: int) -> _Directions:
        return _Directions(self.whole[start:stop], self.centred[start:stop])

    def cosines(self, other: _Directions) -> Tensor:
        """Cosines (n, m) of the centred embeddings; 1 for equal embeddings, also where centring makes them zero."""
        bare = self.whole @ other.whole.T
        return torch.where(bare > EQUAL, bare, self.centred @ other.centred.T)


def _near(text: str, reason: str, cosines: Tensor, others: Sequence[str]) -> DroppedPhrase:
    nearest = int(cosines.argmax())
    return DroppedPhrase(text, reason, {"cosine": round(float(cosines[nearest]), 4), "other": others[nearest]})
