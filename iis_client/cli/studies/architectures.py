"""Which architectures a study's file may name, and what may be said beside each. Where their weights come from is in .sources."""

from __future__ import annotations

from typing import Any, cast

from iis_client.cli.studies.fields import Fields, as_number
from iis_client.cli.studies.limits import (
    ARCHITECTURE_FAMILIES,
    INTERPOLATIONS,
    MAX_ARCHITECTURE,
    MAX_ARGUMENTS,
    MAX_INPUT_SIZE,
    MIN_INPUT_SIZE,
    PLAIN_NAME,
    VLM_FAMILIES,
)
from iis_client.errors import ConfigurationError


def read_architecture(fields: Fields) -> str | None:
    """`family:NAME`, or `onnx`.

    Raises
    ------
    ConfigurationError
    """
    given = fields.text("architecture", MAX_ARCHITECTURE)
    if given is None:
        return None
    family, colon, name = given.partition(":")
    known = not colon if family == "onnx" else family in ARCHITECTURE_FAMILIES and PLAIN_NAME.fullmatch(name)
    if not known:
        forms = ", ".join(one if one == "onnx" else f"{one}:NAME" for one in ARCHITECTURE_FAMILIES)
        raise fields.refusal("architecture", f"one of {forms}", given)
    return given


def read_arguments(fields: Fields) -> dict[str, Any]:
    """Keyword arguments of the architecture.

    Raises
    ------
    ConfigurationError
    """
    given = fields.mapping("arguments") or {}
    if len(given) > MAX_ARGUMENTS or not all(isinstance(name, str) for name in cast("dict[Any, Any]", given)):
        raise fields.refusal("arguments", f"at most {MAX_ARGUMENTS} names with their values", given)
    return given


def read_preprocessing(fields: Fields) -> dict[str, Any] | None:
    """What is changed of the architecture's own; an empty mapping changes nothing, whatever `model_defaults` say.

    Raises
    ------
    ConfigurationError
    """
    given = fields.mapping("preprocessing")
    if given is None:
        return None
    inner = Fields(given, fields.where("preprocessing"), "preprocessing")
    inner.whole("input_size", MIN_INPUT_SIZE, MAX_INPUT_SIZE)
    _require_colours(inner, "mean")
    for place, deviation in enumerate(_require_colours(inner, "std")):
        as_number(deviation, f"{inner.where('std')}[{place}]", 0, without=(0,))
    inner.choice("interpolation", INTERPOLATIONS)
    inner.number("crop_pct", 0, 1, without=(0,))
    inner.done()
    return given


def require_alike(fields: Fields, source: dict[str, Any]) -> None:
    """Refuse a backbone whose file, arguments and architecture do not go together.

    Raises
    ------
    ConfigurationError
    """
    if source["architecture"] != "onnx":
        return
    if source.get("checkpoint") is None:
        raise ConfigurationError(f"{fields.where('architecture')} is onnx, and such a model is a file; name it with path.")
    _require_no_arguments(fields, source)


def require_two_towers(fields: Fields, source: dict[str, Any]) -> None:
    """Refuse a vision-language model whose files and architecture do not go together.

    Raises
    ------
    ConfigurationError
    """
    family = str(source["architecture"]).partition(":")[0]
    if family not in VLM_FAMILIES:
        raise fields.refusal("architecture", "open_clip:NAME, or onnx with a file for images and one for phrases", source["architecture"])
    if family == "onnx":
        for name, taken in (("path", "checkpoint"), ("text_path", "text_checkpoint")):
            if source.get(taken) is None:
                raise ConfigurationError(f"{fields.where(name)} is missing: a vlm in onnx is a file for images and one for phrases.")
        _require_no_arguments(fields, source)
        return
    for name, taken in (("text_path", "text_checkpoint"), ("tokenizer", "tokenizer")):
        if source.get(taken) is not None:
            raise ConfigurationError(f"{fields.where(name)} is of a vlm in onnx alone; leave it out.")


def _require_no_arguments(fields: Fields, source: dict[str, Any]) -> None:
    if source["arguments"]:
        raise ConfigurationError(f"{fields.where('arguments')}: an onnx file is whole in itself; leave arguments out.")


def _require_colours(fields: Fields, name: str) -> list[float]:
    """One number for each of red, green and blue."""
    numbers = fields.each(name, lambda value, at: as_number(value, at, -float("inf")))
    if numbers is not None and len(numbers) != 3:
        raise fields.refusal(name, "a list of three numbers", numbers)
    return numbers or []
