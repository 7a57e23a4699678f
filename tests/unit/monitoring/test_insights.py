"""The page about what people listen to, from figures of one night, three nights, and a month."""

import datetime as dt
import re

import pytest

from monitoring import insights
from monitoring.insights import Listening

LAST = dt.date(2026, 11, 24)
DAY = dt.timedelta(days=1)
HOSTILE = "<script>alert(1)</script> \x07\u202e & \"'"


def listening(days: int, **changes) -> Listening:
    """Figures of this many days with listens, up to LAST; day n has 10 n listens of n users."""
    dates = [LAST - (days - number) * DAY for number in range(1, days + 1)]
    monday = LAST - LAST.weekday() * DAY
    values = {
        "last": LAST,
        "active_users": [
            {"day": day, "daily_users": number, "weekly_users": 2 * number, "monthly_users": 4 * number}
            for number, day in enumerate(dates, 1)
        ],
        "listens": [
            {"day": day, "listens": 10 * number, "new_listens": 4 * number, "repeat_listens": 6 * number}
            for number, day in enumerate(dates, 1)
        ],
        "genres": [
            {"genre": "rock", "listens": 60, "listens_before": 20},
            {"genre": "jazz", "listens": 40, "listens_before": 80},
            {"genre": "polka", "listens": 1, "listens_before": 2},
            {"genre": "new", "listens": 50, "listens_before": 0},
        ],
        "retention": [
            {"cohort_week": monday - 7 * back * DAY, "week_number": number, "users": 10, "retention": 1 / (1 + number)}
            for back in range(1, days // 7 + 1)
            for number in range(back)
        ],
        "artists": [{"name": HOSTILE, "listens_30d": 30, "listeners_30d": 7}],
        "sign_ups": {"this_week": 3, "last_week": 0},
        "recommendations": [],
    }
    return Listening(**values | changes)


def texts(page: str) -> list[str]:
    """Return the texts of the page outside of its style."""
    body = page.partition("<body>")[2]
    return [text.strip() for text in re.findall(r">([^<]+)<", body) if text.strip()]


@pytest.mark.parametrize("days", [1, 3, 30, 84])
def test_the_page_shows_the_figures_of_any_number_of_days(days):
    page = insights.page(listening(days))
    found = texts(page)
    assert [str(2 * days), str(4 * days)] == [found[found.index(f"listeners in {n} days") + 1] for n in (7, 30)]
    assert "40 %" in found and "none in the 7 days before" in found
    assert f"The last {max(days, 14)} days" in found
    assert ("No cohort is older than a week." in found) == (days < 14)
    assert ("50" in found) == (days >= 14), "the retention of a cohort after a week"


def test_genres_rise_and_fall_by_their_share_and_not_with_all_listens():
    found = texts(insights.page(listening(30)))
    # of 102 listens before and 151 since
    assert "+103 % (60)" in found and "−66 % (40)" in found
    assert "polka" not in found, "too few listens"
    assert "new" not in found, "nothing to compare with"


def test_names_from_the_api_are_shown_as_text():
    page = insights.page(listening(30))
    assert "<script" not in page and "\x07" not in page and "\u202e" not in page
    assert "&lt;script" in page


def test_a_page_without_genres_artists_or_recommendations_says_so():
    found = texts(insights.page(listening(1, genres=[], artists=[])))
    assert "No listens in the last 30 days." in found
    assert sum(text.startswith("No genre with at least 20 listens") for text in found) == 2
    assert "What recommendations brought" not in found


def test_recommendations_are_compared_with_popular_tracks():
    row = {
        **{"list": "again", "day": LAST, "users": 100, "plays": 1_234, "recommended_plays": 321},
        **{"hit_rate": 0.256, "popularity_hit_rate": None},
    }
    found = texts(insights.page(listening(30, recommendations=[row])))
    assert found[found.index("again") :][:4] == ["again", "321 of 1,234", "25.6 %", "–"]
