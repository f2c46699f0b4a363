"""Build the MCP server and run it over standard input and output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from importlib import metadata
from pathlib import Path
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations

from iis_client.client import IISClient
from iis_client.errors import IISError
from iis_client.mcp_server.local_files import LocalFiles
from iis_client.mcp_server.tools import Tools

INSTRUCTIONS = (
    "Measures how interpretable the representation of a vision model is: whether few concepts per image keep its accuracy (IIS). "
    "Call score, then wait until the job has finished, then result, concepts and explain. Judge a model by the verdict of the result, "
    "not by IIS alone: the controls beside it show what directions without meaning reach."
)


def build_server(client: IISClient, folders: Sequence[Path]) -> MCPServer:
    """The server with its tools.

    Parameters
    ----------
    folders : whose files the tools may send to the service
    """
    server = MCPServer("iis", instructions=INSTRUCTIONS, version=metadata.version("iis"), log_level="WARNING")
    tools = Tools(client, LocalFiles(folders))
    server.add_tool(_with_sentences(tools.score), annotations=ToolAnnotations(destructive_hint=False, idempotent_hint=False))
    for tool in (tools.wait, tools.result, tools.concepts, tools.explain):
        server.add_tool(_with_sentences(tool), annotations=ToolAnnotations(read_only_hint=True))
    return server


def _with_sentences(tool: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Turn the errors of the client into errors of the tool, whose text the language model reads."""

    @wraps(tool)
    def call(*args: Any, **kwargs: Any) -> dict[str, Any]:
        try:
            return tool(*args, **kwargs)
        except (IISError, OSError) as error:
            raise ToolError(str(error)) from error

    return call
