"""Random histories of nights, faults and decisions, on each version of Postgres: after each step the warehouse is
compared with a model in plain Python.

`HISTORIES=500 make test-slow ARGS="-k test_any_history"` plays that many on each instead of a few; what fails is
printed with the blob that plays it again.
"""

import contextlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock
from urllib.parse import quote

import dlt
import great_expectations as gx
import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from rich.console import Console

import expectations.listen_history
import expectations.tracks
import expectations.users
from expectations import decisions, ledger
from expectations.decisions import DecisionError
from expectations.gate import check_pending
from expectations.replay import replay
from extract import extraction
from extract.errors import SourceError
from pipeline.operations import erasure, pruning
from pipeline.run import erasure_key
from pipeline.settings import Settings
from recommender import feature_store
from sample_api.server import serve
from tests.databases import migrate
from tests.debian_postgres import debian_postgres
from tests.history_model import EVER, TABLES, HistoryModel, Package
from tests.recovery import recover
from tests.rendered_models import RenderedModels
from tests.runs import render, run_dbt
from tests.servers import SUPERUSER
from tests.source_edits import EDITS, Source
from warehouse import database, locks
from warehouse.errors import CommandError

pytestmark = pytest.mark.slow

HISTORIES = int(os.environ.get("HISTORIES", "3"))
STEPS = 8
TEMPLATE, DATABASE = "histories_template", "histories"
SUITES = {
    "users": expectations.users,
    "tracks": expectations.tracks,
    "listen_history": expectations.listen_history,
}
USERS = "select id, first_name, email, updated_at, deleted_at from marts.users"
TRACKS = "select id, name, genres, deleted_at from marts.tracks"
ONE_NIGHT = st.sampled_from(
    [
        "good",
        "good",
        "good",
        "the source fails",
        "the source is empty",
        "killed when packed",
        "killed when landed",
        "no rules for users",
        "no rules for tracks",
        "no rules for listen_history",
    ]
)


class Killed(BaseException):
    """As -9 does it, the process' own cleaning up included that no kill would do."""


def die(*_: object, **__: object) -> None:
    raise Killed


def broken_suite() -> None:
    raise RuntimeError("this suite is broken")


def at(time: str) -> datetime:
    return datetime.fromisoformat(time).replace(tzinfo=UTC)


@pytest.fixture(scope="module", params=["18", pytest.param("15", marks=pytest.mark.machine)])
def server_of_version(request) -> Iterator[str]:
    """URL of a server of this version."""
    if request.param == "18":
        yield request.getfixturevalue("postgres_url")
    else:
        with debian_postgres() as (folder, port):
            yield f"postgresql://{SUPERUSER}@{quote(str(folder), safe='')}:{port}/postgres"


@pytest.fixture(scope="module")
def histories(server_of_version, tmp_path_factory) -> Iterator[type[RuleBasedStateMachine]]:
    """The state machine, with a template of an empty warehouse and the statements of its models."""
    url = server_of_version.rsplit("/", 1)[0] + f"/{TEMPLATE}"
    with psycopg.connect(server_of_version, autocommit=True) as server:
        # a worker may come back to these tests after others
        server.execute(f"drop database if exists {TEMPLATE} with (force)")
        server.execute(f"create database {TEMPLATE}")
    with psycopg.connect(url, autocommit=True) as connection:
        migrate(connection)
        with serve({}) as server:
            extraction.run(url, server.url, working_folder=tmp_path_factory.mktemp("dlt"))
        connection.execute("truncate staging.scans, staging._dlt_loads")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ERASURE_KEY", "k" * 32)
        patch.setenv("MOOVITAMIX_HOME", str(tmp_path_factory.mktemp("home_of_histories")))
        patch.setenv("DBT_TARGET_PATH", str(tmp_path_factory.mktemp("dbt_target_of_histories")))
        assert run_dbt(url, "run").succeeded

        class Histories(HistoryMachine):
            server_url = server_of_version
            rendered = RenderedModels(url)
            rendered_again = RenderedModels(url, "--full-refresh")
            user_features = render(url, feature_store.RENDERED_FOR_ALL).replace(f'"{TEMPLATE}".', "")

        with serve({}) as api:
            Histories.api = api
            yield Histories


class HistoryMachine(RuleBasedStateMachine):
    """One history, from an empty warehouse on."""

    server_url: str
    rendered: RenderedModels
    rendered_again: RenderedModels
    user_features: str
    api: Any

    @initialize()
    def begin(self) -> None:
        with psycopg.connect(self.server_url, autocommit=True) as server:
            server.execute(f"drop database if exists {DATABASE} with (force)")
            server.execute(f"create database {DATABASE} template {TEMPLATE}")
        self.url = self.server_url.rsplit("/", 1)[0] + f"/{DATABASE}"
        self.connection = psycopg.connect(self.url, autocommit=True)
        self._end_totals_before(94)
        self.settings = Settings(database_url=self.url)
        self.working_folder = self.settings.dlt_folder
        self.model = HistoryModel()
        self.source = Source()
        self.load_ids: list[str] = []
        self.pending_package: Package | None = None

    def teardown(self) -> None:
        if hasattr(self, "connection"):
            self.connection.close()

    @rule(edits=EDITS, kind=ONE_NIGHT)
    def night(self, edits, kind) -> None:
        self._night(edits, kind)

    @rule(edits=EDITS, models=st.integers(1, 20), is_pruned=st.booleans())
    def night_whose_build_is_killed(self, edits, models, is_pruned) -> None:
        self._night(edits, "good", models)
        if is_pruned:
            self.prune()
        else:
            self.rendered.build(self.connection)

    @rule(edits=EDITS, number=st.integers(0, 30))
    def mishap(self, edits, number) -> None:
        """A night when a part goes wrong, and the next one, when all is as if that had never been."""
        self._night([*edits, ("spoil a user", number), ("spoil a track", number)], "good")
        self._night([("take back", number)], "good")

    @rule(number=st.integers(0, 30), table=st.sampled_from(TABLES))
    def release(self, number, table) -> None:
        self._decide(decisions.release, self.model.release, number, table)

    @rule(number=st.integers(0, 30), table=st.sampled_from(TABLES))
    def reject(self, number, table) -> None:
        self._decide(decisions.reject, self.model.reject, number, table)

    @rule(wants_addresses=st.booleans())
    def change_the_rules_and_replay(self, wants_addresses) -> None:
        self.model.wants_addresses = wants_addresses
        looked_at = self.model.replay()
        with self._rules(), contextlib.nullcontext() if looked_at else pytest.raises(DecisionError):
            replay(self.url, "the rule was wrong", is_dry_run=False)
        self.rendered.build(self.connection)

    @rule(user_id=st.integers(1, 6))
    def erase(self, user_id) -> None:
        is_waiting = "pending" in self.model.states.values()
        is_possible = not is_waiting and self.model.erase(user_id)
        warehouse = database.find(self.url, locks.RUN_APPLICATION)
        with contextlib.nullcontext() if is_possible else pytest.raises(CommandError):
            erasure.erase(self.settings, warehouse, str(user_id), "as requested", Console(quiet=True), is_dry_run=False)
        if is_possible:
            self.pending_package = None

    @rule()
    def prune(self) -> None:
        warehouse = database.find(self.url, locks.RUN_APPLICATION)
        pruning.prune(warehouse, timedelta(0), "disk space", Console(quiet=True), is_dry_run=False)
        self.model.prune(
            {
                (self.load_ids.index(load_id), table)
                for load_id, table in self._rows(
                    "select load_id, table_name from gate.publications where seq <= (select min(seq) from prep.builds)"
                )
            }
        )
        self.rendered.build(self.connection)

    @rule(days=st.integers(1, 2))
    def days_pass(self, days) -> None:
        self._end_totals_before(max(self.totals_end_before - days, 90))
        self.rendered.build(self.connection)

    def _end_totals_before(self, days: int) -> None:
        self.totals_end_before = days
        self.connection.execute(f"set test.totals_end_before = '{days} days'")

    @rule()
    def rebuild(self) -> None:
        self.connection.execute("truncate marts.users, marts.tracks, marts.listen_history, marts.track_genres")
        self.connection.execute("truncate prep.parked_listens, prep.user_totals, prep.user_genre_totals")
        self.connection.execute("truncate prep.first_listens")
        self.rendered_again.build(self.connection)

    @invariant()
    def gate_and_marts_match_the_model(self) -> None:
        if not hasattr(self, "model"):
            return
        self._check_ledger()
        self._check_accounts()
        self._check_marts()

    def _night(self, edits, kind, models=None) -> None:
        self.source.edit(edits)
        rows = {table: [] for table in TABLES} if kind == "the source is empty" else self.source.rows()
        self.api.set_rows(rows)
        self._extract(rows, kind)
        if kind.startswith("killed"):
            return
        broken_table = kind.removeprefix("no rules for ") if kind.startswith("no rules for ") else None
        with self._rules(broken_table):
            check_pending(self.url)
        self.model.check({broken_table})
        self.rendered.build(self.connection, models)

    def _extract(self, rows, kind) -> None:
        loads_before = len(self.load_ids)
        if kind == "the source fails":
            self.api.faults.add("redirect=http://127.0.0.1:1/")
        death = (
            mock.patch.object(dlt.Pipeline, "load", die) if kind == "killed when packed" else contextlib.nullcontext()
        )
        # what an earlier run packed lands first, and that is not what dies tonight
        if self.pending_package:
            recover(self.url, self.working_folder)
            self._landed(self.pending_package)
            self.pending_package = None
        package = self.model.packed(rows)
        failure = {"killed when packed": Killed, "the source fails": SourceError}.get(kind)
        with death, pytest.raises(failure) if failure else contextlib.nullcontext():
            extraction.run(
                self.url,
                self.api.url,
                working_folder=self.working_folder,
                disregarded_loads=ledger.disregarded_loads(self.connection),
                erasures=erasure_key.load_erasures(self.settings, self.connection),
            )
        self.api.faults.clear()
        if failure is Killed:
            self.pending_package = package
        elif not failure:
            self._landed(package)
        loads = self.connection.execute(
            "select _dlt_load_id from staging.scans inner join staging._dlt_loads on load_id = _dlt_load_id"
            " group by 1 order by min(version_seq)"
        )
        self.load_ids = [load_id for (load_id,) in loads]
        assert len(self.load_ids) >= loads_before

    def _landed(self, package) -> None:
        self.model.land(len({load for load, _ in self.model.states}), package)

    def _decide(self, decide: Callable, expected: Callable, number: int, table: str) -> None:
        checked = self.connection.execute("select distinct load_id from gate.loads").fetchall()
        if not checked:
            return
        load = number % len(checked)
        is_possible = expected(load, table)
        with contextlib.nullcontext() if is_possible else pytest.raises(DecisionError):
            decide(self.connection, self.load_ids[load], table, "so it is", is_dry_run=False)
        self.rendered.build(self.connection)

    @contextlib.contextmanager
    def _rules(self, broken_table: str | None = None) -> Iterator[None]:
        """The rules in force: users' e-mail addresses are looked at or not, and one table's suite may be broken."""
        original = expectations.users.suite

        def without_addresses() -> gx.ExpectationSuite:
            kept = [each for each in original().expectations if each.meta["rule"] != "email_is_an_address"]
            return gx.ExpectationSuite(name="users", expectations=kept)

        with contextlib.ExitStack() as patches:
            if not self.model.wants_addresses:
                patches.enter_context(mock.patch.object(expectations.users, "suite", without_addresses))
            if broken_table:
                patches.enter_context(mock.patch.object(SUITES[broken_table], "suite", broken_suite))
            yield

    def _check_ledger(self) -> None:
        number_of = {load_id: number for number, load_id in enumerate(self.load_ids)}
        states = {
            (number_of[load_id], table): state
            for load_id, table, state in self._rows("select load_id, table_name, state from gate.loads")
        }
        waiting = {load for load, state in self.model.states.items() if state == "pending"}
        assert states | dict.fromkeys(waiting, "pending") == self.model.states
        for table in TABLES:
            quarantined = [
                (number_of[load_id], tuple(key), rule, outcome)
                for load_id, key, rule, outcome in self._rows(
                    "select load_id, key::jsonb, rule, outcome from gate.quarantined_rows where table_name = %s", table
                )
            ]
            assert sorted(quarantined, key=str) == self.model.quarantine(table)
        twice = (
            "select load_id from gate.publications where kind = 'load' group by load_id, table_name having count(*) > 1"
        )
        assert self._rows(twice) == []

    def _check_accounts(self) -> None:
        for table in TABLES:
            assert (
                self._rows(
                    f"""
                    select scans._dlt_load_id
                    from staging.scans
                    inner join staging._dlt_loads on load_id = _dlt_load_id
                    left join staging.{table} as version using (_dlt_load_id)
                    left join lateral (
                        select
                            sum((details #>> array['rows', '{table}', scans._dlt_load_id, 'landed'])::int) as landed,
                            sum((details #>> array['rows', '{table}', scans._dlt_load_id, 'removed'])::int) as removed
                        from gate.decisions
                    ) as gone on true
                    where scans.table_name = %s
                    group by
                        scans._dlt_load_id, rows_read, rows_unchanged, rows_landed, rows_unreadable, rows_removed,
                        gone.landed, gone.removed
                    having
                        rows_read <> rows_unchanged + rows_landed + rows_unreadable
                        or count(version.payload) + coalesce(gone.landed, 0) <> rows_landed
                        or count(version.key) - count(version.payload) + coalesce(gone.removed, 0) <> rows_removed
                    """,
                    table,
                )
                == []
            )

    def _check_marts(self) -> None:
        world = self.model.world()
        deleted_at = self._deleted_at("users")
        assert {number: tuple(rest) for number, *rest in self._rows(USERS)} == {
            number: (user["first_name"], user["email"], at(user["updated_at"]), deleted_at.get(number))
            for number, user in world.users.items()
        }
        deleted_at = self._deleted_at("tracks")
        assert {number: tuple(rest) for number, *rest in self._rows(TRACKS)} == {
            number: (track["name"], track["genres"], deleted_at.get(number)) for number, track in world.tracks.items()
        }
        assert set(self._rows("select track_id, genre from marts.track_genres")) == {
            (number, genre) for number in world.tracks for genre in world.genres_of(number)
        }
        listens = "select id, user_id, track_id, listened_at, created_at from"
        kept = world.kept_listens()
        assert {number: tuple(rest) for number, *rest in self._rows(f"{listens} marts.listen_history")} == kept
        parked = {number: listen for number, listen in world.listens().items() if number not in kept}
        assert {number: tuple(rest) for number, *rest in self._rows(f"{listens} prep.parked_listens")} == parked
        self._check_analytics(world)
        self._check_features(world)
        self._check_what_was_known(kept)
        self._check_features_of_the_past()

    def _check_what_was_known(self, kept: Iterable[int]) -> None:
        """What was known before versions were pruned can no longer be said."""
        known = self.model.known_at(*self._publications())
        pruned_at = self._pruned_at()
        for table in TABLES:
            there = {number: time or EVER for number, time in self._rows(f"select id, known_at from marts.{table}")}
            expected = {number: known[table][number] for number in (kept if table == "listen_history" else there)}
            assert {number: max(time, pruned_at) for number, time in there.items()} == {
                number: max(time, pruned_at) for number, time in expected.items()
            }, table

    def _check_features_of_the_past(self) -> None:
        """At the moment of any publication, the features are those of a world in which nothing more was known."""
        publications, published_at = self._publications()
        if not published_at:
            return
        at = list(published_at.values())[len(publications) // 2]
        if at < self._pruned_at():
            with pytest.raises(CommandError, match="were pruned"):
                feature_store.take_snapshot(self.connection, self.user_features, at, kept=2)
            return
        taken, again = (
            feature_store.read_snapshot(
                self.connection, feature_store.take_snapshot(self.connection, self.user_features, at, kept=2)[0]
            )
            for _ in range(2)
        )
        assert taken["fingerprint"] == again["fingerprint"]
        world = self.model.as_known(publications, published_at, at)
        heard = [listened_at for _, _, listened_at, _ in world.kept_listens().values() if listened_at <= at]
        assert taken["listens"] == len(heard)
        expected = {user: row for user, row in world.profiles(at).items() if user not in world.gone_users}
        for user in expected.values():
            user["genre_listens"], user["genre_affinities"] = {}, {}
        for (user, genre), row in world.affinities(at).items():
            if user in expected:
                expected[user]["genre_listens"][genre] = row["listens"]
                expected[user]["genre_affinities"][genre] = pytest.approx(row["affinity"], abs=1e-6)
        stored = "select user_id, features from features.user_snapshots where snapshot_id = %s"
        assert dict(self._rows(stored, taken["snapshot_id"])) == {
            user: row
            | {name: pytest.approx(value, abs=1e-6) for name, value in row.items() if isinstance(value, float)}
            | {"last_listened_at": row["last_listened_at"] and in_json(row["last_listened_at"])}
            for user, row in expected.items()
        }

    def _publications(self) -> tuple[dict[tuple[int, str], list[int]], dict[int, datetime]]:
        """Return by load (number, table) the numbers of its publications, and by number when each was made."""
        numbers = defaultdict(list)
        for load_id, table, seq in self._rows(
            "select load_id, table_name, seq from gate.publications where kind <> 'reject' order by seq"
        ):
            numbers[self.load_ids.index(load_id), table].append(seq)
        self.model.note_publications(numbers)
        return numbers, dict(self._rows("select seq, published_at from gate.publications order by seq"))

    def _pruned_at(self) -> datetime:
        return max(
            [EVER, *(time for (time,) in self._rows("select decided_at from gate.decisions where verb = 'prune'"))]
        )

    def _deleted_at(self, table: str) -> dict[int, datetime]:
        """id -> when the scan ended since which it is gone."""
        _, gone = self.model.last_delivered(table)
        times = dict(self._rows("select _dlt_load_id, finished_at from staging.scans where table_name = %s", table))
        return {number: times[self.load_ids[load]] for number, load in gone.items()}

    def _check_analytics(self, world) -> None:
        now = self._rows("select now()")[0][0]
        for view, expected in world.analytics(now).items():
            rows = self._rows(f"select * from marts.{view}")
            found = {tuple(round(value, 9) if isinstance(value, float) else value for value in row) for row in rows}
            assert len(found) == len(rows) and found == expected, view

    def _check_features(self, world) -> None:
        now = self._rows("select now()")[0][0]
        columns = (
            "listens",
            "share",
            "listens_7d",
            "listens_30d",
            "listens_90d",
            "affinity",
            "genre_rank",
            "last_listened_at",
        )
        rows = self._rows(f"select user_id, genre, {', '.join(columns)} from features.user_genre_affinity")
        assert {(user_id, genre): dict(zip(columns, values, strict=True)) for user_id, genre, *values in rows} == {
            key: row | {"share": pytest.approx(row["share"]), "affinity": pytest.approx(row["affinity"])}
            for key, row in world.affinities(now).items()
        }
        profiles = {
            user_id: {name: pytest.approx(value) if isinstance(value, float) else value for name, value in row.items()}
            for user_id, row in world.profiles(now).items()
            if user_id not in world.gone_users
        }
        columns = next(iter(profiles.values()), {})
        rows = self._rows(f"select {', '.join(['user_id', *columns])} from features.user_profile")
        assert {user_id: dict(zip(columns, values, strict=True)) for user_id, *values in rows} == profiles

    def _rows(self, query: str, *values: object) -> list[tuple]:
        return self.connection.execute(query, values or None).fetchall()


def in_json(moment: datetime) -> str:
    """Return the time as Postgres writes it in JSON: without zeros at the end of a fraction."""
    date, _, fraction = f"{moment:%Y-%m-%dT%H:%M:%S.%f}".partition(".")
    return f"{date}.{fraction}".rstrip("0").rstrip(".") + "+00:00"


def test_any_history_gives_the_marts_of_its_final_decisions(histories):
    run_state_machine_as_test(
        histories,
        settings=settings(
            max_examples=HISTORIES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize="HISTORIES" not in os.environ,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


BAD = [("spoil a user", 0), ("rename a user", 1), ("add a user", 0), ("drop a user", 2)]
SCENES = {
    "released, and then agreed with": [
        ("night", BAD),
        ("night", [("take back", 0)]),
        ("release", 1),
        ("reject", 2),
        ("release", 2),
        ("night", [("take back", 0), ("mend a user", 0)]),
    ],
    "released after another that was blocked": [
        ("night", BAD),
        ("night", [("rename a user", 1)]),
        ("night", [("take back", 0), ("mend a user", 0)]),
        ("release", 1),
        ("release", 2),
    ],
    "rejected and released": [
        ("night", [("rename a user", 0)]),
        ("reject", 1),
        ("night", [("take back", 0)]),
        ("release", 1),
    ],
    "released, of one who was gone before and after": [
        ("night", [("drop a user", 2)]),
        ("night", [("spoil a user", 0), ("revive", 0)]),
        ("night", [("take back", 0)]),
        ("night", []),
        ("release", 2),
    ],
}


ON_18 = pytest.mark.parametrize("server_of_version", ["18"], indirect=True, scope="module")


@ON_18
@pytest.mark.parametrize("scene", SCENES)
def test_releasing_an_overtaken_load_does_not_replace_newer_versions(scene, histories):
    with first_night(histories) as machine:
        for verb, what in SCENES[scene]:
            if verb == "night":
                machine.night(what, "good")
            else:
                getattr(machine, verb)(what, "users")
            machine.gate_and_marts_match_the_model()


@ON_18
@pytest.mark.parametrize("table", TABLES)
def test_what_was_known_when_follows_a_load_that_is_rejected_and_released_again(table, histories):
    with first_night(histories) as machine:
        machine.night([("add a user", 0), ("add a track", 0), ("add a document", 4)], "good")
        for step in (
            lambda: machine.reject(0, table),
            lambda: machine.night([("add a document", 1)], "good"),
            lambda: machine.release(0, table),
        ):
            step()
            machine.gate_and_marts_match_the_model()


@ON_18
@pytest.mark.parametrize("from_the_end", [1, 2])
def test_old_waiting_listens_are_counted_although_the_build_is_killed(from_the_end, histories):
    with first_night(histories) as machine:
        machine.night([("add a document", 4)], "good")
        models = len(machine.rendered.statements) - from_the_end
        machine.night_whose_build_is_killed([("add a user", 0), ("add a user", 1)], models, is_pruned=False)
        machine.gate_and_marts_match_the_model()


@ON_18
def test_an_earlier_listen_that_comes_late_is_the_first_one_until_it_is_rejected(histories):
    with first_night(histories) as machine:
        machine.night([("add a document", 1)], "good")
        machine.night([("add a late document", 1)], "good")
        machine.gate_and_marts_match_the_model()
        late = "select from marts.listens where day < current_date - 96 and is_first_listen"
        assert machine._rows(late)
        decisions.reject(machine.connection, machine.load_ids[2], "listen_history", "so it is", is_dry_run=False)
        machine.model.reject(2, "listen_history")
        # killed after the listens were deleted
        machine.rendered.build(machine.connection, list(machine.rendered.statements).index("listen_history") + 1)
        machine.rendered.build(machine.connection)
        machine.gate_and_marts_match_the_model()


@ON_18
def test_a_build_after_a_prune_still_notices_changed_genres(histories):
    with first_night(histories) as machine:
        machine.night_whose_build_is_killed([("retag a track", 3)], 1, is_pruned=True)
        machine.gate_and_marts_match_the_model()


@contextlib.contextmanager
def first_night(histories: type[HistoryMachine]) -> Iterator[HistoryMachine]:
    """A history after its first night."""
    machine = histories()
    machine.begin()
    try:
        machine.night([], "good")
        yield machine
    finally:
        machine.teardown()
