"""Write and edit the rows of users."""

import unicodedata
from functools import partial

import numpy as np

from sample_api import listening
from sample_api.draws import Numbers, pick, uniform
from sample_api.listening import Listeners
from sample_api.names import FIRST_NAMES, GENDERS, LAST_NAMES, MAIL_HOSTS
from sample_api.scenes import GENRES, Scenes
from sample_api.state import State, iso, new_ids, new_keys, new_times

EDITED_FIELDS = ("favorite_genres", "email", "last_name")


def add_users(state: State, day: int, count: int) -> None:
    """Add the users who are new on this day."""
    world = state.world
    keys = new_keys(day, count)
    draw = partial(uniform, world.seed)
    created, updated = new_times(world, "user", keys, day)
    listeners = listening.draw_listeners(world.seed, state.scenes, keys)
    first_names = pick(FIRST_NAMES, draw("first name", keys))
    last_names = pick(LAST_NAMES, draw("last name", keys))
    hosts = pick(MAIL_HOSTS, draw("mail host", keys))
    fields = {
        "id": new_ids(draw("user id", keys), state.user_ids, world.users),
        "first_name": first_names,
        "last_name": last_names,
        "email": list(map(_email, first_names, last_names, draw("mail number", keys), hosts)),
        "gender": pick(GENDERS, draw("gender", keys)),
        "favorite_genres": _declare_genres(world.seed, state.scenes, listeners, np.arange(count), day),
        "created_at": iso(world, created),
        "updated_at": iso(world, updated),
    }
    state.users += [dict(zip(fields, row, strict=True)) for row in zip(*fields.values(), strict=True)]
    state.listeners = listening.join(state.listeners, listeners)
    state.created = np.concatenate([state.created, created])
    state.open_document += [-1] * count


def edit_user(state: State, user: int, day: int) -> None:
    """Change one field of a user, at a moment within the 24 hours before `day`."""
    row = state.users[user]
    draw = partial(uniform, state.world.seed)
    key = state.listeners.key[[user]]
    (field,) = pick(EDITED_FIELDS, draw("edited field of the user", key, day))
    if field == "favorite_genres":
        (value,) = _declare_genres(state.world.seed, state.scenes, state.listeners, np.array([user]), day)
    elif field == "last_name":
        (value,) = pick([name for name in LAST_NAMES if name != row["last_name"]], draw("last name", key, day))
    else:
        host = row["email"].partition("@")[2]
        value = _email(row["first_name"], row["last_name"], draw("mail number", key, day)[0], host)
    (updated_at,) = iso(state.world, day - 1 + draw("user edited", key, day))
    row |= {field: value, "updated_at": updated_at}


def _declare_genres(seed: int, scenes: Scenes, listeners: Listeners, users: Numbers, day: int) -> list[str]:
    """Return the favourite genres that users declare: those of their own scenes, but contrarians declare others."""
    draw = partial(uniform, seed)
    keys = listeners.key[users]
    own_scenes = listeners.scenes[users, (listeners.drift(users, day) > 0.5).astype(int)].tolist()
    others = zip(
        pick(GENRES, draw("first favourite of a contrarian", keys, day)),
        pick(GENRES, draw("second favourite of a contrarian", keys, day)),
        strict=True,
    )
    counts = (1 + 3 * draw("number of favourites", keys, day)).astype(int).tolist()
    is_contrarian = listeners.is_contrarian[users].tolist()
    texts = []
    for scenes_of_user, other, count, declares_others in zip(own_scenes, others, counts, is_contrarian, strict=True):
        genres = [genre for scene in scenes_of_user for genre in scenes.genres[scene]]
        if declares_others:
            genres = [genre for genre in other if genre not in genres] or other[:1]
        texts.append(", ".join(list(dict.fromkeys(genres))[:count]))
    return texts


def _email(first_name: str, last_name: str, draw: float, host: str) -> str:
    plain = unicodedata.normalize("NFKD", f"{first_name}.{last_name}").encode("ascii", "ignore").decode().lower()
    name = "".join(letter for letter in plain if letter.isalnum() or letter == ".")
    return f"{name}{int(draw * 10_000)}@{host}"
