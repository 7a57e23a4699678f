"""Read the newest releases of recommendation lists and how they did, for the report. No row is about a person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from warehouse.names import ITEM_SOURCES, LISTS

DAYS_SHOWN = 30
RELEASES_SHOWN = 7
TRAININGS_SHOWN = 6
TABLES = tuple(f"recommendations.{name}" for name in ("releases", "release_history", "quality", "trainings", "aliases"))

MAY_READ = """
select coalesce(bool_and(to_regclass(name) is not null and has_table_privilege(name, 'select')), false) as may_read
from unnest(%s::text[]) as tables (name)
"""
RELEASES = """
select
    release_id, released_at, users, model_versions, figures,
    release_id = (select release_id from recommendations.release_history order by history_seq desc limit 1)
        as is_published
from recommendations.releases
order by release_id desc
limit %s
"""
CHAMPIONS = """
select distinct on (aliases.list) aliases.list, model_versions.model, model_version, decided_at, reason
from recommendations.aliases
inner join recommendations.model_versions using (model_version)
where alias = 'champion'
order by aliases.list desc, alias_seq desc
"""
TRAININGS = """
select list, trigger, outcome, reason, finished_at
from recommendations.trainings
order by training_id desc
limit %s
"""
# Where users saw two releases on a day, the one that more of them saw.
QUALITY = """
select distinct on (list, day)
    list, day, release_id, users, ndcg, popularity_ndcg, hit_rate, popularity_hit_rate,
    popularity_ndcg + ndcg_difference_low as low,
    popularity_ndcg + ndcg_difference_high as high,
    recommended_plays::float8 / plays as played
from recommendations.quality
where segment = 'all' and day > (select max(day) from recommendations.quality) - %s
order by list, day, users desc, release_id
"""


@dataclass(frozen=True)
class Recommendations:
    """Hold the newest releases, champions and trainings, newest first, and by list how it did on each day.

    `quality`: the bounds `low` and `high` of the difference to popularity are added to `popularity_ndcg`.
    """

    releases: Sequence[Mapping[str, Any]]
    champions: Sequence[Mapping[str, Any]]
    trainings: Sequence[Mapping[str, Any]]
    quality: Mapping[str, Sequence[Mapping[str, Any]]]


def read(connection: psycopg.Connection) -> Recommendations | None:
    """Return the state of the recommendations; None without a release, or where this login may not read them."""
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute("set transaction isolation level repeatable read, read only")
        if not cursor.execute(MAY_READ, [list(TABLES)]).fetchone()["may_read"]:
            return None
        releases = cursor.execute(RELEASES, [RELEASES_SHOWN]).fetchall()
        if not releases:
            return None
        days = cursor.execute(QUALITY, [DAYS_SHOWN]).fetchall()
        return Recommendations(
            releases,
            cursor.execute(CHAMPIONS).fetchall(),
            cursor.execute(TRAININGS, [TRAININGS_SHOWN]).fetchall(),
            {name: [row for row in days if row["list"] == name] for name in LISTS},
        )


def shares(figures: Mapping[str, Any]) -> dict[str, float]:
    """Return by source its share of the items of a list, from the figures of a release."""
    total = max(1, sum(figures["items"].values()))
    return {source: figures["items"][source] / total for source in ITEM_SOURCES}
