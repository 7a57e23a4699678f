"""Run the steps in order, under the run lock. Each step is recorded in `ops` before it starts."""

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import click
import psycopg

from expectations import gate, ledger
from expectations.verdicts import Shares
from extract import extraction
from extract.errors import LandingError, SettingError, SourceError
from extract.extraction import Extraction
from extract.limits import limits_from_environment
from extract.pages import Traffic
from extract.recovery import Recovery
from pipeline.records import run_ledger
from pipeline.records.resource_usage import Measures, Meter
from pipeline.run import analyst_login, build_state, erasure_key, privileges, recommending, run_details, sample_source
from pipeline.run.dbt import NO_NODES, Dbt, DbtOutcome, to_command_error
from pipeline.run.message_parts import ALL_PUBLISHED, blocked_advice
from pipeline.run.preparation import lock_for_writing
from pipeline.run.progress import Display, Progress
from pipeline.run.recommending import RecommendResult
from pipeline.settings import Settings
from warehouse import database, redaction
from warehouse.database import Warehouse
from warehouse.errors import CommandError, ExitCode
from warehouse.names import STEPS

Work = Callable[[Progress, dict[str, Any]], None]


@dataclass
class PipelineRun:
    """Hold what a run has done so far, for its summary. `seconds`: by step that has ended."""

    warehouse: Warehouse
    run_id: str
    recovery: Recovery = field(default_factory=Recovery)
    traffic: dict[str, Traffic] = field(default_factory=dict)
    sample_day: sample_source.SampleDay | None = None
    """The day of the sample world that the run reads; None if the API is real, or nothing is read."""
    extraction: Extraction | None = None
    verdicts: list[gate.Verdict] = field(default_factory=list)
    rows_quarantined: dict[str, int] = field(default_factory=dict)
    """By table, the rows in quarantine after the gate, whichever load brought them."""
    has_blocked_load: bool = False
    build: DbtOutcome | None = None
    recommendations: RecommendResult | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    """What a command that is one step has done, by name."""
    seconds: dict[str, float] = field(default_factory=dict)
    problems: list[CommandError] = field(default_factory=list)
    meter: Meter = field(init=False)

    def __post_init__(self) -> None:
        self.meter = Meter(Settings().home, self.warehouse.server)

    def note_recovery(self, recovery: Recovery) -> None:
        self.recovery = recovery

    @property
    def exit_code(self) -> ExitCode:
        """Return the code of the first problem: the following ones are often its consequence."""
        return self.problems[0].code if self.problems else ExitCode.PUBLISHED

    @property
    def has_lost_warehouse(self) -> bool:
        return any(problem.code == ExitCode.WAREHOUSE_UNAVAILABLE for problem in self.problems)

    @property
    def has_failed_build(self) -> bool:
        return any(problem.code == ExitCode.BUILD_FAILED for problem in self.problems)

    @property
    def message(self) -> str:
        """Return all problems on one line; without problems, how far the loads have come."""
        if self.problems:
            *others, last = map(str, self.problems)
            # some are whole sentences
            return "; ".join((*(problem.removesuffix(".") for problem in others), last))
        if self.figures:
            return ", ".join(f"{name} {figure}" for name, figure in self.figures.items())
        if self.build:
            return "built, while a load is blocked" if self.has_blocked_load else ALL_PUBLISHED
        if self.recommendations:
            return self.recommendations.message
        if self.verdicts:
            return "checked, not built yet"
        if self.extraction:
            return "loaded, not checked yet"
        return "nothing to do"


def run(
    settings: Settings,
    warehouse: Warehouse,
    display: Display,
    steps: tuple[str, ...] = STEPS,
    on_start: Callable[[PipelineRun], None] = lambda this_run: None,
    say: Callable[[str], None] = click.echo,
) -> PipelineRun:
    """Run the steps and return their results.

    `on_start` is called when the run is in the run ledger, `say` with what the warehouse needed first.

    If the source fails, pending loads are still checked and built. If the gate fails or a table is blocked, the rest is
    still built, and recommended from. Only a failed build or warehouse ends the run. Raises CommandError if the run
    cannot start. An unexpected error is recorded as the end of the run, and raised.
    """
    with (
        lock_for_writing(warehouse, say) as connection,
        record_run(warehouse, connection, " ".join(steps)) as this_run,
    ):
        on_start(this_run)
        dbt = _dbt(warehouse)
        work: dict[str, Work] = {
            "extract": partial(_extract, settings, connection, this_run),
            "gate": partial(_gate, connection, this_run, settings.shares),
            "build": partial(_build, connection, this_run, dbt),
            "recommend": partial(_recommend, settings, this_run),
        }
        for step in steps:
            _do_step(connection, this_run, display, step, work[step])
            if this_run.has_lost_warehouse or this_run.has_failed_build:
                break
    return this_run


def carry_out_decision(
    verb: str,
    work: Work,
    warehouse: Warehouse,
    connection: psycopg.Connection,
    display: Display,
    show: Callable[[], None],
) -> PipelineRun:
    """Carry out a decision and build its changes, on the connection that holds the run lock.

    `show` is called after the decision is recorded: if `show` fails, the run ledger does not ask to repeat it. A login
    that may not build leaves the build to another one.
    """
    steps = (verb, "build") if _may_build(warehouse, connection) else (verb,)
    with record_run(warehouse, connection, " ".join(("gate", *steps))) as this_run:
        _do_step(connection, this_run, display, verb, work)
        if not this_run.problems:
            show()
        if "build" in steps and not this_run.problems:
            _do_step(connection, this_run, display, "build", partial(_build, connection, this_run, _dbt(warehouse)))
    return this_run


@contextlib.contextmanager
def record_run(warehouse: Warehouse, connection: psycopg.Connection, command: str) -> Iterator[PipelineRun]:
    """Record a run before it starts, and its end however it ends."""
    with database.translate_database_errors(warehouse):
        this_run = PipelineRun(warehouse, run_ledger.start_run(connection, command))
    try:
        yield this_run
    except BaseException as error:
        code = error.code if isinstance(error, CommandError) else ExitCode.UNEXPECTED_ERROR
        _record_end(this_run, code, *run_ledger.describe_error(error))
        raise
    _record_end(
        this_run, this_run.exit_code, this_run.message, this_run.problems[0].code.name if this_run.problems else None
    )


@contextlib.contextmanager
def record_locked_command(
    warehouse: Warehouse, connection: psycopg.Connection, command: str
) -> Iterator[dict[str, Any]]:
    """Record a command that is one step, and its end. Database errors become CommandError.

    `connection` holds the run lock; commands without it use `journal.record_concurrent_command`. Yields the step's
    figures, which are also the message of a successful run.
    """
    with record_run(warehouse, connection, command) as this_run, _record_step(connection, this_run, command) as figures:
        this_run.figures = figures
        yield figures


def _dbt(warehouse: Warehouse) -> Dbt:
    database.export(warehouse.at_work("build"))
    # the results are returned as data: writing them to files takes longer than a small build
    return Dbt("--no-write-json")


def _do_step(connection: psycopg.Connection, this_run: PipelineRun, display: Display, step: str, work: Work) -> None:
    try:
        with display(this_run.run_id, step) as show, _record_step(connection, this_run, step) as figures:
            work(show, figures)
    except CommandError as problem:
        this_run.problems.append(problem)


@contextlib.contextmanager
def _record_step(connection: psycopg.Connection, this_run: PipelineRun, step: str) -> Iterator[dict[str, Any]]:
    """Record a step and its end in the run ledger. Database errors become CommandError."""
    figures: dict[str, Any] = {}
    message, error_type = "", None
    meter = this_run.meter.start_step_meter()
    started = time.monotonic()
    try:
        with database.translate_database_errors(this_run.warehouse):
            run_ledger.start_step(connection, this_run.run_id, step)
            try:
                yield figures
            finally:
                # If this connection is lost, so is the run lock. Great Expectations and dbt may report that as their
                # own failure or not at all, but it is a failure of the warehouse.
                connection.execute("select 1")
                _record_details(connection, this_run, step)
    except BaseException as error:
        message, error_type = run_ledger.describe_error(error)
        raise
    finally:
        this_run.seconds[step] = time.monotonic() - started
        # if the connection is lost, `_record_end` records the end of the step over another one
        with contextlib.suppress(psycopg.Error):
            run_ledger.finish_step(
                connection,
                this_run.run_id,
                step,
                error_type=error_type,
                message=message,
                figures=figures,
                measures=meter.measures() | _moved_amounts(this_run, step),
            )


def _record_details(connection: psycopg.Connection, this_run: PipelineRun, step: str) -> None:
    """Record the details of the step, also if it failed."""
    rows: dict[str, Iterable[dict[str, object]]] = {}
    if step == "extract":
        rows["run_tables"] = run_details.make_table_rows(this_run.traffic, this_run.extraction)
        rows["run_columns"] = run_details.make_column_rows(this_run.extraction) if this_run.extraction else ()
    elif step == "gate":
        rows["run_loads"] = run_details.make_load_rows(this_run.verdicts)
    elif step == "build":
        rows["run_nodes"] = run_details.make_node_rows(step, this_run.build)
    for table, about in rows.items():
        run_ledger.insert_rows(connection, table, this_run.run_id, about)


def _moved_amounts(this_run: PipelineRun, step: str) -> Measures:
    """Return the rows and bytes that the step has moved, as far as they are counted."""
    moved: Measures = {}
    if step == "extract":
        if this_run.traffic:
            moved["bytes"] = sum(asked.bytes_received for asked in this_run.traffic.values())
        if this_run.extraction:
            moved["rows"] = sum(scan.rows_read for scan in this_run.extraction.scans.values())
    elif step == "gate":
        batches = [verdict.batch for verdict in this_run.verdicts]
        moved["rows"] = sum(batch.rows_landed + batch.rows_removed for batch in batches)
    elif step == "build" and this_run.build:
        moved["rows"] = sum(node.rows_affected or 0 for node in this_run.build.nodes)
    elif step == "recommend" and this_run.recommendations:
        made = this_run.recommendations
        moved["rows"] = made.release.lists if made.is_new else 0
    return moved


def _extract(
    settings: Settings,
    connection: psycopg.Connection,
    this_run: PipelineRun,
    show: Progress,
    figures: dict[str, Any],
) -> None:
    erasures = erasure_key.load_erasures(settings, connection)
    with contextlib.ExitStack() as stack:
        api_base_url = settings.api_base_url
        if api_base_url is None:
            if not settings.sample and run_ledger.has_read_real_api(connection):
                raise CommandError(
                    ExitCode.WRONG_SETTINGS,
                    "API_BASE_URL is not set, and this warehouse was filled from a real API: set it,"
                    " or pass --sample to load the sample data",
                )
            this_run.sample_day = sample_source.take_day(connection, this_run.run_id, settings.sample_start)
            api_base_url = stack.enter_context(sample_source.serve_day(this_run.sample_day, settings.fault))
        stack.enter_context(translate_extraction_errors(this_run.warehouse))
        this_run.extraction = extraction.run(
            this_run.warehouse.at_work("extract").conninfo,
            api_base_url,
            working_folder=settings.dlt_folder,
            batch_size=settings.batch_size,
            window=settings.window,
            api_proxy=settings.api_proxy,
            limits=limits_from_environment(os.environ),
            disregarded_loads=ledger.disregarded_loads(connection),
            erasures=erasures,
            progress=show,
            on_recovery=this_run.note_recovery,
            traffic=this_run.traffic,
        )


@contextlib.contextmanager
def translate_extraction_errors(warehouse: Warehouse) -> Iterator[None]:
    """Turn the errors of `extract` into CommandError."""
    try:
        yield
    except SettingError as error:
        raise CommandError(ExitCode.WRONG_SETTINGS, str(error)) from None
    except SourceError as error:
        raise CommandError(ExitCode.SOURCE_FAILED, str(error)) from None
    except LandingError as error:
        raise CommandError(ExitCode.WAREHOUSE_UNAVAILABLE, redaction.redact(error, warehouse.conninfo)) from None


def _gate(
    connection: psycopg.Connection,
    this_run: PipelineRun,
    shares: Shares,
    show: Progress,
    figures: dict[str, Any],
) -> None:
    gate.check_pending(
        this_run.warehouse.at_work("gate").conninfo,
        progress=lambda load_id, table: show(table),
        shares=shares,
        # one by one: if the database fails, the run still shows and records those that stand
        on_verdict=this_run.verdicts.append,
    )
    this_run.rows_quarantined = ledger.count_quarantined_rows(connection)
    broken = [verdict for verdict in this_run.verdicts if verdict.error]
    blocked = [verdict for verdict in this_run.verdicts if verdict.state == "blocked"]
    has_several_loads = len({verdict.batch.load_id for verdict in this_run.verdicts}) > 1

    def name(batch: gate.Batch) -> str:
        return f"{batch.table} of load {batch.load_id}" if has_several_loads else batch.table

    problems = []
    if broken:
        problems.append(
            f"the gate could not check {', '.join(name(verdict.batch) for verdict in broken)}"
            f" ({redaction.redact(broken[0].error, this_run.warehouse.conninfo)});"
            f" {'it stays' if len(broken) == 1 else 'they stay'} pending; fix the cause, then: make run"
        )
    if blocked:
        what = ", ".join(f"{name(verdict.batch)} ({verdict.reason})" for verdict in blocked)
        advice = blocked_advice([(verdict.batch.load_id, verdict.batch.table) for verdict in blocked])
        problems.append(f"blocked: {what}{advice}")
    if problems:
        raise CommandError(ExitCode.GATE_BROKEN if broken else ExitCode.BLOCKED, "; ".join(problems))


def _build(
    connection: psycopg.Connection, this_run: PipelineRun, dbt: Dbt, show: Progress, figures: dict[str, Any]
) -> None:
    if not ledger.has_loads(connection):
        return
    # before dbt parses the project, which may change during the build
    figures |= build_state.read_inputs(connection)
    this_run.has_blocked_load = bool(ledger.blocked_loads(connection))
    arguments = build_state.choose_build(connection, figures)
    this_run.build = dbt.invoke(*arguments, progress=show) if arguments else NO_NODES
    if not this_run.build.succeeded:
        raise to_command_error(this_run.build, this_run.warehouse, ExitCode.BUILD_FAILED, "dbt failed")
    if "build" in this_run.warehouse.roles:
        with this_run.warehouse.at_work("build").connect() as builder:
            privileges.grant_new_columns(builder)
    if this_run.warehouse.server:
        analyst_login.keep(connection, Settings().postgres_folder)
    figures["relations"] = build_state.read_relations(connection)


def _recommend(settings: Settings, this_run: PipelineRun, show: Progress, figures: dict[str, Any]) -> None:
    with this_run.warehouse.at_work("recommend").connect() as work:
        this_run.recommendations = recommending.recommend(work, settings, show)
    figures |= this_run.recommendations.figures


def _may_build(warehouse: Warehouse, connection: psycopg.Connection) -> bool:
    return (
        "build" in warehouse.roles or connection.execute("select has_schema_privilege('prep', 'create')").fetchone()[0]
    )


def _record_end(this_run: PipelineRun, code: ExitCode, message: str, error_type: str | None) -> None:
    """Record the end of the run over a new connection: its own may be lost."""
    with contextlib.suppress(CommandError, psycopg.Error), this_run.warehouse.connect() as connection:
        measures = this_run.meter.measures() | _moved_amounts(this_run, "extract")
        run_ledger.finish_run(connection, this_run.run_id, code, message, error_type=error_type, measures=measures)
