"""Something that happens in the middle of a program's work, such as its death."""

import itertools
import os
import signal
from collections.abc import Callable


def die(*args: object, **named: object) -> None:
    """The end of this process, as -9 brings it."""
    os.kill(os.getpid(), signal.SIGKILL)


def always(*args: object) -> bool:
    return True


def nth(call: int, when: Callable[..., bool] = always) -> Callable[..., bool]:
    """Holds once: at the `call`-th of those calls for which `when` holds."""
    calls = itertools.count(1)
    return lambda *args: when(*args) and next(calls) == call


def acting_before(function: Callable, act: Callable, when: Callable[..., bool] = always) -> Callable:
    """`function`, and `act` before each call for which `when` holds; both get its arguments."""

    def acting(*args, **named):
        if when(*args):
            act(*args)
        return function(*args, **named)

    return acting


def acting_after(function: Callable, act: Callable, when: Callable[..., bool] = always) -> Callable:
    """`function`, and `act` after each call for which `when` holds; both get its arguments."""

    def acting(*args, **named):
        result = function(*args, **named)
        if when(*args):
            act(*args)
        return result

    return acting


def or_die(function: Callable, when: Callable[..., bool]) -> Callable:
    """`function`, and death before the call for which `when` holds."""
    return acting_before(function, die, when)


def then_die(function: Callable, when: Callable[..., bool] = always) -> Callable:
    """`function`, and death after the call for which `when` holds."""
    return acting_after(function, die, when)
