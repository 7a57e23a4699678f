"""Model in plain Python what the gate and the marts must hold after any history of runs and decisions."""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate, takewhile
from typing import Any

from tests.world_model import WorldModel, listen_id, utc

TABLES = ("users", "tracks", "listen_history")
PUBLISHED = {"accepted", "accepted_with_quarantine", "released"}
DISREGARDED = {"blocked", "superseded", "rejected"}
MOST_BAD = 0.2
EVER = datetime.min.replace(tzinfo=UTC)

Row = dict[str, Any]
Key = tuple[Any, ...]


@dataclass
class Version:
    """What one load said of one key; `row` None: it is gone. `failed_rules` hold it, `freed` those that do
    no more. `published_by`: the number of the publication that made it visible first, None before."""

    load: int
    key: Key
    row: Row | None
    failed_rules: set[str] = field(default_factory=set)
    freed: set[str] = field(default_factory=set)
    published_by: int | None = None

    @property
    def is_quarantined(self) -> bool:
        return bool(self.failed_rules - self.freed)


@dataclass
class Scan:
    """What a table's scan saw: the rows of people who were erased count, and are otherwise not there.

    What was as known before (`agrees_with`) does not land again: of a key, the scan tells no more than those versions.
    """

    rows_read: int
    keys_known: int
    rows: dict[Key, Row]
    agrees_with: dict[Key, list[Version]]


def _first_known(versions: list[tuple[Counter[int], datetime, datetime]], track_id: int, occurrence: int) -> datetime:
    """Return when the first of the versions was known that still has so many occurrences of the track."""
    return min(time for items, _, time in takewhile(lambda each: each[0][track_id] >= occurrence, versions))


NEVER = Version(-1, (), None)
"""The version of a key that was never delivered."""

Package = dict[str, tuple[Scan, dict[Key, Row | None]]]
"""A load before it has landed: per table its scan, and the row that each changed key has now (None: it is gone)."""


def key_of(table: str, row: Row) -> Key:
    return (row["user_id"], row["created_at"]) if table == "listen_history" else (row["id"],)


class HistoryModel:
    """Track events, and answer what the warehouse must hold. Loads are numbered in the order of landing."""

    def __init__(self) -> None:
        self.versions: dict[str, list[Version]] = {table: [] for table in TABLES}
        self.states: dict[tuple[int, str], str] = {}
        self.scans: dict[tuple[int, str], Scan] = {}
        self.wants_addresses = True
        self.erased: set[int] = set()

    def packed(self, source: dict[str, list[Row]]) -> Package:
        """Return the load of a complete scan: the rows that differ from the delivered versions."""
        package: Package = {}
        for table, rows in source.items():
            delivered = self._delivered(table)
            alive = {key for key, versions in delivered.items() if any(version.row is not None for version in versions)}
            here = {key_of(table, row): row for row in rows if not self._is_of_an_erased(table, key_of(table, row))}
            changed = {
                key: row
                for key, row in here.items()
                if any(version.row != row for version in delivered.get(key, [NEVER]))
            }
            changed |= dict.fromkeys(sorted(alive - here.keys()))
            agrees_with = {key: versions for key, versions in delivered.items() if key not in changed}
            package[table] = Scan(len(rows), len(alive), here, agrees_with), changed
        return package

    def land(self, load: int, package: Package) -> None:
        for table, (scan, changes) in package.items():
            self.versions[table] += [Version(load, key, row) for key, row in changes.items()]
            self.states[load, table] = "pending"
            self.scans[load, table] = scan

    def check(self, broken_tables: set[str] = frozenset()) -> None:
        """Apply the gate to pending loads, except tables whose rules cannot run."""
        blocked_before = {load for (load, _), state in self.states.items() if state == "blocked"}
        for load, table in [position for position, state in self.states.items() if state == "pending"]:
            if table in broken_tables and not self._is_quiet(load, table):
                continue
            bad = 0
            for version in self._of(load, table):
                version.failed_rules = self.rules_failed_by(table, version.row)
                bad += version.is_quarantined
            scan = self.scans[load, table]
            if (scan.keys_known and not scan.rows_read) or bad > MOST_BAD * scan.rows_read:
                self.states[load, table] = "blocked"
            else:
                self.states[load, table] = "accepted_with_quarantine" if bad else "accepted"
            for older in blocked_before:
                if older < load and self.states.get((older, table)) == "blocked":
                    self.states[older, table] = "superseded"

    def release(self, load: int, table: str) -> bool:
        """Return False if the load's state does not allow it."""
        return self._decide(load, table, DISREGARDED, "released")

    def reject(self, load: int, table: str) -> bool:
        """Return False if the load's state does not allow it."""
        return self._decide(load, table, PUBLISHED | {"pending", "blocked"}, "rejected")

    def replay(self) -> int:
        """Check quarantined rows again, and return their number."""
        looked_at = 0
        for table in TABLES:
            newest = self.delivered(table)
            for version in self.versions[table]:
                if (
                    version.is_quarantined
                    and self.states[version.load, table] in PUBLISHED
                    and newest[version.key].load == version.load
                ):
                    looked_at += 1
                    now = self.rules_failed_by(table, version.row)
                    version.freed = (version.failed_rules | version.freed) - now
                    version.failed_rules |= now
        return looked_at

    def erase(self, user_id: int) -> bool:
        """Whether anything was known of the user, or had been; the caller sees to it that no load is pending."""
        is_known = user_id in self.erased or any(
            key[0] == user_id for table in ("users", "listen_history") for key in (v.key for v in self.versions[table])
        )
        if is_known:
            self.erased.add(user_id)
            for table in ("users", "listen_history"):
                kept = [version for version in self.versions[table] if version.key[0] != user_id]
                self.versions[table] = kept
        return is_known

    def prune(self, built: set[tuple[int, str]]) -> None:
        """Versions of users and tracks with a newer row that is published go. None that was ever quarantined counts,
        nor any of a load that is not among the `built` ones: (number, table)."""
        for table in ("users", "tracks"):
            never_quarantined = [
                version
                for version in self.published(table)
                if not version.failed_rules | version.freed and (version.load, table) in built
            ]
            newest_row = {version.key: version.load for version in never_quarantined if version.row is not None}
            gone = [version for version in never_quarantined if version.load < newest_row.get(version.key, -1)]
            self.versions[table] = [version for version in self.versions[table] if version not in gone]

    def delivered(self, table: str) -> dict[Key, Version]:
        """Return the newest version of each key that later runs must treat as delivered."""
        return {
            version.key: version
            for version in self.versions[table]
            if self.states[version.load, table] not in DISREGARDED
        }

    def _delivered(self, table: str) -> dict[Key, list[Version]]:
        """Return by key the newest delivered version, and later ones of disregarded loads."""
        delivered: dict[Key, list[Version]] = {}
        for version in self.versions[table]:
            is_delivered = self.states[version.load, table] not in DISREGARDED
            delivered[version.key] = [*([] if is_delivered else delivered.get(version.key, [NEVER])), version]
        return delivered

    def rules_failed_by(self, table: str, row: Row | None) -> set[str]:
        failed = set()
        if row is None:
            return failed
        if table == "users" and self.wants_addresses and not re.fullmatch(r"[^@\s]+@\w+\.\w+", row["email"]):
            failed.add("email_is_an_address")
        if table == "tracks" and not re.fullmatch(r"\d\d:[0-5]\d", row["duration"]):
            failed.add("duration_is_mm_ss")
        if table == "listen_history" and isinstance(row["items"], str):
            failed.add("items_are_track_ids")
        return failed

    def published(self, table: str) -> list[Version]:
        return [
            version
            for version in self.versions[table]
            if self.states[version.load, table] in PUBLISHED and not version.is_quarantined
        ]

    def note_publications(self, publications: dict[tuple[int, str], list[int]]) -> None:
        """Note which publication made each version visible first. Call it after each step that publishes.

        `publications`: the numbers of those that made something of a load (number, table) visible, in their order.
        """
        for table in TABLES:
            for version in self.published(table):
                if version.published_by is None:
                    numbers = publications[version.load, table]
                    version.published_by = numbers[-1] if version.freed else numbers[0]

    def known_at(
        self, publications: dict[tuple[int, str], list[int]], published_at: dict[int, datetime]
    ) -> dict[str, dict[int, datetime]]:
        """Return by table: id -> since when it is known (EVER: always); of listens, not of their documents.

        A listen is known once its user and its track are. `published_at`: by number of publication, in their order.
        """
        known = {
            table: {
                key: kept
                for key, found in versions.items()
                if (kept := [(version, time) for version, time in found if version.row is not None])
            }
            for table, versions in self._known_versions(publications, published_at).items()
        }
        users, tracks = (
            {key[0]: min(time for _, time in versions) for key, versions in known[table].items()}
            for table in ("users", "tracks")
        )
        listens = {}
        for (user_id, created_at), versions in known["listen_history"].items():
            counted: list[tuple[Counter[int], datetime, datetime]] = []
            for version, time in versions:
                updated_at = utc(version.row["updated_at"])
                if version.row["items"] is not None and (not counted or updated_at > counted[-1][1]):
                    counted.append((Counter(version.row["items"]), updated_at, time))
            numbers: Counter[int] = Counter()
            before: Counter[int] = Counter()
            for position, (items, updated_at, _) in enumerate(counted):
                for track_id in items:
                    for occurrence in range(before[track_id] + 1, items[track_id] + 1):
                        numbers[track_id] += 1
                        time = max(
                            _first_known(counted[position:], track_id, occurrence),
                            users.get(user_id, EVER),
                            tracks.get(track_id, EVER),
                            updated_at,
                        )
                        listens[listen_id(user_id, utc(created_at), track_id, numbers[track_id])] = time
                before = items
        return {"users": users, "tracks": tracks, "listen_history": listens}

    def as_known(
        self, publications: dict[tuple[int, str], list[int]], published_at: dict[int, datetime], at: datetime
    ) -> WorldModel:
        """Return the rows that were known at the moment, if the decisions of today had been known from the start."""
        versions = self._known_versions(publications, published_at)
        world = self.world()
        for table, rows, gone in (
            ("users", world.users, world.gone_users),
            ("tracks", world.tracks, world.gone_tracks),
        ):
            rows.clear()
            gone.clear()
            for (number,), found in versions[table].items():
                known = [version.row for version, time in found if time <= at]
                if payloads := [row for row in known if row is not None]:
                    rows[number] = payloads[-1]
                    if known[-1] is None:
                        gone.add(number)
        known_at = self.known_at(publications, published_at)["listen_history"]
        world.known_listens = {number for number, time in known_at.items() if time <= at}
        return world

    def _known_versions(
        self, publications: dict[tuple[int, str], list[int]], published_at: dict[int, datetime]
    ) -> dict[str, dict[Key, list[tuple[Version, datetime]]]]:
        """Return by table and key the published versions in their order, each with the time since which it is known."""
        times = dict(zip(published_at, accumulate(published_at.values(), max), strict=True))
        known: dict[str, dict[Key, list[tuple[Version, datetime]]]] = {}
        for table in TABLES:
            of_published = [
                numbers[0]
                for (load, name), numbers in publications.items()
                if name == table and self.states[load, name] in PUBLISHED
            ]
            first = min(of_published, default=None)
            known[table] = defaultdict(list)
            for version in self.published(table):
                time = EVER if version.published_by == first else times[version.published_by]
                known[table][version.key].append((version, time))
        return known

    def quarantine(self, table: str) -> list[tuple[int, Key, str, str | None]]:
        """Return (load, key, rule, outcome) of every quarantined row and rule; outcome None: still open."""
        newest_published: dict[Key, int] = {
            version.key: version.load
            for version in self.versions[table]
            if self.states[version.load, table] in PUBLISHED
        }
        found = []
        for version in self.versions[table]:
            state = self.states[version.load, table]
            if state in ("superseded", "rejected"):
                outcome = state
            else:
                is_overtaken = newest_published.get(version.key, -1) > version.load
                outcome = "superseded" if is_overtaken else None
            for rule in version.failed_rules | version.freed:
                found.append((version.load, version.key, rule, "freed" if rule in version.freed else outcome))
        return sorted(found, key=str)

    def world(self) -> WorldModel:
        """Return the rows that readers see."""
        world = WorldModel()
        world.users, gone_users = self.last_delivered("users")
        world.tracks, gone_tracks = self.last_delivered("tracks")
        world.gone_users, world.gone_tracks = set(gone_users), set(gone_tracks)
        documents = defaultdict(list)
        for version in self.published("listen_history"):
            if version.row is not None:
                documents[version.key].append(version.row)
        world.documents = documents
        return world

    def last_delivered(self, table: str) -> tuple[dict[int, Row], dict[int, int]]:
        """id -> row, and id -> the load since which it is gone: scan by scan, whatever of it landed. What counts is the
        word of every scan that is published, on every key, as if the decisions of today had been known at the time."""
        rows: dict[int, Row] = {}
        gone: dict[int, int] = {}
        published = {id(version) for version in self.published(table)}
        landed = {(version.load, version.key) for version in self.published(table)}
        for load in sorted(load for load, name in self.states if name == table):
            if self.states[load, table] not in PUBLISHED:
                continue
            scan = self.scans[load, table]
            for key in scan.rows.keys() | {version.key for version in self.versions[table]}:
                (number,) = key
                if self._is_of_an_erased(table, key):
                    continue
                if key in scan.agrees_with:
                    counts = any(id(version) in published for version in scan.agrees_with[key])
                else:
                    counts = (load, key) in landed
                if not counts:
                    continue
                if key in scan.rows:
                    rows[number] = scan.rows[key]
                    gone.pop(number, None)
                elif number in rows:
                    gone.setdefault(number, load)
        return rows, gone

    def _is_of_an_erased(self, table: str, key: Key) -> bool:
        return table != "tracks" and key[0] in self.erased

    def _of(self, load: int, table: str) -> list[Version]:
        return [version for version in self.versions[table] if version.load == load]

    def _is_quiet(self, load: int, table: str) -> bool:
        """Return whether the load contains nothing new, so that no rule has to run."""
        scan = self.scans[load, table]
        return not self._of(load, table) and bool(scan.rows_read or not scan.keys_known)

    def _decide(self, load: int, table: str, fitting: set[str], state: str) -> bool:
        if self.states[load, table] not in fitting:
            return False
        self.states[load, table] = state
        return True
