"""A stored model is the same model, on any catalogue, and a damaged one is refused."""

import dataclasses
import datetime as dt
import io

import numpy as np
import pytest
from fsspec.core import url_to_fs
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from recommender import artefact_store, artefacts
from recommender.artefacts import Artefact, ArtefactError
from recommender.axes import CATALOGUE_GENRES, GENRES, TRACKS
from recommender.dataset import Catalogue, Users
from recommender.list_making import Recommender, recommend
from recommender.models import MODELS, again
from recommender.registry import ModelVersion
from recommender.releases import AGAIN, DISCOVER
from tests.listens import random_dataset

NAMES = [*MODELS, again.NAME]


def fit(data, name):
    if name == again.NAME:
        return again.fit(data, again.FIRST_TRIALS[0], fit(data, "genres"))
    return MODELS[name].fit(data, MODELS[name].FIRST_TRIALS[-1], 0)


def load(content):
    return artefacts.load(content, artefacts.checksum(content), artefacts.FORMAT)


def lists_of(model, users, catalogue, name):
    list_name = AGAIN if name == again.NAME else DISCOVER
    return recommend(Recommender(model, ()), users, catalogue, list_name, 10)


def next_day(data, draw):
    """The catalogue and users of another day: two new tracks, one new genre, and other numbers for the others."""
    old, new = data.catalogue, Catalogue
    ids = np.sort(np.concatenate([old.track_ids, draw.choice(np.arange(-50, 5), 1), [10_000]]))
    at = np.searchsorted(ids, old.track_ids)
    names = ("blues", *old.genre_names)

    def widened(matrix, rows, height):
        entries = matrix.tocoo()
        return csr_matrix((entries.data, (rows[entries.row], entries.col + 1)), shape=(height, len(names)))

    is_candidate, artists = np.zeros(len(ids), bool), np.full(len(ids), -1, np.int32)
    is_candidate[at], artists[at] = old.is_candidate, old.artists
    catalogue = new(ids, is_candidate, artists, widened(old.genres, at, len(ids)), names)
    listens = dataclasses.replace(data.listens, tracks=at[data.listens.tracks].astype(np.int32), track_count=len(ids))
    users = data.listens.user_count
    return catalogue, Users(listens, widened(data.users.favorites, np.arange(users), users))


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_the_same_after_storing_it(name):
    data = random_dataset(3, gone=(2,))
    model = fit(data, name)
    stored = load(artefacts.dump(model, data.catalogue))
    assert [*stored.genre_names] == [*data.catalogue.genre_names]
    before = lists_of(model, data.users, data.catalogue, name)
    after = lists_of(artefacts.renumber(stored, data.catalogue), data.users, data.catalogue, name)
    for part in ("tracks", "scores", "sources"):
        np.testing.assert_array_equal(getattr(before, part), getattr(after, part))


@given(st.integers(0, 10_000), st.sampled_from(NAMES))
@settings(max_examples=60, deadline=None)
def test_storing_and_renumbering_a_model_and_scoring_with_it_commute(seed, name):
    """Tracks with equal scores may swap, so scores are compared in order, and tracks by their scores."""
    data = random_dataset(seed, gone=(2,))
    catalogue, users = next_day(data, np.random.default_rng(seed))
    model = fit(data, name)
    moved = artefacts.renumber(load(artefacts.dump(model, data.catalogue)), catalogue)
    before = lists_of(model, data.users, data.catalogue, name)
    after = lists_of(moved, users, catalogue, name)
    # scores are sums in another order
    scale = max(1e-3, np.abs(before.scores[before.tracks >= 0]).max(initial=0))
    np.testing.assert_allclose(
        np.where(before.tracks >= 0, before.scores, 0), np.where(after.tracks >= 0, after.scores, 0), atol=1e-4 * scale
    )
    for user in range(len(users)):
        of_both = []
        for lists, ids in ((before, data.catalogue.track_ids), (after, catalogue.track_ids)):
            shown = lists.tracks[user] >= 0
            of_both.append(dict(zip(ids[lists.tracks[user][shown]].tolist(), lists.scores[user][shown], strict=True)))
        one, other = of_both
        last = min(one.values(), default=0)
        for track in one.keys() ^ other.keys():
            assert abs({**one, **other}[track] - last) < 1e-3 * scale


@pytest.mark.parametrize("name", NAMES)
def test_a_track_that_is_gone_from_the_catalogue_is_forgotten(name):
    data = random_dataset(5)
    stored = Artefact(fit(data, name), data.catalogue.track_ids, data.catalogue.genre_names)
    kept = np.arange(1, 29)
    old = data.catalogue
    catalogue = Catalogue(
        old.track_ids[kept], old.is_candidate[kept], old.artists[kept], old.genres[kept], old.genre_names
    )
    is_kept = np.isin(data.listens.tracks, kept)
    listens = data.listens.where(is_kept)
    listens = dataclasses.replace(listens, tracks=listens.tracks - 1, track_count=len(kept))
    users = Users(listens, data.users.favorites)
    lists = lists_of(artefacts.renumber(stored, catalogue), users, catalogue, name)
    assert lists.tracks.max() < len(kept) and (lists.tracks >= 0).any()


@pytest.mark.parametrize("name", NAMES)
def test_every_array_of_a_model_has_axes_of_its_own_catalogue(name):
    data = random_dataset(1)
    model, sizes = fit(data, name), {TRACKS: len(data.catalogue.track_ids), GENRES: len(data.catalogue.genre_names)}
    for array, axes in artefacts.collect_axes()[type(model)].items():
        named = (TRACKS, GENRES) if axes == CATALOGUE_GENRES else axes
        assert getattr(model, array).shape[: len(named)] == tuple(sizes[axis] for axis in named), array


def test_no_two_classes_of_models_have_the_same_name():
    names = [kind.__name__.lower() for kind in artefacts.collect_axes()]
    assert len(set(names)) == len(names) and set(names) >= set(NAMES)


def test_an_artefact_that_cannot_be_trusted_is_refused_with_the_reason():
    data = random_dataset(2)
    content = artefacts.dump(fit(data, "als"), data.catalogue)
    checksum = artefacts.checksum(content)
    damaged = content[:100] + bytes([content[100] ^ 1]) + content[101:]
    for given_content, given_checksum, version, words in (
        (None, checksum, 1, "missing"),
        (damaged, checksum, 1, "damaged"),
        (content[:-50], checksum, 1, "damaged"),
        (content, None, 1, "damaged"),
        (content, checksum, 2, "format 2"),
        (b"", artefacts.checksum(b""), 1, "cannot be read"),
        (content[:-50], artefacts.checksum(content[:-50]), 1, "cannot be read"),
    ):
        with pytest.raises(ArtefactError, match=words):
            artefacts.load(given_content, given_checksum, version)


def test_an_archive_with_a_pickle_is_refused():
    output = io.BytesIO()
    np.savez(output, header=np.array([{"executed": "when it is read"}], object), allow_pickle=True)
    with pytest.raises(ArtefactError, match="cannot be read"):
        load(output.getvalue())


def test_a_model_with_infinite_numbers_is_not_stored():
    data = random_dataset(2)
    model = fit(data, "als")
    model.factors[3, 2] = np.inf
    with pytest.raises(ArtefactError, match="not finite"):
        artefacts.dump(model, data.catalogue)


def version(columns):
    """Return a model version with these columns, as the registry reads it."""
    own = {name: columns[name] for name in ("artefact", "artefact_file", "checksum", "format_version")}
    at = dt.datetime.now(dt.UTC)
    return ModelVersion(
        model_version=1,
        training_id=None,
        list="discover",
        model="als",
        params={},
        fallback_params={},
        as_of=at,
        **own,
    )


@pytest.mark.parametrize("protocol", ["", "file://", "memory://"])
def test_a_model_that_is_too_large_for_the_warehouse_is_a_file_with_its_checksum_as_name(
    protocol, tmp_path, monkeypatch
):
    folder = f"{protocol}{tmp_path}/models"
    data = random_dataset(2)
    content = artefacts.dump(fit(data, "als"), data.catalogue)
    assert artefact_store.store(content, folder)["artefact"] == content
    monkeypatch.setattr(artefact_store, "MOST_BYTES", 100)
    with pytest.raises(ArtefactError, match=r"at most 0 MB; set ARTIFACT_FOLDER"):
        artefact_store.store(content, None)
    columns = artefact_store.store(content, folder)
    assert (columns["artefact"], columns["artefact_file"]) == (None, f"{columns['checksum']}.npz")
    stored = artefact_store.load(version(columns), folder)
    np.testing.assert_array_equal(stored.model.factors, fit(data, "als").factors)
    with pytest.raises(ArtefactError, match="set ARTIFACT_FOLDER"):
        artefact_store.load(version(columns), None)
    files, path = url_to_fs(f"{folder}/{columns['artefact_file']}")
    assert [file.rsplit("/", 1)[-1] for file in files.ls(path.rsplit("/", 1)[0], detail=False)] == [path.split("/")[-1]]
    files.pipe_file(path, content[:-1])
    with pytest.raises(ArtefactError, match="the checksum differs"):
        artefact_store.load(version(columns), folder)
    files.rm_file(path)
    with pytest.raises(ArtefactError, match="cannot be read from ARTIFACT_FOLDER"):
        artefact_store.load(version(columns), folder)


def test_an_address_that_nothing_can_open_is_refused(monkeypatch):
    monkeypatch.setattr(artefact_store, "MOST_BYTES", 0)
    with pytest.raises(ArtefactError, match="no address that fsspec can open"):
        artefact_store.store(b"x", "nosuch://folder")
