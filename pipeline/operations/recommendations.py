"""Make and publish the lists of recommendations, show them, and take a release back."""

from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.console.terminal import StepDisplay, minute
from pipeline.run.preparation import lock_for_writing
from recommender import known_range, releases
from recommender.releases import Release
from warehouse import database, schema
from warehouse.counts import count
from warehouse.database import Warehouse
from warehouse.errors import CommandError, ExitCode

LISTS = {"discover": "tracks the user has not heard", "again": "tracks the user knows"}
ROWS = """
select
    shown.list,
    shown.rank,
    tracks.name,
    tracks.artist,
    shown.reason,
    reason_tracks.name as reason_name,
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


def recommend(
    warehouse: Warehouse,
    output: Console,
    *,
    artist_cap: int,
    budget: float,
    seed: int,
    trains: bool,
    redis_url: str | None = None,
) -> None:
    """Make and publish the lists, unless nothing has changed since the published release; print what was done.

    Raises CommandError: WRONG_SETTINGS before the first build and while the marts are behind, RECOMMENDATIONS_FAILED if
    the lists could not be made.
    """
    with (
        lock_for_writing(warehouse, prepares=False),
        database.translate_database_errors(warehouse),
        warehouse.connect() as work,
    ):
        known = known_range.read(work)
        now, until_seq = known.now, known.until_seq
        kept = None if trains else releases.unchanged(work, now, until_seq, artist_cap, LISTS)
        if kept:
            seen = releases.published(work).release_id
            output.print(
                f"nothing has changed since release {kept.release_id} of {minute(kept.released_at)} UTC;"
                f" readers keep release {seen}",
                soft_wrap=True,
            )
            return
        # a second of imports that an unchanged night does not need
        from recommender import nightly
        from recommender.artefacts import ArtefactError

        try:
            with StepDisplay(output, "", "recommend") as show:
                outcome = nightly.publish(
                    work,
                    now,
                    until_seq,
                    artist_cap=artist_cap,
                    budget=budget,
                    seed=seed,
                    trains=trains,
                    redis_url=redis_url,
                    show=show,
                )
        except (ArtefactError, MemoryError) as error:
            before = releases.published(work)
            kept_text = f"readers keep release {before.release_id}" if before else "there is no earlier release"
            problem, advice = str(error), "a new model is trained with: make recommend ARGS=--train"
            if isinstance(error, MemoryError):
                problem, advice = "the machine has too little memory", "free some, and run again: make recommend"
            raise CommandError(
                ExitCode.RECOMMENDATIONS_FAILED, f"the lists could not be made: {problem}; {kept_text}; {advice}"
            ) from None
    for choice in outcome.choices:
        output.print(f"{choice.list}: {_describe_choice(choice)}", soft_wrap=True)
    _print_summary(outcome.release, output)
    if outcome.cache_problem:
        output.print(
            f"the lists are not in the cache of REDIS_URL, so they are read from Postgres: {outcome.cache_problem}",
            soft_wrap=True,
        )
    if outcome.kept_too_long:
        numbers = ", ".join(map(str, outcome.kept_too_long))
        output.print(f"lists of old releases ({numbers}) are being read; the next release drops them", soft_wrap=True)


def show(connection: psycopg.Connection, output: Console, user_id: int, limit: int) -> None:
    """Print the published lists of a user, with reasons."""
    release = _published(connection)
    rows = connection.execute(ROWS, [user_id]).fetchall()
    if not rows:
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            f"release {release} has no list of user {user_id}, who is unknown, removed, or newer; check USER_ID",
        )
    output.print(f"user {user_id}, release {release} of {minute(rows[0][-1])} UTC")
    for name, question in LISTS.items():
        mine = [row for row in rows if row[0] == name]
        if not mine:
            output.print(f"\n{name}: no list, because no track fits: {question}", soft_wrap=True)
            continue
        title = f"\n{name}: {question}; model version {mine[0][-2]}, {count(len(mine), 'track')}"
        table = _table(title, "rank", "score", left=("track", "artist", "because of", "source"))
        for _, rank, track, artist, reason, reason_name, track_id, score, source, *_ in mine[:limit]:
            because = _describe_reason(reason, reason_name, track_id)
            # names from the API, in which a bracket is no markup
            table.add_row(str(rank), f"{score:.3f}", *(Text(text or "") for text in (track, artist, because)), source)
        output.print(table)


def list_releases(connection: psycopg.Connection, output: Console, limit: int) -> None:
    """Print the newest releases, and which one is published."""
    _published(connection)
    table = _table(
        None, "release", "users", "lists", "seconds", left=("released at (UTC)", "models", "state", "reason", "by")
    )
    for column in table.columns:
        column.no_wrap = column.header != "reason"
    for row in releases.history(connection, limit):
        state = "published" if row["is_published"] else "kept" if row["is_kept"] else "dropped"
        table.add_row(
            str(row["release_id"]),
            f"{row['users']:,}",
            f"{row['lists']:,}",
            f"{row['seconds']:.1f}",
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
    with database.translate_database_errors(warehouse), warehouse.connect() as connection:
        _published(connection)
        former, current = releases.roll_back(connection, reason)
    return (
        f"readers see release {current} again, not {former}; a new release follows with the next publication of rows:"
        " make run, then make recommend"
    )


def _published(connection: psycopg.Connection) -> int:
    """Return the number of the published release. Raises CommandError(WRONG_SETTINGS) if there is none."""
    if not database.has(connection, "recommendations.releases"):
        if database.has(connection, "ops.runs"):
            raise CommandError(ExitCode.WAREHOUSE_UNAVAILABLE, schema.NOT_PREPARED)
        raise CommandError(ExitCode.WRONG_SETTINGS, schema.NOTHING_LOADED)
    if not database.has(connection, "recommendations.current_recommendations"):
        raise CommandError(ExitCode.WRONG_SETTINGS, "nothing is built yet; first run: make run")
    release = releases.published(connection)
    if release is None:
        raise CommandError(ExitCode.WRONG_SETTINGS, "there is no release yet; make one with: make recommend")
    return release.release_id


def _print_summary(release: Release, output: Console) -> None:
    figures = release.figures
    versions = release.model_versions
    table = _table(f"release {release.release_id}", left=("list", "model"), more=("lists", *_SOURCES, "coverage"))
    for name in LISTS:
        each = figures["by_list"][name]
        total = max(1, sum(each["items"].values()))
        shares = [f"{each['items'][source] / total:.0%}" for source in _SOURCES]
        model = f"{each['model']} (version {versions[name]})"
        table.add_row(name, model, f"{each['lists']:,}", *shares, f"{each['coverage']:.0%}")
    output.print(table)
    output.print(
        f"{count(release.lists, 'list')} of {count(release.users, 'user')} published in {release.seconds:.1f} s,"
        f" {count(figures['cold_users'], 'user')} without listens;"
        f" coverage is the share of {count(figures['candidates'], 'track')} in somebody's first 10",
        soft_wrap=True,
    )
    if not release.lists:
        output.print("there are no users or no tracks yet, so there are no lists")
    else:
        output.print("look at one with: make recommendations ARGS='show USER_ID'", soft_wrap=True)


_SOURCES = ("model", "genres", "popular")


def _describe_choice(choice: Any) -> str:
    if choice.outcome == "promoted":
        return choice.reason
    if choice.outcome == "popularity":
        return f"popularity is served: {choice.reason}"
    return f"popularity is served until there is enough data to compare models: {choice.reason}"


def _describe_reason(reason: dict[str, Any], track_name: str | None, track_id: int) -> str:
    if reason["type"] == "genre":
        return f"genre {reason['genre']}"
    if reason["type"] == "popular":
        return "popular"
    return "own listens" if reason["track_id"] == track_id else track_name or f"track {reason['track_id']}"


def _table(title: str | None, *right: str, left: tuple[str, ...] = (), more: tuple[str, ...] = ()) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in right:
        table.add_column(name, justify="right")
    for name in left:
        table.add_column(name)
    for name in more:
        table.add_column(name, justify="right")
    return table
