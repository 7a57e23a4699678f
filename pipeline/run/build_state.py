"""Find what a build of the dbt project can leave out, because it would change nothing.

Each build records what it followed from in its step's `figures`. Views that are as the previous build left them stay:
analysts never wait for a view that is replaced by an equal one. If nothing was published or decided since either, dbt
does not even start. Anything that is missing, different or unknown leads to a whole build.
"""

import hashlib
import os
from typing import Any

import psycopg

from pipeline.records import owned_names
from pipeline.run import preparation
from pipeline.run.dbt import PROFILE, PROJECT_FOLDER
from pipeline.settings import PROJECT

# Without audits: they read the whole history, but the cost of a run must follow its changes.
WHOLE_BUILD = ("build", "--exclude-resource-type", "unit_test", "--exclude", "tag:audit")
WITHOUT_VIEWS = (
    *WHOLE_BUILD,
    *("--select", "config.materialized:table", "config.materialized:incremental", "resource_type:test"),
)
# What determines the relations of dbt: its project, and the versions of dbt and of the adapter.
SOURCES = (PROJECT_FOLDER / "dbt_project.yml", PROFILE, PROJECT / "requirements.lock")
FOLDERS = (PROJECT_FOLDER / "models", PROJECT_FOLDER / "macros", PROJECT_FOLDER / "tests")


def read_inputs(connection: psycopg.Connection) -> dict[str, Any]:
    """Return what decides over the rows: the newest publication and decision, and the day in UTC."""
    published_seq, decision_seq, day = connection.execute("""
        select
            (select max(seq) from gate.publications),
            (select max(decision_seq) from gate.decisions),
            (now() at time zone 'UTC')::date
    """).fetchone()
    # the day, because each day more listens are too old to be counted one by one
    return {"published_seq": published_seq, "decision_seq": decision_seq, "day": day.isoformat()}


def read_relations(connection: psycopg.Connection) -> dict[str, str | None]:
    """Return digests of the project's files and of the relations in the warehouse; None if a relation is missing."""
    (relations,) = connection.execute(
        """
        select
            case when bool_and(relations.oid is not null) then
                md5(string_agg(concat_ws(' ', relations.oid, relations.xmin, columns.amount), ',' order by models.name))
            end
        from unnest(%s::text[]) as models (name)
        -- its row in the catalogue has a new xmin after each change of the relation, and of who may read it
        left join pg_class as relations on to_regclass(models.name) = relations.oid
        left join lateral (
            select count(*) as amount from pg_attribute
            where attrelid = relations.oid and attnum > 0 and not attisdropped
        ) as columns on true
        """,
        [list(owned_names.models())],
    ).fetchone()
    return {"project": _project_digest(), "relations": relations}


def choose_build(connection: psycopg.Connection, inputs: dict[str, Any]) -> tuple[str, ...] | None:
    """Return the arguments of the dbt command that is needed, None if a build would change nothing.

    `inputs`: from `read_inputs`.
    """
    previous = _figures_of_previous_build(connection)
    relations = read_relations(connection)
    if relations["relations"] is None or not relations.items() <= previous.items():
        return WHOLE_BUILD
    return None if inputs.items() <= previous.items() else WITHOUT_VIEWS


def _figures_of_previous_build(connection: psycopg.Connection) -> dict[str, Any]:
    """Return the figures of the newest build, empty if there was none, or if it failed or was killed."""
    newest = connection.execute("""
        select steps.status = 'succeeded', steps.figures
        from ops.steps
        inner join ops.runs on steps.run_id = runs.run_id
        where steps.step = 'build' and steps.status <> 'running'
        order by runs.run_seq desc
        limit 1
    """).fetchone()
    has_succeeded, figures = newest or (False, {})
    return figures if has_succeeded else {}


def _project_digest() -> str:
    # a warehouse that was prepared otherwise has another function that normalizes genres
    settings = f"{preparation.fingerprint()} {os.environ.get('DBT_TARGET', '')}\n"
    digest = hashlib.md5(settings.encode(), usedforsecurity=False)
    files = [path for folder in FOLDERS for path in sorted(folder.rglob("*")) if path.is_file()]
    for path in (*SOURCES, *files):
        digest.update(f"{path.relative_to(PROJECT)}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
