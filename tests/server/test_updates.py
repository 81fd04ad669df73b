"""The update log: its files, what counts in them after a fall, and what is told of what a transaction changes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from kt_core.errors import Misconfigured, StoreFull
from kt_core.server.updates import Position, UpdateLog
from kt_core.wire.exchange import NeedData
from kt_core.wire.kt_log import (
    HEADER_SIZE,
    EntryDecoder,
    LogHeader,
    Remove,
    decode_header,
    decode_payload,
    encode_entry,
    encode_header,
    encode_payload,
)
from tests.clock import Clock

CLOCK = Clock()
NOW = int(CLOCK.seconds) * 1_000_000_000


class Logs:
    """The log in a directory, opened one time after the other."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._open: UpdateLog | None = None

    def open(
        self, marks: dict[int, int | None] | None = None, *, limit: int = 1 << 20, clock: Clock = CLOCK
    ) -> UpdateLog:
        """Open it, as a server does whose predecessor was killed."""
        self.close()
        log = self._open = UpdateLog(self.directory, 7, limit=limit, clock=clock)
        log.recover(marks or {})
        return log

    def close(self) -> None:
        """Close it as it is."""
        if self._open is not None:
            self._open.close()
            self._open = None


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Logs]:
    logs = Logs(tmp_path / "log")
    yield logs
    logs.close()


def write(log: UpdateLog, *keys: bytes, commit: bool = True, db: int = 0) -> int:
    """Log the removal of keys in one transaction; return the last timestamp."""
    with log.lock:
        first = log.stamp(len(keys))
        entries = [encode_entry(first + index, encode_payload(7, Remove(db, key))) for index, key in enumerate(keys)]
        log.append(b"".join(entries), first, 7, durable=False)
        if commit:
            log.commit()
    return log.last


def read(path: Path) -> list[tuple[int, bytes]]:
    """Return what a file has that counts: timestamps and keys."""
    data = path.read_bytes()
    decoder = EntryDecoder()
    found: list[tuple[int, bytes]] = []
    entry = decoder.feed(data[HEADER_SIZE : decode_header(data).size])
    while not isinstance(entry, NeedData):
        ts, payload = entry
        _, change = decode_payload(payload)
        assert isinstance(change, Remove)
        found.append((ts, change.key))
        entry = decoder.feed(b"")
    return found


# --- What is written


def test_a_file_is_what_the_original_writes(logs: Logs) -> None:
    log = logs.open()
    write(log, b"a", b"b")
    entries = b"".join(
        encode_entry(NOW + index, encode_payload(7, Remove(0, key))) for index, key in enumerate([b"a", b"b"])
    )
    header = encode_header(LogHeader(HEADER_SIZE + len(entries), NOW + 1))
    assert (logs.directory / "0000000001.ulog").read_bytes() == header + entries


def test_timestamps_only_grow(logs: Logs) -> None:
    clock = Clock()
    log = logs.open(clock=clock)
    assert write(log, b"a") == NOW
    clock.advance(-2)
    assert write(log, b"b", b"c") == NOW + 2
    clock.advance(2.5)
    assert write(log, b"d") == NOW + 500_000_000
    assert write(logs.open(), b"e") == NOW + 500_000_001


def test_a_new_file_is_begun_when_one_is_full(logs: Logs) -> None:
    log = logs.open(limit=100)
    for key in (b"a" * 90, b"b", b"c" * 90, b"d"):
        write(log, key)
    files = log.files()
    assert [path.name for path, _ in files] == ["0000000001.ulog", "0000000002.ulog", "0000000003.ulog"]
    assert [header.ts for _, header in files] == [NOW, NOW + 2, NOW + 3]
    assert [key[:1] for path, _ in files for _, key in read(path)] == [b"a", b"b", b"c", b"d"]
    assert write(logs.open(limit=100), b"e") == NOW + 4
    assert [key for _, key in read(files[2].path)] == [b"d", b"e"]


def test_files_that_hold_nothing_later_are_removed_but_for_the_last(logs: Logs) -> None:
    log = logs.open(limit=20)
    for key in (b"a", b"b", b"c"):
        write(log, key)
    assert log.oldest() == 0
    log.remove(NOW)
    assert log.numbers() == [2, 3]
    assert log.oldest() == NOW + 1
    log.remove((1 << 64) - 1)
    assert log.numbers() == [3]
    write(log, b"d")
    log.remove((1 << 64) - 1)
    assert log.numbers() == [4]


def test_other_files_are_left_alone(logs: Logs) -> None:
    logs.directory.mkdir()
    for name in ("0000000009.ulog.bak", "9.ulog", "note"):
        (logs.directory / name).write_text("x")
    log = logs.open()
    assert log.numbers() == [1]


# --- What counts


def test_what_was_withdrawn_does_not_count(logs: Logs) -> None:
    log = logs.open()
    write(log, b"a")
    write(log, b"b" * 50, commit=False)
    log.withdraw()
    write(log, b"c")
    assert [key for _, key in read(log.path(1))] == [b"a", b"c"]
    assert log.path(1).stat().st_size == log.end.offset


def test_what_is_written_again_takes_the_place_of_what_was_written_before(logs: Logs) -> None:
    log = logs.open()
    write(log, b"first" * 9, commit=False)
    write(log, b"again")
    assert [key for _, key in read(log.path(1))] == [b"again"]


def test_nobody_is_told_before_it_counts(logs: Logs) -> None:
    log = logs.open()
    told: list[Position] = []
    log.changed = lambda: told.append(log.end)
    write(log, b"a", commit=False)
    assert (told, log.recent) == ([], {})
    log.commit()
    assert told == [log.end]
    assert [chunk.end for chunk in log.recent.values()] == [log.end]
    log.commit()  # nothing
    assert len(told) == 1


def test_what_is_kept_in_memory_is_bounded(logs: Logs) -> None:
    log = logs.open(limit=1 << 30)
    for _ in range(70):
        write(log, bytes(100_000))
    assert sum(len(chunk.entries) for chunk in log.recent.values()) < 5 << 20
    assert list(log.recent.values())[-1].end == log.end


def test_up_to_the_horizon_everything_is_told_and_all_that_follows_is_beyond(logs: Logs) -> None:
    clock = Clock()
    log = logs.open(clock=clock)
    write(log, b"a")
    assert log.horizon() == NOW
    clock.advance(10)
    assert log.horizon() == NOW + 9_000_000_000
    clock.advance(-5)
    assert write(log, b"b") == NOW + 9_000_000_001
    with log.lock:  # a transaction is under way, and its timestamps may be anywhere below
        clock.advance(100)
        assert log.horizon() == log.told == NOW + 9_000_000_001


def test_later_timestamps_are_above_those_of_another_clock_unless_they_are_of_the_far_future(logs: Logs) -> None:
    log = logs.open()
    log.exceed(NOW + 2_000_000_000)
    assert write(log, b"a") == NOW + 2_000_000_001
    log.exceed((1 << 64) - 1)
    assert write(log, b"b") == NOW + 2_000_000_002


# --- After a fall


@pytest.mark.parametrize("made", [0, 1, 2, 3])
def test_what_a_database_knows_of_counts_and_nothing_behind_it(logs: Logs, made: int) -> None:
    log = logs.open()
    write(log, b"a")
    write(log, b"b", b"c", b"d", commit=False)
    again = logs.open({0: NOW + made})
    assert [key for _, key in read(again.path(1))] == [b"a", b"b", b"c", b"d"][: made + 1]
    assert again.told == NOW + made
    assert again.path(1).stat().st_size == again.end.offset


def test_a_change_of_another_database_is_not_lost_before_one_that_was_made(logs: Logs) -> None:
    write(logs.open(), b"a", b"b")
    path = logs.directory / "0000000001.ulog"
    data = path.read_bytes()
    logs.close()
    path.write_bytes(encode_header(LogHeader(HEADER_SIZE, 0)) + data[HEADER_SIZE:])  # as after a failure of power
    log = logs.open({0: NOW + 1, 1: None})
    assert [key for _, key in read(log.path(1))] == [b"a", b"b"]


def test_what_is_left_of_a_transaction_that_failed_is_not_taken_for_one(logs: Logs) -> None:
    write(logs.open(), b"a")
    path = logs.directory / "0000000001.ulog"
    older = encode_entry(NOW - 1, encode_payload(7, Remove(0, b"older")))
    with path.open("ab") as file:
        file.write(older)
    assert [key for _, key in read(logs.open({0: NOW + 9}).path(1))] == [b"a"]


def test_a_log_that_is_cut_anywhere_keeps_what_is_whole(logs: Logs, caplog: pytest.LogCaptureFixture) -> None:
    log = logs.open()
    write(log, b"a", b"b")
    whole = log.path(1).read_bytes()
    ends = [HEADER_SIZE, HEADER_SIZE + (len(whole) - HEADER_SIZE) // 2, len(whole)]
    for size in range(len(whole)):
        logs.close()
        caplog.clear()
        log.path(1).write_bytes(whole[:size])
        torn = logs.open()
        kept = max([end for end in ends if end <= size], default=HEADER_SIZE)
        assert torn.path(1).stat().st_size == kept
        assert [key for _, key in read(torn.path(1))] == [b"a", b"b"][: ends.index(kept)]
        if size >= HEADER_SIZE:
            assert "is torn" in caplog.text
        assert write(torn, b"c") > 0
        assert [key for _, key in read(torn.path(1))][-1] == b"c"


@pytest.mark.parametrize("begun", [b"", encode_header(LogHeader(HEADER_SIZE + 50, NOW + 5)) + b"\xa1"])
def test_a_new_file_with_nothing_in_it_goes_on_with_the_one_before(logs: Logs, begun: bytes) -> None:
    log = logs.open()
    write(log, b"a", b"b")
    logs.close()
    log.path(2).write_bytes(begun)
    again = logs.open(clock=Clock(CLOCK.seconds - 10))
    assert again.told == NOW + 1
    assert write(again, b"c") == max(NOW + 1, decode_header(begun).ts if begun else 0) + 1
    assert [header.ts for _, header in again.files()] == [NOW + 1, again.last]


def test_a_log_whose_end_is_zeros_keeps_what_is_before(logs: Logs) -> None:
    log = logs.open()
    write(log, b"a", b"b")
    whole = log.path(1).read_bytes()
    logs.close()
    log.path(1).write_bytes(whole[:-10] + bytes(10))
    assert [key for _, key in read(logs.open().path(1))] == [b"a"]


@pytest.mark.parametrize(
    ("marks", "told"),
    [
        ({0: NOW + 9}, "ends before the last change"),
        ({0: NOW, 1: None}, "database 1 has nothing to do with"),
        ({0: NOW}, None),
        ({}, None),
    ],
)
def test_what_does_not_belong_together_is_told(
    logs: Logs, caplog: pytest.LogCaptureFixture, marks: dict[int, int | None], told: str | None
) -> None:
    write(logs.open(), b"a")
    with caplog.at_level(logging.WARNING):
        log = logs.open(marks)
    assert (told in caplog.text) if told else not caplog.records
    assert log.last == max([NOW, *[mark for mark in marks.values() if mark]])


def test_a_new_log_of_a_new_database_is_nothing_to_be_told(logs: Logs, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        logs.open({0: None})
    assert not caplog.records


# --- What cannot be


def test_two_servers_do_not_write_one_log(logs: Logs) -> None:
    logs.open()
    with pytest.raises(Misconfigured, match="another server writes there"):
        UpdateLog(logs.directory, 8, limit=1, clock=CLOCK)


@pytest.mark.parametrize("content", [b"something else", b"\xa0" + bytes(16)])
def test_what_is_no_log_is_not_overwritten(logs: Logs, content: bytes) -> None:
    logs.directory.mkdir()
    path = logs.directory / "0000000001.ulog"
    path.write_bytes(content)
    with pytest.raises(Misconfigured, match="move it away"):
        logs.open()
    assert path.read_bytes() == content


def test_a_directory_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(Misconfigured, match="name a directory that can be written"):
        UpdateLog(tmp_path / "file" / "log", 1, limit=1, clock=CLOCK)


def test_a_full_disk_is_an_error_of_the_change(logs: Logs) -> None:
    log = logs.open(limit=20)
    write(log, b"a")
    log.path(2).mkdir()  # where the next file is to be
    with pytest.raises(StoreFull, match="update log"):
        write(log, b"b")
    log.withdraw()
    log.path(2).rmdir()
    write(log, b"c")
    assert [key for number in log.numbers() for _, key in read(log.path(number))] == [b"a", b"c"]


def test_synchronizing(logs: Logs) -> None:
    log = logs.open()
    write(log, b"a")
    log.synchronize()
