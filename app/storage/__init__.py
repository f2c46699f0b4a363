"""Content-addressed artifact storage in a local folder or S3. Database rows give artifacts their meaning."""

from app.storage.blobs import drop_unreferenced, is_referred_to, record_blob
from app.storage.store import ArtifactMissing, ArtifactStore, ContentMismatch, StorageUnavailable, open_store

__all__ = [
    "ArtifactMissing",
    "ArtifactStore",
    "ContentMismatch",
    "StorageUnavailable",
    "drop_unreferenced",
    "is_referred_to",
    "open_store",
    "record_blob",
]
