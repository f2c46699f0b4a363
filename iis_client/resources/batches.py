"""Explanations of many images in one job: submitting it, its summary, and its rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, cast

from iis_client.errors import ConfigurationError
from iis_client.transport.connection import Connection, given
from iis_client.types.batches import BatchJob, BatchResult, ExplainedRow

ROW_SUFFIXES = (".jsonl", ".parquet")


class Batches(Connection):
    """Calls on jobs of kind explain; `wait`, `events` and `cancel` are those of every job."""

    def explain_batch(
        self,
        job: str,
        split: Literal["test"] | None = None,
        *,
        archive: str | Path | None = None,
        kept: int | None = None,
        sparsity: float | None = None,
        top: int | None = None,
        contrast: str | None = None,
        deadline_seconds: float | None = None,
    ) -> BatchJob:
        """Submit a job: explain what a scored job's interpretation says of each of many images.

        Parameters
        ----------
        job : the scored one, finished
        split : "test" for the images that it was scored on
        archive : a folder or an archive of other images on this machine, in place of these
        kept, sparsity, top, contrast : as for one image

        Raises
        ------
        InvalidInputError
            When both or neither of `split` and `archive` are given, the curve has no such node, or the class is unknown.
        """
        fields = {
            "kind": "explain",
            "job": job,
            "split": split,
            "upload": self.upload(archive)["id"] if archive is not None else None,
            "kept": kept,
            "sparsity": sparsity,
            "top": top,
            "contrast": contrast,
            "deadline_seconds": deadline_seconds,
        }
        return cast("BatchJob", self._post("/v1/jobs", given(fields)))

    def batch_result(self, job: str) -> BatchResult:
        """A finished batch in a few numbers."""
        return cast("BatchResult", self._get(f"/v1/jobs/{job}/result"))

    def explained_rows(self, job: str) -> Iterator[ExplainedRow]:
        """The rows of a finished batch, one for each image, by index."""
        return cast("Iterator[ExplainedRow]", self._pages(f"/v1/jobs/{job}/rows"))

    def save_rows(self, job: str, path: str | Path) -> None:
        """Save all rows of a finished batch as a file, .jsonl or .parquet.

        Raises
        ------
        ConfigurationError
            When the file's name says neither.
        """
        suffix = Path(path).suffix.lower()
        if suffix not in ROW_SUFFIXES:
            raise ConfigurationError(f"Rows can be saved as {' or '.join(ROW_SUFFIXES)}, not as {Path(path).name}.")
        Path(path).write_bytes(self._transport.send("GET", f"/v1/jobs/{job}/rows{suffix}").content)
