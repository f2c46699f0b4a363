"""Studies: grids of score jobs with their table, statistics and figures; leaderboards. Study files are read in iis_client.cli.studies."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Unpack

from iis_client.errors import WaitTimeoutError
from iis_client.resources.descriptions import DescriptionChanges, ListFilters, NameOrder, change_body, list_query
from iis_client.transport.connection import Connection
from iis_client.transport.http import FIGURE_TIMEOUT_SECONDS
from iis_client.transport.messages import build_request, id_of
from iis_client.transport.polling import poll
from iis_schemas.concept_sets import ConceptSetView
from iis_schemas.datasets import DatasetView
from iis_schemas.descriptions import DescriptionUpdate
from iis_schemas.fields import Elements
from iis_schemas.jobs.libraries import LibraryChoice
from iis_schemas.models import ModelView
from iis_schemas.names import ActivationsName, ProtocolName, StudyFigure
from iis_schemas.studies.analyses import AnalysisView
from iis_schemas.studies.estimates import EstimateView
from iis_schemas.studies.leaderboard import LeaderboardView
from iis_schemas.studies.requests import ModelEntry, StudyCreate, StudyEstimateCreate, StudyExtend
from iis_schemas.studies.views import CellView, StudyView, TableRow, TableView
from iis_schemas.webhooks import WebhookView

PATH = "/v1/studies"
POLL_SECONDS = 2  # between two updates of a running study

TableFormat = Literal["csv", "parquet"]


class Studies(Connection):
    """Calls on studies, and on the leaderboards of all scores."""

    def create_study(
        self,
        models: Sequence[str | ModelView | ModelEntry | Mapping[str, Any]],
        datasets: Sequence[str | DatasetView],
        libraries: Sequence[LibraryChoice | Mapping[str, Any]],
        *,
        name: str | None = None,
        concept_counts: Sequence[int] | None = None,
        library_datasets: Sequence[str | DatasetView | None] | None = None,
        sparsity_grids: Sequence[Sequence[float]] | None = None,
        seeds: Sequence[int] | None = None,
        protocol: ProtocolName | None = None,
        activations: ActivationsName | None = None,
        elements: Elements | Mapping[str, Any] | None = None,
        vlm: str | ModelView | None = None,
        vocabulary: str | ConceptSetView | None = None,
        evolution: bool | None = None,
        deadline_seconds: float | None = None,
        notes: str | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, str] | None = None,
        webhook: str | WebhookView | None = None,
    ) -> StudyView:
        """Submit a grid of score jobs. Existing jobs of yours with the same settings are reused.

        Parameters
        ----------
        models : models, or entries {"model": "mdl_…", "label": …}; none if every data set contains features. An entry with
            {"layers": ["blocks.3", "blocks.7"]} stands for a model at each of these layers
        datasets : ready data sets
        libraries : libraries to fit, such as {"kind": "cluster"}; each kind is fitted at every M of `concept_counts`
        concept_counts : M of every library; default: the library's own, else 200
        library_datasets : data sets that visual libraries are fitted to; None among them, and the default, is the scored data set
        sparsity_grids : ascending sparsities, over each of which retention is also integrated
        seeds : one job for each; default: [0]
        activations : of the exact protocol: calibrated unless given, or layernorm, the first edition, as an ablation
        vlm, vocabulary : of text libraries, as for `score`
        evolution : the models are checkpoints of one training run, in order
        webhook : where the end of the study is announced: a webhook of yours, or an https:// address

        Raises
        ------
        ConfigurationError
            When an argument is not valid.
        InvalidInputError
            When the grid is empty, has more than 10,000 jobs, or contradicts itself; nothing is created.
        """
        fields = {
            "name": name,
            "models": [id_of(model) if isinstance(model, ModelView) else model for model in models],
            "datasets": [id_of(dataset) for dataset in datasets],
            "libraries": list(libraries),
            "concept_counts": concept_counts,
            "library_datasets": None if library_datasets is None else [each and id_of(each) for each in library_datasets],
            "sparsity_grids": sparsity_grids,
            "seeds": seeds,
            "protocol": protocol,
            "activations": activations,
            "elements": elements,
            "vlm": None if vlm is None else id_of(vlm),
            "vocabulary": None if vocabulary is None else id_of(vocabulary),
            "evolution": evolution,
            "deadline_seconds": deadline_seconds,
            "notes": notes,
            "tags": tags,
            "metadata": metadata,
            "webhook": None if webhook is None else id_of(webhook),
        }
        return self.submit_study(build_request(StudyCreate, fields))

    def submit_study(self, request: StudyCreate) -> StudyView:
        """Submit a study that is built already, for example from a study file."""
        return self._post(StudyView, PATH, request)

    def estimate_study(self, request: StudyEstimateCreate) -> EstimateView:
        """Estimate the cost of a study from durations of your finished jobs; its inputs need not be registered yet."""
        return self._post(EstimateView, f"{PATH}/estimate", request)

    def study(self, study: str | StudyView) -> StudyView:
        """One study."""
        return self._get(StudyView, f"{PATH}/{id_of(study)}")

    def studies(self, *, sort: NameOrder | None = None, **filters: Unpack[ListFilters]) -> Iterator[StudyView]:
        """Your studies, newest first unless sorted; filtered as `models` are."""
        return self._pages(StudyView, PATH, list_query(filters, sort))

    def update_study(self, study: str | StudyView, **changes: Unpack[DescriptionChanges]) -> StudyView:
        """Change `name`, `notes`, `tags` or `metadata` of a study; None removes, as for `update_model`."""
        return self._patch(StudyView, f"{PATH}/{id_of(study)}", change_body(DescriptionUpdate, changes))

    def extend_study(self, study: str | StudyView, request: StudyExtend | Mapping[str, Any] | None = None) -> StudyView:
        """Add to the lists of a study; existing jobs are kept, and failed or canceled ones run again.

        Parameters
        ----------
        request : the additions, by the names of `create_study`; default: only run failed jobs again
        """
        body = request if isinstance(request, StudyExtend) else build_request(StudyExtend, request or {})
        return self._post(StudyView, f"{PATH}/{id_of(study)}/extend", body)

    def cancel_study(self, study: str | StudyView) -> StudyView:
        """Cancel the unfinished jobs that a study created and that no other study uses."""
        return self._post(StudyView, f"{PATH}/{id_of(study)}/cancel")

    def delete_study(self, study: str | StudyView) -> None:
        """Delete a finished study; its jobs are kept."""
        self._delete(f"{PATH}/{id_of(study)}")

    def follow_study(self, study: str | StudyView) -> Iterator[StudyView]:
        """Yield a study about every two seconds until it has finished."""
        while True:
            update, pause_seconds = poll(self._transport, StudyView, f"{PATH}/{id_of(study)}", POLL_SECONDS)
            yield update
            if update.state == "finished":
                return
            time.sleep(pause_seconds)

    def wait_for_study(self, study: str | StudyView, timeout_seconds: float | None = None) -> StudyView:
        """Wait until a study has finished; some of its jobs may have failed (see `study_cells`).

        Raises
        ------
        WaitTimeoutError
            When it has not finished within `timeout_seconds`.
        """
        started = time.monotonic()
        for update in self.follow_study(study):
            if update.state == "finished":
                return update
            if timeout_seconds is not None and time.monotonic() - started >= timeout_seconds:
                break
        raise WaitTimeoutError(f"{id_of(study)} is still running after {timeout_seconds} s; the service continues to work on it.")

    def study_cells(self, study: str | StudyView) -> Iterator[CellView]:
        """Cells of a study's grid in order, each with its job."""
        return self._pages(CellView, f"{PATH}/{id_of(study)}/cells")

    def study_table(self, study: str | StudyView, table_format: TableFormat = "csv") -> bytes:
        """Results of the succeeded jobs, one row each; as Parquet with the points of every curve."""
        path = f"{PATH}/{id_of(study)}/table.{table_format}"
        return self._transport.send("GET", path, read_timeout_seconds=FIGURE_TIMEOUT_SECONDS).content

    def study_rows(self, study: str | StudyView) -> list[TableRow]:
        """Results of the succeeded jobs, one row each, in the order of the grid."""
        return self._get(TableView, f"{PATH}/{id_of(study)}/table").data

    def study_analysis(self, study: str | StudyView) -> AnalysisView:
        """Statistics of the results so far: correlations with intervals, evolution, ablations, agreement."""
        return self._get(AnalysisView, f"{PATH}/{id_of(study)}/analysis", read_timeout_seconds=FIGURE_TIMEOUT_SECONDS)

    def study_figure(
        self, study: str | StudyView, figure: StudyFigure = "iis_accuracy", image_format: Literal["png", "svg"] = "png"
    ) -> bytes:
        """One figure of a study."""
        return self._figure(f"{PATH}/{id_of(study)}/figures/{figure}.{image_format}", {})

    def leaderboard(
        self,
        *,
        board: str | None = None,
        dataset: str | DatasetView | None = None,
        library: str | None = None,
        concept_count: int | None = None,
        protocol: ProtocolName | None = None,
        edition: int | None = None,
    ) -> LeaderboardView:
        """Your models with scores of the same settings, ranked by IIS; of the matching boards, the one with most models."""
        query = {
            "board": board,
            "dataset": None if dataset is None else id_of(dataset),
            "library": library,
            "concept_count": concept_count,
            "protocol": protocol,
            "edition": edition,
        }
        return self._get(LeaderboardView, "/v1/leaderboard", query)
