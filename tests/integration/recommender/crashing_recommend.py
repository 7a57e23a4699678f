"""Runs of `recommend` that kill themselves with SIGKILL at a named point."""

import os
import sys
from collections.abc import Callable, Iterator

from pipeline.cli import main
from recommender import list_rows, nightly, releases
from tests.call_hooks import die, then_die

encode = list_rows.encode


def encode_one_list_and_die(*arguments: object) -> Iterator[bytes]:
    yield next(encode(*arguments))
    die()


POINTS: dict[str, tuple[object, str, Callable]] = {
    "scoring": (nightly, "recommend", then_die(nightly.recommend)),
    "copying the lists": (list_rows, "encode", encode_one_list_and_die),
    "before the commit": (releases, "publish", then_die(releases.publish)),
    "before old lists are dropped": (releases, "drop_old", die),
}


def run(point: str, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
    """`python -m pipeline` with these arguments, and death at the point."""
    os.environ.update(environment)
    sys.argv = ["pipeline", *arguments]
    owner, name, replacement = POINTS[point]
    setattr(owner, name, replacement)
    main.main()
