"""Requests and answers as models of iis_schemas: build and validate requests, parse answers, name resources by id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeVar, cast

from pydantic import BaseModel, ValidationError

from iis_client.errors import ConfigurationError, UnexpectedAnswerError
from iis_schemas.faults import fault_sentence

Request = TypeVar("Request", bound=BaseModel)
Answer = TypeVar("Answer", bound=BaseModel)


class Identified(Protocol):
    """An answer with an id, such as a model, a data set or a job."""

    @property
    def id(self) -> str: ...


def id_of(resource: str | Identified) -> str:
    """Id of a resource that is given by id or as the answer of an earlier call."""
    return resource if isinstance(resource, str) else resource.id


def without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that have a value; the service has defaults for the others."""
    return {name: value for name, value in fields.items() if value is not None}


def build_request(model: type[Request], fields: Mapping[str, Any]) -> Request:
    """Validate a request before it is sent; fields that are None are left to the service's defaults.

    Raises
    ------
    ConfigurationError
        When an argument is not valid; the sentence names the field.
    """
    try:
        return model.model_validate(without_none(fields))
    except ValidationError as error:
        raise ConfigurationError(fault_sentence(error, model)) from error


def request_body(request: BaseModel) -> dict[str, Any]:
    """JSON of a request: only the fields that were given."""
    return request.model_dump(mode="json", by_alias=True, exclude_unset=True)


def parse_answer(model: type[Answer], payload: Any) -> Answer:
    """Parse the JSON of an answer; fields that this version does not know are kept.

    Raises
    ------
    UnexpectedAnswerError
        When the answer does not match the model.
    """
    try:
        return model.model_validate(payload, extra="allow")
    except ValidationError as error:
        fault = fault_sentence(error, model)
        raise UnexpectedAnswerError(
            f"The service's answer does not match this version of the client; install the service's version. ({fault})"
        ) from error


def answer_json(answer: BaseModel | Iterable[BaseModel]) -> Any:
    """JSON of one answer or of several, as the service sent it, including fields that this version does not know."""
    if not isinstance(answer, BaseModel):
        return [answer_json(each) for each in answer]
    fields = answer.model_dump(mode="json", by_alias=True, exclude_unset=True)
    _add_unknown_fields(answer, fields)
    return fields


def _add_unknown_fields(value: Any, dumped: Any) -> None:
    """Add the extra fields of models to their JSON: pydantic leaves them out where the model itself does not allow extra fields."""
    if isinstance(value, BaseModel) and isinstance(dumped, dict):
        dumped.update(value.model_extra or {})
        for name, field in type(value).model_fields.items():
            if (key := field.alias or name) in dumped:
                _add_unknown_fields(getattr(value, name), dumped[key])
    elif isinstance(value, list):
        for item, dumped_item in zip(cast("list[Any]", value), dumped, strict=True):
            _add_unknown_fields(item, dumped_item)
