"""Batches of explanations from Python and in the `iis` command."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from iis_client import ConfigurationError, IISClient
from iis_client.transport.address import Address
from iis_client.transport.messages import answer_json
from iis_schemas.jobs.views import ExplainJobView

if TYPE_CHECKING:
    from support.iis_command import RunCommand
    from support.planted import Planted

KEPT = 5


@pytest.fixture(scope="module")
def batch(service: Address, image_job: str) -> ExplainJobView:
    """The test images, explained."""
    with IISClient(service.url, service.api_key) as client:
        submitted = client.explain_batch(image_job, "test", kept=KEPT, top=2)
        client.wait(submitted, 240)
        return submitted


@pytest.mark.slow
def test_rows_equal_the_explanations_of_single_images(client: IISClient, image_job: str, batch: ExplainJobView) -> None:
    assert (batch.kind, batch.job, batch.kept) == ("explain", image_job, KEPT)
    rows = list(client.explained_rows(batch))
    outcomes = list(client.explanations(image_job, kept=KEPT))
    assert [row.interpretation for row in rows] == [one.interpretation.class_ for one in outcomes]
    single = client.explain(image_job, 3, kept=KEPT, top=2)
    assert rows[3].logit is not None
    assert math.isclose(rows[3].logit, single.logit, rel_tol=1e-6)
    listed = {one.concept: one.contribution for one in (*single.supporting, *single.opposing)}
    assert {one.concept: one.contribution for one in rows[3].concepts} == pytest.approx(listed)
    assert client.batch_result(batch).summary.count == len(rows)


@pytest.mark.slow
def test_rows_are_saved_as_a_file(client: IISClient, batch: ExplainJobView, tmp_path: Path) -> None:
    client.save_rows(batch.id, tmp_path / "rows.jsonl")
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == answer_json(client.explained_rows(batch))
    client.save_rows(batch.id, tmp_path / "rows.parquet")
    assert (tmp_path / "rows.parquet").read_bytes().startswith(b"PAR1")
    with pytest.raises(ConfigurationError, match=r"\.jsonl or \.parquet, not as rows\.csv"):
        client.save_rows(batch.id, tmp_path / "rows.csv")


@pytest.mark.slow
def test_a_folder_of_other_images_is_explained(client: IISClient, image_job: str, planted: Planted) -> None:
    folder = planted.images / "test" / "warm circle"
    submitted = client.explain_batch(image_job, archive=folder, kept=KEPT)
    client.wait(submitted, 240)
    rows = list(client.explained_rows(submitted))
    assert [Path(str(row.name)).name for row in rows] == sorted(path.name for path in folder.iterdir())
    assert {row.label for row in rows} == {None}


@pytest.mark.slow
def test_a_batch_without_images_is_refused(client: IISClient, image_job: str) -> None:
    with pytest.raises(ConfigurationError, match="Say which images"):
        client.explain_batch(image_job)


@pytest.mark.slow
def test_the_command_lists_and_summarises_a_batch(iis: RunCommand, client: IISClient, image_job: str, batch: ExplainJobView) -> None:
    listed = iis("jobs")
    assert listed.returncode == 0, listed.stderr
    assert batch.id[:14] in listed.stdout
    summed = iis("result", batch.id, "--watch")
    assert summed.returncode == 0, summed.stderr
    summary = client.batch_result(batch).summary
    assert f"explained by {KEPT} concepts of job {image_job}" in summed.stdout.replace("\n", " ")
    assert f"interpretation {summary.accuracy_interpretation:.3f}" in summed.stdout
    assert json.loads(iis("result", batch.id, "--json").stdout)["summary"] == answer_json(summary)
    refused = iis("result", batch.id, "--plot", "arr.png")
    assert refused.returncode == 1
    assert "has no curve to plot" in refused.stderr
