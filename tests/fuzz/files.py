"""What reads files that others may have written or damaged: update logs, and names of databases with their options."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from kt_core.errors import KTError, ProtocolError
from kt_core.server.memcached import MemcachedOptions
from kt_core.server.specs import Spec
from kt_core.server.tail import Piece
from kt_core.server.timefile import TimeFile
from kt_core.server.tyrant.names import Name
from kt_core.server.tyrant.updates import Reader
from kt_core.server.tyrant.updates import UpdateLog as TyrantUpdateLog
from kt_core.server.updates import Position, UpdateLog
from kt_core.wire.kt_log import HEADER_SIZE

_NOW: Final = 1_700_000_000.0


def _update_log(data: bytes) -> None:
    """Begin with a log whose last file, the one before, and the end that a database has, are anything."""
    logging.getLogger("kt_core.server").setLevel(logging.CRITICAL)
    try:
        with tempfile.TemporaryDirectory(prefix="kt-fuzz-") as name, suppress(KTError):
            *files, tail = data.split(b"\n--\n", 2) if data.count(b"\n--\n") > 1 else [*data.split(b"\n--\n"), b""]
            for number, content in enumerate(files, 1):
                Path(name, f"{number:010}.ulog").write_bytes(content)
            pieces = [Piece(Position(len(files), HEADER_SIZE), HEADER_SIZE, tail)] if tail else []
            log = UpdateLog(Path(name), 1, limit=1 << 20, clock=lambda: _NOW, synchronize=lambda _: None)
            try:
                log.recover({0: 1, 1: None}, pieces)
                with suppress(ProtocolError):
                    log.oldest()
                assert log.end.offset == log.path(log.end.number).stat().st_size
            finally:
                with suppress(OSError):  # it does so itself where it cannot begin
                    log.close()
    finally:
        logging.getLogger("kt_core.server").setLevel(logging.NOTSET)


def _tyrant_log(data: bytes) -> None:
    """Read a log of two files, as whoever restores it does, and go on with it."""
    with tempfile.TemporaryDirectory(prefix="kt-fuzz-") as name:
        for number, content in enumerate(data.split(b"\n--\n", 1), 1):
            Path(name, f"{number:08}.ulog").write_bytes(content)
        with suppress(KTError):
            list(Reader(Path(name), 1).read())
        TyrantUpdateLog(Path(name), 1 << 20, lambda: _NOW).close()


def _time_file(data: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="kt-fuzz-") as name:
        path = Path(name, "rts")
        path.write_bytes(data)
        TimeFile(path).read()


def _names(data: bytes) -> None:
    """Read what a server's command line says of a database."""
    text = data.decode("utf-8", "replace")
    for parse in (Spec.parse, Name.parse):
        with suppress(KTError):
            spec = parse(text)
            assert min(spec.count_limit, spec.size_limit) >= 0
            assert isinstance(spec.unknown, list)
    with suppress(KTError):
        assert MemcachedOptions.parse(text).port > 0


FILES: Final[Mapping[str, Callable[[bytes], None]]] = {
    "update_logs": _update_log,
    "tyrant_update_logs": _tyrant_log,
    "time_files": _time_file,
    "names_of_databases": _names,
}
