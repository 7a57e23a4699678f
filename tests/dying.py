"""Ways for a process to kill itself, as -9 does, in the middle of its work."""

import itertools
import os
import signal
from collections.abc import Callable


def die(*args: object, **named: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def or_die(function: Callable, is_it: Callable[..., bool]) -> Callable:
    """`function`, and death instead of the call for which `is_it` holds."""

    def dying(*args, **named):
        if is_it(*args):
            die()
        return function(*args, **named)

    return dying


def then_die(function: Callable, is_last: Callable[..., bool] = lambda *args: True) -> Callable:
    """`function`, and death after the call for which `is_last` holds."""

    def dying(*args, **named):
        result = function(*args, **named)
        if is_last(*args):
            die()
        return result

    return dying


def then_die_at(function: Callable, call: int) -> Callable:
    """`function`, and death after it was called for the `call`-th time."""
    calls = itertools.count(1)
    return then_die(function, lambda *args: next(calls) == call)
