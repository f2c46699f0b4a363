"""What the compute process keeps loaded between questions; the least recently used goes first. Loads nothing itself."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import fields, is_dataclass
from typing import Any


class ModelCache:
    """Loaded values by key, up to about `limit_bytes` together; the newest one is kept whatever its size."""

    def __init__(self) -> None:
        self._held: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self.limit_bytes = 0

    def get(self, key: Hashable, load: Callable[[], Any]) -> Any:
        """The value under `key`, loaded where it is not there."""
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key][0]
        value = load()
        self._held[key] = value, size_bytes_of(value)
        while len(self._held) > 1 and sum(size for _, size in self._held.values()) > self.limit_bytes:
            self._held.popitem(last=False)
        return value

    def __contains__(self, key: Hashable) -> bool:
        return key in self._held


def size_bytes_of(value: Any) -> int:
    """About how many bytes of tensors and pictures a value holds."""
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
        return sum(size_bytes_of(part) for part in value if not isinstance(part, (str, int, float)))
    return 0
