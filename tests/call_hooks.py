"""Hook actions, such as the death of the process, into function calls."""

import itertools
import os
import signal
from collections.abc import Callable


def die(*args: object, **named: object) -> None:
    """Kill this process with SIGKILL."""
    os.kill(os.getpid(), signal.SIGKILL)


def always(*args: object) -> bool:
    return True


def nth(call: int, when: Callable[..., bool] = always) -> Callable[..., bool]:
    """Return a condition that is true once: at the `call`-th call for which `when` is true."""
    calls = itertools.count(1)
    return lambda *args: when(*args) and next(calls) == call


def acting_before(function: Callable, act: Callable, when: Callable[..., bool] = always) -> Callable:
    """Wrap `function` to call `act` before each call for which `when` is true; both get the arguments."""

    def acting(*args, **named):
        if when(*args):
            act(*args)
        return function(*args, **named)

    return acting


def acting_after(function: Callable, act: Callable, when: Callable[..., bool] = always) -> Callable:
    """Wrap `function` to call `act` after each call for which `when` is true; both get the arguments."""

    def acting(*args, **named):
        result = function(*args, **named)
        if when(*args):
            act(*args)
        return result

    return acting


def or_die(function: Callable, when: Callable[..., bool]) -> Callable:
    """Wrap `function` to kill the process before the call for which `when` is true."""
    return acting_before(function, die, when)


def then_die(function: Callable, when: Callable[..., bool] = always) -> Callable:
    """Wrap `function` to kill the process after the call for which `when` is true."""
    return acting_after(function, die, when)
