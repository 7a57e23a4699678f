"""Equal texts have one normalization: in Python, and in SQL on every server and in every locale."""

import unicodedata
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.databases import LOCALE_C, LOCALE_TURKISH, new_database
from tests.debian_postgres import debian_database
from warehouse import normalization
from warehouse.normalization import normalize

pytestmark = pytest.mark.slow

SURROGATES = range(0xD800, 0xE000)
# What meets in a text makes the difference: letters, marks that go onto them, and what is dropped or cut.
MEETING = "aAeEiIıİsSßẞſǅ \t\u00a0\u00ad\u200b\u0301\u0307\u0323\u0345\u034f\ufe0f\u3000ｱＡα\u0390\u1fb3ΣσςﬁŉﷺᎠꭰ각ᄀ가"
TEXTS = st.text(st.one_of(st.sampled_from(MEETING), st.characters(exclude_categories=["Cs", "Cn"])), max_size=30)

EQUAL = {
    "upper case": ("rock", "Rock", "ROCK"),
    "spaces around and between": ("hip hop", " Hip\t\n Hop\r", "hip\u00a0hop", "hip\u3000hop", "hip\u2003\u2028hop"),
    "control characters are blanks": ("hip hop", "hip\x01\x1f\x7f\x85hop"),
    "invisible": ("pop", "p\u200bo\u200d\u2060p\ufeff", "\u200epo\u00adp\u202c", "pop\ufe0f", "\u3164pop\U000e0041"),
    "composed and decomposed": ("électro", "e\u0301lectro", "ÉLECTRO", "E\u0301lectro", "e\u034f\u0301lectro"),
    "full width": ("rock&roll", "ｒｏｃｋ＆Ｒｏｌｌ"),
    "half width": ("ポップ", "ﾎﾟｯﾌﾟ"),
    "ligatures": ("fado finale", "fado ﬁnale"),
    "sharp s": ("strasse", "straße", "STRASSE", "STRAẞE"),
    "sigma": ("ρεμπέτικοσ", "ρεμπέτικος", "ΡΕΜΠΈΤΙΚΟΣ"),
    "Cyrillic": ("русский рок", "Русский РОК"),
    "beyond 16 bits": ("\U00010428", "\U00010400"),
    "Turkish capital I with its dot": ("i\u0307lahi", "İlahi", "I\u0307LAHI"),
    "nothing to see": ("", " ", "\u200b", "\t\u00a0\u00ad"),
}
DIFFERENT = [("rock", "roc"), ("hiphop", "hip hop"), ("électro", "electro"), ("ılahi", "ilahi"), ("a-b", "a b")]


@pytest.mark.parametrize("spellings", EQUAL.values(), ids=EQUAL.keys())
def test_spellings_that_people_see_as_equal_are_equal(spellings):
    assert {normalize(spelling) for spelling in spellings} == {spellings[0]}


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_texts_stay_different(one, other):
    assert normalize(one) != normalize(other)


def code_points():
    return [chr(number) for number in range(1, 0x110000) if number not in SURROGATES]


def test_every_code_point_is_folded_like_python():
    """Fail if a letter outside the compared range has a case."""
    letters = code_points()
    kept = [letter for letter in letters if normalize(letter)]
    assert len(letters) - len(kept) < 5_000
    for letter in kept:
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", letter).casefold())
        assert normalize(letter) == " ".join(folded.split()), hex(ord(letter))


def test_normalizing_twice_changes_nothing():
    for letter in map(chr, range(0x110000)):
        once = normalize(letter)
        # nearly all letters are what they become
        assert once == letter or normalize(once) == once, hex(ord(letter))


@given(TEXTS)
@settings(max_examples=2_000)
def test_normalizing_any_text_twice_changes_nothing(given_text):
    once = normalize(given_text)
    assert normalize(once) == once
    assert once == once.strip() and "  " not in once


def test_a_lone_surrogate_stays():
    assert normalize("A\ud800\u200b") == "a\ud800"


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(lambda postgres_url: new_database(postgres_url, "normalized"), id="18"),
        pytest.param(lambda postgres_url: new_database(postgres_url, "normalized", LOCALE_C), id="18, C"),
        pytest.param(lambda postgres_url: debian_database(LOCALE_C), id="15, C", marks=pytest.mark.machine),
        pytest.param(lambda postgres_url: debian_database(LOCALE_TURKISH), id="15, Turkish", marks=pytest.mark.machine),
    ],
)
def database(request, postgres_url) -> Iterator[psycopg.Connection]:
    """Yield a connection to a database that has only the function."""
    with request.param(postgres_url) as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create schema prep")
        normalization.create_function(connection)
        yield connection


def normalized(connection: psycopg.Connection, texts: list[str]) -> list[str]:
    query = "select prep.normalized_text(given) from unnest(%s::text[]) with ordinality as texts (given, n) order by n"
    return [found for (found,) in connection.execute(query, [texts])]


def test_the_function_folds_every_code_point_like_python(database):
    # Unicode 14 in Python 3.11 and Postgres 15; what only a newer one of the two knows, the other leaves as it is
    is_server_older = database.info.server_version < 180000 and unicodedata.unidata_version > "14.0.0"
    known = unicodedata.ucd_3_2_0 if is_server_older else unicodedata
    letters = [letter for letter in code_points() if known.category(letter) != "Cn"]
    assert len(letters) > 200_000
    found = zip(letters, normalized(database, letters), strict=True)
    assert [(hex(ord(letter)), folded) for letter, folded in found if folded != normalize(letter)] == []


def test_the_function_agrees_with_python_for_any_text(database):
    @given(st.lists(TEXTS, max_size=50))
    @settings(max_examples=100, deadline=None)
    def means_the_same(texts):
        texts = [given_text.replace("\0", "") for given_text in texts]
        assert normalized(database, texts) == [normalize(given_text) for given_text in texts]

    means_the_same()
    spellings = [spelling for equal in EQUAL.values() for spelling in equal]
    assert normalized(database, spellings) == [normalize(spelling) for spelling in spellings]


def test_the_function_ignores_session_settings_and_collations(database):
    with database.transaction(force_rollback=True):
        text_in_c = "select prep.normalized_text(E'\\u00c9 I\\u0130\\u200b' collate \"C\")"
        expected = database.execute(text_in_c).fetchone()
        assert expected == ("é ii\u0307",)
        if database.info.server_version < 190000:
            database.execute("set local standard_conforming_strings = off")
        database.execute("set local search_path = ''")
        assert database.execute(text_in_c).fetchone() == expected
    assert database.execute("select prep.normalized_text(null)").fetchone() == (None,)


def test_the_function_of_another_version_is_replaced(connection):
    connection.execute("create schema prep")
    normalization.create_function(connection)
    function = "select prosrc from pg_proc where proname = 'normalized_text'"
    made = connection.execute(function).fetchone()
    connection.execute(
        "create or replace function prep.normalized_text(value text) returns text language sql as 'select lower(value)'"
    )
    normalization.create_function(connection)

    assert connection.execute(function).fetchone() == made
    volatility = (
        "select provolatile::text, proparallel::text, proisstrict from pg_proc where proname = 'normalized_text'"
    )
    assert connection.execute(volatility).fetchone() == ("i", "s", True)
