"""Split a dataset into training data and targets, so that no target is in the training data."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix

from recommender.dataset import Catalogue, Dataset, Users
from recommender.interactions import Flags, Floats, Integers, Interactions
from recommender.releases import DISCOVER
from recommender.scores import rows_of, values_at

TARGET_SHARE = 0.2
# Each of the two windows gets this share of the days of a log, at least 1 and at most 14 days.
WINDOW_SHARE, LONGEST_WINDOW = 1 / 8, 14


@dataclass(frozen=True)
class Fold:
    """Hold training data, and the tracks that each of its users then listened to: users x tracks, 1 for each.

    `dropped`: targets that no list could have held, since the track was unknown or gone. `oracle`: the scores of one
    who knows the tastes behind a simulated log, for tracks that are new to the user and for the others.
    """

    dataset: Dataset
    targets: csr_matrix
    dropped: int = 0
    oracle: Callable[[str], Floats] | None = None

    def targets_of(self, list_name: str) -> csr_matrix:
        """Return the targets that a list can hold: tracks the user has not heard in training, or has heard."""
        heard = self.dataset.listens.weights()
        heard.data[:] = 1
        is_known = values_at(heard, self.targets) > 0
        is_kept = ~is_known if list_name == DISCOVER else is_known
        return _only(self.targets, is_kept & self.dataset.catalogue.is_candidate[self.targets.indices])


def split_by_time(log: Interactions, cut: int, end: int) -> tuple[Interactions, csr_matrix]:
    """Return the listens before day `cut`, and the users' tracks from that day up to the one before `end`."""
    training = log.where(log.days < cut, today=cut - 1)
    return training, _pairs(log.where((log.days >= cut) & (log.days < end)))


def split_at_random(log: Interactions, seed: int) -> tuple[Interactions, csr_matrix]:
    """Return the listens to four of five tracks of each user, and the other tracks."""
    pairs = _pairs(log)
    draws = np.random.default_rng(seed).random(pairs.nnz)
    user = rows_of(pairs)
    order = np.lexsort((draws, user))
    rank = np.arange(pairs.nnz) - pairs.indptr[user]
    count = np.round(TARGET_SHARE * np.diff(pairs.indptr)).astype(int)
    is_target = np.zeros(pairs.nnz, bool)
    is_target[order[rank < count[user]]] = True
    # pairs and listens are in the same order, so each listen finds its pair by counting
    is_first = np.ones(len(log.tracks), bool)
    is_first[1:] = log.tracks[1:] != log.tracks[:-1]
    is_first[log.starts[:-1][log.starts[:-1] < len(log.tracks)]] = True
    pair = np.cumsum(is_first) - 1
    return log.where(~is_target[pair]), _only(pairs, is_target)


def choose_windows(first_day: int, last_day: int, size: int | None = None) -> tuple[int, int, int] | None:
    """Return the days on which the tuning and the final window begin, and the day after the last.

    Both windows have `size` days. None if the log is too short for both and a day of training.
    """
    days = last_day - first_day + 1
    size = size or max(1, min(LONGEST_WINDOW, int(days * WINDOW_SHARE)))
    if days < 2 * size + 1:
        return None
    end = last_day + 1
    return end - 2 * size, end - size, end


def fold_of_log(user_ids: Integers, track_ids: Integers, training: Interactions, targets: csr_matrix) -> Fold:
    """Return a fold of a log without a catalogue: the candidate tracks are those in training."""
    is_candidate = np.zeros(len(track_ids), bool)
    is_candidate[training.tracks] = True
    catalogue = Catalogue(
        track_ids,
        is_candidate,
        np.full(len(track_ids), -1, np.int32),
        csr_matrix((len(track_ids), 0), dtype=np.float32),
    )
    favorites = csr_matrix((len(user_ids), 0), dtype=np.float32)
    dataset = Dataset(user_ids, np.ones(len(user_ids), bool), Users(training, favorites), catalogue)
    return drop_unreachable(Fold(dataset, targets))


def drop_unreachable(fold: Fold) -> Fold:
    """Return the fold without targets that are no candidate tracks, and their number."""
    is_kept = fold.dataset.catalogue.is_candidate[fold.targets.indices]
    return replace(fold, targets=_only(fold.targets, is_kept), dropped=fold.dropped + int((~is_kept).sum()))


def sample_users(fold: Fold, most: int, seed: int) -> Fold:
    """Return the fold with the targets of at most so many users, drawn by the seed."""
    users = np.flatnonzero(np.diff(fold.targets.indptr))
    if len(users) <= most:
        return fold
    chosen = np.random.default_rng(seed).permutation(users)[:most]
    return replace(fold, targets=_only(fold.targets, np.isin(rows_of(fold.targets), chosen)))


def _pairs(listens: Interactions) -> csr_matrix:
    """Return users x tracks, 1 for each track the user heard, however often."""
    pairs = listens.weights()
    pairs.data[:] = 1
    return pairs


def _only(matrix: csr_matrix, is_kept: Flags) -> csr_matrix:
    starts = np.concatenate([[0], np.cumsum(is_kept)])[matrix.indptr].astype(np.int32)
    return csr_matrix((matrix.data[is_kept], matrix.indices[is_kept], starts), shape=matrix.shape)
