"""The service from Python: `from client import IISClient`. Needs httpx alone; nothing of the service is imported."""

from __future__ import annotations

from client.concept_records import Concept, ConceptLibrary, ConceptSet, ConceptSetVersion, DroppedConcept, DroppedPhrase, Phrase
from client.errors import (
    CheckFailedError,
    ConfigurationError,
    ConflictError,
    FieldError,
    IISError,
    InvalidInputError,
    JobCanceledError,
    JobFailedError,
    LocalFileError,
    NotFoundError,
    ServiceError,
    ServiceUnreachableError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
    WaitTimeoutError,
)
from client.iis_client import IISClient
from client.records import Curve, Dataset, Elements, Event, Job, Library, Model, Point, Report, Result, Upload

__all__ = [
    "CheckFailedError",
    "Concept",
    "ConceptLibrary",
    "ConceptSet",
    "ConceptSetVersion",
    "ConfigurationError",
    "ConflictError",
    "Curve",
    "Dataset",
    "DroppedConcept",
    "DroppedPhrase",
    "Elements",
    "Event",
    "FieldError",
    "IISClient",
    "IISError",
    "InvalidInputError",
    "Job",
    "JobCanceledError",
    "JobFailedError",
    "Library",
    "LocalFileError",
    "Model",
    "NotFoundError",
    "Phrase",
    "Point",
    "Report",
    "Result",
    "ServiceError",
    "ServiceUnreachableError",
    "TooLargeError",
    "UnauthorizedError",
    "UnavailableError",
    "Upload",
    "WaitTimeoutError",
]
