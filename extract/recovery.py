"""What a crashed run left behind, dealt with before tonight's pull and never instead of it."""

import logging
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import dlt
import psycopg
from psycopg import sql

from extract import delivered
from extract.database import connected, lock
from extract.errors import working_folder_explained
from extract.landing import OWN_TABLES, PIPELINE, SCHEMA, adopt, folder_of, identify_rows, load, pipeline_in
from extract.source_tables import SOURCE_TABLES

SPOOL = "spool"
"""Folder of the spooled rows, beside dlt's own working files."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recovery:
    """What was done about an earlier run: `sentence` for the summary, empty when nothing had to be done."""

    sentence: str = ""
    resumed_load_id: str | None = None


def recover(database_url: str, working_folder: Path, *, lands_packed_load: bool = True) -> Recovery:
    """Finishes or forgets what a crashed run left, in the database and in `working_folder`.

    Rows of loads that were never completed are deleted; a load that was packed but not landed is landed, if
    that is wanted and can still be right, and otherwise dropped: the next pull reads everything anyway. Raises
    `LandingFailed` and `WrongSetting`.
    """
    with connected(database_url) as connection:
        lock(connection)
        return recovered(connection, database_url, working_folder, lands_packed_load=lands_packed_load)


def recovered(
    connection: psycopg.Connection, database_url: str, working_folder: Path, *, lands_packed_load: bool = True
) -> Recovery:
    """Like `recover`, on a connection that holds the extraction's lock."""
    folder = folder_of(connection, working_folder)
    identify_rows(connection)  # of tables that an earlier version made; what follows deletes rows
    shutil.rmtree(folder / SPOOL, ignore_errors=True)
    sentences = []
    resumed = None
    with working_folder_explained(working_folder):
        pipeline = None
        if (folder / PIPELINE).exists():
            pipeline = _opened(folder, connection, database_url)
            if pipeline is None:
                sentences.append("dropped the working files of an earlier run, which cannot be read")
        if pipeline and _is_pending(pipeline):
            if lands_packed_load:
                resumed = _resume(pipeline, connection)
            else:
                _drop_packages(pipeline)
            sentences.append(
                "finished the load that an earlier run had left half done"
                if resumed
                else "dropped the load that an earlier run had left half done"
            )
    if deleted := _delete_orphans(connection):
        sentences.append(f"deleted {deleted} rows of loads that were never completed")
    if delivered.exists(connection, "scans"):
        adopt(connection, [table.name for table in SOURCE_TABLES if delivered.exists(connection, table.name)])
    return Recovery(_sentence(sentences), resumed)


def reconciliation(connection: psycopg.Connection, load_id: str) -> str:
    """What the scans of a load say and its tables contradict; empty when they agree."""
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
                f"{table} holds {found[0]} rows and {found[1]} removals, sent were {landed} and {removed}"
            )
    return "; ".join(contradictions)


def withdraw(connection: psycopg.Connection, load_id: str) -> None:
    """Makes a load vanish as if it had never completed."""
    with connection.transaction():
        connection.execute(
            sql.SQL("delete from {} where load_id = %s").format(sql.Identifier(SCHEMA, "_dlt_loads")),
            [load_id],
        )
        _delete_orphans(connection)


def _opened(folder: Path, connection: psycopg.Connection, database_url: str) -> dlt.Pipeline | None:
    """The pipeline as an earlier run left it; None when its working files are damaged, and then they are gone."""
    try:
        pipeline = pipeline_in(folder, connection, database_url)
        _delete_unfinished_packages(pipeline)
        # Opens all files that are opened later, but for those of a package.
        _is_pending(pipeline)
        return pipeline
    except Exception as error:
        _log.warning("the working files cannot be read: %s", type(error).__name__)
        shutil.rmtree(folder / PIPELINE)
        return None


def _is_pending(pipeline: dlt.Pipeline) -> bool:
    """Whether a package is there, in whatever state: dlt's own answer leaves out one that it began to abort."""
    return bool(pipeline.list_extracted_load_packages() or pipeline.list_normalized_load_packages())


def _resume(pipeline: dlt.Pipeline, connection: psycopg.Connection) -> str | None:
    """Lands the pending package once; None when it cannot be landed whole, and then nothing of it is left."""
    load_id = None
    try:
        if pipeline.list_extracted_load_packages():
            pipeline.normalize()
        (pending,) = pipeline.list_normalized_load_packages()
        if _can_be_resumed(pipeline, connection, pending):
            load_id = load(pipeline)
    except Exception as error:
        _log.warning("the pending load cannot be finished: %s", type(error).__name__)
    if load_id and not reconciliation(connection, load_id):
        return load_id
    if load_id:
        withdraw(connection, load_id)
    _drop_packages(pipeline)
    return None


def _can_be_resumed(pipeline: dlt.Pipeline, connection: psycopg.Connection, load_id: str) -> bool:
    """Prepares the tables for the package's jobs that are still to run; False when that is not possible.

    A job that crashed between its commit and dlt's note of it would run into its own rows, so these go
    first. Rows of jobs that are noted as done must stay. A package that is older than a completed load would
    put old versions on top of newer ones.
    """
    if _is_overtaken(connection, load_id):
        return False
    jobs = pipeline.get_load_package_info(load_id).jobs
    # Noted as committed, although dlt was killed before it moved them to the completed ones.
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
    if not delivered.exists(connection, "_dlt_loads"):
        return False
    loads = sql.Identifier(SCHEMA, "_dlt_loads")
    query = sql.SQL("select exists (select from {} where load_id >= %s)").format(loads)
    return connection.execute(query, [load_id]).fetchone()[0]


def _drop_packages(pipeline: dlt.Pipeline) -> None:
    try:
        pipeline.abort_packages()
        # What dlt aborts it keeps, rows and all.
        shutil.rmtree(Path(pipeline.working_dir, "load", "loaded"))
    except Exception as error:
        _log.warning("dlt cannot abort the pending load, its working files go: %s", type(error).__name__)
        shutil.rmtree(pipeline.working_dir)


def _delete_unfinished_packages(pipeline: dlt.Pipeline) -> None:
    """dlt packs rows in folders with random names and forgets those of a run that was killed meanwhile."""
    for folder in Path(pipeline.working_dir, "normalize").glob("*/"):
        if folder.name != "extracted":
            shutil.rmtree(folder)


def _delete_orphans(connection: psycopg.Connection, keep: tuple[str, Iterable[str]] = ("", ())) -> int:
    """Deletes the rows whose load was never completed; of load `keep[0]`, the tables `keep[1]` stay."""
    if not delivered.exists(connection, "_dlt_loads"):
        return 0
    deleted = 0
    for table in (*(table.name for table in SOURCE_TABLES), *OWN_TABLES):
        if delivered.exists(connection, table):
            kept_load = keep[0] if table in keep[1] else ""
            deleted += connection.execute(
                sql.SQL(
                    "delete from {} where _dlt_load_id not in (select load_id from {}) and _dlt_load_id <> %s"
                ).format(sql.Identifier(SCHEMA, table), sql.Identifier(SCHEMA, "_dlt_loads")),
                [kept_load],
            ).rowcount
    return deleted


def _sentence(parts: list[str]) -> str:
    if not parts:
        return ""
    text = " and ".join(parts)
    return f"{text[0].upper()}{text[1:]}."
