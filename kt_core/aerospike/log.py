"""The log of the native client, handed to a function of the caller's.

Natively an exception in that function breaks the call during which something was logged, with SystemError. So the
native client knows one function alone, which is here, stays, and lets nothing out.
"""

from __future__ import annotations

import atexit
import logging
from collections.abc import Callable
from typing import Any, Final

from kt_core.aerospike.errors import param_error
from kt_core.aerospike.package import official

Handler = Callable[[int, str, str, int, str], Any]
"""Called with (level, func, path, line, msg)."""

_DEFAULT: Final = object()
_LEVELS: Final = range(-1, 5)

_log = logging.getLogger(__name__)
_handler: Handler | None = None


def set_log_handler(callback: Any = _DEFAULT) -> int:
    """Have `callback(level, func, path, line, msg)` called for every event that the level lets pass.

    None for silence; without an argument events are printed. An exception in the callback goes to the logger
    `kt_core.aerospike.log`, and no further.
    """
    global _handler
    if callback is _DEFAULT:
        _handler = None
        official().set_log_handler()
        return 0
    if callback is not None and not callable(callback):
        raise param_error(f"{callback!r} cannot be called: write a function of (level, func, path, line, msg)")
    _handler = callback
    official().set_log_handler(None if callback is None else _forward)
    return 0


def set_log_level(log_level: int) -> int:
    """Let events up to a level pass, which is one of LOG_LEVEL_OFF .. LOG_LEVEL_TRACE."""
    if not isinstance(log_level, int) or log_level not in _LEVELS:
        raise param_error(f"log_level={log_level!r}: write one of LOG_LEVEL_OFF, _ERROR, _WARN, _INFO, _DEBUG, _TRACE")
    official().set_log_level(log_level)
    return 0


def _forward(level: int, func: str, path: str, line: int, msg: str) -> None:
    handler = _handler
    if handler is None:
        return
    try:
        handler(level, func, path, line, msg)
    except Exception:
        _log.exception("the log handler failed")


@atexit.register
def _silence() -> None:
    # The native threads go on to log while the interpreter is taken down. From Python 3.14 on a thread that enters it
    # then stops for ever, and so would a close that waits for the thread.
    if _handler is not None:
        official().set_log_handler(None)
