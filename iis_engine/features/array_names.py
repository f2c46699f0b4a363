"""Recognise the arrays of a features file by their names: X_train, train_features, test/labels, X and y, …"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Literal, NamedTuple

from iis_engine.data.folders.split_names import parse_split_name
from iis_engine.errors import DataError, first_names

ARRAY_NAMES = ("X_train", "y_train", "X_test", "y_test")
UNSPLIT_NAMES = ("X", "y")
ELEMENTS = "concepts"
_ELEMENT_NAMES = ("concepts", "elements")  # synonyms for the element features
_MATRIX_WORDS = frozenset(("x", "xs", "feature", "features", "feats", "embedding", "embeddings", "representation", "representations"))
_LABEL_WORDS = frozenset(("y", "ys", "label", "labels", "target", "targets", "class", "classes"))


class ChosenArrays(NamedTuple):
    """Arrays of a file to read.

    Attributes
    ----------
    names : X_train, y_train, X_test, y_test, or X and y, and concepts, to the names in the file
    notes : synonyms and arrays that were left out
    """

    names: dict[str, str]
    notes: tuple[str, ...] = ()


def choose_arrays(names: Iterable[str]) -> ChosenArrays:
    """Choose the arrays of both splits, or X and y without splits, and the element features if there are any.

    Raises
    ------
    DataError
        Where an array is missing, or two could be meant.
    """
    present = list(names)
    found = defaultdict[str, list[str]](list)
    for name in present:
        role = _role_of(name)
        if role is not None:
            found[role].append(name)
    for role, others in list(found.items()):
        found[role] = [name for name in others if name == role] or others
    split, unsplit = [name for name in ARRAY_NAMES if name in found], [name for name in UNSPLIT_NAMES if name in found]
    notes = list[str]()
    held_out = "test"
    if not {"X_test", "y_test"} & set(split) and {"X_validation", "y_validation"} <= set(found):
        found["X_test"], found["y_test"] = found["X_validation"], found["y_validation"]
        split, held_out = [name for name in ARRAY_NAMES if name in found], "validation"
    elif {"X_validation", "y_validation"} & set(found):
        notes.append("The validation arrays were left out; the test arrays are the test split.")
    wanted = UNSPLIT_NAMES if not split and len(unsplit) == len(UNSPLIT_NAMES) else ARRAY_NAMES
    if missing := [name for name in wanted if name not in found]:
        raise DataError(f"The features file lacks {', '.join(missing)}; it contains {', '.join(sorted(present)) or 'nothing'}.")
    chosen = dict[str, str]()
    for role in (*wanted, *((ELEMENTS,) if ELEMENTS in found else ())):
        if len(found[role]) > 1 and role != ELEMENTS:
            raise DataError(f"The features file has several arrays for {role}: {first_names(found[role])}; send one of them.")
        chosen[role] = found[role][0]
    if held_out == "validation":
        notes.append("The validation arrays are the test split.")
    if renamed := [f"{name} as {role}" for role, name in chosen.items() if name != role and name not in _ELEMENT_NAMES]:
        notes.append(f"Arrays were read under other names: {first_names(renamed, 6)}.")
    return ChosenArrays(chosen, tuple(notes))


def _role_of(name: str) -> str | None:
    if name in ARRAY_NAMES or name in UNSPLIT_NAMES:
        return name
    plain = re.sub(r"\W+", "_", name).strip("_")
    if plain.lower() in _ELEMENT_NAMES:
        return ELEMENTS
    split = parse_split_name(plain)
    words = split.rest if split is not None else tuple(re.findall(r"[a-z]+", plain.lower()))
    kind: Literal["X", "y"] | None = None
    if words and set(words) <= _MATRIX_WORDS:
        kind = "X"
    elif words and set(words) <= _LABEL_WORDS:
        kind = "y"
    if kind is None:
        return None
    return kind if split is None else f"{kind}_{split.role}"
