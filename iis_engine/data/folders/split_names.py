"""Recognise the names of splits: train, training_set, seg_train, train2017, val, dev, test_images, …"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

SplitRole = Literal["train", "validation", "test"]

_WORDS: dict[str, SplitRole] = {
    **dict.fromkeys(("train", "training", "trn", "trainval", "trainvalid"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "development", "eval", "evaluation"), "validation"),
    **dict.fromkeys(("test", "testing", "tst", "holdout"), "test"),
}
_FILLERS = frozenset(("set", "sets", "split", "data", "dataset", "images", "image", "imgs", "img", "photos", "pictures", "files", "folder"))
_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+")
_COMPOUND = re.compile(rf"({'|'.join(sorted(_WORDS, key=len, reverse=True))})(?:{'|'.join(sorted(_FILLERS, key=len, reverse=True))})?")


class SplitName(NamedTuple):
    """A split's role, and the words of the name that are not about splits."""

    role: SplitRole
    rest: tuple[str, ...]


def parse_split_name(name: str) -> SplitName | None:
    """Return the split that a folder, file or value is named for; None for other names, and for names of several splits.

    Examples
    --------
    >>> parse_split_name("seg_train"), parse_split_name("val2017"), parse_split_name("TestImages")
    (SplitName(role='train', rest=('seg',)), SplitName(role='validation', rest=()), SplitName(role='test', rest=()))
    >>> parse_split_name("train_test_split"), parse_split_name("cat")
    (None, None)
    """
    roles, rest = list[SplitRole](), list[str]()
    for token in (found.lower() for found in _TOKEN.findall(name)):
        match = _COMPOUND.fullmatch(token)
        if match is not None:
            roles.append(_WORDS[match[1]])
        elif token not in _FILLERS:
            rest.append(token)
    if roles == ["train", "validation"]:  # train_val: the union that remains when the test split is taken away
        del roles[1]
    return SplitName(roles[0], tuple(rest)) if len(roles) == 1 else None
