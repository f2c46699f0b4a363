"""Share links from Python and the command line, against a running service."""

from __future__ import annotations

import csv
from io import StringIO
from typing import TYPE_CHECKING

import httpx
import pytest

from iis_client import ConfigurationError, IISClient, InvalidInputError
from iis_client.transport.address import Address

if TYPE_CHECKING:
    from support.iis_command import RunCommand


@pytest.mark.slow
def test_links_are_created_opened_listed_and_revoked(client: IISClient, service: Address, image_job: str, iis: RunCommand) -> None:
    made = client.share(image_job, image=3, kept=5, expires_in_days=2)
    headers = {"Authorization": f"Bearer {made.token}"}
    with httpx.Client(base_url=service.url, headers=headers, timeout=60) as visitor:
        explanation = visitor.get(made.links["explanation"])
        assert (explanation.status_code, explanation.json()["image"]["index"]) == (200, 3)
        assert visitor.get(explanation.json()["links"]["image"]).headers["content-type"] == "image/png"
        assert visitor.get(f"/v1/jobs/{image_job}/explanations/4").status_code == 404
        assert visitor.post(explanation.json()["links"]["interventions"], json={}).status_code == 404
    assert [one.id for one in client.shares(job=image_job)] == [made.id]
    assert client.share_link(made).last_used_at is not None
    client.revoke_share(made)
    assert httpx.get(service.url + made.links["self"], headers=headers).status_code == 401

    shown = iis("share", image_job, "--concept", "7", "--days", "1")
    assert shown.returncode == 0, shown.stderr
    assert "read the concept until" in shown.stderr
    address, _, token = shown.stdout.strip().partition("#")
    assert address.startswith(f"{service.url}/shared/shr_")
    with httpx.Client(base_url=service.url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as visitor:
        profile = visitor.get(f"/v1/jobs/{image_job}/concepts/7").json()
        crops = [one["url"] for one in profile["exemplars"]]
        pictures = [one["links"]["image"] for one in profile["levels"]["low"]]
        maps = [f"{one['links']['explanation']}/heatmaps/7.png" for one in profile["levels"]["high"]]
        assert {visitor.get(path).status_code for path in (crops[0], pictures[0], maps[0])} == {200}
        assert visitor.get(f"/v1/jobs/{image_job}/concepts/8").status_code == 404
    (listed,) = csv.DictReader(StringIO(iis("shares", "--output", "csv").stdout))
    assert (listed["kind"], listed["concept"]) == ("concept", "7")
    assert listed["title"] == client.share_link(address.rpartition("/")[2]).title
    assert "is revoked." in iis("shares", "revoke", "@last").stdout
    assert list(client.shares()) == []


def test_arguments_of_a_link_are_checked(client: IISClient, iis: RunCommand) -> None:
    with pytest.raises(ConfigurationError, match="expires_in_days"):
        client.share("job_1", expires_in_days=1000)
    with pytest.raises((ConfigurationError, InvalidInputError), match="kept"):
        client.share("job_1", kept=3)
    assert "--concept and --image belong to a job" in iis("share", "std_1", "--image", "3").stderr
