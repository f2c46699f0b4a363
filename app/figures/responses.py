"""Media types, headers and the documented response of routes that answer with a figure."""

from __future__ import annotations

from typing import Any

MEDIA_TYPES = {"png": "image/png", "svg": "image/svg+xml"}
# An SVG opened at its own address may draw itself and run nothing.
SAFE_FIGURE = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
FIGURE_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The figure",
        "content": {
            "image/png": {"schema": {"type": "string", "format": "binary"}},
            "image/svg+xml": {"schema": {"type": "string"}, "example": '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 432 288"/>'},
        },
    }
}
