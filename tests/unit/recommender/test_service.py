"""Answers hold nothing that is gone, keys are compared whole, and stored lists are read back equal."""

import datetime as dt
import zlib

import numpy as np
import pytest

from recommender import artefacts, cache, list_rows
from recommender.list_making import Recommender, recommend
from recommender.releases import AGAIN, DISCOVER, LISTS, Release
from recommender.service import answers, cached_lists, middleware
from recommender.service.answers import NoModelsError
from recommender.service.scorer import Heard, Scorer
from recommender.service.settings import ServiceSettings, is_loopback
from recommender.service.state import Present, State
from recommender.service.warehouse_reads import genres_in
from recommender.tuning import fallbacks_of, fit_fallbacks
from tests.listens import random_dataset
from tests.unit.recommender.test_list_making import recommender

NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)


def release(number=1, **changed):
    columns = {
        "release_id": number, "released_at": NOW, "as_of": NOW, "until_seq": 1, "artist_cap": 3, "users": 1,
        "model_versions": {DISCOVER: 7, AGAIN: 8}, "lists": 1, "seconds": 1.0, "figures": {},
    }  # fmt: skip
    return Release(**(columns | changed))


@pytest.fixture(scope="module")
def data():
    return random_dataset(5, users=60, tracks=40)


@pytest.fixture(scope="module")
def scorer(data):
    recommenders = {name: recommender(data, "neighbours") for name in LISTS}
    return Scorer(release(), data.catalogue, recommenders, {name: [0, 1, 2] for name in LISTS})


def present(ids):
    return Present((), ids, frozenset(ids.tolist()))


def state(data, scorer, gone=(), published=None):
    tracks = np.setdiff1d(data.catalogue.track_ids, gone)
    is_candidate = data.catalogue.is_candidate & np.isin(data.catalogue.track_ids, tracks)
    nobody = scorer.users(Heard(), (), 0)
    return State(
        published or scorer.release,
        present(data.user_ids),
        present(tracks),
        scorer,
        is_candidate,
        scorer.lists(nobody, DISCOVER, 50, is_candidate),
    )


def heard_by(data, user):
    part = slice(*data.listens.starts[user : user + 2])
    ids = data.catalogue.track_ids[data.listens.tracks[part]].tolist()
    genres = [data.catalogue.genre_names[number] for number in data.users.favorites[user].indices]
    return Heard(ids, data.listens.days[part].tolist(), genres)


def stored_lists(data, scorer, name=DISCOVER, k=20):
    """Return the rows of a release with the lists of all users, and the lists."""
    lists = recommend(scorer.recommenders[name], data.users, data.catalogue, name, k, per_artist=3)
    elements = list_rows.reason_elements(data.catalogue)
    return list(list_rows.encode(1, name, 7, [0, 1, 2], data.user_ids, lists, data.catalogue, elements)), lists


def test_a_row_of_a_list_is_read_back_equal(data, scorer):
    rows, lists = stored_lists(data, scorer)
    assert len(rows) == len(data.user_ids)
    for user, row in enumerate(rows):
        found = list_rows.decode(row)
        size = int((lists.tracks[user] >= 0).sum())
        assert (found.release_id, found.user_id, found.list) == (1, data.user_ids[user], DISCOVER)
        assert found.track_ids == data.catalogue.track_ids[lists.tracks[user, :size]].tolist()
        assert found.scores == lists.scores[user, :size].tolist() and len(list(found.reasons)) == size
        assert found.model_items == (lists.sources[user] == 0).sum()


def test_a_damaged_or_foreign_value_of_the_cache_is_no_list(data, scorer):
    row = stored_lists(data, scorer)[0][0]
    value = cache.CHECKSUM.pack(zlib.crc32(row)) + row
    user_id = int(data.user_ids[0])
    assert cached_lists.unpack(value, 1, user_id, DISCOVER) is not None
    for wrong in ((2, user_id, DISCOVER), (1, user_id + 1, DISCOVER), (1, user_id, AGAIN)):
        assert cached_lists.unpack(value, *wrong) is None
    for place in range(0, len(value), 7):
        damaged = value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]
        assert cached_lists.unpack(damaged, 1, user_id, DISCOVER) is None
    for size in (0, 3, 4, len(value) - 1):
        assert cached_lists.unpack(value[:size], 1, user_id, DISCOVER) is None


def test_a_released_list_loses_what_is_gone_and_is_filled_by_the_models_that_fill_lists(data, scorer):
    for user, row in enumerate(stored_lists(data, scorer)[0][:20]):
        stored = list_rows.decode(row)
        gone = stored.track_ids[1::5]
        now = state(data, scorer, gone)
        made = answers.from_stored(now, stored, 50)
        kept = [track for track in stored.track_ids if track not in gone]
        assert made.track_ids == kept
        assert not {reason.get("track_id") for reason in made.reasons} & set(gone)
        filled = answers.filled(now, made, heard_by(data, user), len(stored.track_ids) + 5)
        assert filled.track_ids[: len(kept)] == kept and len(set(filled.track_ids)) == len(filled.track_ids)
        assert not set(filled.track_ids) & {*gone, *heard_by(data, user).track_ids}
        assert set(filled.sources[len(kept) :]) <= {list_rows.GENRES, list_rows.POPULAR}


def test_an_answer_is_whole_from_one_release(data, scorer):
    later = release(2, model_versions={DISCOVER: 17, AGAIN: 18}, released_at=NOW + dt.timedelta(days=1))
    stored = list_rows.decode(stored_lists(data, scorer)[0][0])
    now = state(data, scorer, stored.track_ids[:2], published=later)
    made = answers.from_stored(now, stored, 50)
    assert made.release == later
    filled = answers.filled(now, made, heard_by(data, 0), 30)
    assert filled.release == scorer.release and filled.model_version == 7
    assert filled.track_ids == answers.made_now(now, heard_by(data, 0), DISCOVER, 30).track_ids


def test_a_list_made_on_request_is_that_of_the_batch(data, scorer, monkeypatch):
    monkeypatch.setattr(answers, "_today", lambda: data.listens.today)
    for name in LISTS:
        lists = recommend(scorer.recommenders[name], data.users, data.catalogue, name, 10, per_artist=3)
        for user in range(len(data.user_ids)):
            expected = data.catalogue.track_ids[lists.tracks[user][lists.tracks[user] >= 0]].tolist()
            made = answers.made_now(state(data, scorer), heard_by(data, user), name, 10)
            # a list of known tracks that would be empty is filled
            assert made.track_ids == expected or (name == AGAIN and not expected and made.track_ids)


def test_without_models_nothing_is_made(data, scorer):
    bare = State(scorer.release, present(data.user_ids), present(data.catalogue.track_ids))
    with pytest.raises(NoModelsError):
        answers.popular(bare, DISCOVER, None, 5)


def test_known_users_are_found_and_others_are_not(data, scorer):
    now = state(data, scorer)
    assert all(now.has_user(number) for number in data.user_ids.tolist())
    assert not any(now.has_user(number) for number in (0, 2, -1, 10**6, 2**63 - 1, -(2**63)))


def test_genres_are_normalized_as_the_feature_store_does():
    assert genres_in(" Rock,JAZZ , jazz,,Hip  Hop") == ["hip hop", "jazz", "rock"]
    assert genres_in(None) == genres_in(" , ") == []


@pytest.mark.parametrize(
    ("header", "is_right"),
    [
        ((b"authorization", b"Bearer secret"), True),
        ((b"authorization", b"bearer secret"), True),
        ((b"authorization", b"Basic YW55OnNlY3JldA=="), True),
        ((b"x-api-key", b"secret"), True),
        ((b"authorization", b"Bearer secre"), False),
        ((b"authorization", b"Bearer secret2"), False),
        ((b"authorization", b"Basic YW55OnNlY3JldDI="), False),
        ((b"authorization", b"Basic !!"), False),
        ((b"authorization", b"secret"), False),
        ((b"x-api-key", b""), False),
    ],
)
def test_only_the_whole_key_opens(header, is_right):
    guard = middleware.Middleware(None, "secret")
    assert guard._has_key({"headers": [(b"host", b"x"), header]}) is is_right


def test_settings_do_not_show_their_secrets(tmp_path):
    shown = repr(ServiceSettings("127.0.0.1", 1, 1, tmp_path, "postgresql://u:pw@h/d", "redis://:pw@h", "pw"))
    assert "pw" not in shown


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_is_known(host):
    assert is_loopback(host) and not is_loopback("0.0.0.0") and not is_loopback("::") and not is_loopback("example.com")


def test_counted_models_survive_storing(data):
    for model in fallbacks_of("neighbours", fit_fallbacks(data, {}, 0)):
        content = artefacts.dump(model, data.catalogue)
        loaded = artefacts.renumber(artefacts.load(content, artefacts.checksum(content), 1), data.catalogue)
        one, other = (
            recommend(Recommender(each, ()), data.users, data.catalogue, DISCOVER, 10) for each in (model, loaded)
        )
        assert (one.tracks == other.tracks).all()
