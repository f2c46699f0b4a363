"""Read one member of a zip of uncompressed members, as a stage writes its crops. The file is not trusted: every offset and size is checked.

`zipfile` would read the whole directory into objects and unpack a member to whatever size it claims.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

DIRECTORY_BYTES_MAX = 16 << 20  # some 200,000 members with short names
MEMBER_BYTES_MAX = 4 << 20
_STORED = 0
_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_HEADER = struct.Struct("<4s5H3L2H")
_IN_END64, _MANY = 0xFFFFFFFF, 0xFFFF
"""Size or offset, and number of members, of a zip whose own are in the records of a large zip."""


class ZipInvalid(Exception):
    """The file is not a zip of uncompressed members within the bounds. The message is a sentence."""


@dataclass(frozen=True)
class _Member:
    checksum: int
    size_bytes: int
    header_at: int


def read_stored_member(file: BinaryIO, name: str) -> bytes | None:
    """The content of the member `name`; None where the zip has none. Reads the directory and the member.

    Parameters
    ----------
    file : seekable, without a comment at its end

    Raises
    ------
    ZipInvalid
        For a file that is not such a zip, a directory of more than `DIRECTORY_BYTES_MAX` bytes, and a member that is compressed, larger
        than `MEMBER_BYTES_MAX`, outside the file or damaged.
    """
    start, directory = _read_directory(file)
    member = _find(directory, name.encode())
    if member is None:
        return None
    if member.size_bytes > MEMBER_BYTES_MAX:
        raise ZipInvalid(f"A member has {member.size_bytes:,} bytes; {MEMBER_BYTES_MAX:,} are allowed.")
    header = _HEADER.unpack(_read(file, member.header_at, _HEADER.size))
    if header[0] != b"PK\3\4":
        raise ZipInvalid("A member has no header at the offset that the directory states.")
    content_at = member.header_at + _HEADER.size + header[-2] + header[-1]
    if content_at + member.size_bytes > start:
        raise ZipInvalid("A member reaches past the members.")
    content = _read(file, content_at, member.size_bytes)
    if zlib.crc32(content) != member.checksum:
        raise ZipInvalid("A member has another checksum than the directory states.")
    return content


def _read_directory(file: BinaryIO) -> tuple[int, bytes]:
    """Offset and content of the directory."""
    file_bytes = file.seek(0, os.SEEK_END)
    end_at = file_bytes - _END.size
    magic, _, _, _, count, size_bytes, start, comment_bytes = _END.unpack(_read(file, end_at, _END.size))
    if magic != b"PK\5\6" or comment_bytes:
        raise ZipInvalid("The file does not end as a zip without a comment does.")
    if _IN_END64 in (size_bytes, start) or count == _MANY:
        size_bytes, start, end_at = _read_end64(file, end_at)
    if size_bytes > DIRECTORY_BYTES_MAX:
        raise ZipInvalid(f"The directory has {size_bytes:,} bytes; {DIRECTORY_BYTES_MAX:,} are allowed.")
    if start + size_bytes != end_at:
        raise ZipInvalid("The directory is not where the end of the file states.")
    return start, _read(file, start, size_bytes)


def _read_end64(file: BinaryIO, end_at: int) -> tuple[int, int, int]:
    """Size and offset of the directory of a large zip, and the offset of what follows it."""
    magic, _, at, _ = _END64_LOCATOR.unpack(_read(file, end_at - _END64_LOCATOR.size, _END64_LOCATOR.size))
    if magic != b"PK\6\7" or at + _END64.size > end_at:
        raise ZipInvalid("The end of the large zip is not where the file states.")
    magic, *_, size_bytes, start = _END64.unpack(_read(file, at, _END64.size))
    if magic != b"PK\6\6":
        raise ZipInvalid("The file has no end of a large zip.")
    return size_bytes, start, at


def _find(directory: bytes, name: bytes) -> _Member | None:
    at = 0
    while at + _ENTRY.size <= len(directory):
        magic, _, _, flags, method, _, _, *numbers, _, _, _, header_at = _ENTRY.unpack_from(directory, at)
        checksum, packed, size_bytes, name_bytes, extra_bytes, comment_bytes = numbers
        if magic != b"PK\1\2":
            raise ZipInvalid("The directory contains something else than members.")
        end_of_name = at + _ENTRY.size + name_bytes
        if directory[at + _ENTRY.size : end_of_name] == name:
            if method != _STORED or packed != size_bytes or flags & 1:
                raise ZipInvalid("A member is compressed or encrypted.")
            if header_at == _IN_END64:
                header_at = _large_offset(directory[end_of_name : end_of_name + extra_bytes])
            return _Member(checksum, size_bytes, header_at)
        at = end_of_name + extra_bytes + comment_bytes
    return None


def _large_offset(extra: bytes) -> int:
    """The offset of a member beyond 4 GiB, from the extra field that contains it alone."""
    if len(extra) < 12 or extra[:4] != struct.pack("<2H", 1, 8):
        raise ZipInvalid("A member has no offset.")
    return int.from_bytes(extra[4:12], "little")


def _read(file: BinaryIO, start: int, size_bytes: int) -> bytes:
    """Exactly these bytes; `size_bytes` is bounded by the callers."""
    if start < 0:
        raise ZipInvalid("The file is shorter than its parts.")
    file.seek(start)
    content = file.read(size_bytes)
    if len(content) != size_bytes:
        raise ZipInvalid("The file is shorter than its parts.")
    return content
