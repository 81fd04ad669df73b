"""The log: the form of a line, its levels, and where it goes."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kt_core.server import log

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z: \[(\w+)\]: (.*)")


@pytest.fixture(autouse=True)
def logger() -> Iterator[logging.Logger]:
    """The logger of the package, as it was again afterwards."""
    logger = logging.getLogger("kt_core")
    before = logger.level, logger.propagate, list(logger.handlers)
    yield logger
    for handler in logger.handlers:
        if handler not in before[2]:
            handler.close()
    logger.level, logger.propagate, logger.handlers = before
    logger.setLevel(before[0])  # it also forgets what it had worked out


def written(path: Path) -> list[tuple[str, str]]:
    """Return level and text of each line."""
    return [match.groups() for line in path.read_text().splitlines() if (match := LINE.fullmatch(line))]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("level", "count"),
    [(logging.INFO, 4), (log.SYSTEM, 3), (logging.ERROR, 1), (logging.CRITICAL + 1, 0)],
)
def test_what_is_below_the_level_is_not_written(tmp_path: Path, level: int, count: int) -> None:
    log.configure(level, str(tmp_path / "log"))
    server = logging.getLogger("kt_core.server")
    server.debug("debug")
    server.info("request")
    server.log(log.SYSTEM, "listening on %s", "127.0.0.1:1978")
    logging.getLogger("kt_core.database").warning("full")
    server.error("failed")
    expected = [
        ("INFO", "request"),
        ("SYSTEM", "listening on 127.0.0.1:1978"),
        ("WARNING", "full"),
        ("ERROR", "failed"),
    ]
    assert written(tmp_path / "log") == expected[len(expected) - count :]


def test_the_time_is_universal() -> None:
    record = logging.LogRecord("kt_core.server", log.SYSTEM, "", 0, "text %d", (5,), None)
    record.created, record.msecs = 1795295378.25, 250.0
    record.levelname = "SYSTEM"
    assert log.Formatter().format(record) == "2026-11-21T21:09:38.250Z: [SYSTEM]: text 5"


def test_a_file_is_continued(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("before\n")
    log.configure(logging.INFO, str(tmp_path / "log"))
    logging.getLogger("kt_core.server").info("after")
    assert (tmp_path / "log").read_text().startswith("before\n")
    assert written(tmp_path / "log") == [("INFO", "after")]


def test_without_a_file_it_is_the_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(logging.INFO, None)
    logging.getLogger("kt_core.server").info("said")
    assert LINE.fullmatch(capsys.readouterr().out.strip())


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        log.configure(logging.INFO, str(tmp_path / "nowhere" / "log"))
