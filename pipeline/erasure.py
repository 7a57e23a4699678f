"""`erase`: all that the warehouse holds of a user goes, and the next nights do not bring it back."""

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from rich.console import Console

import extract
from expectations import judged, ledger
from extract.database import lock
from extract.recovery import recovered
from pipeline import erasure_key, runs, warehouse
from pipeline.deletion import identifier, per_load, show_counts, vacuum
from pipeline.exits import Exit, Stop
from pipeline.night import extraction_explained
from pipeline.settings import Settings
from pipeline.warehouse import Warehouse
from warehouse.text import normalize

TABLES = {table.name: table for table in extract.SOURCE_TABLES if table.person}
UNREADABLE = "staging.unreadable_rows"
QUARANTINE = "gate.quarantined_rows"
LOADS = "gate.loads"
# In this order: with a user go the listens, uncounted.
BUILT = {
    "prep.int_touched_users": "id",
    "prep.int_touched_documents": "user_id",  # of an older version; no build makes or empties it any more
    "prep.int_document_versions": "user_id",
    "prep.int_listens": "user_id",
    "prep.int_present_listens": "user_id",
    "prep.int_vanished_listens": "user_id",
    "prep.int_late_listens": "user_id",
    "prep.int_recounted_users": "user_id",
    "prep.respelled_documents": "user_id",
    "prep.parked_listens": "user_id",
    "prep.user_genre_totals": "user_id",
    "prep.user_totals": "user_id",
    "marts.listen_history": "user_id",
    "marts.users": "id",
}
LARGEST_BIGINT = 2**63 - 1
ROWS_AT_A_TIME = 5_000
BLANK = "(blanked: it told of a user who was erased)"
RUNBOOK = "docs/runbooks/erasure-request.md"


@dataclass(frozen=True)
class Traces:
    """What the warehouse holds of a user. `names` cover the user and nobody else."""

    person: str
    names: extract.Erasures
    aliases: tuple[str, ...]
    profiles: tuple[tuple[str | None, str | None, str | None], ...]
    """(e-mail, first name, last name) of all versions."""
    rows: dict[str, tuple[str, list[Any]]]
    """Per relation that is there: a column, and its values in the rows of the user."""
    counts: dict[str, int]
    loads: tuple[tuple[str, str], ...]
    """(load id, table) of those that are in their state for a reason that tells who the user is."""
    decisions: tuple[int, ...]
    """The numbers of the decisions whose reason or details do."""

    @property
    def tombstone(self) -> str:
        return extract.tombstone(self.names.key, self.person)


def erase(settings: Settings, place: Warehouse, user_id: str, reason: str, output: Console, *, is_dry_run: bool) -> str:
    """Erase the user; returns what to do next.

    Raises Stop: WRONG_SETTINGS for a user whom nobody knows, a reason that tells who it is, a key that is missing or
    not the one of before, and while a load waits for the gate, which would find rows of it missing.
    """
    person = extract.canonical(user_id)
    if person is None:
        raise Stop(Exit.WRONG_SETTINGS, "USER_ID is empty; give the id as the API sends it")
    with (
        runs.run_lock(place) as connection,
        warehouse.failures_explained(place),
        # a connection of the run's name: the next run ends what a killed one leaves of it
        place.connect() as work,
    ):
        with extraction_explained(place):
            lock(work)  # a pull that runs alone could land what it has read before
        with work.transaction(force_rollback=True) if is_dry_run else contextlib.nullcontext():
            runs.prepare(work)
            traces = _traces(work, erasure_key.key_to_erase_with(settings, work), person)
            was_erased = traces.tombstone in ledger.erasures(work)
            _check(work, traces, was_erased, reason)
            title = "rows of a user who was erased before" if was_erased else "rows of this user"
            show_counts(title, {"rows": traces.counts}, output)
            _show_reasons(traces, output)
            if is_dry_run:
                _delete(work, traces)
                return "nothing was changed; the same command without --dry-run makes these rows go for good"
        with runs.recorded(place, connection, "erase") as figures:
            with extraction_explained(place):
                recovery = recovered(work, place.conninfo, settings.dlt_folder, lands_packed_load=False)
            if recovery.sentence:
                output.print(f"recovered: {recovery.sentence}", soft_wrap=True)
            erasure_key.keep(settings, traces.names.key)
            with work.transaction():
                per_table = {name: _per_load(work, traces, name) for name in TABLES}
                gone = _delete(work, traces)
                _blank_reasons(work, traces)
                if gone or traces.loads or not was_erased:
                    _record(work, traces, reason, {"deleted": gone, "rows": per_table})
            figures |= gone
            vacuum(work, (*(f"staging.{name}" for name in TABLES), UNREADABLE, QUARANTINE, LOADS, *BUILT), output)
    told = ", ".join(f"{rows:,} of {relation}" for relation, rows in gone.items()) or "nothing"
    output.print(f"gone: {told}", soft_wrap=True)
    key_needed = "needs this ERASURE_KEY and " if settings.erasure_key else ""
    to_blank = f"blank the decisions above, see {RUNBOOK}; " if traces.decisions else ""
    return (
        f"{to_blank}every run from now on {key_needed}withholds this user;"
        " backups and copies of before still hold the rows"
    )


def _check(connection: psycopg.Connection, traces: Traces, was_erased: bool, reason: str) -> None:
    if not any(traces.counts.values()) and not was_erased:
        raise Stop(Exit.WRONG_SETTINGS, "the warehouse knows nobody with this id; nothing was erased; check USER_ID")
    if _tells(reason, traces):
        raise Stop(
            Exit.WRONG_SETTINGS,
            "--reason tells who the user is, and is kept for ever; leave out id, e-mail and name",
        )
    if waiting := ledger.waiting_loads(connection):
        raise Stop(
            Exit.WRONG_SETTINGS,
            f"load {waiting[0]} waits for the gate, which would find rows of it missing; first run: make gate",
        )


def _show_reasons(traces: Traces, output: Console) -> None:
    if traces.loads:
        output.print(f"gate.loads: {len(traces.loads):,} reasons tell who it is; they are blanked", soft_wrap=True)
    if traces.decisions:
        numbers = ", ".join(map(str, traces.decisions))
        output.print(
            f"gate.decisions: {numbers} tell who it is, and no command changes a decision;"
            f" the database's owner blanks them as in {RUNBOOK}",
            soft_wrap=True,
        )


def _blank_reasons(connection: psycopg.Connection, traces: Traces) -> None:
    for load_id, table in traces.loads:
        connection.execute(
            "update gate.loads set reason = %s where load_id = %s and table_name = %s", [BLANK, load_id, table]
        )


def _tells(reason: str, traces: Traces) -> bool:
    """Whether the text holds the id as a word, an e-mail address, or first and last name."""
    person = re.escape(normalize(traces.person))
    tells_id = re.search(rf"(?<!\w){person}(?!\w)", normalize(reason))
    return bool(tells_id) or _tells_name(reason, traces.names, traces.profiles)


def _tells_name(text: str, names: extract.Erasures, profiles: Iterable[tuple[str | None, ...]]) -> bool:
    """Whether the text holds an e-mail address of the user, or first and last name."""
    plain = normalize(text)
    # of one who was erased before, only the hashes of the addresses are left, and older ones are of other spellings
    if any("@" in word and names.cover_alias(word.strip(".")) for word in (*_parts(text), *_parts(plain))):
        return True
    words = set(re.findall(r"\w+", plain))
    for email, first_name, last_name in profiles:
        address = normalize(email or "")
        if "@" in address and address in plain:
            return True
        parts = [set(re.findall(r"\w+", normalize(name or ""))) for name in (first_name, last_name)]
        if all(parts) and set.union(*parts) <= words:
            return True
    return False


def _parts(text: str) -> list[str]:
    """What could be an e-mail address, cut at what stands around addresses."""
    return re.split(r"[\s<>()\[\]{}\"',;:]+", text)


def _traces(connection: psycopg.Connection, key: str, person: str) -> Traces:
    tombstone = extract.tombstone(key, person)
    aliases, _ = ledger.erasures(connection).get(tombstone, ([], ""))
    profiles = _profiles(connection, extract.Erasures(key, frozenset([tombstone])), person)
    # an address that is none, such as "unknown", would name many
    addresses = {email for email, _, _ in profiles if email and "@" in normalize(email)}
    aliases = {*aliases, *(extract.alias(key, address) for address in addresses)}
    names = extract.Erasures(key, frozenset([tombstone, *aliases]))

    found = {f"staging.{name}": ("_dlt_id", list(_landed(connection, names, person, name))) for name in TABLES}
    landed = [dlt_id for _, dlt_ids in found.values() for dlt_id in dlt_ids]
    found[UNREADABLE] = ("_dlt_id", list(_told(connection, names, UNREADABLE, "_dlt_id, table_name, key, raw")))
    held = _told(connection, names, QUARANTINE, "dlt_id, table_name, key, ''")
    found[QUARANTINE] = ("dlt_id", landed + list(held))
    is_bigint = re.fullmatch("-?[0-9]{1,19}", person) and abs(int(person)) <= LARGEST_BIGINT
    found |= {relation: (column, [int(person)] if is_bigint else []) for relation, column in BUILT.items()}
    found = {relation: rows for relation, rows in found.items() if warehouse.has(connection, relation)}
    counts = {
        relation: _of(connection, "select count(*) from {} where {}", relation, rows).fetchone()[0]
        for relation, rows in found.items()
    }
    loads = connection.execute(
        "select reason, load_id, table_name from gate.loads where reason is not null order by 2, 3"
    )
    decisions = connection.execute(
        "select concat_ws(' ', reason, details), decision_seq from gate.decisions order by 2"
    )
    return Traces(
        person,
        names,
        tuple(sorted(aliases)),
        tuple(profiles),
        found,
        counts,
        loads=tuple((load_id, table) for reason, load_id, table in loads if _tells_name(reason, names, profiles)),
        decisions=tuple(number for text, number in decisions if _tells_name(text, names, profiles)),
    )


def _profiles(connection: psycopg.Connection, names: extract.Erasures, person: str) -> list[tuple]:
    profiles = []
    if warehouse.has(connection, "staging.users"):
        profiles += connection.execute(
            """
            select distinct payload ->> 'email', payload ->> 'first_name', payload ->> 'last_name'
            from staging.users
            where _dlt_id = any(%s) and payload is not null
            """,
            [list(_landed(connection, names, person, "users"))],
        )
    if warehouse.has(connection, "marts.users"):
        profiles += connection.execute(
            "select email, first_name, last_name from marts.users where id::text = %s", [person]
        )
    return profiles


def _landed(connection: psycopg.Connection, names: extract.Erasures, person: str, name: str) -> Iterator[str]:
    """The `_dlt_id` of each version, whatever became of it. Of millions of rows only those are looked at whose id is
    this one or no plain number, for it may be spelled otherwise."""
    table = TABLES[name]
    if not warehouse.has(connection, f"staging.{name}"):
        return
    query = sql.SQL("""
        select _dlt_id, key, case when id = 'null' then payload::text end
        from (select *, coalesce(key::jsonb -> {}, 'null') as id from {}) as versions
        where id::text = %s or id::text !~ '^(0|[1-9][0-9]*)$'
    """).format(sql.Literal(table.key.index(table.person)), identifier(f"staging.{name}"))
    for dlt_id, key, text in _streamed(connection, query, person):
        if names.withhold(table, key, text or ""):
            yield dlt_id


def _told(connection: psycopg.Connection, names: extract.Erasures, relation: str, columns: str) -> Iterator[str]:
    """The ids of the rows that are withheld by the others of the columns: table, key, text."""
    if not warehouse.has(connection, relation):
        return
    query = sql.SQL("select {} from {} where table_name = any(%s)").format(sql.SQL(columns), identifier(relation))
    for dlt_id, name, key, text in _streamed(connection, query, list(TABLES)):
        if names.withhold(TABLES[name], key, text):
            yield dlt_id


def _streamed(connection: psycopg.Connection, query: sql.Composed, value: object) -> Iterator[tuple]:
    with connection.transaction(), connection.cursor(name="rows") as cursor:
        cursor.itersize = ROWS_AT_A_TIME
        yield from cursor.execute(query, [value])


def _per_load(connection: psycopg.Connection, traces: Traces, name: str) -> dict[str, dict[str, int]]:
    relation = f"staging.{name}"
    if relation not in traces.rows:
        return {}
    query = "select _dlt_load_id, count(payload), count(*) - count(payload) from {} where {} group by 1 order by 1"
    return per_load(_of(connection, query, relation, traces.rows[relation]))


def _delete(connection: psycopg.Connection, traces: Traces) -> dict[str, int]:
    """How many rows went, of each relation that held some."""
    judged.clear_away(connection)
    gone = {
        relation: _of(connection, "delete from {} where {}", relation, rows).rowcount
        for relation, rows in traces.rows.items()
    }
    return {relation: rows for relation, rows in gone.items() if rows}


def _record(connection: psycopg.Connection, traces: Traces, reason: str, details: dict[str, Any]) -> None:
    tombstone = traces.tombstone
    ledger.record_erasure(connection, tombstone, list(traces.aliases), extract.key_check(traces.names.key, tombstone))
    ledger.record_decision(connection, "erase", reason, details={"tombstone": tombstone, **details})


def _of(connection: psycopg.Connection, query: str, relation: str, rows: tuple[str, list[Any]]) -> psycopg.Cursor:
    """The query on these rows of the relation."""
    column, values = rows
    condition = sql.SQL("{} = any(%s)").format(sql.Identifier(column))
    # as parameters: a statement is there for others to see, and ends in logs
    return connection.execute(sql.SQL(query).format(identifier(relation), condition), [values])
