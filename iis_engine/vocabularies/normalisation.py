"""Normalise English phrases for comparison: without case, spacing, punctuation, articles, possessives and plurals."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_SEPARATORS = re.compile(r"[\s_;:!?\"“”()/\-‐-―]|[.,](?!\d)|(?<!\d)[.,]")
_ARTICLES = frozenset({"a", "an", "the"})

_IRREGULAR = {
    **{"men": "man", "women": "woman", "children": "child", "people": "person", "feet": "foot", "teeth": "tooth", "geese": "goose"},
    **{"mice": "mouse", "oxen": "ox", "fungi": "fungus", "cacti": "cactus", "antennae": "antenna", "larvae": "larva", "axes": "axe"},
    **{"firemen": "fireman", "fishermen": "fisherman", "policemen": "policeman", "snowmen": "snowman"},
    **{"lenses": "lens", "irises": "iris", "trellises": "trellis", "gases": "gas", "canvases": "canvas", "atlases": "atlas"},
    **{"emus": "emu", "gnus": "gnu", "menus": "menu", "plateaus": "plateau", "tutus": "tutu"},
    **{"kiwis": "kiwi", "taxis": "taxi", "skis": "ski", "bikinis": "bikini", "saris": "sari", "tipis": "tipi"},
}
_UNCHANGED = frozenset({"series", "species", "lens", "canvas", "atlas", "pampas", "chaos", "rhinoceros", "thermos"})

_FROM_F = {
    **{"leaves": "leaf", "loaves": "loaf", "halves": "half", "calves": "calf", "wolves": "wolf", "elves": "elf"},
    **{"hooves": "hoof", "scarves": "scarf", "thieves": "thief", "sheaves": "sheaf", "knives": "knife", "wives": "wife"},
}
_ALSO_E = ("oes", "ches", "shes", "sses", "uses", "xes", "tzes")  # the plural adds -es; all others add -s
_ONLY_S = (
    *("shoes", "canoes", "oboes", "aloes", "floes", "mistletoes"),
    *("moustaches", "mustaches", "avalanches", "headaches", "niches", "quiches", "brioches", "caches"),
    *("ouses", "auses", "fuses", "muses"),
    *("cookies", "brownies", "smoothies", "hoodies", "movies", "selfies", "magpies", "collies", "zombies", "prairies", "neckties"),
)


@lru_cache(maxsize=1 << 16)
def singular(word: str) -> str:
    """Return the singular of a lower-case word; a word that is not a plural is returned unchanged.

    Examples
    --------
    >>> [singular(word) for word in ("berries", "branches", "leaves", "houses", "potatoes", "horseshoes")]
    ['berry', 'branch', 'leaf', 'house', 'potato', 'horseshoe']
    >>> [singular(word) for word in ("glass", "grass", "iris", "lens", "cactus")]
    ['glass', 'grass', 'iris', 'lens', 'cactus']
    """
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) <= 3 or not word.endswith("s") or word.endswith(("ss", "us", "is")) or word in _UNCHANGED:
        return word
    if word.endswith("ves"):
        return next(
            (word.removesuffix(plural) + replacement for plural, replacement in _FROM_F.items() if word.endswith(plural)), word[:-1]
        )
    if len(word) == 4 or word.endswith(_ONLY_S):
        return word[:-1]
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-2] if word.endswith(_ALSO_E) else word[:-1]


def words(text: str) -> tuple[str, ...]:
    """Split a phrase into lower-case singular words without articles and possessives; a final "a" is a letter and is kept.

    Examples
    --------
    >>> words("The Bird's striped  wings"), words("a letter A")
    (('bird', 'striped', 'wing'), ('letter', 'a'))
    """
    folded = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    bare = [word.strip("'").removesuffix("'s") for word in _SEPARATORS.sub(" ", folded).split()]
    return tuple(singular(word) for position, word in enumerate(bare, start=1) if word and (word not in _ARTICLES or position == len(bare)))


def phrase_key(text: str) -> str:
    """Return the normalised words of a phrase joined without spaces; phrases with equal keys count as the same phrase.

    Examples
    --------
    >>> phrase_key("The sea-shells")
    'seashell'
    """
    return "".join(words(text)) or text.strip()


def contained_keys(text: str) -> list[str]:
    """Return the keys of the phrase and of every shorter run of its words, longest first.

    Phrase A contains phrase B as whole words if B's key is one of A's contained keys.

    Examples
    --------
    >>> contained_keys("a red sea-shell") == ["redseashell", "redsea", "seashell", "red", "sea", "shell"]
    True
    """
    normalised = words(text)
    sizes = range(len(normalised), 0, -1)
    runs = ["".join(normalised[start : start + size]) for size in sizes for start in range(len(normalised) - size + 1)]
    return runs or [text.strip()]
