"""Test that the report shows the content of the ledgers, and no personal data."""

import datetime as dt
import html.parser
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg.types.json import Jsonb

from expectations import ledger
from monitoring import report_charts, run_history
from monitoring.formatting import size
from monitoring.run_history import NIGHTS_SHOWN
from sample_api.server import serve
from sample_api.world import snapshot
from tests.command import command
from tests.databases import database_copy, migrate
from tests.hostile_text import HOSTILE, obeyed
from tests.integration.monitoring import records
from tests.integration.pipeline.conftest import NEXT_DAY, WORLD
from tests.runs import run_pipeline
from warehouse.counts import count
from warehouse.errors import ExitCode
from warehouse.locks import RUN_LOCK

TABLES = ("users", "tracks", "listen_history")
PLANTED = "planted-in-a-row"
VOID = {"meta", "br", "wbr", "link", "img", "input", "hr"}


@dataclass
class Page(html.parser.HTMLParser):
    """Parse a page: its text with single spaces, its tags with their attributes, and the marked texts."""

    source: str
    pieces: list[str] = field(default_factory=list)
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    open_tags: list[str] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.source)
        assert self.open_tags == [], "what was opened is closed"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open_tags.append(tag)
        if tag == "mark":
            self.marks.append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open_tags.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open_tags:
            self.pieces.append(data)
        if "mark" in self.open_tags:
            self.marks[-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.pieces).split())

    @property
    def timeline(self) -> str:
        return self.text.partition(" Timeline ")[2].partition(" Time and memory ")[0]

    def attributes(self, name: str) -> list[str]:
        return [attrs[name] for _, attrs in self.tags if attrs.get(name) is not None]


def report(database_url: str, folder: Path, *arguments: str, **environment: str) -> Page:
    """Run `python -m pipeline report`, and return the page."""
    file = folder / "nights.html"
    ended = command("report", f"--output={file}", *arguments, DATABASE_URL=database_url, **environment)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"the report is written; open in a browser: {file}\n"
    return Page(file.read_text("utf-8"))


def next_step(database_url: str) -> str:
    return command("status", DATABASE_URL=database_url).out.splitlines()[-1].removeprefix("next: ")


def figure(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"


@dataclass(frozen=True)
class Night:
    """Hold the warehouse and its page after a night with blocked users and quarantined tracks; read only."""

    url: str
    connection: psycopg.Connection
    page: Page

    def column(self, query: str) -> list:
        """Return the only column of the query, with `run_id` of the night."""
        newest = "(select run_id from ops.runs order by run_seq desc limit 1)"
        return [value for (value,) in self.connection.execute(query.replace("run_id = it", f"run_id = {newest}"))]


@pytest.fixture(scope="module")
def night(postgres_url, built_template, tmp_path_factory) -> Iterator[Night]:
    world = snapshot(WORLD, NEXT_DAY)
    valid = [{**world.users[0], "id": number} for number in range(990001, 990010)]
    hostile = {**world.users[0], "id": 990099, "first_name": PLANTED, "email": PLANTED, "gender": None, PLANTED: 1}
    with (
        database_copy(postgres_url, built_template, "reported") as url,
        psycopg.connect(url, autocommit=True, application_name="test") as connection,
        serve(
            {**world.tables(), "users": [*world.users, *valid, hostile]},
            ["bad_rows@users=0.6/2", "bad_rows@tracks=0.1/1"],
        ) as api,
    ):
        connection.execute("update ops.steps set started_at = started_at - interval '3 days'")
        assert run_pipeline(url, api.url).exit_code == ExitCode.BLOCKED
        yield Night(url, connection, report(url, tmp_path_factory.mktemp("reported")))


def test_verdict_and_next_step_equal_those_of_the_run_and_of_status(night):
    (message,) = night.column("select message from ops.runs where run_id = it")
    blocked, _, advice = message.partition("; see the failed rules with: ")
    assert blocked.startswith("blocked: users (") and advice
    assert f"was blocked (exit code 4): {blocked.removeprefix('blocked: ')}; " in night.page.text
    assert "see the failed rules with" not in night.page.source, "the advice is beside the open load"
    step = next_step(night.url)
    assert step.startswith("see why the load was blocked: make gate ARGS=")
    assert f"Next: {step.replace(';', ' ;')}" in night.page.text, "each command is an element of its own"


def test_the_flow_from_the_api_to_the_marts_shows_the_counts_of_the_ledgers(night):
    extracted = (
        "select {} from ops.run_tables where run_id = it"
        " order by array_position(array['users', 'tracks', 'listen_history'], table_name)"
    )
    for words, name in {
        "read": "rows_read",
        "unchanged": "rows_unchanged",
        "unreadable": "rows_unreadable",
        "new or changed": "rows_landed",
        "removed": "rows_removed",
    }.items():
        expected = night.column(extracted.format(name))
        assert f" {words} {' '.join(map(figure, expected))} " in night.page.text, words
    quarantined = night.column(extracted.format(
        "(select rows_quarantined from ops.run_loads as checked where checked.run_id = run_tables.run_id"
        " and checked.table_name = run_tables.table_name)"
    ))  # fmt: skip
    changed = night.column(extracted.format("rows_landed + rows_removed"))
    assert changed[0] > quarantined[0] > 0 and quarantined[1] > 0 and quarantined[2] == 0
    assert f" quarantined {' '.join(map(figure, quarantined))} " in night.page.text
    assert f" blocked {changed[0] - quarantined[0]} 0 0 waiting 0 0 0 " in night.page.text
    assert f" published 0 {changed[1] - quarantined[1]} {changed[2]} " in night.page.text
    written = night.column(extracted.format(
        "(select rows_affected from ops.run_nodes where run_nodes.run_id = run_tables.run_id and node = table_name)"
    ))  # fmt: skip
    assert f" rows written to the mart {' '.join(map(figure, written))} " in night.page.text
    drawn = [label for label in night.page.attributes("aria-label") if label.startswith("users: ")]
    assert f"{quarantined[0]} quarantined, {changed[0] - quarantined[0]} blocked" in drawn[0]


def test_quarantined_rows_are_shown_with_rule_severity_and_count(night):
    rules = night.connection.execute("""
        select table_name, rule, severity, rows_failed from ops.run_rules
        where run_id = (select run_id from ops.runs order by run_seq desc limit 1)
    """).fetchall()
    assert {severity for _, _, severity, _ in rules} >= {"warning", "info"}
    for table, rule, severity, rows in rules:
        expected = rf" {table} {rule.replace('_', ' ')} \S+ (quarantined|noted|blocked) {severity} {rows:,} "
        assert re.search(expected, night.page.text), expected
    waiting = night.connection.execute("""
        select table_name, rule, count(*) from gate.quarantined_rows where closed_at is null group by 1, 2
    """).fetchall()
    assert waiting
    for table, rule, rows in waiting:
        of_table = night.page.text.partition("Open quarantine")[2].partition(f" {table} ")[2]
        assert re.search(rf"{rule.replace('_', ' ')} \d+ min ago {rows:,} ", of_table), rule


def test_an_open_load_is_shown_with_the_commands_that_resolve_it(night):
    ((load, reason),) = night.connection.execute("select load_id, reason from gate.loads where state = 'blocked'")
    assert f"blocked users load {load} {reason}" in night.page.text
    assert f'make gate ARGS="show {load}"' in night.page.text
    assert f"make gate ARGS=\"release {load} users --reason '...'\"" in night.page.text


def test_each_table_is_as_fresh_as_its_newest_published_and_built_extraction(night):
    seen = dict(
        night.connection.execute("""
            select table_name, max(steps.started_at) at time zone 'UTC'
            from ops.run_tables
            inner join gate.loads using (load_id, table_name)
            inner join ops.steps using (run_id)
            where loads.state <> 'blocked' and steps.step = 'extract'
            group by 1
        """)
    )
    assert set(seen) == set(TABLES)
    for table, moment in seen.items():
        ago = r"3 days ago" if table == "users" else r"\d+ min ago"
        expected = f"state of the API on {moment:%a} {moment.day} {moment:%b %Y, %H:%M}"
        stale = " ▲ stale" if table == "users" else ""
        assert re.search(rf" {table} {ago} {expected}{stale} (tracks|listen_history|The last)", night.page.text), table


def test_costs_sizes_and_nulls_equal_those_of_the_ledgers(night):
    ((seconds, cpu, memory),) = night.connection.execute("""
        select extract(epoch from finished_at - started_at), cpu_seconds, peak_memory_bytes
        from ops.runs order by run_seq desc limit 1
    """)
    assert f" took {seconds:.1f} s " in night.page.text and f" processor {cpu:.1f} s " in night.page.text
    assert f" peak memory {size(memory)} " in night.page.text
    grown = night.connection.execute("""
        select relation, rows, rows - rows_before from ops.run_growth
        where run_id = (select run_id from ops.runs order by run_seq desc limit 1)
    """).fetchall()
    assert {more > 0 for _, _, more in grown} == {True, False}
    for relation, rows, more in grown:
        expected = f"{'+' if more > 0 else '−'}{abs(more):,}" if more else "±0"
        assert f" {relation} {rows:,} {expected} " in night.page.text, relation
    ((nulls, rows),) = night.connection.execute("""
        select nulls, rows from ops.run_columns
        where run_id = (select run_id from ops.runs order by run_seq desc limit 1) and column_name = 'gender'
    """)
    assert nulls and f" gender {report_charts.share(nulls / rows)} null, 0% absent; " in night.page.text
    (label,) = [label for label in night.page.attributes("aria-label") if label.startswith("users.gender")]
    assert f"null {report_charts.share(nulls / rows)}" in label


def test_the_report_contains_no_personal_data(night):
    emails = night.column("select distinct payload ->> 'email' from staging.users where payload ->> 'email' ~ '@'")
    assert len(emails) > 20 and not [email for email in emails if email in night.page.source]
    assert "@" not in night.page.text.replace("@media", "")
    assert night.column(
        f"select 1 from gate.quarantined_rows as quarantined where quarantined::text like '%{PLANTED}%'"
    )
    assert PLANTED not in night.page.source


def test_the_report_fetches_nothing_and_runs_no_script(night):
    assert not {"script", "link", "img", "iframe", "object", "embed", "base"} & {tag for tag, _ in night.page.tags}
    assert [target for target in night.page.attributes("href") if not target.startswith("#night-")] == []
    for name in ("src", "srcset", "xlink:href", "action", "data", "poster"):
        assert night.page.attributes(name) == []
    assert not [name for _, attributes in night.page.tags for name in attributes if name.startswith("on")]
    assert "url(" not in night.page.source and "@import" not in night.page.source
    assert set(re.findall(r"https?://[^\"']*", night.page.source)) == {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }, "names of XML, which nobody fetches"


def enter_run(connection, days_ago, status="succeeded", code=0, message="all published", run="extract gate build"):
    """Enter a night without counts, as an earlier version or a killed run leaves it. Returns its id."""
    return connection.execute(
        """
        insert into ops.runs (run_id, command, started_at, finished_at, status, exit_code, message)
        select
            substr(md5(random()::text), 1, 12), %(run)s, began, began + interval '1 minute', %(status)s, %(code)s,
            %(message)s
        from (select now() - make_interval(days => %(days)s) as began) as times
        returning run_id
        """,
        {"run": run, "days": days_ago, "status": status, "code": code, "message": message},
    ).fetchone()[0]


def enter_scan(connection, run_id, table, load_id):
    """Enter an extraction with 9 rows read, 5 of them landed, and 1 removed."""
    connection.execute(
        """
        insert into ops.run_tables (
            run_id, table_name, load_id, requests, requests_failed, bytes_received,
            rows_read, rows_unchanged, rows_landed, rows_removed, rows_unreadable
        )
        values (%s, %s, %s, 1, 0, 1, 9, 4, 5, 1, 0)
        """,
        [run_id, table, load_id],
    )


@pytest.fixture
def ledgers(connection):
    """Return the ledgers of a warehouse without runs."""
    migrate(connection)
    return connection


def test_an_empty_database_makes_a_report_without_runs(database_url, tmp_path):
    assert "no run yet; start one with: make run" in report(database_url, tmp_path).text


def test_ledgers_without_a_run_make_the_same_report_as_no_ledgers(database_url, ledgers, tmp_path):
    assert "no run yet; start one with: make run" in report(database_url, tmp_path).text


def test_a_warehouse_of_an_earlier_version_is_reported(database_url, ledgers, tmp_path):
    enter_run(ledgers, 0)
    ledgers.execute("update ops.alembic_version set version_num = '0001'")
    text = report(database_url, tmp_path).text
    assert "the warehouse must be upgraded for this version: make migrate" in text


def test_a_night_without_counts_makes_a_report(database_url, ledgers, tmp_path):
    enter_run(ledgers, 0)
    page = report(database_url, tmp_path)
    assert " The last night " in page.text and "1 succeeded" in page.text
    assert (
        "No extraction of these nights has landed rows yet." in page.text
        and "no published and built load yet" in page.text
    )
    assert f"Next: {next_step(database_url)}" in page.text


def test_each_outcome_and_each_day_without_a_night_has_a_cell(database_url, ledgers, tmp_path):
    enter_run(ledgers, 7)
    enter_run(ledgers, 4, "failed", 3, "the source failed: /users answered 500")
    enter_run(ledgers, 3, "failed", 4, "blocked: users")
    enter_run(ledgers, 2, "crashed", None, None)
    enter_run(ledgers, 1, "failed", 4, "blocked: tracks", run="erase")
    killed = enter_run(ledgers, 0, "running", None, None)
    ledgers.execute("update ops.runs set finished_at = null where run_id = %s", [killed])

    cells = [title.partition(": ")[2] for title in report(database_url, tmp_path).attributes("title")]
    assert cells == [
        "succeeded, exit code 0: all published",
        "no night",
        "no night",
        "failed, exit code 3: the source failed: /users answered 500",
        "blocked, exit code 4: users",
        "crashed",
        "no night",
        "crashed",
    ]
    ledgers.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [RUN_LOCK])
    at_work = report(database_url, tmp_path)
    assert at_work.attributes("title")[-1].endswith(": running") and "is running" in at_work.text
    assert "Next: a run is in progress; wait for it" in at_work.text


def test_only_the_shown_nights_are_read_in_the_order_of_their_start(database_url, ledgers, tmp_path):
    for days in range(NIGHTS_SHOWN + 9, 0, -1):
        enter_run(ledgers, days, message=f"night {days}")
    # the clock was set back before the last one
    enter_run(ledgers, 5, message="the newest")
    read = run_history.read(ledgers, is_current=True)
    assert [night.message for night in read.nights] == [f"night {days}" for days in range(29, 0, -1)] + ["the newest"]
    titles = report(database_url, tmp_path).attributes("title")
    assert len(titles) == NIGHTS_SHOWN and titles[-1].endswith("no night")
    assert [title for title in titles if not title.endswith("no night")][-1].endswith("the newest")


def test_a_year_without_a_night_makes_at_most_thirty_empty_cells(database_url, ledgers, tmp_path):
    enter_run(ledgers, 400)
    enter_run(ledgers, 365)
    page = report(database_url, tmp_path)
    assert [title.endswith(": no night") for title in page.attributes("title")] == [True] * NIGHTS_SHOWN
    assert f" No night in the last {NIGHTS_SHOWN} days " in page.text


def test_the_heading_counts_the_shown_nights(database_url, ledgers, tmp_path):
    for days in range(2 * NIGHTS_SHOWN, 0, -2):
        enter_run(ledgers, days)
    page = report(database_url, tmp_path)
    nights = [title for title in page.attributes("title") if not title.endswith(": no night")]
    assert len(nights) == NIGHTS_SHOWN // 2 and f" The last {len(nights)} nights " in page.text


def test_a_published_load_that_is_not_built_does_not_count_as_fresh(database_url, ledgers, tmp_path):
    for days, error in {3: None, 1: "BUILD_FAILED"}.items():
        run_id = records.enter_run(ledgers, days, {"extract": None, "gate": None, "build": error})
        records.enter_scan(ledgers, run_id, "users", str(days))
        records.enter_load(ledgers, run_id, "users", str(days), "accepted")
    built = "update ops.steps set figures = jsonb_build_object('published_seq', %s::int) where step = 'build'"
    for seq, ago in {0: "– no published and built load yet", 1: "3 days ago", 2: "24 h ago"}.items():
        ledgers.execute(built, [seq])
        page = report(database_url, tmp_path)
        assert f" users {ago} " in page.text, "the metric and the report say the same"
        fresh = records.MetricValues(ledgers)["table_fresh_timestamp_seconds", "users"]
        assert (fresh is None) == (seq == 0)
        if fresh:
            assert f"state of the API on {dt.datetime.fromtimestamp(fresh, dt.UTC):%a} " in page.text


def test_a_load_checked_by_a_later_run_is_shown_with_its_current_state(database_url, ledgers, tmp_path):
    run_id = enter_run(ledgers, 0, "crashed", None, "ended without a word")
    enter_scan(ledgers, run_id, "users", "L")
    crashed = report(database_url, tmp_path)
    assert "users pending 9 read" in crashed.text and "The gate has not checked this load yet." in crashed.text
    assert " waiting 6 published – " in crashed.text
    ledgers.execute("insert into gate.loads values ('L', 'users', 'accepted', 9, 5, 1)")
    assert "users pending, accepted since 9 read" in report(database_url, tmp_path).text
    ledgers.execute("update ops.run_tables set rows_read = 0, rows_unchanged = 0, rows_landed = 0")
    (drawn, *_) = report(database_url, tmp_path).attributes("aria-label")[1:]
    assert drawn.startswith("users: 0 read, the API sent no rows; 1 to check, 1 removed; 0 published, 1 waiting; ")


def test_separate_runs_of_steps_make_one_night(database_url, ledgers, tmp_path):
    """Run the steps as a task scheduler does, with retries of failed ones."""
    enter_run(ledgers, 2, message="a whole one")
    enter_run(ledgers, 2, "failed", 5, "a person's repetition", run="build")
    for run, status, code, message in (
        ("extract", "succeeded", 0, "loaded, not checked yet"),
        ("gate", "crashed", None, None),
        ("gate", "failed", 4, "blocked: users"),
        ("build", "succeeded", 0, "all published"),
    ):
        enter_run(ledgers, 1, status, code, message, run=run)
    titles = report(database_url, tmp_path).attributes("title")
    assert [title.partition(": ")[2] for title in titles] == [
        "succeeded, exit code 0: a whole one",
        "blocked, exit code 4: users",
    ]


def test_a_retried_extraction_makes_no_separate_night(database_url, ledgers, tmp_path):
    """Retry each step as a task scheduler does; each attempt is a run."""
    for days in range(NIGHTS_SHOWN, 0, -1):
        for _ in range(3):
            enter_run(ledgers, days, "failed", 3, "the source failed", run="extract")
        enter_run(ledgers, days, message="loaded, not checked yet", run="extract")
        enter_run(ledgers, days, "failed", 8, "the gate could not check", run="gate")
        enter_run(ledgers, days, message="checked, not built yet", run="gate")
        enter_run(ledgers, days, run="build")
    whole = report(database_url, tmp_path)
    titles = [title.partition(": ")[2] for title in whole.attributes("title")]
    assert titles == ["succeeded, exit code 0: all published"] * NIGHTS_SHOWN
    assert records.MetricValues(ledgers)["runs_7d", "failed"] == 0

    enter_run(ledgers, 0, "failed", 3, "the source failed", run="extract")
    assert report(database_url, tmp_path).attributes("title")[-1].endswith(": failed, exit code 3: the source failed")
    enter_run(ledgers, 0, message="loaded, not checked yet", run="extract")
    assert report(database_url, tmp_path).attributes("title") == whole.attributes("title"), "not whole yet"
    enter_run(ledgers, 0, "failed", 4, "blocked: users", run="gate")
    enter_run(ledgers, 0, "failed", 5, "dbt failed", run="build")
    (*_, newest) = report(database_url, tmp_path).attributes("title")
    assert newest.endswith(": blocked, exit code 4: users; dbt failed"), "as of a night in one run"


def test_texts_of_the_api_rules_and_messages_are_escaped(database_url, ledgers, tmp_path):
    run_id = enter_run(ledgers, 0, "failed", 3, "<b onclick=x>")
    calm = report(database_url, tmp_path)
    for number, text in enumerate(HOSTILE.values()):
        text = text.replace("\0", "")
        records.enter_load(ledgers, run_id, text[:99], f"L{number}", "blocked", {(text[:99], "warning"): 1})
        ledger.record_decision(
            ledgers, "replay", f"{text} ", table=text[:99], load_id=text[:99], details={"rule": text, text: [text]}
        )
        enter_run(ledgers, 0, "failed", 3, text)
        ledgers.execute(
            "insert into gate.loads (load_id, table_name, state, rows_read, rows_landed, rows_removed, reason)"
            " values (%s, %s, 'blocked', 1, 1, 0, %s)",
            [f"{number} {text[:99]}", text[:99], text],
        )
        ledgers.execute(
            "insert into gate.quarantined_rows (load_id, table_name, key, dlt_id, rule) values (%s, %s, '[1]', %s, %s)",
            [f"{number} {text[:99]}", text[:99], str(number), text[:99]],
        )
        ledgers.execute("insert into ops.run_relations values (%s, %s, 1, %s)", [run_id, text[:99], number])
        ledgers.execute("insert into ops.run_columns values (%s, 'users', %s, 10, 5, 1)", [run_id, text[:99]])
        enter_scan(ledgers, run_id, text[:99], f"{number} {text[:99]}")
    page = report(database_url, tmp_path)
    known = {tag for tag, _ in calm.tags} | {"svg", "g", "path", "text", "line", "figure", "table", "thead", "tbody"}
    known |= {"tspan"}  # a label of two lines
    assert {tag for tag, _ in page.tags} <= known | {
        "tr",
        "th",
        "td",
        "br",
        "wbr",
        "i",
        "details",
        "summary",
        "figcaption",
    }
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert obeyed(page.source) == set()
    assert "<script>alert(1)</script>" in page.text, "as text"
    assert len(page.source) < 2_000_000


@pytest.mark.parametrize("rows", [1, 12])
def test_unreadable_rows_and_a_mass_change_are_shown(rows, built_database_url, tmp_path):
    assert "No row is in quarantine, and no load has a warning." in report(built_database_url, tmp_path).text
    mass_change = "30 of the 40 known users (75 %, more than MAX_CHANGED_SHARE 50 %)"
    with psycopg.connect(built_database_url, autocommit=True) as connection:
        (load_id,) = connection.execute("select max(load_id) from gate.loads").fetchone()
        failed = [{"rule": "few_changes", "severity": "info", "rows": 1, "examples": [{"mass_change": mass_change}]}]
        verdict = "update gate.loads set verdict = %s where load_id = %s and table_name = 'users'"
        connection.execute(verdict, [Jsonb({"failed_rules": failed}), load_id])
        for table, load_column in {"staging.scans": "_dlt_load_id", "ops.run_tables": "load_id"}.items():
            connection.execute(
                f"update {table} set rows_unreadable = %s where table_name = 'tracks' and {load_column} = %s",
                [rows, load_id],
            )
    page = report(built_database_url, tmp_path)
    unreadable = "1 row of tracks is unreadable" if rows == 1 else "12 rows of tracks are unreadable"
    assert f"all published; {count(rows, 'row')} unreadable. " in page.text
    for text in (f"{mass_change} have changed", unreadable):
        assert f"In the newest load: {text}." in page.text
        assert f'{text} make gate ARGS="show {load_id}"' in page.text
    assert "No row is in quarantine." in page.text
    assert f"Next: {next_step(built_database_url)}" in page.text and unreadable in next_step(built_database_url)
    assert "few changes" in page.text, "among the failed rules"


def test_times_are_shown_in_the_time_zone(database_url, ledgers, tmp_path):
    enter_run(ledgers, 0)
    (began,) = ledgers.execute("select started_at from ops.runs").fetchone()
    for arguments, zone in (((), "UTC"), (("--timezone", "Pacific/Auckland"), "Pacific/Auckland")):
        page = report(database_url, tmp_path, *arguments)
        assert f"all times are {zone}" in page.text
        assert page.attributes("title")[0].split(": ")[0].endswith(f"{began.astimezone(ZoneInfo(zone)):%H:%M}")
    assert "all times are America/Montreal" in report(database_url, tmp_path, TIMEZONE="America/Montreal").text


def test_a_report_that_cannot_be_written_names_the_path(database_url, tmp_path):
    (tmp_path / "file").touch()
    ended = command("report", f"--output={tmp_path / 'file' / 'nights.html'}", DATABASE_URL=database_url)
    assert "name another file with --output" in ended.only_line(ExitCode.WRONG_SETTINGS)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for no_file in (tmp_path / "folder", tmp_path / "pipe", "/"):
        ended = command("report", f"--output={no_file}", DATABASE_URL=database_url)
        assert "name another file with --output" in ended.only_line(ExitCode.WRONG_SETTINGS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "pipe"], "nothing half-written stays"
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    home = tmp_path / "home"
    written = command("report", DATABASE_URL=database_url, MOOVITAMIX_HOME=str(home))
    assert written.out.endswith(f": {home / 'reports' / 'nights.html'}\n")
    assert (home / "reports" / "nights.html").exists()


def enter_nights(connection, removed: dict[int, int], state="accepted", rules=None):
    """Enter a night for each (days ago, removed users), with 1,000 users read."""
    ends = {"extract": None, "gate": "BLOCKED" if state == "blocked" else None, "build": None}
    for days, rows in removed.items():
        run_id = records.enter_run(connection, days, ends)
        records.enter_scan(connection, run_id, "users", f"L{days}", rows_read=1000, rows_removed=rows)
        records.enter_load(connection, run_id, "users", f"L{days}", state, rules)


def start_at(connection, *starts: str):
    """Let the runs, in their order, start at these times of the same day, which is yesterday."""
    for number, start in enumerate(starts):
        connection.execute(
            """
            update ops.runs
            set
                started_at = (now() at time zone 'UTC')::date - 1 + %(start)s::interval,
                finished_at = (now() at time zone 'UTC')::date - 1 + %(start)s::interval + interval '9 seconds'
            where run_id = (select run_id from ops.runs order by run_seq limit 1 offset %(number)s)
            """,
            {"start": start, "number": number},
        )


def test_decisions_and_erasures_are_shown_with_who_why_and_their_run(built_database_url, tmp_path):
    url, home = built_database_url, str(tmp_path / "home")
    with psycopg.connect(url, autocommit=True) as connection:
        load_id, person = connection.execute(
            "select max(load_id), (select max(id) from marts.users) from gate.loads"
        ).fetchone()
        email = connection.execute("select email from marts.users where id = %s", [person]).fetchone()[0]
        reason = ("--reason", "request 2026-114")
        erased = command("erase", *reason, str(person), DATABASE_URL=url, ERASURE_KEY="k" * 32)
        rejected = command("gate", "reject", load_id, "tracks", "--reason", "a <test> system", DATABASE_URL=url)
        assert (erased.code, rejected.code) == (0, 0), (erased, rejected)
        runs = dict(connection.execute("select command, run_id from ops.runs"))
        ((started_at,),) = connection.execute("select started_at from ops.runs order by run_seq limit 1")
        ((operator, login, rows),) = connection.execute("""
            select operator, decided_by, (select sum(value::int) from jsonb_each_text(details -> 'deleted'))
            from gate.decisions where verb = 'erase'
        """)
        ((tombstone, key_check, aliases),) = connection.execute(
            "select tombstone, key_check, aliases from gate.erasures"
        )
    page = report(url, tmp_path, ERASURE_KEY="k" * 32, MOOVITAMIX_HOME=home)
    night = f"after the night of {started_at.astimezone(dt.UTC):%a} "
    who = f"by {operator} (login {login}): "
    reject, erase, first_night = (page.timeline.index(text) for text in ("✎ reject", "✎ erase", "✓ succeeded"))
    assert reject < erase < first_night, "the newest first"
    shown = page.timeline[reject:erase]
    assert f" tracks of load {load_id}, accepted until then {who}“a <test> system” " in shown
    assert f" run {runs['gate reject build']}, {night}" in shown
    shown = page.timeline[erase:first_night]
    assert f" 1 user: {rows} rows deleted {who}“request 2026-114” run {runs['erase']}, {night}" in shown
    assert rows > 1 and len(tombstone) > 20 and aliases
    for secret in (tombstone, key_check, *aliases, email):
        assert secret not in page.source
    assert not re.search(rf"(?<!\w){person}(?!\w)", page.timeline)
    assert re.search(r"updated at is not before created at \(\d+ rows?\).* → noted only", page.timeline[first_night:])


def test_erasures_without_a_decision_are_shown_too(database_url, ledgers, tmp_path):
    enter_run(ledgers, 1)
    ledger.record_erasure(ledgers, "a secret tombstone", ["a secret alias"], "a secret check")
    page = report(database_url, tmp_path, ERASURE_KEY="k" * 32)
    assert re.search(r"✎ erase \w+ .* 1 user no decision is recorded after the night of ", page.timeline)
    assert "secret" not in page.source


def test_a_repeated_erasure_of_a_user_is_shown_as_one(database_url, ledgers, tmp_path):
    enter_run(ledgers, 1)
    for tombstone in ("one", "two", "one"):
        ledger.record_erasure(ledgers, tombstone, [], "check")
        ledger.record_decision(
            ledgers, "erase", "request", details={"tombstone": tombstone, "deleted": {"marts.users": 1}}
        )
    shown = re.findall(
        r"(1 user|a user who had been erased before): 1 row deleted", report(database_url, tmp_path).timeline
    )
    assert shown == ["a user who had been erased before", "1 user", "1 user"], "the newest first"


def test_decisions_before_the_first_shown_night_are_not_shown(database_url, ledgers, tmp_path):
    for days in range(NIGHTS_SHOWN + 1, 0, -1):
        enter_run(ledgers, days)
    ledger.record_decision(ledgers, "prune", "disk space", details={"keep": "30 days"})
    assert "“disk space”" in report(database_url, tmp_path).timeline
    ledgers.execute("alter table gate.decisions disable trigger decisions_are_final")
    ledgers.execute("update gate.decisions set decided_at = now() - make_interval(days => %s)", [NIGHTS_SHOWN + 1])
    assert "“disk space”" not in report(database_url, tmp_path).timeline


def test_a_ledger_that_the_login_may_not_read_is_named(ledgers):
    enter_run(ledgers, 1)
    ledger.record_decision(ledgers, "prune", "disk space")
    role = "reads_no_erasures"
    ledgers.execute(f"create role {role}")
    try:
        ledgers.execute(f"grant usage on schema ops, gate, staging to {role}")
        ledgers.execute(f"grant select on all tables in schema ops to {role}")
        ledgers.execute(
            f"grant select on gate.loads, gate.publications, gate.quarantined_rows, gate.decisions to {role}"
        )
        for hidden, shown in {("gate.erasures",): 1, ("gate.decisions", "gate.erasures"): 0}.items():
            ledgers.execute(f"set role {role}")
            read = run_history.read(ledgers, is_current=True)
            ledgers.execute("reset role")
            assert (tuple(read.unreadable), len(read.decisions)) == (hidden, shown)
            ledgers.execute(f"revoke all on gate.decisions from {role}")
    finally:
        ledgers.execute(f"reset role; drop owned by {role}; drop role {role}")


def test_the_failed_rules_of_older_nights_are_shown_with_their_consequences(database_url, ledgers, tmp_path):
    names = ("email_is_an_address", "warning"), ("key_comes_once", "warning"), ("id_is_not_null", "info")
    enter_nights(ledgers, {3: 0}, "accepted_with_quarantine", dict(zip(names, (3, 2, 1), strict=True)))
    records.quarantine(ledgers, "users", "L3", "email_is_an_address", "1", "2", "3")
    records.quarantine(ledgers, "users", "L3", "key_comes_once", "4", "5")
    ledgers.execute("update gate.quarantined_rows set outcome = 'superseded', closed_at = now() where dlt_id <= '2'")
    enter_nights(ledgers, {2: 900}, "blocked", {("no_mass_removal", "critical"): 1})
    ledgers.execute(
        "update gate.loads set state = 'superseded', verdict = jsonb_set(verdict, '{failed_rules,0,examples}', %s)"
        " where load_id = 'L2'",
        [Jsonb([{"mass_removal": "a text"}])],
    )
    enter_nights(ledgers, {1: 0})
    timeline = report(database_url, tmp_path).timeline
    oldest = timeline.rpartition("✓ succeeded")[2]
    assert "▲ warning users email is an address (3 rows) → 1 still quarantined, 2 replaced by newer versions" in oldest
    assert "▲ warning users key comes once (2 rows) → still quarantined" in oldest
    assert "i info users id is not null (1 row) → noted only" in oldest
    middle = timeline.partition("⊘ blocked")[2].partition("✓ succeeded")[0]
    assert "⊘ critical users no mass removal (the delivery) → a newer load superseded the load" in middle
    assert timeline.count(" → ") == 4


def test_a_rule_is_shown_once_in_the_run_that_checked_the_load(database_url, ledgers, tmp_path):
    """The gate fails after one of two loads; it checks the other one at its next attempt."""
    enter_run(ledgers, 1, message="loaded, not checked yet", run="extract")
    first = enter_run(ledgers, 1, "failed", 8, "the gate could not check tracks", run="gate")
    records.enter_load(ledgers, first, "users", "L", "accepted_with_quarantine", {("key_comes_once", "warning"): 2})
    second = enter_run(ledgers, 1, message="checked, not built yet", run="gate")
    records.enter_load(ledgers, second, "tracks", "L", "accepted_with_quarantine", {("key_comes_once", "warning"): 7})
    ledgers.execute(
        "insert into ops.run_loads (run_id, load_id, table_name, state, rows_quarantined)"
        " values (%s, 'L', 'tracks', 'pending', 0)",
        [first],
    )
    enter_run(ledgers, 1, run="build")
    timeline = report(database_url, tmp_path).timeline
    assert re.findall(r"(\w+) key comes once \((\d) rows\)", timeline) == [("users", "2"), ("tracks", "7")]
    assert ", 4 runs of single steps" in timeline


def test_a_count_far_from_usual_is_marked_in_tile_table_timeline_and_strip(database_url, ledgers, tmp_path):
    enter_nights(ledgers, {5: 9, 4: 8, 3: 10, 2: 12})
    calm = report(database_url, tmp_path)
    assert calm.marks == ["▲ 90 (usually 9)"], "the explanation"
    enter_nights(ledgers, {1: 3208})
    page = report(database_url, tmp_path)
    marked = "▲ 3,208 (usually 9)"
    assert page.marks == ["usually 9", marked, "▲ 90 (usually 9)", marked, marked], "tile, cell, total and table"
    assert " removed ▲ 3,208 usually 9 " in page.text, "the tile"
    assert "▲ far from usual users 3,208 removed (usually 9). " in page.text, "beside the verdict"
    assert [title.partition("; far from usual: ")[2] for title in page.attributes("title")] == [
        *[""] * 4,
        "users 3,208 removed (usually 9)",
    ]
    assert [figure for figure in page.attributes("class") if figure == "unusual"] == ["unusual"]
    for shown, signs in ((calm, []), (page, ["▲"])):
        charts = shown.source.partition(">Rows from the API<")[2].partition(">Missing values<")[0]
        assert re.findall("[▲▼]", charts) == signs, "above the bar"


def test_three_removed_rows_instead_of_one_are_not_marked(database_url, ledgers, tmp_path):
    enter_nights(ledgers, {4: 1, 3: 1, 2: 1, 1: 3})
    page = report(database_url, tmp_path)
    assert page.marks == ["▲ 90 (usually 9)"] and "far from usual:" not in page.source


def test_runs_of_one_day_differ_by_their_time(database_url, ledgers, tmp_path):
    times = ["02:20", "09:05:10", "09:05:40"]
    for time in times:
        run_id = records.enter_run(ledgers, 0)
        ledgers.execute("update ops.runs set message = %s where run_id = %s", [f"the run of {time}", run_id])
    start_at(ledgers, "02:20:04", "09:05:10", "09:05:40")
    page = report(database_url, tmp_path)
    nights = page.attributes("title")[:3]
    for number, (night, time) in enumerate(zip(nights, times, strict=True)):
        assert night.endswith(f", {time}: succeeded, exit code 0: the run of {time}")
        month = night.split()[2] + " " if number == 0 else ""
        # a narrow cell breaks the line before the seconds
        lines = f"{time[:5]} {time[5:]}".strip()
        assert f" ✓ {night.split()[1]} {month}{lines} {night} " in page.text, "in the strip"
    of_timeline = re.findall(r", ([0-9:]+) the run of ([0-9:]+), exit code 0, 9.0 s", page.timeline)
    assert of_timeline == [(time, time) for time in reversed(times)]
    chart = page.source.partition("<b>Time by step</b>")[2].partition("<b>Processor time</b>")[0]
    assert ">02:20<" in chart and ">09:05:40<" in chart, "every second bar is labelled"


def test_single_steps_after_a_night_are_shown_as_runs_of_their_own(database_url, ledgers, tmp_path):
    enter_run(ledgers, 2, "failed", 5, "dbt failed")
    built = enter_run(ledgers, 2, message="built again", run="build")
    extracted = enter_run(ledgers, 1, message="loaded, not checked yet", run="extract")
    page = report(database_url, tmp_path)
    for command_, run_id, message in (
        ("build", built, "built again"),
        ("extract", extracted, "loaded, not checked yet"),
    ):
        assert f" {command_}, run {run_id}, exit code 0, 1 min 0 s {message} " in page.timeline
    nights = [title for title in page.attributes("title") if "exit code" in title]
    assert [title.endswith("failed, exit code 5: dbt failed") for title in nights] == [True]


def test_a_failure_is_shown_with_its_step_and_error(database_url, ledgers, tmp_path):
    records.enter_run(ledgers, 1, {"extract": None, "gate": None, "build": "BUILD_FAILED"})
    assert " in build, BUILD_FAILED, exit code 5, " in report(database_url, tmp_path).timeline
