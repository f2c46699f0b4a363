"""The main numbers of the result of a job, which lists show."""

from __future__ import annotations

from pydantic import BaseModel, Field

from iis_schemas.names import QuantityName, VerdictCode


class ScoreSummary(BaseModel):
    """The main numbers of a score; its report has all. Null where the report has or gives none."""

    edition: int
    verdict: VerdictCode | None
    near_chance: bool = Field(description="Whether IIS is not meaningful: withheld, or the accuracy is no better than chance")
    quantity: QuantityName = Field(default="accuracy", description="What every accuracy is; of multi-label data mean average precision")
    accuracy: float | None = Field(description="Of the representation")
    accuracy_low: float | None
    accuracy_high: float | None
    chance: float | None
    few_concepts_mean: float | None
    few_concepts_mean_low: float | None
    few_concepts_mean_high: float | None
    iis: float | None
    iis_low: float | None
    iis_high: float | None
    gain_isotropic: float | None = Field(description="IIS above that of any directions")
    gain_isotropic_low: float | None
    gain_isotropic_high: float | None
    gain_matched: float | None = Field(description="IIS above that of matched directions")
    gain_matched_low: float | None
    gain_matched_high: float | None


class ExplainSummary(BaseModel):
    """The main numbers of an explain job."""

    count: int = Field(description="Images")
    failed: int = Field(description="Of them, those that could not be read")
    agreement: float = Field(description="Share of the readable images for which interpretation and representation predict the same class")
    accuracy_representation: float | None = Field(description="Null where the true classes are not known")
    accuracy_interpretation: float | None


class FinetuneSummary(BaseModel):
    """The main numbers of a finetune job: the model before it, and the mean over the seeds after it. Null where the result gives none."""

    accuracy_before: float | None
    accuracy_after: float | None
    iis_before: float | None
    iis_after: float | None
    iis_change: float | None = Field(description="After minus before; its interval is over the seeds")
    iis_change_low: float | None
    iis_change_high: float | None
    iis_over_control: float | None = Field(description="After minus the same training with lambda = 0; its interval is over the seeds")
    iis_over_control_low: float | None
    iis_over_control_high: float | None
