"""Describe the models of the lists for the report: the champion, its age, its quality, and the last training."""

import datetime as dt

import psycopg
from psycopg.rows import dict_row

from monitoring.report import ListModel
from recommender import releases, triggers
from warehouse import database

TABLES = ("recommendations.trainings", "recommendations.aliases", "features.track_history", "marts.listen_history")
CHAMPIONS = """
select
    versions.list,
    versions.model_version,
    versions.model,
    versions.trained_at,
    versions.metrics,
    last.outcome,
    last.reason,
    last.finished_at
from recommendations.model_versions as versions
left join lateral (
    select outcome, reason, finished_at
    from recommendations.trainings
    where trainings.list = versions.list and finished_at is not null and outcome <> 'abandoned'
    order by training_id desc
    limit 1
) as last on true
where versions.model_version = any(%s)
order by versions.list desc
"""
LIVE = """
select avg(ndcg)::float8, avg(popularity_ndcg)::float8
from (
    select distinct on (day) ndcg, popularity_ndcg
    from recommendations.quality
    where list = %s and segment = 'all' and model_version = %s and users > 0
    order by day desc, release_id desc
    limit 7
) as newest
"""


def read(connection: psycopg.Connection, now: dt.datetime, every: dt.timedelta, volume: float) -> list[ListModel]:
    """Return the model of each list that has a champion; none if this login may not read about them."""
    if not all(_may_read(connection, name) for name in TABLES):
        return []
    checks = list(triggers.check_triggers(connection, now, every, volume))
    due = [check.detail for check in checks if check.is_due]
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(CHAMPIONS, [list(releases.read_champions(connection).values())]).fetchall()
    return [
        ListModel(
            name=row["list"],
            version=row["model_version"],
            model=row["model"],
            trained_at=row["trained_at"],
            ndcg=row["metrics"].get("ndcg@10"),
            popularity_ndcg=row["metrics"].get("popularity_ndcg@10"),
            live_ndcg=live[0],
            live_popularity_ndcg=live[1],
            last_training=row["finished_at"],
            outcome=row["outcome"],
            reason=row["reason"],
            due=due[0] if due else None,
        )
        for row in rows
        for live in [_live(connection, row["list"], row["model_version"])]
    ]


def _live(connection: psycopg.Connection, list_name: str, version: int) -> tuple[float | None, float | None]:
    if not _may_read(connection, "recommendations.quality"):
        return None, None
    return connection.execute(LIVE, [list_name, version]).fetchone()


def _may_read(connection: psycopg.Connection, relation: str) -> bool:
    return (
        database.has(connection, relation)
        and connection.execute("select has_table_privilege(%s, 'select')", [relation]).fetchone()[0]
    )
