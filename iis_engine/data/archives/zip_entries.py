"""Names and compression methods of zip entries: UTF-8 before code pages, ambiguous names and unsupported methods refused."""

from __future__ import annotations

import struct
import zipfile
import zlib

_UTF8_FLAG = 0x800
_UNICODE_PATH_FIELD = 0x7075
"""Info-ZIP's extra field with the name in UTF-8, and the CRC-32 of the name that it replaces."""
_SUPPORTED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_METHODS = {1: "Shrink", 6: "Implode", 9: "Deflate64", 10: "PKWARE Implode", 93: "Zstandard", 95: "XZ", 96: "JPEG", 98: "PPMd", 99: "AES"}


def decode_name(info: zipfile.ZipInfo) -> str | None:
    """Return an entry's name; None if its bytes are not UTF-8 and no field says which encoding they have.

    Archive programs of macOS and others write UTF-8 without the flag that says so; `zipfile` reads these as code page 437.
    """
    if info.flag_bits & _UTF8_FLAG or info.filename.isascii():
        return info.filename
    content = info.filename.encode("cp437")
    stated = _unicode_path(info.extra, content)
    if stated is not None:
        return stated
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def compression_problem(info: zipfile.ZipInfo) -> str | None:
    """Return what to do about an entry's compression, as the end of a sentence that begins with its name; None if it is read."""
    if info.compress_type in _SUPPORTED:
        return None
    method = _METHODS.get(info.compress_type, f"number {info.compress_type}")
    return f"is compressed by a method that is not read ({method}); pack it again as .tar.gz, or as .zip with Deflate"


def _unicode_path(extra: bytes, content: bytes) -> str | None:
    place = 0
    while place + 4 <= len(extra):
        field, size = struct.unpack_from("<HH", extra, place)
        data = extra[place + 4 : place + 4 + size]
        if field == _UNICODE_PATH_FIELD and len(data) > 5 and struct.unpack_from("<I", data, 1)[0] == zlib.crc32(content):
            try:
                return data[5:].decode()
            except UnicodeDecodeError:
                return None
        place += 4 + size
    return None
