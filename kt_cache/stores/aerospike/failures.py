"""What the official client reports of an operation that was not done: an answer to go on with, or an error of ours."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final

from kt_core.errors import ConnectionFailed, KTError, Misconfigured, ProtocolError, ServerError, Timeout

OK: Final = 0
PARTLY: Final = -16
"""The code of a batch of which some rows failed: each says how."""
NO_CONNECTION: Final = -7
"""The code of an operation that found all connections to a node taken, and was not sent."""
NO_CLUSTER: Final = 11
NO_NAMESPACE: Final = 20


class Answer(Enum):
    """Why an operation did nothing, where that is no failure."""

    ABSENT = 2
    CHANGED = 3
    PRESENT = 5
    FULL = 8
    """The namespace has no room left, or too little to take writes."""
    TOO_BIG = 13
    """The record would be larger than the server's `max-record-size`."""
    UNFIT = 27
    """The record does not meet the condition that was sent along."""


ANSWERS: Final = {answer.value: answer for answer in Answer}


def failure(code: int, text: str, where: str) -> KTError:
    """Return our error for a result code of the client's, with its text; `where` names the cluster and the set."""
    return _FAILURES.get(code, _unknown)(code, text, where)


def _unknown(code: int, text: str, where: str) -> KTError:
    """Codes below zero are the client's own."""
    if code < OK:
        return ConnectionFailed(f"{where}: {text} ({code})")
    return ServerError(500 + code, f"{where}: {text}")


def _refused(code: int, text: str, where: str) -> KTError:
    return ServerError(400, f"{where}: {text} ({code})")


def _forbidden(code: int, text: str, where: str) -> KTError:
    return ServerError(
        400, f"{where} forbids this: {text} ({code}); a namespace with nsup-period 0 forbids records that are to expire"
    )


def _unreachable(code: int, text: str, where: str) -> KTError:
    return ConnectionFailed(f"{where} cannot be reached: {text}")


def _late(code: int, text: str, where: str) -> KTError:
    return Timeout(f"{where} did not answer in time: {text}")


def _all_busy(code: int, text: str, where: str) -> KTError:
    return Timeout(f"all connections of this process to a node of {where} were busy: raise max_connections")


def _no_namespace(code: int, text: str, where: str) -> KTError:
    if "empty" in text:  # the client's word for a cluster of which no node is left
        return _unreachable(code, text, where)
    return Misconfigured(f"there is no such namespace at {where}: write one that the server's configuration names")


def _no_users(code: int, text: str, where: str) -> KTError:
    return Misconfigured(f"{where} knows no users: leave out user and password")


def _no_entry(code: int, text: str, where: str) -> KTError:
    return Misconfigured(f"{where} refuses the user or the password ({text}): correct the options user and password")


def _nonsense(code: int, text: str, where: str) -> KTError:
    return ProtocolError(f"{where} sent what the client cannot read: {text}")


# Result codes of servers, and below zero those of the client.
_FAILURES: dict[int, Callable[[int, str, str], KTError]] = {
    -2: _refused,
    NO_CONNECTION: _all_busy,
    -8: _unreachable,
    -10: _unreachable,
    -14: _unreachable,
    4: _refused,
    9: _late,
    NO_CLUSTER: _unreachable,
    NO_NAMESPACE: _no_namespace,
    22: _forbidden,
    51: _no_users,
    **dict.fromkeys((52, 60, 61, 62, 63, 64, 65, 80, 81), _no_entry),
}
