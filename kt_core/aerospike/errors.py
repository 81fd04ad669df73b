"""Errors of the official package's own classes, each of which says what it says for itself.

The native client writes `code`, `msg` and the rest to the *class* of an error, where the next error of that class, in
whatever thread, overwrites them. `settled` gives an error attributes of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from kt_core.aerospike.package import official

E = TypeVar("E", bound=BaseException)

_FIELDS = ("code", "msg", "file", "line", "in_doubt")
_OF_CLASS = ("subcode", "key", "bin")  # these are nowhere but in the class


def param_error(text: str) -> Exception:
    """Return a `ParamError`: an argument cannot be used."""
    return _made("ParamError", -2, text)


def client_error(text: str) -> Exception:
    """Return a `ClientError`: a value cannot be stored or read."""
    return _made("ClientError", -1, text)


def cluster_error(text: str) -> Exception:
    """Return a `ClusterError`: there is no connection to the cluster."""
    return _made("ClusterError", 11, text)


def error_of(code: int, text: str) -> Exception:
    """Return an error of the class that stands for a result code; an `AerospikeError` if none does."""
    return _made(_names().get(code, "AerospikeError"), code, text)


def settled(error: E) -> E:
    """Return the error with its own `code`, `msg`, `file`, `line`, `in_doubt`, which came with its `args`."""
    own = {name: getattr(error, name, None) for name in _OF_CLASS}
    own.update(zip(_FIELDS, error.args, strict=False))
    vars(error).update(own)
    return error


def calling(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function of the official client; its errors come out settled."""
    try:
        return function(*args, **kwargs)
    except official().exception.AerospikeError as error:
        settled(error)
        raise


def _made(name: str, code: int, text: str) -> Exception:
    error: Exception = getattr(official().exception, name)(code, text, __name__, 0, False)
    return settled(error)


@cache
def _names() -> dict[int, str]:
    """The names of the error classes that stand for one result code each, by code."""
    classes = [kind for kind in vars(official().exception).values() if isinstance(kind, type)]
    parents = {base for kind in classes for base in kind.__mro__[1:]} - {official().exception.ClusterError}
    return {getattr(kind, "code", 0): kind.__name__ for kind in classes if kind not in parents}
