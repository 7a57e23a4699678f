"""Run an extraction that kills itself with SIGKILL at a named point."""

from collections.abc import Callable
from pathlib import Path

import dlt
from dlt.destinations.impl.postgres.postgres import PostgresCsvCopyJob
from dlt.destinations.impl.postgres.sql_client import Psycopg2SqlClient
from dlt.load.load import Load
from dlt.normalize.normalize import Normalize

from extract import extraction, pages, recovery, spool
from tests.call_hooks import die, nth, then_die

NOWHERE = "nowhere"


def is_users_job(job: PostgresCsvCopyJob) -> bool:
    return job.load_table_name == "users"


POINTS: dict[str, tuple[object, str, Callable]] = {
    "during a page": (pages.Client, "fetch", then_die(pages.Client.fetch, lambda _, table, page, size: page == 2)),
    "while packing": (spool.Spool, "batches", die),
    "packed": (dlt.Pipeline, "normalize", die),
    "while normalizing": (Normalize, "spool_files", die),
    "normalized": (dlt.Pipeline, "load", die),
    "before the copy": (PostgresCsvCopyJob, "run", die),
    "before the first commit": (Psycopg2SqlClient, "commit_transaction", die),
    "after one copy": (PostgresCsvCopyJob, "run", then_die(PostgresCsvCopyJob.run, is_users_job)),
    "after the second commit": (
        Psycopg2SqlClient,
        "commit_transaction",
        then_die(Psycopg2SqlClient.commit_transaction, nth(2)),
    ),
    "all copied": (Load, "complete_package", die),
    "completed": (Load, "complete_package", then_die(Load.complete_package)),
    "landed": (recovery, "find_contradictions", die),
}


def run(point: str, database_url: str, api_base_url: str, working_folder: Path) -> None:
    """Run an extraction that dies at the point, or completes at NOWHERE."""
    if point != NOWHERE:
        owner, name, replacement = POINTS[point]
        setattr(owner, name, replacement)
    extraction.run(database_url, api_base_url, working_folder=working_folder, batch_size=3)
