"""The night: extract, gate, build, in order, under the run lock, each recorded in `ops` before it begins."""

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psycopg

import extract
from expectations import gate, ledger
from expectations.judgement import Shares
from pipeline import erasure_key, gate_report, run_figures, runs, sample_source, warehouse
from pipeline.dbt import Dbt, DbtOutcome, explained
from pipeline.exits import Exit, Stop
from pipeline.settings import Settings
from pipeline.terminal import Display, Progress
from pipeline.usage import Measures, Meter
from pipeline.warehouse import Warehouse

STEPS = ("extract", "gate", "build")
# Without audits: these read all there is, and a night costs what it brings. More to leave out may follow.
NIGHTLY_BUILD = ("build", "--exclude-resource-type", "unit_test", "--exclude", "tag:audit")

Work = Callable[[Progress, dict[str, Any]], None]


@dataclass
class Night:
    """What a run has done so far; the summary is made from it. `seconds` is per step that has ended."""

    warehouse: Warehouse
    run_id: str
    recovery: extract.Recovery = field(default_factory=extract.Recovery)
    traffic: dict[str, extract.Traffic] = field(default_factory=dict)
    extraction: extract.Extraction | None = None
    staged: DbtOutcome | None = None
    judgements: list[gate.Judgement] = field(default_factory=list)
    build: DbtOutcome | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    problems: list[Stop] = field(default_factory=list)
    meter: Meter = field(init=False)

    def __post_init__(self) -> None:
        self.meter = Meter(Settings().home, self.warehouse.server)

    def note_recovery(self, recovery: extract.Recovery) -> None:
        self.recovery = recovery

    @property
    def exit_code(self) -> Exit:
        """That of the first thing that went wrong: what follows is often its consequence."""
        return self.problems[0].code if self.problems else Exit.PUBLISHED

    @property
    def has_lost_its_warehouse(self) -> bool:
        return any(problem.code == Exit.WAREHOUSE_UNAVAILABLE for problem in self.problems)

    @property
    def message(self) -> str:
        """What went wrong, everything on one line; else how far the run took what came."""
        if self.problems:
            return "; ".join(str(problem) for problem in self.problems)
        if self.build:
            return "all published"
        if self.judgements:
            return "judged, not built yet"
        if self.extraction:
            return "landed, not judged yet"
        return "nothing to do"


def run(
    settings: Settings,
    place: Warehouse,
    display: Display,
    steps: tuple[str, ...] = STEPS,
    began: Callable[[Night], None] = lambda night: None,
) -> Night:
    """Do the steps and return what came of them; `began` is told when they begin.

    A failed source does not keep what is pending from being judged and built; a broken gate or a blocked table does not
    keep the rest from being built. Only a warehouse that fails ends the night. Raises Stop when the run cannot begin,
    and whatever nobody foresaw; that too is recorded as the run's end.
    """
    with alone(place) as connection, recorded_run(place, connection, " ".join(steps)) as night:
        began(night)
        dbt = _dbt(place)
        work: dict[str, Work] = {
            "extract": partial(_extract, settings, connection, night),
            "gate": partial(_gate, connection, night, dbt, settings.shares),
            "build": partial(_build, connection, night, dbt),
        }
        for step in steps:
            _do_step(connection, night, display, step, work[step])
            if night.has_lost_its_warehouse:
                break
    return night


def decide(
    verb: str,
    work: Work,
    place: Warehouse,
    connection: psycopg.Connection,
    display: Display,
    show: Callable[[], None],
) -> Night:
    """Carry out a decision, and bring to the readers what it changed, on the connection that holds the run lock.

    `show` is called once the decision is made and its step recorded: if it fails, the run ledger does not ask for the
    decision once more. A login that may not build leaves that to others.
    """
    steps = (verb, "build") if _may_build(place, connection) else (verb,)
    with recorded_run(place, connection, " ".join(("gate", *steps))) as night:
        _do_step(connection, night, display, verb, work)
        if not night.problems:
            show()
        if "build" in steps and not night.problems:
            _do_step(connection, night, display, "build", partial(_build, connection, night, _dbt(place)))
    return night


@contextlib.contextmanager
def alone(place: Warehouse) -> Iterator[psycopg.Connection]:
    """The connection that holds the run lock, with the ledgers made. Raises Stop when it cannot be had."""
    with runs.run_lock(place) as connection:
        with warehouse.failures_explained(place):
            runs.prepare(connection)
        yield connection


@contextlib.contextmanager
def recorded_run(place: Warehouse, connection: psycopg.Connection, command: str) -> Iterator[Night]:
    """A run in the run ledger, entered before it begins; how it ends is entered whatever happens."""
    with warehouse.failures_explained(place):
        night = Night(place, runs.start_run(connection, command))
    try:
        yield night
    except BaseException as error:
        _record_end(night, Exit.UNFORESEEN, *runs.told(error))
        raise
    _record_end(night, night.exit_code, night.message, night.problems[0].code.name if night.problems else None)


def _dbt(place: Warehouse) -> Dbt:
    warehouse.export(place.at_work("build"))
    # the outcome comes back as data: writing it to files takes longer than a build that has little to do
    return Dbt("--no-write-json")


def _do_step(connection: psycopg.Connection, night: Night, display: Display, step: str, work: Work) -> None:
    try:
        with display(night.run_id, step) as show, _recorded(connection, night, step) as figures:
            work(show, figures)
    except Stop as problem:
        night.problems.append(problem)


@contextlib.contextmanager
def _recorded(connection: psycopg.Connection, night: Night, step: str) -> Iterator[dict[str, Any]]:
    """Enter the step in the run ledger, and how it ended; database errors become Stops."""
    figures: dict[str, Any] = {}
    message, error_type = "", None
    meter = night.meter.of_step()
    started = time.monotonic()
    try:
        with warehouse.failures_explained(night.warehouse):
            runs.start_step(connection, night.run_id, step)
            try:
                yield figures
            finally:
                # With this connection the run lock is lost, and what Great Expectations or dbt report as a failure of
                # their own, or as none at all, is the warehouse's.
                connection.execute("select 1")
                _enter_figures(connection, night, step)
    except BaseException as error:
        message, error_type = runs.told(error)
        raise
    finally:
        night.seconds[step] = time.monotonic() - started
        # when the connection is lost, the end of the run is entered over another one, and that of the step with it
        with contextlib.suppress(psycopg.Error):
            runs.finish_step(
                connection,
                night.run_id,
                step,
                error_type=error_type,
                message=message,
                figures=figures,
                measures=meter.measures() | _moved(night, step),
            )


def _enter_figures(connection: psycopg.Connection, night: Night, step: str) -> None:
    """What the step came to, in detail; also of one that failed."""
    rows: dict[str, Iterable[dict[str, object]]] = {}
    if step == "extract":
        rows["run_tables"] = run_figures.of_tables(night.traffic, night.extraction)
        rows["run_columns"] = run_figures.of_columns(night.extraction) if night.extraction else ()
    elif step == "gate":
        rows["run_loads"] = run_figures.of_loads(night.judgements)
        rows["run_nodes"] = run_figures.of_nodes(step, night.staged)
    elif step == "build":
        rows["run_nodes"] = run_figures.of_nodes(step, night.build)
    for table, about in rows.items():
        runs.enter(connection, table, night.run_id, about)


def _moved(night: Night, step: str) -> Measures:
    """Rows and bytes that the step has moved, as far as somebody counts them."""
    moved: Measures = {}
    if step == "extract":
        if night.traffic:
            moved["bytes"] = sum(asked.bytes_received for asked in night.traffic.values())
        if night.extraction:
            moved["rows"] = sum(scan.rows_read for scan in night.extraction.scans.values())
    elif step == "gate":
        batches = [judgement.batch for judgement in night.judgements]
        moved["rows"] = sum(batch.rows_landed + batch.rows_removed for batch in batches)
    elif step == "build" and night.build:
        moved["rows"] = sum(node.rows_affected or 0 for node in night.build.nodes)
    return moved


def _extract(
    settings: Settings,
    connection: psycopg.Connection,
    night: Night,
    show: Progress,
    figures: dict[str, Any],
) -> None:
    erasures = erasure_key.erasures(settings, connection)
    with contextlib.ExitStack() as stack:
        api_base_url = settings.api_base_url
        if api_base_url is None:
            if not settings.sample and runs.has_read_the_real_api(connection):
                raise Stop(
                    Exit.WRONG_SETTINGS,
                    "API_BASE_URL is not set, and this warehouse was filled from a real API: set it,"
                    " or say --sample to bring in the sample world",
                )
            day, first_run_on = runs.next_sample_day(connection, night.run_id)
            api_base_url = stack.enter_context(sample_source.serve_day(day, first_run_on))
        stack.enter_context(extraction_explained(night.warehouse))
        night.extraction = extract.run(
            night.warehouse.at_work("extract").conninfo,
            api_base_url,
            working_folder=settings.dlt_folder,
            batch_size=settings.batch_size,
            window=settings.window,
            limits=extract.limits_from_environment(os.environ),
            disregarded_loads=ledger.disregarded_loads(connection),
            erasures=erasures,
            progress=show,
            on_recovery=night.note_recovery,
            traffic=night.traffic,
        )


@contextlib.contextmanager
def extraction_explained(place: Warehouse) -> Iterator[None]:
    """Turn what `extract` raises into Stops."""
    try:
        yield
    except extract.WrongSetting as error:
        raise Stop(Exit.WRONG_SETTINGS, str(error)) from None
    except extract.SourceFailed as error:
        raise Stop(Exit.SOURCE_FAILED, str(error)) from None
    except extract.LandingFailed as error:
        raise Stop(Exit.WAREHOUSE_UNAVAILABLE, warehouse.redacted(error, place.conninfo)) from None


def _gate(
    connection: psycopg.Connection,
    night: Night,
    dbt: Dbt,
    shares: Shares,
    show: Progress,
    figures: dict[str, Any],
) -> None:
    if not warehouse.has(connection, "staging.scans"):
        return
    if _may_replace_staging_views(connection):
        night.staged = dbt.invoke("run", "--select", "path:models/staging", progress=show)
        if not night.staged.succeeded:
            raise explained(night.staged, night.warehouse, Exit.GATE_BROKEN, "the staging views could not be built")
    night.judgements = gate.judge_pending(
        night.warehouse.at_work("gate").conninfo,
        progress=lambda load_id, table: show(table),
        max_removed_share=shares.max_removed,
        max_changed_share=shares.max_changed,
    )
    broken = [judgement for judgement in night.judgements if judgement.broken]
    blocked = [judgement for judgement in night.judgements if judgement.state == "blocked"]
    if broken:
        raise Stop(
            Exit.GATE_BROKEN,
            f"the gate could not judge {', '.join(judgement.batch.table for judgement in broken)}"
            f" ({warehouse.redacted(broken[0].broken, night.warehouse.conninfo)});"
            " the load stays pending and the next run tries again",
        )
    if blocked:
        what = ", ".join(f"{judgement.batch.table} ({judgement.reason})" for judgement in blocked)
        releases = " and ".join(
            gate_report.decision("release", judgement.batch.load_id, judgement.batch.table) for judgement in blocked
        )
        raise Stop(
            Exit.BLOCKED,
            f'blocked: {what}; look at it with: make gate ARGS="show {blocked[0].batch.load_id}";'
            f" if the source is right, release it: {releases}",
        )


def _build(connection: psycopg.Connection, night: Night, dbt: Dbt, show: Progress, figures: dict[str, Any]) -> None:
    if not warehouse.has(connection, "staging.scans"):
        return
    (figures["published_seq"],) = connection.execute("select max(seq) from gate.publications").fetchone()
    already_built = ["path:models/staging"] if night.staged and night.staged.succeeded else []
    night.build = dbt.invoke(*NIGHTLY_BUILD, *already_built, progress=show)
    if not night.build.succeeded:
        raise explained(night.build, night.warehouse, Exit.BUILD_FAILED, "dbt failed")


def _may_build(place: Warehouse, connection: psycopg.Connection) -> bool:
    return "build" in place.roles or connection.execute("select has_schema_privilege('prep', 'create')").fetchone()[0]


def _may_replace_staging_views(connection: psycopg.Connection) -> bool:
    """A login that only judges uses the views as the last build left them."""
    return connection.execute(r"""
        select
            has_schema_privilege('prep', 'create')
            and not exists (
                select 1
                from pg_class
                where
                    relnamespace = 'prep'::regnamespace and relname like 'stg\_%'
                    and not pg_has_role(relowner, 'usage')
            )
    """).fetchone()[0]


def _record_end(night: Night, code: Exit, message: str, error_type: str | None) -> None:
    """Record the end over a new connection: the run's own may be gone."""
    with contextlib.suppress(Stop, psycopg.Error), night.warehouse.connect() as connection:
        measures = night.meter.measures() | _moved(night, "extract")
        runs.finish_run(connection, night.run_id, code, message, error_type=error_type, measures=measures)
