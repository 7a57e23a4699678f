"""Erase a user: delete all data of the user from the warehouse, and let later runs skip the user."""

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from rich.console import Console

from expectations import batch_tables, ledger
from extract.database import lock
from extract.erasures import Erasures, alias, hash_user_id, key_check, normalize_user_id
from extract.recovery import recover
from extract.source_tables import SOURCE_TABLES
from pipeline.operations.deletion import identifier, per_load, show_counts, vacuum
from pipeline.run import erasure_key, runbooks
from pipeline.run.pipeline_run import record_locked_command, translate_extraction_errors
from pipeline.run.preparation import lock_for_writing
from pipeline.settings import Settings, secret
from recommender import drafts, releases
from warehouse import database
from warehouse.counts import count
from warehouse.database import Warehouse
from warehouse.errors import CommandError, ExitCode
from warehouse.normalization import normalize

PERSONAL_SOURCE_TABLES = {table.name: table for table in SOURCE_TABLES if table.person}
UNREADABLE = "staging.unreadable_rows"
QUARANTINE = "gate.quarantined_rows"
LOADS = "gate.loads"
# By relation outside `staging` and `gate` with rows of users: the column with the id of the user.
# In this order: deleting from marts.users would cascade to the listens, without counting them.
PERSONAL_RELATIONS = {
    "prep.int_changed_users": "id",
    "prep.int_document_versions": "user_id",
    "prep.int_listens": "user_id",
    "prep.int_present_listens": "user_id",
    "prep.int_vanished_listens": "user_id",
    "prep.int_late_listens": "user_id",
    "prep.int_reread_users": "user_id",
    "prep.int_recounted_users": "user_id",
    "prep.parked_listens": "user_id",
    "prep.user_genre_totals": "user_id",
    "prep.user_totals": "user_id",
    "prep.first_listens": "user_id",
    "marts.listen_history": "user_id",
    "marts.users": "id",
    "features.user_snapshots": "user_id",
    "recommendations.lists": "user_id",
    "recommendations.draft_lists": "user_id",
}
LARGEST_BIGINT = 2**63 - 1
ROWS_AT_A_TIME = 5_000
BLANK = "(blanked: it identified an erased user)"  # stored, and in the runbook's SQL too


@dataclass(frozen=True)
class Traces:
    """Hold what the warehouse stores about a user. `matcher` matches the ids and addresses of this user only."""

    person: str
    matcher: Erasures
    aliases: tuple[str, ...]
    profiles: tuple[tuple[str | None, str | None, str | None], ...]
    """(e-mail, first name, last name) of all versions."""
    rows: dict[str, tuple[str, list[Any]]]
    """By existing relation: a column, and its values in the rows of the user."""
    counts: dict[str, int]
    loads: tuple[tuple[str, str], ...]
    """(load id, table) of the loads whose reason identifies the user."""
    decisions: tuple[int, ...]
    """The numbers of the decisions whose reason or details identify the user."""

    @property
    def tombstone(self) -> str:
        return hash_user_id(self.matcher.key, self.person)


def erase(
    settings: Settings, warehouse: Warehouse, user_id: str, reason: str, output: Console, *, is_dry_run: bool
) -> str:
    """Erase the user, and return the next step.

    Raises CommandError(WRONG_SETTINGS) for an unknown user, a reason that identifies the user, a key that is missing or
    differs from that of earlier erasures, and while a load is pending: the gate would find rows of it missing.
    """
    person = normalize_user_id(user_id)
    if person is None:
        raise CommandError(ExitCode.WRONG_SETTINGS, "USER_ID is empty; give the id as the API sends it")
    with (
        lock_for_writing(warehouse, prepares=False) as connection,
        database.translate_database_errors(warehouse),
        # this connection has the application name of a run: the next run ends it if this process is killed
        warehouse.connect() as work,
    ):
        with translate_extraction_errors(warehouse):
            lock(work)  # an extraction without a run could still land what it has read
        with work.transaction(force_rollback=True) if is_dry_run else contextlib.nullcontext():
            traces = _traces(work, erasure_key.choose_key(settings, work), person)
            was_erased = traces.tombstone in ledger.erasures(work)
            _check(work, traces, was_erased, reason)
            title = "rows of a user who was already erased" if was_erased else "rows of this user"
            show_counts(title, {"rows": traces.counts}, output)
            _show_reasons(traces, output)
            if is_dry_run:
                _delete(work, traces)
                return "nothing was changed; repeat the command without --dry-run to delete these rows permanently"
        with record_locked_command(warehouse, connection, "erase") as figures:
            with translate_extraction_errors(warehouse):
                recovery = recover(work, warehouse.conninfo, settings.dlt_folder, lands_packed_load=False)
            if recovery.sentence:
                output.print(f"recovered: {recovery.sentence}", soft_wrap=True)
            erasure_key.save(settings, traces.matcher.key)
            with work.transaction():
                releases.lock(work)  # `model rollback` copies lists without the run lock
                per_table = {name: _per_load(work, traces, name) for name in PERSONAL_SOURCE_TABLES}
                deleted_rows = _delete(work, traces)
                # the lists of others in it follow from this user, too
                drafts.remove(work)
                _blank_reasons(work, traces)
                if deleted_rows or traces.loads or not was_erased:
                    _record(work, traces, reason, {"deleted": deleted_rows, "rows": per_table})
            figures |= deleted_rows
            vacuum(
                work,
                (
                    *(f"staging.{name}" for name in PERSONAL_SOURCE_TABLES),
                    UNREADABLE,
                    QUARANTINE,
                    LOADS,
                    *PERSONAL_RELATIONS,
                ),
                output,
            )
    deleted = ", ".join(f"{count(rows, 'row')} of {relation}" for relation, rows in deleted_rows.items()) or "nothing"
    output.print(f"deleted: {deleted}", soft_wrap=True)
    key_needed = "needs this ERASURE_KEY and " if settings.erasure_key else ""
    to_blank = f"blank the decisions above, see {runbooks.ERASURE_REQUEST}; " if traces.decisions else ""
    to_blank += _remove_from_cache(person)
    return f"{to_blank}every later run {key_needed}skips this user; delete older backups, which still contain the rows"


def _remove_from_cache(person: str) -> str:
    """Remove the user's lists from the cache of REDIS_URL, if there is one. Return what to do if that failed."""
    redis_url = secret("REDIS_URL")
    if not (redis_url and re.fullmatch("-?[0-9]{1,19}", person)):
        return ""
    # a client that most erasures do not need
    from redis import RedisError

    from recommender import cache

    try:
        cache.forget(redis_url, int(person))
    except RedisError as error:
        return f"the cache still holds the user's lists, because {cache.describe(error)}: repeat this command; "
    return ""


def _check(connection: psycopg.Connection, traces: Traces, was_erased: bool, reason: str) -> None:
    if not any(traces.counts.values()) and not was_erased:
        raise CommandError(
            ExitCode.WRONG_SETTINGS, "no user with this id is in the warehouse; nothing was erased; check USER_ID"
        )
    if _identifies(reason, traces):
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            "--reason identifies the user and is stored permanently; leave out id, e-mail and name",
        )
    if pending := ledger.pending_loads(connection):
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            f"load {pending[0]} is pending, and the gate would find rows of it missing; first run: make gate",
        )


def _show_reasons(traces: Traces, output: Console) -> None:
    if traces.loads:
        reasons = count(len(traces.loads), "reason")
        output.print(f"gate.loads: {reasons} that identified the user: replaced by a blank text", soft_wrap=True)
    if traces.decisions:
        numbers = ", ".join(map(str, traces.decisions))
        output.print(
            f"gate.decisions: the decisions {numbers} identify the user, and no command changes a decision;"
            f" the owner of the database blanks them, see {runbooks.ERASURE_REQUEST}",
            soft_wrap=True,
        )


def _blank_reasons(connection: psycopg.Connection, traces: Traces) -> None:
    for load_id, table in traces.loads:
        connection.execute(
            "update gate.loads set reason = %s where load_id = %s and table_name = %s", [BLANK, load_id, table]
        )


def _identifies(reason: str, traces: Traces) -> bool:
    """Return whether the text contains the id as a word, an e-mail address, or first and last name of the user."""
    person = re.escape(normalize(traces.person))
    has_id = re.search(rf"(?<!\w){person}(?!\w)", normalize(reason))
    return bool(has_id) or _contains_name(reason, traces.matcher, traces.profiles)


def _contains_name(text: str, matcher: Erasures, profiles: Iterable[tuple[str | None, ...]]) -> bool:
    """Return whether the text contains an e-mail address of the user, or first and last name."""
    plain = normalize(text)
    # for a user who was already erased, only hashes of the addresses remain; some are of other spellings
    if any("@" in word and matcher.covers_alias(word.strip(".")) for word in (*_parts(text), *_parts(plain))):
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
    """Split the text at characters that cannot be part of an e-mail address."""
    return re.split(r"[\s<>()\[\]{}\"',;:]+", text)


def _traces(connection: psycopg.Connection, key: str, person: str) -> Traces:
    made = hash_user_id(key, person)
    aliases, _ = ledger.erasures(connection).get(made, ([], ""))
    profiles = _profiles(connection, Erasures(key, frozenset([made])), person)
    # an invalid address, such as "unknown", could match many users
    addresses = {email for email, _, _ in profiles if email and "@" in normalize(email)}
    aliases = {*aliases, *(alias(key, address) for address in addresses)}
    matcher = Erasures(key, frozenset([made, *aliases]))

    found = {
        f"staging.{name}": ("_dlt_id", list(_landed_versions(connection, matcher, person, name)))
        for name in PERSONAL_SOURCE_TABLES
    }
    landed = [dlt_id for _, dlt_ids in found.values() for dlt_id in dlt_ids]
    found[UNREADABLE] = (
        "_dlt_id",
        list(_withheld_rows(connection, matcher, UNREADABLE, "_dlt_id, table_name, key, raw")),
    )
    quarantined = _withheld_rows(connection, matcher, QUARANTINE, "dlt_id, table_name, key, ''")
    found[QUARANTINE] = ("dlt_id", landed + list(quarantined))
    is_bigint = re.fullmatch("-?[0-9]{1,19}", person) and abs(int(person)) <= LARGEST_BIGINT
    found |= {relation: (column, [int(person)] if is_bigint else []) for relation, column in PERSONAL_RELATIONS.items()}
    found = {relation: rows for relation, rows in found.items() if database.has(connection, relation)}
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
        matcher,
        tuple(sorted(aliases)),
        tuple(profiles),
        found,
        counts,
        loads=tuple((load_id, table) for reason, load_id, table in loads if _contains_name(reason, matcher, profiles)),
        decisions=tuple(number for text, number in decisions if _contains_name(text, matcher, profiles)),
    )


def _profiles(connection: psycopg.Connection, matcher: Erasures, person: str) -> list[tuple]:
    profiles = connection.execute(
        """
        select distinct payload ->> 'email', payload ->> 'first_name', payload ->> 'last_name'
        from staging.users
        where _dlt_id = any(%s) and payload is not null
        """,
        [list(_landed_versions(connection, matcher, person, "users"))],
    ).fetchall()
    if database.has(connection, "marts.users"):
        profiles += connection.execute(
            "select email, first_name, last_name from marts.users where id::text = %s", [person]
        )
    return profiles


def _landed_versions(connection: psycopg.Connection, matcher: Erasures, person: str, name: str) -> Iterator[str]:
    """Yield the `_dlt_id` of each version of the user, published or not.

    Of millions of rows only those are compared that have this id, or an id that is not a plain number: it may be
    another spelling of this one.
    """
    table = PERSONAL_SOURCE_TABLES[name]
    query = sql.SQL("""
        select _dlt_id, key, case when id = 'null' then payload::text end
        from (select *, coalesce(key::jsonb -> {}, 'null') as id from {}) as versions
        where id::text = %s or id::text !~ '^(0|[1-9][0-9]*)$'
    """).format(sql.Literal(table.key.index(table.person)), identifier(f"staging.{name}"))
    for dlt_id, key, text in _stream(connection, query, person):
        if matcher.withholds(table, key, text or ""):
            yield dlt_id


def _withheld_rows(connection: psycopg.Connection, matcher: Erasures, relation: str, columns: str) -> Iterator[str]:
    """Yield the ids (first column) of the rows that belong to the user. The other columns: table, key, text."""
    query = sql.SQL("select {} from {} where table_name = any(%s)").format(sql.SQL(columns), identifier(relation))
    for dlt_id, name, key, text in _stream(connection, query, list(PERSONAL_SOURCE_TABLES)):
        if matcher.withholds(PERSONAL_SOURCE_TABLES[name], key, text):
            yield dlt_id


def _stream(connection: psycopg.Connection, query: sql.Composed, value: object) -> Iterator[tuple]:
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
    """Delete the rows, and return the number of deleted rows by relation."""
    batch_tables.clear_batch(connection)
    if snapshots := traces.rows.get("features.user_snapshots"):
        _of(
            connection,
            "update features.snapshots set erased_users = erased_users + 1"
            " where snapshot_id in (select snapshot_id from {} where {})",
            "features.user_snapshots",
            snapshots,
        )
    deleted = {
        relation: _of(connection, "delete from {} where {}", relation, rows).rowcount
        for relation, rows in traces.rows.items()
    }
    return {relation: rows for relation, rows in deleted.items() if rows}


def _record(connection: psycopg.Connection, traces: Traces, reason: str, details: dict[str, Any]) -> None:
    tombstone = traces.tombstone
    ledger.record_erasure(connection, tombstone, list(traces.aliases), key_check(traces.matcher.key, tombstone))
    ledger.record_decision(connection, "erase", reason, details={"tombstone": tombstone, **details})


def _of(connection: psycopg.Connection, query: str, relation: str, rows: tuple[str, list[Any]]) -> psycopg.Cursor:
    """Execute the query on these rows of the relation."""
    column, values = rows
    condition = sql.SQL("{} = any(%s)").format(sql.Identifier(column))
    # as parameters: other users can see a statement, and logs may contain it
    return connection.execute(sql.SQL(query).format(identifier(relation), condition), [values])
