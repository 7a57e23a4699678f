"""Keep what every request needs in one immutable object per worker, refreshed from the warehouse twice a second."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import psycopg

from recommender import releases
from recommender.artefacts import ArtefactError
from recommender.interactions import Flags, Integers, find
from recommender.list_making import Lists
from recommender.releases import DISCOVER, Release
from recommender.service import loaded_models
from recommender.service.loaded_models import LoadedModels, UserHistory
from warehouse import database, redaction
from warehouse.database import Warehouse
from warehouse.embedded_postgres import PostgresUnavailableError
from warehouse.errors import CommandError

APPLICATION = "moovitamix service"
SECONDS_BETWEEN = 0.5
# After so long without a refresh a worker does not answer: a removed track could be in its answers.
LONGEST_AGE = 10
# A hanging server must not hold up the next attempt.
WAITS = {"connect_timeout": 3, "tcp_user_timeout": 5000}
STATEMENT_TIMEOUT = "5s"
SECONDS_BETWEEN_LOADS = 30
# A rollback finds the models of the release before in memory.
MODELS_KEPT = 2
# The length of the longest answer: the largest offset and the largest limit.
LONGEST_LIST = 550

SNAPSHOT = "select pg_current_snapshot()::text"
DIGEST = "select count(*), bit_xor(hashint8extended(id, 0)) from marts.{} where deleted_at is null"
IDS = "select coalesce(array_agg(id order by id), '{{}}') from marts.{} where deleted_at is null"
NOT_BUILT = "nothing is built yet; first run: make run"
NO_RELEASE = "there is no release yet; make one with: make recommend"
NO_RIGHTS = "the user may not read what the service reads; grant it the role moovitamix_service"


@dataclass(frozen=True, eq=False)
class PresentRows:
    """Hold the sorted ids of the rows of a mart that are not removed, and their number and hash.

    `id_set`: the same ids for the few of one answer: numpy is made for many.
    """

    digest: tuple
    ids: Integers
    id_set: frozenset[int]


@dataclass(frozen=True, eq=False)
class State:
    """Hold what answers follow from. A request uses one of these throughout.

    `models` may be that of an earlier release while the models of the published one are loaded. `is_candidate`: by
    position in its catalogue, whether a track may be recommended now. `popular`: the list of a user about whom nothing
    is known.
    """

    release: Release
    users: PresentRows
    tracks: PresentRows
    models: LoadedModels | None = None
    is_candidate: Flags | None = None
    popular: Lists | None = None

    def has_user(self, user_id: int) -> bool:
        return user_id in self.users.id_set


class Refresher:
    """Refresh `state` in a thread. `problem`: why it is None or old, or why the models could not be loaded."""

    def __init__(
        self, find_warehouse: Callable[[], Warehouse], log: Callable[..., None], artefact_folder: str | None = None
    ) -> None:
        self.state: State | None = None
        self.problem: str | None = "the service is starting"
        self.warehouse: Warehouse | None = None
        self.model_problem: str | None = None
        self._refreshed_at = -float("inf")
        self._find_warehouse, self._log = find_warehouse, log
        self._artefact_folder = artefact_folder
        self._connection: psycopg.Connection | None = None
        self._snapshot: str | None = None
        self._release: Release | None = None
        self._effective_releases: list[int] = []
        self._present: dict[str, PresentRows] = {}
        self._loaded: dict[int, LoadedModels] = {}
        self._loading: Future[LoadedModels] | None = None
        self._next_load = 0.0
        self._loader = ThreadPoolExecutor(1, "load-models")
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="refresh", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(LONGEST_AGE)
        self._loader.shutdown(wait=False, cancel_futures=True)

    @property
    def age(self) -> float:
        """Return the seconds since the last refresh."""
        return time.monotonic() - self._refreshed_at

    @property
    def has_refreshed(self) -> bool:
        return self.state is not None

    @property
    def has_models(self) -> bool:
        """Return whether the models of the published release are in memory."""
        state = self.state
        return state is not None and state.models is not None and state.models.release == state.release

    def current(self) -> State | None:
        """Return the state, or None if there is none or it is too old to answer from."""
        return self.state if self.age <= LONGEST_AGE else None

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._refresh()
            except Exception as error:
                self._disconnect()
                self._report(self._describe(error))
            self._stopped.wait(SECONDS_BETWEEN)
        self._disconnect()

    def _refresh(self) -> None:
        started = time.monotonic()
        if self._connection is None:
            self._connect()
        with self._connection.transaction():
            # all from one snapshot; if no transaction has ended since the last one, nothing can have changed
            (snapshot,) = self._connection.execute(SNAPSHOT).fetchone()
            if snapshot != self._snapshot:
                self._read()
                self._snapshot = snapshot
        self._update()
        self._refreshed_at = started
        self._report(None if self.state else NO_RELEASE)

    def _connect(self) -> None:
        self.warehouse = self._find_warehouse()
        self._connection = database.connect(self.warehouse.conninfo, **WAITS)
        self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        self._connection.read_only = True
        self._connection.execute(f"set statement_timeout = '{STATEMENT_TIMEOUT}'")
        self._snapshot = None

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def _read(self) -> None:
        release = releases.read_published(self._connection)
        if release != self._release:
            self._effective_releases = releases.list_effective_releases(self._connection)
            self._release = release
        for mart in ("users", "tracks"):
            digest = self._connection.execute(DIGEST.format(mart)).fetchone()
            if mart not in self._present or self._present[mart].digest != digest:
                (ids,) = self._connection.execute(IDS.format(mart), binary=True).fetchone()
                self._present[mart] = PresentRows(digest, np.array(ids, np.int64), frozenset(ids))

    def _update(self) -> None:
        """Replace the state if anything in it has changed."""
        if self._release is None:
            self.state = None
            return
        current = self._find_models()
        users, tracks = self._present["users"], self._present["tracks"]
        old = self.state
        is_same = old and old.users is users and old.tracks is tracks and old.models is current
        if is_same and old.release == self._release:
            return
        if current is None:
            self.state = State(self._release, users, tracks)
            return
        is_candidate = current.catalogue.is_candidate & find(tracks.ids, current.catalogue.track_ids)[1]
        nobody = current.make_user(UserHistory(), (), 0)
        popular = current.make_lists(nobody, DISCOVER, LONGEST_LIST, is_candidate)
        self.state = State(self._release, users, tracks, current, is_candidate, popular)

    def _find_models(self) -> LoadedModels | None:
        """Return the models of the published release, or earlier ones while a thread loads them.

        Never those of a release that was taken back.
        """
        wanted = self._release.release_id
        if self._loading and self._loading.done():
            self._take_loaded()
        if wanted in self._loaded:
            # the last one is the latest that was used
            self._loaded[wanted] = self._loaded.pop(wanted)
            self._report_models(None)
            return self._loaded[wanted]
        if self._loading is None and time.monotonic() >= self._next_load:
            self._loading = self._loader.submit(_load, self.warehouse, self._release, self._artefact_folder)
        usable = (found for number, found in reversed(self._loaded.items()) if number in self._effective_releases)
        return next(usable, None)

    def _take_loaded(self) -> None:
        loading, self._loading = self._loading, None
        try:
            found = loading.result()
        except Exception as error:
            # released lists are served without the models
            self._next_load = time.monotonic() + SECONDS_BETWEEN_LOADS
            self._report_models(self._describe(error))
            return
        self._loaded[found.release.release_id] = found
        while len(self._loaded) > MODELS_KEPT:
            self._loaded.pop(next(iter(self._loaded)))

    def _describe(self, error: Exception) -> str:
        if isinstance(error, psycopg.errors.InsufficientPrivilege):
            return NO_RIGHTS
        if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName):
            return NOT_BUILT
        if isinstance(error, psycopg.Error) and self.warehouse:
            return f"the warehouse failed: {redaction.redact(error, self.warehouse.conninfo)}"
        if isinstance(error, CommandError | PostgresUnavailableError | ArtefactError):
            return str(error)
        return f"unexpected {type(error).__name__}"

    def _report(self, problem: str | None) -> None:
        if problem != self.problem:
            self.problem = problem
            self._log("warehouse_unavailable" if problem else "warehouse_available", problem=problem)

    def _report_models(self, problem: str | None) -> None:
        if problem != self.model_problem:
            self.model_problem = problem
            self._log("models_unavailable" if problem else "models_available", problem=problem)


def _load(warehouse: Warehouse, release: Release, artefact_folder: str | None) -> LoadedModels:
    with database.connect(warehouse.conninfo, **WAITS) as connection:
        return loaded_models.load(connection, release, artefact_folder)
