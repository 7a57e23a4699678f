"""Test planted faults: each is caught by exactly its rule; unusual but valid rows are published."""

import importlib
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.integration.expectations.warehouse import ABSENT, Row, Warehouse, document, track, user

TABLES = ("users", "tracks", "listen_history")
A_DAY_AFTER_THE_SCAN = "2026-03-02T12:00:00"


class Fault(NamedTuple):
    """Hold rows that break `rules`; `detail` is the quarantine's detail of the first one (its own key: `...`)."""

    table: str
    rows: list[Row | str]
    rules: set[str]
    detail: object = ...


def faulty_times(table: str, make) -> Iterator[tuple[str, Fault]]:
    no_times = {
        "absent": ABSENT,
        "null": None,
        "yesterday": "yesterday",
        "infinity": "infinity",
        "a number": 20260101,
        "a list": ["2026-01-01T10:00:00"],
        "empty": "",
        "only a date": "2026-01-01",
        "30 February": "2026-02-30T10:00:00",
        "29 February of a common year": "2026-02-29T10:00:00",
        "31 November": "2026-11-31T10:00:00",
        "month 13": "2026-13-01T10:00:00",
        "hour 24": "2026-01-01T24:00:00",
        "second 60": "2026-01-01T10:00:60",
        "year 0": "0000-01-01T10:00:00",
        "year 10000": "10000-01-01T10:00:00",
        "zone +15": "2026-01-01T10:00:00+15:00",
        "an endless fraction": "2026-01-01T10:00:00." + "1" * 200,
        "a line end": "2026-01-01T10:00:00\n",
        "a space before": " 2026-01-01T10:00:00",
        "other digits": "٢٠٢٦-01-01T10:00:00",
    }
    future = {
        "a moment too late": "2026-03-02T12:00:00.000001",
        "too late in its zone": "2026-03-02T11:00:01-01:00",
        "year 2999": "2999-01-01T00:00:00",
    }
    number = 1000
    for column in ("created_at", "updated_at"):
        for what, value in {**no_times, **future}.items():
            number += 1
            rule = f"{column}_is_a_time" if what in no_times else f"{column}_is_not_in_the_future"
            detail = None if value is ABSENT else ...
            yield f"{table} {column} {what}", Fault(table, [make(number, **{column: value})], {rule}, detail)


def faulty_ids(table: str, make, column: str) -> Iterator[tuple[str, Fault]]:
    for what, (value, detail) in {
        "text": ("7", '"7"'),
        "a fraction": (1.5, "1.5"),
        "2^63": (2**63, "9223372036854775808"),
        "true": (True, "true"),
        "a list": ([7], "[7]"),
        "an object": ({"id": 7}, '{"id": 7}'),
        "text that is SQL": ("1'); drop table gate.loads; --", '"1\'); drop table gate.loads; --"'),
    }.items():
        yield f"{table} {column} {what}", Fault(table, [make(value)], {f"{column}_is_a_whole_number"}, detail)


FAULTS = dict(
    [
        *faulty_ids("users", user, "id"),
        ("users id absent", Fault("users", [user(ABSENT)], {"id_is_a_whole_number"}, None)),
        *faulty_ids("tracks", track, "id"),
        ("tracks id null", Fault("tracks", [track(None)], {"id_is_a_whole_number"}, "null")),
        *faulty_ids("listen_history", document, "user_id"),
        (
            "listen_history user_id absent",
            Fault("listen_history", [document(ABSENT)], {"user_id_is_a_whole_number"}, None),
        ),
        (
            "listen_history user_id null",
            Fault(
                "listen_history",
                [document(None, created_at="2026-01-05T10:00:00")],
                {"user_id_is_a_whole_number"},
                "null",
            ),
        ),
        *faulty_times("users", user),
        *faulty_times("tracks", track),
        *faulty_times("listen_history", document),
        *(
            (f"users email {value!r}", Fault("users", [user(2000 + number, email=value)], {"email_is_an_address"}))
            for number, value in enumerate(
                (
                    None,
                    "",
                    "nobody",
                    "nobody@home",
                    "@example.org",
                    "ada@",
                    "ada@@example.org",
                    "ada@example.org,bob@example.org",
                    "ada@.org",
                    "ada@example..org",
                    "ada@example.",
                    "ada lovelace@example.org",
                    "ada@exam ple.org",
                    " ada@example.org",
                    "ada@example.org\n",
                    "ada\tb@example.org",
                    'ada"@example.org',
                    "ada\\b@example.org",
                    5,
                    ["ada@example.org"],
                )
            )
        ),
        (
            "users email absent",
            Fault("users", [user(2100, email=ABSENT)], {"required_fields_are_present"}, "email"),
        ),
        (
            "users several fields absent",
            Fault(
                "users",
                [user(2101, gender=ABSENT, first_name=ABSENT)],
                {"required_fields_are_present"},
                "first_name, gender",
            ),
        ),
        *(
            (
                f"{table} {field} {value!r}",
                Fault(table, [make(number, **{field: value})], {"text_fields_hold_text"}, field),
            )
            for table, make, number, field, value in (
                ("users", user, 2200, "first_name", 5),
                ("users", user, 2201, "last_name", ["Brown"]),
                ("users", user, 2202, "gender", True),
                ("users", user, 2203, "favorite_genres", {"first": "Rock"}),
                ("tracks", track, 2204, "name", 5),
                ("tracks", track, 2205, "artist", ["Band"]),
                ("tracks", track, 2206, "songwriters", False),
                ("tracks", track, 2207, "genres", ["Rock"]),
                ("tracks", track, 2208, "album", 1.5),
            )
        ),
        *(
            (
                f"tracks {field} absent",
                Fault("tracks", [track(number, **{field: ABSENT})], {"required_fields_are_present"}, field),
            )
            for number, field in enumerate(("name", "artist", "songwriters", "genres", "album"), start=2300)
        ),
        *(
            (
                f"tracks duration {'absent' if value is ABSENT else repr(value)}",
                Fault(
                    "tracks",
                    [track(2400 + number, duration=value)],
                    {"duration_is_mm_ss"},
                    None if value is ABSENT else ...,
                ),
            )
            for number, value in enumerate(
                (
                    ABSENT,
                    None,
                    "",
                    "abc",
                    "4:42",
                    "04:60",
                    "004:42",
                    "-1:00",
                    "01:04:42",
                    "04:42.5",
                    " 04:42",
                    "04:42\n",
                    282,
                    ["04:42"],
                    "٠٤:4٢",
                )
            )
        ),
        *(
            (
                f"listen_history items {value!r}",
                Fault("listen_history", [document(2500 + number, items=value)], {"items_are_track_ids"}),
            )
            for number, value in enumerate(
                (
                    "1,2",
                    5,
                    True,
                    {"1": 1},
                    [1, "2"],
                    [1, None],
                    [1, True],
                    [1, 1.5],
                    [1, [2]],
                    [[]],
                    [{"id": 1}],
                    [2**63],
                    [10**30],
                )
            )
        ),
        (
            "listen_history items absent",
            Fault("listen_history", [document(2600, items=ABSENT)], {"required_fields_are_present"}, "items"),
        ),
        *(
            (f"{table} twice with different content", Fault(table, rows, {"key_comes_once"}))
            for table, rows in {
                "users": [user(2700), user(2700, gender="Male")],
                "tracks": [track(2700), track(2700, album="Another"), track(2700, album="A third")],
                "listen_history": [document(2700), document(2700, items=[1])],
            }.items()
        ),
        (
            "users with several faults",
            Fault(
                "users",
                [user(2800, email="nobody", created_at="yesterday", updated_at="2999-01-01T00:00:00")],
                {"email_is_an_address", "created_at_is_a_time", "updated_at_is_not_in_the_future"},
            ),
        ),
    ]
)

# Unusual rows that break no rule, or only info rules.
SOUND = {
    "users": [
        user(0),
        user(-1),
        user(2**63 - 1),
        user(10, updated_at="2025-01-01T00:00:00", created_at="2026-01-01T00:00:00"),
        user(11, first_name="", last_name="", gender="", favorite_genres=""),
        user(12, first_name=None, last_name=None, gender=None, favorite_genres=None),
        user(13, first_name="李 🎧", last_name="O'Brien\"; drop table users; --", gender="%s {x} \\ \n <b>"),
        user(14, email="é+x.y'z@bücher.example"),
        user(15, email="ada@a.b.c.example.co.uk"),
        user(16, created_at="2026-01-01T10:00:00+05:30", updated_at="2026-01-01T10:00:00Z"),
        user(17, created_at="2026-01-01 10:00", updated_at="2026-01-01T10:00:00.123456789-0330"),
        user(18, created_at="2024-02-29T23:59:59", updated_at="0001-01-01T00:00:00"),
        user(19, created_at=A_DAY_AFTER_THE_SCAN, updated_at="2026-03-02T13:00:00+01:00"),
        user(20, nickname="Countess"),
        user(21, first_name="A" * 100_000),
    ],
    "tracks": [
        track(1),
        track(-1),
        track(10, duration="00:00"),
        track(11, duration="99:59"),
        track(12, name=None, artist=None, songwriters=None, genres=None, album=None),
        track(13, genres=" ,, ROCK,rock "),
        track(14, created_at="2026-01-01T00:00:00", updated_at="2025-01-01T00:00:00"),
    ],
    "listen_history": [
        document(0),
        document(-1),
        document(10, items=[]),
        document(11, items=None),
        document(12, items=[-1, 0, 2**63 - 1, -(2**63), 1.0]),
        document(13, items=[1] * 5000),
        document(14, items=[1], listener="app"),
    ],
}


class TableVerdict(NamedTuple):
    """Hold the verdict on a table with all of its faults and valid rows."""

    published: list[str]
    rules: dict[str, set[str]]
    details: dict[tuple[str, str], set[str | None]]


def plant(warehouse: Warehouse) -> None:
    warehouse.land(
        {
            table: [*SOUND[table], *(row for fault in FAULTS.values() if fault.table == table for row in fault.rows)]
            for table in TABLES
        }
    )


@pytest.fixture(scope="module")
def planted(new_warehouse) -> dict[str, TableVerdict]:
    with new_warehouse() as warehouse:
        plant(warehouse)
        verdicts = warehouse.check()
        assert {verdict.state for verdict in verdicts.values()} == {"accepted_with_quarantine"}, verdicts
        found = {}
        for table in TABLES:
            quarantined = warehouse.rows(
                "select key, rule, detail from gate.quarantined_rows where table_name = %s", table
            )
            rules, details = {}, {}
            for key, rule, detail in quarantined:
                rules.setdefault(key, set()).add(rule)
                details.setdefault((key, rule), set()).add(detail)
            found[table] = TableVerdict(warehouse.published(table), rules, details)
        return found


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_quarantined_by_exactly_its_rule(name, planted):
    fault = FAULTS[name]
    results = planted[fault.table]
    for row in fault.rows:
        key = Warehouse.key(fault.table, row)
        assert results.rules.get(key) == fault.rules
        assert key not in results.published
        for rule in fault.rules:
            if fault.detail is not ...:
                assert results.details[key, rule] == {fault.detail}
            else:
                assert None not in results.details[key, rule], "something is there, and the operator wants to see it"


@pytest.mark.parametrize("table", TABLES)
def test_valid_and_unusual_rows_are_published(table, planted):
    assert planted[table].published == sorted(Warehouse.key(table, row) for row in SOUND[table])


def test_absent_null_and_malformed_values_are_distinguished(warehouse):
    values = {"[1]": ABSENT, "[2]": None, "[3]": "yesterday", "[4]": "null", "[5]": ""}
    warehouse.land({"users": [user(number, created_at=value) for number, value in enumerate(values.values(), start=1)]})
    warehouse.check()
    details = dict(warehouse.rows("select key, detail from gate.quarantined_rows"))
    assert details == {"[1]": None, "[2]": "null", "[3]": '"yesterday"', "[4]": '"null"', "[5]": '""'}


@pytest.mark.parametrize("text", ["5", "null", "true", '"first_name"', "[]", '["first_name", "email"]', "{}"])
@pytest.mark.parametrize("table", TABLES)
def test_a_row_that_is_no_object_is_quarantined(table, text, warehouse):
    warehouse.land({table: [text, {"users": user, "tracks": track, "listen_history": document}[table](5)]})
    assert warehouse.check()[table].state == "accepted_with_quarantine"
    assert len(warehouse.published(table)) == 1
    id_rule = "user_id_is_a_whole_number" if table == "listen_history" else "id_is_a_whole_number"
    details = dict(warehouse.rows("select rule, detail from gate.quarantined_rows"))
    assert {id_rule, "created_at_is_a_time", "updated_at_is_a_time"} <= details.keys()
    assert (
        details["required_fields_are_present"]
        == {
            "users": "first_name, last_name, gender, favorite_genres, email",
            "tracks": "name, artist, songwriters, genres, album",
            "listen_history": "items",
        }[table]
    ), "what is no object has none of the fields"


def test_any_number_of_bad_rows_is_quarantined(warehouse):
    warehouse.land(
        {"users": [user(number, email="nobody" if number <= 2500 else "a@b.org") for number in range(1, 13001)]}
    )
    verdict = warehouse.check()["users"]
    assert (verdict.state, verdict.rows_quarantined) == ("accepted_with_quarantine", 2500)
    assert warehouse.rows("select count(*) from gate.quarantined_rows where rule = 'email_is_an_address'") == [(2500,)]
    assert len(warehouse.published()) == 10_500


# The facts that rules of severity info record, in one load per table.
WORTH_KNOWING = {
    "users": (
        [
            user(1, first_name=None, last_name=None, gender=None, favorite_genres=None),
            user(2, first_name=None, updated_at="2025-01-01T00:00:00"),
            user(3, nickname="Countess", age=36),
        ],
        {
            "first_name_is_not_null": 2,
            "last_name_is_not_null": 1,
            "gender_is_not_null": 1,
            "favorite_genres_is_not_null": 1,
            "updated_at_is_not_before_created_at": 1,
            "fields_are_known": 1,
        },
    ),
    "tracks": (
        [
            track(1, name=None, artist=None, songwriters=None, genres=None, album=None),
            track(2, album=None, updated_at="2025-01-01T00:00:00"),
            track(3, tempo=120),
        ],
        {
            "name_is_not_null": 1,
            "artist_is_not_null": 1,
            "songwriters_is_not_null": 1,
            "genres_is_not_null": 1,
            "album_is_not_null": 2,
            "updated_at_is_not_before_created_at": 1,
            "fields_are_known": 1,
        },
    ),
    "listen_history": (
        [
            document(1, items=None, updated_at="2025-01-01T00:00:00"),
            document(2, items=[1, 99, 99, 98], device="phone"),
            document(99),
            document(98, items=[3, 97]),
            # of which track 1 and no other is known
            '{"user_id":1,"items":[1.0,10e-1],"created_at":"2026-01-03T10:00:00","updated_at":"2026-01-04T10:00:00"}',
            '{"user_id":1,"items":[1.0,98.0],"created_at":"2026-01-04T10:00:00","updated_at":"2026-01-05T10:00:00"}',
        ],
        {
            "items_is_not_null": 1,
            "updated_at_is_not_before_created_at": 1,
            "fields_are_known": 1,
            "user_is_known": 2,
            "tracks_are_known": 3,
        },
    ),
}


@pytest.fixture(scope="module")
def planted_warehouse(new_warehouse) -> Iterator[Warehouse]:
    """Yield a warehouse with all faults, to be checked by changed suites."""
    with new_warehouse() as warehouse:
        plant(warehouse)
        yield warehouse


@pytest.fixture(scope="module")
def informed(new_warehouse) -> Iterator[Warehouse]:
    with new_warehouse() as warehouse:
        warehouse.land({table: rows for table, (rows, _) in WORTH_KNOWING.items()})
        yield warehouse


def rows_by_failed_rule(warehouse: Warehouse, table: str, severity: str) -> dict[str, int]:
    """Return the number of rows per failed rule in the ledger, for the table's newest load."""
    ((verdict,),) = warehouse.rows(
        "select verdict from gate.loads where table_name = %s order by load_id desc limit 1", table
    )
    return {rule["rule"]: rule["rows"] for rule in verdict["failed_rules"] if rule["severity"] == severity}


@pytest.mark.parametrize("table", TABLES)
def test_info_rules_are_counted_in_the_verdict_and_quarantine_no_row(table, informed):
    check_again(informed, table)
    rows, expected = WORTH_KNOWING[table]
    assert rows_by_failed_rule(informed, table, "info") == expected
    assert rows_by_failed_rule(informed, table, "warning") == {}
    assert set(informed.states(table)) == {"accepted"}
    assert len(informed.published(table)) == len(rows)


def test_a_field_outside_the_contract_is_reported_once(warehouse):
    def reported(*rows: object) -> list[str]:
        warehouse.land({"users": list(rows)})
        (verdict,) = warehouse.check().values()
        return [
            example["detail"]
            for failed in verdict.failed_rules
            if failed.rule == "fields_are_known"
            for example in failed.examples
        ]

    long = "x" * 3000
    assert reported(user(1, age=36), user(2, age=40, pet=None)) == ["age", "age, pet"]
    assert reported(user(1, age=37), user(2, age=41, pet="cat")) == []
    assert reported(user(3, age=1, pet="dog", **{long: 1})) == [long[:200]]
    assert reported(user(4, **{long: 2}), user(5)) == []
    warehouse.land({"tracks": [track(1, age=2)]})
    assert [failed.rule for failed in warehouse.check()["tracks"].failed_rules] == ["fields_are_known"], "another table"


def check_again(warehouse: Warehouse, table: str) -> None:
    """Delete all results of the gate for the table, and let it check the table again."""
    for relation in ("publications", "quarantined_rows", "known_fields", "loads"):
        warehouse.execute(f"delete from gate.{relation} where table_name = %s", table)
    assert table in warehouse.check()


CAUGHT_BY_ONE_RULE = {(fault.table, *fault.rules) for fault in FAULTS.values() if len(fault.rules) == 1}
RECORDED = {(table, rule) for table, (_, rules) in WORTH_KNOWING.items() for rule in rules}


def test_there_is_a_fault_for_every_expectation():
    expectations = [
        (table, expectation.meta["rule"], expectation.severity.value)
        for table in TABLES
        for expectation in importlib.import_module(f"expectations.{table}").suite().expectations
    ]
    assert {(table, rule) for table, rule, severity in expectations if severity == "warning"} == CAUGHT_BY_ONE_RULE
    assert {(table, rule) for table, rule, severity in expectations if severity == "info"} == RECORDED
    assert len(expectations) == len(CAUGHT_BY_ONE_RULE | RECORDED), "a rule's name is its own"


def without(rule: str, make_suite):
    """Return the suite without one expectation."""

    def suite():
        made = make_suite()
        made.expectations = [expectation for expectation in made.expectations if expectation.meta["rule"] != rule]
        return made

    return suite


@pytest.mark.parametrize(("table", "rule"), sorted(CAUGHT_BY_ONE_RULE))
def test_without_its_expectation_a_fault_is_not_caught(table, rule, planted_warehouse, monkeypatch):
    module = importlib.import_module(f"expectations.{table}")
    monkeypatch.setattr(module, "suite", without(rule, module.suite))
    check_again(planted_warehouse, table)
    passed = {
        Warehouse.key(table, row)
        for fault in FAULTS.values()
        if fault.table == table and fault.rules == {rule}
        for row in fault.rows
    }
    assert passed <= set(planted_warehouse.published(table))


@pytest.mark.parametrize(("table", "rule"), sorted(RECORDED))
def test_without_its_expectation_a_fact_is_not_recorded(table, rule, informed, monkeypatch):
    module = importlib.import_module(f"expectations.{table}")
    monkeypatch.setattr(module, "suite", without(rule, module.suite))
    check_again(informed, table)
    assert rule not in rows_by_failed_rule(informed, table, "info")
