"""Which wordings say the same: English words without case, articles and plurals. What is done with equal phrases is decided elsewhere."""

from __future__ import annotations

import re
import unicodedata

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


def singular(word: str) -> str:
    """The singular of a lower-case word; a word that is no plural comes back as it is.

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
        return next((word.removesuffix(plural) + one for plural, one in _FROM_F.items() if word.endswith(plural)), word[:-1])
    if len(word) == 4 or word.endswith(_ONLY_S):
        return word[:-1]
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-2] if word.endswith(_ALSO_E) else word[:-1]


def words(text: str) -> tuple[str, ...]:
    """The words of a phrase in lower case and singular, without articles and possessives. An article at the end is a letter and stays.

    Examples
    --------
    >>> words("The Bird's striped  wings"), words("a letter A")
    (('bird', 'striped', 'wing'), ('letter', 'a'))
    """
    folded = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    bare = [word.strip("'").removesuffix("'s") for word in _SEPARATORS.sub(" ", folded).split()]
    return tuple(singular(word) for place, word in enumerate(bare, start=1) if word and (word not in _ARTICLES or place == len(bare)))


def key(text: str) -> str:
    """The phrase as one string that ignores spacing too: two phrases say the same where their keys are equal.

    Examples
    --------
    >>> key("The sea-shells")
    'seashell'
    """
    return "".join(words(text)) or text.strip()


def keys(text: str) -> list[str]:
    """The key of the phrase and of each shorter run of its words, longest first: one phrase contains another whose key is among them.

    Examples
    --------
    >>> keys("a red sea-shell") == ["redseashell", "redsea", "seashell", "red", "sea", "shell"]
    True
    """
    said = words(text)
    runs = ["".join(said[start : start + size]) for size in range(len(said), 0, -1) for start in range(len(said) - size + 1)]
    return runs or [text.strip()]
