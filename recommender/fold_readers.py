"""Make the two folds of an evaluation, one to tune on and one to compare on, from a file, a split, or the warehouse."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import psycopg
from scipy.sparse import csr_matrix

from recommender import dataset, folds, interactions, known_range
from recommender.folds import Fold
from recommender.interactions import Floats, Integers, Interactions, day_of, find, number_of
from recommender.log_files import Log
from recommender.releases import AGAIN, DISCOVER
from recommender.scores import rows_of
from warehouse.counts import be, count

# (user_ids, track_ids, first day) -> the odds of a new listen and of the next one, users x tracks; None: not known.
Oracle = Callable[[Integers, Integers, dt.date], tuple[Floats, Floats] | None]
MICROSECOND = dt.timedelta(microseconds=1)


class DataError(Exception):
    """Report that the data allow no honest evaluation. `str()` is one line that says why."""


@dataclass(frozen=True)
class Folds:
    """Hold the fold to tune on, the one to compare on, and sentences about how they were made."""

    tuning: Fold
    final: Fold
    notes: tuple[str, ...]


def cut_in_time(log: Log, window: int | None = None) -> Folds:
    """Cut a log in time: training, then the tuning window, then the final window. Raises DataError."""
    if log.times is None:
        raise DataError("there is no column listened_at, so the log cannot be cut in time; use --protocol random")
    days = log.listens.days
    tuning, final, end = _windows(int(days.min()), int(days.max()), window)

    def fold(cut: int, stop: int) -> Fold:
        return folds.fold_of_log(log.user_ids, log.track_ids, *folds.split_by_time(log.listens, cut, stop))

    return Folds(fold(tuning, final), fold(final, end), (_describe(tuning, final, end),))


def split_at_random(log: Log, seed: int) -> Folds:
    """Keep a fifth of each user's tracks for comparing, and a fifth of the others for tuning. Raises DataError."""
    final = folds.fold_of_log(log.user_ids, log.track_ids, *folds.split_at_random(log.listens, seed))
    if not final.targets.nnz:
        raise DataError("no user has 3 tracks, so none has both training data and targets")
    note = "a random fifth of each user's tracks is the test; all that is known of a track is on one side"
    return Folds(_cut_tuning_at_random(log, final.dataset.listens, seed), final, (note,))


def take_split(training: Log, test: Log, seed: int) -> Folds:
    """Compare on a given test file, and tune on a part of the training file. Raises DataError for a leaking split."""
    notes = [*_check_split(training, test)]
    targets = test.listens.weights()
    targets.data[:] = 1
    final = folds.fold_of_log(training.user_ids, training.track_ids, training.listens, targets)
    if not final.targets.nnz:
        raise DataError("no track of the test file is in the training file, so no list can hold it")
    is_later = _has_times(training, test) and test.times.min() >= training.times.max()
    days = training.listens.days
    bounds = folds.choose_windows(int(days.min()), int(days.max())) if is_later else None
    if bounds is None:
        tuning = _cut_tuning_at_random(training, training.listens, seed)
        notes.append("tuned on a random fifth of each user's tracks in training")
    else:
        _, cut, end = bounds
        parts = folds.split_by_time(training.listens, cut, end)
        tuning = folds.fold_of_log(training.user_ids, training.track_ids, *parts)
        notes.append(f"tuned on the training data from {day_of(cut)} on")
    return Folds(tuning, final, tuple(notes))


@dataclass(frozen=True)
class Windows:
    """Hold the days on which the tuning and the final window begin, and the day after the last. Days are numbers."""

    tuning: int
    final: int
    end: int

    def __str__(self) -> str:
        return _describe(self.tuning, self.final, self.end)


def read_warehouse(connection: psycopg.Connection, window: int | None = None, oracle: Oracle | None = None) -> Folds:
    """Cut what the warehouse knows in time, each fold as known at its cut. Raises DataError, and CommandError while the
    marts are not built."""
    windows = choose_windows(connection, window)
    last_fold = read_fold(connection, windows.final, windows.end)
    known = oracle and oracle(last_fold.dataset.user_ids, last_fold.dataset.catalogue.track_ids, day_of(windows.final))
    if known:
        by_list = dict(zip((DISCOVER, AGAIN), known, strict=True))
        last_fold = replace(last_fold, oracle=by_list.__getitem__)
    return Folds(read_fold(connection, windows.tuning, windows.final), last_fold, (str(windows),))


def choose_windows(
    connection: psycopg.Connection,
    window: int | None = None,
    *,
    until: dt.datetime | None = None,
    final_from: int | None = None,
) -> Windows:
    """Return the windows for what the warehouse knows, or knew at `until`; the final one begins on `final_from` or
    later. Raises DataError, and CommandError while the marts are not built."""
    first, last = connection.execute(
        "select min(listened_at), max(listened_at) from marts.listen_history"
        " where greatest(listened_at, known_at) <= coalesce(%s::timestamptz, 'infinity')",
        [until],
    ).fetchone()
    if first is None:
        raise DataError("marts.listen_history has no listens yet; first run: make run")
    first_day, last_day = (number_of(moment.astimezone(dt.UTC).date()) for moment in (first, last))
    if final_from is not None and final_from > last_day:
        raise DataError(
            f"the final window must begin on {day_of(final_from)} or later, after the one that was used for the last"
            f" promotion, and the newest listen is of {day_of(last_day)}"
        )
    found = _windows(first_day, last_day, window)
    if final_from is not None and found[1] < final_from:
        # the tuning window keeps its length: nothing is promoted by it
        found = final_from - (found[1] - found[0]), final_from, found[2]
    known_from = known_range.read(connection).known_from
    if known_from and _midnight(found[0]) < known_from:
        raise DataError(
            f"the tuning window begins on {day_of(found[0])}, but the data before"
            f" {known_from.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC was pruned: give a shorter --window"
        )
    return Windows(*found)


def read_fold(connection: psycopg.Connection, cut: int, stop: int) -> Fold:
    """Return the data as known before the day `cut`, and as targets the listens from then to the day before `stop`."""
    as_of = _midnight(cut) - MICROSECOND
    with connection.transaction():
        # a run may publish while this reads
        connection.execute("set transaction isolation level repeatable read")
        user_ids, track_ids = (
            np.array(
                [number for (number,) in connection.execute(f"select id from marts.{table} order by id")], np.int64
            )
            for table in ("users", "tracks")
        )
        known = dataset.read(connection, as_of)
        after = interactions.read(
            connection,
            user_ids,
            track_ids,
            after=as_of,
            until=_midnight(stop) - MICROSECOND,
            as_of=dt.datetime.max.replace(tzinfo=dt.UTC),
        )
    return _with_targets(known, user_ids, track_ids, after)


def _with_targets(known: dataset.Dataset, user_ids: Integers, track_ids: Integers, after: Interactions) -> Fold:
    """Return a fold whose targets are the tracks that known users heard afterwards."""
    pairs = after.weights()
    users, is_user = find(known.user_ids, user_ids)
    tracks, is_track = find(known.catalogue.track_ids, track_ids)
    row = rows_of(pairs)
    is_theirs = is_user[row]
    is_kept = is_theirs & is_track[pairs.indices]
    at = users[row[is_kept]], tracks[pairs.indices[is_kept]]
    shape = (len(known.user_ids), len(known.catalogue.track_ids))
    targets = csr_matrix((np.ones(len(at[0]), np.float32), at), shape=shape)
    return folds.drop_unreachable(Fold(known, targets, dropped=int((is_theirs & ~is_kept).sum())))


def _cut_tuning_at_random(log: Log, listens: Interactions, seed: int) -> Fold:
    return folds.fold_of_log(log.user_ids, log.track_ids, *folds.split_at_random(listens, seed + 1))


def _windows(first: int, last: int, size: int | None) -> tuple[int, int, int]:
    found = folds.choose_windows(first, last, size)
    if found is None:
        days = count(last - first + 1, "day")
        raise DataError(f"the listens span {days}: too few for training, a tuning window and a final window")
    return found


def _has_times(*logs: Log) -> bool:
    """Return whether the logs have times that tell listens apart."""
    if any(log.times is None for log in logs):
        return False
    return min(log.times.min() for log in logs) < max(log.times.max() for log in logs)


def _check_split(training: Log, test: Log) -> list[str]:
    """Return notes about a given split. Raises DataError if the test would reward remembering the training data."""
    train_pairs, test_pairs = _pair_numbers(training), _pair_numbers(test)
    if not _has_times(training, test):
        if np.isin(test_pairs, train_pairs).all() and not np.isin(train_pairs, test_pairs, invert=True).any():
            raise DataError("both files hold the same listens; give a test file that is not part of the training file")
        return []
    # both are sorted by user, track and time
    rows = [np.rec.fromarrays([pairs, log.times]) for pairs, log in ((train_pairs, training), (test_pairs, test))]
    shared = int(np.isin(rows[1], rows[0]).sum())
    if shared:
        raise DataError(f"{count(shared, 'test listen')} {be(shared)} in the training file too; remove them from one")

    newest = np.full(len(training.user_ids), np.iinfo(np.int64).min)
    np.maximum.at(newest, _users(training), training.times)
    early = int((test.times < newest[_users(test)]).sum())
    if not early:
        return []
    if np.quantile(test.times, 0.1) < np.quantile(training.times, 0.5):
        return [
            "the test is spread over the time of the training data, as a random split is: models may know the future"
        ]
    raise DataError(
        f"the test window overlaps the training data: {count(early, 'test listen')} {be(early)} older than the same"
        " user's newest listen in training; cut both files at one moment"
    )


def _pair_numbers(log: Log) -> Integers:
    return _users(log) * len(log.track_ids) + log.listens.tracks


def _users(log: Log) -> Integers:
    return np.repeat(np.arange(log.listens.user_count), np.diff(log.listens.starts))


def _describe(tuning: int, final: int, end: int) -> str:
    return (
        f"trained on data before {day_of(final)}, compared on the listens from then to {day_of(end - 1)};"
        f" tuned on those from {day_of(tuning)} to {day_of(final - 1)}"
    )


def _midnight(day: int) -> dt.datetime:
    return dt.datetime.combine(day_of(day), dt.time(), dt.UTC)
