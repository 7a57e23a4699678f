"""Write history documents: those of day 0 at once, later ones day by day.

A document takes up listens in one of three habits: it grows to MAX_ITEMS items, it slides (the oldest items fall out as
new ones come), or it holds one session and never changes.
"""

from functools import partial

import numpy as np

from sample_api import listening
from sample_api.draws import Floats, Numbers, pick, uniform
from sample_api.rhythm import RHYTHMS, active_days, from_active_days
from sample_api.state import Document, State, iso

HISTORY_DAYS = 120
MAX_ITEMS = 30
MAX_SESSION = 5
# The longest session in days, and the longest time for which a document takes up new listens.
SESSION_DAYS = 0.1
OPEN_DAYS = 28

GROWS, SLIDES, ONCE = "grows", "slides", "once"
HABITS = (*[GROWS] * 9, *[SLIDES] * 5, *[ONCE] * 6)
NULL_ITEMS_SHARE = 0.02
# The chance that a session goes on after a listen.
NEXT_LISTEN_SHARE = 0.4


def write_history(state: State) -> None:
    """Write the documents of day 0. Each was updated once, and all its listens are of that moment.

    A user's documents follow one another without overlap. The first one begins when the user joined, at most
    HISTORY_DAYS ago; the newest one usually ends within the last days.
    """
    world, users = state.world, state.listeners
    counts = _document_counts(world.documents, users.rate, uniform(world.seed, "number of documents", users.key))
    owners = np.repeat(np.arange(len(counts)), counts)
    numbers = counts[owners] - 1 - listening.position_in_group(owners)  # the newest one is 0
    occasions = -1 - numbers
    draw = partial(uniform, world.seed)
    address = users.key[owners], occasions

    created, updated, habits = _times_of_the_past(state, owners, numbers, counts, address)
    size = draw("size", *address)
    is_once, grows = habits == ONCE, habits == GROWS
    sizes = np.select([is_once, grows], [1 + 5 * size, np.minimum(2 - 9 * np.log1p(-size), MAX_ITEMS)], 5 + 6 * size)
    kept_sizes = sizes.astype(int)
    listens = np.where(draw("null items", *address) < NULL_ITEMS_SHARE, 0, kept_sizes)
    which = np.repeat(np.arange(len(owners)), listens)
    days = np.floor(updated)[which]
    tracks = listening.draw_listens(
        world.seed, state.scenes, state.catalogue, users, owners[which], days, occasions[which]
    )

    track_ids = [state.tracks[track]["id"] for track in tracks.tolist()]
    ends = np.cumsum(listens)
    starts = ends - listens
    columns = (owners, starts, ends, habits, created, kept_sizes)
    times = zip(iso(world, created), iso(world, updated), strict=True)
    for (owner, start, end, habit, opened, kept), (created_at, updated_at) in zip(
        zip(*(column.tolist() for column in columns), strict=True), times, strict=True
    ):
        row = {
            "user_id": state.users[owner]["id"],
            "items": track_ids[start:end] or None,
            "created_at": created_at,
            "updated_at": updated_at,
        }
        state.open_document[owner] = len(state.documents)  # in the end the newest one
        state.documents.append(Document(row, habit, opened, kept))
    _register(state, *address)


def _times_of_the_past(
    state: State, owners: Numbers, numbers: Numbers, counts: Numbers, address: tuple[Numbers, Numbers]
) -> tuple[Floats, Floats, np.ndarray]:
    """Return when the documents of day 0 were created and updated, and their habits."""
    draw = partial(uniform, state.world.seed)
    weekday = state.world.start.weekday()
    rhythm = state.listeners.rhythm[owners]
    first = np.maximum(state.created[owners], -HISTORY_DAYS)
    until = active_days(rhythm, np.zeros(len(owners)), weekday)
    history = until - active_days(rhythm, first, weekday)
    age = history * (numbers + draw("time of the document", *address)) / counts[owners]
    last_session = -np.log1p(-draw("time since the last session", *address)) / state.listeners.rate[owners]
    age = np.where(numbers == 0, np.minimum(age, last_session), age)
    updated = from_active_days(rhythm, until - age, weekday)
    is_first = numbers == counts[owners] - 1
    gap = updated - np.where(is_first, first, np.roll(updated, 1))
    habits = np.array(pick(HABITS, draw("habit", *address)), dtype=object)
    longest = np.where(habits == ONCE, np.minimum(SESSION_DAYS, gap), gap)
    return updated - longest * draw("age of the document", *address), updated, habits


def _document_counts(documents: int, weights: Floats, draws: Floats) -> Numbers:
    """Return how many documents each user has, by weight. One user more or less changes few of the others' counts."""
    low, high = 0.0, (documents + len(weights)) / weights.sum()
    while low < (middle := (low + high) / 2) < high:
        if np.floor(middle * weights + draws).sum() < documents:
            low = middle
        else:
            high = middle
    return np.floor(high * weights + draws).astype(int)


def listen(state: State, day: int) -> None:
    """Let users listen during the 24 hours before `day`; at least one does."""
    world = state.world
    listeners = _listeners_of_the_day(state, day)
    address = state.listeners.key[listeners], day
    draw = partial(uniform, world.seed)
    earliest = np.maximum(state.created[listeners], day - 1)  # nobody listens before joining
    started = earliest + draw("start of the session", *address) * (day - earliest)
    ended = started + draw("end of the session", *address) * np.minimum(day - started, SESSION_DAYS)
    length = 1 + np.log1p(-draw("length of the session", *address)) / np.log(NEXT_LISTEN_SHARE)
    sizes = np.minimum(length, MAX_SESSION).astype(int)
    columns = zip(
        listeners.tolist(),
        started.tolist(),
        iso(world, started),
        iso(world, ended),
        pick(HABITS, draw("habit", *address)),
        (5 + 6 * draw("size", *address)).astype(int).tolist(),
        (draw("null items", *address) < NULL_ITEMS_SHARE).tolist(),
        strict=True,
    )

    documents, opened = [], []
    for number, (user, opened_at, started_at, ended_at, habit, size, is_null) in enumerate(columns):
        document = _open_document(state, user, day)
        if document is None:
            row = {"user_id": state.users[user]["id"], "items": None, "created_at": started_at, "updated_at": ended_at}
            document = Document(row, habit, opened_at, size)
            state.open_document[user] = len(state.documents)
            state.documents.append(document)
            opened.append(number)
            if is_null:
                sizes[number] = 0
        elif document.habit == GROWS:
            sizes[number] = min(sizes[number], MAX_ITEMS - len(document.row["items"] or []))
        document.row["updated_at"] = ended_at
        documents.append(document)

    users = np.repeat(listeners, sizes)
    days = np.full(len(users), day)
    tracks = listening.draw_listens(world.seed, state.scenes, state.catalogue, state.listeners, users, days - 1, days)
    for document, drawn in zip(documents, np.split(tracks, np.cumsum(sizes)[:-1]), strict=True):
        if len(drawn):
            items = (document.row["items"] or []) + [state.tracks[track]["id"] for track in drawn]
            document.row["items"] = items[-document.size :] if document.habit == SLIDES else items
    _register(state, address[0][opened], np.full(len(opened), day))


def _listeners_of_the_day(state: State, day: int) -> Numbers:
    users = state.listeners
    present = np.flatnonzero(users.is_present)
    weekday = (state.world.start.weekday() + day - 1) % 7
    chance = -np.expm1(-users.rate[present] * RHYTHMS[users.rhythm[present], weekday])
    draws = uniform(state.world.seed, "listens", users.key[present], day) / chance
    return present[(draws < 1) | (draws == draws.min())]


def _open_document(state: State, user: int, day: int) -> Document | None:
    """Return the document that takes up this user's new listens; None if a new one has to be opened."""
    position = state.open_document[user]
    if position < 0 or not state.is_document_present[position]:
        return None
    document = state.documents[position]
    is_full = document.habit == GROWS and len(document.row["items"] or []) == MAX_ITEMS
    return None if document.habit == ONCE or is_full or day - document.opened > OPEN_DAYS else document


def _register(state: State, keys: Numbers, occasions: Numbers) -> None:
    state.document_key = np.concatenate([state.document_key, keys])
    state.document_occasion = np.concatenate([state.document_occasion, occasions])
    state.is_document_present = np.concatenate([state.is_document_present, np.ones(len(keys), bool)])
