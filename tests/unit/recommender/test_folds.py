"""No target is in the training data, and a split that would fool the evaluation is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender import fold_readers, folds
from recommender.evaluation import find_users_with_targets
from recommender.fold_readers import DataError
from recommender.log_files import Log, read_file
from recommender.releases import AGAIN, DISCOVER

DAY = 86_400


def log(*listens: tuple[int, int, float]) -> Log:
    """Return a log of (user, track, day)."""
    return logs(listens)[0]


def logs(*many) -> list[Log]:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, listens in enumerate(many):
            paths.append(Path(folder) / f"{number}.csv")
            rows = [f"{user},{track},{int(day * DAY)}\n" for user, track, day in listens]
            paths[-1].write_text("user_id,track_id,listened_at\n" + "".join(rows))
        return read_file(*paths)


def targets(fold, list_name) -> set[tuple[int, int]]:
    """Return (user_id, track_id) of the targets of a list."""
    found = fold.targets_of(list_name).tocoo()
    data = fold.dataset
    return set(zip(data.user_ids[found.row].tolist(), data.catalogue.track_ids[found.col].tolist(), strict=True))


def test_a_log_is_cut_by_whole_days():
    listens = [(1, 10, day + 0.9) for day in range(16)] + [(1, 20, 14.0), (1, 30, 15.99), (2, 20, 3.5), (2, 10, 12.0)]
    made = fold_readers.cut_in_time(log(*listens))
    assert made.final.dataset.listens.days.max() == 13 and made.final.dataset.listens.today == 13
    assert made.tuning.dataset.listens.days.max() == 11
    # 30 was heard in the window only, so no list could hold it
    assert (targets(made.final, DISCOVER), targets(made.final, AGAIN), made.final.dropped) == ({(1, 20)}, {(1, 10)}, 1)
    assert targets(made.tuning, DISCOVER) == {(2, 10)}


def test_a_user_without_targets_is_left_out_and_a_repeated_target_counts_once():
    made = fold_readers.cut_in_time(
        log(*[(1, 10, day) for day in range(8)], (2, 20, 0), (3, 10, 7), (3, 10, 7.5)), window=1
    )
    users, wanted = find_users_with_targets(made.final, DISCOVER)
    assert made.final.dataset.user_ids[users].tolist() == [3] and wanted.nnz == 1 and wanted.data.tolist() == [1]


def test_a_window_without_listens_has_no_targets():
    made = fold_readers.cut_in_time(log(*[(1, 10, day) for day in range(6)], (2, 10, 8)), window=1)
    assert made.tuning.targets.nnz == 0
    assert targets(made.tuning, DISCOVER) == targets(made.tuning, AGAIN) == set()


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(0, 30)), min_size=20, max_size=60))
@settings(max_examples=25, deadline=None)
def test_a_random_split_keeps_each_pair_on_one_side(listens):
    whole = log(*listens)
    training, wanted = folds.split_at_random(whole.listens, 3)
    one, other = training.weights().toarray() > 0, wanted.toarray() > 0
    assert not (one & other).any()
    np.testing.assert_array_equal(one | other, whole.listens.weights().toarray() > 0)
    tracks = (one | other).sum(axis=1)
    np.testing.assert_array_equal(other.sum(axis=1), np.round(0.2 * tracks))
    np.testing.assert_array_equal(folds.split_at_random(whole.listens, 3)[1].toarray(), wanted.toarray())


@pytest.mark.parametrize(("days", "expected"), [(2, None), (3, (1, 2, 3)), (80, (60, 70, 80)), (400, (372, 386, 400))])
def test_the_windows_are_an_eighth_of_the_days_and_at_most_two_weeks(days, expected):
    assert folds.choose_windows(0, days - 1) == expected


def test_a_log_that_is_too_short_or_has_no_times_is_refused():
    with pytest.raises(DataError, match="span 2 days: too few"):
        fold_readers.cut_in_time(log((1, 1, 0), (1, 2, 1.5)))
    with pytest.raises(DataError, match="span 1 day: too few"):
        fold_readers.cut_in_time(log((1, 1, 0)))
    with pytest.raises(DataError, match="no user has 3 tracks"):
        fold_readers.split_at_random(log((1, 1, 0), (2, 1, 1)), 0)


TRAINING = [(user, track, day) for user in range(1, 9) for track, day in ((user, 1), (user + 1, 5), (user + 2, 9))]


def test_a_later_test_file_is_compared_and_its_tuning_window_lies_in_training():
    training, test = logs(TRAINING, [(1, 5, 10), (1, 1, 10), (2, 99, 11), (50, 4, 12)])
    made = fold_readers.take_split(training, test, 0)
    assert targets(made.final, DISCOVER) == {(1, 5), (50, 4)} and targets(made.final, AGAIN) == {(1, 1)}
    assert made.final.dropped == 1
    assert made.tuning.dataset.listens.days.max() < 9
    assert any("tuned on the training data from" in note for note in made.notes)


def test_a_test_file_within_the_time_of_training_is_accepted_as_a_random_split():
    training, test = logs(
        TRAINING, [(user, user + 4, day) for user, day in zip(range(1, 5), (0.5, 2, 6, 8), strict=True)]
    )
    made = fold_readers.take_split(training, test, 0)
    assert any("may know the future" in note for note in made.notes)
    assert any("tuned on a random fifth" in note for note in made.notes)


@pytest.mark.parametrize(
    ("test", "why"),
    [
        ([*TRAINING[:2], (1, 7, 12)], "2 test listens are in the training file too"),
        ([(1, 7, 8), (2, 8, 8.5), (3, 8, 12)], "the test window overlaps the training data: 2 test listens are older"),
        ([(1, 777, 12)], "no track of the test file is in the training file"),
    ],
)
def test_a_split_that_would_fool_the_evaluation_is_refused(test, why):
    with pytest.raises(DataError, match=why):
        fold_readers.take_split(*logs(TRAINING, test), 0)


def test_the_same_file_twice_is_refused_without_times_too(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("user_id,track_id\n1,2\n1,3\n2,2\n")
    with pytest.raises(DataError, match="both files hold the same listens"):
        fold_readers.take_split(*read_file(path, path), 0)
