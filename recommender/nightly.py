"""Make the lists of all users from what is known now, and publish them as one release."""

import contextlib
import datetime as dt
import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from threadpoolctl import threadpool_limits

from recommender import (
    artefact_store,
    artefacts,
    dataset,
    list_rows,
    metrics,
    quality,
    recipes,
    registry,
    releases,
    training,
)
from recommender.cache import Cache
from recommender.dataset import Dataset, Users
from recommender.interactions import Integers
from recommender.models import CANDIDATES
from recommender.promotion import TOO_LITTLE_DATA
from recommender.scoring import AGAIN, DISCOVER, LISTS, Lists, Recommender, recommend
from recommender.training import Choice
from recommender.tuning import FALLBACKS, fallbacks_of, fit_fallbacks
from warehouse import redaction

LENGTHS = {DISCOVER: 50, AGAIN: 20}
USERS_AT_ONCE = 2000
NO_CHAMPION = "no_champion"

Show = Callable[..., None]


@dataclass(frozen=True)
class Maker:
    """Hold what makes a list: the model with its fallbacks, and where it is from.

    `version`: of the champion, or None for `choice`, which is not registered yet. `artefact` None: a model that counts.
    """

    recommender: Recommender
    model: str
    sources: Sequence[int]
    version: int | None = None
    choice: Choice | None = None
    artefact: bytes | None = None


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
class Outcome:
    """Hold what was published. `kept_too_long`: older releases whose lists are still read by somebody.

    `quality_problem`: why the quality of earlier releases could not be computed, if so. `cache_problem`: why the lists
    are not in the cache, if they should be.
    """

    release: releases.Release
    choices: Sequence[Choice]
    kept_too_long: Sequence[int]
    quality_problem: str | None = None
    cache_problem: str | None = None


Parts = Sequence[tuple[Integers, Lists]]


class ChampionChangedError(Exception):
    """Report that the champion of a list is no longer the one with which the lists, or a challenger, were made."""


def _repeated_once(publish: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """Make the lists once more if a person changed a champion while they were made."""

    @functools.wraps(publish)
    def publish_at_most_twice(*arguments: Any, **options: Any) -> Outcome:
        # the second time begins after the error is gone, and with it the memory of the first lists
        with contextlib.suppress(ChampionChangedError):
            return publish(*arguments, **options)
        return publish(*arguments, **options)

    return publish_at_most_twice


@_repeated_once
def publish(
    connection: psycopg.Connection,
    now: dt.datetime,
    until_seq: int,
    *,
    artist_cap: int,
    budget: float,
    seed: int = 0,
    promotions: Sequence[Promotion] = (),
    artefact_folder: str | None = None,
    redis_url: str | None = None,
    show: Show = lambda what, done=None, total=None: None,
) -> Outcome:
    """Make the lists of all users who are not removed, as known at `now`, and publish them.

    A list without a champion gets one first. `promotions` take effect with the release, or not at all. The caller holds
    the run lock, and the marts are built up to `until_seq`. The cache at `redis_url` holds the lists before readers see
    the release; without it they read Postgres. Raises ArtefactError if a champion cannot be used, and
    ChampionChangedError if one was changed twice while they were made.
    """
    started = time.monotonic()
    before = releases.champions(connection)
    champions = before | {each.list: each.model_version for each in promotions}
    missing = [name for name in LISTS if name not in champions]
    choices: list[Choice] = []
    if missing:
        show(f"training a model for {' and '.join(missing)}")
        choices = training.choose(connection, missing, now, budget, seed, show)
    show("reading what is known")
    known = dataset.read(connection, now)
    with threadpool_limits(1, "blas"):
        show("preparing the models")
        makers = {choice.list: _of_choice(choice, known, seed) for choice in choices}
        makers |= {
            name: _of_champion(connection, number, artefact_folder, known, seed) for name, number in champions.items()
        }
        parts = {name: list(_make(makers[name], known, name, artist_cap, show)) for name in LISTS}
    counted = [model for name in LISTS for model in _counted(makers[name], known, name)]
    cache = Cache(redis_url, now)
    show("publishing")
    with connection.transaction():
        releases.lock(connection)
        _check_champions(connection, before)
        versions = {
            name: makers[name].version or _register(connection, makers[name], known, now, until_seq, artefact_folder)
            for name in LISTS
        }
        promote(connection, promotions)
        columns = {
            "as_of": now,
            "until_seq": until_seq,
            "model_versions": versions,
            "artist_cap": artist_cap,
            **_figures(makers, parts, known),
            "seconds": time.monotonic() - started,
        }
        release_id = releases.publish(
            connection, columns, lambda number: _rows(number, makers, versions, parts, known, cache), releases.MADE
        )
        rankings = {name: quality.popular_tracks(makers[name].recommender, known.catalogue) for name in LISTS}
        quality.store_popular_tracks(connection, release_id, rankings)
        registry.keep_counted(connection, release_id, counted)
        cache.verify(release_id)
    cache.remove_older(release_id)
    show("comparing earlier lists with new listens")
    problem = None
    try:
        quality.compute(connection, known, now)
    except (psycopg.Error, MemoryError) as error:
        # the release is published, and the next one computes the quality again
        problem = redaction.redact(error, connection.info.dsn) or type(error).__name__
    # after the comparison, which the oldest lists need
    kept_too_long = releases.drop_old(connection)
    return Outcome(releases.published(connection), choices, kept_too_long, problem, cache.problem)


def _check_champions(connection: psycopg.Connection, before: Mapping[str, int]) -> None:
    """Raise ChampionChangedError if a champion is another one than before."""
    now = releases.champions(connection)
    for name in LISTS:
        if now.get(name) != before.get(name):
            raise ChampionChangedError(name)


def promote(connection: psycopg.Connection, promotions: Sequence[Promotion]) -> None:
    """Make versions the champions of their lists, and end their trainings, in the transaction of the caller.

    Raises ChampionChangedError if a training was compared with another champion than the one of now.
    """
    champions = releases.champions(connection)
    for each in promotions:
        if each.training_id is not None:
            (trained,) = registry.trainings(connection, "training_id = %s", [each.training_id])
            if trained.champion_version != champions.get(each.list):
                raise ChampionChangedError(each.list)
            registry.finish_training(connection, each.training_id, {"stage": registry.PROMOTE})
        registry.promote(connection, each.list, each.model_version, each.reason)
        if each.is_anchor:
            registry.promote(connection, each.list, each.model_version, each.reason, registry.ANCHOR)


def _of_choice(choice: Choice, known: Dataset, seed: int) -> Maker:
    recipe = choice.recipe
    model = recipes.fit(recipe.model, recipe.params, known, seed)
    content = None if recipe.model in FALLBACKS else artefacts.dump(model, known.catalogue)
    recommender, sources = _with_fallbacks(model, recipe.model, recipe.fallback_params, known, seed)
    return Maker(recommender, recipe.model, sources, choice=choice, artefact=content)


def _of_champion(
    connection: psycopg.Connection, number: int, artefact_folder: str | None, known: Dataset, seed: int
) -> Maker:
    """Return the champion for the tracks of now; one that only counts is counted again."""
    version = registry.read(connection, number)
    try:
        if version.model in FALLBACKS:
            if not CANDIDATES[version.model].is_possible(known):
                raise artefacts.ArtefactError("no track has what it counts")
            model = recipes.fit(version.model, version.params, known, seed)
        else:
            model = artefacts.renumber(artefact_store.load(version, artefact_folder), known.catalogue)
    except artefacts.ArtefactError as error:
        raise artefacts.ArtefactError(f"model version {number} ({version.list}, {version.model}): {error}") from None
    recommender, sources = _with_fallbacks(model, version.model, version.fallback_params, known, seed)
    return Maker(recommender, version.model, sources, version=number)


def _with_fallbacks(
    model: Any, name: str, params: Mapping[str, Any], known: Dataset, seed: int
) -> tuple[Recommender, list[int]]:
    """Return the model with those that fill its lists, which are counted from what is known now, and their sources."""
    fallbacks = fallbacks_of(name, fit_fallbacks(known, params, seed))
    # the last one is popularity, and there are no genres before it if no track has any
    names = FALLBACKS[len(FALLBACKS) - len(fallbacks) :]
    return Recommender(model, fallbacks), list_rows.sources_of((name, *names))


def _counted(maker: Maker, known: Dataset, list_name: str) -> Iterator[registry.CountedModel]:
    """Yield the models that no model version holds: those that were counted for this release."""
    for place, model in enumerate((maker.recommender.model, *maker.recommender.fallbacks)):
        if place or maker.model in FALLBACKS:
            content = artefacts.dump(model, known.catalogue)
            name = type(model).__name__.lower()
            yield registry.CountedModel(list_name, place, name, content, artefacts.checksum(content), artefacts.FORMAT)


def _make(
    maker: Maker, known: Dataset, list_name: str, artist_cap: int, show: Show
) -> Iterator[tuple[Integers, Lists]]:
    """Yield the lists of all users who are not removed, some at a time, with the ids of their users."""
    listed = np.flatnonzero(known.is_listed)
    if not known.catalogue.is_candidate.any():
        return
    for start in range(0, len(listed), USERS_AT_ONCE):
        show(list_name, start, len(listed))
        some = listed[start : start + USERS_AT_ONCE]
        people: Users = known.users.take(some)
        lists = recommend(
            maker.recommender, people, known.catalogue, list_name, LENGTHS[list_name], per_artist=artist_cap
        )
        yield known.user_ids[some], lists
    show(list_name, len(listed), len(listed))


def _register(
    connection: psycopg.Connection,
    maker: Maker,
    known: Dataset,
    now: dt.datetime,
    until_seq: int,
    artefact_folder: str | None,
) -> int:
    """Store a chosen model, and return its version. It becomes the champion unless there was nothing to compare on."""
    choice = maker.choice
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
            "known_at": now,
            "until_seq": until_seq,
            "track_count": len(known.catalogue.track_ids),
            "metrics": dict(choice.metrics),
            **choice.recipe.to_json(),
            **artefact_store.columns(maker.artefact, artefact_folder, artefact_store.subfolder_of(connection)),
        },
    )
    if choice.outcome != TOO_LITTLE_DATA:
        for alias in (releases.CHAMPION, registry.ANCHOR):
            registry.promote(connection, choice.list, number, choice.reason, alias)
    return number


def _rows(
    release_id: int,
    makers: Mapping[str, Maker],
    versions: Mapping[str, int],
    parts: Mapping[str, Parts],
    known: Dataset,
    cache: Cache,
) -> Iterator[bytes]:
    yield list_rows.HEADER
    elements = list_rows.reason_elements(known.catalogue)
    for name in LISTS:
        for user_ids, lists in parts[name]:
            rows = list(
                list_rows.encode(
                    release_id, name, versions[name], makers[name].sources, user_ids, lists, known.catalogue, elements
                )
            )
            cache.add(release_id, name, rows)
            yield b"".join(rows)
    yield list_rows.END


def _figures(makers: Mapping[str, Maker], parts: Mapping[str, Parts], known: Dataset) -> dict[str, Any]:
    is_candidate = known.catalogue.is_candidate
    has_list = np.zeros(len(known.user_ids), bool)
    by_list: dict[str, Any] = {}
    for name in LISTS:
        tracks = np.concatenate([lists.tracks for _, lists in parts[name]] or [np.empty((0, 1), np.int32)])
        used = np.concatenate([lists.sources[lists.sources >= 0] for _, lists in parts[name]] or [np.empty(0, np.int8)])
        kinds = np.array(makers[name].sources)[used.astype(int)]
        has_list[np.flatnonzero(known.is_listed)[: len(tracks)][(tracks >= 0).any(axis=1)]] = True
        by_list[name] = {
            "model": makers[name].model,
            "lists": int((tracks >= 0).any(axis=1).sum()),
            "coverage": round(metrics.coverage(tracks, is_candidate), 4),
            "items": {
                source: int((kinds == kind).sum())
                for source, kind in (
                    ("model", list_rows.MODEL),
                    ("genres", list_rows.GENRES),
                    ("popular", list_rows.POPULAR),
                )
            },
        }
    is_cold = known.is_listed & (np.diff(known.listens.starts) == 0)
    return {
        "users": int(has_list.sum()),
        "lists": sum(each["lists"] for each in by_list.values()),
        "figures": {"cold_users": int(is_cold.sum()), "candidates": int(is_candidate.sum()), "by_list": by_list},
    }
