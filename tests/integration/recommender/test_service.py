"""The service answers from one whole release, with nothing that is gone, and says so when it cannot answer."""

import time

import psycopg
import pytest
from psycopg.rows import dict_row

from recommender import known_range, publishing, releases
from recommender.service.contract import LARGEST_ID, Listens, PopularTracks, Recommendations, SimilarTracks
from tests.command import command, until
from tests.recommended import recommended
from tests.services import serving
from warehouse.errors import ExitCode

# Removal, erasure and rollback take effect within so many seconds.
WITHIN_SECONDS = 1


@pytest.fixture(scope="module")
def url(postgres_url, built_template):
    with recommended(postgres_url, built_template, "served") as url:
        yield url


@pytest.fixture(scope="module")
def service(url):
    with serving(DATABASE_URL=url) as service:
        yield service


@pytest.fixture
def warehouse(url):
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def someone(warehouse):
    """Return a user with both lists, who is not removed."""
    return warehouse.execute(
        "select user_id from recommendations.current_recommendations group by 1 having count(distinct list) = 2"
        " order by count(*) desc, 1 limit 1"
    ).fetchone()[0]


def published(connection, user_id, list_name):
    """Return the list of a user as readers of the warehouse see it."""
    return (
        connection.cursor(row_factory=dict_row)
        .execute(
            "select * from recommendations.current_recommendations where user_id = %s and list = %s order by rank",
            [user_id, list_name],
        )
        .fetchall()
    )


def take_effect(condition):
    """Wait for a change, and check that it came in time."""
    started = time.monotonic()
    until(condition)
    # half a second for the requests themselves, on a busy machine
    assert time.monotonic() - started < WITHIN_SECONDS + 0.5


def publish(connection, **options):
    known = known_range.read(connection)
    publishing.publish(connection, known.now, known.until_seq, **{"artist_cap": 3, "budget": 0, **options})


@pytest.mark.parametrize("name", ["discover", "again"])
def test_an_answer_is_the_released_list_in_pages_with_reasons(name, service, warehouse, someone):
    rows = published(warehouse, someone, name)
    reply = service.get(f"/users/{someone}/recommendations?list={name}&limit=50")
    answer = Recommendations.model_validate_json(reply.text)
    assert reply.status == 200 and (answer.user_id, answer.list) == (someone, name)
    assert [item.rank for item in answer.items] == list(range(1, len(answer.items) + 1))
    shown = answer.items[: len(rows)]
    assert [item.track_id for item in shown] == [row["track_id"] for row in rows]
    assert [item.reason.model_dump() for item in shown] == [row["reason"] for row in rows]
    assert [item.score for item in shown] == pytest.approx([row["score"] for row in rows], abs=1e-5)
    assert (answer.model_version, answer.released_at) == (rows[0]["model_version"], rows[0]["released_at"])
    assert answer.source == rows[0]["source"]
    pages = [
        service.get(f"/users/{someone}/recommendations?list={name}&limit=3&offset={offset}") for offset in (0, 3, 6)
    ]
    assert [item for page in pages for item in page.json["items"]] == reply.json["items"][:9]


def test_a_list_made_now_is_the_released_one_while_nothing_has_changed(service, warehouse):
    users = warehouse.execute(
        "select distinct user_id, list from recommendations.current_recommendations order by 1, 2 limit 20"
    ).fetchall()
    for user_id, name in users:
        path = f"/users/{user_id}/recommendations?limit=20&list={name}"
        made, stored = service.get(path + "&fresh=true"), service.get(path)
        assert made.json["items"] == [
            {**item, "score": pytest.approx(item["score"], rel=0.1)} for item in stored.json["items"]
        ]


def test_a_genre_is_a_filter_and_the_list_is_filled_within_it(service, warehouse, someone):
    genre, tracks = warehouse.execute(
        "select genre, array_agg(track_id) from marts.track_genres inner join marts.tracks on track_id = tracks.id"
        " where deleted_at is null group by 1 order by count(*) desc limit 1"
    ).fetchone()
    heard = {
        row[0]
        for row in warehouse.execute("select distinct track_id from marts.listen_history where user_id = %s", [someone])
    }
    made = service.get(f"/users/{someone}/recommendations?limit=50&genre={genre}")
    new = set(tracks) - heard
    assert made.status == 200 and set(made.tracks) <= new and len(made.tracks) > len(new) // 2
    assert set(service.get(f"/popular?limit=50&genre={genre}").tracks) <= set(tracks)
    nothing = service.get("/popular?genre=polka")
    assert nothing.status == 200 and nothing.json["items"] == [] and nothing.json["source"] == "popular"


def test_an_unknown_user_gets_popular_tracks(service):
    popular = PopularTracks.model_validate_json(service.get("/popular").text)
    for user_id in (987654321, -5, LARGEST_ID, -LARGEST_ID):
        for name in ("discover", "again"):
            reply = service.get(f"/users/{user_id}/recommendations?list={name}")
            answer = Recommendations.model_validate_json(reply.text)
            assert reply.status == 200 and answer.source == "popular" and answer.items == popular.items
            assert service.get(f"/users/{user_id}/recommendations?list={name}&fresh=true").tracks == reply.tracks


def test_a_session_counts_at_once_and_unknown_tracks_are_left_out(service, warehouse, someone):
    path = f"/users/{someone}/recommendations"
    before = service.get(path + "?limit=50").tracks
    recent = before[:3]
    reply = service.post(path, {"recent": [*recent, 987654321], "limit": 20})
    assert reply.status == 200 and len(reply.tracks) == 20 and not set(recent) & set(reply.tracks)
    again = service.post(path, {"recent": recent * 30, "list": "again", "limit": 50})
    assert set(recent) <= set(again.tracks)
    stranger = service.post("/users/987654321/recommendations", {"recent": recent})
    reasons = {item["reason"].get("track_id") for item in stranger.json["items"]}
    assert stranger.json["source"] == "model" and set(recent) & reasons
    assert not set(recent) & set(stranger.tracks)
    assert service.post("/users/987654321/recommendations", {"recent": []}).json["source"] == "popular"


def test_similar_tracks_are_what_somebody_gets_who_heard_only_this_one(service, warehouse, someone):
    track_id = service.get(f"/users/{someone}/recommendations").tracks[0]
    reply = service.get(f"/tracks/{track_id}/similar?limit=5")
    answer = SimilarTracks.model_validate_json(reply.text)
    assert answer.track_id == track_id and len(answer.items) == 5 and track_id not in reply.tracks
    assert reply.tracks == service.post("/users/987654321/recommendations", {"recent": [track_id], "limit": 5}).tracks
    assert service.get("/tracks/987654321/similar").status == 404


def test_a_removed_track_is_gone_within_a_second_and_the_list_is_filled(service, warehouse, someone):
    path = f"/users/{someone}/recommendations?limit=50"
    before = service.get(path)
    of_reason = before.json["items"][0]["reason"]["track_id"]
    gone = before.tracks[1]
    try:
        warehouse.execute("update marts.tracks set deleted_at = now() where id = any(%s)", [[gone, of_reason]])
        take_effect(lambda: gone not in service.get(path).tracks)
        after = service.get(path)
        assert f'"track_id":{of_reason}}}' not in after.text and after.json["items"][0]["reason"] == {"type": "popular"}
        assert after.tracks[: len(before.tracks) - 1] == [track for track in before.tracks if track != gone]
        for other in (f"{path}&fresh=true", "/popular?limit=50", f"/tracks/{before.tracks[0]}/similar?limit=50"):
            assert gone not in service.get(other).tracks
        assert service.get(f"/tracks/{gone}/similar").status == 404
    finally:
        warehouse.execute("update marts.tracks set deleted_at = null where id = any(%s)", [[gone, of_reason]])
    take_effect(lambda: service.get(path).text == before.text)


def test_a_removed_user_is_unknown_within_a_second(service, warehouse, someone):
    path = f"/users/{someone}/recommendations"
    before = service.get(path)
    warehouse.execute("update marts.users set deleted_at = now() where id = %s", [someone])
    try:
        take_effect(lambda: service.get(path).json["source"] == "popular")
        assert service.get(path).json["items"] == service.get("/popular").json["items"]
        assert service.get(f"/users/{someone}/listens").status == 404
    finally:
        warehouse.execute("update marts.users set deleted_at = null where id = %s", [someone])
    take_effect(lambda: service.get(path).text == before.text)


def test_a_user_who_is_newer_than_the_release_gets_a_list_of_the_declared_genres(service, warehouse):
    (genre,) = warehouse.execute(
        "select genre from marts.track_genres group by 1 order by count(*) desc limit 1"
    ).fetchone()
    warehouse.execute(
        "insert into marts.users (id, email, favorite_genres, created_at, updated_at, _load_id)"
        " values (555, 'new@example.com', %s, now(), now(), (select max(_load_id) from marts.users))",
        [genre.upper()],
    )
    try:
        take_effect(lambda: service.get("/users/555/recommendations").json["source"] == "genres")
        reply = service.get("/users/555/recommendations?list=again")
        assert reply.json["items"][0]["reason"] == {"type": "genre", "genre": genre}
    finally:
        warehouse.execute("delete from marts.users where id = 555")
    take_effect(lambda: service.get("/users/555/recommendations").json["source"] == "popular")


def test_a_release_and_its_rollback_take_effect_within_a_second(url, service, warehouse, someone):
    path = f"/users/{someone}/recommendations?limit=50"
    before = service.get(path)
    publish(warehouse, artist_cap=1)
    until(lambda: service.get(path).json["released_at"] != before.json["released_at"])
    after = service.get(path)
    assert after.tracks[: len(rows := published(warehouse, someone, "discover"))] == [row["track_id"] for row in rows]
    until(lambda: service.get("/health/ready").json["status"] == "ready")
    assert command("recommendations", "rollback", "--reason", "test", DATABASE_URL=url).code == ExitCode.PUBLISHED
    take_effect(lambda: service.get(path).text == before.text)
    # what is made on request is of the release that readers see, too
    assert service.get(path + "&fresh=true").json["released_at"] == before.json["released_at"]


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/users/seven/recommendations", "user_id"),
        ("/users/9999999999999999999/recommendations", "user_id"),
        ("/users/1/recommendations?limit=51", "limit"),
        ("/users/1/recommendations?limit=0", "limit"),
        ("/users/1/recommendations?offset=-1", "offset"),
        ("/users/1/recommendations?list=best", "list"),
        ("/tracks/x/similar", "track_id"),
    ],
)
def test_wrong_input_is_refused_with_one_line(path, word, service):
    reply = service.get(path)
    assert reply.status == 422 and list(reply.json) == ["detail"]
    assert word in reply.json["detail"] and "\n" not in reply.json["detail"]


@pytest.mark.parametrize(
    "content",
    [{"recent": [1] * 101}, {"recent": ["1"]}, {"recent": [2**63]}, {"recent": [True]}, {}, [], b"{", {"limit": 5}],
)
def test_a_wrong_session_is_refused_with_one_line(content, service):
    reply = service.post("/users/1/recommendations", content)
    assert reply.status == 422 and "\n" not in reply.json["detail"]


def test_a_large_body_is_refused(service):
    assert service.post("/users/1/recommendations", {"recent": [2**62] * 10_000}).status == 413


def test_log_and_metrics_know_routes_and_no_people(service, warehouse, someone):
    service.get(f"/users/{someone}/recommendations?genre=secretgenre")
    service.get(f"/users/{someone}/nothing?email=a@example.com")
    service.get("/users/765432109/recommendations")
    until(lambda: service.events("request")[-1]["route"] == "/users/{user_id}/recommendations")
    event = service.events("request")[-1]
    assert set(event) == {"at", "event", "method", "route", "status", "ms", "source", "release", "read_from"}
    for text in (service.output.read_text(), service.get("/metrics").text):
        for personal in (str(someone), "765432109", "secretgenre", "example.com"):
            assert personal not in text
    metrics = service.get("/metrics").text
    assert 'route="/users/{user_id}/recommendations",source="popular",status="200"' in metrics
    assert 'route="unknown"' in metrics and "moovitamix_service_ready 1.0" in metrics


def test_the_page_and_listens_exist_for_visitors_of_this_machine_only(service, warehouse, someone):
    listens = Listens.model_validate_json(service.get(f"/users/{someone}/listens").text)
    (count,) = warehouse.execute("select count(*) from marts.listen_history where user_id = %s", [someone]).fetchone()
    assert listens.listens == count and listens.tracks[0].listens >= listens.tracks[-1].listens
    assert len(listens.weeks) == 12
    assert "default-src 'none'" in service.get("/").headers["Content-Security-Policy"]
    for path in ("/", f"/users/{someone}/listens", "/page/users", "/page/page.js"):
        assert service.get(path).status == 200
        for header in ({"Host": "evil.example"}, {"X-Forwarded-For": "10.0.0.1"}, {"Forwarded": "for=10.0.0.1"}):
            assert service.get(path, **header).status == 404
    assert service.get("/users/987654321/listens").status == 404


def test_ready_says_what_is_served(service, warehouse):
    answer = service.get("/health/ready").json
    release = releases.read_published(warehouse)
    assert answer["status"] == "ready" and answer["problems"] == [] and answer["release_id"] == release.release_id
    assert service.get("/health/live").json == {"status": "live"}
