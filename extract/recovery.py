"""Recover from a crashed run before the extraction of this run, never instead of it."""

import logging
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import dlt
import psycopg
from psycopg import sql

from extract.errors import translate_file_errors
from extract.landing import OWN_TABLES, PIPELINE, SCHEMA, folder_for, load, pipeline_in, unwrap_interrupts
from extract.source_tables import SOURCE_TABLES
from warehouse.counts import count

SPOOL = "spool"
"""Folder of the spooled rows, next to dlt's working files."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recovery:
    """Describe the recovery: `sentence` for the summary, empty when there was nothing to recover."""

    sentence: str = ""
    resumed_load_id: str | None = None


def recover(
    connection: psycopg.Connection, database_url: str, working_folder: Path, *, lands_packed_load: bool = True
) -> Recovery:
    """Complete or drop the unfinished load of a crashed run, in the database and in `working_folder`.

    `connection` holds the extraction's lock. Rows of incomplete loads are deleted. A packed load that has not landed is
    landed, if `lands_packed_load` and it is not outdated; otherwise it is dropped: the next extraction reads everything
    anyway. Raises `LandingError` and `SettingError`.
    """
    folder = folder_for(connection, working_folder)
    shutil.rmtree(folder / SPOOL, ignore_errors=True)
    sentences = []
    resumed = None
    with translate_file_errors(working_folder):
        pipeline = None
        if (folder / PIPELINE).exists():
            pipeline = _open_pipeline(folder, connection, database_url)
            if pipeline is None:
                sentences.append("dropped the unreadable working files of an earlier run")
        if pipeline and _is_pending(pipeline):
            if lands_packed_load:
                resumed = _resume(pipeline, connection)
            else:
                _drop_packages(pipeline)
            sentences.append(
                "completed the unfinished load of an earlier run"
                if resumed
                else "dropped the unfinished load of an earlier run"
            )
    if deleted := _delete_orphans(connection):
        sentences.append(f"deleted {count(deleted, 'row')} of incomplete loads")
    return Recovery(_sentence(sentences), resumed)


def find_contradictions(connection: psycopg.Connection, load_id: str) -> str:
    """Describe where the tables of a load contradict its scans; empty when they agree."""
    contradictions = []
    scans = connection.execute(
        sql.SQL(
            "select table_name, rows_landed, rows_removed from {} where _dlt_load_id = %s order by table_name"
        ).format(sql.Identifier(SCHEMA, "scans")),
        [load_id],
    ).fetchall()
    if not scans:
        contradictions.append("it has no scans")
    for table, landed, removed in scans:
        found = connection.execute(
            sql.SQL(
                "select count(*) filter (where payload is not null), count(*) filter (where payload is null)"
                " from {} where _dlt_load_id = %s"
            ).format(sql.Identifier(SCHEMA, table)),
            [load_id],
        ).fetchone()
        if found != (landed, removed):
            contradictions.append(
                f"{table} holds {count(found[0], 'row')} and {count(found[1], 'removal')},"
                f" sent were {landed:,} and {removed:,}"
            )
    return "; ".join(contradictions)


def withdraw(connection: psycopg.Connection, load_id: str) -> None:
    """Remove a load and its rows, as if it had never completed."""
    with connection.transaction():
        connection.execute(
            sql.SQL("delete from {} where load_id = %s").format(sql.Identifier(SCHEMA, "_dlt_loads")),
            [load_id],
        )
        _delete_orphans(connection)


def _open_pipeline(folder: Path, connection: psycopg.Connection, database_url: str) -> dlt.Pipeline | None:
    """Open the pipeline of an earlier run; if its working files are damaged, delete them and return None."""
    try:
        pipeline = pipeline_in(folder, connection, database_url)
        _delete_unfinished_packages(pipeline)
        # Opens all files that are used later, except those of a package.
        _is_pending(pipeline)
        return pipeline
    except Exception as error:
        _log.warning("the working files cannot be read: %s", type(error).__name__)
        shutil.rmtree(folder / PIPELINE)
        return None


def _is_pending(pipeline: dlt.Pipeline) -> bool:
    """Return True when a package is pending in any state: dlt's own check omits one that it began to abort."""
    return bool(pipeline.list_extracted_load_packages() or pipeline.list_normalized_load_packages())


def _resume(pipeline: dlt.Pipeline, connection: psycopg.Connection) -> str | None:
    """Land the pending package; if it cannot land completely, remove it and return None."""
    load_id = None
    try:
        with unwrap_interrupts():
            if pipeline.list_extracted_load_packages():
                pipeline.normalize()
            (pending,) = pipeline.list_normalized_load_packages()
            if _can_be_resumed(pipeline, connection, pending):
                load_id = load(pipeline)
    except Exception as error:
        _log.warning("the pending load cannot be completed: %s", type(error).__name__)
    if load_id and not find_contradictions(connection, load_id):
        return load_id
    if load_id:
        withdraw(connection, load_id)
    _drop_packages(pipeline)
    return None


def _can_be_resumed(pipeline: dlt.Pipeline, connection: psycopg.Connection, load_id: str) -> bool:
    """Prepare the tables for the package's remaining jobs; False when that is not possible.

    A job that crashed between its commit and dlt's record of it would duplicate its rows, so they are deleted first.
    Rows of jobs recorded as done must stay. A package older than a completed load would put old versions on top of
    newer ones.
    """
    if _is_overtaken(connection, load_id):
        return False
    jobs = pipeline.get_load_package_info(load_id).jobs
    # Recorded as committed, although dlt was killed before it moved them to the completed jobs.
    committed = {
        Path(file).name for file in pipeline.abort_packages(dry_run=True)["package_to_abort"]["committed_jobs"]
    }
    done, to_do = set(), set()
    for state in ("new_jobs", "started_jobs", "completed_jobs"):
        for job in jobs[state]:
            is_done = state == "completed_jobs" or job.job_file_info.file_name() in committed
            (done if is_done else to_do).add(job.job_file_info.table_name)
    if done & to_do or jobs["failed_jobs"]:
        return False
    _delete_orphans(connection, keep=(load_id, done))
    return True


def _is_overtaken(connection: psycopg.Connection, load_id: str) -> bool:
    loads = sql.Identifier(SCHEMA, "_dlt_loads")
    query = sql.SQL("select exists (select from {} where load_id >= %s)").format(loads)
    return connection.execute(query, [load_id]).fetchone()[0]


def _drop_packages(pipeline: dlt.Pipeline) -> None:
    try:
        pipeline.abort_packages()
        # dlt keeps the rows of an aborted package.
        shutil.rmtree(Path(pipeline.working_dir, "load", "loaded"))
    except Exception as error:
        _log.warning("dlt cannot abort the pending load; its working files are deleted: %s", type(error).__name__)
        shutil.rmtree(pipeline.working_dir)


def _delete_unfinished_packages(pipeline: dlt.Pipeline) -> None:
    """Delete the folders of killed runs: dlt packs rows in folders with random names and does not clean them up."""
    for folder in Path(pipeline.working_dir, "normalize").glob("*/"):
        if folder.name != "extracted":
            shutil.rmtree(folder)


def _delete_orphans(connection: psycopg.Connection, keep: tuple[str, Iterable[str]] = ("", ())) -> int:
    """Delete the rows of incomplete loads; of load `keep[0]`, the tables `keep[1]` stay."""
    deleted = 0
    for table in (*(table.name for table in SOURCE_TABLES), *OWN_TABLES):
        kept_load = keep[0] if table in keep[1] else ""
        deleted += connection.execute(
            sql.SQL("delete from {} where _dlt_load_id not in (select load_id from {}) and _dlt_load_id <> %s").format(
                sql.Identifier(SCHEMA, table), sql.Identifier(SCHEMA, "_dlt_loads")
            ),
            [kept_load],
        ).rowcount
    return deleted


def _sentence(parts: list[str]) -> str:
    if not parts:
        return ""
    text = " and ".join(parts)
    return f"{text[0].upper()}{text[1:]}."
