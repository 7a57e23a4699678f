"""Carry out the stages of a training: prepare, tune, evaluate, promote."""

import contextlib
import datetime as dt
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import psycopg
from rich.console import Console

from pipeline.console.terminal import minute
from pipeline.operations import training_report
from pipeline.operations.journal import Journal, record_concurrent_command
from pipeline.run import recommending
from pipeline.run.preparation import lock_for_writing
from pipeline.run.progress import Progress
from pipeline.settings import Settings
from recommender import known_range, registry, triggers
from recommender.registry import EVALUATE, PREPARE, PROMOTE, STAGES, TUNE
from recommender.triggers import Trigger
from warehouse import database, locks, schema
from warehouse.database import Warehouse
from warehouse.errors import CommandError, ExitCode

# A night ends the backends with the name of a run; a training goes on beside it.
APPLICATION = "moovitamix train"
COMMAND = "train"


@dataclass(frozen=True)
class TrainingRequest:
    """Hold the options of the command."""

    stages: Sequence[str] = STAGES
    artist_cap: int = 3
    budget: float = 60
    seed: int = 0
    is_if_due: bool = False
    every: dt.timedelta = dt.timedelta(days=7)
    volume: float = 0.2
    is_later: bool = False
    accepts_data: bool = False
    artefact_folder: str | None = field(default=None, repr=False)


def train(settings: Settings, warehouse: Warehouse, output: Console, request: TrainingRequest) -> None:
    """Carry out the stages of a training, and say what it decided.

    Raises CommandError: WRONG_SETTINGS before the first build, while the marts are behind, and for a stage that is not
    the next one; ALREADY_RUNNING beside another training, and if a run holds the lock when the lists must be made;
    RECOMMENDATIONS_FAILED if the data failed a check, or a model cannot be stored.
    """
    # seconds of imports that --help does not need
    from recommender import retraining

    at_work = warehouse.at_work("recommend")
    journal = Journal(output, uuid.uuid4().hex[:12])
    with (
        database.translate_database_errors(warehouse),
        at_work.connect() as lock,
        at_work.connect() as work,
    ):
        _check_is_prepared(work)
        with retraining.training_lock(lock):
            stages = _stages(work, request, journal)
            if not stages:
                return
            with record_concurrent_command(settings, at_work, journal.run_id, COMMAND) as figures:
                for stage in stages:
                    _do_stage(stage, warehouse, work, request, journal)
                    if stage != PROMOTE and not registry.read_unfinished_trainings(work):
                        break
                figures |= training_report.report_outcome(work, journal, is_later=request.is_later)


def _check_is_prepared(connection: psycopg.Connection) -> None:
    if not schema.is_current(connection):
        if database.has(connection, "ops.runs"):
            raise CommandError(ExitCode.WAREHOUSE_UNAVAILABLE, schema.NOT_PREPARED)
        raise CommandError(ExitCode.WRONG_SETTINGS, schema.NOTHING_LOADED)
    known_range.read(connection)


def _stages(connection: psycopg.Connection, request: TrainingRequest, journal: Journal) -> Sequence[str]:
    """Return the stages to carry out: of a new training, the rest of an interrupted one, or none if nothing is due."""
    from recommender import retraining

    now = known_range.read(connection).now
    interrupted = retraining.find_resumable(connection, now)
    if request.is_if_due and not interrupted:
        if request.stages[0] != PREPARE:
            journal.say("not_due", "no training is in progress, so there is nothing to do")
            return ()
        if not _is_due(connection, request, now, journal):
            return ()
    if not interrupted:
        return request.stages
    done = min((row.stage for row in interrupted), key=STAGES.index)
    if len(request.stages) == 1:
        if request.is_if_due and STAGES.index(request.stages[0]) <= STAGES.index(done):
            journal.say("not_due", f"the training in progress has completed {request.stages[0]} already")
            return ()
        return request.stages
    rest = STAGES[STAGES.index(done) + 1 :]
    began = minute(interrupted[0].started_at)
    journal.say("training_continued", f"the training of {began} UTC stopped after {done}; it continues with {rest[0]}")
    return rest


def _is_due(connection: psycopg.Connection, request: TrainingRequest, now: dt.datetime, journal: Journal) -> bool:
    checks = list(triggers.check_triggers(connection, now, request.every, request.volume))
    if not checks:
        journal.say("not_due", "there is no champion yet; the recommendations of a run train the first one")
        return False
    fired = [check for check in checks if check.is_due]
    for check in fired or checks:
        journal.say("due" if check.is_due else "not_due", f"{'due' if check.is_due else 'not due'}: {check.detail}")
    if not fired:
        journal.say("not_due", "no retraining is due; train all the same with: make train")
    return bool(fired)


def _do_stage(
    stage: str, warehouse: Warehouse, connection: psycopg.Connection, request: TrainingRequest, journal: Journal
) -> None:
    from recommender import retraining
    from recommender.artefacts import ArtefactError

    folder = request.artefact_folder
    try:
        with journal.step(stage) as show:
            if stage == PREPARE:
                trigger = Trigger(triggers.ASKED, "with make train")
                if request.is_if_due:
                    now = known_range.read(connection).now
                    trigger = triggers.find_due_trigger(connection, now, request.every, request.volume) or trigger
                rows = retraining.prepare(
                    connection,
                    trigger,
                    folder,
                    budget=request.budget,
                    seed=request.seed,
                    accepts_data=request.accepts_data,
                )
            elif stage == TUNE:
                retraining.tune(connection, folder, show)
            elif stage == EVALUATE:
                retraining.evaluate(connection, folder, show)
            else:
                _promote(warehouse, connection, request, journal, show)
    except (ArtefactError, MemoryError) as error:
        raise recommending.to_command_error(connection, error) from None
    if stage == PREPARE:
        training_report.report_data(rows, journal)
    elif stage == PROMOTE:
        _drop_unused_files(connection, folder, journal)


def _promote(
    warehouse: Warehouse, connection: psycopg.Connection, request: TrainingRequest, journal: Journal, show: Progress
) -> None:
    from recommender import retraining
    from recommender.publishing import ChampionChangedError

    decided = retraining.read_promotions(connection)
    try:
        if request.is_later:
            retraining.promote_later(connection, decided)
        elif decided:
            with _run_lock(warehouse) as work:
                recommending.publish(
                    work,
                    known_range.read(work),
                    show,
                    artist_cap=request.artist_cap,
                    budget=request.budget,
                    seed=request.seed,
                    promotions=decided,
                )
    except ChampionChangedError as changed:
        retraining.abandon(connection, changed)


def _drop_unused_files(connection: psycopg.Connection, folder: str | None, journal: Journal) -> None:
    from recommender import artefact_store
    from recommender.artefacts import ArtefactError

    try:
        artefact_store.drop_unused(connection, folder)
    except ArtefactError as error:
        journal.say("warning", f"warning: {error}; the training is complete, and these files only take up space")


@contextlib.contextmanager
def _run_lock(warehouse: Warehouse) -> Iterator[psycopg.Connection]:
    """Hold the run lock, and yield a connection to work on that the next run ends if this process is killed.

    The lock needs the login of a run: another one may not end what a killed run has left.
    """
    parameters = {**warehouse.parameters, "application_name": locks.RUN_APPLICATION}
    of_run = replace(warehouse, parameters=parameters)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock_for_writing(of_run, prepares=False))
        except CommandError as error:
            if error.code != ExitCode.ALREADY_RUNNING:
                raise
            raise CommandError(
                error.code, "a run is using the warehouse; what was trained is kept, finish it later with: make train"
            ) from None
        yield stack.enter_context(of_run.at_work("recommend").connect())
