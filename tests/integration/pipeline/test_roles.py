"""`grant`: logins with one role each try everything; runs by three logins, or by the owner, succeed."""

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from expectations import ledger
from monitoring import metrics
from pipeline.run import preparation, privileges
from sample_api.server import serve
from sample_api.world import World, snapshot
from tests.command import command, until
from tests.services import serving
from warehouse.errors import ExitCode
from warehouse.names import SCHEMAS

pytestmark = pytest.mark.slow

WORLD = World(seed=15, users=40, tracks=40, documents=40)  # that of `built_template`
NEXT_DAY = 2
PASSWORD = "only-for-these-tests"
ROLES = tuple(
    f"moovitamix_{name}" for name in ("loader", "gate", "transformer", "analyst", "recommender", "monitor", "service")
)
STEP_LOGINS = {"loader": "extract", "gate": "gate", "transformer": "build", "recommender": "recommend"}
LOGINS = ("owner", "loader", "gate", "transformer", "analyst", "recommender", "monitor", "service", "nobody")

# What each login can do with a relation: s(elect *), i(nsert), u(pdate), d(elete), t(runcate), a(lter), x (drop), of a
# column s(elect), in a schema c(reate table).
MATRIX = """
                                owner    loader   gate     transformer  analyst  recommender  monitor  service  nobody
staging                         c        c        -        -            -        -            -        -        -
staging.users                   siudtax  siudtax  s        s            -        -            -        -        -
staging.scans                   siudtax  siudtax  s        s            -        -            -        -        -
staging._dlt_loads              siudtax  siudtax  s        s            -        -            -        -        -
prep                            c        -        -        c            -        -            -        -        -
prep.stg_moovitamix__users      sax      -        s        sax          -        -            -        -        -
prep.int_published_users        sax      -        -        sax          -        -            -        -        -
prep.builds                     siudtax  -        -        siudtax      -        -            -        -        -
prep.parked_listens             siudtax  -        -        siudtax      -        -            -        -        -
prep.first_listens              siudtax  -        -        siudtax      -        -            -        -        -
gate                            c        -        c        -            -        -            -        -        -
gate.loads                      siudtax  s        siud     s            -        -            s        -        -
gate.quarantined_rows           siudtax  -        siu      s            -        -            -        -        -
gate.quarantined_rows.rule      s        -        s        s            -        -            s        -        -
gate.quarantined_rows.key       s        -        s        s            -        -            -        -        -
gate.quarantined_rows.detail    s        -        s        s            -        -            -        -        -
gate.publications               siudtax  -        si       s            -        -            s        -        -
gate.batch_users                siudtax  -        siudtax  s            -        -            -        -        -
gate.batch_scan                 siudtax  -        siudtax  s            -        -            -        -        -
gate.decisions                  siax     -        si       s            -        -            -        -        -
gate.erasures                   siudtax  s        -        s            -        -            -        -        -
gate.known_fields               siudtax  -        si       s            -        -            -        -        -
marts                           c        -        -        c            -        -            -        -        -
marts.users                     siudtax  -        -        siudtax      -        -            -        -        -
marts.users.email               s        -        -        s            -        -            -        -        -
marts.users.first_name          s        -        -        s            -        -            -        -        -
marts.users.last_name           s        -        -        s            -        -            -        -        -
marts.users.id                  s        -        -        s            s        s            -        s        -
marts.users.gender              s        -        -        s            s        s            -        -        -
marts.tracks                    siudtax  -        -        siudtax      s        s            -        -        -
marts.tracks.name               s        -        -        s            s        s            -        s        -
marts.tracks.album              s        -        -        s            s        s            -        -        -
marts.track_genres              siudtax  -        -        siudtax      s        s            -        s        -
marts.listen_history            siudtax  -        -        siudtax      s        s            -        -        -
marts.listens                   sax      -        -        sax          s        -            -        -        -
marts.daily_genres              sax      -        -        sax          s        -            -        -        -
marts.active_users              sax      -        -        sax          s        -            -        -        -
marts.artists                   sax      -        -        sax          s        -            -        -        -
features                        c        -        -        c            -        -            -        -        -
features.user_profile           sax      -        -        sax          s        s            -        -        -
features.user_genre_affinity    sax      -        -        sax          s        s            -        -        -
features.track_history          sax      -        -        sax          s        s            -        s        -
features.known_range            sax      -        -        sax          s        s            -        -        -
features.snapshots              siudtax  -        -        siudtax      s        s            -        -        -
features.user_snapshots         siudtax  -        -        siudtax      s        s            -        -        -
recommendations                 c        -        -        c            -        c            -        -        -
recommendations.current_recommendations  sax  -  -    sax          s        s            -        -        -
recommendations.release_quality sax      -        -        sax          s        s            -        -        -
recommendations.releases        siudax   -        -        s            s        siudax       s        s        -
recommendations.release_history siax     -        -        s            s        si           s        s        -
recommendations.quality         siudtax  -        -        s            s        siudtax      s        s        -
recommendations.popular_tracks  siudtax  -        -        -            -        siudtax      -        -        -
recommendations.aliases         siax     -        -        -            -        si           s        -        -
recommendations.trainings       siudax   -        -        -            -        siudax       s        -        -
recommendations.evaluations     siudtax  -        -        -            -        siudtax      -        -        -
recommendations.model_versions  siudax   -        -        s            -        siudax       -        s        -
recommendations.release_models  siudtax  -        -        -            -        siudtax      -        s        -
recommendations.lists           siudtax  -        -        s            -        siudtax      -        s        -
recommendations.drafts          siudtax  -        -        -            -        siudtax      -        -        -
recommendations.draft_shards    siudtax  -        -        -            -        siudtax      -        -        -
recommendations.draft_lists     siudtax  -        -        -            -        siudtax      -        -        -
ops                             c        -        -        -            -        -            -        -        -
ops.runs                        siudtax  siu      siu      siu          -        siu          s        -        -
ops.steps                       siudtax  siu      siu      siu          -        siu          s        -        -
ops.run_tables                  siudtax  siu      siu      siu          -        siu          s        -        -
ops.current_runs                sax      s        s        s            -        s            s        -        -
ops.run_rules                   sax      s        s        s            -        s            s        -        -
ops.owned_relations             siudtax  siud     siud     siud         -        siud         s        -        -
ops.alembic_version             siudtax  s        s        s            -        s            s        -        -
ops.preparations                siudtax  s        s        s            -        s            s        -        -
"""

ON_A_TABLE = {
    "s": "select * from {relation}",
    "i": "insert into {relation} default values",
    "u": "update {relation} set {column} = null",
    "d": "delete from {relation}",
    "t": "truncate {relation} cascade",
    "a": "alter table {relation} rename to renamed",
    "x": "drop table {relation} cascade",
}
ON_A_VIEW = {"s": ON_A_TABLE["s"], "a": "alter view {relation} rename to renamed", "x": "drop view {relation} cascade"}
OF_A_COLUMN = {"s": "select {column} from {relation}"}
IN_A_SCHEMA = {"c": "create table {schema}.made (id integer)"}

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Deployment:
    """A warehouse in a database of its own, whose owner is no superuser; `url` is that of the server's superuser."""

    url: str
    number: int

    def login(self, name: str) -> str:
        return f"{name} {self.number}"

    def url_of(self, name: str) -> str:
        return make_conninfo(self.url, user=self.login(name), password=PASSWORD)

    def connect(self, name: str | None = None) -> psycopg.Connection:
        return psycopg.connect(self.url_of(name) if name else self.url, autocommit=True)

    def command(self, name: str, *arguments: str, **environment: str):
        return command(*arguments, DATABASE_URL=self.url_of(name), **environment)

    def granted(self) -> "Deployment":
        """Grant, and give each login its role, as the owner."""
        ended = self.command("owner", "grant")
        assert ended.code == ExitCode.PUBLISHED, ended.err
        with self.connect("owner") as owner:
            for role in ROLES:
                login = sql.Identifier(self.login(role.removeprefix("moovitamix_")))
                owner.execute(sql.SQL("grant {} to {}").format(sql.Identifier(role), login))
        return self

    def privileges(self) -> set[tuple]:
        """Owner and privileges of everything in the warehouse's schemas, and who is a member of a role of ours."""
        with self.connect() as server:
            return set(
                server.execute("""
                    select oid::regnamespace::text, '', nspowner::regrole::text,
                        array(select unnest(nspacl)::text order by 1)::text
                    from pg_namespace where nspname = any(%(schemas)s)
                    union all
                    select oid::regclass::text, '', relowner::regrole::text,
                        array(select unnest(relacl)::text order by 1)::text
                    from pg_class
                    where
                        relnamespace::regnamespace::text = any(%(schemas)s) and relkind in ('r', 'p', 'v', 'S')
                        -- not what each build makes again for itself
                        and (relpersistence = 'p' or relnamespace::regnamespace::text = 'gate')
                    union all
                    select attrelid::regclass::text, attname, '', array(select unnest(attacl)::text order by 1)::text
                    from pg_attribute
                    inner join pg_class on attrelid = pg_class.oid and attacl is not null
                    where relnamespace::regnamespace::text = any(%(schemas)s)
                    union all
                    select oid::regprocedure::text, '', proowner::regrole::text,
                        array(select unnest(proacl)::text order by 1)::text
                    from pg_proc where pronamespace::regnamespace::text = any(%(schemas)s)
                    union all
                    select roleid::regrole::text, member::regrole::text, '', admin_option::text
                    from pg_auth_members where roleid::regrole::text = any(%(roles)s)
                """, {"schemas": list(SCHEMAS), "roles": list(ROLES)})
            )  # fmt: skip


@contextlib.contextmanager
def deployment(server_url: str, template: str) -> Iterator[Deployment]:
    """A copy of the template that belongs to a login with CREATEROLE, and a login for each role; removed afterwards."""
    number = next(_numbers)
    made = Deployment(make_conninfo(server_url, dbname=f"deployment_{number}"), number)
    database_name = sql.Identifier(conninfo_to_dict(made.url)["dbname"])
    logins = [sql.Identifier(made.login(name)) for name in LOGINS]
    with psycopg.connect(server_url, autocommit=True) as server:
        try:
            for login in logins:
                server.execute(sql.SQL("create role {} login password {}").format(login, PASSWORD))
            server.execute(sql.SQL("alter role {} createrole").format(logins[0]))
            server.execute(
                sql.SQL("create database {} template {} owner {} strategy file_copy").format(
                    database_name, sql.Identifier(template), logins[0]
                )
            )
            with made.connect() as connection:
                hand_over(connection, made.login("owner"))
            yield made
        finally:
            server.execute(sql.SQL("drop database if exists {} with (force)").format(database_name))
            for role in (*map(sql.Identifier, ROLES), *reversed(logins)):
                server.execute(sql.SQL("drop role if exists {}").format(role))


def hand_over(connection, owner):
    """Make `owner` the owner of all schemas, and of what is in them."""
    statements = connection.execute(
        """
        select format('alter schema %%I owner to %%I', nspname, %(owner)s::text)
        from pg_namespace where nspname = any(%(schemas)s)
        union all
        select format('alter table %%s owner to %%I', pg_class.oid::regclass, %(owner)s::text)
        from pg_class where relnamespace::regnamespace::text = any(%(schemas)s) and relkind in ('r', 'p', 'v')
        union all
        select format('alter routine %%s owner to %%I', oid::regprocedure, %(owner)s::text)
        from pg_proc where pronamespace::regnamespace::text = any(%(schemas)s)
        """,
        {"owner": owner, "schemas": list(SCHEMAS)},
    ).fetchall()
    for (statement,) in statements:
        connection.execute(statement)


@pytest.fixture
def fresh(postgres_url, built_template):
    """A built warehouse on which nobody has called `grant`."""
    with deployment(postgres_url, built_template) as made:
        yield made


@pytest.fixture
def granted(fresh):
    return fresh.granted()


def expected_matrix():
    """{(relation, column or schema; login): letters}"""
    header, *lines = MATRIX.strip("\n").splitlines()
    cells = {}
    for line in lines:
        what, *letters = line.split()
        for login, can in zip(header.split(), letters, strict=True):
            cells[what, login] = "" if can == "-" else can
    return cells


def tried_matrix(made):
    """The same, as found by trying everything."""
    whats = dict.fromkeys(what for what, _ in expected_matrix())
    with made.connect() as server:
        statements = {what: statements_on(server, what) for what in whats}
    cells = {}
    for login in LOGINS:
        with made.connect(login) as connection:
            for what in whats:
                cells[what, login] = "".join(
                    letter for letter, statement in statements[what].items() if can(connection, statement)
                )
    return cells


def statements_on(server, what):
    schema, *rest = what.split(".")
    if not rest:
        return {letter: text.format(schema=schema) for letter, text in IN_A_SCHEMA.items()}
    relation = f"{schema}.{rest[0]}"
    if len(rest) == 2:
        return {letter: text.format(relation=relation, column=rest[1]) for letter, text in OF_A_COLUMN.items()}
    kind, column = server.execute(
        "select relkind::text, attname from pg_class inner join pg_attribute on attrelid = pg_class.oid"
        " where pg_class.oid = %s::regclass and attnum > 0 and attidentity = '' and not attisdropped"
        " order by attnum limit 1",
        [relation],
    ).fetchone()
    texts = ON_A_VIEW if kind == "v" else ON_A_TABLE
    return {letter: text.format(relation=relation, column=column) for letter, text in texts.items()}


def can(connection, statement):
    """Whether the database lets the login do it; whatever was done is undone."""
    try:
        # a row that fits no constraint is one that was let in
        with contextlib.suppress(psycopg.errors.IntegrityError), connection.transaction(force_rollback=True):
            connection.execute(statement)
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.RaiseException):
        return False  # a privilege is missing, or decisions are never changed
    return True


def test_each_role_has_exactly_its_rights(granted):
    assert tried_matrix(granted) == expected_matrix()


@pytest.mark.machine
def test_each_role_has_exactly_its_rights_on_the_oldest_supported_postgres(debian_postgres):
    folder, port = debian_postgres
    server_url = make_conninfo(host=str(folder), port=port, user="moovitamix", dbname="postgres")
    with serve(snapshot(WORLD, 0)) as api, deployment(server_url, "template1") as made:
        assert made.command("owner", "run", API_BASE_URL=api.url).code == ExitCode.PUBLISHED

        made.granted()

        assert tried_matrix(made) == expected_matrix()
        assert made.command("owner", "build").code == ExitCode.PUBLISHED


def test_the_service_answers_with_the_rights_of_its_role(fresh):
    assert fresh.command("owner", "recommend", "--budget", "0").code == ExitCode.PUBLISHED
    with serving(is_ready=False, DATABASE_URL=fresh.url_of("service")) as service:
        until(lambda: "moovitamix_service" in service.get("/health/ready").text)
        fresh.granted()
        until(service.is_ready)
        user_id = service.get("/page/users").json[0]["user_id"]
        lists = f"/users/{user_id}/recommendations"
        track_id = service.get(lists).tracks[0]
        paths = [lists, f"{lists}?fresh=true", f"{lists}?list=again", "/popular", f"/tracks/{track_id}/similar"]
        paths += [f"/users/{user_id}/listens", f"/page/tracks?ids={track_id}", "/page/search?text=a", "/page/release"]
        for path in paths:
            assert service.get(path).status == 200, path


MARTS = {
    "users": "id, first_name, last_name, email, gender, favorite_genres, created_at, updated_at, deleted_at is null",
    "tracks": "id, name, artist, songwriters, duration, genres, album, created_at, updated_at, deleted_at is null",
    "track_genres": "track_id, genre",
    "listen_history": "id, user_id, track_id, listened_at, created_at",
}


def marts(connection):
    """All there is, but for what tells one night's load from another's."""
    return {
        table: sorted(connection.execute(f"select {columns} from marts.{table}").fetchall(), key=repr)
        for table, columns in MARTS.items()
    }


def test_three_logins_with_one_role_each_give_the_result_of_one_owner(fresh, built_database_url):
    with fresh.connect("owner") as owner:
        owner.execute("insert into gate.batch_users (key, _dlt_id) values ('[7]', 'of a gate that was killed')")
        owner.execute(f'revoke all on database "{owner.info.dbname}" from public')
    by_three = fresh.granted()
    with by_three.connect("loader") as loader:
        loader.execute("""
            insert into staging.users (key, payload, content_hash, _dlt_load_id, _dlt_id)
            select key, payload, content_hash, 'a crash', 'a crash' from staging.users limit 1
        """)
    with serve(snapshot(WORLD, NEXT_DAY), ["bad_rows@users=0.1/1"]) as api:
        source = {"API_BASE_URL": api.url}
        assert command("run", DATABASE_URL=built_database_url, **source).code == ExitCode.PUBLISHED

        by_three.command("transformer", "extract", **source).only_line(ExitCode.WAREHOUSE_UNAVAILABLE)
        extracted = by_three.command("loader", "extract", **source)
    assert "Deleted 1 row" in extracted.out, extracted
    by_three.command("loader", "gate").only_line(ExitCode.WAREHOUSE_UNAVAILABLE)
    with by_three.connect("owner") as owner:
        owner.execute("alter view prep.stg_moovitamix__users rename to mislaid")
        line = by_three.command("gate", "gate").only_line(ExitCode.GATE_BROKEN)
        assert "stg_moovitamix__users" in line and "stays pending" in line
        owner.execute("alter view prep.mislaid rename to stg_moovitamix__users")
        owner.execute("insert into ops.owned_relations (name) values ('prep.stg_moovitamix__users')")
    gate_run = by_three.command("gate", "gate")
    assert gate_run.code == ExitCode.PUBLISHED and "rows of users are quarantined" in gate_run.out, gate_run
    line = by_three.command("loader", "build").only_line(ExitCode.WAREHOUSE_UNAVAILABLE)
    assert "permission denied" in line and "moovitamix_transformer" in line
    assert by_three.command("transformer", "build").code == ExitCode.PUBLISHED

    with by_three.connect() as of_three, psycopg.connect(built_database_url) as of_one:
        assert marts(of_three) == marts(of_one)
    for arguments in (["status"], ["gate", "show"]):
        assert by_three.command("gate", *arguments).code == ExitCode.PUBLISHED
        by_three.command("analyst", *arguments).only_line(ExitCode.WAREHOUSE_UNAVAILABLE)


def test_readers_see_the_past_of_a_user_and_the_build_login_stores_it(granted):
    assert granted.command("transformer", "features", "snapshot").code == ExitCode.PUBLISHED
    with granted.connect("analyst") as analyst:
        (user_id,) = analyst.execute("select min(user_id) from features.user_profile").fetchone()
    for arguments in (["list"], ["show", "--user", str(user_id), "--as-of", "1d"]):
        ended = granted.command("analyst", "features", *arguments)
        assert ended.code == ExitCode.PUBLISHED, ended
    line = granted.command("analyst", "features", "snapshot").only_line(ExitCode.WAREHOUSE_UNAVAILABLE)
    assert "permission denied" in line


def test_the_recommender_publishes_and_takes_back_and_readers_see_it(granted):
    line = granted.command("transformer", "recommend").only_line(ExitCode.WAREHOUSE_UNAVAILABLE)
    assert "permission denied" in line and "moovitamix_recommender" in line
    # the owner's release is dropped by the recommender, whose own release is taken back by the owner
    for login, cap in {"owner": "1", "recommender": "2"}.items():
        ended = granted.command(login, "recommend", ARTIST_CAP=cap)
        assert ended.code == ExitCode.PUBLISHED, ended
    with granted.connect("recommender") as recommender:
        query = "select user_id, count(*) from recommendations.current_recommendations group by 1 limit 1"
        user_id, _ = recommender.execute(query).fetchone()
        owners = "select distinct pg_get_userbyid(relowner) from pg_class where relname ~ '^lists(_[0-9]+)?$'"
        assert recommender.execute(owners).fetchall() == [("moovitamix_recommender",)]
    rollback = ("recommendations", "rollback", "--reason", "x")
    for login in ("analyst", "recommender"):
        for arguments in (["show", str(user_id)], ["releases"]):
            ended = granted.command(login, "recommendations", *arguments)
            assert ended.code == ExitCode.PUBLISHED, ended
    assert "permission denied" in granted.command("analyst", *rollback).only_line(ExitCode.WAREHOUSE_UNAVAILABLE)
    assert "readers see release 1 again" in granted.command("owner", *rollback).out
    # a later grant knows the partitions too
    assert granted.command("owner", "grant").code == ExitCode.PUBLISHED
    for cap in ("3", "4", "5"):
        assert granted.command("recommender", "recommend", ARTIST_CAP=cap).code == ExitCode.PUBLISHED
    partitions = "select distinct tableoid::regclass::text from recommendations.lists where user_id = %s order by 1"
    with granted.connect("owner") as owner:
        kept = [f"recommendations.lists_{number}" for number in (3, 4, 5)]
        assert owner.execute(partitions, [user_id]).fetchall() == [(name,) for name in kept]
        erase = ("erase", str(user_id), "--reason", "as requested")
        assert granted.command("owner", *erase, ERASURE_KEY="k" * 32).code == ExitCode.PUBLISHED
        assert owner.execute(partitions, [user_id]).fetchall() == []
        owner.execute(
            "insert into recommendations.aliases (list, model_version, reason)"
            " select list, max(model_version), 'test' from recommendations.model_versions group by list"
        )
    # a shard of each is in one release
    shard = ("recommend", "--artist-cap", "6", "--shard")
    assert "permission denied" in granted.command("analyst", *shard, "1/2").only_line(ExitCode.WAREHOUSE_UNAVAILABLE)
    for login, number in {"owner": "1/2", "recommender": "2/2"}.items():
        assert f"shard {number} is made" in granted.command(login, *shard, number).out
    assert "with the lists of 2 shards" in granted.command("recommender", "recommend", ARTIST_CAP="6").out


def test_the_owner_keeps_all_rights_and_no_run_or_full_refresh_revokes_any(granted):
    before = granted.privileges()
    with granted.connect("analyst") as analyst, serve(snapshot(WORLD, NEXT_DAY)) as api:
        analyst.execute("create temporary view mine as select top_genre from features.user_profile")
        for arguments in (["run"], ["dbt", "run", "--full-refresh"]):
            ended = granted.command("owner", *arguments, API_BASE_URL=api.url)
            assert ended.code == ExitCode.PUBLISHED, ended
            assert granted.privileges() == before
        assert analyst.execute("select count(*) > 0 from mine").fetchone()[0]


def test_new_relations_belong_to_the_step_role_and_the_build_opens_them_to_readers(granted):
    with granted.connect("owner") as owner, granted.connect("analyst") as analyst:
        owner.execute("drop view features.user_profile")
        owner.execute("alter table marts.tracks add column mood text")
        owner.execute("revoke select (gender) on marts.users from moovitamix_analyst")
        assert granted.command("transformer", "build").code == ExitCode.PUBLISHED
        assert analyst.execute("select count(*) > 0 from features.user_profile").fetchone()[0]
        analyst.execute("select mood from marts.tracks limit 1")
        analyst.execute("select gender from marts.users limit 1")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            analyst.execute("select email from marts.users")
        owner_of = "select pg_get_userbyid(relowner) from pg_class where oid = 'features.user_profile'::regclass"
        assert owner.execute(owner_of).fetchone() == ("moovitamix_transformer",)


def test_granting_again_changes_nothing_and_revokes_other_grants(granted):
    before = granted.privileges()
    with granted.connect("owner") as owner:
        owner.execute("grant select on staging.users, marts.users to moovitamix_analyst")
        owner.execute("grant select (email) on marts.users to moovitamix_recommender")
        owner.execute("grant usage on schema ops to public")
        owner.execute("grant select on ops.runs, features.user_profile to public")
        owner.execute("grant delete on gate.decisions to moovitamix_gate")
    assert granted.privileges() != before

    ended = granted.command("owner", "grant")

    assert granted.privileges() == before
    with granted.connect("gate") as gate:
        assert can(gate, "insert into gate.batch_users default values"), "a role keeps the privileges on what it owns"
    with granted.connect("nobody") as nobody:
        assert nobody.execute(
            "select proname from pg_proc where pronamespace::regnamespace::text = any(%s)"
            " and has_function_privilege(oid, 'execute')",
            [list(SCHEMAS)],
        ).fetchall() == []  # fmt: skip
    last = ended.out.splitlines()[-1]
    assert last == "next: grant each login its role, such as: grant moovitamix_analyst to <login>"
    assert "marts.users.first_name, marts.users.last_name, marts.users.email" in ended.out
    for role, expected in (
        ("loader", ["owns", "", "reads part", "", "", "", "writes"]),
        ("gate", ["reads", "reads part", "writes", "", "", "", "writes"]),
        ("transformer", ["reads", "owns", "reads", "owns", "owns", "writes", "writes"]),
        ("recommender", ["", "", "", "reads part", "reads", "writes", "writes"]),
        ("analyst", ["", "", "", "reads part", "reads", "reads part", ""]),
        ("monitor", ["", "", "reads part", "", "", "reads part", "reads"]),
    ):
        lines = ended.out.splitlines()
        (header,) = (line for line in lines if line.startswith("role "))
        (line,) = (line for line in lines if line.startswith(f"moovitamix_{role} "))
        starts = [header.index(f" {name} ") + 1 for name in SCHEMAS]
        cells = [line[start:stop].strip() for start, stop in zip(starts, [*starts[1:], None], strict=True)]
        assert cells == expected


def test_only_the_owner_prepares_the_warehouse_for_a_new_version(granted, monkeypatch):
    monkeypatch.setattr(preparation, "fingerprint", lambda: "of a new version")
    before = granted.privileges()
    with serve(snapshot(WORLD, NEXT_DAY)) as api:
        for login, step in STEP_LOGINS.items():
            line = granted.command(login, step, API_BASE_URL=api.url).only_line(ExitCode.WAREHOUSE_UNAVAILABLE)
            assert "does not own its schemas" in line and "make migrate" in line
        with granted.connect("owner") as owner:
            # as a migration leaves a new table, and as a release without a step role of the recommender granted
            owner.execute(sql.SQL("alter table recommendations.trainings owner to {}").format(
                sql.Identifier(granted.login("owner"))
            ))  # fmt: skip
            owner.execute("revoke create on schema recommendations from moovitamix_recommender")
        with granted.connect() as server:
            # an earlier version did not know this role
            server.execute("alter role moovitamix_service rename to known_later")
            ended = granted.command("owner", "migrate")
            assert ended.code == ExitCode.PUBLISHED and "privileges of the roles" in ended.out
            # made and granted; the original one takes its place again
            server.execute("drop owned by moovitamix_service; drop role moovitamix_service")
            server.execute("alter role known_later rename to moovitamix_service")
        assert granted.privileges() == before
        for login, step in STEP_LOGINS.items():
            assert granted.command(login, step, API_BASE_URL=api.url).code == ExitCode.PUBLISHED


def test_a_gate_login_decides_and_leaves_the_build_to_another(granted):
    with granted.connect() as server:
        (load_id,) = server.execute("select max(load_id) from gate.loads").fetchone()
        users = "select count(*) from marts.users where _load_id = %s"
        assert server.execute(users, [load_id]).fetchone() != (0,)

        decided = granted.command("gate", "gate", "reject", load_id, "users", "--reason", "why")

        assert (decided.code, decided.err) == (ExitCode.PUBLISHED, "")
        closing_line = decided.out.splitlines()[-1]
        assert closing_line.startswith(f"users of load {load_id} is rejected, but not built")
        assert closing_line.endswith("with a login that may: make build")
        assert "next: build the published rows: make build" in granted.command("gate", "status").out
        assert server.execute(users, [load_id]).fetchone() != (0,)
        assert granted.command("transformer", "build").code == ExitCode.PUBLISHED
        assert server.execute(users, [load_id]).fetchone() == (0,)


def test_only_logins_that_extract_need_the_erasure_key(granted):
    with granted.connect() as server:
        ledger.record_erasure(server, "a tombstone", [], "of a key that is elsewhere")
    for login, is_asked in {"owner": True, "gate": False, "transformer": False}.items():
        assert ("ERASURE_KEY" in granted.command(login, "status").out) is is_asked, login


def test_a_dump_with_roles_is_restored_without_them_and_granted_again(postgres_url, built_template, tmp_path):
    file = str(tmp_path / "warehouse.dump")
    with deployment(postgres_url, built_template) as old, old.granted().connect("owner") as owner:
        before = marts(owner)
        assert command("pg_dump", "-Fc", "-f", file, DATABASE_URL=old.url_of("owner")).code == 0
    with deployment(postgres_url, "template1") as new:
        restored = command("pg_restore", "--exit-on-error", file, DATABASE_URL=new.url_of("owner"))

        assert (restored.code, restored.err) == (0, "")
        with new.granted().connect("owner") as owner, new.connect("analyst") as analyst:
            assert marts(owner) == before
            assert analyst.execute("select count(*) from features.user_profile").fetchone() > (0,)
        assert new.command("transformer", "build").code == ExitCode.PUBLISHED


def test_no_role_changes_a_decision_or_its_author(granted):
    with granted.connect("gate") as gate, granted.connect("owner") as owner:
        ledger.record_decision(gate, "release", "the source is right")
        gate.execute(
            "insert into gate.decisions (verb, operator, decided_by, decided_at, reason)"
            " values ('reject', 'somebody', 'somebody', '2020-01-01', 'because')"
        )
        assert (
            gate.execute("select decided_by, decided_at > now() - interval '1 hour' from gate.decisions").fetchall()
            == [(granted.login("gate"), True)] * 2
        )
        for change in (
            "update gate.decisions set reason = 'x'",
            "delete from gate.decisions",
            "truncate gate.decisions",
        ):
            for login, refusal in (
                (gate, psycopg.errors.InsufficientPrivilege),
                (owner, psycopg.errors.RaiseException),
            ):
                with pytest.raises(refusal):
                    login.execute(change)
        for way_round in (
            "alter table gate.decisions disable trigger all",
            "drop trigger decisions_are_final on gate.decisions",
            "drop function gate.refuse_to_change_decisions() cascade",
            "create or replace function gate.sign_decision() returns trigger language plpgsql as 'begin end'",
            "create trigger more before insert on gate.decisions execute function gate.sign_decision()",
            "drop table gate.decisions",
            "drop schema gate cascade",
            "set session_replication_role = replica",
            "set role moovitamix_transformer",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                gate.execute(way_round)


def test_an_analyst_reads_features_and_no_personal_column(granted):
    with granted.connect("analyst") as analyst, granted.connect("recommender") as recommender:
        for reader in (analyst, recommender):
            for refused in ("email", "*", "users", "id, last_name", "to_jsonb(users)"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    reader.execute(f"select {refused} from marts.users")
            for query in (
                "select id, gender from marts.users",
                "select count(*) from marts.users",
                "select * from features.user_profile inner join marts.users on user_id = id".replace(
                    "*", "top_genre, id"
                ),
                "select * from features.user_genre_affinity",
                "select * from marts.listen_history inner join marts.track_genres using (track_id)",
            ):
                assert reader.execute(query).fetchall()


def test_the_monitor_reads_all_metrics(granted):
    with granted.connect("monitor") as monitor, granted.connect("owner") as owner:
        shown, expected = ([family.samples for family in metrics.families(login)] for login in (monitor, owner))
    assert shown == expected and len(shown) > 50


def test_a_user_without_createrole_sees_the_needed_request_and_can_grant_after_it(fresh):
    before = fresh.privileges()
    with fresh.connect() as server:
        server.execute(sql.SQL("alter role {} nocreaterole noinherit").format(sql.Identifier(fresh.login("owner"))))

        line = fresh.command("owner", "grant").only_line(ExitCode.WAREHOUSE_UNAVAILABLE)

        assert fresh.privileges() == before
        server.execute(line[line.index("alter role") : line.index(";", line.index("alter role"))])
        fresh.granted()


def test_existing_roles_of_another_user_are_requested_from_it(fresh):
    with fresh.connect() as server:
        server.execute("create role moovitamix_loader")

        line = fresh.command("owner", "grant").only_line(ExitCode.WAREHOUSE_UNAVAILABLE)

        assert server.execute("select count(*) from pg_roles where rolname = any(%s)", [list(ROLES)]).fetchone() == (1,)
        server.execute(line[line.index("grant moovitamix") : line.index(" Then again")])
        granted = fresh.command("owner", "grant")
        assert granted.code == ExitCode.PUBLISHED, granted.err


def test_a_dry_run_prints_all_statements_and_executes_none(fresh):
    before = fresh.privileges()
    printed = fresh.command("owner", "grant", "--dry-run")
    assert printed.code == ExitCode.PUBLISHED
    assert fresh.privileges() == before
    with fresh.connect("owner") as owner:
        assert owner.execute("select count(*) from pg_roles where rolname = any(%s)", [list(ROLES)]).fetchone() == (0,)

        owner.execute(printed.out)

        by_hand = fresh.privileges()
        assert by_hand != before
        assert fresh.command("owner", "grant").code == ExitCode.PUBLISHED
        assert fresh.privileges() == by_hand


def test_before_the_first_build_there_is_nothing_to_grant(database_url, connection):
    for arguments in (["grant"], ["grant", "--dry-run"]):
        assert "make run" in command(*arguments, DATABASE_URL=database_url).only_line(ExitCode.WRONG_SETTINGS)
    assert connection.execute("select count(*) from pg_roles where rolname = any(%s)", [list(ROLES)]).fetchone() == (0,)


def test_a_table_in_use_keeps_its_owner_and_the_grant_is_rolled_back(fresh, monkeypatch):
    monkeypatch.setattr(privileges, "LOCK_TIMEOUT", "50ms")
    before = fresh.privileges()
    with fresh.connect() as reader, reader.transaction():
        reader.execute("select count(*) from marts.listen_history")
        assert "retry later" in fresh.command("owner", "grant").only_line(ExitCode.WAREHOUSE_UNAVAILABLE)
    assert fresh.privileges() == before
