"""Case 39: an erased user is gone everywhere and stays away, and no other row is affected."""

import json
import os
import re
import signal
import stat
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import dict_row

from expectations import ledger
from expectations.decisions import reject, release
from extract import database as extract_database
from extract.erasures import hash_user_id, key_check
from extract.recovery import Recovery
from pipeline.operations import erasure
from pipeline.run import erasure_key, runbooks
from pipeline.settings import Settings
from recommender import releases
from sample_api.server import serve
from sample_api.world import World, snapshot
from tests.command import PROJECT, command, last_run, until, until_unlocked
from tests.databases import database_copy, new_database
from tests.forks import forked
from tests.integration.extract.test_recovery import crash
from tests.integration.pipeline.test_accounting import assert_rows_add_up
from tests.integration.pipeline.test_interruptions import waits_for_a_lock
from tests.marts import contents
from tests.recovery import recover
from tests.runs import STEPS, run_pipeline_on, states
from warehouse import database, locks, names
from warehouse.errors import CommandError, ExitCode

pytestmark = pytest.mark.slow

WORLD = World(seed=15, users=40, tracks=40, documents=40)
PERSON = 900719925474
KEY = "a key of the tests, long enough to be one"
REASON = "request of 3 May"
# What tells that a row is of this user, wherever it is written; and the key, which is written nowhere.
TRACES = ("900719925474", "wendelin", "zwiebel", "erased@example.org", KEY)
RUN_LEDGER = {"ops.runs", "ops.runs_run_seq_seq", "ops.steps", "ops.run_relations"}
SCHEMAS = ("staging", "prep", "gate", "marts", "features", "recommendations", "ops")
HELD = {
    "staging.users",
    "staging.listen_history",
    "staging.unreadable_rows",
    "gate.quarantined_rows",
    "prep.parked_listens",
    "prep.first_listens",
    "marts.users",
    "marts.listen_history",
    "recommendations.lists",
}


def profile(**changes):
    return {
        "id": PERSON,
        "first_name": "Wendelin",
        "last_name": "Zwiebel",
        "email": "erased@example.org",
        "gender": "Male",
        "favorite_genres": "Rock",
        "created_at": "2026-01-01T10:00:00",
        "updated_at": "2026-01-02T10:00:00",
    } | changes


def document(items, **changes):
    return {
        "user_id": PERSON,
        "items": items,
        "created_at": "2026-01-05T10:00:00",
        "updated_at": "2026-01-05T11:00:00",
    } | changes


def rows_of_the_user(world, night):
    """As many as one user can have, in all spellings; the night is told by what changes."""
    unnamed = profile(first_name=f"Wendelin {night}")
    del unnamed["id"]
    tracks = [track["id"] for track in world.tracks[: 2 + night]]
    return {
        "users": [
            profile(gender=f"night {night}"),
            profile(id=str(PERSON), gender=f"night {night}"),
            unnamed,
            b'{"id": 900719925474, "email": "erased@example.org\\u0000 %d"}' % night,
            b'{"id": 900719925474, "email": "erased@example.org", "id": 900719925474, "night": %d}' % night,
        ],
        "tracks": [],
        "listen_history": [
            document([*tracks, 10**9], updated_at=f"2026-01-05T{11 + night}:00:00"),
            document(tracks, user_id=str(PERSON), created_at="2026-01-06T10:00:00"),
            document(tracks, created_at="2026-01-07T10:00:00", updated_at="yesterday"),
        ],
    }


def run_with(database_url, day, *, night=None, steps=names.STEPS):
    """A night of the sample world, with the user's rows of that night if it is given."""
    world = snapshot(WORLD, day)
    more = rows_of_the_user(world, night) if night is not None else {}
    rows = {name: [*getattr(world, name), *more.get(name, [])] for name in ("users", "tracks", "listen_history")}
    return run_pipeline_on(database_url, rows, steps=steps)


def erase(database_url, *arguments, person=PERSON, reason=REASON, key=KEY):
    return command(
        "erase", "--reason", reason, *arguments, "--", str(person), DATABASE_URL=database_url, ERASURE_KEY=key
    )


def relations_with_user(connection):
    """The tables and views in which somebody finds the user."""
    relations = connection.execute(
        """
        select format('%%I.%%I', nspname, relname)
        from pg_class
        inner join pg_namespace on relnamespace = pg_namespace.oid
        where nspname = any(%s) and relkind in ('r', 'p', 'v', 'm')
        """,
        [list(SCHEMAS)],
    ).fetchall()
    relations = {relation: relation for (relation,) in relations}
    relations["pg_stats"] = f"(select * from pg_stats where schemaname = any(array{list(SCHEMAS)}))"
    return {
        name
        for name, relation in relations.items()
        if connection.execute(
            f"select exists (select from {relation} as everything where everything::text ~* %s)", ["|".join(TRACES)]
        ).fetchone()[0]
    }


def mentions_the_user(text):
    return any(trace in text.lower() for trace in TRACES)


def in_files():
    """The working files of dlt and dbt in which somebody finds the user."""
    folders = [os.environ[name] for name in ("MOOVITAMIX_HOME", "DBT_TARGET_PATH", "DBT_LOG_PATH")]
    files = [file for folder in folders for file in Path(folder).rglob("*") if file.is_file()]
    # the page of the docs, if another test made one: its script knows the largest whole number, which is nearly the id
    files = [file for file in files if file.name not in ("index.html", "static_index.html")]
    assert files
    return [file for file in files if mentions_the_user(file.read_bytes().decode(errors="replace"))]


def tables(database_url):
    """The marts and features, but for what depends on the moment."""
    with psycopg.connect(database_url) as connection:
        return contents(database_url) | {
            query: sorted(connection.execute(query).fetchall(), key=str)
            for query in (
                "select user_id, genre, listens, share, last_listened_at from features.user_genre_affinity",
                "select user_id, listens, distinct_tracks, active_days, last_listened_at from features.user_profile",
            )
        }


def everything(connection):
    """Every row of every table, and where every sequence is."""
    relations = connection.execute(
        "select oid::regclass::text, relkind = 'S' from pg_class"
        " where relkind in ('r', 'p', 'S') and relnamespace::regnamespace::text = any(%s)",
        [list(SCHEMAS)],
    ).fetchall()
    return {
        relation: sorted(
            connection.execute(f"select {'last_value' if is_sequence else 't::text'} from {relation} as t").fetchall()
        )
        for relation, is_sequence in relations
    }


def decisions(connection):
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("select * from gate.decisions order by decision_seq").fetchall()


@pytest.fixture(scope="module")
def template(postgres_url, built_template):
    """Name of a database in which the user is wherever a user can be; copied, never changed."""
    with database_copy(postgres_url, built_template, "with_the_user") as url:
        assert run_with(url, 2, night=0).exit_code == ExitCode.PUBLISHED
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("analyze")
            assert relations_with_user(connection) >= {*HELD, "pg_stats"}
        yield "with_the_user"


@pytest.fixture(scope="module")
def twin(postgres_url, built_template):
    """The marts and features after the same nights of a world without the user."""
    with database_copy(postgres_url, built_template, "without_the_user") as url:
        run_with(url, 2, steps=("extract", "gate"))
        assert run_with(url, 3, steps=STEPS).exit_code == ExitCode.PUBLISHED
        yield tables(url)


@pytest.fixture
def url(template, postgres_url):
    """URL of a database that only this test has, with the user in it."""
    with database_copy(postgres_url, template, "erasure") as made:
        yield made


@pytest.fixture
def connection(url):
    with psycopg.connect(url, autocommit=True, application_name="test") as opened:
        yield opened


def test_an_erased_user_is_gone_stays_away_and_everything_else_is_unaffected(url, connection, twin, monkeypatch):
    others = {name: [row for row in rows if PERSON not in row] for name, rows in tables(url).items()}

    ended = erase(url)

    assert (ended.code, ended.err) == (ExitCode.PUBLISHED, "")
    assert "3 rows of staging.users" in ended.out and "next: every later run needs this ERASURE_KEY" in ended.out
    assert relations_with_user(connection) == set() and in_files() == []
    assert tables(url) == others
    assert_rows_add_up(connection)
    (decision,) = decisions(connection)
    assert (decision["verb"], decision["reason"]) == ("erase", REASON)
    assert decision["details"]["tombstone"] == hash_user_id(KEY, PERSON)
    # what a build notes for itself, and the totals of the features
    of_the_builds = re.compile(r"prep\.(int_|user_)")
    assert {name for name in decision["details"]["deleted"] if not of_the_builds.match(name)} == HELD
    assert decision["details"]["deleted"]["gate.quarantined_rows"] == 4, "that of the row without an id too"
    assert last_run(connection)[:2] == ("succeeded", ExitCode.PUBLISHED)
    step = "select step, steps.status from ops.steps join ops.runs using (run_id) where command = 'erase'"
    assert connection.execute(step).fetchall() == [("erase", "succeeded")]
    for arguments in (["status"], ["gate", "show"], ["gate", "show", newest_load(connection)]):
        output = command(*arguments, DATABASE_URL=url)
        assert output.code == ExitCode.PUBLISHED and not mentions_the_user(output.out)

    monkeypatch.setenv("ERASURE_KEY", KEY)
    finished = run_with(url, 3, night=1)

    assert finished.exit_code == ExitCode.PUBLISHED and set(states(finished).values()) == {"accepted"}
    assert finished.extraction.scans["users"].rows_unreadable == 0
    assert relations_with_user(connection) == set() and in_files() == []
    assert tables(url) == twin
    assert_rows_add_up(connection)

    before = everything(connection)
    again = erase(url)
    assert again.code == ExitCode.PUBLISHED and "already erased" in again.out and "deleted: nothing" in again.out
    assert changed_relations(before, everything(connection)) <= RUN_LEDGER


def test_repeating_an_erasure_deletes_rows_restored_from_a_backup(url, connection):
    connection.execute("create schema backup")
    for relation in HELD:
        connection.execute(f"create table backup.{relation.replace('.', '_')} as table {relation}")
    erase(url)
    erasures = connection.execute("select * from gate.erasures").fetchall()
    for relation in sorted(HELD, reverse=True):  # staging first, users before their listens
        connection.execute(
            f"insert into {relation} select * from backup.{relation.replace('.', '_')} on conflict do nothing"
        )
    connection.execute("update marts.users set email = 'other@example.org' where id = %s", [PERSON])
    assert relations_with_user(connection) >= HELD

    ended = erase(url)

    assert "already erased" in ended.out and "3 rows of staging.users" in ended.out
    assert relations_with_user(connection) == set()
    assert len(decisions(connection)) == 2
    ((tombstone, aliases, *rest),) = connection.execute("select * from gate.erasures").fetchall()
    assert [(tombstone, *rest)] == [(made, *others) for made, _, *others in erasures]
    assert len(aliases) == 2, "the new address was learned, the old one is not forgotten"


def test_a_dry_run_shows_what_would_go_and_writes_nothing(url, connection, database_url):
    before = everything(connection)
    ended = erase(url, "--dry-run")
    assert (
        ended.code == ExitCode.PUBLISHED
        and re.search(r"staging\.users +│ +3 ", ended.out)
        and "next: nothing was changed" in ended.out
    )
    assert everything(connection) == before

    assert erase(database_url, "--dry-run").code == ExitCode.WRONG_SETTINGS
    with psycopg.connect(database_url) as empty:
        assert empty.execute("select to_regnamespace('ops'), to_regnamespace('gate')").fetchone() == (None, None)


@pytest.mark.parametrize("person", [PERSON + 1, "nobody", ""])
def test_an_unknown_user_is_a_one_line_error(person, url, connection):
    before = everything(connection)
    line = erase(url, person=person).only_line(ExitCode.WRONG_SETTINGS)
    assert "id" in line.lower() and str(PERSON + 1) not in line
    assert everything(connection) == before


@pytest.fixture(scope="module")
def template_of_two_users(postgres_url):
    """Name of a database with the users -5 and 5; copied, never changed."""
    with new_database(postgres_url, "two_users") as url:
        run_pipeline_on(url, {"users": [profile(id=-5), profile(id=5)], "tracks": [], "listen_history": []})
        yield "two_users"


@pytest.mark.parametrize(
    "arguments",
    [["-5", "--reason", REASON], ["--reason", REASON, "-5"], ["--dry-run", "-5.0", "--reason", "-5 rows too many"],
     ["--reason", REASON, "--", "-5"], ["-05", "--reason", "-7"]],
)  # fmt: skip
def test_an_id_that_begins_with_a_minus_is_an_id(arguments, postgres_url, template_of_two_users):
    """Erase one of two users: -5 and 5."""
    with (
        database_copy(postgres_url, template_of_two_users, "erasure") as url,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        ended = command("erase", *arguments, DATABASE_URL=url, ERASURE_KEY=KEY)
        is_refused = "--dry-run" in arguments
        assert ended.code == (ExitCode.WRONG_SETTINGS if is_refused else ExitCode.PUBLISHED), ended
        assert "No such option" not in ended.err
        left = {(5,), (-5,)} if is_refused else {(5,)}
        assert set(connection.execute("select id from marts.users").fetchall()) == left


@pytest.mark.parametrize(
    ("arguments", "message_part"),
    [
        (["7", "--resaon", REASON], "No such option '--resaon'"),
        (["-x", "--reason", REASON], "No such option '-x'"),
        (["--reason", REASON], "Missing argument 'USER_ID'"),
        (["-5", "-6", "--reason", REASON], "unexpected extra argument"),
        (["7", "--reason"], "requires an argument"),
        (["-5", "--reason"], "Option '--reason' requires an argument"),
    ],
)
def test_other_wrong_arguments_are_refused_in_one_line(arguments, message_part):
    assert message_part in command("erase", *arguments).only_line(ExitCode.WRONG_SETTINGS)


@pytest.mark.parametrize("person", ["900719925474", "900719925474.0", " 0900719925474 "])
def test_the_id_may_have_any_spelling_of_the_source(person, url, connection):
    assert erase(url, person=person).code == ExitCode.PUBLISHED
    assert relations_with_user(connection) == set()


@pytest.mark.parametrize("person", ["somebody", str(10**30), "-7"])
def test_an_id_that_is_not_a_64_bit_integer_is_erased_too(person, url, connection):
    connection.execute(
        "insert into staging.users (key, payload, content_hash, _dlt_load_id, _dlt_id)"
        " select %s, %s, '0', max(load_id), 'odd' from staging._dlt_loads",
        [f'["{person}"]', json.dumps({"id": person, "email": "odd@example.org"})],
    )
    assert erase(url, person=person).code == ExitCode.PUBLISHED
    assert connection.execute("select from staging.users where _dlt_id = 'odd'").rowcount == 0
    assert relations_with_user(connection) >= HELD


def test_a_reason_that_identifies_the_user_is_refused(url, connection):
    before = everything(connection)
    for reason in (
        f"request of user {PERSON}.",
        f"#{PERSON}",
        "Erased@Example.org wrote to us",
        "Zwiebel, Wendelin: letter of May",
        "wendelin's letter (Zwiebel)",
        "user 900\u200b719925474",
        "erased＠Example.org wrote to us",
        "ＺＷＩＥＢＥＬ, Wende\u00adlin",
    ):
        assert "--reason identifies" in erase(url, reason=reason).only_line(ExitCode.WRONG_SETTINGS)
    assert "it is empty; give a reason" in erase(url, reason=" ").only_line(ExitCode.WRONG_SETTINGS)
    assert everything(connection) == before
    for reason in ("Wendelin's letter", f"case {PERSON}1"):
        assert erase(url, reason=reason).code == ExitCode.PUBLISHED


def test_reasons_that_identify_the_user_are_blanked_or_listed_for_the_owner(url, connection, tmp_path):
    load_id = newest_load(connection)
    telling = {
        "users": "erased@example.org says they were wrong",
        "tracks": "<ERASED@Example.org>, again",
        "listen_history": "Zwiebel called (Wendelin, that is)",
    }
    for table, reason in telling.items():
        reject(connection, load_id, table, reason, is_dry_run=False)
    release(connection, load_id, "tracks", "it was right", is_dry_run=False)
    reasons = "select table_name, reason from gate.loads where load_id = %s order by table_name"
    before = connection.execute(reasons, [load_id]).fetchall()
    listed = "gate.decisions: the decisions 1, 2, 3, 4 identify the user"

    assert listed in erase(url, "--dry-run").out
    assert connection.execute(reasons, [load_id]).fetchall() == before
    ended = erase(url)

    assert (
        ended.code == ExitCode.PUBLISHED
        and listed in ended.out
        and "gate.loads: 2 reasons that identified the user" in ended.out
    )
    assert "next: blank the decisions above" in ended.out
    assert dict(connection.execute(reasons, [load_id])) == {
        "users": erasure.BLANK,
        "tracks": "it was right",
        "listen_history": erasure.BLANK,
    }
    assert relations_with_user(connection) == {"gate.decisions"}
    again = erase(url, "--dry-run").out
    assert "gate.decisions: the decisions 1, 2, 4 identify the user" in again, "nobody knows the name any more"

    runbook = (PROJECT / runbooks.ERASURE_REQUEST).read_text()
    statements = tmp_path / "statements.sql"
    statements.write_text(re.search("```sql\n(.*?)```", runbook, re.DOTALL)[1].replace("NUMBERS", "1, 2, 3, 4"))
    blanked = command("psql", "-v", "ON_ERROR_STOP=1", "-f", str(statements), DATABASE_URL=url)
    assert blanked.code == 0, blanked
    assert relations_with_user(connection) == set() and "gate.decisions:" not in erase(url, "--dry-run").out
    assert [decision["reason"] for decision in decisions(connection)] == [erasure.BLANK] * 4 + [REASON]
    with pytest.raises(psycopg.errors.RaiseException):
        connection.execute("update gate.decisions set reason = 'another'")


def test_an_erasure_requires_a_key(url, connection):
    before = everything(connection)
    line = erase(url, key="").only_line(ExitCode.WRONG_SETTINGS)
    assert "ERASURE_KEY" in line and "secrets.token_hex(32)" in line
    short = erase(url, key="guess me").only_line(ExitCode.WRONG_SETTINGS)
    assert "ERASURE_KEY" in short and "guess me" not in short
    assert everything(connection) == before


@pytest.mark.parametrize("arguments", [["run"], ["extract"], ["erase", "1", "--reason", "another one"]], ids=" ".join)
@pytest.mark.parametrize("key", ["", KEY[::-1]], ids=["no key", "another key"])
def test_without_the_original_key_nothing_is_extracted_or_erased(arguments, key, prepared_url):
    with serve({}) as api, psycopg.connect(prepared_url, autocommit=True) as connection:
        made = hash_user_id(KEY, PERSON)
        ledger.record_erasure(connection, made, [], key_check(KEY, made))
        settings = {"DATABASE_URL": prepared_url, "API_BASE_URL": api.url}

        line = command(*arguments, ERASURE_KEY=key, **settings).only_line(ExitCode.WRONG_SETTINGS)

        assert "ERASURE_KEY" in line and "would be loaded again" in line and (not key or key not in line)
        assert api.requests.total == 0
        assert connection.execute("select count(*) from gate.erasures").fetchone() == (1,)
        if arguments[0] != "erase":
            assert command("extract", ERASURE_KEY=KEY, **settings).code == ExitCode.PUBLISHED


def test_the_embedded_postgres_has_its_own_key(url, connection, tmp_path, monkeypatch):
    monkeypatch.setenv("MOOVITAMIX_HOME", str(tmp_path))
    settings = Settings()
    file = settings.postgres_folder / "erasure_key"
    file.parent.mkdir()
    key = erasure_key.choose_key(settings, connection)
    assert not file.exists(), "it is not kept before there is something to keep it for"
    erasure_key.save(settings, key)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and len(key) == 64
    assert erasure_key.choose_key(settings, connection) == key
    erasure_key.save(settings, "another key must not overwrite this one")
    assert file.read_text() == key

    made = hash_user_id(key, PERSON)
    ledger.record_erasure(connection, made, ["an alias"], key_check(key, made))
    assert erasure_key.load_erasures(settings, connection).tombstones == {made, "an alias"}
    file.unlink()
    with pytest.raises(CommandError, match="ERASURE_KEY is not set") as refused:
        erasure_key.choose_key(settings, connection)
    assert refused.value.code == ExitCode.WRONG_SETTINGS
    monkeypatch.setenv("ERASURE_KEY", key)
    erasure_key.save(settings, key)
    assert not file.exists() and erasure_key.load_erasures(settings, connection).covers(PERSON)


@pytest.mark.parametrize(
    "blocked_by",
    ["select from marts.users for update", "lock table gate.decisions in exclusive mode", releases.LOCK],
)
def test_a_killed_erasure_deletes_all_rows_or_none(blocked_by, url, connection):
    before = relations_with_user(connection)
    arguments = ["erase", str(PERSON), "--reason", REASON]
    with psycopg.connect(url, application_name="test") as other:
        other.execute(blocked_by)
        with forked(*arguments, DATABASE_URL=url, ERASURE_KEY=KEY) as process:
            until(lambda: waits_for_a_lock(connection))
            process.send_signal(signal.SIGKILL)
            process.finish()
    until_unlocked(connection)
    with locks.run_lock(database.find(url, locks.RUN_APPLICATION)):
        assert relations_with_user(connection) == before and decisions(connection) == []
    assert 'repeat it: make erase ARGS="..."' in command("status", DATABASE_URL=url).out

    assert erase(url).code == ExitCode.PUBLISHED

    assert relations_with_user(connection) == set() and len(decisions(connection)) == 1
    ended = connection.execute("select status from ops.runs where command = 'erase' order by run_seq").fetchall()
    assert ended == [("crashed",), ("succeeded",)]


def test_a_pending_load_must_be_checked_before_an_erasure(url, connection):
    with serve({}) as api:
        assert command("extract", DATABASE_URL=url, API_BASE_URL=api.url).code == ExitCode.PUBLISHED
    for arguments in ([], ["--dry-run"]):
        line = erase(url, *arguments).only_line(ExitCode.WRONG_SETTINGS)
        assert newest_load(connection) in line and "first run: make gate" in line
    assert relations_with_user(connection) >= HELD
    connection.execute(
        "insert into gate.loads select _dlt_load_id, table_name, 'pending', 0, 0, 0 from staging.scans"
        " on conflict do nothing"
    )
    assert "first run: make gate" in erase(url).only_line(ExitCode.WRONG_SETTINGS)


def test_an_erasure_deletes_the_load_package_of_a_crashed_run(url, connection):
    world = snapshot(WORLD, 2)
    folder = Settings().dlt_folder
    with serve({"users": [*world.users, profile(gender="packed")], "tracks": world.tracks}) as api:
        crash("normalized", url, api.url, folder)
    assert in_files()

    ended = erase(url)

    assert "recovered: Dropped the unfinished load" in ended.out
    assert relations_with_user(connection) == set() and in_files() == []
    assert recover(url, folder) == Recovery()


def test_an_erasure_is_refused_while_a_run_is_in_progress(url, connection, monkeypatch):
    with locks.run_lock(database.find(url, locks.RUN_APPLICATION)):
        erase(url).only_line(ExitCode.ALREADY_RUNNING)
    monkeypatch.setattr(extract_database, "LOCK_SECONDS", 0.1)
    extract_database.lock(connection)
    assert "Another extraction" in erase(url).only_line(ExitCode.WAREHOUSE_UNAVAILABLE)
    assert relations_with_user(connection) >= HELD


def newest_load(connection):
    return connection.execute("select max(load_id) from staging._dlt_loads").fetchone()[0]


def changed_relations(before, after):
    return {relation for relation in before.keys() | after.keys() if before.get(relation) != after.get(relation)}


def test_an_erasure_covers_every_table_with_user_data(built_database_url):
    with psycopg.connect(built_database_url) as connection:
        tables = connection.execute("""
            select table_schema || '.' || table_name
            from information_schema.columns
            inner join information_schema.tables using (table_schema, table_name)
            where table_type = 'BASE TABLE' and column_name = 'user_id' and table_schema in ('prep', 'marts')
        """).fetchall()
    # months go with their table
    described = {name for (name,) in tables if not name.startswith("prep.listen_history_")}
    assert described <= erasure.PERSONAL_RELATIONS.keys()
