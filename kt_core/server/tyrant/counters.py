"""What a server counts of its operations, by the names and in the order of `stat`.

Source: the Tokyo Tyrant protocol reference, section 9.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

COMMANDS: Final = (
    "put", "putkeep", "putcat", "putshl", "putnr", "out", "get", "mget", "vsiz", "iterinit", "iternext", "fwmkeys",
    "addint", "adddouble", "ext", "sync", "optimize", "vanish", "copy", "restore", "setmst", "rnum", "size", "stat",
    "misc", "repl",
)  # fmt: skip
"""The commands that clients send, each counted under its own name."""

NAMES: Final = (*(f"cnt_{name}" for name in COMMANDS), "cnt_put_miss", "cnt_out_miss", "cnt_get_miss")
INDEX: Final[Mapping[str, int]] = {name: index for index, name in enumerate(NAMES)}
PUT, OUT, GET = INDEX["cnt_put"], INDEX["cnt_out"], INDEX["cnt_get"]
PUT_MISS, OUT_MISS, GET_MISS = INDEX["cnt_put_miss"], INDEX["cnt_out_miss"], INDEX["cnt_get_miss"]
