"""Phrases from a request's body or an uploaded file, cleaned as far as no model is needed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from sqlalchemy.orm import Session

from app.datasets.repository import DatasetRepository
from app.db.models import Dataset, Upload
from app.errors import InvalidInput
from app.settings import MIB, Settings
from app.storage import ArtifactStore
from app.uploads.service import require_complete
from app.validation import require_ready
from iis_engine.errors import LibraryError
from iis_engine.vocabularies.cleaning import CONCEPT_CHARACTERS_MAX, DroppedPhrase, clean
from iis_engine.vocabularies.parsing import parse_csv, parse_json, parse_txt
from iis_engine.vocabularies.phrases import Phrase
from iis_schemas.concept_sets import ConceptSetVersionCreate, PhraseChoice

PARSERS: dict[str, Callable[[bytes], tuple[Phrase, ...]]] = {".txt": parse_txt, ".json": parse_json, ".csv": parse_csv}


@dataclass(frozen=True)
class Gathered:
    """Phrases and those that cleaning dropped, both empty where a worker gathers them from class names.

    `name` says where they come from, `dataset` whose class names they keep away from.
    """

    name: str
    kept: tuple[Phrase, ...]
    dropped: tuple[DroppedPhrase, ...]
    dataset: str | None


def gather(session: Session, store: ArtifactStore, owner_id: str, request: ConceptSetVersionCreate, settings: Settings) -> Gathered:
    """Read the phrases of a request and drop those that cannot become concepts.

    Raises
    ------
    NotFound, Conflict
        When the owner has no such upload or data set, or it is not ready.
    InvalidInput
        When there are no phrases in it, or none that cleaning leaves.
    """
    avoided = _class_names(session, owner_id, request.dataset, "dataset") if request.dataset else ()
    if request.from_classes is not None:
        _ready_dataset(session, owner_id, request.from_classes, "from_classes")
        return Gathered(f"from the classes of {request.from_classes}", (), (), request.dataset or request.from_classes)
    if request.upload is not None:
        upload = require_complete(session, owner_id, request.upload)
        name, phrases = upload.filename, _uploaded(upload, store, settings)
    else:
        name, phrases = "phrases", _sent(request.phrases or [])
    kept, dropped = clean(phrases, avoided)
    if not kept:
        raise _nothing_left(dropped)
    return Gathered(name, kept, dropped, request.dataset)


def _sent(phrases: Sequence[str | PhraseChoice]) -> tuple[Phrase, ...]:
    entries = [phrase if isinstance(phrase, str) else phrase.model_dump() for phrase in phrases]
    return _parsed(parse_json, json.dumps(entries).encode(), "phrases")


def _uploaded(upload: Upload, store: ArtifactStore, settings: Settings) -> tuple[Phrase, ...]:
    suffix = PurePath(upload.filename).suffix.lower()
    if suffix not in PARSERS:
        raise InvalidInput(
            f"The format of {upload.filename} is not known from its name; end the name in one of {', '.join(PARSERS)} and upload it again.",
            code="vocabulary_format",
            param="upload",
        )
    if upload.size_bytes > settings.concept_set_max_bytes:
        raise InvalidInput(
            f"The file {upload.filename} has {upload.size_bytes / MIB:,.1f} MiB; a file of phrases may have"
            f" {settings.concept_set_max_bytes / MIB:,.1f}.",
            code="vocabulary_too_large",
            param="upload",
        )
    with store.open(upload.sha256) as file:
        data = file.read(settings.concept_set_max_bytes)
    return _parsed(PARSERS[suffix], data, "upload")


def _parsed(parse: Callable[[bytes], tuple[Phrase, ...]], data: bytes, param: str) -> tuple[Phrase, ...]:
    try:
        return parse(data)
    except LibraryError as error:
        raise InvalidInput(str(error), code=error.code, param=param) from error


def _class_names(session: Session, owner_id: str, dataset_id: str, param: str) -> Sequence[str]:
    dataset = _ready_dataset(session, owner_id, dataset_id, param)
    return [str(name) for name in (dataset.info or {}).get("class_names", ())]


def _ready_dataset(session: Session, owner_id: str, dataset_id: str, param: str) -> Dataset:
    dataset = DatasetRepository(session, owner_id).get(dataset_id)
    require_ready(dataset, param)
    return dataset


def _nothing_left(dropped: Sequence[DroppedPhrase]) -> InvalidInput:
    long = sum(phrase.reason == "too_long" for phrase in dropped)
    reasons = {
        f"{long} with more than {CONCEPT_CHARACTERS_MAX} characters": long,
        f"{len(dropped) - long} that hold a class name of the data set": len(dropped) - long,
    }
    given = " and ".join(reason for reason, count in reasons.items() if count)
    return InvalidInput(f"No phrase is left after cleaning, which drops {given}; send shorter or other phrases.", code="vocabulary_empty")
