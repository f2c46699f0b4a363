"""Jobs: submit, list, watch, wait, cancel and delete; curves and figures of finished jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Literal, Unpack

from iis_client.errors import require_success
from iis_client.progress import job_bar
from iis_client.resources.descriptions import DescriptionChanges, JobOrder, ListFilters, change_body, list_query
from iis_client.resources.results import Results
from iis_client.transport.messages import build_request, id_of
from iis_client.transport.polling import LONG_POLL_SECONDS, wait_for
from iis_client.transport.server_sent_events import stream_events
from iis_schemas.concept_sets import ConceptSetView
from iis_schemas.datasets import DatasetView
from iis_schemas.descriptions import OptionalNameUpdate
from iis_schemas.fields import Elements
from iis_schemas.jobs.events import EventView
from iis_schemas.jobs.libraries import LibraryChoice
from iis_schemas.jobs.requests import ScoreCreate
from iis_schemas.jobs.views import AnyJob, AnyJobView, JobView, ScoreJobView
from iis_schemas.models import ModelView
from iis_schemas.names import ActivationsName, JobEventType, JobExpansion, JobKind, ProtocolName
from iis_schemas.results.concept_metrics import ConceptMetricsListView, ConceptMetricsView
from iis_schemas.results.curves import CurvesView, CurveView
from iis_schemas.webhooks import WebhookView

PATH = "/v1/jobs"
PROGRESS_POLL_SECONDS = 2  # between two updates of a bar


class Jobs(Results):
    """Calls on jobs."""

    def score(
        self,
        model: str | ModelView | None,
        dataset: str | DatasetView,
        library: LibraryChoice | Mapping[str, Any],
        *,
        library_dataset: str | DatasetView | None = None,
        vlm: str | ModelView | None = None,
        vocabulary: str | ConceptSetView | None = None,
        elements: Elements | Mapping[str, Any] | None = None,
        protocol: ProtocolName | None = None,
        activations: ActivationsName | None = None,
        seed: int | None = None,
        deadline_seconds: float | None = None,
        name: str | None = None,
        notes: str | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, str] | None = None,
        webhook: str | WebhookView | None = None,
        webhook_events: Sequence[JobEventType] | None = None,
    ) -> ScoreJobView:
        """Submit a job that scores a model on a data set with a concept library. All inputs must be ready.

        Parameters
        ----------
        model : None for a data set of features
        library : {"kind": "cluster", "concept_count": 200}, or {"id": "lib_…"} for a fitted library
        library_dataset : another data set of images, whose training images the library is fitted to
        vlm : a model of role `vlm`; required by a text library, and names the concepts of other libraries
        activations : of the exact protocol: calibrated unless given, or layernorm, the first edition, as an ablation
        vocabulary : the phrases: a shipped name ("birds"), a concept set, or a version of one ("cst_…@2")
        name, notes, tags, metadata : of your own, to find the job by (`update_job` changes them)
        webhook : where the end of the job is announced: a webhook of yours, or an https:// address
        webhook_events : events to send there; default: all of the job

        Raises
        ------
        ConfigurationError
            When an argument is not valid.
        """
        fields = {
            "kind": "score",
            "model": None if model is None else id_of(model),
            "dataset": id_of(dataset),
            "library": library,
            "library_dataset": None if library_dataset is None else id_of(library_dataset),
            "vlm": None if vlm is None else id_of(vlm),
            "vocabulary": None if vocabulary is None else id_of(vocabulary),
            "elements": elements,
            "protocol": protocol,
            "activations": activations,
            "seed": seed,
            "deadline_seconds": deadline_seconds,
            "name": name,
            "notes": notes,
            "tags": tags,
            "metadata": metadata,
            "webhook": None if webhook is None else id_of(webhook),
            "webhook_events": webhook_events,
        }
        return self._post(ScoreJobView, PATH, build_request(ScoreCreate, fields))

    def job(self, job: str | JobView, *, expand: Sequence[JobExpansion] = ()) -> AnyJobView:
        """One job.

        Parameters
        ----------
        expand : resources to embed in `expanded`, such as "model" and "dataset"
        """
        return self._get(AnyJob, f"{PATH}/{id_of(job)}", {"expand": ",".join(expand)} if expand else None).root

    def jobs(
        self,
        *,
        kind: JobKind | None = None,
        state: str | None = None,
        model: str | ModelView | None = None,
        dataset: str | DatasetView | None = None,
        sort: JobOrder | None = None,
        expand: Sequence[JobExpansion] = (),
        **filters: Unpack[ListFilters],
    ) -> Iterator[AnyJobView]:
        """Your jobs, newest first unless sorted; with filters, those that match all of them.

        Parameters
        ----------
        sort : `-iis` for the highest scores first; jobs without a score are lowest
        expand : as for `job`
        filters : `tags` and `metadata` that each has, and `name_contains`, a part of the name of the job, its model or its data set
        """
        model_id, dataset_id = (None if one is None else id_of(one) for one in (model, dataset))
        query = list_query(filters, sort, kind=kind, state=state, model=model_id, dataset=dataset_id, expand=",".join(expand) or None)
        return (job.root for job in self._pages(AnyJob, PATH, query))

    def update_job(self, job: str | JobView, **changes: Unpack[DescriptionChanges]) -> AnyJobView:
        """Change `name`, `notes`, `tags` or `metadata` of a job in any state; None removes, as for `update_model`."""
        return self._patch(AnyJob, f"{PATH}/{id_of(job)}", change_body(OptionalNameUpdate, changes)).root

    def cancel(self, job: str | JobView) -> AnyJobView:
        """Cancel a job: immediately if it is queued, within seconds if it is running."""
        return self._post(AnyJob, f"{PATH}/{id_of(job)}/cancel").root

    def delete_job(self, job: str | JobView) -> None:
        """Delete a finished job with its result, concept library, figures and events.

        Raises
        ------
        ConflictError
            Before it has finished, and while a study, an explanation or another job needs it.
        """
        self._delete(f"{PATH}/{id_of(job)}")

    def events(self, job: str | JobView, last_event_id: int | None = None) -> Iterator[EventView]:
        """Stream the events of a job until it ends; a lost connection is resumed."""
        return stream_events(self._transport, id_of(job), last_event_id)

    def wait(self, job: str | JobView, timeout_seconds: float | None = None, *, progress: bool = False) -> AnyJobView:
        """Wait until a job has succeeded.

        Parameters
        ----------
        progress : show a bar with the stage of the job

        Raises
        ------
        JobFailedError
            When it failed; the text is the reason.
        JobCanceledError
            When it was canceled.
        WaitTimeoutError
            When it has not finished within `timeout_seconds`.
        """

        with job_bar() if progress else nullcontext(_show_nothing) as show:

            def unfinished_state(answer: AnyJob) -> str | None:
                show(answer.root)
                return None if answer.root.finished else answer.root.state

            name = id_of(job)
            poll_seconds = PROGRESS_POLL_SECONDS if progress else LONG_POLL_SECONDS
            finished = wait_for(
                self._transport, AnyJob, f"{PATH}/{name}", unfinished_state, timeout_seconds, name=name, poll_seconds=poll_seconds
            )
        return require_success(finished.root)

    def curves(self, job: str | JobView) -> list[CurveView]:
        """ARR curves of a finished score job: of its library and of the random control."""
        return self._get(CurvesView, f"{PATH}/{id_of(job)}/curves").data

    def concept_metrics(self, job: str | JobView) -> list[ConceptMetricsView]:
        """Metrics of every concept of a finished score job, in the order of its library."""
        return self._get(ConceptMetricsListView, f"{PATH}/{id_of(job)}/concept-metrics").data

    def plot(self, job: str | JobView, name: str = "arr", image_format: Literal["png", "svg"] = "png") -> bytes:
        """Figure of a finished score job: `arr` or `accuracy`."""
        return self._transport.send("GET", f"{PATH}/{id_of(job)}/plots/{name}.{image_format}").content


def _show_nothing(_job: AnyJobView) -> None:
    """The display of a wait without a bar."""
