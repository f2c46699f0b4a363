"""The MCP server over standard input and output, called by the protocol's own client, on a running service."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from iis_client.client import IISClient
from iis_client.errors import ConfigurationError
from iis_client.mcp_server.local_files import LocalFiles
from iis_client.mcp_server.tools import Tools

if TYPE_CHECKING:
    from iis_client.transport.address import Address
    from support.planted import Planted


def test_files_outside_of_the_named_folders_are_refused(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "a.png").write_bytes(b"x")
    (inside / "link.png").symlink_to(outside / "a.png")
    files = LocalFiles([inside])
    assert files.resolve("a.png") == files.resolve(str(inside / "a.png")) == inside / "a.png"
    for path in ("../outside/a.png", str(outside / "a.png"), "link.png", "/etc/passwd", "~/.ssh"):
        with pytest.raises(ConfigurationError, match="outside of the folders"):
            files.resolve(path)
    (inside / "linked").symlink_to(outside)
    (inside / "images").mkdir()
    (inside / "images" / "b.png").symlink_to(inside / "a.png")
    assert files.resolve("images") == inside / "images", "a link that stays inside"
    (inside / "images" / "c.png").symlink_to(outside / "a.png")
    for folder in (".", "linked", "images"):
        with pytest.raises(ConfigurationError, match="outside of the folders"):
            files.resolve(folder)
    with pytest.raises(ConfigurationError, match="There is no file or folder"):
        files.resolve("absent.png")
    with pytest.raises(ConfigurationError, match=r"\(none\)"):
        LocalFiles([]).resolve("a.png")


def test_a_checkpoint_without_an_architecture_is_refused() -> None:
    with IISClient("http://127.0.0.1:1", "iis_key") as client:
        for model in (None, "mdl_1"):
            with pytest.raises(ConfigurationError, match="needs an architecture such as timm:resnet18 as `model`, not "):
                Tools(client, LocalFiles([])).score(dataset="@last", model=model, checkpoint="weights.pt")


@pytest.mark.slow
def test_a_model_is_scored_and_read_with_the_tools(service: Address, image_job: str, planted: Planted, digits_features: Path) -> None:
    with ThreadPoolExecutor(1) as pool:  # Playwright leaves a running event loop in the main thread
        pool.submit(asyncio.run, _use_the_tools(service, image_job, planted, digits_features)).result()


async def _use_the_tools(service: Address, image_job: str, planted: Planted, features: Path) -> None:
    mcp = pytest.importorskip("mcp", reason="NOT TESTED: mcp is not installed; run make install")
    folders = [f"--folder={planted.images}", f"--folder={features.parent}"]
    environment = {"IIS_URL": service.url, "IIS_API_KEY": service.api_key, "PYTHONPATH": ":".join(sys.path)}
    program = [sys.executable, "-c", "import iis_client.cli; iis_client.cli.main()", "mcp", *folders]
    async with mcp.Client(mcp.StdioServerParameters(command=program[0], args=program[1:], env=environment)) as client:

        async def call(tool: str, **arguments: Any) -> dict[str, Any]:
            answer = await client.call_tool(tool, arguments)
            assert not answer.is_error, answer.content
            return answer.structured_content

        async def refusal(tool: str, **arguments: Any) -> str:
            answer = await client.call_tool(tool, arguments)
            assert answer.is_error
            return answer.content[0].text

        listed = (await client.list_tools()).tools
        assert [tool.name for tool in listed] == ["score", "wait", "result", "concepts", "explain"]
        assert all(tool.description for tool in listed)

        submitted = await call("score", dataset=str(features), library="prototype", concept_count=12, name="from a tool")
        finished = await call("wait", job=submitted["job"], timeout_seconds=200)
        assert (finished["state"], finished["finished"], finished["name"]) == ("succeeded", True, "from a tool")
        report = await call("result", job="from a tool")
        assert (report["job"], report["library"]["concept_count"]) == (submitted["job"], 12)
        assert report["verdict"]["sentence"]
        assert report["iis_low"] <= report["iis"] <= report["iis_high"]

        concepts = await call("concepts", job=image_job, limit=3)
        importances = [concept["importance"] for concept in concepts["concepts"]]
        assert importances == sorted(importances, reverse=True)
        assert (concepts["concept_count"], len(importances)) == (50, 3)
        explained = await call("explain", job=image_job, image="0", top=2)
        assert len(explained["supporting"]) == 2
        picture = min((planted.images / "test" / "warm circle").iterdir())
        posted = await call("explain", job=image_job, image=str(picture))
        assert posted["prediction_from_the_concepts"]["class"]

        assert "There is no job 'absent'" in await refusal("result", job="absent")
        assert "outside of the folders" in await refusal("explain", job=image_job, image="/etc/hostname")
