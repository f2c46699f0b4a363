"""Name image formats that are not read by the first bytes of a file, so that a refusal says what the file is."""

from __future__ import annotations

import re

_SIGNATURES = (
    (rb".{4}ftyp(heic|heix|hevc|hevx|heim|heis|mif1|msf1)", "HEIC"),
    (rb".{4}ftypcrx ", "raw camera"),
    (rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51", "JPEG 2000"),
    (rb"\xff\x0a|\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (rb"8BPS", "Photoshop"),
    (rb"%PDF", "PDF"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "PostScript"),
    (rb"\x00\x00\x01\x00", "icon"),
    (rb".{128}DICM", "DICOM"),
    (rb"\x76\x2f\x31\x01", "OpenEXR"),
    (rb"\s*<(\?xml|svg|!DOCTYPE svg)", "SVG"),
    (rb"\s*<(!DOCTYPE html|html)", "HTML"),
    (rb"version https://git-lfs", "Git LFS pointer"),
    (rb"PK\x03\x04", "zip"),
)


def name_unread_format(start: bytes) -> str | None:
    """Return the name of a format that is not read; None where the bytes are of no known format.

    Examples
    --------
    >>> name_unread_format(b"\\x00\\x00\\x00\\x18ftypheic")
    'HEIC'
    """
    return next((name for pattern, name in _SIGNATURES if re.match(pattern, start, re.DOTALL | re.IGNORECASE)), None)
