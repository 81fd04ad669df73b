"""Unpickling what a shared cluster holds, where whoever can write could otherwise run code.

A pickle names the classes and functions it is made of. `Unpickler` loads those of an allow-list alone: the plain types
of the standard library, and what the caller adds.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterable
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from kt_core.aerospike.errors import client_error

_BUILTINS = (
    "bool bytearray bytes complex dict float frozenset int list object range set slice str tuple NotImplementedType"
)

PLAIN = frozenset(
    [f"builtins.{name}" for name in _BUILTINS.split()]
    # As Python 2 spelled them, where they are not mapped to other names.
    + [f"__builtin__.{name}" for name in f"{_BUILTINS} long unicode xrange".split()]
    + ["_codecs.encode", "copy_reg._reconstructor", "copyreg._reconstructor"]
    + [f"collections.{name}" for name in ("Counter", "OrderedDict", "defaultdict", "deque")]
    + [f"datetime.{name}" for name in ("date", "datetime", "time", "timedelta", "timezone")]
    + ["decimal.Decimal", "fractions.Fraction", "uuid.SafeUUID", "uuid.UUID", "zoneinfo.ZoneInfo"]
)
"""What may be loaded without being named: values, nothing that acts."""


class Unpickler:
    """Loads pickles made of plain values and of what `names` allows.

    A name is `module.Class`, `module.*` for all that a module and those below it define, or `*` for everything.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        names = frozenset(names)
        self._names = PLAIN | names
        self._modules = tuple(name[:-1] for name in names if name.endswith(".*"))
        self._everything = "*" in names

    def loads(self, data: bytes) -> Any:
        """Return the object; `ClientError` if the pickle is damaged or names something that is not allowed."""
        try:
            try:
                return _Loading(self, data, "utf-8").load()
            except UnicodeDecodeError:  # a str of Python 2 that was bytes
                return _Loading(self, data, "latin-1").load()
        except _Refused as refused:
            raise client_error(
                f"the record holds a pickled {refused}, which is not allowed: write 'unpickle': [{str(refused)!r}] "
                "in the config of the client if every writer of the cluster can be trusted"
            ) from None
        except Exception as error:
            # Not what the error says: it quotes the value.
            raise client_error(f"the record holds a pickle that cannot be loaded: {type(error).__name__}") from error

    def allows(self, module: str, name: str) -> bool:
        """Whether a pickle may name this."""
        if self._everything or f"{module}.{name}" in self._names:
            return True
        # No dots: `module.os.system` is not what a module defines.
        return "." not in name and f"{module}.".startswith(self._modules)


_GETATTR = (("builtins", "getattr"), ("__builtin__", "getattr"))


def _zone_maker(owner: Any, name: str) -> Any:
    """What stands for getattr, which the pickles of time zones alone need."""
    if owner is not ZoneInfo or name != "_unpickle":
        raise _Refused("builtins.getattr")
    return ZoneInfo._unpickle  # type: ignore[attr-defined]


class _Refused(Exception):  # not a PickleError, which the Python code of a class could swallow
    pass


def _load_bytearray(loading: _Loading) -> None:
    """Read a bytearray that is there: pickle allocates it by the length that is announced."""
    size = int.from_bytes(loading.read(8), "little")
    data = loading.read(size)
    if len(data) < size:
        raise pickle.UnpicklingError("the pickle ends amid a bytearray")
    loading.append(bytearray(data))


# The one written in C allocates the memo up to whatever number the pickle names, 32 GiB for five bytes.
class _Loading(pickle._Unpickler):
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **pickle._Unpickler.dispatch,
        pickle.BYTEARRAY8[0]: _load_bytearray,
    }
    read: Callable[[int], bytes]
    append: Callable[[object], None]

    def __init__(self, allowed: Unpickler, data: bytes, encoding: str) -> None:
        super().__init__(io.BytesIO(data), encoding=encoding)
        self._allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _GETATTR:
            return _zone_maker
        if not self._allowed.allows(module, name):
            raise _Refused(f"{module}.{name}")
        return super().find_class(module, name)
