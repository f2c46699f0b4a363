"""Jobs as they are requested. As they are shown: iis_schemas.jobs.views."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeAlias, cast

from pydantic import ConfigDict, Field, PlainValidator, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from iis_schemas.descriptions import NamedCreate
from iis_schemas.fields import MAX_TOP, Deadline, Elements, Seed
from iis_schemas.jobs.finetuning import FinetuneCreate
from iis_schemas.jobs.libraries import LibraryChoice
from iis_schemas.names import JOB_KINDS, VISUAL_KINDS, ActivationsName, ProtocolName
from iis_schemas.numbers import Integer, Number
from iis_schemas.webhooks import JobWebhookChoice

DEFAULT_TOP = 8


class ScoreCreate(NamedCreate, JobWebhookChoice):
    """Score one model on one data set through one concept library."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "kind": "score",
                    "model": "mdl_01jz3v8k2m4n6p8q0r2s4t6v8w",
                    "dataset": "dst_01jz3v8k2m4n6p8q0r2s4t6v8x",
                    "library": {"kind": "cluster", "concept_count": 200},
                    "elements": {"kind": "patches", "scales": [1, 2, 4], "images_per_class": 10, "seed": 0},
                    "protocol": "exact",
                    "seed": 0,
                },
                {
                    "kind": "score",
                    "model": "mdl_01jz3v8k2m4n6p8q0r2s4t6v8w",
                    "dataset": "dst_01jz3v8k2m4n6p8q0r2s4t6v8x",
                    "library": {"kind": "text", "clip_cutoff": 0.25},
                    "vlm": "mdl_01jz3v8k2m4n6p8q0r2s4t6v8z",
                    "vocabulary": "birds",
                },
            ]
        },
    )

    kind: Literal["score"]
    model: str | None = Field(default=None, description="Left out for a features data set, which carries its representation")
    dataset: str
    library: LibraryChoice
    library_dataset: str | None = Field(
        default=None,
        description="Another data set of images: the visual elements are cut, and the library is built, from its training images instead",
    )
    vlm: str | None = Field(
        default=None, description="A model of role vlm: it sees the phrases of a text library in images, and names visual concepts"
    )
    vocabulary: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_\-]{1,64}(@[1-9][0-9]{0,8})?$",
        description="The phrases: the name of a concept set that comes with the service, such as birds, or cst_… for the latest version"
        " of yours, or cst_…@2 for that one",
    )
    elements: Elements = Field(default_factory=Elements)
    protocol: ProtocolName = "exact"
    activations: ActivationsName = Field(
        default="calibrated",
        description="Of the exact protocol: centred and calibrated (second edition), or layernorm alone (first edition, as an ablation)",
    )
    seed: Seed = 0
    deadline_seconds: Deadline = None

    @model_validator(mode="after")
    def _phrases_where_they_serve(self) -> Self:
        kinds = self.library.kinds
        if "text" in kinds and (self.vlm is None or self.vocabulary is None):
            raise PydanticCustomError("text_needs", "A text library is made of phrases that a model knows: give vlm and vocabulary.")
        if (self.vlm is None) != (self.vocabulary is None):
            raise PydanticCustomError(
                "vlm_and_vocabulary", "Names come from a model and its phrases: give both vlm and vocabulary, or neither."
            )
        if self.vlm is not None and not kinds & {"text", *VISUAL_KINDS}:  # phrases make a library, or name its crops
            what = "library given by id is used as it is" if self.library.id is not None else f"{self.library.kind} library takes no names"
            raise PydanticCustomError("vlm_not_taken", "A {what}; leave out vlm and vocabulary.", {"what": what})
        return self

    @model_validator(mode="after")
    def _cut_where_it_serves(self) -> Self:
        if self.library_dataset is None:
            return self
        if self.library.id is not None:
            raise PydanticCustomError("library_dataset_not_taken", "A library given by id is cut already; leave out library_dataset.")
        if others := sorted(self.library.kinds - set(VISUAL_KINDS)):
            names = {"kinds": " and ".join(others), "visual": ", ".join(VISUAL_KINDS)}
            raise PydanticCustomError(
                "library_dataset_not_taken",
                "A {kinds} library is not cut from images; leave out library_dataset, or ask for kinds that are: {visual}.",
                names,
            )
        if self.protocol == "reference" and self.library.kind == "end2end" and self.library_dataset != self.dataset:
            raise PydanticCustomError(
                "library_dataset_not_taken",
                "The reference protocol trains an End2End library anew on the scored images; leave out library_dataset, or choose exact.",
            )
        return self

    @model_validator(mode="after")
    def _activations_where_they_serve(self) -> Self:
        if self.protocol == "reference" and self.activations != "calibrated":
            raise PydanticCustomError(
                "activations_not_taken", "The reference protocol has the authors' activations; leave activations out."
            )
        return self

    def to_spec(self, vocabulary: dict[str, Any] | None) -> dict[str, Any]:
        """The request as the job's row keeps it and the worker reads it.

        Parameters
        ----------
        vocabulary : the version that the request means: id, version and digest
        """
        return {
            "model": self.model,
            "dataset": self.dataset,
            "library": self.library.to_spec(),
            "library_dataset": self.library_dataset if self.library_dataset != self.dataset else None,
            "elements": self.elements.to_spec(),
            "protocol": self.protocol,
            "activations": self.activations,
            "seed": self.seed,
            "vlm": self.vlm,
            "vocabulary": vocabulary,
            **({"upload": self.library.upload} if self.library.upload is not None else {}),  # kept until the job has finished
        }


class ExplainCreate(NamedCreate, JobWebhookChoice):
    """Explain the predictions of a scored job for many images: its test images, or those in an archive."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"kind": "explain", "job": "job_01jz3v9a1b3c5d7e9f1g3h5j7k", "split": "test", "kept": 20, "contrast": "3"},
                {"kind": "explain", "job": "job_01jz3v9a1b3c5d7e9f1g3h5j7k", "upload": "upl_01jz3v8k2m4n6p8q0r2s4t6v8y", "top": 5},
            ]
        },
    )

    kind: Literal["explain"]
    job: str = Field(description="A job of kind score that succeeded")
    split: Literal["test"] | None = Field(default=None, description="The test images of the scored job, without extracting features again")
    upload: str | None = Field(default=None, description="A tar or zip archive of images without known classes, in folders or not")
    kept: Integer | None = Field(
        default=None, description="Number of kept concepts, a node of the job's curve; about a tenth of M unless given"
    )
    sparsity: Number | None = Field(default=None, description="The node by its sparsity instead of kept")
    top: Integer = Field(default=DEFAULT_TOP, ge=1, le=MAX_TOP, description="Number of concepts for and against in each row")
    contrast: str | None = Field(
        default=None, description="A class to explain each prediction against; images predicted to be of it have no contrast"
    )
    deadline_seconds: Deadline = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.split is None) == (self.upload is None):
            raise PydanticCustomError(
                "images_choice", "Say which images: give split for the job's test images or upload for an archive of others, and not both."
            )
        if self.kept is not None and self.sparsity is not None:
            raise PydanticCustomError("node_choice", "Give kept or sparsity, not both.")
        return self


_AnyCreate: TypeAlias = ScoreCreate | ExplainCreate | FinetuneCreate

_MODELS: dict[str, type[_AnyCreate]] = {"score": ScoreCreate, "explain": ExplainCreate, "finetune": FinetuneCreate}


def _by_kind(value: object) -> _AnyCreate:
    """The request of the given `kind`. Errors then name fields as they were sent, without the kind before them."""
    if not isinstance(value, dict):
        return ScoreCreate.model_validate(value)  # raises that an object is needed
    fields = cast("dict[str, Any]", value)
    kind = fields.get("kind")
    if isinstance(kind, str) and kind in _MODELS:
        return _MODELS[kind].model_validate(fields)
    names = {"kind": str(kind), "known": ", ".join(JOB_KINDS)}
    if "kind" in fields:
        fault = PydanticCustomError("unknown_job_kind", "There is no job kind '{kind}'; the kinds are {known}.", names)
    else:
        fault = PydanticCustomError("missing", "Say which kind of job this is; the kinds are {known}.", names)
    raise ValidationError.from_exception_data("JobCreate", [{"type": fault, "loc": ("kind",), "input": kind}])


JobCreate = Annotated[
    _AnyCreate,
    PlainValidator(_by_kind, json_schema_input_type=Annotated[_AnyCreate, Field(discriminator="kind")]),
]
