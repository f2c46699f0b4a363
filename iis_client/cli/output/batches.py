"""Summary of a finished batch of explanations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from iis_client.cli.output.numbers import format_score

if TYPE_CHECKING:
    from iis_schemas.results.batches import BatchView


def batch_lines(result: BatchView) -> Iterator[str]:
    """Counts, agreement and accuracies of a batch, and the paths of its rows."""
    summary = result.summary
    explained = summary.count - summary.failed
    yield f"{explained} of {summary.count} images were explained by {result.kept} concepts of job {result.explained}."
    yield f"Agreement of representation and interpretation: {summary.agreement:.3f}."
    if summary.accuracy_interpretation is not None:
        representation = format_score(summary.accuracy_representation)
        yield f"Accuracy: representation {representation}, interpretation {summary.accuracy_interpretation:.3f}."
    yield f"Download all rows from {result.links['rows.jsonl']} or {result.links['rows.parquet']}."
