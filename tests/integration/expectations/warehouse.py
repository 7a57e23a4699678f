"""Land loads in a real warehouse, and read the results of the gate."""

import datetime as dt
import itertools
import json
from typing import Any

import psycopg

from expectations.gate import Verdict, check_pending
from extract.rows import read_row
from extract.source_tables import SOURCE_TABLES

KEY_FIELDS = {table.name: table.key for table in SOURCE_TABLES}
SCANNED_AT = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
# Value of a field that is absent from the row.
ABSENT = object()

Row = dict[str, Any]
_numbers = itertools.count(1)


def user(user_id: object = 1, **changes: object) -> Row:
    """Return a user that fails no rule."""
    return _changed(
        {
            "id": user_id,
            "first_name": "Ada",
            "last_name": "Brown",
            "email": "ada@example.org",
            "gender": "Female",
            "favorite_genres": "Rock",
            "created_at": "2026-01-01T10:00:00.000001",
            "updated_at": "2026-01-02T10:00:00",
        },
        changes,
    )


def track(track_id: object = 1, **changes: object) -> Row:
    """Return a track that fails no rule."""
    return _changed(
        {
            "id": track_id,
            "name": "Song",
            "artist": "Band",
            "songwriters": "Writer",
            "duration": "04:42",
            "genres": "Rock, Pop",
            "album": "Album",
            "created_at": "2026-01-01T10:00:00",
            "updated_at": "2026-01-02T10:00:00",
        },
        changes,
    )


def document(user_id: object = 1, **changes: object) -> Row:
    """Return a history document that fails no rule, if user 1 and track 1 have landed."""
    return _changed(
        {
            "user_id": user_id,
            "items": [1, 1],
            "created_at": "2026-01-05T10:00:00.123456",
            "updated_at": "2026-02-01T10:00:00",
        },
        changes,
    )


def _changed(row: Row, changes: Row) -> Row:
    return {name: value for name, value in {**row, **changes}.items() if value is not ABSENT}


class Warehouse:
    """Wrap a database copied from `prepared_template`: land loads, run the gate, read its results."""

    def __init__(self, url: str, connection: psycopg.Connection) -> None:
        self.url = url
        self.connection = connection
        self._numbers = itertools.count(1)

    def land(
        self,
        tables: dict[str, list[Row | str]],
        *,
        removed: dict[str, list[str]] | None = None,
        is_complete: bool = True,
        **figures: object,
    ) -> str:
        """Land one load of rows (dicts or JSON texts), and return its id.

        The scan of each table says that there were 1,000 more rows, all of them known. `figures` are columns of the
        scans to say something else; what follows from them follows.
        """
        load_id = f"load {next(self._numbers):04}"
        for table, rows in tables.items():
            gone = (removed or {}).get(table, [])
            self._land_rows(load_id, table, rows, gone)
            self._land_scan(load_id, table, len(rows), len(gone), figures)
        if is_complete:
            self.complete(load_id)
        return load_id

    def complete(self, load_id: str) -> None:
        """Record the load in dlt's ledger."""
        self.execute("insert into staging._dlt_loads values (%s, 'moovitamix', 0, now(), '')", load_id)

    @staticmethod
    def key(table: str, row: Row | str) -> str:
        """Return the key under which the row lands."""
        text = row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)
        return read_row(text.encode(), KEY_FIELDS[table]).key

    def _land_rows(self, load_id: str, table: str, rows: list[Row | str], gone: list[str]) -> None:
        with self.connection.cursor() as cursor:
            copying = f"copy staging.{table} (key, payload, content_hash, _dlt_load_id, _dlt_id) from stdin"
            with cursor.copy(copying) as copy:
                for row in rows:
                    text = row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)
                    read = read_row(text.encode(), KEY_FIELDS[table])
                    assert read.reason is None, f"{text} could not land: {read.reason}"
                    copy.write_row((read.key, read.text, read.content_digest.hex(), load_id, f"row {next(_numbers)}"))
                for key in gone:
                    copy.write_row((key, None, "removed", load_id, f"row {next(_numbers)}"))

    def _land_scan(self, load_id: str, table: str, landed: int, removed: int, figures: dict[str, object]) -> None:
        scan = {"rows_landed": landed, "rows_removed": removed, "rows_unreadable": 0, "keys_known": 1000, **figures}
        scan.setdefault("rows_read", scan["rows_landed"] + scan["rows_unreadable"] + 1000)
        scan.setdefault("total", scan["rows_read"])
        scan.setdefault("rows_unchanged", scan["rows_read"] - scan["rows_landed"] - scan["rows_unreadable"])
        scan = {
            "table_name": table,
            "passes": 1,
            "started_at": SCANNED_AT - dt.timedelta(minutes=5),
            "finished_at": SCANNED_AT,
            "_dlt_load_id": load_id,
            "_dlt_id": f"scan {next(_numbers)}",
            **scan,
        }
        places = ", ".join(["%s"] * len(scan))
        self.execute(f"insert into staging.scans ({', '.join(scan)}) values ({places})", *scan.values())

    def check(self) -> dict[str, Verdict]:
        """Run the gate, and return the verdicts by table. For tests in which no table is checked twice."""
        return {verdict.batch.table: verdict for verdict in check_pending(self.url)}

    def execute(self, query: str, *values: object) -> psycopg.Cursor:
        return self.connection.execute(query, values or None)

    def rows(self, query: str, *values: object) -> list[tuple]:
        return self.execute(query, *values).fetchall()

    def states(self, table: str = "users") -> list[str]:
        """Return the states of the table's loads, oldest first."""
        rows = self.rows("select state from gate.loads where table_name = %s order by load_id", table)
        return [state for (state,) in rows]

    def published(self, table: str = "users") -> list[str]:
        """Return the keys of the published versions, sorted."""
        return [
            key
            for (key,) in self.rows(
                f"""
                select staged.key
                from staging.{table} as staged
                inner join gate.loads on staged._dlt_load_id = loads.load_id and loads.table_name = %s
                where
                    loads.state in ('accepted', 'accepted_with_quarantine', 'released')
                    and staged._dlt_id not in (
                        select dlt_id from gate.quarantined_rows where outcome is distinct from 'freed'
                    )
                order by 1
                """,
                table,
            )
        ]

    def quarantined(self, table: str = "users") -> list[tuple[str, str]]:
        """Return (key, rule) of all quarantined rows, open and closed, sorted."""
        return self.rows("select key, rule from gate.quarantined_rows where table_name = %s order by 1, 2", table)
