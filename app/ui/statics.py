"""The page's scripts, styles, plotly.js and Swagger UI as browsers fetch them: compressed, tagged, kept for good under their digest."""

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
"""Files of others: in which folder of whose wheel they lie."""
MEDIA_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
FOR_GOOD = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class StaticFile:
    """One file, read when it is first asked for."""

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
    """What may be fetched, by name; the Python of wheels that hold files of others is not imported for them."""
    files = {path.name: StaticFile(path) for path in sorted(FOLDER.iterdir()) if path.suffix in MEDIA_TYPES}
    for name, (package, folder) in BUNDLED.items():
        found = find_spec(package)
        if found is not None and found.origin is not None:
            files[name] = StaticFile(Path(found.origin).parent / folder / name)
    return files


@cache
def version() -> str:
    """Stands in the address of every static file and changes with any of ours, so that no browser mixes two releases."""
    digest = sha256()
    for name, file in static_files().items():
        stat = file.path.stat()
        digest.update(f"{name} {stat.st_size}".encode() if name in BUNDLED else file.content)
    return digest.hexdigest()[:12]


def address_of(name: str) -> str:
    """Where a page finds a static file."""
    return f"/static/{version()}/{name}"


def respond_static(request: Request, file: StaticFile, asked_version: str) -> Response:
    """The file, or 304; under an address that is not today's it is sent without leave to keep it."""
    headers = {
        "ETag": file.etag,
        "Cache-Control": FOR_GOOD if asked_version == version() else "no-cache",
        "Vary": "Accept-Encoding",
    }
    if matches(request, file.etag):
        return Response(status_code=304, headers=headers)
    content = file.content
    if "gzip" in request.headers.get("accept-encoding", ""):
        content = file.compressed
        headers["Content-Encoding"] = "gzip"
    return Response(content, media_type=MEDIA_TYPES[file.path.suffix], headers=headers)
