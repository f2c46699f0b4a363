"""Answers of the service with more than their schema: results and explanations that show themselves, registrations."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from iis_client.transport.messages import answer_json
from iis_engine.display.explanations import contribution_rows, explanation_html
from iis_engine.display.frames import frame
from iis_engine.display.reports import curve_rows, report_html
from iis_engine.tracking.loggable import LoggableScore
from iis_schemas.datasets import DatasetView
from iis_schemas.explanations.images import ExplanationView
from iis_schemas.models import ModelView
from iis_schemas.results.results import ResultView


class Result(LoggableScore, ResultView):
    """The result of a score job: the report, and the addresses of its parts."""

    def to_frame(self) -> Any:
        """All points of the curve and of both controls as a pandas.DataFrame; the column `curve` names the curve."""
        return frame(curve_rows(self.report.model_dump(mode="json")))

    def to_dict(self) -> dict[str, Any]:
        """The JSON that the service sent."""
        return answer_json(self)

    def _repr_html_(self) -> str:
        return report_html(self.report.model_dump(mode="json"))


class RegisteredModel(ModelView):
    """A model as its registration answers."""

    existed: bool = Field(default=False, description="Whether the same content with the same settings was registered before")


class RegisteredDataset(DatasetView):
    """A data set as its registration answers."""

    existed: bool = Field(default=False, description="Whether the same content with the same settings was registered before")


class ImageExplanation(ExplanationView):
    """The contributions of concepts to the prediction for an image."""

    def to_frame(self) -> Any:
        """The listed concepts as a pandas.DataFrame, largest contribution first."""
        return frame(contribution_rows(self.to_dict()))

    def to_dict(self) -> dict[str, Any]:
        """The JSON that the service sent."""
        return answer_json(self)

    def _repr_html_(self) -> str:
        return explanation_html(self.to_dict())
