"""How many requests may be in flight at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

GOOD_ANSWERS = 50
"""Answers in a row, none of them "too many requests", after which one request more may be in flight."""


class Window:
    """Room for `most` requests in flight; half as much after "too many requests", growing back slowly.

    Safe to use from several threads.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.size = most
        """Requests that may be in flight now, from 1 to `most`."""
        self._in_flight = 0
        self._good_answers = 0
        self._halvings = 0
        self._is_open_to_all = False
        self._changed = threading.Condition()

    @contextmanager
    def place(self, seconds: float) -> Iterator[int]:
        """A place in the window while the block runs; yields what `narrow` wants to know.

        Waits for it. Raises TimeoutError after `seconds`.
        """
        with self._changed:
            if not self._changed.wait_for(self._has_room, max(0, seconds)):
                raise TimeoutError
            self._in_flight += 1
            halvings = self._halvings
        try:
            yield halvings
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()

    def narrow(self, place: int) -> None:
        """The request in `place` was one too many."""
        with self._changed:
            self._good_answers = 0
            # Those that were on their way together are refused together: that is one reason to halve, not eight.
            if place == self._halvings:
                self._halvings += 1
                self.size = max(1, self.size // 2)

    def widen(self) -> None:
        """A request was answered."""
        with self._changed:
            self._good_answers += 1
            if self._good_answers >= GOOD_ANSWERS and self.size < self.most:
                self._good_answers = 0
                self.size += 1
                self._changed.notify_all()

    def open_to_all(self) -> None:
        """Ends all waiting, now and later: the requests are to fail on their own."""
        with self._changed:
            self._is_open_to_all = True
            self._changed.notify_all()

    def _has_room(self) -> bool:
        return self._in_flight < self.size or self._is_open_to_all
