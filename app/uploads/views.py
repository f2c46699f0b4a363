"""Uploads and their parts as answers show them."""

from __future__ import annotations

from collections.abc import Sequence

from app.db.models import Upload, UploadPart
from app.settings import Settings
from iis_schemas.uploads import PartView, UploadView


def part_view(part: UploadPart) -> PartView:
    """The view of a part's row."""
    return PartView(number=part.number, size_bytes=part.size_bytes, sha256=part.sha256)


def upload_view(upload: Upload, parts: Sequence[UploadPart], settings: Settings) -> UploadView:
    """The view of an upload's row and of its parts."""
    at = f"/v1/uploads/{upload.id}"
    links = {"self": at}
    if upload.state == "open":
        links |= {"parts": f"{at}/parts/{{number}}", "complete": f"{at}/complete"}
    received = upload.size_bytes if upload.state == "complete" else sum(part.size_bytes for part in parts)
    given = {
        "received_bytes": received,
        "parts": [part_view(part) for part in parts],
        "part_min_bytes": settings.least_part_bytes,
        "part_max_bytes": settings.upload_part_max_bytes,
        "links": links,
    }
    own = {name: getattr(upload, name) for name in UploadView.model_fields if name not in given}
    return UploadView.model_validate(own | given)
