"""Jobs: submitting them, what happens to them, and what they found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, cast

from iis_client.transport.connection import Connection, given
from iis_client.transport.polling import require_success, wait_for
from iis_client.transport.server_sent_events import follow
from iis_client.types.scores import FINISHED_STATES, Curve, Elements, Event, Job, Library, Result


class Jobs(Connection):
    """Calls on jobs."""

    def score(
        self,
        model: str | None,
        dataset: str,
        library: Library,
        *,
        library_dataset: str | None = None,
        vlm: str | None = None,
        vocabulary: str | None = None,
        elements: Elements | None = None,
        protocol: Literal["exact", "reference"] = "exact",
        seed: int = 0,
        deadline_seconds: float | None = None,
    ) -> Job:
        """Submit a job: score a model on a data set through a concept library. All that it names must be ready.

        Parameters
        ----------
        model : None for a data set of features
        library : {"kind": "cluster", "concept_count": 200}, or {"id": "lib_…"} for one fitted before
        library_dataset : another data set of images, whose training images the library is cut from in place of the scored one's
        vlm : a model of role `vlm`; a text library needs it, and the concepts of other libraries get names by it
        vocabulary : the phrases it compares images with: a shipped name ("birds"), a concept set, or a version of one ("cst_…@2")
        """
        fields = {
            "kind": "score",
            "model": model,
            "dataset": dataset,
            "library": library,
            "library_dataset": library_dataset,
            "vlm": vlm,
            "vocabulary": vocabulary,
            "elements": elements,
            "protocol": protocol,
            "seed": seed,
            "deadline_seconds": deadline_seconds,
        }
        return cast("Job", self._post("/v1/jobs", given(fields)))

    def job(self, job: str) -> Job:
        """One job."""
        return cast("Job", self._get(f"/v1/jobs/{job}"))

    def jobs(self, *, state: str | None = None) -> Iterator[Job]:
        """Your jobs, newest first."""
        return cast("Iterator[Job]", self._pages("/v1/jobs", state=state))

    def cancel(self, job: str) -> Job:
        """Cancel a job: at once while it is queued, within seconds while it runs."""
        return cast("Job", self._post(f"/v1/jobs/{job}/cancel", None))

    def events(self, job: str, last_event_id: int | None = None) -> Iterator[Event]:
        """What happens to a job, live, until it ends; a lost connection is taken up where it broke."""
        return follow(self._transport, job, last_event_id)

    def wait(self, job: str, timeout_seconds: float | None = None) -> Job:
        """Wait until a job has succeeded.

        Raises
        ------
        JobFailedError
            When it failed; the text says why.
        JobCanceledError
            When it was canceled.
        WaitTimeoutError
            When the time is over.
        """

        def finished(found: Job) -> bool:
            return found["state"] in FINISHED_STATES

        return require_success(wait_for(self._transport, f"/v1/jobs/{job}", finished, timeout_seconds, name=job))

    def result(self, job: str) -> Result:
        """A finished job's report."""
        return cast("Result", self._get(f"/v1/jobs/{job}/result"))

    def curves(self, job: str) -> list[Curve]:
        """A finished job's ARR curves: its library's and the random control's."""
        return cast("list[Curve]", self._get(f"/v1/jobs/{job}/curves")["data"])

    def plot(self, job: str, name: str = "arr", image_format: Literal["png", "svg"] = "png") -> bytes:
        """A finished job's figure: `arr` or `accuracy`."""
        return self._transport.send("GET", f"/v1/jobs/{job}/plots/{name}.{image_format}").content
