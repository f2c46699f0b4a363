"""Reading one member of a zip of uncompressed members. `make torture PARTS=wall` reads damaged and malicious ones."""

from __future__ import annotations

import io
from pathlib import Path
from zipfile import ZipFile

import pytest

from app.storage.stored_zip import ZipInvalid, read_stored_member
from torture.wall_outputs import CROPS, hostile_zips, stored_zip

MANY = 70_000  # more members than an ordinary zip counts
BEYOND_4_GIB = 5 << 30


def test_each_member_is_read() -> None:
    content = stored_zip()
    assert {name: read_stored_member(io.BytesIO(content), name) for name in CROPS} == CROPS
    assert read_stored_member(io.BytesIO(content), "absent.png") is None
    assert read_stored_member(io.BytesIO(stored_zip({})), "absent.png") is None


def test_a_member_is_read_from_a_zip_with_very_many(tmp_path: Path) -> None:
    content = stored_zip({str(number): b"%d" % number for number in range(MANY)})
    assert read_stored_member(io.BytesIO(content), str(MANY - 1)) == b"%d" % (MANY - 1)


def test_a_member_is_read_beyond_four_gibibytes(tmp_path: Path) -> None:
    with (tmp_path / "sparse.zip").open("w+b") as file:
        file.seek(BEYOND_4_GIB)
        with ZipFile(file, "w") as archive:
            archive.writestr("a.png", b"content")
        assert read_stored_member(file, "a.png") == b"content"


@pytest.mark.parametrize("name", sorted(hostile_zips()))
def test_a_zip_that_claims_what_it_does_not_have_is_refused(name: str) -> None:
    with pytest.raises(ZipInvalid):
        read_stored_member(io.BytesIO(hostile_zips()[name]), "a.png")
