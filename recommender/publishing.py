"""Publish the lists of all users as one release, and make the lists of a shard of them.

Shards make their lists before a release, and a draft holds them until then.
"""

import contextlib
import datetime as dt
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from psycopg import sql
from threadpoolctl import threadpool_limits

from recommender import (
    artefact_store,
    artefacts,
    dataset,
    drafts,
    first_models,
    live_quality,
    metrics,
    registry,
    release_models,
    releases,
)
from recommender.cache import Cache
from recommender.dataset import Dataset
from recommender.drafts import Basis, Draft, Shard
from recommender.first_models import Choice
from recommender.progress import Progress, report_nothing
from recommender.promotion import TOO_LITTLE_DATA
from recommender.release_models import ReleaseModel
from recommender.releases import LISTS
from warehouse import database, redaction
from warehouse.names import ITEM_SOURCES

NO_CHAMPION = "no_champion"

# Figures of the lists in the table of a release. `shown`: tracks among the first ones of somebody.
FIGURES = """
with shown as (
    select list, count(distinct track_id) as tracks
    from {partition}
    cross join unnest(track_ids[:{depth}]) as track_id
    group by list
)

select
    list,
    count(*),
    sum(model_items)::bigint,
    sum(genre_items)::bigint,
    sum(cardinality(track_ids) - model_items - genre_items)::bigint,
    shown.tracks
from {partition}
inner join shown using (list)
group by list, shown.tracks
"""


@dataclass(frozen=True)
class Promotion:
    """Hold which version becomes the champion of a list, and why. `training_id`: ends with it; None: a person decided.

    `is_anchor`: it also becomes the anchor.
    """

    list: str
    model_version: int
    reason: str
    training_id: int | None = None
    is_anchor: bool = False


@dataclass(frozen=True)
class PublishResult:
    """Hold what was published. `kept_too_long`: older releases whose lists are still read by somebody.

    `quality_problem`: why the quality of earlier releases could not be computed, if so. `cache_problem`: why the lists
    are not in the cache, if they should be. `draft`: of shards, from the same basis; its lists were published if it was
    complete. `is_draft_outdated`: there was one from another basis.
    """

    release: releases.Release
    choices: Sequence[Choice]
    kept_too_long: Sequence[int]
    quality_problem: str | None = None
    cache_problem: str | None = None
    draft: Draft | None = None
    is_draft_outdated: bool = False


class ChampionChangedError(Exception):
    """Report that the champion of a list is no longer the one with which the lists, or a challenger, were made."""


def _repeat_once(publish: Callable[..., PublishResult]) -> Callable[..., PublishResult]:
    """Make the lists once more if a person changed a champion while they were made."""

    @functools.wraps(publish)
    def publish_at_most_twice(*arguments: Any, **options: Any) -> PublishResult:
        # the second time begins after the error is gone, and with it the memory of the first lists
        with contextlib.suppress(ChampionChangedError):
            return publish(*arguments, **options)
        return publish(*arguments, **options)

    return publish_at_most_twice


@_repeat_once
def publish(
    connection: psycopg.Connection,
    as_of: dt.datetime,
    until_seq: int,
    *,
    artist_cap: int,
    budget: float,
    seed: int = 0,
    promotions: Sequence[Promotion] = (),
    artefact_folder: str | None = None,
    redis_url: str | None = None,
    show: Progress = report_nothing,
) -> PublishResult:
    """Publish lists of all users who are not removed: those of a complete draft, or new ones as known at `as_of`.

    A list without a champion gets one first. `promotions` take effect with the release, or not at all. The caller holds
    the run lock, and the marts are built up to `until_seq`. The cache at `redis_url` holds the lists before readers see
    the release; without it they read Postgres. Raises ArtefactError if a champion cannot be used, and
    ChampionChangedError if one was changed twice while they were made.
    """
    started = time.monotonic()
    before = releases.read_champions(connection)
    champions = before | {each.list: each.model_version for each in promotions}
    draft = drafts.find(connection, _basis(until_seq, champions, artist_cap, seed), as_of)
    is_outdated = draft is None and drafts.exists(connection)
    is_made = draft is not None and draft.is_complete
    if is_made:
        as_of = draft.as_of
    missing = [name for name in LISTS if name not in champions]
    choices: list[Choice] = []
    if missing:
        show(f"training a model for {' and '.join(missing)}")
        choices = first_models.choose(connection, missing, as_of, budget, seed, show)
    show("reading users, listens and catalogue")
    known = dataset.read(connection, as_of)
    with threadpool_limits(1, "blas"):
        show("preparing the models")
        models = {choice.list: release_models.fit_choice(choice, known, seed) for choice in choices}
        models |= release_models.load_champions(connection, champions, artefact_folder, known, seed)
        users = np.flatnonzero(known.is_listed)
        parts = {} if is_made else release_models.make_lists(models, known, users, artist_cap, show)
    refitted = [model for name in LISTS for model in release_models.dump_refitted(models[name], known, name)]
    cache = Cache(redis_url, as_of)
    show("publishing")
    with connection.transaction():
        releases.lock(connection)
        _check_champions(connection, before)
        versions = {
            name: models[name].version or _register(connection, models[name], known, as_of, until_seq, artefact_folder)
            for name in LISTS
        }
        promote(connection, promotions)
        release_id, partition = releases.begin(connection)
        if is_made:
            drafts.copy_lists(connection, draft, release_id, partition)
        else:
            rows = release_models.encode_lists(release_id, models, versions, parts, known)
            releases.copy_lists(connection, partition, rows)
        cache.fill(connection, release_id, partition)
        columns = {
            "as_of": as_of,
            "until_seq": until_seq,
            "model_versions": versions,
            "artist_cap": artist_cap,
            **_figures(connection, partition, models, known),
            "seconds": time.monotonic() - started + (draft.seconds if is_made else 0),
        }
        releases.publish(connection, release_id, columns, releases.MADE)
        rankings = {name: live_quality.rank_popular_tracks(models[name].recommender, known.catalogue) for name in LISTS}
        live_quality.store_popular_tracks(connection, release_id, rankings)
        registry.store_refitted(connection, release_id, refitted)
        drafts.remove(connection)
        cache.verify(release_id)
    cache.remove_older(release_id)
    show("comparing earlier lists with new listens")
    problem = None
    try:
        live_quality.compute(connection, known, as_of)
    except (psycopg.Error, MemoryError) as error:
        # the release is published, and the next one computes the quality again
        problem = redaction.redact(error, connection.info.dsn) or type(error).__name__
    # after the comparison, which the oldest lists need
    kept_too_long = releases.drop_old(connection)
    return PublishResult(
        releases.read_published(connection), choices, kept_too_long, problem, cache.problem, draft, is_outdated
    )


def make_shard(
    connection: psycopg.Connection,
    as_of: dt.datetime,
    until_seq: int,
    shard: Shard,
    *,
    artist_cap: int,
    seed: int = 0,
    artefact_folder: str | None = None,
    show: Progress = report_nothing,
) -> int | None:
    """Make the lists of the users of one shard, store them in a draft, and return the number of these users.

    None if the draft has them already. The first shard begins the draft with the data as of `as_of`. The caller shares
    the run lock with other shards; each list has a champion, and the marts are built up to `until_seq`. Raises
    ArtefactError if a champion cannot be used, and DraftReplacedError if another draft began since.
    """
    started = time.monotonic()
    champions = releases.read_champions(connection)
    draft = drafts.find_or_begin(connection, _basis(until_seq, champions, artist_cap, seed), as_of, shard.count)
    if shard.number in draft.made:
        return None
    show("reading users, listens and catalogue")
    known = dataset.read(connection, draft.as_of)
    with threadpool_limits(1, "blas"):
        show("preparing the models")
        models = release_models.load_champions(connection, champions, artefact_folder, known, seed)
        users = np.flatnonzero(known.is_listed & (known.user_ids % shard.count == shard.number - 1))
        parts = release_models.make_lists(models, known, users, artist_cap, show)
    show("storing the lists")
    rows = release_models.encode_lists(draft.draft_id, models, champions, parts, known)
    drafts.store(connection, draft, shard.number, rows, time.monotonic() - started)
    return len(users)


def _basis(until_seq: int, champions: Mapping[str, int], artist_cap: int, seed: int) -> Basis:
    return Basis(until_seq, champions, artist_cap, seed, artefacts.code_version())


def _check_champions(connection: psycopg.Connection, before: Mapping[str, int]) -> None:
    """Raise ChampionChangedError if a champion is another one than before."""
    now = releases.read_champions(connection)
    for name in LISTS:
        if now.get(name) != before.get(name):
            raise ChampionChangedError(name)


def promote(connection: psycopg.Connection, promotions: Sequence[Promotion]) -> None:
    """Make versions the champions of their lists, and end their trainings, in the transaction of the caller.

    Raises ChampionChangedError if a training was compared with another champion than the one of now.
    """
    champions = releases.read_champions(connection)
    for each in promotions:
        if each.training_id is not None:
            (trained,) = registry.read_trainings(connection, "training_id = %s", [each.training_id])
            if trained.champion_version != champions.get(each.list):
                raise ChampionChangedError(each.list)
            registry.finish_training(connection, each.training_id, {"stage": registry.PROMOTE})
        registry.promote(connection, each.list, each.model_version, each.reason)
        if each.is_anchor:
            registry.promote(connection, each.list, each.model_version, each.reason, registry.ANCHOR)


def _register(
    connection: psycopg.Connection,
    model: ReleaseModel,
    known: Dataset,
    as_of: dt.datetime,
    until_seq: int,
    artefact_folder: str | None,
) -> int:
    """Store a chosen model, and return its version. It becomes the champion unless there was nothing to compare on."""
    choice = model.choice
    training_id = registry.record_training(
        connection,
        {
            "list": choice.list,
            "trigger": NO_CHAMPION,
            "outcome": choice.outcome,
            "reason": choice.reason,
            "finished_at": dt.datetime.now(dt.UTC),
            **choice.training,
        },
    )
    registry.record_evaluation(connection, training_id, choice.rows)
    number = registry.register(
        connection,
        {
            "training_id": training_id,
            "list": choice.list,
            "known_at": as_of,
            "until_seq": until_seq,
            "track_count": len(known.catalogue.track_ids),
            "metrics": dict(choice.metrics),
            **choice.recipe.to_json(),
            **artefact_store.store(model.artefact, artefact_folder, database.identity(connection)),
        },
    )
    if choice.outcome != TOO_LITTLE_DATA:
        for alias in (releases.CHAMPION, registry.ANCHOR):
            registry.promote(connection, choice.list, number, choice.reason, alias)
    return number


def _figures(
    connection: psycopg.Connection, partition: sql.Identifier, models: Mapping[str, ReleaseModel], known: Dataset
) -> dict[str, Any]:
    query = sql.SQL(FIGURES).format(partition=partition, depth=metrics.COVERAGE_DEPTH)
    found = {name: numbers for name, *numbers in connection.execute(query)}
    candidates = int(known.catalogue.is_candidate.sum())
    by_list: dict[str, Any] = {}
    for name in LISTS:
        lists, *items, shown = found.get(name, [0] * 5)
        by_list[name] = {
            "model": models[name].name,
            "lists": lists,
            "coverage": round(shown / max(1, candidates), 4),
            "items": dict(zip(ITEM_SOURCES, items, strict=True)),
        }
    (users,) = connection.execute(sql.SQL("select count(distinct user_id) from {}").format(partition)).fetchone()
    is_cold = known.is_listed & (np.diff(known.listens.starts) == 0)
    return {
        "users": users,
        "lists": sum(each["lists"] for each in by_list.values()),
        "figures": {"cold_users": int(is_cold.sum()), "candidates": candidates, "by_list": by_list},
    }
