"""Least-recently-used cache of loaded models and arrays, bounded by their size. Loads nothing itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import fields, is_dataclass
from typing import TypeVar, cast

from cachetools import LRUCache

Value = TypeVar("Value")


class ModelCache:
    """Loaded values by key, of about `limit_bytes` in total; the newest value is kept whatever its size."""

    def __init__(self) -> None:
        # No `maxsize`: cachetools refuses a value above it, but a network larger than the limit must still be usable.
        self._values: LRUCache[Hashable, object] = LRUCache(math.inf, size_bytes_of)
        self.limit_bytes = 0

    def get(self, key: Hashable, load: Callable[[], Value]) -> Value:
        """The value under `key`, loaded where it is missing."""
        if key in self._values:
            return cast("Value", self._values[key])
        value = load()
        self._values[key] = value
        while len(self._values) > 1 and self._values.currsize > self.limit_bytes:
            self._values.popitem()
        return value

    def __contains__(self, key: Hashable) -> bool:
        return key in self._values


def size_bytes_of(value: object) -> int:
    """Approximate size of the tensors and images in a value."""
    import torch
    from PIL import Image

    if isinstance(value, Image.Image):
        return value.width * value.height * len(value.getbands())
    if isinstance(value, torch.Tensor):
        return value.element_size() * value.nelement()
    if (parameters := getattr(value, "parameter_count", None)) is not None:
        return 4 * int(parameters)
    if is_dataclass(value):
        return sum(size_bytes_of(getattr(value, field.name)) for field in fields(value))
    if isinstance(value, (tuple, list)):
        parts = cast("tuple[object, ...] | list[object]", value)
        return sum(size_bytes_of(part) for part in parts if not isinstance(part, (str, int, float)))
    return 0
