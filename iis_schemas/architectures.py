"""Architectures and weights as requests name them: families, arguments, tags, layers and pooling."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, JsonValue
from pydantic_core import PydanticCustomError

from iis_schemas.fields import Seed
from iis_schemas.names import ARCHITECTURE_FAMILIES, FILE_FAMILIES, PoolingName

HUB_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,95}/[A-Za-z0-9][A-Za-z0-9_.\-]{0,95}")
TIMM_HUB = "hf-hub:"
ARCHITECTURE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,199}")
MAX_ARGUMENTS = 64
VLM_FAMILIES = ("open_clip", "onnx")
DEFAULT_TAG = "default"
"""Pretrained tag of the weights that the architecture's library loads by default."""


def known_architecture(value: str) -> str:
    """Check that a name is `family:NAME` of a family we have, or `onnx` or `transformers`."""
    family, colon, name = value.partition(":")
    if family not in ARCHITECTURE_FAMILIES:
        known = ", ".join(_form(one) for one in ARCHITECTURE_FAMILIES)
        raise PydanticCustomError(
            "unknown_architecture", "'{value}' is not a known architecture; write one of {known}.", {"value": value[:200], "known": known}
        )
    if family in FILE_FAMILIES:
        if colon:
            raise PydanticCustomError(
                "unknown_architecture", "Write {family} alone; the network is in the uploaded file.", {"family": family}
            )
    elif is_on_hub(value):
        if not HUB_REPOSITORY.fullmatch(name.removeprefix(TIMM_HUB)) or ".." in name:
            raise PydanticCustomError("unknown_architecture", "Write a repository of the Hub as ORG/NAME, as in hf:facebook/dinov2-base.")
    elif not ARCHITECTURE_NAME.fullmatch(name):
        raise PydanticCustomError(
            "unknown_architecture",
            "Write the architecture as {family}:NAME with a plain name of letters, digits, '_', '-' and '.'.",
            {"family": family},
        )
    return value


def is_on_hub(architecture: str) -> bool:
    """Whether an architecture is a repository of the Hugging Face Hub, with its weights."""
    return architecture.startswith(("hf:", f"timm:{TIMM_HUB}"))


def _form(family: str) -> str:
    if family in FILE_FAMILIES:
        return family
    return f"{family}:ORG/NAME" if family == "hf" else f"{family}:NAME"


Architecture = Annotated[
    str,
    Field(
        max_length=250, description="timm:NAME, torchvision:NAME, open_clip:NAME, hf:ORG/NAME, timm:hf-hub:ORG/NAME, transformers or onnx"
    ),
    AfterValidator(known_architecture),
]


Arguments = Annotated[dict[str, JsonValue], Field(max_length=MAX_ARGUMENTS, description="Keyword arguments of the architecture")]
TokenizerName = Annotated[
    str,
    Field(
        max_length=200,
        pattern=rf"^{ARCHITECTURE_NAME.pattern}$",
        description="Of an onnx pair: the open_clip NAME whose tokens the text tower takes; CLIP's own unless given",
    ),
]
PretrainedTag = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        pattern=r"^[A-Za-z0-9_.\-]+$",
        description="A tag of the architecture's library, or a revision on the Hub",
    ),
]
WeightsOf = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        pattern=r"^[A-Za-z0-9_.\-]+$",
        description="The tag of the published weights that the upload has or was trained from; it decides preprocessing and activation",
    ),
]
Pooling = Annotated[
    PoolingName,
    Field(description="Of a named layer: the class token, the mean of patches or of all tokens but registers, or the attention pool (map)"),
]
InitialSeed = Annotated[Seed, Field(description="No weights: the architecture untrained, initialised from this seed")]
Layer = Annotated[
    str,
    Field(
        min_length=1,
        max_length=500,
        description="The name of a module or of an ONNX output; without it the pooled penultimate representation",
    ),
]
Name = Annotated[str, Field(min_length=1, max_length=200)]


def refuse_arguments_of_files(architecture: str, arguments: dict[str, JsonValue]) -> None:
    """Refuse arguments of an architecture whose files describe the whole network."""
    if (architecture in FILE_FAMILIES or architecture.startswith("hf:")) and arguments:
        raise PydanticCustomError(
            "file_has_no_arguments",
            "A file of {family} is complete in itself; leave arguments out.",
            {"family": architecture},
        )
