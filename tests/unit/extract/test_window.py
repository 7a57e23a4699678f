"""Test the window: halved after "too many requests", growing back slowly, never beyond its size."""

import threading

import pytest

from extract.window import GOOD_ANSWERS, Window


def sizes_after(window: Window, answers: int) -> list[int]:
    sizes = []
    for _ in range(answers):
        window.widen()
        sizes.append(window.size)
    return sizes


def test_a_slot_is_free_only_while_the_window_has_room():
    window = Window(2)
    with window.slot(0), window.slot(0), pytest.raises(TimeoutError), window.slot(0.01):
        pass
    with window.slot(0):
        pass


def test_requests_refused_together_halve_the_window_once():
    window = Window(8)
    with window.slot(0) as first, window.slot(0) as second:
        window.narrow(first)
        window.narrow(second)
    assert window.size == 4
    with window.slot(0) as later:
        window.narrow(later)
    assert window.size == 2


def test_the_window_never_closes():
    window = Window(3)
    for _ in range(5):
        with window.slot(0) as slot:
            window.narrow(slot)
    assert window.size == 1


def test_the_window_grows_by_one_after_many_consecutive_good_answers_up_to_its_size():
    window = Window(4)
    with window.slot(0) as slot:
        window.narrow(slot)
    sizes = sizes_after(window, 3 * GOOD_ANSWERS)
    assert sizes == [2] * (GOOD_ANSWERS - 1) + [3] * GOOD_ANSWERS + [4] * (GOOD_ANSWERS + 1)


def test_a_refusal_resets_the_count_of_consecutive_good_answers():
    window = Window(8)
    sizes_after(window, GOOD_ANSWERS - 1)
    with window.slot(0) as slot:
        window.narrow(slot)
    assert sizes_after(window, GOOD_ANSWERS) == [4] * (GOOD_ANSWERS - 1) + [5]


@pytest.mark.parametrize("release", ["a slot is left", "it is widened", "it is opened to all"])
def test_a_waiting_request_is_woken(release):
    window = Window(2)
    with window.slot(0) as slot:
        window.narrow(slot)
        woken = threading.Event()

        def wait() -> None:
            with window.slot(30):
                woken.set()

        waiting = threading.Thread(target=wait)
        waiting.start()
        if release == "it is widened":
            sizes_after(window, GOOD_ANSWERS)
        elif release == "it is opened to all":
            window.open_to_all()
        if release != "a slot is left":
            assert woken.wait(10)
    waiting.join(10)
    assert woken.is_set()
