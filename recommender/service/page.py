"""Serve a page to try the service, and what only the page needs. They exist on loopback only."""

from pathlib import Path as FilePath
from typing import Annotated, Any

import msgspec
import numpy as np
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import FileResponse, Response
from pydantic import Field

from recommender.service import contract
from recommender.service.routes import PROBLEMS, UserId, get_reads, get_state
from recommender.service.settings import ServiceSettings, is_loopback
from recommender.service.warehouse_reads import WarehouseReads

FILES = FilePath(__file__).parent / "page_files"
MEDIA_TYPES = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
# Everything from this server, nothing from elsewhere, and no code in the page itself.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
# A page of another site could let its name resolve to this machine: its name is in the Host header then.
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
# A proxy on this machine is no visitor of this machine.
FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
TOP_TRACKS, TOP_GENRES, WEEKS = 8, 6, 12
EXAMPLES, DRAWN = 6, 200
MOST_FOUND, MOST_NAMES = 12, 200
QUALITY_DAYS = 14

LISTENS = """
with
listens as (
    select track_id, listened_at from marts.listen_history where user_id = $1 and listened_at <= now()
),
tracks as (
    select track_id, count(*) as listens, max(listened_at) as last_listened_at from listens group by track_id
),
newest as (select date_trunc('week', now() at time zone 'UTC') as week)
select
    (select count(*) from listens) as listens,
    (select count(*) from tracks) as distinct_tracks,
    (select max(listened_at) from listens) as last_listened_at,
    (select json_agg(top) from (
        select tracks.track_id, named.name, named.artist, tracks.listens
        from tracks inner join marts.tracks as named on tracks.track_id = named.id
        order by tracks.listens desc, tracks.last_listened_at desc, tracks.track_id limit $2
    ) as top)::text as tracks,
    (select json_agg(top) from (
        select track_genres.genre, sum(tracks.listens)::bigint as listens
        from tracks inner join marts.track_genres using (track_id)
        group by track_genres.genre order by 2 desc, 1 limit $3
    ) as top)::text as genres,
    (select json_agg(weeks) from (
        select (newest.week - ago * interval '7 days')::date as starts_on, count(listens.listened_at) as listens
        from newest cross join generate_series($4::integer - 1, 0, -1) as ago
        left join listens
            on date_trunc('week', listens.listened_at at time zone 'UTC') = newest.week - ago * interval '7 days'
        group by 1 order by 1
    ) as weeks)::text as weeks
"""
# Materialized: left joined to the ids, Citus would move all listens to the coordinator.
EXAMPLE_USERS = """
with counts as materialized (
    select user_id, count(*) as listens from marts.listen_history where user_id = any($1::bigint[]) group by user_id
)
select ids.user_id, coalesce(counts.listens, 0) as listens
from unnest($1::bigint[]) as ids (user_id)
left join counts on ids.user_id = counts.user_id
order by 2 desc, 1
"""
NAMES = """
select tracks.id as track_id, tracks.name, tracks.artist
from marts.tracks as tracks where tracks.id = any($1::bigint[])
"""
SEARCH = """
select id as track_id, name, artist
from marts.tracks
where deleted_at is null and (name ilike $1 or artist ilike $1)
order by name ilike $2 desc, length(name), name, id
limit $3
"""
MODELS = """
select model_version, list, model, trained_at, metrics::text
from recommendations.model_versions where model_version = any($1::bigint[])
"""
HAS_QUALITY = "select to_regclass('recommendations.quality') is not null as has_quality"
QUALITY = """
select
    list, day, users, plays, recommended_plays, hit_rate, popularity_hit_rate, ndcg, popularity_ndcg, model_version
from recommendations.quality
where segment = 'all' and day >= current_date - $1::integer
order by list, day, release_id
"""


def _check_is_local(request: Request) -> None:
    """Raise HTTPException(404) unless the service and the visitor are on this machine."""
    settings: ServiceSettings = request.app.state.settings
    name = request.headers.get("host", "").rsplit(":", 1)[0]
    is_local = (
        settings.is_loopback
        and request.client is not None
        and is_loopback(request.client.host)
        and name in LOCAL_NAMES
        and not any(header in request.headers for header in FORWARDED)
    )
    if not is_local:
        raise HTTPException(404, "Not Found")


router = APIRouter(dependencies=[Depends(_check_is_local)])


@router.get("/", include_in_schema=False)
async def show_page() -> FileResponse:
    return FileResponse(FILES / "index.html", headers={"Content-Security-Policy": POLICY})


@router.get("/page/{name}.{kind}", include_in_schema=False)
async def show_file(name: str, kind: str) -> FileResponse:
    file = f"{name}.{kind}"
    if file not in MEDIA_TYPES:
        raise HTTPException(404, "Not Found")
    return FileResponse(FILES / file, media_type=MEDIA_TYPES[file], headers={"Cache-Control": "no-cache"})


@router.get(
    "/users/{user_id}/listens",
    response_model=contract.Listens,
    responses={**PROBLEMS, 404: {"model": contract.Problem, "description": "Only on loopback; or no such user."}},
    tags=["page"],
)
async def show_listens(request: Request, user_id: UserId) -> Response:
    """Return what a user listened to: top tracks and genres, and the listens of the last weeks."""
    if not get_state(request).has_user(user_id):
        raise HTTPException(404, f"there is no user {user_id}")
    row = await get_reads(request).read_row(LISTENS, user_id, TOP_TRACKS, TOP_GENRES, WEEKS)
    content = contract.Listens(
        user_id=user_id,
        listens=row["listens"],
        distinct_tracks=row["distinct_tracks"],
        last_listened_at=row["last_listened_at"],
        **{name: _parse_json(row[name]) for name in ("tracks", "genres", "weeks")},
    )
    return Response(content.model_dump_json(), media_type="application/json")


@router.get("/page/users", include_in_schema=False)
async def show_examples(request: Request) -> list[dict[str, Any]]:
    """Return some users to begin with, from many listens to none."""
    state = get_state(request)
    ids = state.users.ids
    drawn = np.random.default_rng(state.release.release_id).permutation(ids)[:DRAWN].tolist()
    rows = await get_reads(request).read_rows(EXAMPLE_USERS, drawn)
    places = np.unique(np.linspace(0, len(rows) - 1, EXAMPLES).astype(int)) if rows else []
    return [dict(rows[place]) for place in places]


@router.get("/page/tracks", include_in_schema=False)
async def show_names(
    request: Request,
    ids: Annotated[
        list[Annotated[int, Field(ge=-contract.LARGEST_ID, le=contract.LARGEST_ID)]], Query(max_length=MOST_NAMES)
    ],
) -> list[dict[str, Any]]:
    """Return name and artist of tracks."""
    return [dict(row) for row in await get_reads(request).read_rows(NAMES, ids)]


@router.get("/page/search", include_in_schema=False)
async def search_tracks(
    request: Request, text: Annotated[str, Query(min_length=1, max_length=100)]
) -> list[dict[str, Any]]:
    """Return tracks whose name or artist contains the text, and tracks whose name begins with it first."""
    escaped = text.replace("\0", "").replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    rows = await get_reads(request).read_rows(SEARCH, f"%{escaped}%", f"{escaped}%", MOST_FOUND)
    return [dict(row) for row in rows]


@router.get("/page/release", include_in_schema=False)
async def show_release(request: Request) -> dict[str, Any]:
    """Return the published release, its models, and how released lists did."""
    release, reads = get_state(request).release, get_reads(request)
    models = await reads.read_rows(MODELS, list(release.model_versions.values()))
    return {
        "release_id": release.release_id,
        "released_at": release.released_at,
        "users": release.users,
        "lists": release.lists,
        "models": [{**row, "metrics": _parse_json(row["metrics"])} for row in models],
        "quality": await _quality(reads),
    }


async def _quality(reads: WarehouseReads) -> list[dict[str, Any]]:
    if not (await reads.read_row(HAS_QUALITY))["has_quality"]:
        return []
    return [dict(row) for row in await reads.read_rows(QUALITY, QUALITY_DAYS)]


def _parse_json(text: str | None) -> Any:
    return msgspec.json.decode(text) if text else []
