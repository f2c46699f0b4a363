"""Static files: scripts, styles, plotly.js and Swagger UI; compressed, with ETags, cached permanently under versioned addresses."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from fastapi import Request, Response

from app.http.caching import etag_of, matches

FOLDER = Path(__file__).parent / "static"
BUNDLED = {
    "plotly.min.js": ("plotly", "package_data"),
    "swagger-ui-bundle.js": ("fastapi_offline", "static"),
    "swagger-ui.css": ("fastapi_offline", "static"),
}
"""Third-party files: the package whose wheel contains them, and the folder in it."""
MEDIA_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
IMMUTABLE = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class StaticFile:
    """One file, read on first use."""

    path: Path

    @cached_property
    def content(self) -> bytes:
        return self.path.read_bytes()

    @cached_property
    def compressed(self) -> bytes:
        return gzip.compress(self.content, compresslevel=6, mtime=0)

    @cached_property
    def etag(self) -> str:
        return etag_of(self.content)


@cache
def static_files() -> dict[str, StaticFile]:
    """All static files by name; packages with third-party files are located but not imported."""
    files = {path.name: StaticFile(path) for path in sorted(FOLDER.iterdir()) if path.suffix in MEDIA_TYPES}
    for name, (package, folder) in BUNDLED.items():
        found = find_spec(package)
        if found is not None and found.origin is not None:
            files[name] = StaticFile(Path(found.origin).parent / folder / name)
    return files


@cache
def version() -> str:
    """Digest of all static files; part of their addresses, so that a browser never mixes two releases."""
    digest = sha256()
    for name, file in static_files().items():
        stat = file.path.stat()
        digest.update(f"{name} {stat.st_size}".encode() if name in BUNDLED else file.content)
    return digest.hexdigest()[:12]


def address_of(name: str) -> str:
    """Address of a static file."""
    return f"/static/{version()}/{name}"


def respond_static(request: Request, file: StaticFile, requested_version: str) -> Response:
    """Respond with the file, or 304; permanently cacheable only under the current version."""
    headers = {
        "ETag": file.etag,
        "Cache-Control": IMMUTABLE if requested_version == version() else "no-cache",
        "Vary": "Accept-Encoding",
    }
    if matches(request, file.etag):
        return Response(status_code=304, headers=headers)
    content = file.content
    if "gzip" in request.headers.get("accept-encoding", ""):
        content = file.compressed
        headers["Content-Encoding"] = "gzip"
    return Response(content, media_type=MEDIA_TYPES[file.path.suffix], headers=headers)
