"""The commands that move many records: ``dump``, ``load``, ``copy``, ``backup``, ``restore``."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import groupby, islice
from pathlib import Path
from typing import Any, BinaryIO, Final

from kt_core.commands.changing import STANDARD
from kt_core.commands.console import NEGATIVE, OK, Console
from kt_core.commands.dumpfile import MAGIC, Reader, Writer
from kt_core.commands.places import Place, Row, open_place
from kt_core.commands.places.base import BATCH
from kt_core.commands.places.embedded import EmbeddedPlace
from kt_core.commands.tsvfile import read_tsv, write_tsv
from kt_core.database import NEVER
from kt_core.database.snapshot import Snapshot
from kt_core.errors import ConnectionFailed, Damaged, KTError, Misconfigured, ServerError, StoreFull, Timeout
from kt_core.terminal import CommandFailed

Numbered = tuple[int, list[Row]]
"""Records, and the number of the database that they belong to."""

_LARGE: Final = 8 << 20  # bytes of values that go into one round trip


def dump(given: argparse.Namespace, console: Console) -> int:
    """Write the records of a database to a file, or go on with one that was cut off."""
    with closing(open_place(given.at)) as place, ExitStack() as files:
        total = place.count()
        if given.tsv:
            written = write_tsv(_output(given, console, files), _counted(place.rows(), total, console))
            return _told(console, "dumped", written, given.file)
        if given.resume:
            begun = _begun(given.file, files)
            if begun is None:
                return _told(console, "dumped", 0, given.file, "it was whole already")
            writer, after = begun
        else:
            writer, after = Writer(_output(given, console, files)), None
            writer.begin(_about(given.at, console, total, [0]))
        try:
            for rows in _counted(place.rows(after), total, console, writer.written):
                writer.write(0, rows)
            writer.end()
        except (KTError, KeyboardInterrupt):
            if given.file != STANDARD:
                console.aside.line(f"{given.file} has the first {writer.written:,} records: go on with --resume")
            raise
    return _told(console, "dumped", writer.written, given.file)


def _begun(path: str, files: ExitStack) -> tuple[Writer, bytes | None] | None:
    """Return what continues a dump that was cut off, and the last key that is in it; None for a whole one."""
    stream = files.enter_context(_opened(path, "r+b"))
    reader = _reader(stream, path)
    end, written, after = reader.at, 0, None
    for block in reader.blocks():
        end, written, after = block.end, written + len(block.rows), block.rows[-1][1].key
    if reader.whole:
        return None
    stream.seek(end)
    stream.truncate()
    return Writer(stream, written), after


def load(given: argparse.Namespace, console: Console) -> int:
    """Store what a dump or a file of tab-separated values holds."""
    with ExitStack() as files:
        stream = _input(given.file, console, files)
        place = files.enter_context(closing(open_place(given.at, create=True)))
        begin = stream.read(len(MAGIC))
        if begin != MAGIC:
            return _load_tsv(begin, stream, place, given, console)
        reader = Reader(stream)
        if len(reader.databases) > 1:
            raise Misconfigured(f"{given.file} is a backup of several databases: write kt restore {given.file}")
        try:
            return _load(reader, lambda _: place, given, console, given.skip)
        except (ConnectionFailed, Timeout, ServerError, StoreFull):
            stored = reader.read
            console.aside.line(f"the first {stored:,} records of {given.file} are stored: --skip {stored} goes on")
            raise


def _load_tsv(begin: bytes, stream: BinaryIO, place: Place, given: argparse.Namespace, console: Console) -> int:
    stored = 0
    changes = read_tsv(begin, stream)
    while some := list(islice(changes, BATCH)):
        for is_stored, same in groupby(some, lambda change: change[1] is not None):
            if is_stored:
                place.put([Row(key, value) for key, value in same if value is not None])
            else:
                place.remove([key for key, _ in same])
        stored += len(some)
        console.progress(stored, None)
    console.end()
    return _told(console, "loaded", stored, given.file)


def _load(
    reader: Reader, place_of: Callable[[int], Place], given: argparse.Namespace, console: Console, skip: int = 0
) -> int:
    """Store the records of a dump, each where `place_of` says for its database."""
    total = reader.about.get("records")
    loaded = expired = 0
    for block in reader.blocks():
        now = int(console.clock() * 1000)
        for database, rows in _by_database(block.rows[max(0, skip - reader.read) :]):
            alive = [row for row in rows if row.expiry > now]
            store(place_of(database), alive, given.forever)
            expired += len(rows) - len(alive)
            loaded += len(alive)
        console.progress(reader.read, total)
    console.end()
    if not reader.whole:
        raise CommandFailed(
            f"{given.file} was cut off: its first {reader.read:,} records are stored, the rest is missing"
        )
    return _told(console, "loaded", loaded, given.file, f"{expired:,} had expired" if expired else "", expired=expired)


def _by_database(rows: list[tuple[int, Row]]) -> Iterator[Numbered]:
    found: dict[int, list[Row]] = {}
    for database, row in rows:
        found.setdefault(database, []).append(row)
    return iter(found.items())


def copy(given: argparse.Namespace, console: Console) -> int:
    """Copy the records of one place to another, and look whether they are there."""
    with closing(open_place(given.source)) as source, closing(open_place(given.target, create=True)) as target:
        copied = wrong = 0
        for rows in _counted(source.rows(), source.count(), console):
            store(target, rows, given.forever)
            copied += len(rows)
            if given.verify:
                wrong += _missing(target, rows, console)
        there = target.count()
        facts = {"copied": copied, "target_count": there, **({"different": wrong} if given.verify else {})}
    text = f"{copied:,} copied; {given.target} has {there:,}"
    if given.verify:
        text += f", {wrong:,} of them not as they were copied"
    is_well = there >= copied and not wrong
    console.tell(facts, text, "good" if is_well else "bad")
    return OK if is_well else NEGATIVE


def _missing(target: Place, rows: list[Row], console: Console) -> int:
    """Return how many of the records a place has otherwise, those aside that have expired by now."""
    there = {row.key: row.value for row in target.get_all([row.key for row in rows])}
    now = int(console.clock() * 1000)
    return sum(there.get(row.key) != row.value for row in rows if row.expiry > now)


def backup(given: argparse.Namespace, console: Console) -> int:
    """Write all databases of a place to a file: an embedded one as it is at one moment."""
    with closing(open_place(given.at)) as place, ExitStack() as files:
        stream = _output(given, console, files)
        writer = Writer(stream)
        if isinstance(place, EmbeddedPlace):
            near = None if given.file == STANDARD else Path(given.file).absolute().parent
            directory = files.enter_context(tempfile.TemporaryDirectory(prefix=".kt-backup-", dir=near))
            snapshot = files.enter_context(closing(Snapshot(place.environment, Path(directory))))
            settings = place.environment.files.settings
            made = {
                "max_size": settings.max_size,
                "durability": settings.durability,
                "eviction": settings.eviction,
            }
            databases, count = snapshot.databases, snapshot.count()
            batches = ((database, batch) for database in databases for batch in _batched(snapshot.records(database)))
        else:
            made = {}
            each = place.databases()
            databases, count = [one["db"] for one in each], sum(one["count"] for one in each)
            batches = ((database, rows) for database in databases for rows in place.at(database).rows())
        writer.begin({**_about(given.at, console, count, databases), **made})
        done = 0
        for database, rows in batches:
            writer.write(database, rows)
            done += len(rows)
            console.progress(done, count)
        console.end()
        writer.end()
    return _told(
        console, "saved", writer.written, given.file, _numbered(len(databases), "database"), databases=len(databases)
    )


def _batched(records: Iterable[tuple[bytes, bytes, int]]) -> Iterator[list[Row]]:
    iterator = iter(records)
    while batch := [Row(*record) for record in islice(iterator, BATCH)]:
        yield batch


def restore(given: argparse.Namespace, console: Console) -> int:
    """Put what a backup holds in the place of what is in its databases."""
    if given.file == STANDARD:
        raise Misconfigured("a backup is read twice, first to look whether it is whole: write a file instead of -")
    with _dump(given.file) as reader:
        for _ in reader.blocks():
            pass
    if not reader.whole:
        raise CommandFailed(f"{given.file} was cut off, and nothing was changed: kt load would take what is there")
    with closing(open_place(given.at, create=True, like=reader.about)) as place:
        places = {database: place.at(database) for database in reader.databases}
        before = sum(each.count() for each in places.values())
        question = f"Replace the {before:,} records at {given.at} by the {reader.read:,} of {given.file}?"
        if before and not (given.yes or console.aside.confirm(question, "--yes")):
            console.tell({"loaded": 0}, "nothing was changed")
            return NEGATIVE
        for each in places.values():
            each.clear()
        with _dump(given.file) as reader:
            return _load(reader, places.__getitem__, given, console)


@contextmanager
def _dump(path: str) -> Iterator[Reader]:
    with _opened(path, "rb") as stream:
        yield _reader(stream, path)


def _reader(stream: BinaryIO, path: str) -> Reader:
    if stream.read(len(MAGIC)) != MAGIC:
        raise Damaged(f"{path} is no dump: it does not begin like one")
    return Reader(stream)


# -- what they have in common ------------------------------------------------------------------------------


def store(place: Place, rows: Iterable[Row], forever: bool) -> None:
    """Store records in round trips of a size that no server minds; with `forever` where nothing can expire, too."""
    if forever and not place.expires:
        rows = (row._replace(expiry=NEVER) for row in rows)
    some: list[Row] = []
    size = 0
    for row in rows:
        some.append(row)
        size += len(row.value)
        if size >= _LARGE or len(some) == BATCH:
            place.put(some)
            some, size = [], 0
    if some:
        place.put(some)


def _counted(batches: Iterator[list[Row]], total: int, console: Console, done: int = 0) -> Iterator[list[Row]]:
    """Yield the batches, and show how far it is."""
    for rows in batches:
        yield rows
        done += len(rows)
        console.progress(done, total)
    console.end()


def _about(url: str, console: Console, count: int, databases: list[int]) -> dict[str, Any]:
    return {"from": url, "time": round(console.clock(), 3), "records": count, "databases": databases}


def _numbered(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' if number != 1 else ''}"


def _told(console: Console, name: str, records: int, file: str, more: str = "", **facts: int) -> int:
    # Where the records themselves go to standard output nothing else may.
    if file != STANDARD or name == "loaded":
        text = f"{_numbered(records, 'record')} {name}" + (f", {more}" if more else "")
        console.tell({name: records, "file": file, **facts}, text, "good")
    return OK


def _opened(path: str, mode: str) -> Any:
    try:
        # What is in a dump is nobody else's business, no more than what is in the database.
        return open(path, mode, opener=lambda name, flags: os.open(name, flags, 0o600))
    except FileExistsError:
        raise CommandFailed(f"{path} is there already: write --force to write over it, or another name") from None
    except OSError as error:
        raise CommandFailed(f"{path} cannot be opened: {error.strerror}") from error


def _output(given: argparse.Namespace, console: Console, files: ExitStack) -> BinaryIO:
    if given.file == STANDARD:
        return console.stdout
    stream: BinaryIO = files.enter_context(_opened(given.file, "wb" if given.force else "xb"))
    return stream


def _input(path: str, console: Console, files: ExitStack) -> BinaryIO:
    if path == STANDARD:
        return console.stdin
    stream: BinaryIO = files.enter_context(_opened(path, "rb"))
    return stream
