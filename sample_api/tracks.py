"""Write and edit the rows of tracks. Artists belong to a scene, albums to an artist."""

from functools import partial

import numpy as np

from sample_api import listening
from sample_api.draws import Numbers, normal, pick, uniform
from sample_api.names import FIRST_NAMES, LAST_NAMES, WORDS
from sample_api.scenes import GENRES, Scenes
from sample_api.state import State, iso, new_ids, new_keys, new_times

ARTISTS_PER_SCENE = 8
ALBUMS_PER_ARTIST = 3
SECOND_SONGWRITER_SHARE = 1 / 3
OTHER_GENRE_SHARE = 0.25
ODD_GENRES_SHARE = 0.06
EDITED_GENRES_SHARE = 0.7


def add_tracks(state: State, day: int, count: int) -> None:
    """Add the tracks that are new on this day."""
    world = state.world
    keys = new_keys(day, count)
    draw = partial(uniform, world.seed)
    created, updated = new_times(world, "track", keys, day)
    catalogue = listening.draw_catalogue(world.seed, state.scenes, keys, created)
    artist = (draw("artist", keys) * ARTISTS_PER_SCENE).astype(int)
    album = (draw("album", keys) * ALBUMS_PER_ARTIST).astype(int)
    seconds = np.minimum(3599, 30 + np.exp(5.3 + 0.5 * normal(world.seed, "duration", keys)).astype(int))
    fields = {
        "id": new_ids(draw("track id", keys), state.track_ids, world.tracks),
        "name": _track_names(world.seed, keys),
        "artist": _names(world.seed, "artist", catalogue.scene, artist),
        "songwriters": _songwriters(world.seed, keys),
        "duration": [f"{length // 60:02}:{length % 60:02}" for length in seconds.tolist()],
        "genres": _tags(world.seed, state.scenes, keys, catalogue.scene, day),
        "album": pick(WORDS, draw("name of the album", catalogue.scene, artist, album)),
        "created_at": iso(world, created),
        "updated_at": iso(world, updated),
    }
    state.tracks += [dict(zip(fields, row, strict=True)) for row in zip(*fields.values(), strict=True)]
    state.catalogue = listening.join(state.catalogue, catalogue)


def edit_track(state: State, track: int, day: int) -> None:
    """Change one field of a track, at a moment within the 24 hours before `day`."""
    row = state.tracks[track]
    draw = partial(uniform, state.world.seed)
    key, scene = state.catalogue.key[[track]], state.catalogue.scene[[track]]
    if draw("edited field of the track", key, day) < EDITED_GENRES_SHARE:
        (row["genres"],) = _tags(state.world.seed, state.scenes, key, scene, day)
    else:
        (row["album"],) = pick([word for word in WORDS if word != row["album"]], draw("other album", key, day))
    (row["updated_at"],) = iso(state.world, day - 1 + draw("track edited", key, day))


def _tags(seed: int, scenes: Scenes, keys: Numbers, scene: Numbers, day: int) -> list[str]:
    """Return the genres of tracks as text: those of the scene, and sometimes another one."""
    draw = partial(uniform, seed)
    columns = zip(
        scene.tolist(),
        draw("one of two genres", keys, day).tolist(),
        (draw("has another genre", keys, day) < OTHER_GENRE_SHARE).tolist(),
        pick(GENRES, draw("another genre", keys, day)),
        draw("spelling of the genres", keys, day).tolist(),
        strict=True,
    )
    texts = []
    for number, one_of_two, has_another, another, spelling in columns:
        genres = scenes.genres[number]
        if len(genres) == 2 and one_of_two < 0.4:
            genres = genres[:1] if one_of_two < 0.2 else genres[1:]
        texts.append(_join_genres(list(dict.fromkeys([*genres, another] if has_another else genres)), spelling))
    return texts


def _join_genres(genres: list[str], draw: float) -> str:
    """Join the genres, a few of them in an unusual spelling."""
    if draw >= ODD_GENRES_SHARE:
        return ", ".join(genres)
    spellings = (
        ",  ".join([genres[0].lower(), *genres[1:]]),
        ",".join(genres).upper(),
        ", ".join([*genres, ""]),
        f" {', '.join(genres)} ",
    )
    return spellings[int(draw / ODD_GENRES_SHARE * len(spellings))]


def _track_names(seed: int, keys: Numbers) -> list[str]:
    words = [pick(WORDS, uniform(seed, "word of the name", keys, place)) for place in range(3)]
    counts = pick((1, 1, 2, 3), uniform(seed, "number of words", keys))
    return [" ".join(name[:count]) for count, *name in zip(counts, *words, strict=True)]


def _songwriters(seed: int, keys: Numbers) -> list[str]:
    first, second = _names(seed, "songwriter", keys), _names(seed, "second songwriter", keys)
    has_second = uniform(seed, "has a second songwriter", keys) < SECOND_SONGWRITER_SHARE
    return [f"{one}, {two}" if is_two else one for one, two, is_two in zip(first, second, has_second, strict=True)]


def _names(seed: int, of_whom: str, *numbers: Numbers) -> list[str]:
    first_names = pick(FIRST_NAMES, uniform(seed, f"first name of the {of_whom}", *numbers))
    last_names = pick(LAST_NAMES, uniform(seed, f"last name of the {of_whom}", *numbers))
    return [f"{first} {last}" for first, last in zip(first_names, last_names, strict=True)]
