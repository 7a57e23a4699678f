"""Runs of `recommend` that kill themselves with SIGKILL at a named point."""

import os
import sys
from collections.abc import Callable, Iterator

from pipeline.cli import main
from recommender import drafts, list_rows, release_models, releases
from tests.call_hooks import die, then_die

encode = list_rows.encode


def encode_one_list_and_die(*arguments: object) -> Iterator[bytes]:
    yield next(encode(*arguments))
    die()


POINTS: dict[str, tuple[object, str, Callable]] = {
    "scoring": (release_models, "recommend", then_die(release_models.recommend)),
    "copying the lists": (list_rows, "encode", encode_one_list_and_die),
    "before the commit": (releases, "publish", then_die(releases.publish)),
    "before old lists are dropped": (releases, "drop_old", die),
}
POINTS_OF_SHARDS: dict[str, tuple[object, str, Callable]] = {
    "scoring a shard": POINTS["scoring"],
    "copying the lists of a shard": POINTS["copying the lists"],
    "before the commit of a shard": (releases, "copy_lists", then_die(releases.copy_lists)),
    "publishing the lists of all": (drafts, "copy_lists", then_die(drafts.copy_lists)),
    "before the commit of all": (drafts, "remove", then_die(drafts.remove)),
}


def run(point: str, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
    """`python -m pipeline` with these arguments, and death at the point."""
    os.environ.update(environment)
    sys.argv = ["pipeline", *arguments]
    owner, name, replacement = (POINTS | POINTS_OF_SHARDS)[point]
    setattr(owner, name, replacement)
    main.main()
