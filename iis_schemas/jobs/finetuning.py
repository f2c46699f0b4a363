"""The request of a fine-tuning job."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from iis_schemas.descriptions import NamedCreate
from iis_schemas.fields import Deadline, Elements, Seed
from iis_schemas.jobs.libraries import DEFAULT_CONCEPT_COUNT, ConceptCount
from iis_schemas.names import (
    LIBRARY_KINDS,
    TRAINABLE_LIBRARY_KINDS,
    OptimizerName,
    PrecisionName,
    TrainableLibraryKind,
    TrainedPart,
)
from iis_schemas.numbers import Integer, Number
from iis_schemas.webhooks import JobWebhookChoice

MIN_SEEDS, MAX_SEEDS = 3, 20
STEP_IMAGES_MAX = 65_536  # in one step: above the largest batches that training is known to gain by
MAX_EPOCHS = 10_000


def _trainable_kind(value: object) -> object:
    if value in TRAINABLE_LIBRARY_KINDS or not isinstance(value, str):
        return value
    kinds = {"kind": value[:50], "kinds": ", ".join(TRAINABLE_LIBRARY_KINDS)}
    if value not in LIBRARY_KINDS:
        raise PydanticCustomError("unknown_library", "There is no library kind '{kind}'; fine-tuning takes {kinds}.", kinds)
    raise PydanticCustomError(
        "library_not_trainable",
        "A {kind} library does not depend on the network alone, so it cannot be rebuilt during training; fine-tuning takes {kinds}.",
        kinds,
    )


def _weight(value: float) -> float:
    if value > 0:
        return value
    context = {"value": f"{value:g}"}
    if value == 0:
        raise PydanticCustomError(
            "lambda_is_control",
            "lambda = 0 is the control, which every job runs anyway with the same schedule and seeds; give the weight above 0 that it is"
            " compared with, such as 1.",
        )
    raise PydanticCustomError(
        "lambda_negative",
        "lambda weighs the loss of the interpretation and must be above 0; it is {value}, which would train towards a worse one.",
        context,
    )


def _seeds(values: list[int]) -> list[int]:
    if repeated := [seed for seed, times in Counter(values).items() if times > 1]:
        raise PydanticCustomError(
            "seeds_repeated",
            "Each seed is one run of each arm, and {seed} is named more than once; a repeated run adds nothing to an interval, so give"
            " different seeds.",
            {"seed": repeated[0]},
        )
    if not MIN_SEEDS <= len(values) <= MAX_SEEDS:
        counts = {"count": len(values), "least": MIN_SEEDS, "most": MAX_SEEDS}
        raise PydanticCustomError(
            "seeds_count",
            "An interval over seeds needs {least} to {most} of them, and these are {count}; give for example [0, 1, 2].",
            counts,
        )
    return values


def _whole(name: str, what: str) -> AfterValidator:
    """One or more of something."""

    def check(value: int | None) -> int | None:
        if value is None or value >= 1:
            return value
        context = {"name": name, "what": what, "value": value}
        raise PydanticCustomError("too_few", "{name} is {what}: 1 or more, and it is {value}.", context)

    return AfterValidator(check)


def _within_epochs(value: int, info: ValidationInfo) -> int:
    epochs = info.data.get("epochs")
    if epochs is not None and value > epochs:
        counts = {"warmup": value, "epochs": epochs}
        raise PydanticCustomError(
            "warmup_too_long", "The learning rate would warm up for {warmup} epochs of {epochs}; give fewer warmup_epochs.", counts
        )
    return value


def _of_one_step(value: int, info: ValidationInfo) -> int:
    batch_size = info.data.get("batch_size")
    if batch_size is not None and batch_size * value > STEP_IMAGES_MAX:
        context = {"images": batch_size * value, "most": STEP_IMAGES_MAX}
        raise PydanticCustomError(
            "step_too_large",
            "batch_size x accumulation_steps, {images} images, would make one step; {most} are the most, so give less of either.",
            context,
        )
    return value


class FinetuneLibrary(BaseModel):
    """The library whose interpretation is trained; it depends on the network alone."""

    model_config = ConfigDict(extra="forbid")

    kind: Annotated[TrainableLibraryKind, BeforeValidator(_trainable_kind)]
    concept_count: ConceptCount = DEFAULT_CONCEPT_COUNT


class FinetuneCreate(NamedCreate, JobWebhookChoice):
    """Fine-tune a model by interpretability maximisation (METHOD §5, eq. 8), with its control."""

    model_config = ConfigDict(
        extra="forbid",
        validate_by_name=False,
        validate_by_alias=True,
        serialize_by_alias=True,
        json_schema_extra={
            "examples": [
                {
                    "kind": "finetune",
                    "model": "mdl_01jz3v8k2m4n6p8q0r2s4t6v8w",
                    "dataset": "dst_01jz3v8k2m4n6p8q0r2s4t6v8x",
                    "library": {"kind": "cluster", "concept_count": 200},
                    "sparsity": 0.1,
                    "lambda": 1.0,
                    "epochs": 10,
                    "learning_rate": 0.0001,
                    "trains": "all",
                    "seeds": [0, 1, 2],
                }
            ]
        },
    )

    kind: Literal["finetune"]
    model: str = Field(description="A ready backbone in torch, whose weights training starts from")
    dataset: str = Field(description="A ready data set of images")
    library: FinetuneLibrary
    elements: Elements = Field(default_factory=Elements)
    sparsity: Number = Field(default=0.1, ge=0, lt=1, description="s: share of concepts zeroed while training")
    weight: Annotated[Number, AfterValidator(_weight)] = Field(
        default=1.0,
        alias="lambda",
        description="Weight of the interpretation's loss, above 0; the control with 0 is run as well",
        json_schema_extra={"exclusiveMinimum": 0},
    )
    epochs: Annotated[Integer, _whole("epochs", "how often the training images are passed over")] = Field(
        default=10, le=MAX_EPOCHS, json_schema_extra={"minimum": 1}
    )
    optimizer: OptimizerName = "adamw"
    learning_rate: Number = Field(default=0.0001, gt=0, le=1000, description="The peak, between warm-up and cosine decay")
    weight_decay: Number = Field(default=0.01, ge=0, le=1000)
    batch_size: Annotated[Integer, _whole("batch_size", "how many images are seen at once")] = Field(
        default=64, le=STEP_IMAGES_MAX, json_schema_extra={"minimum": 1}
    )
    accumulation_steps: Annotated[Integer, _whole("accumulation_steps", "how many batches make one step"), AfterValidator(_of_one_step)] = (
        Field(
            default=1,
            le=STEP_IMAGES_MAX,
            json_schema_extra={"minimum": 1},
            description=f"Batches whose gradients make one step; times batch_size it is {STEP_IMAGES_MAX} images at most",
        )
    )
    warmup_epochs: Annotated[Integer, AfterValidator(_within_epochs)] = Field(default=1, validate_default=True, ge=0, le=MAX_EPOCHS)
    trains: TrainedPart = Field(default="all", description="Layers that are trained: the heads, the last stage too, or all")
    rebuild_every: Annotated[
        Integer | None, _whole("rebuild_every", "after how many epochs the library is built again (left out, it stays as it was)")
    ] = Field(default=None, le=MAX_EPOCHS, description="Rebuild the library after this number of epochs; it is frozen unless given")
    patience: Annotated[Integer | None, _whole("patience", "how many epochs without a better validation accuracy end a run")] = Field(
        default=None, le=MAX_EPOCHS, description="Stop a run after this number of epochs without a better validation accuracy"
    )
    precision: PrecisionName = Field(default="auto", description="auto: mixed precision where the device has it")
    seeds: Annotated[list[Seed], AfterValidator(_seeds)] = Field(
        default=[0, 1, 2],
        description=f"{MIN_SEEDS} to {MAX_SEEDS} different ones: each is one run with lambda and one with 0",
        json_schema_extra={"minItems": MIN_SEEDS, "maxItems": MAX_SEEDS, "uniqueItems": True},
    )
    deadline_seconds: Deadline = None

    def to_spec(self) -> dict[str, Any]:
        """The request as the job's row keeps it and the worker reads it."""
        notes = (*NamedCreate.model_fields, *JobWebhookChoice.model_fields)
        return self.model_dump(exclude={"kind", "deadline_seconds", *notes}) | {"elements": self.elements.to_spec()}
