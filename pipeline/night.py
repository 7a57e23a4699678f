"""The night: extract, gate, build, in order, under the run lock, each recorded in `ops` before it begins."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
from rich.console import Console

import extract
from expectations import gate, ledger
from pipeline import runs, sample_source, warehouse
from pipeline.dbt import Dbt, DbtOutcome
from pipeline.exits import Exit, Stop
from pipeline.settings import Settings
from pipeline.terminal import StepDisplay
from pipeline.warehouse import Warehouse

STEPS = ("extract", "gate", "build")


@dataclass
class Night:
    """What a run has done so far; the summary is made from it."""

    warehouse: Warehouse
    run_id: str
    extraction: extract.Extraction | None = None
    judgements: list[gate.Judgement] = field(default_factory=list)
    build: DbtOutcome | None = None
    problems: list[Stop] = field(default_factory=list)

    @property
    def exit_code(self) -> Exit:
        """That of the first thing that went wrong: what follows is often its consequence."""
        return self.problems[0].code if self.problems else Exit.PUBLISHED

    @property
    def message(self) -> str:
        if self.problems:
            return "; ".join(str(problem) for problem in self.problems)
        return "all published"


def run(
    settings: Settings,
    place: Warehouse,
    output: Console,
    steps: tuple[str, ...] = STEPS,
    on_finished: Callable[[Night, psycopg.Connection], None] | None = None,
) -> Night:
    """Do the steps and return what came of them. `on_finished` is called while the run still holds the lock.

    A failed source does not keep what is pending from being judged and built; a broken gate or a blocked table does not
    keep the rest from being built. Raises Stop when the run cannot begin, and whatever nobody foresaw.
    """
    with warehouse.only_run(place) as connection:
        warehouse.create_schemas(connection)
        runs.ensure(connection)
        ledger.ensure(connection)
        night = Night(place, runs.start_run(connection, " ".join(steps)))
        try:
            _do_steps(settings, connection, night, output, steps)
        except (Exception, KeyboardInterrupt) as error:
            _record_end(place, night, Exit.UNFORESEEN, f"{type(error).__name__}")
            raise
        if not connection.closed:
            with contextlib.suppress(psycopg.Error):
                runs.finish_run(connection, night.run_id, night.exit_code, night.message)
                if on_finished:
                    on_finished(night, connection)
                return night
        _record_end(place, night, night.exit_code, night.message)
        return night


def _do_steps(
    settings: Settings, connection: psycopg.Connection, night: Night, output: Console, steps: tuple[str, ...]
) -> None:
    work = {
        "extract": lambda: _extract(settings, connection, night, show, figures),
        "gate": lambda: _gate(connection, night, dbt, show, figures),
        "build": lambda: _build(connection, night, dbt, figures),
    }
    dbt = Dbt(progress=lambda node: show(node))
    for step in steps:
        try:
            with StepDisplay(output, step) as show, _recorded(connection, night, step) as figures:
                work[step]()
        except Stop as problem:
            night.problems.append(problem)
            if problem.code == Exit.WAREHOUSE_UNAVAILABLE:
                return


@contextlib.contextmanager
def _recorded(connection: psycopg.Connection, night: Night, step: str) -> Iterator[dict[str, Any]]:
    """Enter the step in the run ledger, and how it ended; database errors become Stops."""
    figures: dict[str, Any] = {}
    problem: BaseException | None = None
    try:
        runs.start_step(connection, night.run_id, step)
        yield figures
    except warehouse.UNAVAILABLE as error:
        problem = warehouse.unavailable(error, night.warehouse)
        raise problem from None
    except BaseException as error:
        problem = error
        raise
    finally:
        message = str(problem) if isinstance(problem, Stop) else type(problem).__name__ if problem else ""
        with contextlib.suppress(psycopg.Error):
            runs.finish_step(
                connection, night.run_id, step, failed=problem is not None, message=message, figures=figures
            )


def _extract(
    settings: Settings,
    connection: psycopg.Connection,
    night: Night,
    show: StepDisplay,
    figures: dict[str, Any],
) -> None:
    with contextlib.ExitStack() as stack:
        api_base_url = settings.api_base_url
        if api_base_url is None:
            day, first_run_on = runs.next_sample_day(connection, night.run_id)
            api_base_url = stack.enter_context(sample_source.serve_day(day, first_run_on))
        try:
            night.extraction = extract.run(
                night.warehouse.url,
                api_base_url,
                working_folder=settings.home / ".dlt",
                batch_size=settings.batch_size,
                disregarded_loads=ledger.disregarded_loads(connection),
                progress=show,
            )
        except extract.SourceFailed as error:
            raise Stop(Exit.SOURCE_FAILED, f"{error}; nothing was landed tonight") from None
        except extract.LandingFailed as error:
            message = warehouse.redacted(error, night.warehouse.url)
            raise Stop(Exit.WAREHOUSE_UNAVAILABLE, message) from None
    figures["load_id"] = night.extraction.load_id
    for table, scan in night.extraction.scans.items():
        figures[table] = {
            "rows_read": scan.rows_read,
            "rows_landed": scan.rows_landed,
            "rows_removed": scan.rows_removed,
        }


def _gate(connection: psycopg.Connection, night: Night, dbt: Dbt, show: StepDisplay, figures: dict[str, Any]) -> None:
    if _nothing_ever_landed(connection):
        return
    staged = dbt.invoke("run", "--select", "path:models/staging")
    if not staged.succeeded:
        raise _dbt_stop(night, staged, Exit.GATE_BROKEN, "the staging views could not be built")
    night.judgements = gate.judge_pending(night.warehouse.url, progress=lambda load_id, table: show(table))
    figures |= {f"{judgement.batch.table} {judgement.batch.load_id}": judgement.state for judgement in night.judgements}
    broken = [judgement for judgement in night.judgements if judgement.broken]
    blocked = [judgement for judgement in night.judgements if judgement.state == "blocked"]
    if broken:
        first = broken[0]
        raise Stop(
            Exit.GATE_BROKEN,
            f"the gate could not judge {', '.join(judgement.batch.table for judgement in broken)} ({first.broken});"
            " the load stays pending and the next run tries again",
        )
    if blocked:
        what = ", ".join(f"{judgement.batch.table} ({judgement.reason})" for judgement in blocked)
        raise Stop(Exit.BLOCKED, f'blocked: {what}; look at it with: make gate ARGS="show {blocked[0].batch.load_id}"')


def _build(connection: psycopg.Connection, night: Night, dbt: Dbt, figures: dict[str, Any]) -> None:
    if _nothing_ever_landed(connection):
        return
    night.build = dbt.invoke("build", "--exclude-resource-type", "unit_test", "--exclude", "path:models/staging")
    figures |= night.build.counts
    if not night.build.succeeded:
        raise _dbt_stop(night, night.build, Exit.BUILD_FAILED, "dbt failed")


def _nothing_ever_landed(connection: psycopg.Connection) -> bool:
    return connection.execute("select to_regclass('staging.scans') is null").fetchone()[0]


def _dbt_stop(night: Night, outcome: DbtOutcome, code: Exit, what: str) -> Stop:
    """A dbt failure; when the warehouse does not answer any more, that is the news."""
    night.warehouse.connect().close()
    detail = outcome.broken or outcome.failures[0]
    more = f" and {len(outcome.failures) - 1} more" if len(outcome.failures) > 1 else ""
    return Stop(
        code,
        f"{what}: {warehouse.redacted(detail, night.warehouse.url)}{more};"
        " the log is dbt_project/logs/dbt.log, and after mending it: make run",
    )


def _record_end(place: Warehouse, night: Night, code: Exit, message: str) -> None:
    """Record the end over a new connection: the run's own may be gone."""
    with contextlib.suppress(Stop, psycopg.Error), place.connect() as connection:
        runs.finish_run(connection, night.run_id, code, message)
