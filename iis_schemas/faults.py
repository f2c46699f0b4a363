"""The first fault of a ValidationError as a sentence for a person, with the path of its key."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

SHOWN_CHARACTERS = 40
_SUBJECT = re.compile(r"^(?:Input|String|List|Dictionary|Tuple|Value|Set) should ")
# Parts of a location that are no keys: members of a union, and the key of a mapping.
_MEMBER = re.compile(r"constrained-\w+|(?:list|tuple|dict|function-\w+)\[.*\]|\[key\]|int|float|str|bool")
_TIME_KINDS = ("datetime_parsing", "datetime_from_date_parsing", "datetime_type")
_Location = tuple[int | str, ...]


def fault_sentence(error: ValidationError, model: type[BaseModel]) -> str:
    """The sentence of the first fault.

    Parameters
    ----------
    model : that was validated against; its fields are suggested for an unknown key

    Examples
    --------
    >>> from iis_schemas.studies.file import StudyFile
    >>> try:
    ...     StudyFile.model_validate({"modles": []})
    ... except ValidationError as error:
    ...     fault_sentence(error, StudyFile)
    "'modles' is not a valid key here (did you mean 'models'?)."
    """
    return _sentence(error.errors(include_url=False)[0], model)


def path_of(location: Iterable[int | str]) -> str:
    """A location as people write it.

    Examples
    --------
    >>> path_of(("models", 0, "epoch"))
    'models[0].epoch'
    """
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _sentence(fault: ErrorDetails, model: type[BaseModel]) -> str:
    kind, message, value = fault["type"], fault["msg"], fault["input"]
    location = tuple(part for part in fault["loc"] if isinstance(part, int) or not _MEMBER.fullmatch(part))
    path = path_of(location)
    if kind == "extra_forbidden":
        at, key = path_of(location[:-1]), str(location[-1])
        known = _keys(model, location[:-1])
        near = get_close_matches(key, known, 1)
        meant = f"did you mean '{near[0]}'?" if near else f"the keys are {', '.join(known)}"
        return f"{at}{': ' if at else ''}'{key}' is not a valid key here ({meant})."
    if kind == "missing":
        return f"{path} is missing."
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"{path or 'The file'} must be a mapping of keys to values, not {_shown(value)}."
    if kind == "source_named_twice":
        return f"{path} is the same as {path_of(location[:-1])}[{fault.get('ctx', {})['earlier']}]; name each once."
    return _value_sentence(kind, path, message, value)


def _value_sentence(kind: str, path: str, message: str, value: object) -> str:
    """The sentence of a value that has the wrong form."""
    if kind == "string_pattern_mismatch":
        return f"{path} has characters that are not accepted here, or too many: {_shown(value)}."
    if kind in _TIME_KINDS:
        return f"{path} must be a time such as 2027-01-12T00:00:00Z, not {_shown(value)}."
    if _SUBJECT.match(message):
        hint = "; write a number in quotes where it is a text" if kind == "string_type" and isinstance(value, int | float) else ""
        return f"{path} must {_SUBJECT.sub('', message)}{hint}, not {_shown(value)}."
    return f"{path}: {message}" if path else message


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return f"a list of {len(cast('list[object]', value))}"
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def _keys(model: type[BaseModel], location: _Location) -> list[str]:
    """The keys that a mapping at a location may have."""
    found: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, str) and found is not None:
            field = found.model_fields.get(part)
            found = _model_in(field.annotation) if field is not None else None
    return [field.alias or name for name, field in found.model_fields.items()] if found is not None else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as `list[Annotated[Model, …]] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Annotated, list, Union, UnionType, tuple) or isinstance(annotation, TypeVar):
        return next((model for inner in get_args(annotation) if (model := _model_in(inner)) is not None), None)
    return None
