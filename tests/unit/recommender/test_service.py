"""Answers hold nothing that is gone, keys are compared whole, and stored lists are read back equal."""

import datetime as dt
import json
from typing import Annotated

import msgspec
import numpy as np
import pytest
from fastapi import FastAPI, Path, Query

from recommender import artefacts, list_rows
from recommender.list_making import Recommender, recommend
from recommender.releases import AGAIN, DISCOVER, LISTS, Release
from recommender.service import answers, cached_lists, middleware, routes
from recommender.service.answers import NoModelsError
from recommender.service.contract import ListQuery, PageQuery, UserPath
from recommender.service.loaded_models import LoadedModels, UserHistory
from recommender.service.settings import ServiceSettings, is_loopback
from recommender.service.state import PresentRows, State
from recommender.service.warehouse_reads import genres_in
from recommender.stored_lists import StoredList, decode, pack, parse_reason, unpack
from recommender.tuning import choose_fallbacks, fit_fallbacks
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
def models(data):
    recommenders = {name: recommender(data, "neighbours") for name in LISTS}
    return LoadedModels(release(), data.catalogue, recommenders, {name: [0, 1, 2] for name in LISTS})


def present(ids):
    return PresentRows((), ids, frozenset(ids.tolist()))


def state(data, models, gone=(), published=None):
    tracks = np.setdiff1d(data.catalogue.track_ids, gone)
    is_candidate = data.catalogue.is_candidate & np.isin(data.catalogue.track_ids, tracks)
    nobody = models.make_user(UserHistory(), (), 0)
    return State(
        published or models.release,
        present(data.user_ids),
        present(tracks),
        models,
        is_candidate,
        models.make_lists(nobody, DISCOVER, 50, is_candidate),
    )


def history_of(data, user):
    part = slice(*data.listens.starts[user : user + 2])
    ids = data.catalogue.track_ids[data.listens.tracks[part]].tolist()
    genres = [data.catalogue.genre_names[number] for number in data.users.favorites[user].indices]
    return UserHistory(ids, data.listens.days[part].tolist(), genres)


def encoded_lists(data, models, name=DISCOVER, k=20):
    """Return the rows of a release with the lists of all users, and the lists."""
    lists = recommend(models.recommenders[name], data.users, data.catalogue, name, k, per_artist=3)
    elements = list_rows.encode_reasons(data.catalogue)
    return list(list_rows.encode(1, name, 7, [0, 1, 2], data.user_ids, lists, data.catalogue, elements)), lists


def test_a_row_of_a_list_is_read_back_equal(data, models):
    rows, lists = encoded_lists(data, models)
    assert len(rows) == len(data.user_ids)
    for user, row in enumerate(rows):
        found = decode(row)
        size = int((lists.tracks[user] >= 0).sum())
        assert (found.release_id, found.user_id, found.list) == (1, data.user_ids[user], DISCOVER)
        assert found.track_ids == data.catalogue.track_ids[lists.tracks[user, :size]].tolist()
        assert found.scores == lists.scores[user, :size].tolist() and len(list(found.reasons)) == size
        assert found.model_items == (lists.sources[user] == 0).sum()
        assert unpack(pack(found)) == found


def test_a_damaged_or_foreign_value_of_the_cache_is_no_list(data, models):
    value = pack(decode(encoded_lists(data, models)[0][0]))
    user_id = int(data.user_ids[0])
    assert cached_lists.unpack(value, 1, user_id, DISCOVER) is not None
    for wrong in ((2, user_id, DISCOVER), (1, user_id + 1, DISCOVER), (1, user_id, AGAIN)):
        assert cached_lists.unpack(value, *wrong) is None
    for place in range(0, len(value), 7):
        damaged = value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]
        assert cached_lists.unpack(damaged, 1, user_id, DISCOVER) is None
    for size in (0, 3, 4, len(value) - 1):
        assert cached_lists.unpack(value[:size], 1, user_id, DISCOVER) is None


def test_a_page_is_json_with_a_reason_of_each_kind_and_none_that_names_a_removed_track(data, models):
    genre = 'r"n\\b 100 %s'
    reasons = ["track 3", f"genre {genre}", "popular", "track 4"]
    stored = StoredList(1, 7, DISCOVER, 5, 2, 1, [11, 12, 13, 14], [0.25, 1 / 3, 2e-7, 12345678.5], reasons)
    stored = stored._replace(reasons=[parse_reason(reason) for reason in reasons])
    now = State(models.release, present(data.user_ids), present(np.array([3, 11, 13, 14])))
    page = json.loads(msgspec.json.encode(answers.drop_removed(now, stored, 4).make_page(0, 4)))
    assert page["items"] == [
        {"rank": 1, "track_id": 11, "score": 0.25, "reason": {"type": "track", "track_id": 3}},
        {"rank": 2, "track_id": 13, "score": 0, "reason": {"type": "popular"}},
        {"rank": 3, "track_id": 14, "score": 12345678.5, "reason": {"type": "popular"}},
    ]
    assert page["source"] == "model"
    everything = State(models.release, present(data.user_ids), present(np.arange(20)))
    ranked = answers.drop_removed(everything, unpack(pack(stored)), 4)
    page = json.loads(msgspec.json.encode(ranked.make_page(1, 2)))
    assert page["items"] == [
        {"rank": 2, "track_id": 12, "score": 0.333333, "reason": {"type": "genre", "genre": genre}},
        {"rank": 3, "track_id": 13, "score": 0, "reason": {"type": "popular"}},
    ]
    assert [ranked.make_page(offset, 2)["source"] for offset in (1, 2, 3, 4)] == [
        "model", "genres", "popular", "popular",
    ]  # fmt: skip
    assert json.loads(msgspec.json.encode(ranked.make_page(4, 2)))["items"] == []


def test_a_released_list_loses_what_is_gone_and_is_filled_by_the_fallback_models(data, models):
    for user, row in enumerate(encoded_lists(data, models)[0][:20]):
        stored = decode(row)
        gone = stored.track_ids[1::5]
        now = state(data, models, gone)
        ranked = answers.drop_removed(now, stored, 50)
        kept = [track for track in stored.track_ids if track not in gone]
        assert ranked.track_ids == kept
        assert not set(ranked.reasons) & set(gone)
        filled = answers.fill_list(now, ranked, history_of(data, user), len(stored.track_ids) + 5)
        assert filled.track_ids[: len(kept)] == kept and len(set(filled.track_ids)) == len(filled.track_ids)
        assert not set(filled.track_ids) & {*gone, *history_of(data, user).track_ids}
        assert set(filled.sources[len(kept) :]) <= {list_rows.GENRES, list_rows.POPULAR}


def test_an_answer_is_whole_from_one_release(data, models):
    later = release(2, model_versions={DISCOVER: 17, AGAIN: 18}, released_at=NOW + dt.timedelta(days=1))
    stored = decode(encoded_lists(data, models)[0][0])
    now = state(data, models, stored.track_ids[:2], published=later)
    ranked = answers.drop_removed(now, stored, 50)
    assert ranked.release == later
    filled = answers.fill_list(now, ranked, history_of(data, 0), 30)
    assert filled.release == models.release and filled.model_version == 7
    assert filled.track_ids == answers.make_list(now, history_of(data, 0), DISCOVER, 30).track_ids


def test_a_list_made_on_request_is_that_of_the_batch(data, models, monkeypatch):
    monkeypatch.setattr(answers, "_today", lambda: data.listens.today)
    for name in LISTS:
        lists = recommend(models.recommenders[name], data.users, data.catalogue, name, 10, per_artist=3)
        for user in range(len(data.user_ids)):
            expected = data.catalogue.track_ids[lists.tracks[user][lists.tracks[user] >= 0]].tolist()
            ranked = answers.make_list(state(data, models), history_of(data, user), name, 10)
            # a list of known tracks that would be empty is filled
            assert ranked.track_ids == expected or (name == AGAIN and not expected and ranked.track_ids)


def test_without_models_nothing_is_made(data, models):
    bare = State(models.release, present(data.user_ids), present(data.catalogue.track_ids))
    with pytest.raises(NoModelsError):
        answers.list_popular(bare, DISCOVER, None, 5)


def test_known_users_are_found_and_others_are_not(data, models):
    now = state(data, models)
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


def test_parameters_that_routes_read_from_the_request_are_described_as_fastapi_describes_them():
    served, usual = FastAPI(), FastAPI()
    served.include_router(routes.fast_router)

    @usual.get("/users/{user_id}/recommendations")
    def find_lists(path: Annotated[UserPath, Path()], query: Annotated[ListQuery, Query()]) -> None: ...

    @usual.get("/popular")
    def find_popular(query: Annotated[PageQuery, Query()]) -> None: ...

    documents = [app.openapi()["paths"] for app in (served, usual)]
    described, expected = ({path: each["get"]["parameters"] for path, each in paths.items()} for paths in documents)
    assert described == expected


def test_settings_do_not_show_their_secrets(tmp_path):
    shown = repr(ServiceSettings("127.0.0.1", 1, 1, tmp_path, "postgresql://u:pw@h/d", "redis://:pw@h", "pw"))
    assert "pw" not in shown


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_is_known(host):
    assert is_loopback(host) and not is_loopback("0.0.0.0") and not is_loopback("::") and not is_loopback("example.com")


def test_refitted_models_survive_storing(data):
    for model in choose_fallbacks("neighbours", fit_fallbacks(data, {}, 0)):
        content = artefacts.dump(model, data.catalogue)
        loaded = artefacts.renumber(artefacts.load(content, artefacts.checksum(content), 1), data.catalogue)
        one, other = (
            recommend(Recommender(each, ()), data.users, data.catalogue, DISCOVER, 10) for each in (model, loaded)
        )
        assert (one.tracks == other.tracks).all()
