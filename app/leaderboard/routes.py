"""HTTP of leaderboards."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.http.auth import OwnerDep
from app.http.caching import respond
from app.http.dependencies import SessionDep
from app.http.pagination import ID_PATTERN
from app.http.problems import COMMON_RESPONSES
from app.http.routes import AuthenticatedRoute
from app.leaderboard.service import read_leaderboard
from iis_schemas.jobs.libraries import MAX_CONCEPTS
from iis_schemas.names import ProtocolName
from iis_schemas.studies.leaderboard import LeaderboardView

router = APIRouter(prefix="/v1/leaderboard", tags=["leaderboard"], route_class=AuthenticatedRoute)


@router.get("", response_model=LeaderboardView, responses=COMMON_RESPONSES)
def get_leaderboard(
    *,
    request: Request,
    session: SessionDep,
    owner: OwnerDep,
    board: Annotated[str | None, Query(pattern="^[0-9a-f]{12}$", description="Its `board` in `boards`")] = None,
    dataset: Annotated[str | None, Query(pattern=ID_PATTERN)] = None,
    library: Annotated[str | None, Query(max_length=200, description="Its `library` in `boards`: a kind, or combined(…)")] = None,
    concept_count: Annotated[int | None, Query(ge=0, le=MAX_CONCEPTS, description="M as requested")] = None,
    protocol: Annotated[ProtocolName | None, Query()] = None,
    edition: Annotated[int | None, Query(ge=1, le=2, description="Of the activations")] = None,
) -> Response:
    """Rank your models that were scored alike by IIS, with ties shown as ties.

    Unless the query names a board, the one with most models.
    """
    asked = {
        "board": board,
        "dataset": dataset,
        "library": library,
        "concept_count": concept_count,
        "protocol": protocol,
        "edition": edition,
    }
    view = read_leaderboard(session, owner.owner_id, **asked)
    return respond(request, view)
