"""Make the recommendations: keep the newest release while nothing has changed, else publish a new one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg

from pipeline.run.progress import Progress
from pipeline.settings import Settings, secret
from recommender import drafts, known_range, registry, releases
from recommender.drafts import DraftReplacedError, Shard
from recommender.known_range import KnownRange
from recommender.releases import LISTS, Release
from warehouse import database
from warehouse.counts import count
from warehouse.errors import CommandError, ExitCode

if TYPE_CHECKING:
    from recommender.publishing import PublishResult

NOT_BUILT = "there is nothing to recommend, because nothing is built yet"
NO_LISTS = "there are no users or no tracks yet, so there are no lists"


@dataclass(frozen=True)
class RecommendResult:
    """Hold the result of the step.

    `release`: the one that readers see, None if nothing is built yet. `is_new`: this run made it. `message`: what was
    done, as part of a sentence. `popularity`: by list for which popularity is served, why. `kept_too_long`: older
    releases whose lists are still read by somebody. `quality_problem`: why the quality of earlier releases could not be
    computed, if so. `cache_problem`: why the lists are not in the cache, if they should be.
    """

    message: str
    release: Release | None = None
    is_new: bool = False
    popularity: Mapping[str, str] = field(default_factory=dict)
    kept_too_long: Sequence[int] = ()
    quality_problem: str | None = None
    cache_problem: str | None = None

    @property
    def figures(self) -> dict[str, Any]:
        """Return the figures of the step, for the run ledger and the log."""
        release = self.release
        if release is None:
            return {}
        return {
            "release_id": release.release_id,
            "is_new": self.is_new,
            "users": release.users,
            "lists": release.lists,
            "seconds": release.seconds,
            "model_versions": dict(release.model_versions),
            "kept_too_long": list(self.kept_too_long),
            "quality_problem": self.quality_problem,
            "cache_problem": self.cache_problem,
            **release.figures,
        }


@dataclass(frozen=True)
class ShardResult:
    """Hold what was done, as part of a sentence. `users`: for how many lists were made, None if for none."""

    message: str
    users: int | None = None


def recommend(connection: psycopg.Connection, settings: Settings, show: Progress) -> RecommendResult:
    """Publish new lists for all users, unless nothing has changed since the newest release.

    The caller holds the run lock; `connection` has the privileges of the step. Imports nothing heavy if nothing has
    changed. Raises CommandError: WRONG_SETTINGS while the marts are behind, RECOMMENDATIONS_FAILED if the lists could
    not be made: readers keep the previous release.
    """
    if not database.has(connection, "features.known_range"):
        return RecommendResult(NOT_BUILT)
    known = known_range.read(connection)
    if kept := releases.find_unchanged(connection, known.now, known.until_seq, settings.artist_cap, LISTS):
        return _keep(connection, kept)
    from recommender.artefacts import ArtefactError
    from recommender.publishing import ChampionChangedError

    try:
        result = publish(
            connection, known, show, artist_cap=settings.artist_cap, budget=settings.budget, seed=settings.seed
        )
    except (ArtefactError, ChampionChangedError, MemoryError) as error:
        raise to_command_error(connection, error) from None
    release = result.release
    return RecommendResult(
        _describe(result),
        release,
        True,
        _read_popularity_reasons(connection, release),
        result.kept_too_long,
        result.quality_problem,
        result.cache_problem,
    )


def make_shard(connection: psycopg.Connection, settings: Settings, shard: Shard, show: Progress) -> ShardResult:
    """Make the lists of one shard of users, for the release that `recommend` then publishes.

    The caller shares the run lock with other shards; `connection` has the privileges of the step. Imports nothing heavy
    if there is nothing to do. Raises CommandError: WRONG_SETTINGS while the marts are behind, RECOMMENDATIONS_FAILED if
    the lists could not be made: `recommend` then makes all lists.
    """
    if not database.has(connection, "features.known_range"):
        return ShardResult(NOT_BUILT)
    known = known_range.read(connection)
    if kept := releases.find_unchanged(connection, known.now, known.until_seq, settings.artist_cap, LISTS):
        return ShardResult(f"nothing has changed since release {kept.release_id}")
    champions = releases.read_champions(connection)
    if missing := [name for name in LISTS if name not in champions]:
        return ShardResult(f"there is no champion of {' and '.join(missing)} yet, so `recommend` makes all lists")
    from recommender import publishing
    from recommender.artefacts import ArtefactError

    try:
        users = publishing.make_shard(
            connection,
            known.now,
            known.until_seq,
            shard,
            artist_cap=settings.artist_cap,
            seed=settings.seed,
            artefact_folder=secret("ARTIFACT_FOLDER"),
            show=show,
        )
    except DraftReplacedError:
        raise CommandError(
            ExitCode.RECOMMENDATIONS_FAILED,
            f"shard {shard} was not stored: shards of another release began since, because a champion, a setting,"
            " the code or the number of shards differs; run it again, or make all lists with: make recommend",
        ) from None
    except (ArtefactError, MemoryError) as error:
        raise to_command_error(connection, error) from None
    if users is None:
        return ShardResult(f"shard {shard} is made already")
    return ShardResult(f"shard {shard} is made: lists of {count(users, 'user')}", users)


def publish(connection: psycopg.Connection, known: KnownRange, show: Progress, **options: Any) -> "PublishResult":
    """Publish a release of the data as of `known.now`, with the folder of artefacts and the cache of the settings.

    `options` and errors: of `publishing.publish`.
    """
    from recommender import publishing

    return publishing.publish(
        connection,
        known.now,
        known.until_seq,
        artefact_folder=secret("ARTIFACT_FOLDER"),
        redis_url=secret("REDIS_URL"),
        show=show,
        **options,
    )


def _describe(result: "PublishResult") -> str:
    """Return what was published, as part of a sentence."""
    release, draft = result.release, result.draft
    if not release.lists:
        return NO_LISTS
    message = f"release {release.release_id} is published"
    if result.is_draft_outdated:
        return f"{message}; all lists were made here, because those of the shards followed from something else"
    if draft is None:
        return message
    if draft.is_complete:
        return f"{message} with the lists of {count(draft.shards, 'shard')}"
    return f"{message}; all lists were made here, because only {len(draft.made)} of {draft.shards} shards had been made"


def _keep(connection: psycopg.Connection, newest: Release) -> RecommendResult:
    """Return the release that readers see; after a rollback, it is not the newest one."""
    seen = releases.read_published(connection)
    message = f"nothing has changed since release {newest.release_id}"
    if seen.release_id != newest.release_id:
        message += f", and readers keep release {seen.release_id}, to which it was rolled back"
    # of shards that began before a decision was taken back
    drafts.remove(connection)
    problem = None
    if url := secret("REDIS_URL"):
        from recommender import cache

        # a server that was restarted or flushed has lost them
        problem = cache.refill(connection, seen, url)
    return RecommendResult(message, seen, False, _read_popularity_reasons(connection, seen), cache_problem=problem)


def to_command_error(connection: psycopg.Connection, error: Exception) -> CommandError:
    """Return the error of a command that could not make the lists.

    `error`: an ArtefactError, a MemoryError, or a ChampionChangedError.
    """
    from recommender.publishing import ChampionChangedError

    problem, advice = str(error), "train a new model with: make train"
    if isinstance(error, ChampionChangedError):
        problem, advice = f"the champion of {error} was changed twice while they were made", "run again"
    if isinstance(error, MemoryError):
        problem, advice = "the machine has too little memory", "free some, and run again"
    before = releases.read_published(connection)
    kept = f"readers keep release {before.release_id}" if before else "there is no earlier release"
    return CommandError(
        ExitCode.RECOMMENDATIONS_FAILED, f"the recommendations could not be made: {problem}; {kept}; {advice}"
    )


def _read_popularity_reasons(connection: psycopg.Connection, release: Release) -> dict[str, str]:
    reasons = registry.read_reasons(connection, release.model_versions.values())
    return {
        name: reasons.get(release.model_versions[name], "")
        for name, each in release.figures["by_list"].items()
        if each["model"] == "popularity"
    }
