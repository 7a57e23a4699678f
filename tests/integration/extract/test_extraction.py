"""Test whole extractions against the sample API, as seen by a reader of the landing tables."""

import dataclasses
import json
import tracemalloc
from pathlib import Path

import psycopg
import pytest
from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from psycopg.conninfo import conninfo_to_dict

from extract import delivered, extraction
from extract.errors import LandingError, SettingError
from extract.extraction import Extraction, Scan
from extract.limits import Limits
from extract.source_tables import SOURCE_TABLES, SourceTable
from sample_api.server import serve
from sample_api.world import World, snapshot
from tests.databases import migrate_url
from tests.integration.extract.conftest import QUICK, live_rows, staged
from warehouse.redaction import redact

pytestmark = pytest.mark.slow

DATA_TABLES = ("users", "tracks", "listen_history")


def user(number: int, **fields) -> dict:
    return {"id": number, "first_name": f"user {number}", **fields}


def figures(extracted: Extraction, table: str = "users") -> tuple[int, int, int, int, int]:
    """Return (read, unchanged, landed, removed, unreadable)."""
    scan = extracted.scans[table]
    return (
        scan.rows_read,
        scan.rows_unchanged,
        scan.rows_landed,
        scan.rows_removed,
        scan.rows_unreadable,
    )


def payloads(connection: psycopg.Connection, rows: list) -> dict[str, list[str]]:
    """Return key -> payload texts as Postgres writes them, for rows of `users`."""
    expected: dict[str, list[str]] = {}
    for row in rows:
        text = row.decode() if isinstance(row, bytes) else json.dumps(row)
        written = connection.execute("select %s::jsonb::text", [text]).fetchone()[0]
        expected.setdefault(f"[{json.loads(text)['id']}]", []).append(written)
    return {key: sorted(texts) for key, texts in expected.items()}


def assert_accounts_hold(connection: psycopg.Connection) -> None:
    """Assert that every row read is unchanged, landed or unreadable, and every landed row is in its table."""
    assert (
        connection.execute(
            "select * from staging.scans where rows_read <> rows_unchanged + rows_landed + rows_unreadable"
        ).fetchall()
        == []
    )
    for table in DATA_TABLES:
        assert (
            connection.execute(
                f"""
            select scans._dlt_load_id from staging.scans
            left join staging.{table} as rows using (_dlt_load_id)
            where scans.table_name = %s group by scans._dlt_load_id, rows_landed, rows_removed
            having rows_landed <> count(rows.payload)
                or rows_removed <> count(rows.key) filter (where rows.payload is null)
            """,
                [table],
            ).fetchall()
            == []
        )


def test_three_days_of_the_sample_world_are_read_back_equal(database_url, connection, working_folder):
    world = World(users=40, tracks=50, documents=40)
    for day in (0, 1, 1, 2):
        with serve(snapshot(world, day)) as server:
            extracted = extraction.run(
                database_url, server.url, working_folder=working_folder, batch_size=7, limits=QUICK
            )
            for table in DATA_TABLES:
                expected = sorted(
                    connection.execute("select %s::jsonb::text", [row.decode()]).fetchone()[0]
                    for row in server.rows[table]
                )
                seen = [text for texts in live_rows(connection, table).values() for text in texts]
                assert sorted(seen) == expected
    assert_accounts_hold(connection)
    newest = connection.execute("select max(load_id) from staging._dlt_loads").fetchone()[0]
    assert extracted.load_id == newest
    assert staged(connection)["_dlt_loads"] == 4


def test_an_unchanged_source_lands_no_row_and_one_scan_per_table(api, night, connection):
    api.set_rows({"users": [user(number) for number in range(10)], "tracks": [{"id": 1}]})
    night()
    before = staged(connection)
    extracted = night()
    assert figures(extracted) == (10, 10, 0, 0, 0)
    assert staged(connection) == {**before, "scans": 6, "_dlt_loads": 2}


def test_the_order_and_the_formatting_of_rows_do_not_make_them_land(api, night, connection):
    api.set_rows({"users": [b'{"id":1,"a":"\xc3\xa9"}', b'{"id":2}']})
    night()
    api.set_rows({"users": [b'{ "id": 2 }', b'{"a": "\\u00e9", "id": 1}']})
    assert figures(night()) == (2, 2, 0, 0, 0)


def test_only_changed_rows_land_regardless_of_updated_at(api, night, connection):
    rows = [user(number, updated_at="2026-01-01T00:00:00") for number in range(5)]
    api.set_rows({"users": rows})
    night()
    rows[3] = {**rows[3], "first_name": "other", "updated_at": "2020-01-01T00:00:00"}
    api.set_rows({"users": rows})
    assert figures(night()) == (5, 4, 1, 0, 0)
    assert live_rows(connection, "users") == payloads(connection, rows)


def test_a_missing_key_lands_as_a_removal_and_lands_again_when_it_returns(api, night, connection):
    rows = [user(number) for number in range(5)]
    api.set_rows({"users": rows})
    night()
    api.set_rows({"users": rows[:3]})
    assert figures(night()) == (3, 3, 0, 2, 0)
    assert live_rows(connection, "users") == payloads(connection, rows[:3])
    gone = connection.execute("select key, content_hash from staging.users where payload is null order by 1")
    assert gone.fetchall() == [("[3]", "removed"), ("[4]", "removed")]
    assert figures(night()) == (3, 3, 0, 0, 0)
    api.set_rows({"users": rows})
    assert figures(night()) == (5, 3, 2, 0, 0)
    assert live_rows(connection, "users") == payloads(connection, rows)


def test_an_empty_source_lands_removals_and_reports_them(api, night, connection):
    api.set_rows({"users": [user(number) for number in range(7)]})
    night()
    api.set_rows({})
    extracted = night()
    assert figures(extracted) == (0, 0, 0, 7, 0)
    assert extracted.scans["users"].keys_known == 7
    assert live_rows(connection, "users") == {}


@pytest.mark.parametrize(
    ("first", "second", "landed"),
    [
        ("AB", "AB", ""),
        ("AB", "A", "A"),
        ("B", "AB", "AB"),
        ("AB", "BA", ""),
        ("A", "AA", ""),
        ("AB", "CB", "BC"),
    ],
)
def test_all_contents_of_a_duplicate_key_land_when_they_differ(api, night, connection, first, second, landed):
    def rows(contents: str) -> list[dict]:
        return [user(1, name=content) for content in contents] + [user(2), user(3)]

    api.set_rows({"users": rows(first)})
    night()
    api.set_rows({"users": rows(second)})
    extracted = night()
    newest = connection.execute(
        "select payload->>'name' from staging.users where _dlt_load_id = %s", [extracted.load_id]
    )
    assert sorted(name for (name,) in newest) == list(landed)
    assert figures(extracted)[:3] == (len(second) + 2, len(second) + 2 - len(landed), len(landed))
    assert_accounts_hold(connection)


def test_rows_of_disregarded_loads_count_as_not_delivered(api, night, connection):
    api.set_rows({"users": [user(1), user(2)], "tracks": [{"id": 1}]})
    night()
    api.set_rows({"users": [user(1, name="blocked")], "tracks": [{"id": 1, "name": "new"}]})
    blocked = night().load_id
    extracted = night(disregarded_loads={"users": {blocked}})
    assert figures(extracted) == (1, 0, 1, 1, 0)
    assert figures(extracted, "tracks") == (1, 1, 0, 0, 0)


@pytest.mark.parametrize(
    "keys",
    [
        {
            1: ("A", "A", "B", "A", "A"),
            2: ("A", "A", "B", "B", "B"),
            3: ("A", "A", "", "A", "A"),
            4: ("A", "A", "", "", "gone"),
            5: ("", "", "B", "", "gone"),
            6: ("", "", "B", "B", "B"),
            7: ("", "B", "", "", "gone"),
            8: ("A", "B", "A", "A", "A"),
            9: ("A", "A", "A", "A", ""),
            10: ("", "", "", "", ""),
            11: ("A", "A", "A", "", "gone"),
        },
        {
            1: ("AB", "AB", "C", "AB", "AB"),
            2: ("AB", "AB", "ABC", "AB", "AB"),
            3: ("AB", "AB", "AB", "AB", ""),
        },
    ],
)
def test_a_key_that_contradicts_a_disregarded_load_lands_once(keys, api, night, connection):
    """Check that a disregarded load that is released later does not override a newer content. Of each key: its contents
    in the delivered load, in two disregarded loads, and now; and the contents that land."""
    disregarded: set[str] = set()
    for when in range(4):
        api.set_rows({"users": [user(key, name=content) for key in keys for content in keys[key][when]]})
        load_id = night(disregarded_loads={"users": disregarded}).load_id
        disregarded |= {load_id} if when in (1, 2) else set()
    landed = connection.execute(
        "select key, string_agg(coalesce(payload ->> 'name', 'gone'), '' order by version_seq) from staging.users"
        " where _dlt_load_id = %s group by 1",
        [load_id],
    )
    assert dict(landed) == {f"[{key}]": contents for key, (*_, contents) in keys.items() if contents}
    assert figures(night(disregarded_loads={"users": disregarded}))[2:4] == (0, 0)


def test_an_empty_endpoint_has_its_table_after_the_first_night(api, night, connection):
    night()
    for table in DATA_TABLES:
        assert connection.execute(f"select key, payload, version_seq from staging.{table}").fetchall() == []
    totals = connection.execute("select table_name, total from staging.scans order by table_name").fetchall()
    assert totals == [("listen_history", 0), ("tracks", 0), ("users", 0)]


def test_versions_are_numbered_in_the_order_of_landing_also_after_the_working_folder_was_wiped(
    api, night, connection, tmp_path
):
    for number in range(3):
        api.set_rows({"users": [user(1, name=str(number)), user(2)]})
        night(working_folder=tmp_path / f"wiped {number}")
    names = connection.execute("select payload->>'name' from staging.users where key = '[1]' order by version_seq")
    assert [name for (name,) in names] == ["0", "1", "2"]
    loads = connection.execute("select _dlt_load_id from staging.scans order by version_seq").fetchall()
    assert loads == sorted(loads) and len(loads) == 9


def test_extract_owns_its_indexes(api, night, connection):
    night()
    night()
    found = connection.execute("select indexname from pg_indexes where schemaname = 'staging'").fetchall()
    names = {name for (name,) in found}
    assert {f"{table}_{suffix}" for table in DATA_TABLES for suffix in ("versions", "load")} <= names


TORTURE = [
    b'{"id":1,"a":1.10,"b":123456789012345678901234567890,"c":1e400,"d":-0,"e":18446744073709551616}',
    '{"id":2,"text":"","null":null,"emoji":"😀 \u2028","long":"%s"}'.encode() % (b"x" * 100_000),
    b'{"id":3,"camelCase":1,"select":2,"UPPER":{"nested":[[1,[2]],{}]},"":"empty name"}',
    b'{"id":4,"quotes":"a\\"b\\\\c\\/d","lines":"\\r\\n\\t","comma":",,,","dot":"\\\\."}',
    b'{"id":5,\r\n  "pretty": [1,\r\n 2] }',
    b'{"id":6,"sql":"\'; drop table staging.users; --","html":"<b>","formula":"=1+1"}',
    b'{"id":7,"surrogates":"\\ud83d\\ude00","backslash":"\\\\u0000"}',
    b'{"id":8,"float":0.1,"tiny":1e-7,"items":["a",1,null,true,{"b":[]}]}',
]


def test_extreme_rows_are_read_back_equal(api, night, connection):
    api.set_rows({"users": TORTURE})
    extracted = night()
    assert figures(extracted) == (len(TORTURE), 0, len(TORTURE), 0, 0)
    assert live_rows(connection, "users") == payloads(connection, TORTURE)
    number = connection.execute("select payload->>'a' from staging.users where key = '[1]'").fetchone()[0]
    assert number == "1.10"


UNREADABLE = [
    b'{"id":101,"a":"\\u0000"}',
    b'{"id":102,"a":"\\ud800"}',
    b'{"id":103,"a":1e131000}',
    b'{"id":104,"a":1,"a":2}',
    b'{"id":105,"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"id":106,"a":NaN}',
    b'{"id":107,"a":"\xff"}',
]


@pytest.mark.parametrize(
    "drifted",
    [
        {"id": 1, "name": "a", "plays": 3, "mood": {"of": ["the", "day"]}},
        {"id": 1, "name": "a", "plays": "three"},
        {"id": 1, "name": ["a"], "plays": None},
        {"id": 1, "name": "a"},
        {"id": 1},
    ],
    ids=["a new field", "a number becomes text", "text becomes a list", "a field disappears", "all fields disappear"],
)
def test_a_row_with_a_drifted_schema_lands_unchanged_and_the_gate_checks_it(api, night, connection, drifted):
    api.set_rows({"users": [{"id": 1, "name": "a", "plays": 3}, user(2)]})
    night()
    api.set_rows({"users": [drifted, user(2)]})
    assert figures(night()) == (2, 1, 1, 0, 0)
    assert live_rows(connection, "users") == payloads(connection, [drifted, user(2)])


def test_a_key_field_that_changes_its_type_is_another_key(api, night, connection):
    api.set_rows({"users": [{"id": 1}, {"id": 2}]})
    night()
    api.set_rows({"users": [{"id": "1"}, {"id": 2}]})
    assert figures(night()) == (2, 1, 1, 1, 0)
    assert sorted(live_rows(connection, "users")) == ['["1"]', "[2]"]


def test_a_row_that_jsonb_cannot_hold_is_set_aside_once_and_the_run_succeeds(api, night, connection):
    api.set_rows({"users": [*UNREADABLE, user(1), user(2)]})
    extracted = night()
    assert figures(extracted) == (9, 0, 2, 0, 7)
    rows = connection.execute("select key, raw, reason from staging.unreadable_rows order by key").fetchall()
    assert [key for key, _, _ in rows] == [f"[{number}]" for number in range(101, 108)]
    assert [raw for _, raw, _ in rows[:6]] == [row.decode() for row in UNREADABLE[:6]]
    assert rows[6][1] == '{"id":107,"a":"\\xff"}'
    assert figures(night()) == (9, 2, 0, 0, 7)
    assert staged(connection)["unreadable_rows"] == 7
    assert_accounts_hold(connection)


ROW_BYTES = Limits().row_bytes


def fill_row(number: int, pattern: bytes, separator: bytes = b",", brackets: bytes = b"[]") -> bytes:
    """Return a row of the maximum size; field `a` is filled with copies of `pattern` (`%d`: the number of the copy)."""
    start, end = b'{"id":%d,"a":%b' % (number, brackets[:1]), brackets[1:] + b"}"
    copy = pattern % 9_999_999 if b"%d" in pattern else pattern
    copies = (ROW_BYTES - len(start) - len(end)) // (len(copy) + len(separator))
    inner = separator.join(pattern % (1_000_000 + at) if b"%d" in pattern else pattern for at in range(copies))
    return start + inner + end


def test_texts_set_aside_earlier_take_little_memory_and_are_not_stored_twice(api, night, connection):
    bad = [b'{"id":%d,"a":NaN}' % number for number in range(4)]
    api.set_rows({"users": [bad[0], bad[1], bad[1]]})
    night()
    connection.execute(
        "insert into staging.unreadable_rows"
        " (table_name, raw, reason, content_hash, _dlt_load_id, _dlt_id)"
        " select 'users', '', '', md5(number::text), load_id, number"
        " from staging._dlt_loads, generate_series(1, 100000) as number"
    )
    api.set_rows({"users": [bad[2], *bad, bad[2]], "tracks": [bad[0]]})
    night()
    assert connection.execute(
        "select table_name, raw from staging.unreadable_rows where key is not null order by 1, 2"
    ).fetchall() == [("tracks", bad[0].decode()), *(("users", row.decode()) for row in bad)]
    tracemalloc.start()
    try:
        known = delivered.unreadable_contents(connection, "users")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(known) == 100_004
    assert peak < 80 * len(known)


def test_the_largest_rows_of_every_kind_land_and_are_readable_and_larger_ones_are_set_aside(api, night, connection):
    kinds = [
        fill_row(1, b"0"),
        fill_row(2, b"[]"),
        fill_row(3, b"{}"),
        fill_row(4, b'""'),
        fill_row(5, b'"%d":0', brackets=b"{}"),
        fill_row(6, b'{"":[[]]}'),
        fill_row(7, b"\\n", b"", brackets=b'""'),
        b'{"id":8,"a":[%b]}' % b",".join([b"1e999"] * 1000),
        b'{"id":9,"a":[%b]}' % b",".join([b"1e999"] * 2000),
        fill_row(10, b"1e999"),
        b'{"id":11,"a":[%b]}' % b",".join([b"0"] * 2_000_000),
    ]
    api.set_rows({"users": kinds})
    limits = dataclasses.replace(QUICK, page_bytes=64 * 1024 * 1024)
    assert figures(night(batch_size=100, limits=limits)) == (11, 0, 8, 0, 3)
    written = connection.execute(
        "select key, length(payload ->> 'a'), length(payload::text) from staging.users order by version_seq"
    ).fetchall()
    assert [key for key, _, _ in written] == [f"[{number}]" for number in range(1, 9)]
    # Postgres writes a blank after each comma and colon, and an escape as its character.
    assert all(length <= 2 * ROW_BYTES for _, *lengths in written for length in lengths)
    aside = connection.execute("select key, length(raw), reason from staging.unreadable_rows order by key").fetchall()
    assert [key for key, _, _ in aside] == ["[10]", "[11]", "[9]"]
    assert [length for _, length, _ in aside] == [len(kinds[9]), ROW_BYTES, len(kinds[8])]
    assert all("limit MAX_ROW_BYTES" in reason for _, _, reason in aside)


def test_a_key_whose_row_became_unreadable_is_neither_removed_nor_changed(api, night, connection):
    api.set_rows({"users": [user(1), user(2)]})
    night()
    api.set_rows({"users": [user(1), b'{"id":2,"a":"\\u0000"}']})
    assert figures(night()) == (2, 1, 0, 0, 1)
    assert live_rows(connection, "users") == payloads(connection, [user(1), user(2)])
    api.set_rows({"users": [user(1), user(2)]})
    assert figures(night()) == (2, 2, 0, 0, 0)


def test_rows_without_a_key_land_and_the_gate_checks_them(api, night, connection):
    api.set_rows({"users": [b'{"name":"a"}', b'{"name":"b"}', b"5", user(1)]})
    assert figures(night()) == (4, 0, 4, 0, 0)
    assert sorted(live_rows(connection, "users")) == ["[1]", "[null]"]
    assert figures(night()) == (4, 4, 0, 0, 0)


def test_progress_is_reported_after_every_page(api, night):
    api.set_rows({"users": [user(number) for number in range(8)]})
    calls = []
    night(progress=lambda table, rows, total: calls.append((table, rows, total)))
    users = [(rows, total) for table, rows, total in calls if table == "users"]
    assert len(users) == 3 and users[-1] == (8, 8) and len(calls) == 5


def test_two_databases_keep_separate_files_in_one_working_folder(api, night, connection, database_url, working_folder):
    api.set_rows({"users": [user(1)]})
    night()
    with psycopg.connect(database_url, autocommit=True) as server:
        server.execute("create database beside")
    try:
        other = database_url.rsplit("/", 1)[0] + "/beside"
        migrate_url(other)
        extracted = extraction.run(other, api.url, working_folder=working_folder, limits=QUICK)
        assert figures(extracted) == (1, 0, 1, 0, 0)
        assert len(list(working_folder.iterdir())) == 2
    finally:
        with psycopg.connect(database_url, autocommit=True) as server:
            server.execute("drop database beside with (force)")


def test_no_row_and_no_password_is_left_in_the_working_folder_after_a_run(
    api, night, database_url, working_folder, tmp_path
):
    api.set_rows({"users": [user(1, email="planted@example.org")]})
    night()
    secret = conninfo_to_dict(database_url).get("password")
    files = [file for file in working_folder.rglob("*") if file.is_file()]
    assert files
    for file in files:
        content = file.read_bytes()
        assert b"planted" not in content, file
        assert not secret or secret.encode() not in content, file


def test_dlt_reads_only_our_settings_and_sends_no_telemetry(api, night, connection, tmp_path, monkeypatch):
    (tmp_path / "home" / ".dlt").mkdir(parents=True)
    for name in ("config.toml", "secrets.toml"):
        (tmp_path / "home" / ".dlt" / name).write_text("this is not toml")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS__DATABASE", "elsewhere")
    monkeypatch.setenv("NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_ID", "false")
    monkeypatch.chdir(tmp_path / "home")
    api.set_rows({"users": [user(1)]})
    night()
    assert staged(connection)["users"] == 1
    assert not Container()[PluggableRunContext].context.runtime_config.dlthub_telemetry


@pytest.mark.parametrize("query", ["?application_name=my%20app&connect_timeout=5", "?options=-c%20work_mem%3D7MB"])
def test_parameters_of_the_database_url_reach_dlt_unchanged(
    api, night, database_url, connection, query, working_folder
):
    connection.execute("create table seen (application_name text, work_mem text)")
    api.set_rows({"users": [user(1)]})
    night()
    connection.execute(
        "create function note() returns trigger language plpgsql as $$ begin insert into seen values"
        " (current_setting('application_name'), current_setting('work_mem')); return null; end $$"
    )
    connection.execute("create trigger note after insert on staging.users execute function note()")
    api.set_rows({"users": [user(2)]})
    extraction.run(database_url + query, api.url, working_folder=working_folder, limits=QUICK)
    seen = set(connection.execute("select * from seen").fetchall())
    usual = connection.execute("show work_mem").fetchone()[0]
    assert seen == {("my app", usual) if "my" in query else ("moovitamix-elt-extract", "7MB")}


def test_a_password_with_every_special_character_works(api, database_url, connection, working_folder):
    connection.execute("create role \"o'd d\" login superuser password ' p@ss:w/o?r&d=%+#é '")
    try:
        parts = conninfo_to_dict(database_url)
        url = (
            f"postgres://o%27d%20d:%20p%40ss%3Aw%2Fo%3Fr%26d%3D%25%2B%23%C3%A9%20"
            f"@{parts['host']}:{parts['port']}/{parts['dbname']}"
        )
        api.set_rows({"users": [user(1)]})
        extracted = extraction.run(url, api.url, working_folder=working_folder, limits=QUICK)
        assert figures(extracted) == (1, 0, 1, 0, 0)
    finally:
        connection.execute('reassign owned by "o\'d d" to current_user')
        connection.execute('drop role "o\'d d"')


@pytest.mark.parametrize(
    "arguments",
    [{"batch_size": 0}, {"batch_size": 101}, {"window": 0}, {"window": 65}]
    + [
        {"api_base_url": url}
        for url in (
            "",
            "localhost:8000",
            "ftp://host",
            "http://",
            "http://u:p@host",
            "http://host?x=1",
            "http://host/?",
            "http://host/#",
            "http://ho st",
            "http://ho<st",
            "http://h\tost",
            "http://host/a b",
        )
    ],
)
def test_wrong_settings_are_refused_before_the_first_request(api, night, arguments):
    with pytest.raises(SettingError) as refused:
        night(**arguments)
    assert "\n" not in str(refused.value) and api.requests.total == 0


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda url: url.replace("/test", "/absent_test"), LandingError),
        (lambda url: "postgresql://postgres:s3cr%20et!x@127.0.0.1:9/db", LandingError),
        (lambda url: "postgresql://user:s3cr et!x@host/db?what", SettingError),
        (lambda url: "mysql://user:s3cr et!x@host/db", SettingError),
    ],
)
def test_an_unreachable_database_is_reported_in_one_line_without_the_password(
    api, database_url, working_folder, change, error
):
    with pytest.raises(error) as failed:
        extraction.run(change(database_url), api.url, working_folder=working_folder, limits=QUICK)
    message = str(failed.value)
    assert "\n" not in message and "s3cr" not in message and len(message) < 500
    assert api.requests.total == 0


def test_each_spelling_of_the_password_is_redacted():
    url = "postgresql://user:a%20b%2Fc@host/db"
    text = "a b/c, a%20b/c, a%20b%2Fc, a+b%2Fc"
    assert redact(text, url) == "***, ***, ***, ***"


def test_a_role_without_rights_gets_an_error_that_says_so(api, database_url, connection, working_folder):
    connection.execute("create role powerless login password 'p0werless'")
    try:
        parts = conninfo_to_dict(database_url)
        url = f"postgresql://powerless:p0werless@{parts['host']}:{parts['port']}/{parts['dbname']}"
        with pytest.raises(LandingError, match="permission denied") as failed:
            extraction.run(url, api.url, working_folder=working_folder, limits=QUICK)
        assert "\n" not in str(failed.value) and "p0werless" not in str(failed.value)
    finally:
        connection.execute("drop role powerless")


def test_a_load_whose_rows_differ_from_the_sent_ones_is_withdrawn(api, night, connection):
    api.set_rows({"users": [user(1)]})
    night()
    connection.execute("create function lose() returns trigger language plpgsql as $$ begin return null; end $$")
    connection.execute("create trigger lose before insert on staging.users for each row execute function lose()")
    api.set_rows({"users": [user(1), user(2)]})
    with pytest.raises(LandingError, match="users holds 0 rows"):
        night()
    assert staged(connection) == {
        "users": 1, "tracks": 0, "listen_history": 0, "scans": 3, "unreadable_rows": 0, "_dlt_loads": 1,
    }  # fmt: skip
    connection.execute("drop trigger lose on staging.users")
    assert figures(night()) == (2, 1, 1, 0, 0)


def test_a_new_source_table_is_one_entry(api, night, connection, monkeypatch):
    api.set_rows({"users": [user(1)], "tracks": [{"id": 5}, {"id": 6}]})
    more = (*SOURCE_TABLES, SourceTable("songs", "/tracks", ("id",)))
    for module in ("extraction", "recovery"):
        monkeypatch.setattr(f"extract.{module}.SOURCE_TABLES", more)
    connection.execute("create table staging.songs (like staging.users including all)")
    extracted = night()
    assert figures(extracted, "songs") == (2, 0, 2, 0, 0)
    assert sorted(live_rows(connection, "songs")) == ["[5]", "[6]"]


def test_an_extraction_returns_all_columns_of_its_scans(api, night, connection):
    extracted = night()
    names = [field.name for field in dataclasses.fields(Scan)]
    stored = connection.execute(f"select {', '.join(names)} from staging.scans where table_name = 'users'").fetchone()
    assert stored == dataclasses.astuple(extracted.scans["users"])


def test_the_working_folder_may_be_relative(api, database_url, connection, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    extraction.run(database_url, api.url, working_folder=Path("here"), limits=QUICK)
    assert len(list((tmp_path / "here").iterdir())) == 1
