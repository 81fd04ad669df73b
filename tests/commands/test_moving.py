"""The commands that move many records."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kt_core.commands.console import NEGATIVE, OK
from kt_core.commands.places import Row, open_place
from kt_core.errors import Damaged, InvalidInput, Misconfigured, NotSupported, ServerError, StoreFull
from kt_core.terminal import CommandFailed
from tests.commands.desk import Desk

COUNT = 600
FAR = (int(time.time()) + 3600) * 1000


def fill(url: str, count: int = COUNT, size: int = 5) -> list[Row]:
    expiry = {} if url.startswith("tt:") else {"expiry": FAR}
    rows = [Row(b"%05d" % number, b"v" * size, **(expiry if number % 2 else {})) for number in range(count)]
    with closing(open_place(url, create=True)) as place:
        for at in range(0, count, 100):
            place.put(rows[at : at + 100])
    return rows


def rows_at(url: str) -> list[Row]:
    with closing(open_place(url)) as place:
        return sorted(row for batch in place.rows() for row in batch)


@pytest.fixture
def other(tmp_path: Path) -> Desk:
    """Return what runs commands on another place, which is not there yet."""
    return Desk(f"embedded://{tmp_path / 'other'}")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "records.ktdump"


# -- dump, load --------------------------------------------------------------------------------------------


def test_a_dump_is_loaded(desk: Desk, other: Desk, file: Path) -> None:
    rows = fill(desk.url)
    assert desk("dump", file).facts == {"dumped": COUNT, "file": str(file)}
    assert file.stat().st_mode & 0o777 == 0o600
    assert other("load", file).facts == {"loaded": COUNT, "file": str(file), "expired": 0}
    assert rows_at(other.url) == rows
    assert desk("load", file).status == OK
    assert rows_at(desk.url) == rows


def test_a_dump_may_be_a_stream(own: Desk, other: Desk) -> None:
    rows = fill(own.url)
    said = own("dump", "-")
    assert other("load", "-", stdin=said.out).facts["loaded"] == COUNT
    assert rows_at(other.url) == rows


def test_a_dump_writes_over_nothing(own: Desk, file: Path) -> None:
    fill(own.url)
    file.write_bytes(b"precious")
    with pytest.raises(CommandFailed, match="is there already: write --force"):
        own("dump", file)
    assert file.read_bytes() == b"precious"
    assert own("dump", file, "--force").status == OK
    with pytest.raises(CommandFailed, match="cannot be opened: Not a directory"):
        own("dump", file / "in" / "none")


def test_a_dump_that_was_cut_off_is_continued(desk: Desk, other: Desk, file: Path) -> None:
    rows = fill(desk.url, 100, size=50_000)
    desk("dump", file)
    whole = file.read_bytes()
    for cut in (len(whole) // 2, 200, len(whole) - 1):
        file.write_bytes(whole[:cut])
        with pytest.raises(CommandFailed, match="was cut off: its first"):
            other("load", file)
        assert desk("dump", file, "--resume").facts["dumped"] == 100
        assert other("load", file).facts["loaded"] == 100
        assert rows_at(other.url) == rows
    assert "whole already" in _watched(desk)("dump", file, "--resume").text


def _watched(desk: Desk) -> Desk:
    watched = Desk(desk.url)
    watched.watched = True
    return watched


def test_only_a_dump_is_continued(own: Desk, file: Path) -> None:
    fill(own.url)
    file.write_bytes(b"something else")
    with pytest.raises(Damaged, match="is no dump"):
        own("dump", file, "--resume")
    assert file.read_bytes() == b"something else"


def test_progress_is_shown_to_who_watches(own: Desk, file: Path) -> None:
    fill(own.url)
    ticks = iter(range(1000))
    own.timer = lambda: next(ticks)
    own.watched = True
    own.width = 40
    said = own("dump", file)
    assert "[###########...............] 256 of 600" in said.aside
    assert said.aside.endswith("\r\x1b[K")
    assert said.text == "600 records dumped\n"


def test_what_has_expired_is_not_loaded(own: Desk, other: Desk, file: Path) -> None:
    fill(own.url)
    own("dump", file)
    other.clock = lambda: FAR / 1000
    assert other("load", file).facts == {"loaded": COUNT // 2, "file": str(file), "expired": COUNT // 2}


def test_loading_goes_on_behind_what_is_stored(own: Desk, other: Desk, file: Path) -> None:
    rows = fill(own.url)
    own("dump", file)
    assert other("load", file, "--skip", 450).facts["loaded"] == 150
    assert rows_at(other.url) == rows[450:]


def test_a_failure_tells_how_far_it_was(own: Desk, file: Path) -> None:
    rows = fill(own.url, 100, size=50_000)
    own("dump", file)
    bounded = Desk(f"embedded://{file.parent / 'bounded'}?max_size=4MiB&eviction=none")
    with pytest.raises(StoreFull):
        bounded("load", file)
    done = re.search(r"^the first (\d+) records of .* are stored: --skip \1 goes on$", bounded.aside.getvalue())
    assert done is not None
    assert rows_at(bounded.url)[: int(done[1])] == rows[: int(done[1])]
    assert int(done[1]) > 20


def test_what_expires_is_not_stored_for_ever_unasked(own: Desk, file: Path, request: pytest.FixtureRequest) -> None:
    url_of = request.getfixturevalue("url_of")
    tyrant = Desk(url_of("bundled tyrant"))
    rows = fill(own.url)
    own("dump", file)
    with pytest.raises(NotSupported, match="expires, and records at tt://"):
        tyrant("load", file)
    assert tyrant("load", file, "--forever").facts["loaded"] == COUNT
    assert rows_at(tyrant.url) == [Row(row.key, row.value) for row in rows]


def test_tab_separated_values_are_dumped_and_loaded(desk: Desk, other: Desk, file: Path) -> None:
    fill(desk.url)
    assert desk("dump", "--tsv", file).facts["dumped"] == COUNT
    assert sorted(file.read_bytes().splitlines())[:2] == [b"00000\tvvvvv", b"00001\tvvvvv"]
    other("set", "00007", "other")
    assert other("load", "-", stdin=file.read_bytes() + b"00001\nlast\t1\nlast\n").facts["loaded"] == COUNT + 3
    with closing(open_place(other.url)) as place:
        assert place.get(b"00001") is None
        assert place.get(b"00007") == Row(b"00007", b"vvvvv")
        assert place.count() == COUNT - 1


def test_a_tab_in_a_record_is_refused(own: Desk, file: Path) -> None:
    own("set", "-e", "key", r"a\tb")
    with pytest.raises(InvalidInput, match="the record of key has a tab or a line in it"):
        own("dump", "--tsv", file)


# -- copy --------------------------------------------------------------------------------------------------


def test_records_are_copied_and_compared(desk: Desk, other: Desk) -> None:
    rows = fill(desk.url)
    said = other("copy", desk.url, other.url, "--verify")
    assert said.facts == {"copied": COUNT, "target_count": COUNT, "different": 0}
    assert rows_at(other.url) == rows
    expiring = fill(other.url)
    assert desk("copy", other.url, desk.url, "--forever").facts == {"copied": COUNT, "target_count": COUNT}
    # Only where nothing expires.
    assert rows_at(desk.url) == ([Row(row.key, row.value) for row in rows] if desk.url[:2] == "tt" else expiring)


def test_a_copy_that_is_not_whole_is_told(own: Desk, other: Desk) -> None:
    fill(own.url, 600, size=8000)
    small = f"{other.url}?max_size=3MiB"
    other.watched = True
    said = other("copy", own.url, small, "--verify")
    assert said.status == NEGATIVE
    assert said.text.startswith(f"600 copied; {small} has ")


# -- backup, restore ---------------------------------------------------------------------------------------


def test_a_backup_is_restored(expiring_url: str, file: Path) -> None:
    desk = Desk(expiring_url)
    rows = fill(expiring_url)
    numbers = [each["db"] for each in desk("status").facts["databases"]]
    said = desk("backup", file)
    assert said.facts["databases"] == len(numbers)
    with closing(open_place(expiring_url)) as place:
        place.put([Row(b"00000", b"changed"), Row(b"new", b"")])
        place.remove([b"00001"])
    desk.answer = "y"
    said = desk("restore", file)
    assert f"by the {COUNT}" in said.aside
    assert rows_at(expiring_url) == rows
    if len(numbers) > 1:
        with pytest.raises(Misconfigured, match="is a backup of several databases: write kt restore"):
            desk("load", file)


def test_a_backup_of_a_database_makes_it_as_it_was(own: Desk, file: Path) -> None:
    made = f"{own.url}?max_size=8MiB&eviction=none&durability=commit"
    rows = fill(made)
    with closing(open_place(f"{own.url}?database=2", create=True)) as place:
        place.put([Row(b"other", b"value")])
    assert own("backup", file).facts == {"saved": COUNT + 1, "file": str(file), "databases": 3}
    assert [path.name for path in file.parent.iterdir() if path.name.startswith(".kt")] == []
    new = Desk(f"embedded://{file.parent / 'new'}")
    assert new("restore", file).facts["loaded"] == COUNT + 1
    assert rows_at(new.url) == rows
    assert rows_at(f"{new.url}?database=2") == [Row(b"other", b"value")]
    report = new("report", "max_size", "eviction", "durability").facts
    assert report == {"max_size": 8 << 20, "eviction": "none", "durability": "commit"}


def test_a_backup_of_a_tyrant_is_restored(url: str, file: Path) -> None:
    desk = Desk(url)
    rows = fill(url)
    desk("backup", file)
    desk("restore", file, "--yes")
    assert rows_at(url) == rows


@pytest.mark.parametrize("cut", [-1, 300])
def test_nothing_is_lost_to_a_backup_that_is_not_whole(own: Desk, file: Path, cut: int) -> None:
    rows = fill(own.url)
    own("backup", file)
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(CommandFailed, match="was cut off, and nothing was changed"):
        own("restore", file, "--yes")
    data = bytearray(file.read_bytes())
    data[-20] ^= 1
    file.write_bytes(data)
    with pytest.raises((Damaged, CommandFailed)):
        own("restore", file, "--yes")
    assert rows_at(own.url) == rows


def test_a_restore_is_asked_about(own: Desk, file: Path) -> None:
    rows = fill(own.url)
    own("backup", file)
    own("set", "new", "value")
    with pytest.raises(CommandFailed, match=r"Replace the 601 records at .* write --yes"):
        own("restore", file)
    own.answer = "no"
    said = own("restore", file)
    assert (said.status, said.facts) == (NEGATIVE, {"loaded": 0})
    assert len(rows_at(own.url)) == len(rows) + 1


def test_a_restore_needs_a_file_and_its_databases(own: Desk, file: Path, url_of: Callable[[str], str]) -> None:
    with pytest.raises(Misconfigured, match="is read twice"):
        own("restore", "-")
    file.write_bytes(b"no dump")
    with pytest.raises(Damaged, match="is no dump"):
        own("restore", file)
    with closing(open_place(f"{own.url}?database=9", create=True)):
        pass
    own("backup", file, "--force")
    server = Desk(url_of("bundled"))
    before: Any = server("set", "key", "value")
    with pytest.raises(ServerError):
        server("restore", file, "--yes")
    assert before.status == OK
    assert server("count").facts == {"count": 1}


def test_the_head_of_a_dump_tells_about_it(own: Desk, file: Path) -> None:
    fill(own.url)
    own.clock = lambda: 1_700_000_000.0
    own("dump", file)
    assert json.loads(file.read_bytes().split(b"\n")[1]) == {
        "from": own.url, "time": 1_700_000_000.0, "records": COUNT, "databases": [0],
    }  # fmt: skip
