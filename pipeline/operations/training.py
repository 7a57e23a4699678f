"""Train models in stages, and say what was trained, on what, compared with what, and how and why it was decided."""

import contextlib
import datetime as dt
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.console.terminal import minute
from pipeline.operations.journal import Journal, recorded
from pipeline.operations.recommendations import LISTS
from pipeline.run import recommending
from pipeline.run.preparation import lock_for_writing
from pipeline.settings import Settings
from recommender import known_range, registry, releases, triggers
from recommender.registry import EVALUATE, PREPARE, PROMOTE, STAGES, TUNE, Training
from recommender.triggers import Trigger
from warehouse import database, locks, schema
from warehouse.counts import count
from warehouse.database import Warehouse
from warehouse.errors import CommandError, ExitCode

# A night ends the backends with the name of a run; a training goes on beside it.
APPLICATION = "moovitamix train"
COMMAND = "train"
CONTENDERS = {
    "challenger": "best recipe of the tuning window",
    "champion": "recipe of the champion, on the same data",
    "served": "the champion as it is served now",
    "anchor": "last recipe promoted for being better",
    "popularity": "what many users heard lately",
}
OUTCOMES = {
    "promoted": "promoted",
    "refreshed": "the champion's recipe is fitted to everything known now",
    "popularity": "popularity is served",
    "refused": "the champion stays",
    "too_little_data": "nothing is trained",
    "data_refused": "nothing is trained",
    "abandoned": "abandoned",
}


@dataclass(frozen=True)
class Request:
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


def train(settings: Settings, warehouse: Warehouse, output: Console, request: Request) -> None:
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
            with recorded(settings, at_work, journal.run_id, COMMAND) as figures:
                for stage in stages:
                    _do_stage(stage, warehouse, work, request, journal)
                    if stage != PROMOTE and not registry.unfinished(work):
                        break
                figures |= _report(work, journal, request)


def _check_is_prepared(connection: psycopg.Connection) -> None:
    if not schema.is_current(connection):
        if database.has(connection, "ops.runs"):
            raise CommandError(ExitCode.WAREHOUSE_UNAVAILABLE, schema.NOT_PREPARED)
        raise CommandError(ExitCode.WRONG_SETTINGS, schema.NOTHING_LOADED)
    known_range.read(connection)


def _stages(connection: psycopg.Connection, request: Request, journal: Journal) -> Sequence[str]:
    """Return the stages to carry out: of a new training, the rest of an interrupted one, or none if nothing is due."""
    from recommender import retraining

    now = known_range.read(connection).now
    interrupted = retraining.resumable(connection, now)
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


def _is_due(connection: psycopg.Connection, request: Request, now: dt.datetime, journal: Journal) -> bool:
    checks = list(triggers.checks(connection, now, request.every, request.volume))
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
    stage: str, warehouse: Warehouse, connection: psycopg.Connection, request: Request, journal: Journal
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
                    trigger = triggers.due(connection, now, request.every, request.volume) or trigger
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
        _report_data(rows, journal)
    elif stage == PROMOTE:
        _drop_unused_files(connection, folder, journal)


def _promote(
    warehouse: Warehouse, connection: psycopg.Connection, request: Request, journal: Journal, show: Any
) -> None:
    from recommender import retraining
    from recommender.publishing import ChampionChangedError

    decided = retraining.promotions(connection)
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


def _report_data(rows: Sequence[Training], journal: Journal) -> None:
    """Say what is trained on, or raise CommandError(RECOMMENDATIONS_FAILED) if the data failed a check."""
    row = rows[0]
    if row.outcome == "data_refused":
        raise CommandError(
            ExitCode.RECOMMENDATIONS_FAILED,
            f"nothing was trained: {row.reason}; readers keep their lists; see the last runs with: make status,"
            " or if the data are right, train with: make train ARGS=--accept-data",
        )
    journal.say("trigger", f"trigger: {row.trigger} ({row.trigger_detail})", trigger=row.trigger)
    if row.outcome:
        return
    journal.say(
        "data",
        f"data: {count(row.users, 'user')}, {count(row.tracks, 'track')} and {count(row.listens, 'listen')},"
        f" as known on {minute(row.known_at)} UTC",
        users=row.users,
        tracks=row.tracks,
        listens=row.listens,
    )
    journal.say(
        "windows",
        f"tuned on what users heard from {row.tuning_from} to {row.final_from - dt.timedelta(days=1)},"
        f" compared on {row.final_from} to {row.final_until}; models know only what was known before",
    )
    if row.is_overlapping:
        journal.say(
            "windows", "the final window overlaps one that was used for an earlier promotion, so it is not quite fair"
        )


def _report(connection: psycopg.Connection, journal: Journal, request: Request) -> dict[str, Any]:
    """Say how far the training has come, or what it decided for each list; return the outcomes by list."""
    rows = registry.unfinished(connection)
    (started_at,) = connection.execute("select max(started_at) from recommendations.trainings").fetchone()
    of_training = registry.trainings(connection, "started_at = %s", [started_at])
    (trials,) = connection.execute(
        "select trials from recommendations.trainings where training_id = %s", [of_training[0].training_id]
    ).fetchone()
    if trials:
        tried = ", ".join(f"{name} {number}" for name, number in trials.items())
        journal.say("trials", f"tuning tried so many parameters: {tried}", trials=trials)
    for row in sorted(of_training, key=lambda row: row.training_id):
        if row.outcome:
            _report_list(connection, row, journal)
    if rows:
        following = STAGES[STAGES.index(rows[0].stage) + 1]
        journal.say("next_stage", f"the next stage is: make train ARGS={following}")
        return {}
    changed = [row.list for row in of_training if row.outcome in ("promoted", "refreshed", "popularity")]
    release = releases.published(connection)
    if changed and request.is_later:
        journal.say("closing", "the lists of the new champions follow with the next run: make run")
    elif changed and release:
        journal.say(
            "closing",
            f"release {release.release_id} with {count(release.lists, 'list')} is published; see the models with:"
            " make model ARGS=list",
            release_id=release.release_id,
        )
    return {row.list: row.outcome for row in of_training}


def _report_list(connection: psycopg.Connection, row: Training, journal: Journal) -> None:
    from recommender.recipes import Recipe

    compared = registry.evaluations(connection, row.training_id)
    recipe = str(Recipe(**row.recipe)) if row.recipe else None
    if journal.output.is_terminal:
        journal.output.print(f"\n[bold]{row.list}[/]: tracks that {LISTS[row.list]}")
        if compared:
            journal.output.print(_table(compared))
        if recipe:
            journal.output.print(f"challenger: {escape(recipe)}", soft_wrap=True)
    for each in compared if not journal.output.is_terminal else ():
        if each["segment"] == "all":
            journal.say(
                "compared",
                f"{row.list}: {each['contender']} ({CONTENDERS[each['contender']]}), {each['model']}:"
                f" NDCG@10 {each['ndcg']:.4f}, vs popularity {_interval(each, 'popularity') or 'the same'}",
                list=row.list,
                **{name: value for name, value in each.items() if name not in ("training_id", "segment")},
            )
    journal.say(
        "decided",
        f"decision for {row.list}: {OUTCOMES[row.outcome]}. Why: {row.reason}",
        list=row.list,
        outcome=row.outcome,
        recipe=recipe,
    )


def _table(compared: Sequence[dict[str, Any]]) -> Table:
    """Return what was compared, for all users."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in ("contender", "model"):
        table.add_column(column, no_wrap=True)
    for column in ("users", "NDCG@10", "vs popularity", "vs champion's recipe"):
        table.add_column(column, justify="right", no_wrap=True)
    of_all = {each["contender"]: each for each in compared if each["segment"] == "all"}
    for contender in CONTENDERS:
        if each := of_all.get(contender):
            table.add_row(
                contender,
                each["model"],
                f"{each['users']:,}",
                f"{each['ndcg']:.4f}",
                _interval(each, "popularity"),
                _interval(each, "champion"),
            )
    return table


def _interval(each: dict[str, Any], base: str) -> str:
    value, low, high = (each[f"{base}_difference{part}"] for part in ("", "_low", "_high"))
    if value is None or each["contender"] == base:
        return ""
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f})"
