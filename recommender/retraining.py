"""Retrain in four stages: prepare, tune, evaluate, promote.

What a stage found is in the warehouse, so the next one may run in another process and on another machine, and a killed
training continues where it was. The caller holds the training lock.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg
from threadpoolctl import threadpool_limits

from recommender import (
    artefact_store,
    artefacts,
    dataset,
    final_window,
    fold_readers,
    known_range,
    publishing,
    recipes,
    registry,
    releases,
    training_data,
    tuning,
)
from recommender.artefacts import Artefact, ArtefactError
from recommender.dataset import Dataset
from recommender.final_window import Comparison
from recommender.fold_readers import DataError, Windows
from recommender.folds import Fold
from recommender.interactions import number_of
from recommender.progress import Progress
from recommender.promotion import ABANDONED, CHANGES, DATA_REFUSED, PROMOTED, REFUSED, TOO_LITTLE_DATA
from recommender.promotion import POPULARITY as POPULARITY_WINS
from recommender.publishing import ChampionChangedError, Promotion
from recommender.recipes import Recipe
from recommender.registry import EVALUATE, PREPARE, TUNE, ModelVersion, Training
from recommender.releases import LISTS
from recommender.triggers import DEGRADATION, UNUSABLE_CHAMPION, Trigger
from recommender.tuning import FALLBACKS
from warehouse import database
from warehouse.errors import CommandError, ExitCode

# An interrupted training that is older starts over: its windows are no longer the newest ones.
FRESH = dt.timedelta(days=1)
LOCK = "moovitamix training"


@dataclass(frozen=True)
class Champion:
    """Hold the champion of a list, its recipe, and its artefact if it has one that can be used.

    `newest_day`: of the listens that it knows; None: not known.
    """

    version: ModelVersion
    recipe: Recipe
    stored: Artefact | None
    is_usable: bool
    newest_day: dt.date | None


@contextmanager
def training_lock(connection: psycopg.Connection) -> Iterator[None]:
    """Hold the lock that allows one training at a time, as a session of this connection.

    Raises CommandError(ALREADY_RUNNING).
    """
    key = "hashtextextended(%s, 0)"
    if not connection.execute(f"select pg_try_advisory_lock({key})", [LOCK]).fetchone()[0]:
        raise CommandError(
            ExitCode.ALREADY_RUNNING, "another training is using the warehouse; wait for it, then run again: make train"
        )
    try:
        yield
    finally:
        connection.execute(f"select pg_advisory_unlock({key})", [LOCK])


def find_resumable(connection: psycopg.Connection, now: dt.datetime) -> list[Training]:
    """Return the rows of an interrupted training that continues; none if there is no such training, or it is old."""
    rows = registry.read_unfinished_trainings(connection)
    is_same_code = all(row.code_version == artefacts.code_version() for row in rows)
    return rows if rows and is_same_code and now - rows[0].started_at < FRESH else []


def prepare(
    connection: psycopg.Connection,
    trigger: Trigger,
    artefact_folder: str | None,
    *,
    budget: float,
    seed: int,
    accepts_data: bool = False,
) -> list[Training]:
    """Check the data as of now, choose the windows, and record a training for each list; return their rows.

    After a degradation, and for a champion that cannot be used, the final window may overlap an earlier one. A training
    that did not end is abandoned. Rows that have ended already say why nothing is trained. Raises
    CommandError(WRONG_SETTINGS) while the marts are not built.
    """
    known = known_range.read(connection)
    broken = [name for name, found in read_champions(connection, artefact_folder).items() if not found.is_usable]
    if broken:
        trigger = Trigger(UNUSABLE_CHAMPION, f"the champion of {' and '.join(broken)} cannot be used")
    size = training_data.measure_data(connection)
    problems = (
        [] if accepts_data else training_data.find_data_problems(size, _read_previous_size(connection), known.now)
    )
    outcome, reason = None, None
    columns = {"known_at": known.now, "users": size.users, "tracks": size.tracks, "listens": size.listens}
    if problems:
        outcome, reason = DATA_REFUSED, "; ".join(problems)
        if refused := _find_same_refusal(connection, reason, columns):
            return refused
    else:
        used = registry.read_last_used_day(connection)
        may_overlap = trigger.name in (DEGRADATION, UNUSABLE_CHAMPION)
        final_from = None if used is None or may_overlap else number_of(used) + 1
        try:
            windows = fold_readers.choose_windows(connection, until=known.now, final_from=final_from)
        except DataError as error:
            outcome, reason = TOO_LITTLE_DATA, str(error)
        else:
            columns = training_data.make_training_columns(size, known.now, windows, budget, seed)
            columns["is_overlapping"] = used is not None and windows.final <= number_of(used)
    with connection.transaction():
        for row in registry.read_unfinished_trainings(connection):
            stated = f"abandoned after the stage {row.stage}: a later training replaced it"
            registry.finish_training(connection, row.training_id, {"outcome": ABANDONED, "reason": stated})
        numbers = [
            registry.record_training(
                connection,
                {
                    "list": name,
                    "trigger": trigger.name,
                    "trigger_detail": trigger.detail,
                    "stage": PREPARE,
                    "outcome": outcome,
                    "reason": reason,
                    "started_at": known.now,
                    "finished_at": known.now if outcome else None,
                    **columns,
                },
            )
            for name in LISTS
        ]
    return sorted(
        registry.read_trainings(connection, "training_id = any(%s)", [numbers]), key=lambda row: row.training_id
    )


def tune(connection: psycopg.Connection, artefact_folder: str | None, show: Progress) -> None:
    """Choose a challenger for each list in the tuning window. Raises CommandError(WRONG_SETTINGS) if it is not time."""
    rows = _read_at_stage(connection, PREPARE)
    windows = _windows(rows[0])
    show("reading the data before the tuning window")
    fold = fold_readers.read_fold(connection, windows.tuning, windows.final)
    champions = read_champions(connection, artefact_folder)
    known_recipes = {name: champion.recipe for name, champion in champions.items()}
    tuned = tuning.tune_recipes(fold, rows[0].budget, rows[0].seed, known_recipes, show)
    with connection.transaction():
        for row in rows:
            found = tuned.recipes.get(row.list)
            columns = {"stage": TUNE, "trials": dict(tuned.trials)}
            if found:
                registry.update_training(connection, row.training_id, {**columns, "recipe": found.to_json()})
                continue
            reason = "no user heard a track in the tuning window that a list could have held"
            registry.finish_training(
                connection, row.training_id, {**columns, "outcome": TOO_LITTLE_DATA, "reason": reason}
            )


def evaluate(connection: psycopg.Connection, artefact_folder: str | None, show: Progress) -> None:
    """Compare the challengers in the final window, decide, and register the winners, fitted to everything known now.

    Raises CommandError(WRONG_SETTINGS) if it is not time, ArtefactError if a model is too large to be stored.
    """
    rows = _read_at_stage(connection, TUNE)
    windows, seed = _windows(rows[0]), rows[0].seed
    show("reading the data before the final window")
    fold = fold_readers.read_fold(connection, windows.final, windows.end)
    champions = read_champions(connection, artefact_folder)
    anchors = releases.read_versions_by_alias(connection, registry.ANCHOR)
    compared: dict[str, Comparison | None] = {}
    with threadpool_limits(1, "blas"):
        for row in rows:
            champion, anchor = champions.get(row.list), anchors.get(row.list)
            if champion and not champion.is_usable:
                # its list needs a model that works: as if it had none
                champion = anchor = None
            compared[row.list] = final_window.compare_finalists(
                fold,
                row.list,
                Recipe(**row.recipe),
                seed,
                champion_recipe=champion and champion.recipe,
                anchor=_make_recipe(registry.read_version(connection, anchor)) if anchor else None,
                champion=champion
                and final_window.prepare_champion(champion.version, champion.stored, champion.newest_day, fold, seed),
                show=show,
            )
        winners = {name: found for name, found in compared.items() if found and found.winner}
        models: dict[str, Mapping[str, Any]] = {}
        problems: dict[str, list[str]] = {}
        if winners:
            show("reading all data")
            known_now = known_range.read(connection)
            known = dataset.read(connection, known_now.now)
            store = partial(artefact_store.store, folder=artefact_folder, subfolder=database.identity(connection))
            for name, found in winners.items():
                show(f"{name}: fitting {found.winner.model} to everything known")
                models[name], problems[name] = _refit(name, found, known, fold, seed, store)
                models[name] |= {"known_at": known_now.now, "until_seq": known_now.until_seq}
    for row in rows:
        champion = champions.get(row.list)
        columns = {"stage": EVALUATE, "champion_version": champion and champion.version.model_version}
        with connection.transaction():
            _record_decision(connection, row, columns, compared[row.list], models.get(row.list), problems.get(row.list))


def _record_decision(
    connection: psycopg.Connection,
    row: Training,
    columns: Mapping[str, Any],
    found: Comparison | None,
    model: Mapping[str, Any] | None,
    problems: Sequence[str] | None,
) -> None:
    if found is None:
        reason = "no user heard a track in the final window that a list could have held"
        registry.finish_training(connection, row.training_id, {**columns, "outcome": TOO_LITTLE_DATA, "reason": reason})
        return
    registry.record_evaluation(connection, row.training_id, found.rows)
    decision = found.decision
    if problems:
        reason = f"the fit to everything known failed a check: {'; '.join(problems)}"
        registry.finish_training(connection, row.training_id, {**columns, "outcome": REFUSED, "reason": reason})
    elif model is None:
        decided = {"outcome": decision.outcome, "reason": decision.reason}
        registry.finish_training(connection, row.training_id, {**columns, **decided})
    else:
        registry.register(connection, {"training_id": row.training_id, "list": row.list, **model})
        registry.update_training(
            connection, row.training_id, {**columns, "outcome": decision.outcome, "reason": decision.reason}
        )


def _refit(
    list_name: str, found: Comparison, known: Dataset, fold: Fold, seed: int, store: Callable[..., dict[str, Any]]
) -> tuple[dict[str, Any], list[str]]:
    """Fit the winner to everything known; return the columns of its model version, and what is wrong with it."""
    recipe = found.winner
    model = recipes.fit(recipe.model, recipe.params, known, seed)
    problems = final_window.find_refit_problems(
        model, known.catalogue, recipe, fold, list_name, found.measurement, seed
    )
    columns = {**recipe.to_json(), "track_count": len(known.catalogue.track_ids), "metrics": dict(found.metrics)}
    if not problems:
        # a refitted model is fitted again for each release
        content = None if recipe.model in FALLBACKS else artefacts.dump(model, known.catalogue)
        columns |= store(content)
    return columns, problems


def read_promotions(connection: psycopg.Connection) -> list[Promotion]:
    """Return what the unfinished training decided to promote. Raises CommandError(WRONG_SETTINGS) if it is not time."""
    found = []
    for row in _read_at_stage(connection, EVALUATE):
        if row.outcome in CHANGES:
            (number,) = connection.execute(
                "select max(model_version) from recommendations.model_versions where training_id = %s",
                [row.training_id],
            ).fetchone()
            is_anchor = row.outcome in (PROMOTED, POPULARITY_WINS)
            found.append(Promotion(row.list, number, row.reason, row.training_id, is_anchor))
    return found


def promote_later(connection: psycopg.Connection, decided: Sequence[Promotion]) -> None:
    """Make the versions champions; their lists follow with the next release. Raises ChampionChangedError."""
    with connection.transaction():
        releases.lock(connection)
        publishing.promote(connection, decided)


def abandon(connection: psycopg.Connection, error: ChampionChangedError) -> None:
    """End the unfinished training, because another champion was promoted since it began."""
    for row in registry.read_unfinished_trainings(connection):
        reason = f"abandoned: the champion of {error} has changed since the comparison"
        registry.finish_training(connection, row.training_id, {"outcome": ABANDONED, "reason": reason})


def read_champions(connection: psycopg.Connection, artefact_folder: str | None) -> dict[str, Champion]:
    """Return by list its champion."""
    return {
        name: _read_champion(connection, registry.read_version(connection, number), artefact_folder)
        for name, number in releases.read_champions(connection).items()
    }


def _read_champion(connection: psycopg.Connection, version: ModelVersion, artefact_folder: str | None) -> Champion:
    stored, is_usable = None, True
    if version.model not in FALLBACKS:
        try:
            stored = artefact_store.load(version, artefact_folder)
        except ArtefactError:
            is_usable = False
    # the final window of its training ended with the newest listen
    (newest_day,) = connection.execute(
        "select max(final_until) from recommendations.trainings where training_id = %s", [version.training_id]
    ).fetchone()
    return Champion(version, _make_recipe(version), stored, is_usable, newest_day)


def _make_recipe(version: ModelVersion) -> Recipe:
    return Recipe(version.model, recipes.complete(version.model, version.params), version.fallback_params)


def _find_same_refusal(connection: psycopg.Connection, reason: str, size: Mapping[str, Any]) -> list[Training]:
    """Return the rows of the newest training if it refused the same data; else none. An attempt is no new refusal."""
    newest = sorted(registry.read_trainings(connection)[: len(LISTS)], key=lambda row: row.training_id)
    is_same = all(
        row.outcome == DATA_REFUSED
        and row.reason == reason
        and all(getattr(row, name) == size[name] for name in ("users", "tracks", "listens"))
        for row in newest
    )
    return newest if is_same else []


def _read_previous_size(connection: psycopg.Connection) -> dict[str, int] | None:
    """Return users, tracks and listens of the newest training whose data were fine."""
    row = connection.execute(
        "select users, tracks, listens from recommendations.trainings"
        " where finished_at is not null and listens is not null and outcome not in (%s, %s)"
        " order by training_id desc limit 1",
        [DATA_REFUSED, ABANDONED],
    ).fetchone()
    return row and dict(zip(("users", "tracks", "listens"), row, strict=True))


def _read_at_stage(connection: psycopg.Connection, stage: str) -> list[Training]:
    """Return the rows of the unfinished training. Raises CommandError(WRONG_SETTINGS) if it is at another stage."""
    rows = registry.read_unfinished_trainings(connection)
    if not rows:
        raise CommandError(ExitCode.WRONG_SETTINGS, "there is no training in progress; start one with: make train")
    stages = {row.stage for row in rows}
    if stages != {stage}:
        here = min(stages, key=registry.STAGES.index)
        following = registry.STAGES[registry.STAGES.index(here) + 1]
        raise CommandError(
            ExitCode.WRONG_SETTINGS,
            f"the training in progress has completed the stage {here}; the next one is: make train ARGS={following}",
        )
    return rows


def _windows(row: Training) -> Windows:
    tuning, final, last = (number_of(day) for day in (row.tuning_from, row.final_from, row.final_until))
    return Windows(tuning, final, last + 1)
