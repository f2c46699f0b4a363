"""Turn class names into names of folders that every operating system allows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from unicodedata import normalize

from iis_engine.errors import DataError

_BYTES_MAX = 200


def folder_names(classes: Iterable[str]) -> dict[str, str]:
    """Map each class name to a folder's name; characters that are not allowed somewhere become underscores.

    Raises
    ------
    DataError
        For two class names that would become one folder, and for names that are too long.

    Examples
    --------
    >>> folder_names(["tabby/cat", "dog"])
    {'tabby/cat': 'tabby_cat', 'dog': 'dog'}
    """
    names, folded = dict[str, str](), dict[str, str]()
    for label in classes:
        name = re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", normalize("NFC", label)).strip(". ") or "_"
        if len(name.encode()) > _BYTES_MAX:
            raise DataError(f"The class name {label[:40]!r}… is longer than {_BYTES_MAX} bytes; shorten it.", code="dataset_classes")
        if (other := folded.setdefault(name.casefold(), label)) != label:
            raise DataError(f"The class names {other!r} and {label!r} become the same folder; rename one of them.", code="dataset_classes")
        names[label] = name
    return names
