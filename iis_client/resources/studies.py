"""Studies: asking for a grid of scores, what becomes of it, and what it found. Files of them are read in iis_client.cli.studies.file."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, cast

from iis_client.errors import WaitTimeoutError
from iis_client.transport.connection import Connection, given
from iis_client.transport.http import FIGURE_TIMEOUT_SECONDS
from iis_client.transport.polling import LONG_POLL_MARGIN_SECONDS, UNAPPLIED_PAUSE_SECONDS
from iis_client.types.scores import Elements, Library
from iis_client.types.studies import (
    Leaderboard,
    ModelEntry,
    Protocol,
    Study,
    StudyAnalysis,
    StudyCell,
    StudyEstimate,
    StudyFigure,
    TableFormat,
)

PATH = "/v1/studies"
LOOK_SECONDS = 2  # between two looks at a study that runs


class Studies(Connection):
    """Calls on studies, and on the leaderboards of all that was scored."""

    def create_study(
        self,
        models: Sequence[str | ModelEntry],
        datasets: Sequence[str],
        libraries: Sequence[Library],
        *,
        name: str | None = None,
        concept_counts: Sequence[int] | None = None,
        library_datasets: Sequence[str | None] | None = None,
        sparsity_grids: Sequence[Sequence[float]] | None = None,
        seeds: Sequence[int] | None = None,
        protocol: Protocol | None = None,
        elements: Elements | None = None,
        vlm: str | None = None,
        vocabulary: str | None = None,
        evolution: bool | None = None,
        deadline_seconds: float | None = None,
    ) -> Study:
        """Ask for a whole grid of scores. Jobs of yours that ask for the same are used, not run again.

        Parameters
        ----------
        models : ids, or what is known of each besides; none where every data set holds ready features
        datasets : ids; all that the grid names must be ready
        libraries : libraries to fit, such as {"kind": "cluster"}; each kind of them through each of `concept_counts`
        concept_counts : M of every library; what each says, or 200, unless given
        library_datasets : data sets that visual libraries are cut from; None among them is the scored one, which is all unless given
        sparsity_grids : ascending sparsities, over each of which retention is integrated besides
        seeds : one job for each; [0] unless given
        vlm, vocabulary : of text libraries, as for `score`
        evolution : the models are checkpoints of one training run, in order

        Raises
        ------
        InvalidInputError
            For an empty grid, one of more than 10,000 jobs, or one whose parts do not go together; then nothing is written.
        """
        return cast(
            "Study",
            self._post(
                PATH,
                given(
                    {
                        "name": name,
                        "models": models,
                        "datasets": datasets,
                        "libraries": libraries,
                        "concept_counts": concept_counts,
                        "library_datasets": library_datasets,
                        "sparsity_grids": sparsity_grids,
                        "seeds": seeds,
                        "protocol": protocol,
                        "elements": elements,
                        "vlm": vlm,
                        "vocabulary": vocabulary,
                        "evolution": evolution,
                        "deadline_seconds": deadline_seconds,
                    }
                ),
            ),
        )

    def estimate_study(self, request: Mapping[str, object]) -> StudyEstimate:
        """What a study would cost, by what your jobs have measured so far; nothing is written.

        Parameters
        ----------
        request : the arguments of `create_study` by name
        """
        return cast("StudyEstimate", self._post(f"{PATH}/estimate", request))

    def study(self, study: str) -> Study:
        """One study."""
        return cast("Study", self._get(f"{PATH}/{study}"))

    def studies(self) -> Iterator[Study]:
        """Your studies, newest first."""
        return cast("Iterator[Study]", self._pages(PATH))

    def extend_study(self, study: str, request: Mapping[str, object] | None = None) -> Study:
        """Add to a study's lists; what is there is not computed again. Jobs that failed or were canceled get another try.

        Parameters
        ----------
        request : arguments of `create_study` by name, only those that add something; without any only the failed ones are tried again
        """
        return cast("Study", self._post(f"{PATH}/{study}/extend", request or {}))

    def cancel_study(self, study: str) -> Study:
        """Cancel the unfinished jobs that a study made and that no other one uses."""
        return cast("Study", self._post(f"{PATH}/{study}/cancel", None))

    def delete_study(self, study: str) -> None:
        """Delete a study whose jobs have finished; the jobs stay."""
        self._transport.send("DELETE", f"{PATH}/{study}")

    def follow_study(self, study: str) -> Iterator[Study]:
        """A study again and again, about every two seconds, the last time when it has finished."""
        while True:
            headers = {"Prefer": f"wait={LOOK_SECONDS}"}
            seconds = LOOK_SECONDS + LONG_POLL_MARGIN_SECONDS
            response = self._transport.send("GET", f"{PATH}/{study}", headers=headers, read_timeout_seconds=seconds)
            found = cast("Study", response.json())
            yield found
            if found["state"] == "finished":
                return
            if "Preference-Applied" not in response.headers:  # somebody on the way dropped the wish to wait
                time.sleep(UNAPPLIED_PAUSE_SECONDS)

    def wait_for_study(self, study: str, timeout_seconds: float | None = None) -> Study:
        """Wait until a study has finished; some of its jobs may have failed (`study_cells` says which, and why).

        Raises
        ------
        WaitTimeoutError
            When the time is over.
        """
        began = time.monotonic()
        for found in self.follow_study(study):
            if found["state"] == "finished":
                return found
            if timeout_seconds is not None and time.monotonic() - began >= timeout_seconds:
                break
        raise WaitTimeoutError(f"{study} is still running after {timeout_seconds} s; it goes on at the service.")

    def study_cells(self, study: str) -> Iterator[StudyCell]:
        """The places of a study's grid in order, each with its job."""
        return cast("Iterator[StudyCell]", self._pages(f"{PATH}/{study}/cells"))

    def study_table(self, study: str, table_format: TableFormat = "csv") -> bytes:
        """What the jobs that succeeded so far have found, one row each; as Parquet with the points of every curve."""
        path = f"{PATH}/{study}/table.{table_format}"
        return self._transport.send("GET", path, read_timeout_seconds=FIGURE_TIMEOUT_SECONDS).content

    def study_analysis(self, study: str) -> StudyAnalysis:
        """Correlations with their intervals, evolution, ablations, agreement: the statistics of what there is so far."""
        response = self._transport.send("GET", f"{PATH}/{study}/analysis", read_timeout_seconds=FIGURE_TIMEOUT_SECONDS)
        return cast("StudyAnalysis", response.json())

    def study_figure(self, study: str, figure: StudyFigure = "iis_accuracy", image_format: Literal["png", "svg"] = "png") -> bytes:
        """One figure of a study, in the form of the paper's."""
        return self._figure(f"{PATH}/{study}/figures/{figure}.{image_format}", {})

    def leaderboard(
        self,
        *,
        board: str | None = None,
        dataset: str | None = None,
        library: str | None = None,
        concept_count: int | None = None,
        protocol: Protocol | None = None,
    ) -> Leaderboard:
        """Your models that were scored alike, by IIS, with ties shown as ties; of those that fit, the board with most models."""
        query = given({"board": board, "dataset": dataset, "library": library, "concept_count": concept_count, "protocol": protocol})
        return cast("Leaderboard", self._transport.send("GET", "/v1/leaderboard", params=query).json())
