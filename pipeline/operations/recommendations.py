"""Show the published lists of recommendations, and take a release back."""

from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.console.terminal import minute
from recommender import releases
from warehouse import database, schema
from warehouse.counts import count
from warehouse.database import Warehouse
from warehouse.errors import CommandError, ExitCode

QUESTIONS = {"discover": "the user has not heard", "again": "the user knows"}
ROWS = """
select
    shown.list,
    shown.rank,
    tracks.name,
    tracks.artist,
    shown.reason,
    reason_tracks.name as reason_name,
    reason_tracks.artist as reason_artist,
    shown.track_id,
    shown.score,
    shown.source,
    shown.model_version,
    shown.released_at
from recommendations.current_recommendations as shown
inner join marts.tracks as tracks on shown.track_id = tracks.id
left join marts.tracks as reason_tracks on (shown.reason ->> 'track_id')::bigint = reason_tracks.id
where shown.user_id = %s
order by shown.rank
"""


def show(connection: psycopg.Connection, output: Console, user_id: int, limit: int) -> None:
    """Print the published lists of a user, with reasons."""
    release = _published_release(connection)
    rows = connection.execute(ROWS, [user_id]).fetchall()
    if not rows:
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            f"release {release} has no list of user {user_id}, who is unknown, removed, or newer; check USER_ID",
        )
    output.print(f"user {user_id}, release {release} of {minute(rows[0][-1])} UTC")
    for name, question in QUESTIONS.items():
        mine = [row for row in rows if row[0] == name]
        if not mine:
            output.print(f"\n{name}: no list, because there is no track that {question}", soft_wrap=True)
            continue
        # not the title of the table, which would wrap at its width
        output.print(f"\n{name}: {count(len(mine), 'track')} that {question}, by model version {mine[0][-2]}")
        table = _table("rank", "score", left=("track", "artist", "because of", "source"))
        for _, rank, track, artist, reason, reason_name, reason_artist, track_id, score, source, *_ in mine[:limit]:
            because = _describe_reason(reason, reason_name, reason_artist, track_id)
            # names from the API, in which a bracket is no markup
            table.add_row(str(rank), f"{score:.3f}", *(Text(text or "") for text in (track, artist, because)), source)
        output.print(table)


def list_releases(connection: psycopg.Connection, output: Console, limit: int) -> None:
    """Print the newest releases, and which one is published."""
    _published_release(connection)
    table = _table("release", "users", "lists", left=("released at (UTC)", "models", "state", "reason", "by"))
    for column in table.columns:
        column.no_wrap = column.header != "reason"
    for row in releases.read_history(connection, limit):
        state = "published" if row["is_published"] else "kept" if row["is_kept"] else "dropped"
        table.add_row(
            str(row["release_id"]),
            f"{row['users']:,}",
            f"{row['lists']:,}",
            minute(row["released_at"]),
            ", ".join(f"{name} v{number}" for name, number in sorted(row["model_versions"].items())),
            state,
            Text(row["reason"]),
            Text(row["decided_by"]),
        )
    output.print(table)


def roll_back(warehouse: Warehouse, reason: str) -> str:
    """Publish the release before the published one again, and return what was done, as one line.

    Needs no run lock: readers of a bad release must not wait for the end of a run.
    """
    with database.translate_database_errors(warehouse), warehouse.at_work("recommend").connect() as connection:
        _published_release(connection)
        former, current = releases.roll_back(connection, reason)
    return (
        f"readers see release {current} again, not {former}; a new release follows with the next"
        " publication of rows: make run"
    )


def _published_release(connection: psycopg.Connection) -> int:
    """Return the number of the published release. Raises CommandError(WRONG_SETTINGS) if there is none."""
    if not database.has(connection, "recommendations.releases"):
        if database.has(connection, "ops.runs"):
            raise CommandError(ExitCode.WAREHOUSE_UNAVAILABLE, schema.NOT_PREPARED)
        raise CommandError(ExitCode.WRONG_SETTINGS, schema.NOTHING_LOADED)
    if not database.has(connection, "recommendations.current_recommendations"):
        raise CommandError(ExitCode.WRONG_SETTINGS, "nothing is built yet; first run: make run")
    release = releases.read_published(connection)
    if release is None:
        raise CommandError(ExitCode.WRONG_SETTINGS, "there is no release yet; make one with: make recommend")
    return release.release_id


def _describe_reason(reason: dict[str, Any], track: str | None, artist: str | None, track_id: int) -> str:
    if reason["type"] == "genre":
        return f"genre {reason['genre']}"
    if reason["type"] == "popular":
        return "popular"
    if reason["track_id"] == track_id:
        return "own listens"
    return " by ".join(filter(None, (track or f"track {reason['track_id']}", artist)))


def _table(*right: str, left: tuple[str, ...] = ()) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in right:
        table.add_column(name, justify="right")
    for name in left:
        table.add_column(name)
    return table
