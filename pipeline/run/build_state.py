"""Choose how much of the dbt project a build needs.

Each build records its inputs and its relations in the `figures` of its step. If both are equal before the next build,
dbt does not start. If only rows changed, unchanged views are left out: comparing them takes dbt a second. Anything
missing, different or unknown leads to a whole build. See docs/decisions/2026-11-29-builds-without-changes.md.
"""

import hashlib
import os
from typing import Any

import psycopg

from pipeline.records import owned_names
from pipeline.run.dbt import PROFILE, PROJECT_FOLDER
from pipeline.run.preparation import digest_files
from pipeline.settings import PROJECT

# Without audits: they read the whole history, but the cost of a run must follow its changes.
WHOLE_BUILD = ("build", "--exclude-resource-type", "unit_test", "--exclude", "tag:audit")
BUILD_WITHOUT_VIEWS = (
    *WHOLE_BUILD,
    *("--select", "config.materialized:table", "config.materialized:incremental", "resource_type:test"),
)
# All that determines the relations of dbt: its project, and the versions of dbt and of the adapter.
FILES = (PROJECT_FOLDER / "dbt_project.yml", PROFILE, PROJECT / "requirements.lock")
FOLDERS = (PROJECT_FOLDER / "models", PROJECT_FOLDER / "macros", PROJECT_FOLDER / "tests")
# Inputs that change rows, but no view.
ROW_INPUTS = ("published_seq", "decision_seq", "day")


def read_inputs(connection: psycopg.Connection) -> dict[str, Any]:
    """Return the inputs of a build that starts now: ROW_INPUTS, the newest preparation, and a digest of the project."""
    published_seq, decision_seq, day, preparation_seq = connection.execute("""
        select
            (select max(seq) from gate.publications),
            (select max(decision_seq) from gate.decisions),
            -- each day, more listens are too old to be counted one by one
            (now() at time zone 'UTC')::date::text,
            -- migrations, typed views, the function that normalizes genres
            (select max(preparation_seq) from ops.preparations)
    """).fetchone()
    return {
        "published_seq": published_seq,
        "decision_seq": decision_seq,
        "day": day,
        "preparation_seq": preparation_seq,
        "project": digest_project(),
    }


def read_relations(connection: psycopg.Connection) -> str | None:
    """Return a digest of the relations of dbt, and of the state that builds keep; None if a relation is missing.

    A relation that is created again, altered or granted changes the digest, as do other columns; writing rows does not.
    """
    (relations,) = connection.execute(
        """
        select
            case when bool_and(relations.oid is not null) then
                string_agg(concat_ws(' ', relations.oid, relations.xmin, columns.names), ',' order by models.name)
            end
        from unnest(%s::text[]) as models (name)
        left join pg_class as relations on to_regclass(models.name) = relations.oid
        left join lateral (
            select string_agg(concat_ws(' ', attname, atttypid, atttypmod), ' ' order by attnum) as names
            from pg_attribute
            where attrelid = relations.oid and attnum > 0 and not attisdropped
        ) as columns on true
        """,
        [list(owned_names.models())],
    ).fetchone()
    (builds,) = connection.execute("""
        select
            string_agg(concat_ws(' ', model, seq, fingerprint, extract(epoch from totals_until)), ',' order by model)
        from prep.builds
    """).fetchone()
    return relations and hashlib.md5(f"{relations};{builds}".encode(), usedforsecurity=False).hexdigest()


def choose_build(connection: psycopg.Connection, inputs: dict[str, Any]) -> tuple[str, ...] | None:
    """Return the arguments of the dbt command that is needed; None if a build would change nothing.

    `inputs`: from `read_inputs`.
    """
    previous = _figures_of_previous_build(connection)
    relations = read_relations(connection)
    changed = {name for name, value in inputs.items() if (name, value) not in previous.items()}
    if relations is None or previous.get("relations") != relations or not changed <= set(ROW_INPUTS):
        return WHOLE_BUILD
    return BUILD_WITHOUT_VIEWS if changed else None


def digest_project() -> str:
    """Return a digest of the dbt target, and of the files that determine the relations."""
    in_folders = (path for folder in FOLDERS for path in sorted(folder.rglob("*")) if path.is_file())
    return digest_files((*FILES, *in_folders), os.environ.get("DBT_TARGET", ""))


def _figures_of_previous_build(connection: psycopg.Connection) -> dict[str, Any]:
    """Return the figures of the newest build, empty if there was none, or if it failed or was killed.

    The step of this build is 'running'. That of a killed one is not any more: the start of a run has ended it.
    """
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
