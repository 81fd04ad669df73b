"""What was written is remembered until the copy has it, without growing for ever."""

from __future__ import annotations

import os
import threading

from kt_cache.stores.replica.written import Written


class Ticks:
    """A clock that gives another number each time."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        self.now += 1
        return self.now


def when(written: Written, key: bytes) -> int:
    return written.times.get(key, written.every)


def test_nothing_was_written_before_time_began() -> None:
    assert when(Written(), b"k") < 0


def test_a_key_has_the_time_of_its_last_write() -> None:
    written = Written(Ticks())
    written.note([b"a", b"b"], 0)
    written.note([b"a"], 0)
    assert (when(written, b"a"), when(written, b"b")) == (2, 1)
    assert when(written, b"c") < 0


def test_all_keys_can_be_written_at_once() -> None:
    written = Written(Ticks())
    written.note([b"a"], 0)
    written.note(None, 0)
    assert (when(written, b"a"), when(written, b"b")) == (2, 2)
    written.note([b"a"], 0)
    assert (when(written, b"a"), when(written, b"b")) == (3, 2)


def test_what_the_copy_has_is_forgotten() -> None:
    clock = Ticks()
    written = Written(clock)
    for number in range(10_000):
        written.note([b"%d" % number], clock.now - 10)
    assert len(written.times) <= 1001
    assert when(written, b"9999") == clock.now


def test_what_nobody_follows_becomes_everything() -> None:
    clock = Ticks()
    written = Written(clock)
    written.note([b"%d" % number for number in range(100_001)], 0)
    assert written.times == {}
    assert when(written, b"5") == when(written, b"none") == clock.now


def test_a_forked_child_has_a_lock_of_its_own() -> None:
    written = Written()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with written._lock:
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    child = os.fork()
    if not child:
        written.note([b"k"], 0)
        os._exit(0 if b"k" in written.times else 1)
    done.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
