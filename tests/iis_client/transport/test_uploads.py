"""Planning of upload parts."""

from __future__ import annotations

import pytest

from iis_client.transport.uploads import PART_BYTES, plan_parts
from iis_schemas.uploads import MAX_PARTS


@pytest.mark.parametrize("size_bytes", [1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, PART_BYTES * MAX_PARTS + 1])
def test_parts_cover_a_file_once_in_order(size_bytes: int) -> None:
    parts = plan_parts(size_bytes)
    assert len(parts) <= MAX_PARTS
    assert [part.number for part in parts] == list(range(1, len(parts) + 1))
    assert [part.start for part in parts[1:]] == [part.start + part.size_bytes for part in parts[:-1]]
    assert parts[0].start == 0
    assert parts[-1].start + parts[-1].size_bytes == size_bytes
