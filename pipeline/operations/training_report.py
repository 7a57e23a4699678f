"""Say on what a training was made, what it compared, and how and why it decided."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import psycopg
from rich.markup import escape
from rich.table import Table

from pipeline.console.terminal import minute
from pipeline.operations.journal import Journal
from pipeline.operations.recommendations import QUESTIONS
from recommender import registry, releases
from recommender.registry import STAGES, Training
from warehouse.counts import count
from warehouse.errors import CommandError, ExitCode

CONTENDERS = {
    "challenger": "best recipe of the tuning window",
    "refreshed": "recipe of the champion, on the same data",
    "champion": "the champion as it is served now",
    "anchor": "last recipe promoted for being better",
    "popularity": "what many users heard lately",
}
OUTCOMES = {
    "promoted": "promoted",
    "refreshed": "the champion's recipe is fitted to everything known now",
    "popularity": "popularity is served",
    "refused": "the champion stays",
    "too_little_data": "nothing is trained",
    "data_refused": "nothing is trained",
    "abandoned": "abandoned",
}


def report_data(rows: Sequence[Training], journal: Journal) -> None:
    """Say what is trained on, or raise CommandError(RECOMMENDATIONS_FAILED) if the data failed a check."""
    row = rows[0]
    if row.outcome == "data_refused":
        raise CommandError(
            ExitCode.RECOMMENDATIONS_FAILED,
            f"nothing was trained: {row.reason}; readers keep their lists; see the last runs with: make status,"
            " or if the data are right, train with: make train ARGS=--accept-data",
        )
    journal.say("trigger", f"trigger: {row.trigger} ({row.trigger_detail})", trigger=row.trigger)
    if row.outcome:
        return
    journal.say(
        "data",
        f"data: {count(row.users, 'user')}, {count(row.tracks, 'track')} and {count(row.listens, 'listen')},"
        f" as known on {minute(row.as_of)} UTC",
        users=row.users,
        tracks=row.tracks,
        listens=row.listens,
    )
    journal.say(
        "windows",
        f"tuned on what users heard from {row.tuning_from} to {row.final_from - dt.timedelta(days=1)},"
        f" compared on {row.final_from} to {row.final_until}; models know only the data before",
    )
    if row.is_overlapping:
        journal.say(
            "windows", "the final window overlaps one that was used for an earlier promotion, so it is not quite fair"
        )


def report_outcome(connection: psycopg.Connection, journal: Journal, *, is_later: bool) -> dict[str, Any]:
    """Say how far the training has come, or what it decided for each list; return the outcomes by list."""
    rows = registry.read_unfinished_trainings(connection)
    (started_at,) = connection.execute("select max(started_at) from recommendations.trainings").fetchone()
    of_training = registry.read_trainings(connection, "started_at = %s", [started_at])
    (trials,) = connection.execute(
        "select trials from recommendations.trainings where training_id = %s", [of_training[0].training_id]
    ).fetchone()
    if trials:
        tried = ", ".join(f"{name} {number}" for name, number in trials.items())
        journal.say("trials", f"tuning tried so many parameters: {tried}", trials=trials)
    for row in sorted(of_training, key=lambda row: row.training_id):
        if row.outcome:
            _report_list(connection, row, journal)
    if rows:
        following = STAGES[STAGES.index(rows[0].stage) + 1]
        journal.say("next_stage", f"the next stage is: make train ARGS={following}")
        return {}
    changed = [row.list for row in of_training if row.outcome in ("promoted", "refreshed", "popularity")]
    release = releases.read_published(connection)
    if changed and is_later:
        journal.say("closing", "the lists of the new champions follow with the next run: make run")
    elif changed and release:
        journal.say(
            "closing",
            f"release {release.release_id} with {count(release.lists, 'list')} is published; see the models with:"
            " make model ARGS=list",
            release_id=release.release_id,
        )
    return {row.list: row.outcome for row in of_training}


def _report_list(connection: psycopg.Connection, row: Training, journal: Journal) -> None:
    from recommender.recipes import Recipe

    compared = registry.read_evaluations(connection, row.training_id)
    recipe = str(Recipe(**row.recipe)) if row.recipe else None
    if journal.output.is_terminal:
        journal.output.print(f"\n[bold]{row.list}[/]: tracks that {QUESTIONS[row.list]}")
        if compared:
            journal.output.print(_table(compared))
        if recipe:
            journal.output.print(f"challenger: {escape(recipe)}", soft_wrap=True)
    for each in compared if not journal.output.is_terminal else ():
        if each["segment"] == "all":
            journal.say(
                "compared",
                f"{row.list}: {each['contender']} ({CONTENDERS[each['contender']]}), {each['model']}:"
                f" NDCG@10 {each['ndcg']:.4f}, vs popularity {_interval(each, 'popularity') or 'the same'}",
                list=row.list,
                **{name: value for name, value in each.items() if name not in ("training_id", "segment")},
            )
    journal.say(
        "decided",
        f"decision for {row.list}: {OUTCOMES[row.outcome]}. Why: {row.reason}",
        list=row.list,
        outcome=row.outcome,
        recipe=recipe,
    )


def _table(compared: Sequence[dict[str, Any]]) -> Table:
    """Return what was compared, for all users."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in ("contender", "model"):
        table.add_column(column, no_wrap=True)
    for column in ("users", "NDCG@10", "vs popularity", "vs champion's recipe"):
        table.add_column(column, justify="right", no_wrap=True)
    of_all = {each["contender"]: each for each in compared if each["segment"] == "all"}
    for contender in CONTENDERS:
        if each := of_all.get(contender):
            table.add_row(
                contender,
                each["model"],
                f"{each['users']:,}",
                f"{each['ndcg']:.4f}",
                _interval(each, "popularity"),
                _interval(each, "champion", "refreshed"),
            )
    return table


def _interval(each: dict[str, Any], base: str, contender: str = "popularity") -> str:
    """Return a difference with its interval; nothing for the contender itself. `base`: how its columns begin."""
    value, low, high = (each[f"{base}_difference{part}"] for part in ("", "_low", "_high"))
    if value is None or each["contender"] == contender:
        return ""
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f})"
