"""The server's log: one line an event, in the form of the original's, to a file or the standard output."""

from __future__ import annotations

import logging
import sys
import time
from typing import Final, TextIO

SYSTEM: Final = 25
"""Between INFO and WARNING: what happens to the server as a whole."""


class Formatter(logging.Formatter):
    """``2026-11-24T08:01:02.345Z: [SYSTEM]: listening on 127.0.0.1:1978``."""

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s: [%(levelname)s]: %(message)s")
        self.converter = time.gmtime


class LogFile(logging.FileHandler):
    """A file that can be moved away, and begun anew, while the server runs."""

    def reopen(self) -> None:
        """Go on in the file that is at the path now; in the same one if none can be opened there."""
        try:
            opened = self._open()
        except OSError as error:
            logging.getLogger("kt_core.server").error("the log stays where it is: %s", error)
        else:
            before = self.setStream(opened)
            if before is not None:
                before.close()


def configure(level: int, path: str | None) -> LogFile | logging.StreamHandler[TextIO]:
    """Send what the server and the database below it log to a file, or to the standard output."""
    logging.addLevelName(SYSTEM, "SYSTEM")
    handler = LogFile(path, encoding="utf-8") if path else logging.StreamHandler(sys.stdout)
    handler.setFormatter(Formatter())
    logger = logging.getLogger("kt_core")
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
    return handler
