"""The concept library of a job: kind, size, parts, and the settings of text libraries."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from iis_schemas.names import LIBRARY_KINDS, LibraryKind
from iis_schemas.numbers import Integer, Number

MIN_CONCEPTS = 2
MAX_CONCEPTS = 20_000
DEFAULT_CONCEPT_COUNT = 200
TEXT_DEFAULTS: dict[str, Any] = {"clip_cutoff": 0.25, "interpretability_cutoff": 0.45, "native": False}


def _known_kind(value: object) -> object:
    if isinstance(value, str) and value not in LIBRARY_KINDS:
        names = {"kind": value, "known": ", ".join(LIBRARY_KINDS)}
        raise PydanticCustomError("unknown_library", "There is no library kind '{kind}'; the kinds are {known}.", names)
    return value


Kind = Annotated[LibraryKind, BeforeValidator(_known_kind)]
ConceptCount = Annotated[Integer, Field(ge=MIN_CONCEPTS, le=MAX_CONCEPTS, description="M, the number of concepts")]


class TextOptions(BaseModel):
    """Settings of text libraries."""

    model_config = ConfigDict(extra="forbid")

    clip_cutoff: Number | None = Field(
        default=None,
        ge=-1,
        le=1,
        description=f"A phrase's mean of its five highest cosines with training images must reach it; "
        f" {TEXT_DEFAULTS['clip_cutoff']} unless given",
    )
    interpretability_cutoff: Number | None = Field(
        default=None,
        ge=-1,
        le=1,
        description="The similarity that a phrase's activation reaches on held-out images must reach it;"
        f" {TEXT_DEFAULTS['interpretability_cutoff']} unless given",
    )
    native: bool | None = Field(
        default=None, description="The model is the vlm's own image tower: take the embeddings of the phrases as concept vectors"
    )

    def text_options(self) -> dict[str, Any]:
        """The options that were given."""
        return {name: value for name in TextOptions.model_fields if (value := getattr(self, name)) is not None}

    def require_text(self, kind: LibraryKind | None) -> None:
        """Refuse options of a text library where there is none."""
        if kind != "text" and (given := self.text_options()):
            names = {"names": ", ".join(given)}
            raise PydanticCustomError("text_options", "Only a text library takes {names}; leave that out or set kind to text.", names)

    def with_defaults(self, kind: LibraryKind | None) -> dict[str, Any]:
        """The settings as a job's row keeps them: all of them for a text library, none for others."""
        return TEXT_DEFAULTS | self.text_options() if kind == "text" else {}


class LibraryPart(TextOptions):
    """One library inside a combined one."""

    kind: Kind
    concept_count: ConceptCount = DEFAULT_CONCEPT_COUNT

    @model_validator(mode="after")
    def _parts_are_plain(self) -> Self:
        self.require_text(self.kind)
        if self.kind == "vectors":
            raise PydanticCustomError("nested_library", "A library of own vectors is scored by itself; it cannot be a part.")
        if self.kind == "combined":
            raise PydanticCustomError("nested_library", "A part of a combined library is a plain library; it cannot be combined itself.")
        return self


class LibraryChoice(TextOptions):
    """The library to read the representation through: one to fit now (`kind`), or one fitted before (`id`)."""

    id: str | None = Field(default=None, description="A concept library fitted to the same model by an earlier job")
    kind: Kind | None = None
    upload: str | None = Field(
        default=None, max_length=64, description="Of kind vectors: a complete upload of concept vectors, M x d, in safetensors or npy"
    )
    concept_count: ConceptCount | None = Field(
        default=None, description="M; 200 unless given, of a combined library the sum, of vectors as many as the file has"
    )
    parts: list[LibraryPart] = Field(
        default_factory=list[LibraryPart], max_length=16, description="Of a combined library, two or more of different kinds"
    )

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> Self:
        if (self.id is None) == (self.kind is None):
            raise PydanticCustomError("library_choice", "Give the kind of a library to fit or the id of one fitted before, and not both.")
        if self.id is not None and (self.concept_count is not None or self.parts):
            raise PydanticCustomError("library_choice", "A library given by id is used as it is; leave out concept_count and parts.")
        self.require_text(self.kind)
        if (self.kind == "vectors") != (self.upload is not None):
            raise PydanticCustomError("library_upload", "A library of kind vectors, and no other, takes the upload of a file of vectors.")
        if self.kind == "vectors" and self.concept_count is not None:
            raise PydanticCustomError("library_upload", "A library of vectors has as many concepts as its file; leave out concept_count.")
        if self.kind == "combined":
            return self._combined()
        if self.parts:
            raise PydanticCustomError("library_parts", "Only a combined library has parts; leave them out or set kind to combined.")
        return self

    def _combined(self) -> Self:
        if len(self.parts) < 2:
            raise PydanticCustomError("library_parts", "A combined library needs two or more parts, each with a kind and a concept_count.")
        kinds = [part.kind for part in self.parts]
        if twice := next((kind for kind in kinds if kinds.count(kind) > 1), None):
            names = {"kind": twice}
            raise PydanticCustomError(
                "library_parts",
                "A combined library names each kind once, and these parts name {kind} more than once; make one part of them.",
                names,
            )
        total = sum(part.concept_count for part in self.parts)
        if total > MAX_CONCEPTS:
            counts = {"total": total, "most": MAX_CONCEPTS}
            raise PydanticCustomError("library_parts", "The parts have {total} concepts together; the most is {most}.", counts)
        if self.concept_count not in (None, total):
            counts = {"total": total}
            raise PydanticCustomError("library_parts", "The parts have {total} concepts together; leave concept_count out.", counts)
        return self

    @property
    def kinds(self) -> set[LibraryKind]:
        """The kinds of plain libraries that are to be fitted; none for a library given by id."""
        if self.parts:
            return {part.kind for part in self.parts}
        return {self.kind} if self.kind is not None else set()

    @property
    def asks_native(self) -> bool:
        """Whether the embeddings of phrases are the concept vectors, here or in a part."""
        return any(library.native for library in (self, *self.parts))

    def to_spec(self) -> dict[str, Any]:
        """The library as a job's row keeps it: `{id}`, or `{kind, concept_count, parts}` and the settings of a text library."""
        if self.id is not None:
            return {"id": self.id}
        if self.kind == "vectors":
            return {"kind": self.kind, "upload": self.upload, "concept_count": None, "parts": []}
        parts = [{"kind": part.kind, "concept_count": part.concept_count, **part.with_defaults(part.kind)} for part in self.parts]
        count = sum(part.concept_count for part in self.parts) if parts else self.concept_count or DEFAULT_CONCEPT_COUNT
        return {"kind": self.kind, "concept_count": count, "parts": parts, **self.with_defaults(self.kind)}
