"""The operators of `Client.operate`, with the values in them serialized."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from typing import Any, Final

from kt_core.aerospike.errors import param_error
from kt_core.aerospike.keys import check_text
from kt_core.aerospike.package import official
from kt_core.aerospike.policies import check_ttl
from kt_core.aerospike.serialization import Serialization

_JOINING_TEXT: Final = r"aerospike_helpers\.operations\.operations\.(ap|pre)pend is deprecated"
_JOINING: Final = ("ignore", re.compile(_JOINING_TEXT, re.IGNORECASE), Warning, None, 0)


def encode_operators(operators: Iterable[Any], values: Serialization) -> list[dict[str, Any]]:
    """Return the operators as the native client takes them; `ParamError` for one that would do something else."""
    return [_encode(operator, values) for operator in operators]


def check_joined(val: Any) -> None:
    """Raise `ParamError` for a text that would not be appended or prepended as a whole."""
    if not isinstance(val, str):
        return
    check_text("what is to be joined", val)
    # The official client warns that other servers will know other ways to join texts. Callers of the legacy module can
    # do nothing about it, and where warnings are errors the call would fail.
    if _JOINING not in warnings.filters:
        warnings.filterwarnings("ignore", _JOINING_TEXT)


def _encode(operator: Any, values: Serialization) -> dict[str, Any]:
    if not isinstance(operator, dict) or "op" not in operator:
        raise param_error(f"{operator!r} is no operator: write {{'op': OPERATOR_..., 'bin': name, 'val': value}}")
    constants = official()
    code, val = operator["op"], operator.get("val")
    if operator.get("bin") is not None:
        check_text("the name of a bin", operator["bin"])
    if code == constants.OPERATOR_WRITE:
        return {**operator, **values.encode_bins({"val": val})}
    if code == constants.OPERATOR_TOUCH and val is not None:
        check_ttl(val)
    elif code in (constants.OPERATOR_APPEND, constants.OPERATOR_PREPEND):
        check_joined(val)
    elif val is not None:
        return {**operator, "val": values.encode(val)}
    return operator
