"""Limit the number of requests in flight."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

GOOD_ANSWERS = 50
"""Consecutive answers without "too many requests" after which one more request may be in flight."""


class Window:
    """Allow `most` requests in flight; half as many after "too many requests", growing back slowly.

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
    def slot(self, seconds: float) -> Iterator[int]:
        """Wait for a slot and hold it while the block runs; yield the argument for `narrow`.

        Raises TimeoutError after `seconds`.
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

    def narrow(self, slot: int) -> None:
        """Halve the window: the server refused the request in `slot`."""
        with self._changed:
            self._good_answers = 0
            # Requests in flight together are refused together: that halves the window once, not eight times.
            if slot == self._halvings:
                self._halvings += 1
                self.size = max(1, self.size // 2)

    def widen(self) -> None:
        """Count an answered request, and widen the window by one after `GOOD_ANSWERS`."""
        with self._changed:
            self._good_answers += 1
            if self._good_answers >= GOOD_ANSWERS and self.size < self.most:
                self._good_answers = 0
                self.size += 1
                self._changed.notify_all()

    def open_to_all(self) -> None:
        """End all waiting, now and later: the pending requests then fail."""
        with self._changed:
            self._is_open_to_all = True
            self._changed.notify_all()

    def _has_room(self) -> bool:
        return self._in_flight < self.size or self._is_open_to_all
