"""A night in a process of its own that kills itself, as -9 does, at the point named on the command line.

At the point "nowhere" it says that it begins, and waits to be killed by others.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import dlt
from dlt.destinations.impl.postgres.postgres import PostgresCsvCopyJob
from dlt.destinations.impl.postgres.sql_client import Psycopg2SqlClient
from dlt.load.load import Load
from dlt.normalize.normalize import Normalize

import extract
from extract import night, pages, spool
from tests.points import die, nth, then_die


def is_users_job(job: PostgresCsvCopyJob) -> bool:
    return job.load_table_name == "users"


POINTS: dict[str, tuple[object, str, Callable]] = {
    "during a page": (pages.Client, "fetch", then_die(pages.Client.fetch, lambda _, table, page: page == 2)),
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
    "landed": (night, "adopt", die),
}


if __name__ == "__main__":
    point, database_url, api_base_url, working_folder = sys.argv[1:]
    if point == "nowhere":
        print("begins", flush=True)
    else:
        owner, name, replacement = POINTS[point]
        setattr(owner, name, replacement)
    extract.run(database_url, api_base_url, working_folder=Path(working_folder), batch_size=3)
